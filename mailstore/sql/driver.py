"""What the stores of all drivers for SQL databases have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, select

from mailstore.address import spellings
from mailstore.driver.base import Driver, Shared
from mailstore.errors import InvalidAddress
from mailstore.model import Finding
from mailstore.sql.engine import Database

__all__ = ["SQLDriver", "as_stored", "refuse_twin"]


class _Shared(Shared, Protocol):
    @property
    def db(self) -> Database:
        """The accounts' database."""


_Context = TypeVar("_Context", bound=_Shared)


class SQLDriver(Driver[_Context]):
    """A store with its accounts in one database."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._context.db.writing():
            yield

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        with self._context.db.at_one_moment():
            yield

    def check(self) -> Iterator[Finding]:
        if not self._is_restricted():
            yield from self._context.db.findings()
        yield from super().check()

    def close(self) -> None:
        self._context.db.close()


def as_stored(db: Database, text: str, name: str, *columns: ColumnElement[str]) -> str:
    """Return how columns hold an address or a domain: as it was asked for, if that is there, else its usual name.

    Other tools may have written capitals, or letters beyond ASCII, into columns that tell them apart. Whoever asks in the
    usual form, as nearly everybody does, costs no statement.
    """
    given = spellings(text, name)
    if len(given) == 1:
        return name
    with db.reading() as connection:
        found = {
            value
            for column in columns
            for value in connection.execute(select(column).where(column.in_(given))).scalars()
        }
    return next((spelling for spelling in given if spelling in found), name)


def refuse_twin(connection: Connection, address: str, column: ColumnElement[str]) -> None:
    """Raise InvalidAddress for an address with capitals beside which the same stands in lower case, in a column of holders.

    Readers fold what they ask for: all that names either of them is the other one's, and would go, or move, with this one.
    """
    folded = address.lower()
    if address == folded:
        return
    if connection.execute(select(column).where(column == folded)).scalar() == folded:
        raise InvalidAddress(
            f"{address}: {folded} is there too, and mail servers take both for that one, to which belongs what names them:"
            " nothing was changed; rename this one in the database itself, and then go on with it",
            subject=address,
        )
