"""The HTTP service beside the library: requests per second, their p99, and the process time that the HTTP layer adds.

``python -m bench.http [--quick]``
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailstore.passwords import hash_password
from mailstore.store import Store
from mailstore.tokens import TokenFile
from tests.rigs import on_sqlite
from tests.servers.process import make_directory

__all__ = ["main", "run"]

READY = hash_password("x")
_TICKS = os.sysconf("SC_CLK_TCK")
_CLIENTS = 4


def run(url: str, store: Store, directory: Path, quick: bool) -> None:
    """Print a table of creating and reading accounts, by the library in this process and over HTTP."""
    count = 200 if quick else 2_000
    numbers = itertools.count()

    def create(client: _Client) -> None:
        client.call("POST", "/accounts", {"address": _name(numbers), "password_hash": READY})

    def get(client: _Client) -> None:
        client.call("GET", f"/accounts/{_KNOWN}")

    with _service(url, directory) as service:
        client = _Client(service)
        client.call("POST", "/accounts", {"address": _KNOWN, "password_hash": READY})
        print(_HEAD)
        for name, ours, theirs in (
            ("create", lambda: store.accounts.create(_name(numbers), password_hash=READY), create),
            ("get", lambda: store.accounts.get(_KNOWN), get),
        ):
            line = _line(name, count, ours, theirs, service)
            print(line, f"{_rate(service, theirs, count):.0f} |")


_KNOWN = "known@example.com"
_HEAD = """
| what | library, ms of process time | over HTTP | added | target | reached | library p99 ms | HTTP p99 ms | requests/s |
|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class _Service:
    port: int
    token: str
    process: int


def _name(numbers: Iterator[int]) -> str:
    return f"http{next(numbers)}@example.com"


def _line(
    name: str, count: int, ours: Callable[[], object], theirs: Callable[[_Client], object], service: _Service
) -> str:
    client = _Client(service)
    own: list[float] = []
    remote: list[float] = []
    own_cpu = served = 0.0
    for _ in range(5):  # in turns: what else the machine does hits both
        before = time.process_time()
        own += _timed(count // 5, ours)
        own_cpu += time.process_time() - before
        used = _cpu(service.process)
        remote += _timed(count // 5, lambda: theirs(client))
        served += _cpu(service.process) - used
    library, over_http = own_cpu / len(own) * 1000, served / len(remote) * 1000
    added = over_http - library
    return (
        f"| {name} an account | {library:.2f} | {over_http:.2f} | {added:.2f} | 1.00 | {'yes' if added <= 1 else 'no'} "
        f"| {_p99(own):.2f} | {_p99(remote):.2f} |"
    )


def _timed(count: int, call: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)] * 1000


def _cpu(process: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rate(service: _Service, call: Callable[[_Client], object], count: int) -> float:
    """Return how many requests several clients have answered in a second together."""

    def work() -> None:
        client = _Client(service)
        for _ in range(count // _CLIENTS):
            call(client)

    workers = [threading.Thread(target=work) for _ in range(_CLIENTS)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - start)


class _Client:
    """One connection that is kept."""

    def __init__(self, service: _Service) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port)
        self._headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> object:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, f"/v1/stores/main{path}", text, self._headers)
        answer = self._connection.getresponse()
        told = answer.read()
        assert answer.status < 300, told
        return json.loads(told)


@contextmanager
def _service(url: str, directory: Path) -> Iterator[_Service]:
    file = directory / "http.toml"
    state = directory / "http-state"
    file.write_text(
        f'[stores.main]\nurl = "{url}"\n[http]\nlisten = "127.0.0.1:0"\nstate = "{state}"\nlog_level = "info"\n[http.v1]\n'
    )
    _, token = TokenFile(state / "tokens.json").create("bench", access="write")
    command = [sys.executable, "-m", "mailstore_http", "--config", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        port = next(json.loads(line)["listen"] for line in lines if '"started"' in line).rpartition(":")[2]
        drain = threading.Thread(target=lambda: [None for _ in lines], daemon=True)
        drain.start()
        try:
            yield _Service(int(port), token, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def main() -> None:
    """Measure on a store of its own."""
    scratch = make_directory(Path(tempfile.mkdtemp(prefix="mailstorebench")))
    try:
        rig = on_sqlite(scratch, make_directory(scratch / "homes"), (os.getuid(), os.getgid()))
        rig.shared.domains.create("example.com")
        run(rig.url, rig.shared, scratch, quick="--quick" in sys.argv)
        rig.close()
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
