"""Which tables and columns a live database has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

__all__ = ["Live", "LiveColumn", "live_columns"]

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
