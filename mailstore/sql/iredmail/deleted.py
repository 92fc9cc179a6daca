"""Records of deleted mailboxes in `deleted_mailboxes`: who may see them, and how an account comes back."""

from __future__ import annotations

from typing import Unpack

from sqlalchemy import ColumnElement, true

from mailstore.errors import InvalidValue
from mailstore.fields import AccountFields, reject_unknown
from mailstore.model import Account
from mailstore.sql.iredmail.accounts import Accounts
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.new_account import secret
from mailstore.sql.iredmail.restoration import Restoration
from mailstore.sql.iredmail.retention import ledger_of
from mailstore.sql.ledger import LedgerMailboxes

__all__ = ["DeletedMailboxes"]


class DeletedMailboxes(LedgerMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        super().__init__(ledger_of(context))
        self._context = context
        self._accounts = accounts

    def restore(
        self,
        record_id: int,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        reject_unknown(fields, AccountFields)
        hashed = secret(self._context, password, password_hash)
        with self._context.writing(self.get(record_id).domain) as tx:
            record = self._ledger.lock(tx, record_id)
            snapshot = self._ledger.snapshot(tx, record_id)
            if snapshot is None and hashed is None:
                raise InvalidValue(
                    f"record {record_id} knows only where the mail of {record.address} is; give a password to restore it",
                    subject=record.address,
                )
            Restoration(self._context, tx, record, snapshot).run(hashed)
            self._ledger.drop(tx, [record_id])
            if fields or hashed:
                return self._accounts.update(record.address, password=password, password_hash=password_hash, **fields)
            return self._accounts.get(record.address)

    def _visible(self) -> ColumnElement[bool]:
        actor = self._context.actor
        return actor.visible(self._ledger.records.c.domain) if actor else true()
