"""What the stores of all drivers for SQL databases have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from mailstore.driver import Driver, Shared
from mailstore.sql.engine import Database

__all__ = ["SQLDriver"]


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

    def close(self) -> None:
        self._context.db.close()
