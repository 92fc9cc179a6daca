"""What an operation of the API is: where it is found, what it takes, what it does with a store, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mailstore.purge import Outcome
from mailstore.store import Store
from mailstore_http.v1.values import Parameters

__all__ = ["Call", "Operation", "Query", "Shape", "by_place", "find"]

Shape: TypeAlias = Literal["record", "page", "object", "nothing"]
"""What is answered: one record; a page of many; an object of the operation's own; nothing (204)."""


@dataclass(frozen=True)
class Call:
    """One call: the store as whoever asks may use it, and what was given."""

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    rows: Iterable[Mapping[str, Any]] = ()
    note: Callable[[Outcome], None] = lambda _outcome: None
    """Writes what the purge did to the audit log."""

    def rest(self, *names: str) -> dict[str, Any]:
        """Return the parameters of the body without some."""
        return {name: value for name, value in self.body.items() if name not in names}


@dataclass(frozen=True)
class Query:
    """A parameter of the query: the type that it is read as (see `values.FORMS`), and what it means."""

    type: Literal["str", "bool", "int"]
    meaning: str


@dataclass(frozen=True)
class Operation:
    """One operation.

    Parameters
    ----------
    noun: what it belongs to, for the reference.
    explained: the method of the contract whose docstring says what it does, or a text.
    run: does it; for a page it returns an iterator over what comes behind ``call.query["after"]``.
    answer: the type of the record or of the items, or the JSON Schema of an object of its own.
    key: the field by which a list goes on; None where a list is read from its start each time.
    parameters: what the body holds; None if there is no body.
    rows: what each item of the body holds, if that is an array.
    record: for an operation on one record, how that is read: for ETag and If-Match.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    noun: str
    explained: Callable[..., Any] | str
    run: Callable[[Call], Any]
    shape: Shape = "record"
    answer: Any = None
    status: int = 200
    query: Mapping[str, Query] = field(default_factory=dict)
    parameters: Parameters | None = None
    rows: Parameters | None = None
    key: str | None = None
    record: Callable[[Call], Any] | None = None
    count: Callable[[Call], int] | None = None
    """How many items a list has in all."""
    on_disk: bool = False
    """Whether it removes files, or runs for long: it takes no dry run of the usual kind, and goes into no batch."""

    @property
    def changes(self) -> bool:
        """Whether it takes the right to write."""
        return self.method != "GET"


_FORMS = {
    "address": r".+?@[^/]+",
    "alias": r"[^/]+",
    "domain": r"[^/@]+",
    "level": r".+?@[^/]+|[^/@]+",
    "direction": "[^/]+",
    "id": "[0-9]{1,18}",
    "store": "[^/]+",
    "admin": r".+?@[^/]+|[^/@]+",
    "kind": "[a-z-]+",
    "name": "[^/]+",
}
"""What may stand in the place of a name in a path. A slash is allowed in local parts."""

_Place: TypeAlias = "tuple[re.Pattern[str], Mapping[str, Operation]]"


def by_place(operations: Iterable[Operation]) -> list[_Place]:
    """Return the places of operations, as patterns of paths, with those of each place by method."""
    places: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        places.setdefault(operation.path, {})[operation.method] = operation
    return [(_pattern(path), methods) for path, methods in places.items()]


def find(places: Iterable[_Place], path: str) -> Iterator[tuple[Mapping[str, Operation], Mapping[str, str]]]:
    """Iterate over the places that a path may be, with the names that stand in it."""
    for pattern, methods in places:
        if match := pattern.fullmatch(path):
            yield methods, match.groupdict()


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", lambda match: f"(?P<{match[1]}>{_FORMS[match[1]]})", path), re.DOTALL)
