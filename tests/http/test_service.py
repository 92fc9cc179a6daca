"""The service itself: what it refuses to start with, what clients cannot do to it, and how it ends."""

from __future__ import annotations

import configparser
import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore.errors import ConfigurationError
from mailstore_http.failures import FailedLogins, printable
from mailstore_http.networks import Networks, client_of
from mailstore_http.sessions import Session, Sessions
from mailstore_http.settings import load
from tests.http.conftest import PANEL, PASSWORD, ROOT
from tests.http.rig import Client, serving, toml
from tests.servers.process import MissingCapabilityError, program, wait_for

if TYPE_CHECKING:
    from mailstore import Store
    from tests.http.rig import Service
    from tests.rigs import Rig

DAEMON = Path(__file__).resolve().parent.parent.parent / "daemon"
UNIT = DAEMON / "systemd" / "mailstore-http.service"
FILTER = DAEMON / "fail2ban" / "filter.d" / "mailstore-http.conf"


def config(rig: Rig, directory: Path, dialects: str = PANEL, http: str = "") -> str:
    return toml(f'url = "{rig.url}"', directory / "state", dialects, http)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("old", "new", "wrong"),
        [
            ('"127.0.0.1:0"', '"192.0.2.1:80"', "plain_http_outside"),
            ('"127.0.0.1:0"', '"here"', "http.listen"),
            ('"127.0.0.1:0"', '"unix:socket"', "http.listen"),
            ("iredmail+sqlite", "mailinabox", "does not go with"),
            ('"iredadmin"', '"other"', "Invalid enum value"),
            ('"iredadmin"', '"iredadmin"\nclients = ["x"]', "clients"),
            ('"iredadmin"', '"iredadmin"\nprefixes = ["api"]', "prefixes"),
            ('"iredadmin"', '"iredadmin"\nstore = "absent"', "absent"),
            ("[http.dialects.panel]", "[http.dialects.one]\napi = 'iredadmin'\n[http.dialects.panel]", "both served"),
            (PANEL, "", "no API"),
        ],
    )
    def test_mistakes_are_named(self, sqlite_rig: Rig, workdir: Path, old: str, new: str, wrong: str) -> None:
        file = workdir / "mailstore.toml"
        text = config(sqlite_rig, workdir)
        assert old in text
        file.write_text(text.replace(old, new))
        with pytest.raises(ConfigurationError, match=wrong):
            load(file)

    def test_it_can_be_checked(self, sqlite_rig: Rig, workdir: Path) -> None:
        file = workdir / "mailstore.toml"
        command = [sys.executable, "-m", "mailstore_http", "--config", str(file), "--check-config"]
        file.write_text(config(sqlite_rig, workdir))
        assert subprocess.run(command, capture_output=True, text=True).stdout == "good; APIs: panel\n"
        file.write_text("[http]\nthreads = 0\n")
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, "threads" in done.stderr) == (2, True)


def test_the_address_of_the_client() -> None:
    proxies = Networks("proxies", ["127.0.0.1", "10.0.0.0/8", "unix"])

    def seen(peer: str, forwarded: str = "", proto: str = "") -> tuple[str, bool]:
        given = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded, "HTTP_X_FORWARDED_PROTO": proto}
        return client_of(given, proxies)

    assert seen("192.0.2.9", "203.0.113.1", "https") == ("192.0.2.9", False)
    assert seen("127.0.0.1", "203.0.113.1", "https") == ("203.0.113.1", True)
    assert seen("127.0.0.1", "198.51.100.7, 203.0.113.1, 10.1.1.1") == ("203.0.113.1", False)
    assert seen("127.0.0.1", "198.51.100.7, rubbish") == ("127.0.0.1", False)
    assert seen("localhost", "203.0.113.1") == ("203.0.113.1", False)
    assert seen("localhost") == ("unix", False)
    assert "::ffff:10.1.2.3" in proxies
    assert "11.1.2.3" not in proxies


