"""Long lists as the driver gives them: rows without a call for each of their values.

SQLAlchemy calls a function for every value of a type that has a processor, which lenient reading gives to all of SQLite's.
Nearly all rows are plain, which the types of their values tell; those of an odd row alone are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Integer, Select, String, exc, select, type_coerce
from sqlalchemy.types import NullType

from mailstore.sql.lenient import is_unreadable, plain_number, plain_text, strictly

__all__ = ["RawQuery", "RawRows"]


class RawQuery:
    """The columns and tables of a list, for which conditions come later."""

    def __init__(self, columns: Sequence[ColumnElement[Any]], source: FromClause) -> None:
        """Prepare; the names of `columns` are those of the values."""
        self._checks = [_check(column) for column in columns]
        self._query = select(*map(_unprocessed, columns)).select_from(source)

    def where(
        self, condition: ColumnElement[bool], *, order: ColumnElement[Any] | None = None, limit: int | None = None
    ) -> RawRows:
        """Return the rows that meet a condition, sorted if there is an `order`."""
        query = self._query.where(condition)
        return RawRows(query if order is None else query.order_by(order).limit(limit), self._checks)


class RawRows:
    """The rows of one query."""

    def __init__(self, query: Select[Any], checks: Sequence[Callable[[Any], Any] | None]) -> None:
        self._query = query
        self._checks = checks
        self._is_plain = lru_cache(maxsize=256)(self._fits)

    def fetch(self, connection: Connection, parameters: Mapping[str, Any]) -> Iterable[Sequence[Any]]:
        """Return all rows."""
        kind = connection.dialect.name
        rows = self._all(connection, kind, parameters)
        if kind != "sqlite":
            return rows
        is_plain = self._is_plain
        return [row if is_plain(*map(type, row)) else self._read(row) for row in rows]

    def _all(self, connection: Connection, kind: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        try:
            with strictly(connection, kind):
                return connection.execute(self._query, parameters).all()
        except exc.DBAPIError as error:
            if not is_unreadable(error):
                raise
            return connection.execute(self._query, parameters).all()

    def _fits(self, *kinds: type) -> bool:
        return all(
            check is None or kind is type(None) or kind is (str if check is plain_text else int)
            for check, kind in zip(self._checks, kinds, strict=True)
        )

    def _read(self, row: Sequence[Any]) -> Sequence[Any]:
        return [value if check is None else check(value) for check, value in zip(self._checks, row, strict=True)]


def _check(column: ColumnElement[Any]) -> Callable[[Any], Any] | None:
    """Return how lenient reading treats the values of a column."""
    if isinstance(column.type, String):
        return plain_text
    return plain_number if isinstance(column.type, Integer) else None


def _unprocessed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column whose values are left as they are, if lenient reading would only look at them."""
    return type_coerce(column, NullType()).label(column.name) if _check(column) is not None else column
