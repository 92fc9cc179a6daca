"""What all parts of the driver share: the database, its schema, the options, and the installation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Insert, LargeBinary, Table, and_, case, cast, func, insert, select, true

from mailstore.address import domain_part, local_part
from mailstore.config import StoreConfig
from mailstore.driver.base import Keyed
from mailstore.errors import NotSupported
from mailstore.maildir import Homes
from mailstore.sql.afterlogic.installation import Installation
from mailstore.sql.afterlogic.schema.detection import Schema
from mailstore.sql.afterlogic.spelling import spellings
from mailstore.sql.domain_records import DomainRecords
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.ledger import Ledger

__all__ = ["Context"]


@dataclass(frozen=True)
class Context(Keyed):
    """One opened webmail database. To the ``tenant`` of a number only its own domains are there; None sees all."""

    db: Database
    schema: Schema
    config: StoreConfig
    name: str
    installation: Installation
    homes: Homes | None = None
    tenant: int | None = None

    def mine(self, domain_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Return the condition that the domain whose number is in a column can be seen: all can, but for a tenant."""
        if self.tenant is None:
            return true()
        # Under a name of its own, so that a query may have the table, too.
        domains = self.table("awm_domains").alias("own_domains").c
        return domain_id.in_(select(domains.id_domain).where(domains.id_tenant == self.tenant))

    @property
    def identity(self) -> str:
        """What the database is, however it is reached."""
        return self.db.identity

    def table(self, name: str) -> Table:
        """Return a table with the columns that the server has."""
        return self.schema[name]

    @property
    def ledger(self) -> Ledger | None:
        """The records of deleted mailboxes, if their tables were made."""
        tables = self.schema.ledger
        return Ledger(self.db, *tables) if tables else None

    @property
    def domain_records(self) -> DomainRecords | None:
        """The records of deleted domains, if their tables were made."""
        ledger = self.ledger
        return None if ledger is None else ledger.domains

    def require_ledger(self) -> Ledger:
        """Return the records of deleted mailboxes. Raises NotSupported if there is no table for them."""
        ledger = self.ledger
        if ledger is None:
            raise NotSupported(
                "the product has no table for the mailboxes of deleted accounts: "
                "run 'mailstore schema add-retention-table' first"
            )
        return ledger

    def home_of(self, address: str) -> str:
        """Return where the mail server keeps the mail of an address, as that is stored; no column says it."""
        return f"{self.config.new_home_root().lower()}/{domain_part(address)}/{local_part(address)}"

    def folded(self, column: ColumnElement[str]) -> ColumnElement[str]:
        """Return what of a column is compared and sorted by: the product keeps capitals and does not look at them.

        On MySQL its collation does so, and finds the column's own index.
        """
        return column if self.db.kind == "mysql" else func.lower(column)

    @staticmethod
    def served_first(column: ColumnElement[str]) -> ColumnElement[int]:
        """Return the order in which an address that stands twice is first the one in lower case, which the product finds.

        On PostgreSQL and SQLite it does not find one with capitals, and makes another beside it.
        """
        return case((column == func.lower(column), 0), else_=1)

    def same(self, column: ColumnElement[str], value: str) -> ColumnElement[bool]:
        """Return the condition that a column holds an address or a domain, however it is spelt there."""
        return self.one_of(column, spellings([value]))

    def one_of(self, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
        """Return the condition that a column holds one of some lower-case texts, whatever the case there."""
        found = self.folded(column).in_(sorted(values))
        if self.db.kind != "mysql":
            return found
        # The collation does not tell an accent or a blank at the end, which make another address.
        exact = cast(func.lower(column), LargeBinary).in_([value.encode() for value in sorted(values)])
        return and_(found, exact)

    def present(self, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the values that this server's table has a column for.

        Raises LookupError if no version has such a column.
        """
        return {name: value for name, value in values.items() if self.schema.has(table, name)}

    def require(self, table: str, values: Mapping[str, Any]) -> None:
        """Raise NotSupported if `values` has a column that this server's `table` lacks."""
        absent = sorted(values.keys() - set(self.schema[table].c.keys()))
        if absent:
            raise NotSupported(f"this version's table {table} has no column {absent[0]}; update the webmail first")

    def insert(self, tx: Transaction, table: Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert one row, or several that have the same columns."""
        if rows:
            tx.execute(_insert_into(table), rows)


@lru_cache(maxsize=256)
def _insert_into(table: Table) -> Insert:
    """Return the insert statement of a table; SQLAlchemy remembers what it worked out about a statement it has seen."""
    return insert(table)
