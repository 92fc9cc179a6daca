"""What the stores of all drivers for SQL databases have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, select

from mailstore.address import spellings
from mailstore.driver.base import Driver, Shared
from mailstore.model import Finding
from mailstore.sql.engine import Database

__all__ = ["SQLDriver", "as_stored"]


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