def test_pauses_grow_and_end() -> None:
    now = [0.0]
    with Path("/dev/null").open("w") as nowhere:
        failures = FailedLogins(lambda: now[0], nowhere)
        for _ in range(5):
            assert failures.wait("192.0.2.1", "a@x") == 0
            failures.note("192.0.2.1", "a@x", "line")
        assert failures.wait("203.0.113.1", "A@x ") == 1  # the account, from elsewhere
        assert failures.wait("192.0.2.1", "b@x") == 0  # another account from there
        failures.succeeded("198.51.100.1", "A@x")
        assert failures.wait("198.51.100.1", "a@x") == 0  # its owner is not kept out
        for _ in range(20):
            failures.note("192.0.2.1", "a@x", "line")
        assert failures.wait("192.0.2.1", "b@x") == 60
        now[0] = 61
        assert failures.wait("192.0.2.1", "a@x") == 0
    assert printable('a\r\nfrom ip 1.2.3.4,"\x00') == "a??from ip 1.2.3.4???"


def test_sessions_end_when_they_are_not_used(workdir: Path) -> None:
    sessions = Sessions(workdir / "state", 30)
    token = sessions.begin(Session("a@x", "192.0.2.1"))
    assert Sessions(workdir / "state", 30).find(token) == Session("a@x", "192.0.2.1")  # another worker
    [file] = (workdir / "state").iterdir()
    assert token not in file.name + file.read_text()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for odd in ("", "../x", "\udcff", token[:-1]):
        assert sessions.find(odd) is None
    assert Sessions(workdir / "state", -1).find(token) is None
    assert not list((workdir / "state").iterdir())


def test_a_session_survives_a_restart_and_keeps_its_address(sqlite_rig: Rig, accounts: Store, workdir: Path) -> None:
    text = config(sqlite_rig, workdir, http='trusted_proxies = ["127.0.0.1"]')
    with serving(workdir, text) as service:
        client = service.client()
        client.headers["X-Forwarded-For"] = "203.0.113.5"
        assert client.login(ROOT, PASSWORD)["_success"]
    with serving(workdir, text.replace('"iredadmin"', '"iredadmin"\nold_envelope = true')) as service:
        client.port = service.port
        assert client.call("GET", "/domains") == {"success": True, "data": []}
        client.headers["X-Forwarded-For"] = "203.0.113.6"
        assert client.call("GET", "/domains") == {"success": False, "msg": "LOGIN_REQUIRED"}


def test_the_allow_list_is_for_the_login_too(sqlite_rig: Rig, accounts: Store, workdir: Path) -> None:
    with serving(workdir, config(sqlite_rig, workdir, PANEL + 'clients = ["192.0.2.0/24"]\n')) as service:
        assert service.client().login(ROOT, PASSWORD) == {"_success": False, "_msg": "NOT_AUTHORIZED"}


