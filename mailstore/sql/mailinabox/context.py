"""What all parts of the driver share: the file, its schema, the options, and the acting admin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table

from mailstore.config import StoreConfig
from mailstore.driver.base import short
from mailstore.driver.notices import Notices
from mailstore.errors import NotSupported
from mailstore.maildir import Homes
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.mailinabox.automatic import Served, refresh, served, told
from mailstore.sql.mailinabox.box import Box
from mailstore.sql.mailinabox.rights import require_admin
from mailstore.sql.mailinabox.schema.detection import Schema

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One opened box as one user of the library sees it.

    ``actor`` is the admin on whose behalf everything happens. On a box every admin may do everything, so all there is to
    ask is whether it still is one.
    """

    db: Database
    schema: Schema
    config: StoreConfig
    box: Box
    homes: Homes | None = None
    actor: str | None = None
    notices: Notices = field(default_factory=Notices)

    @property
    def name(self) -> str:
        """The URL of the store, which never holds a secret."""
        return self.config.url

    @property
    def key(self) -> str:
        """A short name of the file, for the trash of its purges and the marks of its roots."""
        return short(self.config.identity or self.db.identity)

    @property
    def former_keys(self) -> Sequence[str]:
        """What early versions made of the path."""
        return (short(str(self.box.database)),)

    def table(self, name: str) -> Table:
        """Return a table with the columns that the file has."""
        return self.schema[name]

    def require(self, table: str, column: str, what: str) -> None:
        """Raise NotSupported if the box's schema is too old for something."""
        if not self.schema.has(table, column):
            raise NotSupported(f"this box has no {what} yet: its file lacks {table}.{column}; upgrade the box first")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read with, after checking that the actor may."""
        with self.db.reading() as connection:
            if self.actor:
                require_admin(self.schema, connection, self.actor)
            yield connection

    @contextmanager
    def writing(self, subject: str) -> Iterator[Transaction]:
        """Open a transaction, after checking that the actor may."""
        with self.db.writing(subject) as tx:
            if self.actor:
                require_admin(self.schema, tx.connection, self.actor)
            yield tx

    @contextmanager
    def changing(self, subject: str) -> Iterator[Transaction]:
        """Open a transaction that adds or removes addresses: the automatic aliases follow at its end.

        A box serves those domains that it has addresses of. Its name server and web server learn of them only when its own
        update runs, so whoever changed the set of domains is told.
        """
        with self.writing(subject) as tx:
            before = served(self.schema, tx.connection)
            yield tx
            self._tell(tx, before, refresh(self.schema, tx, self.box))

    def _tell(self, tx: Transaction, before: Served, after: Served) -> None:
        notice = told(before, after)
        if notice is not None:
            tx.on_rollback(self.notices.add(notice), outside=False)
