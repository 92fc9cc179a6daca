"""Values that another tool, a user or an accident has left in a store: one that makes no sense stops nobody.

Whoever turns a row or entry into a record reads with `Readings` what could be malformed. A value that cannot be read has
a neutral one in its place, and the record says so in ``problems``, which `Store.check` makes findings of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from mailstore.errors import InvalidValue
from mailstore.model import Finding

__all__ = ["UNREADABLE", "Readings", "unreadable", "unreadable_values"]

UNREADABLE = "unreadable-value"
"""The code of the findings."""
_SHOWN = 60
_T = TypeVar("_T")


class Readings:
    """Reads the values of one record, and notes what could not be read."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read so far, each by name and value."""
        return tuple(self._problems)

    def read(self, name: str, value: Any, convert: Callable[[Any], _T], neutral: _T) -> _T:
        """Return `value` converted, or `neutral` if that is impossible. Not for secrets: the value is shown."""
        try:
            return convert(value)
        except (InvalidValue, ValueError, TypeError, ArithmeticError, AttributeError):
            self.note(name, value)
            return neutral

    def note(self, name: str, value: Any) -> None:
        """Note that a value could not be read."""
        shown = ascii(value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}..."
        self._problems.append(f"{name} is {shown}")


class _Record(Protocol):
    @property
    def problems(self) -> tuple[str, ...]: ...


def unreadable_values(records: Iterable[_Record], name: Callable[[Any], str]) -> Iterator[Finding]:
    """Iterate over what could not be read of some records; `name` returns how to call one."""
    for record in records:
        for problem in record.problems:
            yield unreadable(name(record), problem)


def unreadable(subject: str, problem: str) -> Finding:
    """Return the finding for one of the problems of a record."""
    return Finding(UNREADABLE, subject, f"{problem}, which means nothing; set or remove it")
