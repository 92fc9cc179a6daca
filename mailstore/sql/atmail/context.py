"""What all parts of the driver share: the database, its schema, the options, and the acting admin."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Label, Table, true

from mailstore.config import AtmailConfig, StoreConfig
from mailstore.driver.base import Keyed
from mailstore.driver.rights import Operation
from mailstore.errors import NotSupported
from mailstore.maildir import Homes
from mailstore.sql.atmail.schema.detection import Schema
from mailstore.sql.atmail.schema.tables import OWN_TABLES
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.ledger import Ledger

if TYPE_CHECKING:
    from mailstore.sql.atmail.rights import Actor

__all__ = ["Companion", "Context", "inserted_number", "labelled"]


def labelled(table: Table, *names: str) -> list[Label[Any]]:
    """Return columns of a table under the names of this package, whatever the server calls them; all if none are named."""
    return [table.c[name].label(name) for name in (names or table.c.keys())]


@dataclass(frozen=True)
class Companion:
    """A database beside the mail server's."""

    db: Database
    schema: Schema


@dataclass(frozen=True)
class Context(Keyed):
    """One opened `mailserver` database as one user of the library sees it.

    ``apiserver`` is the API server's database with its schema, if the store was opened with it. ``actor`` is the admin
    on whose behalf everything happens; None may do everything.
    """

    db: Database
    schema: Schema
    config: StoreConfig
    name: str
    homes: Homes | None = None
    apiserver: Companion | None = None
    actor: Actor | None = None

    @property
    def identity(self) -> str:
        """What the database is, however it is reached."""
        return self.db.identity

    @property
    def options(self) -> AtmailConfig:
        """The options that only atmail has."""
        return self.config.atmail

    def table(self, name: str) -> Table:
        """Return a table with the columns that the server has."""
        return self.schema[name]

    @cached_property
    def ledger(self) -> Ledger:
        """The records of deleted mailboxes. Raises NotSupported if their tables were not made."""
        if not self.schema.has_records:
            raise NotSupported(
                f"{self.name} has no tables for deleted mailboxes; make them with 'mailstore schema add-retention-table'"
            )
        return Ledger(self.db, *(self.table(name) for name in OWN_TABLES))

    @contextmanager
    def reading(self, operations: Operation | Collection[Operation], domain: str | None = None) -> Iterator[Connection]:
        """Give a connection to read with, after checking that the actor may do `operations`, and manages `domain`."""
        with self.db.reading() as connection:
            if self.actor:
                self.actor.require(connection, operations, domain)
            yield connection

    @contextmanager
    def writing(
        self, subject: str, operations: Operation | Collection[Operation], *domains: str
    ) -> Iterator[Transaction]:
        """Open a transaction, after checking that the actor may do `operations`, and manages all `domains`."""
        with self.db.writing(subject) as tx:
            if self.actor:
                self.actor.require(tx.connection, operations, *domains)
            yield tx

    def visible(self, domain_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that the actor manages the domain whose number is in a column."""
        return self.actor.manages(domain_id) if self.actor else true()

    def visible_name(self, name: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that the actor manages the domain whose name is in a column or expression."""
        return self.actor.manages_name(name) if self.actor else true()

    @property
    def creator(self) -> int:
        """The `createdByUserId` of new rows."""
        return self.actor.user_id if self.actor else self.options.created_by

    def require(self, values: Mapping[str, Any], table: str) -> None:
        """Raise NotSupported if `values` has a column that this server's `table` lacks."""
        columns = self.schema[table].c
        absent = sorted(name for name in values if name not in columns)
        if absent:
            raise NotSupported(
                f"this server's table {self.schema[table].name} has no column {absent[0]}; newer versions of atmail have it"
            )

    def insert(self, tx: Transaction, table: str, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert one row, or several that have the same columns; columns that the server lacks are left out."""
        if rows:
            tx.execute(*self.schema.insertion(table, [rows] if isinstance(rows, Mapping) else rows))

    def insert_one(self, tx: Transaction, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row and return its number."""
        return inserted_number(tx.execute(*self.schema.insertion(table, [row])))


def inserted_number(result: Any) -> int:
    """Return the number that a row got when it was inserted."""
    return int(result.inserted_primary_key[0])
