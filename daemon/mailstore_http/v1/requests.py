"""What a request asks of an operation: its query and its body, read and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from mailstore.errors import InvalidValue
from mailstore_http.messages import Request
from mailstore_http.v1.operations import Operation, Query
from mailstore_http.v1.problems import ProblemError
from mailstore_http.v1.values import FieldError, Parameters, text_of

__all__ = ["COMMON", "LIMIT", "LINES", "MOST", "PAGING", "Asked", "decoded", "read_query", "rows_of"]

LIMIT, MOST = 100, 1000
PAGING: Mapping[str, Query] = {
    "limit": Query("int", f"how many items a page has at most: {LIMIT} if not given, up to {MOST}"),
    "cursor": Query("str", "where to go on: `next` of an earlier page"),
    "total": Query("bool", "count all items, too; not every list can"),
}
COMMON: Mapping[str, Query] = {
    "dry_run": Query("bool", "check everything as usual and answer the same; leave nothing of it")
}
_JSON = ("application/json", "application/merge-patch+json")
LINES = "application/x-ndjson"
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Asked:
    """The query of a request: what the operation takes, and how its answer is wanted."""

    query: dict[str, Any]
    limit: int | None
    cursor: str
    total: bool
    dry_run: bool


def read_query(pairs: Mapping[str, str], operation: Operation) -> Asked:
    """Return what a query says to an operation. Raises FieldError."""
    known = {
        **(PAGING if operation.shape == "page" else {}),
        **(COMMON if operation.changes else {}),
        **operation.query,
    }
    unknown = sorted(pairs.keys() - known.keys())
    if unknown:
        raise FieldError(unknown[0], f"there is no such parameter of the query; there are {', '.join(known) or 'none'}")
    values = {name: _value(name, text, known[name]) for name, text in pairs.items()}
    limit = values.get("limit")
    if limit is not None and not 1 <= limit <= MOST:
        raise FieldError("limit", f"a number from 1 to {MOST} is wanted")
    own = {name: value for name, value in values.items() if name in operation.query}
    return Asked(own, limit, values.get("cursor", ""), values.get("total", False), values.get("dry_run", False))


def _value(name: str, text: str, query: Query) -> Any:
    try:
        if query.type == "str":
            return text_of(text)
        if query.type == "bool":
            return _SWITCHES[text.lower()]
        return int(text[:19])
    except InvalidValue as error:
        raise FieldError(name, str(error)) from error
    except (KeyError, ValueError):
        wanted = "true or false" if query.type == "bool" else "a whole number"
        raise FieldError(name, f"{wanted} is wanted") from None


def decoded(request: Request) -> Any:
    """Return the JSON of a body, an empty object if there is none. Raises ProblemError."""
    if not request.body:
        return {}
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind and kind not in _JSON:
        raise ProblemError(415, "UnsupportedMediaType", "The body must be JSON: Content-Type: application/json.")
    return _parsed(request.body)


def rows_of(request: Request, parameters: Parameters) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a body, an array or a line for each. Raises ProblemError, FieldError naming the row."""
    if request.header("content-type").partition(";")[0].strip().lower() == LINES:
        rows: Any = (_parsed(line) for line in request.body.splitlines() if line.strip())
    else:
        rows = decoded(request)
        if not isinstance(rows, list):
            raise FieldError("", "the body must be an array of objects")
    for number, row in enumerate(rows):
        try:
            yield parameters.read(row)
        except FieldError as error:
            raise FieldError(
                f"{number}.{error.field}".rstrip("."), error.message.removeprefix(f"{error.field}: ")
            ) from error


def _parsed(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProblemError(400, "UnreadableBody", f"The body is no JSON: {error}") from None
