"""Very many rows for one table, in the way that each engine takes them fastest.

These are SQLite's prepared statement with tuples, an INSERT of many rows on MariaDB and MySQL, and COPY on PostgreSQL.
SQLAlchemy works out the statement once; for each row it would add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, exc, insert

__all__ = ["insert_rows"]

_MARKS = {"sqlite": "?", "mysql": "%s", "mariadb": "%s"}
_COPIES = """
    SELECT c.relkind IN ('r', 'p') AND NOT row_security_active(c.oid)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid)
    FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass(%s)"""
"""Whether COPY does what INSERT does: it passes over rules, and does not work with views and row security."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that have the same columns, at least two of each. Raises what a statement of SQLAlchemy does."""
    kind, columns = connection.dialect.name, tuple(rows[0])
    if kind == "postgresql" and _takes_copies(connection, table):
        _copy(connection, table, columns, rows)
    elif kind in _MARKS:
        statement, processors = _prepared(connection.dialect, table, columns)
        connection.exec_driver_sql(statement, list(_processed(map(itemgetter(*columns), rows), processors)))
    else:
        connection.execute(insert(table), list(rows))


def _processed(
    rows: Iterator[tuple[Any, ...]], processors: Sequence[tuple[int, Callable[[Any], Any]]]
) -> Iterator[tuple[Any, ...]]:
    if not processors:
        yield from rows
        return
    for row in rows:
        values = list(row)
        for place, process in processors:
            values[place] = process(values[place])
        yield tuple(values)


@lru_cache(maxsize=256)
def _prepared(
    dialect: Dialect, table: Table, columns: tuple[str, ...]
) -> tuple[str, Sequence[tuple[int, Callable[[Any], Any]]]]:
    """Return the statement, and for those columns that need one what makes the driver's value of ours."""
    quote = dialect.identifier_preparer.quote
    marks = ", ".join([_MARKS[dialect.name]] * len(columns))
    statement = f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, columns))}) VALUES ({marks})"  # noqa: S608
    made = (table.c[column].type.dialect_impl(dialect).bind_processor(dialect) for column in columns)
    return statement, [(place, lru_cache(maxsize=64)(make)) for place, make in enumerate(made) if make is not None]


def _takes_copies(connection: Connection, table: Table) -> bool:
    name = connection.dialect.identifier_preparer.quote(table.name)
    return bool(connection.exec_driver_sql(_COPIES, (name,)).scalar())


def _copy(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quote(table.name)} ({', '.join(map(quote, columns))}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    known = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in map(itemgetter(*columns), rows):
                copy.write_row(row)
    except known as error:
        # As SQLAlchemy does for statements of its own, without the values.
        raise exc.DBAPIError.instance(
            statement, None, error, known, hide_parameters=True, dialect=connection.dialect
        ) from error
