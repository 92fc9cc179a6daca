"""The WSGI application: finds the dialect, lets it answer, and writes the access log.

Any WSGI server can run it; stores are opened by the first call that needs them, so a worker may fork before.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from mailstore_http.dialect import Dialect
from mailstore_http.messages import Answer, Request, UnreadableError, request_of
from mailstore_http.networks import Networks, client_of, peer_of
from mailstore_http.stores import Stores, asking
from mailstored.logs import FilteringBoundLogger, explained

__all__ = ["Application"]

_StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], Any]

_REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 412: "Precondition Failed",
    413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip
_ALWAYS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"))
_PIECE = 1 << 16
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_WITHOUT_BODY = frozenset({204, 304})


class BrokenOffError(Exception):
    """An answer cannot be sent to its end."""


class Application:
    """What a WSGI server calls."""

    def __init__(
        self,
        dialects: Sequence[Dialect],
        stores: Stores,
        log: FilteringBoundLogger,
        proxies: Networks,
        max_body: int,
        origins: Mapping[str, Collection[str]] = {},
        answered: Callable[[str, str, int, float], object] = lambda *_: None,
    ) -> None:
        """`origins` are, by the name of a dialect, those of other web pages that may use it.

        `answered` is told of each request: dialect, method, status and seconds.
        """
        places = [(prefix, dialect) for dialect in dialects for prefix in dialect.prefixes]
        self._places = sorted(places, key=lambda place: -len(place[0]))
        self._stores = stores
        self._log = log
        self._proxies = proxies
        self._max_body = max_body
        self._origins = origins
        self._answered = answered

    def __call__(self, environ: Mapping[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        client, secure = client_of(environ, self._proxies)
        request_id = self._named(environ) or secrets.token_hex(8)
        asking(client, request_id)
        body, too_large = self._body(environ)
        request = request_of(environ, request_id, client, secure, body)
        dialect, path = self._dialect(request.path)
        answer = self._refused_early(request, dialect, too_large) or self._answer(request, dialect, path)
        headers = [("X-Request-Id", request_id), *_ALWAYS, *answer.headers]
        if answer.status not in _WITHOUT_BODY:
            headers.append(("Content-Type", answer.content_type))
            if answer.stream is None:
                headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} {_REASONS[answer.status]}", headers)
        if answer.stream is not None and request.method != "HEAD":
            return self._streamed(request, dialect, answer, answer.stream, began)
        self._tell(request, dialect, answer, time.perf_counter() - began)
        return [] if request.method == "HEAD" or answer.status in _WITHOUT_BODY else [answer.body]

    def _streamed(
        self, request: Request, dialect: Dialect | None, answer: Answer, stream: Iterable[bytes], began: float
    ) -> Iterator[bytes]:
        """Send an answer piece by piece; its line in the log is written when it has been sent, or was broken off."""
        outcome = "broken off"
        try:
            yield from stream
            outcome = answer.outcome
        except Exception as error:  # noqa: BLE001 told in the log; the client sees that the end is missing
            self._log.error("internal error", id=request.id, api=dialect.name if dialect else "", **explained(error))
            raise BrokenOffError from None
        finally:
            self._tell(request, dialect, replace(answer, outcome=outcome), time.perf_counter() - began)

    def _named(self, environ: Mapping[str, Any]) -> str:
        """Return the name that a trusted proxy has given the request already; empty if there is none."""
        name = str(environ.get("HTTP_X_REQUEST_ID", ""))
        return name if _REQUEST_ID.fullmatch(name) and peer_of(environ) in self._proxies else ""

    def _body(self, environ: Mapping[str, Any]) -> tuple[bytes, bool]:
        """Return the body, and whether it is larger than allowed."""
        length = str(environ.get("CONTENT_LENGTH") or "")
        if length.isdecimal() and int(length) > self._max_body:
            return b"", True
        if not length and not environ.get("wsgi.input_terminated"):
            return b"", False
        left = int(length) if length.isdecimal() else self._max_body + 1
        pieces = []
        while left and (piece := environ["wsgi.input"].read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        body = b"".join(pieces)
        return body, len(body) > self._max_body

    def _dialect(self, path: str) -> tuple[Dialect | None, str]:
        for prefix, dialect in self._places:
            if path == prefix or path.startswith(f"{prefix}/"):
                return dialect, path[len(prefix) :] or "/"
        return None, path

    def _refused_early(self, request: Request, dialect: Dialect | None, too_large: bool) -> Answer | None:
        if dialect is None:
            return self._own(request)
        if too_large:
            return dialect.refusal(413, "REQUEST_TOO_LARGE")
        origin = request.header("origin")
        # A browser says where a page comes from that sends something with the cookies or credentials it remembers.
        if origin in self._origins.get(dialect.name, ()):
            return None
        if origin and urlsplit(origin).netloc.lower() != request.header("host").lower():
            return dialect.refusal(403, "NOT_AUTHORIZED")
        return None

    def _own(self, request: Request) -> Answer:
        if request.path == "/healthz":
            return Answer(200, b"ok\n")
        if request.path == "/readyz":
            silent = self._stores.silent()
            return Answer(503, f"no answer: {', '.join(silent)}\n".encode()) if silent else Answer(200, b"ok\n")
        return Answer(404, b"not found\n", outcome="not found")

    def _answer(self, request: Request, dialect: Dialect | None, path: str) -> Answer:
        if dialect is None:
            return self._own(request)
        try:
            return dialect.handle(request, path)
        except UnreadableError as error:
            return dialect.refusal(400, str(error))
        except Exception as error:  # noqa: BLE001 told in the log, and to the client without what is in it
            self._log.error("internal error", id=request.id, api=dialect.name, **explained(error))
            return dialect.refusal(500, f"INTERNAL_ERROR {request.id}")

    def _tell(self, request: Request, dialect: Dialect | None, answer: Answer, took: float) -> None:
        self._answered(dialect.name if dialect else "", request.method, answer.status, took)
        if dialect is None and answer.status == 200:  # probes come every few seconds
            return
        facts = {
            "id": request.id,
            "api": dialect.name if dialect else "",
            "client": request.client,
            "caller": answer.caller,
            "method": request.method,
            "path": request.path,  # without the query: APIs take passwords in it
            "status": answer.status,
            "outcome": answer.outcome,
            "ms": round(took * 1000, 1),
        }
        if answer.error is not None:
            self._log.warning("call failed", **facts, **explained(answer.error))
        else:
            self._log.info("call", **facts)
