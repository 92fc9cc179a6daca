"""Records of deleted mailboxes, and how an account comes back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, true

from mailstore.driver.secret import Secret
from mailstore.model import DeletedMailbox, Domain
from mailstore.sql.afterlogic.accounts.collection import Accounts
from mailstore.sql.afterlogic.accounts.creation import Creation
from mailstore.sql.afterlogic.accounts.new import NewAccount, stored_password
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.deleted.restoration import Restoration
from mailstore.sql.afterlogic.domain_records import DomainRestoration
from mailstore.sql.afterlogic.domains import Domains
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import SQLMailboxes

__all__ = ["DeletedMailboxes"]


@repeating
class DeletedMailboxes(SQLMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(
        self, context: Context, accounts: Accounts, domains: Domains, names: NameSpace, server: MailServer
    ) -> None:
        super().__init__(context.require_ledger(), accounts)
        self._domains = domains
        self._context = context
        self._names = names
        self._server = server

    def restore_domain(self, domain: str) -> Domain:
        found, records = self._last_deleted(domain)
        with self._context.db.writing(found.domain) as tx:
            kept = self._take_domain(tx, found, records)
            DomainRestoration(self._context, tx, found, kept, self._names, self._server).run()
            return self._domains.get(found.domain)

    def _sees(self, domain: ColumnElement[Any]) -> ColumnElement[bool]:  # noqa: ARG002 there are no acting admins
        return true()

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        stored = stored_password(password, password_hash)
        return None if stored is None else Secret(stored, password)

    def _restoring(self, record: DeletedMailbox) -> AbstractContextManager[Transaction]:
        return self._context.db.writing(record.address)

    def _bring_back(self, tx: Transaction, record: DeletedMailbox, snapshot: str | None, secret: Secret | None) -> None:
        restoration = Restoration(self._context, tx, record, self._names, self._server)
        if snapshot is not None:
            restoration.run(snapshot)
        elif secret is not None:
            restoration.find_mail()
            new = NewAccount.parse(record.address, secret.hash, {}, restored=True)
            Creation(self._context, self._names, self._server).one(tx, new, restoring=True)
