"""Reading what an engine lets stand in a column though its type forbids it: one odd value must not end a whole result.

SQLite keeps any kind of value in any column, and text that is none. PostgreSQL has times without end, for which Python has
no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
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
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.types import TypeEngine

from mailstore.driver.readings import Readings, unreadable
from mailstore.model import Finding

__all__ = ["REPLACED", "is_text", "misplaced_values", "note_replaced", "read_leniently"]

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


def _text(value: Any) -> Any:
    return _decoded(value) if isinstance(value, bytes) else value


def _number(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else 0


class _Text(String):
    """Text of SQLite."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return _text


class _Number(Integer):
    """A whole number of SQLite."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return _number


def _read_endless_times(connection: Any, _record: Any) -> None:
    from psycopg import DataError
    from psycopg.types import datetime as known

    def lenient(loader: Any) -> Any:
        class Lenient(loader):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return None

        return Lenient

    loaders: dict[str, tuple[Any, Any]] = {
        "date": (known.DateLoader, known.DateBinaryLoader),
        "timestamp": (known.TimestampLoader, known.TimestampBinaryLoader),
    }
    for name, both in loaders.items():
        for loader in both:
            connection.adapters.register_loader(name, lenient(loader))


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
                unreadable(_text(row[0]), f"{table.name}.{name} is of another type than the column") for name in odd
            )


def _kinds(type_: TypeEngine[Any]) -> tuple[str, ...]:
    return next((kinds for known, kinds in _FOREIGN.items() if isinstance(type_, known)), ())
