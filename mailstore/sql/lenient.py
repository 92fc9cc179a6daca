"""Reading what an engine lets stand in a column though its type forbids it: one odd value must not end a whole result.

SQLite keeps any kind of value in any column, and text that is none. PostgreSQL has times without end, for which Python has
no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Integer,
    String,
    Table,
    and_,
    event,
    exc,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.types import TypeEngine

from mailstore.driver.readings import Readings, unreadable
from mailstore.model import Finding

__all__ = [
    "REPLACED",
    "is_text",
    "misplaced_values",
    "note_replaced",
    "plain_number",
    "plain_text",
    "read_leniently",
    "strictly",
]

REPLACED = "\ufffd"
"""Stands in the place of octets that were no text."""
_FOREIGN = {String: ("blob",), Integer: ("blob", "text", "real")}
"""What SQLite may have in a column of these types, and a reader would not expect."""


def read_leniently(engine: Engine, kind: str) -> None:
    """Let an engine give a neutral value, or text with marks of replacement, for what cannot be read."""
    if kind == "sqlite":
        event.listen(engine, "connect", _replace_octets)
        engine.dialect.colspecs = {**engine.dialect.colspecs, String: _Text, Integer: _Number}
    elif kind == "postgresql":
        event.listen(engine, "connect", _read_endless_times)


def _replace_octets(connection: Any, _record: Any) -> None:
    connection.text_factory = _decoded


_decoded: Callable[[bytes], str] = partial(str, encoding="utf-8", errors="replace")
"""Called for every text that is read, and therefore no function of Python's."""


@contextmanager
def strictly(connection: Connection, kind: str) -> Iterator[None]:
    """Let a driver raise for what cannot be read, which costs less than a call for every value: see `is_unreadable`."""
    driver: Any = connection.connection.driver_connection
    if kind == "sqlite":
        driver.text_factory = str
    elif kind == "postgresql":
        _load_times(driver, lenient=False)
    try:
        yield
    finally:
        if kind == "sqlite":
            driver.text_factory = _decoded
        elif kind == "postgresql":
            _load_times(driver, lenient=True)


def is_unreadable(error: exc.DBAPIError) -> bool:
    """Tell whether a driver could not make a value of Python of what it read."""
    # SQLite's: Could not decode to UTF-8 column. Psycopg's: timestamp too large, date too small.
    return isinstance(error, exc.DataError) or "decode" in str(error.orig)


def plain_text(value: Any) -> Any:
    """Return what SQLite has in a column of text as text."""
    return _decoded(value) if isinstance(value, bytes) else value


def plain_number(value: Any) -> Any:
    """Return what SQLite has in a column of numbers as a number, 0 for what is none."""
    return value if value is None or isinstance(value, int) else 0


class _Text(String):
    """Text of SQLite."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return plain_text


class _Number(Integer):
    """A whole number of SQLite."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return plain_number


def _read_endless_times(connection: Any, _record: Any) -> None:
    _load_times(connection, lenient=True)


def _load_times(connection: Any, *, lenient: bool) -> None:
    for name, loaders in _time_loaders().items():
        for usual, forgiving in loaders:
            connection.adapters.register_loader(name, forgiving if lenient else usual)


@cache
def _time_loaders() -> Mapping[str, Sequence[tuple[type, type]]]:
    """Return psycopg's loaders of days and times, text and binary, as it has them (in C if it can) and lenient ones."""
    from psycopg import DataError, adapters, pq
    from psycopg.types import datetime as known

    def forgiving(loader: Any) -> Any:
        class Lenient(loader):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return None

        return Lenient

    def usual(name: str, form: pq.Format) -> Any:
        return adapters.get_loader(adapters.types[name].oid, form)

    text, binary = pq.Format.TEXT, pq.Format.BINARY
    return {
        "date": [
            (usual("date", text), forgiving(known.DateLoader)),
            (usual("date", binary), forgiving(known.DateBinaryLoader)),
        ],
        "timestamp": [
            (usual("timestamp", text), forgiving(known.TimestampLoader)),
            (usual("timestamp", binary), forgiving(known.TimestampBinaryLoader)),
        ],
    }


def note_replaced(readings: Readings, row: Mapping[Any, Any]) -> None:
    """Note the values of a row in which octets were no text."""
    for name, value in row.items():
        if isinstance(value, str) and REPLACED in value:
            readings.note(str(name), value)


def is_text(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that SQLite has some text in a column; octets come after all texts, so that an index helps."""
    return and_(column > "", column < literal_column("x''"))


def misplaced_values(connection: Connection, tables: Mapping[str, Table]) -> Iterator[Finding]:
    """Iterate over what SQLite has in columns of another type, in tables by the column that their rows are called by."""
    for key, table in tables.items():
        kinds = {column: _kinds(column.type) for column in table.c}
        tests = {column.name: func.typeof(column).in_(kinds[column]) for column in table.c if kinds[column]}
        query = select(table.c[key], *(test.label(name) for name, test in tests.items())).where(or_(*tests.values()))
        for row in connection.execute(query):
            odd = [name for name, is_odd in zip(tests, row[1:], strict=True) if is_odd]
            yield from (
                unreadable(plain_text(row[0]), f"{table.name}.{name} is of another type than the column")
                for name in odd
            )


def _kinds(type_: TypeEngine[Any]) -> tuple[str, ...]:
    return next((kinds for known, kinds in _FOREIGN.items() if isinstance(type_, known)), ())
