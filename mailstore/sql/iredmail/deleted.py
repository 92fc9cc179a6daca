"""Records of deleted mailboxes in `deleted_mailboxes`: who may see them, and how an account comes back."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import ColumnElement, true

from mailstore.model import DeletedMailbox
from mailstore.rights import Operation, deletion
from mailstore.secret import Secret
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts import Accounts
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.new_account import secret
from mailstore.sql.iredmail.restoration import Restoration
from mailstore.sql.iredmail.retention import ledger_of
from mailstore.sql.ledger import SQLMailboxes

__all__ = ["DeletedMailboxes"]


class DeletedMailboxes(SQLMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        super().__init__(ledger_of(context), accounts)
        self._context = context

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        address, wanted = self.get(record_id).address, deletion(Operation.RESCHEDULE, keep_mailbox_days)
        with self._context.writing(address, *wanted):
            return super().reschedule(record_id, keep_mailbox_days=keep_mailbox_days)

    def _visible(self) -> ColumnElement[bool]:
        actor = self._context.actor
        return actor.visible(self._ledger.records.c.domain) if actor else true()

    def _require(self, *operations: Operation) -> None:
        if self._context.actor:
            with self._context.reading() as connection:
                self._context.actor.require_anywhere(connection, "deleted mailboxes", *operations)

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        return secret(self._context, password, password_hash)

    def _restoring(self, record: DeletedMailbox) -> AbstractContextManager[Transaction]:
        return self._context.writing(record.address, Operation.RESTORE_ACCOUNT)

    def _bring_back(self, tx: Transaction, record: DeletedMailbox, snapshot: str | None, secret: Secret | None) -> None:
        Restoration(self._context, tx, record, snapshot).run(secret)