def test_a_socket_instead_of_an_address(sqlite_rig: Rig, accounts: Store, workdir: Path) -> None:
    text = config(sqlite_rig, workdir).replace('"127.0.0.1:0"', f'"unix:{workdir}/socket"')
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(workdir / "notify"))
    manager.settimeout(20)
    with manager, serving(workdir, text, NOTIFY_SOCKET=str(workdir / "notify")) as service:
        assert b"READY=1" in manager.recv(4096)
        assert (workdir / "socket").stat().st_mode & 0o777 == 0o660
        answer = subprocess.run(
            [program("curl"), "-sS", "--unix-socket", str(workdir / "socket"), "http://x/readyz"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert answer.stdout == "ok\n"
        service.terminate()
        assert b"STOPPING=1" in manager.recv(4096)
        assert service.wait() == 0


def test_a_store_that_is_down_is_told_as_that(workdir: Path) -> None:
    url = "iredmail+postgresql://vmailadmin:secret@127.0.0.1:1/vmail"
    with serving(workdir, toml(f'url = "{url}"', workdir / "state", PANEL)) as service:
        client = service.client()
        reply = client.send("POST", "/login", b"username=a@x.org&password=pw-of-a")
        assert (reply.status, reply.json["_success"], reply.headers["retry-after"]) == (503, False, "10")
        assert "127.0.0.1" not in reply.json["_msg"]
        bare = service.client("")
        assert bare.send("GET", "/healthz").body == b"ok\n"
        assert bare.send("GET", "/readyz").status == 503
    assert not [line for line in service.lines if "pw-of-a" in line or "secret" in line]


def test_slow_clients_hold_nobody_up(service: Service, panel: Client) -> None:
    open_ones = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(40)]
    try:
        for number, connection in enumerate(open_ones):
            connection.sendall(
                b"PUT /api/domain/x.org HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nna"[: 20 + number * 2]
            )
        assert panel.call("GET", "/domains")["_success"]
    finally:
        for connection in open_ones:
            connection.close()


def test_what_was_acknowledged_is_there_after_a_stop(sqlite_rig: Rig, accounts: Store, workdir: Path) -> None:
    accounts.domains.create("example.com")
    done: list[str] = []
    with serving(workdir, config(sqlite_rig, workdir)) as service:
        session = service.client()
        session.login(ROOT, PASSWORD)
        enough = threading.Event()

        def work(worker: int) -> None:
            client = Client(service.port, "/api", dict(session.headers))
            for number in range(1000):
                name = f"a{worker}.{number}@example.com"
                try:
                    answer = client.call("POST", f"/alias/{name}", members="x@example.org")
                except (OSError, http.client.HTTPException):
                    return  # the service is gone
                assert answer["_success"]
                done.append(name)
                if len(done) > 30:
                    enough.set()

        workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        assert enough.wait(60)
        service.terminate()
        began = time.monotonic()
        assert service.wait() == 0
        assert time.monotonic() - began < 20
        for worker in workers:
            worker.join()
        assert service.events("stopped")[0]["complete"] is True
    assert {alias.address for alias in accounts.aliases.list()} == set(done)


class TestUnit:
    def test_it_is_valid_and_sandboxed(self, workdir: Path) -> None:
        path = workdir / UNIT.name
        path.write_text(UNIT.read_text().replace("/opt/mailstore/bin/mailstore-http", sys.executable))
        analyze = program("systemd-analyze")
        done = subprocess.run([analyze, "verify", "--man=no", str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if "Failed to" in done.stderr:
            raise MissingCapabilityError(f"systemd-analyze cannot judge units here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stdout

    def test_it_fits_the_sample(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
        parser.read_string(UNIT.read_text())
        unit = parser["Service"]
        monkeypatch.setenv("STATE_DIRECTORY", f"/var/lib/{unit['StateDirectory']}")
        settings = load(DAEMON / "systemd" / "mailstore.toml")
        assert [str(dialect.state) for dialect in settings.dialects] == ["/var/lib/mailstore-http/panel"]
        assert unit["LoadCredential"].partition(":")[0] == settings.stores["main"].password_file
        writable = re.findall(r"^ReadWritePaths=(.*)$", UNIT.read_text(), re.MULTILINE)
        assert all(any(home.startswith(path) for path in writable) for home in settings.stores["main"].homes)


def test_the_filter_of_fail2ban_matches_the_line(service: Service, accounts: Store) -> None:
    service.client().login("guess@x.org\nWeb login failed: client_address=6.6.6.6, username=x", "wrong")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(FILTER.read_text())
    patterns = [
        re.compile(pattern.replace("<HOST>", r"(?P<host>[0-9a-fA-F:.]+)"))
        for pattern in parser["Definition"]["failregex"].splitlines()
    ]

    def lines() -> list[str]:
        return [line for line in service.lines if "guess@x.org" in line and not line.startswith("{")]

    assert wait_for(lambda: bool(lines()), timeout=30)  # the service writes it when the answer is on its way
    assert [match["host"] for line in lines() for pattern in patterns if (match := pattern.match(line))] == [
        "127.0.0.1"
    ]
