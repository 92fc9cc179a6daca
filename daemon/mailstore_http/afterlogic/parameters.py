"""What comes with a call, as PHP reads it: a body that is there hides the query, and names and values lose their blanks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mailstore.sql.afterlogic.rest_errors import InvalidParameters

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore

__all__ = ["Call", "Parameters", "Table", "flag", "number", "text"]

_CHANGED_IN_NAMES = re.compile(r"[. ]")
_BLANKS = re.compile(r"\s+")
_NO = frozenset({"", "0", "false", "off", "no"})
"""PHP takes only the first two for false; the others are what their writers mean."""
_LARGEST = (1 << 31) - 1

Table: TypeAlias = Mapping[str, tuple[str, Callable[[str], Any]]]
"""The setting of the library for each parameter of the API, and how its value is read."""


class Parameters:
    """Of a repeated name the last value counts."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._given = {_CHANGED_IN_NAMES.sub("_", name.strip()): value.strip() for name, value in pairs}

    def get(self, name: str) -> str | None:
        """Return a value; None if it is absent."""
        return self._given.get(name)

    def required(self, name: str) -> str:
        """Return a value that has to be there and not empty. Raises InvalidParameters."""
        value = self._given.get(name)
        if not value:
            raise InvalidParameters(f"{name} is needed")
        return value

    def token(self) -> str:
        """Return the token, which has no blanks: long ones are broken into lines."""
        return _BLANKS.sub("", self._given.get("token", ""))

    def settings(self, table: Table) -> dict[str, Any]:
        """Return the settings of the library that a table has for what is given. Raises InvalidParameters."""
        return {field: read(self._given[name]) for name, (field, read) in table.items() if name in self._given}

    def page(self, size: str) -> tuple[int, int]:
        """Return number and size of a page; `size` is what that parameter is called. Raises InvalidParameters."""
        return number(self._given.get("page") or "1"), number(self._given.get(size) or "100")

    @property
    def descending(self) -> bool:
        """Whether a list is to come in reverse order, which is not in the document."""
        return self._given.get("orderType", "").lower() == "false"


@dataclass(frozen=True)
class Call:
    """One call: the store as the token's owner may use it, and the parameters."""

    store: AfterLogicStore
    parameters: Parameters


def text(value: str) -> str:
    """Return text as it is."""
    return value


def number(value: str) -> int:
    """Read a number. Raises InvalidParameters."""
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_LARGEST)) and int(digits) <= _LARGEST):
        raise InvalidParameters("a number is needed")
    return int(value)


def flag(value: str) -> bool:
    """Read a switch."""
    return value.lower() not in _NO
