"""A request as it came, and an answer. Bodies are parsed here from their bytes, since five APIs have five habits.

Real clients send a form without a Content-Type or with a wrong one, parameters in the query of a POST, bodies with GET, and
text in UTF-8 that is not percent-encoded. No framework's form object reads all of these.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from functools import cached_property
from itertools import chain, islice
from typing import Any, TypeVar
from urllib.parse import parse_qsl

__all__ = ["Answer", "Pairs", "Request", "UnreadableError", "begun", "in_pieces", "request_of"]

Pairs = tuple[tuple[str, str], ...]
"""Names and values in the order in which they came; a name may come again."""

_MOST_PARAMETERS = 10_000
_AT_ONCE = 200
_PIECE = 1 << 16
_T = TypeVar("_T")
_SLASHES = re.compile("/+")


class UnreadableError(Exception):
    """The request cannot be understood; the text says why, without what stands in it."""


@dataclass(frozen=True)
class Request:
    """One request.

    ``path`` is decoded, has single slashes and none at its end. ``client`` is the address of the client, as far as proxies
    are trusted; ``unix`` for an unknown one on the other side of a socket. ``secure`` tells whether the client spoke TLS.
    """

    id: str
    method: str
    path: str
    client: str
    secure: bool
    headers: Mapping[str, str] = field(repr=False)
    raw_query: str = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """Return a header, empty if it is absent."""
        return self.headers.get(name.lower(), "")

    def basic(self, encoding: str) -> tuple[str, str] | None:
        """Return name and secret of Basic authentication; None if there is none, or one that cannot be read."""
        kind, _, value = self.header("authorization").partition(" ")
        try:
            name, colon, secret = base64.b64decode(value.strip(), validate=True).decode(encoding).partition(":")
        except (binascii.Error, ValueError):
            return None
        return (name, secret) if kind.lower() == "basic" and colon and name else None

    @cached_property
    def query(self) -> Pairs:
        """The parameters in the query string. Raises UnreadableError."""
        return _form(self.raw_query)

    @cached_property
    def form(self) -> Pairs:
        """The parameters in the body, whatever its type is said to be. Raises UnreadableError."""
        kind = self.header("content-type")
        if kind.lower().startswith("multipart/form-data"):
            return tuple(_parts(kind, self.body))
        try:
            return _form(self.body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UnreadableError("the body holds bytes that are no text in UTF-8") from error


def _form(text: str) -> Pairs:
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS))
    except UnicodeDecodeError as error:
        raise UnreadableError("a parameter holds bytes that are no text in UTF-8") from error
    except ValueError as error:
        raise UnreadableError(f"there are more than {_MOST_PARAMETERS} parameters") from error


def _parts(kind: str, body: bytes) -> Iterator[tuple[str, str]]:
    if "\r" in kind or "\n" in kind:
        raise UnreadableError("a header is not one line")
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
    parts = message.get_payload() if message.is_multipart() else []
    if not isinstance(parts, list) or len(parts) > _MOST_PARAMETERS:
        raise UnreadableError(f"there are more than {_MOST_PARAMETERS} parts")
    for part in parts:
        name = part.get_param("name", header="content-disposition") if isinstance(part, Message) else None
        payload = part.get_payload(decode=True) if isinstance(part, Message) else None
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise UnreadableError("a part of the body has no name")
        try:
            yield name, payload.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError("a parameter holds bytes that are no text in UTF-8") from error


def request_of(environ: Mapping[str, Any], request_id: str, client: str, secure: bool, body: bytes) -> Request:
    """Return the request that a WSGI server describes, whose body was read already."""
    # PATH_INFO holds one character for each byte; what is no UTF-8 becomes a character that no name may have.
    path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for key, value in environ.items()
        if key.startswith("HTTP_") or key == "CONTENT_TYPE"
    }
    return Request(
        id=request_id,
        method=str(environ["REQUEST_METHOD"]).upper(),
        path=_SLASHES.sub("/", f"/{path}").rstrip("/") or "/",
        client=client,
        secure=secure,
        headers=headers,
        raw_query=str(environ.get("QUERY_STRING", "")).encode("latin-1").decode("utf-8", "replace"),
        body=body,
    )


@dataclass(frozen=True)
class Answer:
    """What is sent back, and for the log what became of the call and who made it."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "text/plain; charset=utf-8"
    headers: Iterable[tuple[str, str]] = field(default=(), repr=False)
    outcome: str = "ok"
    caller: str = ""
    error: BaseException | None = field(default=None, repr=False)
    """A fault of ours, or of a store, to be told in the log."""
    stream: Iterable[bytes] | None = field(default=None, repr=False)
    """What is sent piece by piece instead of a body."""


def begun(items: Iterator[_T]) -> tuple[Sequence[_T], Iterator[_T] | None]:
    """Return the items of a short list; of a long one none, and an iterator over all, which has been begun.

    What is wrong is found out before the status of the answer is sent, as far as it can be; and only what is long is sent
    without its length.
    """
    first = list(islice(items, _AT_ONCE))
    return (first, None) if len(first) < _AT_ONCE else ((), chain(first, items))


def in_pieces(texts: Iterable[str]) -> Iterator[bytes]:
    """Put short texts together, since each piece takes a chunk of its own on the wire."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()
