"""The service as a process of its own, and a client that sends exactly what it is told to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

__all__ = ["Client", "Reply", "Service", "serving", "toml"]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A client of one API. It keeps cookies, and sends a form if it is given parameters."""

    port: int
    prefix: str
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Reply:
        """Send a request as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"{self.prefix}{path}", body, {**self.headers, **headers})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def call(self, method: str, path: str, **parameters: Any) -> Any:
        """Make a call with a form, and return what JSON says."""
        body = urlencode(parameters).encode() if parameters else None
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if parameters else {}
        reply = self.send(method, path, body, headers)
        assert reply.headers["content-type"] == "application/json", reply
        return reply.json

    def login(self, username: str, password: str) -> Any:
        """Log in, and keep the cookie if there is one."""
        body = urlencode({"username": username, "password": password}).encode()
        reply = self.send("POST", "/login", body)
        if "set-cookie" in reply.headers:
            self.headers["Cookie"] = reply.headers["set-cookie"].partition(";")[0]
        return reply.json


class Service:
    """A running ``mailstore-http``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(30), self.lines
        self.listen = next((event["listen"] for event in self.events("started")), "")
        assert self.listen, self.lines
        self.port = int(self.listen.rpartition(":")[2]) if ":" in self.listen else 0

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line.rstrip("\n"))
            if '"started"' in line:
                self._ready.set()
        self._ready.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what it has logged under a name."""
        return [event for line in self.lines if line.startswith("{") and (event := json.loads(line))["event"] == name]

    def client(self, prefix: str = "/api") -> Client:
        """Return a client without a session."""
        return Client(self.port, prefix)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        code = self._process.wait(30)
        self._reader.join(10)
        return code


def toml(store: str, state: Path, dialects: str, http: str = "") -> str:
    """Return a configuration with one store, ``main``, and an audit log beside `state`."""
    audit = f'[audit]\nto = ["{state.parent / "audit.log"}"]\n'
    return f'{audit}[stores.main]\n{store}\n[http]\nlisten = "127.0.0.1:0"\nstate = "{state}"\n{http}\n{dialects}\n'


@contextmanager
def serving(directory: Path, config: str, **environment: str) -> Iterator[Service]:
    """Run the service until the context ends."""
    file = directory / "http.toml"
    file.write_text(config)
    command = [sys.executable, "-m", "mailstore_http", "--config", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        try:
            service = Service(process)
            yield service
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
