"""What comes with a call: in the path, the query and the body, with names in any case, and lists of many shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailstore_http.atmail.envelope import Content

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore

__all__ = ["Call", "Done", "FailedError", "Parameters", "Table", "megabytes", "text"]

_INDEX = re.compile(r"\[[^\]]*\]$")
_MOST_DIGITS = 10
_LARGEST = (1 << 31) - 1
_SYNONYMS = {"passowrd": "password"}
"""Sic: so the list at the end of the document spells it once."""

Table = Mapping[str, tuple[str, Callable[[str, str], Any]]]
"""The parameter of the library for each one of the API, and how it is read from its name and value."""


class FailedError(Exception):
    """The call cannot be made; the text is the message of the answer."""


@dataclass(frozen=True)
class Done:
    """What a call answers beside its success."""

    message: str = ""
    results: Content = ""


class Parameters:
    """Of a repeated name the last value counts, but all of them for a list. A blank one is a value."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._given: dict[str, list[str]] = {}
        for name, value in pairs:
            plain = _INDEX.sub("", name.strip()).lower()
            self._given.setdefault(_SYNONYMS.get(plain, plain), []).append(value)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._given

    def get(self, name: str) -> str | None:
        """Return a value as it came; None if it is absent."""
        values = self._given.get(name.lower())
        return values[-1] if values else None

    def required(self, name: str) -> str:
        """Return a value that has to be there and not blank. Raises FailedError."""
        value = self.get(name)
        if value is None or not value.strip():
            raise FailedError(f"{name} is required")
        return value

    def number(self, name: str) -> int | None:
        """Return a number; None if it is absent. Raises FailedError."""
        value = self.get(name)
        return None if value is None else _number(name, value)

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """Return the numbers of a list, as ``x=1``, ``x=1,2``, ``x[]=1&x[]=2`` or ``x[0]=1``; None if it is absent."""
        values = self._given.get(name.lower())
        if values is None:
            return None
        items = [item for value in values for item in value.split(",") if item.strip()]
        return tuple(dict.fromkeys(_number(name, item) for item in items))

    def fields(self, table: Table) -> dict[str, Any]:
        """Return the parameters of the library that a table has for what is given. Raises FailedError."""
        given = ((name, field, read, self.get(name)) for name, (field, read) in table.items())
        return {field: read(name, value) for name, field, read, value in given if value is not None}


@dataclass(frozen=True)
class Call:
    """One call: the store as its admin may use it, who that is, and the parameters.

    ``provision`` tells whether new accounts become users of the API server at once.
    """

    store: AtmailStore
    admin: str
    parameters: Parameters
    provision: bool


def _number(name: str, value: str) -> int:
    word = value.strip()
    if not (word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS and int(word) <= _LARGEST):
        raise FailedError(f"{name} must be a number")
    return int(word)


def text(name: str, value: str) -> str:  # noqa: ARG001 as others read
    """Return text as it is."""
    return value


def megabytes(name: str, value: str) -> str:
    """Read a number of megabytes; 0 is unlimited. Raises FailedError."""
    number = _number(name, value)
    return f"{number}M" if number else "unlimited"
