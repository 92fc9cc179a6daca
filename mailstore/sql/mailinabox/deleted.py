"""Records of mailboxes whose accounts are gone, and how an account comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Any, NoReturn, Unpack

from sqlalchemy import ColumnElement, exists, func, insert, select, true

from mailstore import store
from mailstore.disk.neighbours import Place
from mailstore.driver.secret import Secret
from mailstore.errors import NotSupported
from mailstore.fields import AccountFields
from mailstore.model import Account, DeletedMailbox
from mailstore.purge import find_mail
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import Ledger, SQLMailboxes
from mailstore.sql.mailinabox.accounts.collection import Accounts
from mailstore.sql.mailinabox.accounts.creation import new_secret
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.disk.archive import archived
from mailstore.sql.mailinabox.names import name_space
from mailstore.sql.mailinabox.names.references import References
from mailstore.sql.mailinabox.records import NO_TABLE, Retention
from mailstore.sql.mailinabox.rights import is_admin
from mailstore.sql.snapshots import Restored, unpacked

__all__ = ["DeletedMailboxes", "UnrecordedMailboxes"]


class DeletedMailboxes(SQLMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts, ledger: Ledger) -> None:
        super().__init__(ledger, accounts)
        self._context = context
        self._references = References(context.schema)
        self._retention = Retention(context)
        self._users = context.table("users")

    def archived(self, *, domain: str | None = None) -> Iterator[DeletedMailbox]:
        recorded = {record.home: record for record in self.list(domain=domain)}
        yield from archived(self._context, recorded, domain)

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        return new_secret(self._context, password, password_hash)

    def _restoring(self, record: DeletedMailbox) -> AbstractContextManager[Transaction]:
        return self._context.changing(record.address)

    def _bring_back(self, tx: Transaction, record: DeletedMailbox, snapshot: str | None, secret: Secret | None) -> None:
        name_space.refuse_taken(self._context.schema, tx, record.address)
        if snapshot is not None:
            restored = Restored(self._context.db, tx)
            self._references.restore(tx, restored, unpacked(snapshot))
            restored.tell(record.address)
        elif secret is not None:
            tx.execute(insert(self._users).values(email=record.address, password=secret.hash))
        find_mail(self._context.homes, record)

    @contextmanager
    def claim(self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()) -> Iterator[store.Claim]:
        self._cancel_revived()
        with super().claim(today, limit=limit, after=after, below=below) as claim:
            yield claim

    def _cancel_revived(self) -> None:
        """Drop the records of addresses that somebody made again with the panel: that is how a box restores a mailbox."""
        username = self._ledger.records.c.username
        live = select(func.lower(self._users.c.email))
        with self._ledger.db.writing() as tx:
            self._retention.drop_revived(tx, list(self._ledger.select(username.in_(live))))

    def _sees(self, domain: ColumnElement[Any]) -> ColumnElement[bool]:
        actor = self._context.actor
        if actor is None:
            return true()
        return exists().where(self._users.c.email == actor, is_admin(self._context.schema))


class UnrecordedMailboxes(store.DeletedMailboxes):
    """See `mailstore.store.DeletedMailboxes`: on a box without tables for records, which only lists what is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def archived(self, *, domain: str | None = None) -> Iterator[DeletedMailbox]:
        yield from archived(self._context, {}, domain)

    def list(
        self,
        *,
        domain: str | None = None,
        address: str | None = None,
        due: date | None = None,
        after: int = 0,
    ) -> Iterator[DeletedMailbox]:
        self._refuse()

    def count(self, *, domain: str | None = None, address: str | None = None, due: date | None = None) -> int:
        self._refuse()

    def get(self, record_id: int) -> DeletedMailbox:
        self._refuse()

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        self._refuse()

    def restore(
        self,
        record_id: int,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        self._refuse()

    def claim(self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()) -> Any:
        self._refuse()

    def places(self) -> Iterator[Place]:
        return iter(())

    def note_failure(self, record_id: int, reason: str) -> None:
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise NotSupported(f"there are no records of deleted mailboxes: {NO_TABLE}")
