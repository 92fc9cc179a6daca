"""Which tables and columns a live database has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, text
from sqlalchemy.types import NullType

from mailstore.errors import SchemaMismatch

__all__ = ["Live", "LiveColumn", "live_columns", "live_table"]

_COLUMNS = {
    "mysql": """
        SELECT table_name, column_name, data_type,
               is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%auto_increment%'
        FROM information_schema.columns WHERE table_schema = DATABASE()""",
    "postgresql": """
        SELECT table_name, column_name, data_type, is_nullable = 'NO' AND column_default IS NULL
        FROM information_schema.columns WHERE table_schema = current_schema()""",
    "sqlite": """
        SELECT m.name, c.name, lower(c.type), c."notnull" = 1 AND c.dflt_value IS NULL AND c.pk = 0
        FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'""",
}


@dataclass(frozen=True)
class LiveColumn:
    """A column as the server describes it; ``required`` means NOT NULL without a default."""

    type: str
    required: bool


Live = Mapping[str, Mapping[str, LiveColumn]]
"""The columns of each table of a live database."""


def live_columns(connection: Connection, engine: str) -> Live:
    """Read which tables and columns the database has, in one statement."""
    live: dict[str, dict[str, LiveColumn]] = defaultdict(dict)
    for table, column, type_, required in connection.execute(text(_COLUMNS[engine])):
        live[str(table)][str(column)] = LiveColumn(str(type_).lower(), bool(required))
    return live


def live_table(metadata: MetaData, live: Live, name: str, known: Sequence[Column[Any]], optional: Set[str]) -> Table:
    """Return a table with the columns that the server has: the known ones with their types, the others as they are.

    Raises SchemaMismatch if the table, or a known column that is not optional, is missing.
    """
    found = live.get(name, {})
    missing = [column.name for column in known if column.name not in found and column.name not in optional]
    if missing:
        raise SchemaMismatch(
            f"the database lacks {name if not found else f'{name}.{missing[0]}'}; is this the right URL, and up to date?"
        )
    names = {column.name for column in known}
    foreign = (Column(other, NullType()) for other in found if other not in names)
    return Table(name, metadata, *(column for column in known if column.name in found), *foreign)
