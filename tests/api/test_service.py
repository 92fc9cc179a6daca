"""The API served by a process: tokens of the command line, reload, metrics, crowds, rude clients, and an end under load."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mailstore.passwords import hash_password
from tests.http.rig import Service, serving, toml
from tests.servers.process import program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rigs import Rig

READY = hash_password("secret")


def cli(directory: Path, *words: str) -> str:
    """Run the command line with the configuration of the service."""
    command = [sys.executable, "-m", "mailstore", "--config", str(directory / "http.toml"), "--format", "json", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def call(service: Service, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Make a call on a connection of its own; returns the status and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, f"/v1/stores/main{path}", text, {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        told = answer.read()
        return answer.status, json.loads(told) if told else None
    finally:
        connection.close()


@pytest.fixture
def sqlite_rig(rigs: Any) -> Rig:
    rig: Rig = rigs("sqlite")
    rig.clear()
    rig.shared.domains.create("example.com")
    return rig


def config(rig: Rig, directory: Path, http: str = "") -> str:
    return toml(f'url = "{rig.url}"', directory / "state", "[http.v1]\n", http)


@pytest.fixture
def service(sqlite_rig: Rig, workdir: Path) -> Iterator[Service]:
    text = config(sqlite_rig, workdir, 'connections = 250\nmetrics_listen = "127.0.0.1:0"\n')
    with serving(workdir, text) as running:
        yield running
        running.terminate()
        assert running.wait() == 0
    assert [line for line in running.lines if "internal error" in line or "mst_" in line or "Traceback" in line] == []


def make_token(directory: Path, name: str = "test") -> str:
    made = json.loads(cli(directory, "http", "token", "create", name, "--for-store", "main", "--write"))
    text: str = made["generated_password"]
    return text


def test_tokens_are_made_listed_and_revoked_while_it_runs(service: Service, workdir: Path) -> None:
    token = make_token(workdir)
    assert call(service, token, "GET", "/domains")[0] == 200
    [shown] = json.loads(cli(workdir, "http", "token", "list"))
    assert (shown["name"], shown["access"], shown["stores"]) == ("test", "write", ["main"])
    file = workdir / "state" / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = token.rpartition("_")[2]
    assert secret not in file.read_text() + json.dumps(shown)
    cli(workdir, "http", "token", "revoke", "test")
    assert call(service, token, "GET", "/domains")[0] == 401
    assert json.loads(cli(workdir, "http", "token", "list")) == []


def test_a_new_configuration_comes_into_force_without_a_pause(service: Service, workdir: Path) -> None:
    token, file = make_token(workdir), workdir / "http.toml"
    good = file.read_text()
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            statuses.append(call(service, token, "GET", "/domains")[0])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        file.write_text(good.replace("[http.v1]", '[http.v1]\nclients = ["192.0.2.1"]'))
        service.signal(signal.SIGHUP)
        assert wait_for(lambda: 403 in statuses, timeout=60)
        file.write_text(good.replace("[http.v1]", "[http.v1]\ncolour = 1"))
        service.signal(signal.SIGHUP)
        assert wait_for(lambda: bool(service.events("configuration refused; the old one stays in force")), timeout=60)
        file.write_text(good)
        service.signal(signal.SIGHUP)
        assert wait_for(lambda: statuses[-1] == 200, timeout=60)
    finally:
        done.set()
        asking.join()
    assert set(statuses) == {200, 403}
    assert len(service.events("configuration reloaded")) == 2


def test_metrics_count_calls(service: Service, workdir: Path) -> None:
    token = make_token(workdir)
    call(service, token, "GET", "/domains")
    call(service, "mst_x_y", "GET", "/domains")
    where = service.events("started")[0]["metrics"]
    connection = http.client.HTTPConnection(where, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    assert 'mailstore_http_requests_total{api="v1",method="GET",status="200"} 1.0' in text
    assert 'mailstore_http_requests_total{api="v1",method="GET",status="401"} 1.0' in text
    assert "mailstore_http_failed_logins_total 1.0" in text
    assert 'mailstore_http_request_seconds_count{api="v1"} 2.0' in text


def test_a_crowd_and_rude_clients(service: Service, sqlite_rig: Rig, workdir: Path) -> None:
    token = make_token(workdir)
    head = f"POST /v1/stores/main/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()
    rude = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(30)]
    for number, connection in enumerate(rude):
        part = head + b'Content-Length: 90\r\n\r\n{"address": "half@example.com", "password_hash"'
        connection.sendall(part[: 20 + number * 6])
        if number % 2:  # gone in the middle
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
    body = json.dumps({"address": "crowd@example.com", "password_hash": READY}).encode()
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    crowd = [socket.create_connection(("127.0.0.1", service.port), timeout=60) for _ in range(200)]
    for connection in crowd:
        connection.sendall(request)
    answers = [connection.recv(65536)[9:12] for connection in crowd]
    for connection in [*crowd, *rude]:
        connection.close()
    assert sorted(answers) == [b"201"] + [b"409"] * 199
    assert [account.address for account in sqlite_rig.shared.accounts.list()] == ["crowd@example.com"]


def test_what_was_acknowledged_is_there_after_the_end(sqlite_rig: Rig, workdir: Path) -> None:
    done: list[str] = []
    with serving(workdir, config(sqlite_rig, workdir)) as service:
        token, enough = make_token(workdir), threading.Event()

        def work(worker: int) -> None:
            for number in range(1000):
                name = f"w{worker}.{number}@example.com"
                try:
                    status, _ = call(service, token, "POST", "/accounts", {"address": name, "password_hash": READY})
                except (OSError, http.client.HTTPException):
                    return  # the service is gone
                assert status == 201
                done.append(name)
                if len(done) > 30:
                    enough.set()

        workers = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
        for worker in workers:
            worker.start()
        assert enough.wait(60)
        service.terminate()
        assert service.wait() == 0
        for worker in workers:
            worker.join()
        assert service.events("stopped")[0]["complete"] is True
    assert {account.address for account in sqlite_rig.shared.accounts.list()} == set(done)
    entries = [json.loads(line) for line in (workdir / "audit.log").read_text().splitlines()]
    assert {entry["subject"] for entry in entries if entry["result"] == "done"} == set(done)


def test_fail2ban_finds_who_guesses(service: Service, workdir: Path) -> None:
    from tests.http.test_service import FILTER

    call(
        service,
        "mst_guess\nWeb login failed: client_address=6.6.6.6, username=x_y".replace("\n", " "),
        "GET",
        "/domains",
    )
    assert wait_for(lambda: any(line.startswith("Web login failed") for line in service.lines), timeout=30)
    log = workdir / "service.log"
    log.write_text("".join(f"{line}\n" for line in service.lines))
    done = subprocess.run(
        [program("fail2ban-regex"), "--out", "ip", str(log), str(FILTER)], capture_output=True, text=True
    )
    assert done.stdout.split() == ["127.0.0.1"], done
