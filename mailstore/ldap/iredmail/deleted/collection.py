"""Records of deleted mailboxes in the database beside the directory: who may see them, and how an account comes back."""

from __future__ import annotations

from typing import Any, Unpack

from sqlalchemy import ColumnElement, true

from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked, deletion
from mailstore.errors import Conflict, NotFound
from mailstore.fields import AccountFields, reject_unknown
from mailstore.ldap.iredmail.accounts.collection import Accounts
from mailstore.ldap.iredmail.accounts.new import secret
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.deleted.domain_restoration import DomainRestoration
from mailstore.ldap.iredmail.deleted.restoration import Restoration
from mailstore.ldap.iredmail.domains.collection import Domains
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.model import Account, DeletedMailbox, Domain
from mailstore.sql.ledger import LedgerMailboxes, without_password

__all__ = ["DeletedMailboxes"]


class DeletedMailboxes(LedgerMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        super().__init__(context.companion.ledger)
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
        record = self.get(record_id)
        self._context.require_right(record.address, Operation.RESTORE_ACCOUNT)
        if fields or hashed:
            self._context.require_right(record.address, Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS))
        with self._ledger.db.reading() as connection:
            snapshot = self._ledger.snapshot(connection, record)
        if not record.restorable and hashed is None:
            raise without_password(record)
        restoration = Restoration(self._context, record, snapshot, hashed)
        # The domains are locked before the record, as by those who delete. The record goes last: an account that lives
        # with its record is not purged, and the same call finishes its restore.
        with restoration.locked() as locks:
            with self._context.changing(record.address) as changes, self._ledger.db.writing() as tx:
                if self._ledger.lock(tx, record_id) != record:
                    raise Conflict(f"record {record_id} was changed meanwhile; try again", subject=record.address)
                restoration.run(changes, locks)
            with self._ledger.db.writing() as tx:
                self._ledger.drop(tx, [record_id])
                if record.domain_record and self._ledger.domains is not None:
                    self._ledger.domains.drop_ended(tx)
        if fields or hashed:
            return self._accounts.update(record.address, password=password, password_hash=password_hash, **fields)
        return self._accounts.get(record.address)

    def restore_domain(self, domain: str) -> Domain:
        found, records = self._last_deleted(domain)
        name = found.domain
        self._context.require_right(name, Operation.RESTORE_DOMAIN)
        with NameSpace(self._context).lock_domain_names():
            # As for a single account: the records go last, and the same call finishes what was interrupted.
            with self._context.changing(name) as changes, self._ledger.db.writing() as tx:
                kept = records.lock(tx, found.id)
                if kept is None:
                    raise NotFound(f"the record of the deleted domain {name} is gone", subject=name)
                mailboxes = self._ledger.of_domain(tx, found.id)
                restoration = DomainRestoration(self._context, found, kept, mailboxes)
                restoration.run(changes)
            with self._ledger.db.writing() as tx:
                self._ledger.drop(tx, [mailbox.id for mailbox, _ in mailboxes])
                records.drop(tx, found.id)
            restoration.unmark()
        return Domains(self._context).get(name)

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        record = self.get(record_id)
        self._context.require_right(record.address, *deletion(Operation.RESCHEDULE, keep_mailbox_days))
        if self._context.actor:
            with self._ledger.db.reading() as connection:
                snapshot = self._ledger.snapshot(connection, record)
            Restoration(self._context, record, snapshot, None).refuse_stronger()
        return super().reschedule(record_id, keep_mailbox_days=keep_mailbox_days)

    def _require(self, *operations: Operation) -> None:
        if self._context.actor:
            self._context.actor.require_anywhere("deleted mailboxes", *operations)

    def _sees(self, domain: ColumnElement[Any]) -> ColumnElement[bool]:
        actor = self._context.actor
        if actor is None or actor.is_global():
            return true()
        return domain.in_(actor.managed())
