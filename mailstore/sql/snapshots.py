"""Rows as records of deleted accounts keep them: read with every column, whatever its type, and put back where they fit.

Any column may come from another tool, so that no type is known beforehand. A value is kept as the text in which its own
server writes it and reads it again; only numbers, truth values and NULL are kept as such, and bytes are marked.
"""

from __future__ import annotations

import base64
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    MetaData,
    Table,
    column,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy import table as bare_table
from sqlalchemy.types import NullType

from mailstore.sql.engine import Database, Transaction
from mailstore.sql.live import Live, read_live

__all__ = ["Restored", "Row", "packed", "rows_of", "unpacked"]

Row: TypeAlias = dict[str, Any]

_log = logging.getLogger("mailstore.sql")
_BYTES = "base64"
_NUMBERS = frozenset({20, 21, 23, 26})  # PostgreSQL's int8, int2, int4, oid
_BOOLEAN = 16
_NAMES = "_invisible"
_INVISIBLE = text(f"""
    (SELECT GROUP_CONCAT(column_name SEPARATOR '\n') FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = :table
       AND extra LIKE '%INVISIBLE%' AND extra NOT LIKE '%auto_increment%') AS {_NAMES}""")  # noqa: S608 a constant
"""The columns that ``*`` leaves out on MariaDB and MySQL, asked for in the same statement."""


def packed(kept: Mapping[str, Any]) -> str:
    """Return what is kept of an account as text: names, and the rows of `rows_of` under them."""
    return json.dumps(kept)


def unpacked(text: str | None) -> dict[str, Any]:
    """Return what `packed` was given; nothing for None."""
    kept: dict[str, Any] = json.loads(text) if text else {}
    return kept


def rows_of(
    tx: Transaction, table: Table, *where: ColumnElement[bool], also: Iterable[Any] = (), lock: bool = False
) -> list[Row]:
    """Return rows of a table with all columns that the server has now, by its own names, and what `also` selects.

    With `lock` nobody else changes them until the end of the transaction.
    """
    mysql = tx.connection.dialect.name in {"mysql", "mariadb"}
    invisible = [_INVISIBLE.bindparams(table=table.name)] if mysql else []
    rows = _selected(tx, table, where, [*invisible, *also], lock=lock)
    names = {name for row in rows for name in (row.pop(_NAMES, None) or "").split("\n") if name}
    if not names:
        return rows
    return _selected(tx, table, where, [*(table.c.get(name, column(name)) for name in sorted(names)), *also])


def _selected(
    tx: Transaction, table: Table, where: Iterable[ColumnElement[bool]], also: Iterable[Any], *, lock: bool = False
) -> list[Row]:
    everything: Any = literal_column("*")
    query = select(everything, *also).select_from(table).where(*where)
    result = tx.execute(query.with_for_update() if lock else query)
    return [dict(zip(result.keys(), row, strict=True)) for row in _rows(result)]


class Restored:
    """Puts rows of one restore back, into the tables as they are by now.

    A column that is gone meanwhile, with its table or alone, is left out; so is one whose value the server works out.
    """

    def __init__(self, db: Database, tx: Transaction) -> None:
        self._db = db
        self._tx = tx
        self._gone: set[str] = set()

    def insert(self, table: Table, row: Mapping[str, Any], *, without: Iterable[str] = (), key: str = "") -> int:
        """Insert a row. `without` are columns that get a new value; so does `key`, a number which is returned (else 0)."""
        live = self._live.get(table.name, {})
        self._note_gone(table.name, row)
        omitted = {*without, key}
        values = {
            name: _value(value, live[name].type)
            for name, value in row.items()
            if name in live and name not in omitted and not live[name].generated
        }
        if not live:
            return 0
        if not key:
            columns = (column(name, _type(table, name, value)) for name, value in values.items())
            self._tx.execute(insert(bare_table(table.name, *columns)).values(values))
            return 0
        whole = Table(
            table.name, MetaData(), Column(key, table.c[key].type, primary_key=True),
            *(Column(name, _type(table, name, value)) for name, value in values.items()),
        )  # fmt: skip
        made: Any = self._tx.execute(insert(whole).values(values))
        return int(made.inserted_primary_key[0])

    def insert_many(self, table: Table, rows: Iterable[Mapping[str, Any]], *, without: Iterable[str] = ()) -> None:
        """Insert rows, with one statement for all that have the same columns."""
        live, omitted = self._live.get(table.name, {}), set(without)
        alike: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            self._note_gone(table.name, row)
            values = {
                name: _value(value, live[name].type)
                for name, value in row.items()
                if name in live and name not in omitted and not live[name].generated
            }
            if values:
                alike[tuple(values)].append(values)
        for names, some in alike.items():
            self._tx.execute(insert(bare_table(table.name, *(column(name) for name in names))), some)

    def tell(self, subject: str) -> None:
        """Say in the log what was left out for the account `subject`."""
        if self._gone:
            _log.warning(
                "restoring %s: left out what the database has no more: %s", subject, ", ".join(sorted(self._gone))
            )

    @cached_property
    def _live(self) -> Live:
        return read_live(self._tx.connection, self._db.kind)

    def _note_gone(self, table: str, row: Mapping[str, Any]) -> None:
        live = self._live.get(table)
        self._gone.update([table] if live is None else (f"{table}.{name}" for name in row if name not in live))


def _rows(result: CursorResult[Any]) -> Iterator[list[Any]]:
    found = getattr(result.cursor, "pgresult", None)
    if found is None:
        for row in result:
            yield [_kept(value) for value in row]
        return
    # As PostgreSQL itself writes the values. psycopg has no form for some (a moment that is infinite), would change
    # others (months in an interval), and does not tell an array from JSON.
    cursor: Any = result.cursor
    types = [each.type_code for each in cursor.description]
    encoding = cursor.connection.info.encoding
    for number in range(found.ntuples):
        values = (found.get_value(number, place) for place in range(found.nfields))
        yield [_of_text(type_, value, encoding) for type_, value in zip(types, values, strict=True)]
    result.close()


def _of_text(type_: int, value: bytes | None, encoding: str) -> Any:
    if value is None:
        return None
    if type_ in _NUMBERS:
        return int(value)
    return value == b"t" if type_ == _BOOLEAN else value.decode(encoding)


def _kept(value: Any) -> Any:
    """Return a value of MySQL or SQLite as JSON has it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, datetime | date | time):
        return str(value)
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"cannot keep a {type(value).__name__} in a snapshot")


def _interval(value: timedelta) -> str:
    """Return a TIME of MySQL, which may have more than 24 hours and a sign, as MySQL writes it."""
    seconds = abs(value)
    minutes, rest = divmod(seconds, timedelta(minutes=1))
    text = f"{'-' * (value < timedelta())}{minutes // 60:02}:{minutes % 60:02}:{rest.seconds:02}"
    return f"{text}.{rest.microseconds:06}" if rest.microseconds else text


def _value(value: Any, type_: str) -> Any:
    """Return a kept value as the driver takes it for a column. Records of earlier versions hold JSON and arrays as such."""
    if isinstance(value, dict):
        return base64.b64decode(value[_BYTES]) if value.keys() == {_BYTES} else json.dumps(value)
    return json.dumps(value) if isinstance(value, list) and not type_.endswith("[]") else value


def _type(table: Table, name: str, value: Any) -> Any:
    """Return the type to bind a value with: none for what is kept, so that the server reads it as it wrote it."""
    fresh = isinstance(value, datetime | date) and name in table.c
    return table.c[name].type if fresh else NullType()
