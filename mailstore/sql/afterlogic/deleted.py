"""Records of deleted mailboxes, and how an account comes back."""

from __future__ import annotations

from typing import Unpack

from sqlalchemy import ColumnElement, true

from mailstore.errors import InvalidValue
from mailstore.fields import AccountFields, reject_unknown
from mailstore.model import Account, DeletedMailbox
from mailstore.sql.afterlogic.accounts import Accounts
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.creation import Creation
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.new_account import NewAccount
from mailstore.sql.afterlogic.restoration import Restoration
from mailstore.sql.ledger import LedgerMailboxes

__all__ = ["DeletedMailboxes"]


class DeletedMailboxes(LedgerMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts, names: NameSpace, server: MailServer) -> None:
        super().__init__(context.require_ledger())
        self._context = context
        self._accounts = accounts
        self._names = names
        self._server = server

    def restore(
        self,
        record_id: int,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        reject_unknown(fields, AccountFields)
        with self._context.db.writing(self.get(record_id).address) as tx:
            record = self._ledger.lock(tx, record_id)
            snapshot = self._ledger.snapshot(tx, record_id)
            restoration = Restoration(self._context, tx, record, self._names, self._server)
            self._ledger.drop(tx, [record_id])
            if snapshot is not None:
                restoration.run(snapshot)
                return self._accounts.update(record.address, password=password, password_hash=password_hash, **fields)
            self._require_password(record, password, password_hash)
            restoration.find_mail()
            new = NewAccount.parse(record.address, password, password_hash, fields)
            Creation(self._context, self._names, self._server).one(tx, new, restoring=True)
            return self._accounts.get(record.address)

    @staticmethod
    def _require_password(record: DeletedMailbox, password: str | None, password_hash: str | None) -> None:
        if password is None and password_hash is None:
            raise InvalidValue(
                f"record {record.id} knows only where the mail of {record.address} is; give a password to restore it",
                subject=record.address,
            )

    def _visible(self) -> ColumnElement[bool]:
        return true()
