"""What a file of users has. A box's own migrations added columns and tables one after the other; all stages are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeEngine

from mailstore.errors import SchemaMismatch
from mailstore.sql.live import LiveColumn
from mailstore.sql.own_tables import add_own_tables, define_own_tables

__all__ = ["Schema", "create_own_tables", "detect"]

_NEEDED: Mapping[str, Sequence[str]] = {
    "users": ("id", "email", "password"),
    "aliases": ("id", "source", "destination"),
}
_ADDED: Mapping[int, tuple[str, Sequence[str]]] = {
    4: ("users", ("privileges",)),
    9: ("aliases", ("permitted_senders",)),
    13: ("mfa", ("id", "user_id", "type", "secret", "mru_token", "label")),
    14: ("auto_aliases", ("id", "source", "destination", "permitted_senders")),
    15: ("users", ("quota",)),
}
"""What the box's migrations of these numbers brought."""
_NUMBERS = frozenset({"id", "user_id"})
_UNUSED = frozenset({"users.extra"})  # never read or written by the box itself
_COLUMNS = """
    SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"""


@dataclass(frozen=True)
class Schema:
    """A live file: its tables with all their columns, and what they lack.

    ``missing`` are needed tables and columns, ``absent`` those of later stages and mailstore's own tables; ``foreign`` are
    columns of the known tables that neither the box nor mailstore has. ``migration`` is the number of the last migration
    whose work is there, 0 for a file older than all of them.
    """

    metadata: MetaData
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]
    migration: int

    def __getitem__(self, table: str) -> Table:
        return self.metadata.tables[table]

    def has(self, table: str, column: str | None = None) -> bool:
        """Tell whether the file has this table, or this column of it. Raises LookupError for what no box has."""
        if column is not None and column not in _known()[table]:
            raise LookupError(f"no box has {table}.{column}")
        found = self.metadata.tables.get(table)
        return found is not None and (column is None or column in found.c)

    @cached_property
    def own(self) -> tuple[Table, Table] | None:
        """Mailstore's tables for records of deleted mailboxes; None if the file has not got them."""
        records, beside = define_own_tables(MetaData())
        present = records.name in self.metadata.tables and beside.name in self.metadata.tables
        return (self[records.name], self[beside.name]) if present else None

    def require(self) -> None:
        """Raise SchemaMismatch if anything needed is missing."""
        if self.missing:
            raise SchemaMismatch(
                f"this is not a box's file of users; missing: {', '.join(self.missing)}. Check the URL"
            )


def detect(connection: Connection) -> Schema:
    """Read which tables and columns the file has, in one statement."""
    live: dict[str, list[str]] = defaultdict(list)
    for table, column in connection.execute(text(_COLUMNS)):
        live[table].append(column)
    own = [table.name for table in define_own_tables(MetaData())]
    known = _known()
    absent = [gap for table, columns in _ADDED.values() for gap in _gaps(live, table, columns)]
    foreign = [f"{name}.{column}" for name in known for column in live.get(name, ()) if column not in known[name]]
    return Schema(
        metadata=_tables(live, with_own=all(name in live for name in own)),
        missing=tuple(gap for table, columns in _NEEDED.items() for gap in _gaps(live, table, columns)),
        absent=(*absent, *(name for name in own if name not in live)),
        foreign=tuple(column for column in foreign if column not in _UNUSED),
        migration=_migration(live),
    )


def _known() -> dict[str, list[str]]:
    """Return all columns that a box of any stage has, by table."""
    known = {name: list(columns) for name, columns in _NEEDED.items()}
    for table, columns in _ADDED.values():
        known.setdefault(table, []).extend(columns)
    return known


def _tables(live: Mapping[str, Sequence[str]], *, with_own: bool) -> MetaData:
    """Define the tables of a box with all the columns that they have here, and mailstore's own if they are there."""
    metadata = MetaData()
    if with_own:
        define_own_tables(
            metadata, {name: dict.fromkeys(columns, LiveColumn("", False)) for name, columns in live.items()}
        )
    for name in _known().keys() & live.keys():
        Table(name, metadata, *(Column(column, _type(column), primary_key=column == "id") for column in live[name]))
    return metadata


def create_own_tables(connection: Connection) -> bool:
    """Add what is missing of mailstore's tables for records of deleted mailboxes. Returns False if all was there."""
    return add_own_tables(connection, "sqlite")


def _type(column: str) -> TypeEngine[int] | TypeEngine[str]:
    return Integer() if column in _NUMBERS else Text()


def _gaps(live: Mapping[str, Sequence[str]], table: str, columns: Sequence[str]) -> list[str]:
    if table not in live:
        return [table]
    return [f"{table}.{column}" for column in columns if column not in live[table]]


def _migration(live: Mapping[str, Sequence[str]]) -> int:
    done = [number for number, (table, columns) in _ADDED.items() if not _gaps(live, table, columns)]
    return max(done, default=0)
