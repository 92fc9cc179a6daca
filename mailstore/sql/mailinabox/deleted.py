"""Records of mailboxes whose accounts are gone, and how an account comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, NoReturn, Unpack

from sqlalchemy import ColumnElement, exists, func, insert, select, true, update

from mailstore import store
from mailstore.errors import InvalidPassword, NotSupported
from mailstore.fields import AccountFields
from mailstore.model import Account, DeletedMailbox
from mailstore.purge import find_mail
from mailstore.secret import Secret
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import Ledger, LedgerMailboxes
from mailstore.sql.mailinabox import names
from mailstore.sql.mailinabox.accounts import Accounts
from mailstore.sql.mailinabox.archive import archived
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.creation import columns_of, new_secret
from mailstore.sql.mailinabox.privileges import is_admin
from mailstore.sql.mailinabox.references import References
from mailstore.sql.mailinabox.retention import NO_TABLE

__all__ = ["DeletedMailboxes", "UnrecordedMailboxes"]


class DeletedMailboxes(LedgerMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._context = context
        self._accounts = accounts
        self._references = References(context.schema)
        self._users = context.table("users")

    def archived(self, *, domain: str | None = None) -> Iterator[DeletedMailbox]:
        recorded = {record.home: record for record in self.list(domain=domain)}
        yield from archived(self._context, recorded, domain)

    def restore(
        self,
        record_id: int,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        columns = columns_of(self._context, fields)
        secret = new_secret(self._context, password, password_hash)
        address = self.get(record_id).address
        with self._context.changing(address) as tx:
            record = self._ledger.lock(tx, record_id)
            names.refuse_taken(self._context.schema, tx, record.address)
            self._insert(tx, record, self._ledger.snapshot(tx, record_id), secret)
            if columns:
                tx.execute(update(self._users).where(self._users.c.email == record.address).values(columns))
            self._ledger.drop(tx, [record_id])
            find_mail(self._context.homes, self._context.key, record)
            return self._accounts.get(record.address)

    def _insert(self, tx: Transaction, record: DeletedMailbox, snapshot: str | None, secret: Secret | None) -> None:
        given: dict[str, Any] = {} if secret is None else {"password": secret.hash}
        if snapshot is not None:
            kept = json.loads(snapshot)
            self._references.restore(tx, {**kept, "users": {**kept["users"], **given}})
        elif given:
            tx.execute(insert(self._users).values(email=record.address, **given))
        else:
            message = f"record {record.id} knows only the mailbox of {record.address}; give a password"
            raise InvalidPassword(message, subject=record.address)

    @contextmanager
    def claim(self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()) -> Iterator[store.Claim]:
        self._cancel_revived()
        with super().claim(today, limit=limit, after=after, below=below) as claim:
            yield claim

    def _cancel_revived(self) -> None:
        """Drop the records of addresses that somebody made again with the panel: that is how a box restores a mailbox."""
        records = self._ledger.records.c
        live = select(func.lower(self._users.c.email))
        with self._ledger.db.writing() as tx:
            revived = tx.execute(select(records.id).where(records.username.in_(live))).scalars().all()
            if revived:
                self._ledger.drop(tx, revived)

    def _visible(self) -> ColumnElement[bool]:
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
        self, *, domain: str | None = None, address: str | None = None, due: date | None = None
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

    def note_failure(self, record_id: int, reason: str) -> None:
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise NotSupported(f"there are no records of deleted mailboxes: {NO_TABLE}")
