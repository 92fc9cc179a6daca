"""Many records: in pages with a cursor, or all of them, one a line."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import msgspec

from mailstore.errors import InvalidValue, MailstoreError
from mailstore.records import plain_value
from mailstore_http.messages import Answer, Request
from mailstore_http.v1.answers import json_answer
from mailstore_http.v1.operations import Call, Operation
from mailstore_http.v1.problems import problem_of
from mailstore_http.v1.requests import LIMIT, LINES, Asked
from mailstore_http.v1.values import FieldError, text_of

__all__ = ["many"]

_PIECE = 1 << 16


def many(request: Request, operation: Operation, call: Call, asked: Asked) -> Answer:
    """Answer with what a list gives. Raises FieldError for a cursor that is none, and what the list raises."""
    items = _items(operation, call, asked)
    if LINES in request.header("accept"):
        return _streamed(items if asked.limit is None else islice(items, asked.limit), call.store.name)
    if operation.on_disk:  # what it does is done to its end
        return json_answer({"items": [plain_value(item) for item in items], "next": None})
    limit = asked.limit or LIMIT
    found = list(islice(items, limit + 1))
    page = found[:limit]
    cursor = _cursor(operation, asked, page) if len(found) > limit else None
    answer: dict[str, Any] = {"items": [plain_value(item) for item in page], "next": cursor}
    if asked.total and operation.count is not None:
        answer["total"] = operation.count(call)
    if cursor is None:
        return json_answer(answer)
    again = urlencode({**dict(request.query), "cursor": cursor})
    return json_answer(answer, ("Link", f'<?{again}>; rel="next"'))


def _items(operation: Operation, call: Call, asked: Asked) -> Iterator[Any]:
    if not asked.cursor:
        return iter(operation.run(call))
    after = _read(asked.cursor, number=operation.key in {None, "id"})
    if operation.key is None:  # read from its start, however far it was
        return islice(iter(operation.run(call)), after, None)
    return iter(operation.run(replace(call, query={**call.query, "after": after})))


def _cursor(operation: Operation, asked: Asked, page: Sequence[Any]) -> str:
    if operation.key is None:
        key: Any = (_read(asked.cursor, number=True) if asked.cursor else 0) + len(page)
    else:
        key = getattr(page[-1], operation.key)
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _read(cursor: str, *, number: bool) -> Any:
    """Return the key that a cursor stands for. Raises FieldError."""
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode("ascii")))
        good = (type(key) is int and 0 <= key < 1 << 62) if number else bool(text_of(key))
    except (UnicodeError, binascii.Error, msgspec.DecodeError, InvalidValue):
        good = False
    if not good:
        raise FieldError("cursor", "this is no cursor of this list")
    return key


def _streamed(items: Iterator[Any], hidden: str) -> Answer:
    first = list(islice(items, 1))  # what is refused at once is answered as that

    def lines() -> Iterator[bytes]:
        piece = bytearray()
        try:
            for some in (first, items):
                for item in some:
                    piece += msgspec.json.encode(plain_value(item)) + b"\n"
                    if len(piece) >= _PIECE:
                        yield bytes(piece)
                        piece.clear()
        except MailstoreError as error:
            piece += msgspec.json.encode({"problem": problem_of(error, {}, hidden)}) + b"\n"
        yield bytes(piece)

    return Answer(200, content_type=LINES, stream=lines())
