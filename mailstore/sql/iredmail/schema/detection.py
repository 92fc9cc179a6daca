"""What a live `vmail` database has: detect it, compare it with what is needed, or create it anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, MetaData, Table, text

from mailstore.errors import SchemaMismatch, StoreError
from mailstore.sql.iredmail.schema.tables import OPTIONAL, define
from mailstore.sql.live import Live, new_tables, read_live
from mailstore.sql.own_tables import add_own_tables

__all__ = ["Schema", "create", "create_own_table", "detect"]

_TRIGGERS = {
    # Dovecot's quota dictionary inserts only username and numbers; panels sum up by domain.
    "mysql": ["""
        CREATE TRIGGER used_quota_domain BEFORE INSERT ON used_quota FOR EACH ROW
        SET NEW.domain = SUBSTRING_INDEX(NEW.username, '@', -1)"""],
    "postgresql": ["""
        CREATE FUNCTION used_quota_domain() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.domain := split_part(lower(NEW.username), '@', 2); RETURN NEW; END $$""", """
        CREATE TRIGGER used_quota_domain BEFORE INSERT ON used_quota
        FOR EACH ROW EXECUTE FUNCTION used_quota_domain()"""],
    "sqlite": ["""
        CREATE TRIGGER used_quota_domain AFTER INSERT ON used_quota BEGIN
        UPDATE used_quota SET domain = substr(NEW.username, instr(NEW.username, '@') + 1)
        WHERE username = NEW.username; END"""],
}  # fmt: skip


@dataclass(frozen=True)
class Schema:
    """A live schema: its tables as this driver may use them, and what they lack of the ``complete`` ones.

    ``missing`` are needed tables and columns, ``absent`` optional ones, both as ``table`` or ``table.column``;
    ``foreign`` are columns of the known tables that this driver does not know. ``obstacle`` is why nothing may be written.
    """

    metadata: MetaData
    complete: MetaData
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]
    obstacle: StoreError | None = None

    def __getitem__(self, table: str) -> Table:
        return self.metadata.tables[table]

    def has(self, table: str, column: str | None = None) -> bool:
        """Tell whether the server has this table, or this column of it.

        Raises LookupError for what no server has: to leave that out silently would hide a mistake here.
        """
        known = self.complete.tables[table]
        if column is not None and column not in known.c:
            raise LookupError(f"no server has {table}.{column}")
        found = self.metadata.tables.get(table)
        return found is not None and (column is None or column in found.c)

    def require(self) -> None:
        """Raise SchemaMismatch if anything needed is missing."""
        if self.missing:
            raise SchemaMismatch(
                f"this is not an iRedMail database of version 0.9.8 or later; missing: {', '.join(self.missing)}. "
                "Check the URL, or make a new database with 'mailstore schema create'"
            )


def detect(connection: Connection, engine: str) -> Schema:
    """Read which tables and columns the server has, in one statement. Raises StoreDenied if needed ones may not be read."""
    complete = _complete(engine)
    live = read_live(connection, engine, known=complete.tables)
    missing, absent = _gaps(complete, live)
    live.require(missing)
    obstacle = live.obstacle(complete.tables)
    return Schema(define(engine, live), complete, missing, absent, _foreign(complete, live), obstacle)


@cache
def _complete(engine: str) -> MetaData:
    return define(engine)


def _gaps(complete: MetaData, live: Live) -> tuple[tuple[str, ...], tuple[str, ...]]:
    missing: list[str] = []
    absent: list[str] = []
    for name, table in sorted(complete.tables.items()):
        optional = OPTIONAL.get(name, frozenset())
        if name not in live:
            (absent if "*" in optional else missing).append(name)
            continue
        for column in table.columns:
            if column.name not in live[name]:
                (absent if column.name in optional else missing).append(f"{name}.{column.name}")
    return tuple(missing), tuple(absent)


def _foreign(complete: MetaData, live: Live) -> tuple[str, ...]:
    return tuple(
        f"{name}.{column}"
        for name, table in sorted(complete.tables.items())
        for column in live.get(name, {})
        if column not in table.columns
    )


def create(connection: Connection, engine: str) -> list[str]:
    """Create the complete current schema in an empty database. Returns the names of the tables made.

    Raises SchemaMismatch if any table of the schema is there already: an existing database is never altered.
    """
    metadata = define(engine)
    with new_tables(connection, engine, metadata):
        for statement in _TRIGGERS[engine]:
            connection.execute(text(statement))
    return sorted(metadata.tables)


def create_own_table(connection: Connection, engine: str) -> bool:
    """Add what is missing of mailstore's own table to an existing iRedMail database. Returns False if all was there."""
    return add_own_tables(connection, engine, with_records=False)
