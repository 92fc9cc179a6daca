"""Parameters as this API writes them, in the terms of the library.

Its units are traps: megabytes with 0 for "unlimited", limits with 0 for "unlimited" and -1 for "none allowed", and days
with 0 for "for ever".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from mailstore.model import Capability, Edit
from mailstore.store import Store

__all__ = [
    "Call",
    "Parameters",
    "RefusedError",
    "Table",
    "edit_of",
    "keep_days",
    "limit",
    "megabytes",
    "names",
    "status",
    "switch",
    "text",
    "together",
]

_SYNONYMS = {"cn": "name", "mailQuota": "quota", "preferredLanguage": "language", "givenName": "gn"}
"""Names of 2016, which the vendor's own samples still have, and one that a client sends; the new name comes first."""
_YES = frozenset({"active", "enable", "enabled", "yes", "on", "1"})
_NO = frozenset({"disabled", "disable", "no", "off", "0"})
_LARGEST = 1 << 43


class RefusedError(Exception):
    """The call cannot be made; the text is the answer's ``_msg``."""


Table: TypeAlias = Mapping[str, tuple[str, Callable[[str], Any]]]
"""The parameter of the library for each one of the API, and how its value is read."""


class Parameters:
    """What came with a call. Of a repeated name the last value counts, and a blank one is a value."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        given = dict(pairs)
        renamed = {new: given[old] for old, new in _SYNONYMS.items() if old in given}
        self._given = renamed | given

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> str | None:
        """Return a value as it came; None if it is absent."""
        return self._given.get(name)

    def names(self, name: str) -> tuple[str, ...] | None:
        """Return the items of a list with commas; None if it is absent."""
        value = self.get(name)
        return None if value is None else names(value)

    def fields(self, table: Table) -> dict[str, Any]:
        """Return the parameters of the library that a table has for what is given. Raises RefusedError."""
        return {field: read(self._given[name]) for name, (field, read) in table.items() if name in self._given}

    def exclude(self, one: str, *others: str) -> None:
        """Raise RefusedError if a parameter is given together with one of those that it conflicts with."""
        for other in others:
            if one in self and other in self:
                raise RefusedError(f"the parameters {one} and {other} conflict with each other")

    def password(self, *, needed: bool) -> dict[str, Any]:
        """Return the password, or the ready hash, as a parameter. Raises RefusedError if it is needed and absent."""
        self.exclude("password", "password_hash")
        found: dict[str, Any] = {
            name: self._given[name] for name in ("password", "password_hash") if name in self._given
        }
        if (needed and not found) or "" in found.values():
            raise RefusedError("EMPTY_PASSWORD")
        return found


@dataclass(frozen=True)
class Call:
    """One call: the store as its admin may use it, what stands in the path, and the parameters.

    ``verify`` tells whether a password is right, as its argument finds out, and counts wrong ones.
    """

    store: Store
    admin: str
    path: Mapping[str, str]
    parameters: Parameters
    in_directory: bool
    verify: Callable[[str, Callable[[], bool]], bool]


def text(value: str) -> str:
    """Return text as it is."""
    return value


def names(value: str) -> tuple[str, ...]:
    """Return the items of a list with commas, without blanks and repetitions, in lower case."""
    return tuple(dict.fromkeys(item.strip().lower() for item in value.split(",") if item.strip()))


def status(value: str) -> bool:
    """Read ``active`` and ``disabled``. Raises RefusedError."""
    word = value.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise RefusedError("INVALID_ACCOUNT_STATUS")


def switch(value: str) -> bool:
    """Read ``yes`` and ``no``. Raises RefusedError."""
    word = value.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise RefusedError("a switch must be yes or no")


def _number(value: str, least: int) -> int:
    word = value.strip()
    if not (word.removeprefix("-").isascii() and word.removeprefix("-").isdecimal() and len(word) < 20):
        raise RefusedError("INVALID_NUMBER")
    if not least <= int(word) <= _LARGEST:
        raise RefusedError("INVALID_NUMBER")
    return int(word)


def megabytes(value: str) -> str:
    """Read a quota in megabytes; 0 is unlimited. Raises RefusedError."""
    number = _number(value, 0)
    return f"{number}M" if number else "unlimited"


def limit(value: str) -> int | None:
    """Read how many there may be: 0 is unlimited, -1 none at all. Raises RefusedError."""
    number = _number(value, -1)
    return max(number, 0) if number else None


def keep_days(value: str) -> int | None:
    """Read for how many days a mailbox is kept; 0 is for ever."""
    return int(value) or None


def edit_of(call: Call, whole: str, add: str, remove: str) -> tuple[str, ...] | Edit | None:
    """Return a set that is given as a whole, or what is added to and removed from it; None if nothing is given.

    Raises RefusedError if both are given.
    """
    given = call.parameters
    given.exclude(whole, add, remove)
    if whole in given:
        return given.names(whole)
    if add in given or remove in given:
        return Edit(add=given.names(add) or (), remove=given.names(remove) or ())
    return None


def together(store: Store) -> AbstractContextManager[None]:
    """Make several changes one, in a store that can; a directory makes one after the other."""
    return store.transaction() if Capability.TRANSACTIONS in store.capabilities else nullcontext()
