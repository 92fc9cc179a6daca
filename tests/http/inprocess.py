"""The application called as a WSGI server calls it, in this process: thousands of requests cost little."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest

from mailstore_http import failures
from mailstore_http.service import application
from mailstore_http.settings import load
from mailstored.logs import make_logger
from tests.http.rig import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mailstore_http.app import Application

__all__ = ["Caller", "InProcess", "patience", "running"]


@dataclass
class Caller:
    """A client of one API in the same process; see `tests.http.rig.Client`."""

    app: Application
    prefix: str
    headers: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Reply:
        """Send a request as it is."""
        place, _, query = f"{self.prefix}{path}".partition("?")
        given = {**self.headers, **headers}
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": unquote_to_bytes(place).decode("latin-1"), "QUERY_STRING": query,
            "REMOTE_ADDR": self.address, "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body or b""),
            "CONTENT_LENGTH": str(len(body or b"")), "CONTENT_TYPE": given.get("Content-Type", ""),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items()},
        }  # fmt: skip
        answered: list[Any] = []
        pieces = self.app(environ, lambda status, pairs: answered.extend((status, pairs)))
        content = b"".join(pieces)
        status, pairs = answered
        return Reply(int(status[:3]), {name.lower(): value for name, value in pairs}, content)


class InProcess:
    """An application, and what it has logged."""

    def __init__(self, app: Application, log: io.StringIO) -> None:
        self.app = app
        self._log = log

    def caller(self, prefix: str) -> Caller:
        """Return a client."""
        return Caller(self.app, prefix)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what was logged under a name."""
        events = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [event for event in events if event["event"] == name]

    @property
    def log(self) -> str:
        """All that was logged."""
        return self._log.getvalue()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be slowed down by wrong passwords, which the tests of a module send to one service in any order."""
    for kind in ("client", "account"):
        monkeypatch.setitem(failures._FREE, kind, 10_000)


@contextmanager
def running(directory: Path, config: str) -> Iterator[InProcess]:
    """Give the application of a configuration; in the end its stores are closed, and nothing may have gone wrong inside."""
    file = directory / "http.toml"
    file.write_text(config)
    log = io.StringIO()
    app, stores = application(load(file), make_logger("json", "info", log))
    found = InProcess(app, log)
    try:
        yield found
    finally:
        stores.close()
    assert found.events("internal error") == [], found.events("internal error")
