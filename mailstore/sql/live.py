"""What a server has: tables and columns, read from the engine's own catalogue in one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, MetaData, Table, text
from sqlalchemy.types import NullType

from mailstore.errors import SchemaMismatch

__all__ = ["Live", "LiveColumn", "live_table", "read_live"]

_COLUMNS = {
    "mysql": """
        SELECT table_name, column_name, data_type,
               is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%auto_increment%',
               extra LIKE '%VIRTUAL%' OR extra LIKE '%STORED%' OR extra LIKE '%PERSISTENT%'
        FROM information_schema.columns WHERE table_schema = COALESCE(:schema, DATABASE())""",
    "postgresql": """
        SELECT table_name, column_name, data_type, is_nullable = 'NO' AND column_default IS NULL,
               is_generated = 'ALWAYS' OR identity_generation = 'ALWAYS'
        FROM information_schema.columns WHERE table_schema = COALESCE(:schema, current_schema())""",
    "sqlite": """
        SELECT m.name, c.name, lower(c.type), c."notnull" = 1 AND c.dflt_value IS NULL AND c.pk = 0,
               c.hidden <> 0
        FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c WHERE m.type = 'table' AND :schema IS NULL""",
}


@dataclass(frozen=True)
class LiveColumn:
    """A column that a server has: its SQL type in lower case, and whether an insert must, or cannot, give it a value."""

    type: str
    required: bool
    generated: bool = False


Live: TypeAlias = "Mapping[str, Mapping[str, LiveColumn]]"
"""The columns of a live database, by table and column name."""


def read_live(connection: Connection, engine: str, schema: str | None = None) -> Live:
    """Return what the database of a connection has; of MySQL and PostgreSQL, another database or schema by name."""
    live: dict[str, dict[str, LiveColumn]] = defaultdict(dict)
    for table, column, type_, required, generated in connection.execute(text(_COLUMNS[engine]), {"schema": schema}):
        live[str(table)][str(column)] = LiveColumn(
            str(type_).lower(), bool(required and not generated), bool(generated)
        )
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
