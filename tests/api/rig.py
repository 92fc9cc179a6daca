"""The application within the test, called as a WSGI server calls it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from mailstore import Store
from mailstore.audit import Trail
from mailstore.tokens import TokenFile
from mailstore_http.app import Application
from mailstore_http.failures import FailedLogins
from mailstore_http.networks import Networks
from mailstore_http.settings import V1Settings
from mailstore_http.stores import Stores
from mailstore_http.v1.api import V1
from mailstored.logs import make_logger
from tests.stores import StoreRig

__all__ = ["Api", "OpenStores", "Reply", "basic", "bearer", "serve"]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Api:
    """Somebody who uses the API on one store."""

    app: Application
    tokens: TokenFile
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    client: str = "127.0.0.1"
    told: io.StringIO = field(default_factory=io.StringIO, repr=False)
    """What is written about failed logins."""
    store: str = "main"

    def raw(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Reply:
        """Send a request to any path."""
        parts, got = urlsplit(path), []
        given = {"Content-Type": "application/json", **self.headers, **headers}
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
            "QUERY_STRING": parts.query,
            "REMOTE_ADDR": self.client,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
        }
        for name, value in given.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        pieces = self.app(environ, lambda status, fields: got.append((status, fields)))
        whole = b"".join(pieces)
        [(status, fields)] = got
        return Reply(int(status[:3]), {name.lower(): value for name, value in fields}, whole)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send JSON to a path below the store; ``if_match`` stands for ``If-Match``."""
        text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.raw(method, f"/v1/stores/{self.store}{path}", text, named)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send JSON, expect success, and return what was answered."""
        reply = self.send(method, path, body, **headers)
        assert reply.status < 300, (method, path, reply.status, reply.body)
        return reply.json if reply.body else None

    def problem(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send JSON, expect a refusal, and return its problem details."""
        reply = self.send(method, path, body, **headers)
        assert reply.status >= 400, (method, path, reply.body)
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json["status"] == reply.status
        assert reply.json["instance"].endswith(reply.headers["x-request-id"])
        return reply.json

    def as_(self, **headers: str) -> Api:
        """Return somebody else who uses it."""
        return replace(self, headers=headers)


def basic(name: str, password: str) -> str:
    """Return what a client sends who knows a password."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def bearer(token: str) -> str:
    """Return what a client sends that has a token."""
    return f"Bearer {token}"


class OpenStores(Stores):
    """The store of a rig, which is open already, under the name ``main``, and whatever else is given."""

    def __init__(self, trail: Trail | None = None, **rigs: StoreRig) -> None:
        super().__init__({}, trail)
        self._rigs = rigs
        self._records: dict[str, Store] = {}

    def _shared(self, name: str, *, records_only: bool) -> Store:
        if not records_only:
            return self._rigs[name].shared
        if name not in self._records:
            self._records[name] = self._rigs[name].open(homes=None)
        return self._records[name]

    def close(self) -> None:
        """Close what was opened here."""
        for store in self._records.values():
            store.close()


def serve(stores: Stores, directory: Path, /, max_body: int = 1 << 20, **given: Any) -> Api:
    """Return the API on stores, as somebody whose token may do everything. What is given overrides the settings."""
    settings = V1Settings(**{
        "prefix": "/v1", "stores": ("main",), "admins": True, "clients": Networks("clients", ()), "cors": (),
        "replay": 3600, "tokens": directory / "tokens.json", "state": directory / "v1", **given,
    })  # fmt: skip
    tokens = TokenFile(settings.tokens)
    told = io.StringIO()
    log, proxies = make_logger("json", "error"), Networks("proxies", ["127.0.0.9"])
    app = Application(
        [V1(settings, stores, FailedLogins(stream=told))], stores, log, proxies, max_body, {"v1": settings.cors}
    )
    _, text = tokens.create("everything", access="write")
    return Api(app, tokens, {"Authorization": bearer(text)}, told=told)
