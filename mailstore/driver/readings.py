"""Values that another tool, a user or an accident has left in a store: one that makes no sense stops nobody.

Whoever turns a row or entry into a record reads with `Readings` what could be malformed. A value that cannot be read has
a neutral one in its place, and the record says so in ``problems``, which `Store.check` makes findings of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from mailstore.errors import InvalidValue
from mailstore.model import Capability, Finding

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = ["UNREADABLE", "UNREADABLE_ERRORS", "Readings", "unreadable", "unreadable_records"]

UNREADABLE = "unreadable-value"
"""The code of the findings."""
UNREADABLE_ERRORS = (InvalidValue, ValueError, TypeError, ArithmeticError, AttributeError)
"""What converting a value raises that makes no sense."""
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
        except UNREADABLE_ERRORS:
            self.note(name, value)
            return neutral

    def note(self, name: str, value: Any) -> None:
        """Note that a value could not be read."""
        shown = ascii(value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}..."
        self._problems.append(f"{name} is {shown}")


def unreadable_records(store: Store) -> Iterator[Finding]:
    """Iterate over what cannot be read of all records of a store, by reading them."""
    has = store.capabilities
    for domain in store.domains.list():
        yield from _problems(domain.domain, domain.problems)
    for account in store.accounts.list():
        yield from _problems(account.address, account.problems)
    if Capability.ALIASES in has:
        for alias in store.aliases.list():
            yield from _problems(alias.address, alias.problems)
    if Capability.ADMINS in has:
        for admin in store.admins.list():
            yield from _problems(admin.address, admin.problems)
    if Capability.RETENTION in has:
        for record in store.deleted.list():
            yield from _problems(record.address, record.problems)


def _problems(subject: str, problems: Iterable[str]) -> Iterator[Finding]:
    return (unreadable(subject, problem) for problem in problems)


def unreadable(subject: str, problem: str) -> Finding:
    """Return the finding for one of the problems of a record."""
    return Finding(UNREADABLE, subject, f"{problem}, which means nothing; set or remove it")
