"""What all parts of the driver share: the database, its schema, the options, and the acting admin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Insert, Table, insert

from mailstore.config import StoreConfig
from mailstore.driver.base import Keyed
from mailstore.driver.companions import Companions
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.notices import Notices
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.errors import NotSupported
from mailstore.maildir import Homes
from mailstore.model import Notice
from mailstore.sql.bulk import insert_rows
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.iredmail.schema.detection import Schema

if TYPE_CHECKING:
    from mailstore.sql.iredmail.rights import Actor

__all__ = ["Context"]

_MANY = 20
"""Rows from which on the engine's own way to take many pays."""


@dataclass(frozen=True)
class Context(Keyed):
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
    notices: Notices = field(default_factory=Notices)

    @property
    def identity(self) -> str:
        """What the database is, however it is reached."""
        return self.db.identity

    def table(self, name: str) -> Table:
        """Return a table with the columns that the server has."""
        return self.schema[name]

    @contextmanager
    def reading(self, subject: str | None = None, *operations: Operation) -> Iterator[Connection]:
        """Give a connection to read with, after checking that the actor may see a domain, or that of an address.

        With `operations`, that it may do these.
        """
        with self.db.reading() as connection:
            if self.actor and subject is not None:
                self.actor.require(connection, subject, *operations)
            yield connection

    @contextmanager
    def writing(self, subject: str, *operations: Operation) -> Iterator[Transaction]:
        """Open a transaction, after checking that the actor may do `operations` to `subject`, a domain or an address."""
        with self.db.writing(subject) as tx:
            if self.actor:
                self.actor.require(tx.connection, subject, *operations)
            yield tx

    def check_secret(self, connection: Connection, policy: DomainPolicy, secret: Secret, address: str) -> None:
        """Raise InvalidPassword, or PermissionDenied for a hash, if the domain's limits do not allow a new password."""
        policy.check_password(secret.password, address)
        if self.actor:
            self.actor.refuse_ready_hash(connection, policy, secret, address)

    def notify(self, tx: Transaction, notice: Notice) -> None:
        """Tell what is left to be done, should the transaction be committed."""
        tx.on_rollback(self.notices.add(notice), outside=False)

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

    def insert_all(self, tx: Transaction, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Do the same with what may be very many."""
        if len(rows) < _MANY:
            self.insert(tx, table, list(rows) if len(rows) > 1 else rows[0] if rows else [])
        else:
            insert_rows(tx.connection, self.schema[table], rows)

    def settings_text(self, text: str) -> str | None:
        """Return a settings text as the column holds it: an empty one is NULL in MySQL and '' elsewhere."""
        return None if not text and self.db.kind == "mysql" else text


@lru_cache(maxsize=256)
def _insert_into(table: Table) -> Insert:
    """Return the insert statement of a table; SQLAlchemy remembers what it worked out about a statement it has seen."""
    return insert(table)
