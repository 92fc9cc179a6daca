"""What a live webmail database has: detect it, compare it with what is needed, or create it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Index, MetaData, Table, func, text

from mailstore.errors import SchemaMismatch, StoreError
from mailstore.sql.afterlogic.schema.tables import ALL, LEDGER, NEEDED, define
from mailstore.sql.live import Live, new_tables, read_live
from mailstore.sql.own_tables import add_own_tables

__all__ = ["Schema", "create", "create_ledger", "detect"]

_DECODE = """
CREATE FUNCTION DP1(hidden VARCHAR(255)) RETURNS VARBINARY(127) DETERMINISTIC NO SQL
BEGIN
  DECLARE place INT DEFAULT 3;
  DECLARE plain VARBINARY(127) DEFAULT UNHEX(SUBSTRING(hidden, 1, 2));
  IF hidden = '' OR LENGTH(hidden) % 2 = 1 THEN RETURN ''; END IF;
  WHILE place < LENGTH(hidden) DO
    SET plain = CONCAT(plain, UNHEX(LPAD(HEX(
      CONV(SUBSTRING(hidden, place, 2), 16, 10) ^ CONV(SUBSTRING(hidden, 1, 2), 16, 10)), 2, '0')));
    SET place = place + 2;
  END WHILE;
  RETURN plain;
END"""
"""The function of this name with which the product's mail server reads passwords."""


@dataclass(frozen=True)
class Schema:
    """A live schema: its tables by their names without prefix, as this driver may use them, and what they lack.

    ``missing`` are needed tables and columns, ``absent`` optional ones, both as ``table`` or ``table.column``;
    ``foreign`` are columns of the known tables that this driver does not know.
    """

    prefix: str
    metadata: MetaData
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]
    hint: str = ""
    obstacle: StoreError | None = None

    def __getitem__(self, name: str) -> Table:
        return self.metadata.tables[f"{self.prefix}{name}"]

    def has(self, name: str, column: str | None = None) -> bool:
        """Tell whether the server has this table, or this column of it.

        Raises LookupError for what no version of the product has: to leave that out silently would hide a mistake here.
        """
        known = ALL[name].columns
        if column is not None and column not in known:
            raise LookupError(f"the product has no {name}.{column}")
        found = self.metadata.tables.get(f"{self.prefix}{name}")
        return found is not None and (column is None or column in found.c)

    @property
    def ledger(self) -> tuple[Table, Table] | None:
        """The tables of deleted mailboxes, if they were made."""
        found = [self.metadata.tables[name] for name in LEDGER if name in self.metadata.tables]
        return (found[0], found[1]) if len(found) == len(LEDGER) else None

    def require(self) -> None:
        """Raise SchemaMismatch if anything needed is missing."""
        if self.missing:
            raise SchemaMismatch(
                f"this is not an AfterLogic WebMail or Aurora 7 database; missing: {', '.join(self.missing)}. "
                f"{self.hint or 'Check the URL and table_prefix, or make one with mailstore schema create'}"
            )


def detect(connection: Connection, engine: str, prefix: str) -> Schema:
    """Read which tables and columns the server has. Raises StoreDenied if needed ones may not be read."""
    tables = [f"{prefix}{name}" for name in ALL] + list(LEDGER)
    live = read_live(connection, engine, known=tables)
    missing = list(_gaps(live, NEEDED, prefix))
    live.require(missing)
    known = {name: spec.columns for name, spec in ALL.items()}
    absent = [gap for gap in _gaps(live, known, prefix) if gap not in missing]
    absent += [name for name in LEDGER if name not in live]
    foreign = tuple(
        f"{prefix}{name}.{column}"
        for name, spec in sorted(ALL.items())
        for column in live.get(f"{prefix}{name}", {})
        if column not in spec.columns
    )
    hint = _HINT if "password" in live.get(f"{prefix}awm_accounts", {}) else ""
    return Schema(prefix, define(prefix, live), tuple(missing), tuple(absent), foreign, hint, live.obstacle(tables))


_HINT = (
    "These are the tables of Aurora 8: its mail server's have the same names, its webmail keeps accounts in others, which "
    "mailstore does not know"
)


def _gaps(live: Live, wanted: Mapping[str, Iterable[str]], prefix: str) -> Iterator[str]:
    for name, columns in sorted(wanted.items()):
        table = f"{prefix}{name}"
        if table not in live:
            yield table
            continue
        yield from (f"{table}.{column}" for column in sorted(columns) if column not in live[table])


def create(connection: Connection, engine: str, prefix: str) -> list[str]:
    """Create the complete webmail schema and the ledger in an empty database. Returns the names of the tables made.

    Raises SchemaMismatch if any table of the schema is there already: an existing database is never altered.
    """
    metadata = define(prefix)
    with new_tables(connection, engine, metadata):
        if engine == "mysql":
            connection.execute(text(_DECODE))
        else:
            # MySQL's collation compares addresses without regard to case; here the driver does, and needs an index for it.
            email = metadata.tables[f"{prefix}awm_accounts"].c.email
            Index(f"{prefix}awm_accounts_lower_email", func.lower(email)).create(connection)
    return sorted(metadata.tables)


def create_ledger(connection: Connection, engine: str) -> bool:
    """Add what is missing of the tables of deleted mailboxes. Returns False if all was there."""
    return add_own_tables(connection, engine)
