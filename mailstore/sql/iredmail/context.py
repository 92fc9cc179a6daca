"""What all parts of the driver share: the database, its schema, the options, and the acting admin."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Insert, Table, insert

from mailstore.address import domain_part
from mailstore.companions import Companions
from mailstore.config import StoreConfig
from mailstore.errors import NotSupported
from mailstore.maildir import Homes
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.iredmail.schema import Schema

if TYPE_CHECKING:
    from mailstore.sql.iredmail.rights import Actor

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One opened `vmail` database as one user of the library sees it.

    ``actor`` is the admin on whose behalf everything happens; None may do everything. ``companions`` are the databases
    beside this one.
    """

    db: Database
    schema: Schema
    config: StoreConfig
    name: str
    homes: Homes | None = None
    actor: Actor | None = None
    companions: Companions = field(default_factory=Companions)

    @property
    def key(self) -> str:
        """A short name of the database, for the trash of its purges."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:12]

    def table(self, name: str) -> Table:
        """Return a table with the columns that the server has."""
        return self.schema[name]

    @contextmanager
    def reading(self, domain: str | None = None) -> Iterator[Connection]:
        """Give a connection to read with, after checking that the actor may see `domain`."""
        with self.db.reading() as connection:
            if self.actor and domain is not None:
                self.actor.require_domain(connection, domain)
            yield connection

    @contextmanager
    def writing(self, subject: str) -> Iterator[Transaction]:
        """Open a transaction, after checking that the actor may manage the domain of `subject` (domain or address)."""
        with self.db.writing(subject) as tx:
            if self.actor:
                self.actor.require_domain(tx.connection, domain_part(subject))
            yield tx

    def require(self, values: Mapping[str, Any], table: str) -> None:
        """Raise NotSupported if `values` has a column that this server's `table` lacks."""
        columns = self.schema[table].c
        absent = sorted(name for name in values if name not in columns)
        if absent:
            raise NotSupported(f"this server's table {table} has no column {absent[0]}; update iRedMail's schema first")

    def insert(self, tx: Transaction, table: str, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert one row, or several that have the same columns."""
        if rows:
            tx.execute(_insert_into(self.schema[table]), rows)

    def settings_text(self, text: str) -> str | None:
        """Return a settings text as the column holds it: an empty one is NULL in MySQL and '' elsewhere."""
        return None if not text and self.db.kind == "mysql" else text


@lru_cache(maxsize=256)
def _insert_into(table: Table) -> Insert:
    """Return the insert statement of a table; SQLAlchemy remembers what it worked out about a statement it has seen."""
    return insert(table)
