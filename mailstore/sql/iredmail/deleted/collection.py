"""Records of deleted mailboxes in `deleted_mailboxes`: who may see them, and how an account comes back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, true

from mailstore.driver.rights import Operation, deletion
from mailstore.driver.secret import Secret
from mailstore.model import DeletedMailbox, Domain
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts.collection import Accounts
from mailstore.sql.iredmail.accounts.new import secret
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.deleted.domain_restoration import DomainRestoration
from mailstore.sql.iredmail.deleted.restoration import Restoration
from mailstore.sql.iredmail.domains.collection import Domains
from mailstore.sql.iredmail.records import ledger_of
from mailstore.sql.ledger import SQLMailboxes

__all__ = ["DeletedMailboxes"]


@repeating
class DeletedMailboxes(SQLMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        super().__init__(ledger_of(context), accounts)
        self._context = context

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        record, wanted = self.get(record_id), deletion(Operation.RESCHEDULE, keep_mailbox_days)
        with self._context.writing(record.address, *wanted) as tx:
            if self._context.actor:
                snapshot = self._ledger.snapshot(tx.connection, record)
                Restoration(self._context, tx, record, snapshot).refuse_stronger()
            return super().reschedule(record_id, keep_mailbox_days=keep_mailbox_days)

    def restore_domain(self, domain: str) -> Domain:
        found, records = self._last_deleted(domain)
        name, domains = found.domain, Domains(self._context)
        with self._context.writing(name, Operation.RESTORE_DOMAIN) as tx:
            kept, mailboxes = self._take_domain(tx, found, records)
            restoration = DomainRestoration(self._context, tx, found, kept, mailboxes)
            domains.claim_back(tx, restoration.names)
            restoration.run()
            return domains.get(name)

    def _sees(self, domain: ColumnElement[Any]) -> ColumnElement[bool]:
        actor = self._context.actor
        return actor.visible(domain) if actor else true()

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
