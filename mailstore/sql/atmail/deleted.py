"""Records of deleted mailboxes, in mailstore's own tables: who may see them, and how an account comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from mailstore.address import domain_part, held_address, local_part
from mailstore.driver.names import Spellings, plain_local_part
from mailstore.driver.rights import Operation, deletion
from mailstore.driver.secret import Secret, make_secret
from mailstore.model import DeletedMailbox, Domain
from mailstore.purge import find_mail
from mailstore.sql.atmail.accounts.collection import Accounts
from mailstore.sql.atmail.accounts.creation import SALT_BYTES
from mailstore.sql.atmail.accounts.new import NewAccount
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.domain_records import DomainRestoration
from mailstore.sql.atmail.domains import Domains
from mailstore.sql.atmail.expansions import Expansions
from mailstore.sql.atmail.homes import column_text
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.records import Retention
from mailstore.sql.atmail.schema.units import to_local
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import SQLMailboxes
from mailstore.sql.snapshots import Restored, unpacked

__all__ = ["DeletedMailboxes"]

Row = Mapping[str, Any]


@repeating
class DeletedMailboxes(SQLMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        super().__init__(context.ledger, accounts)
        self._context = context

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        found = self.get(record_id)
        with self._context.writing(found.address, deletion(Operation.RESCHEDULE, keep_mailbox_days), found.domain):
            return super().reschedule(record_id, keep_mailbox_days=keep_mailbox_days)

    def restore_domain(self, domain: str) -> Domain:
        found, records = self._last_deleted(domain)
        name = found.domain
        domains = Domains(self._context)
        with self._context.writing(name, Operation.RESTORE_DOMAIN) as tx:
            kept, mailboxes = self._take_domain(tx, found, records)
            restoration = DomainRestoration(self._context, tx, found, kept, mailboxes)
            restoration.run(domains.bring_back(tx, restoration.names, restoration.row))
            return domains.get(name)

    def _sees(self, domain: ColumnElement[Any]) -> ColumnElement[bool]:
        return self._context.visible_name(domain)

    def _require(self, *operations: Operation) -> None:
        with self._context.reading(operations):
            pass

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        config = self._context.config
        return make_secret(
            config.password_scheme, password, password_hash, reader=config.password_reader, salt_bytes=SALT_BYTES
        )

    def _restoring(self, record: DeletedMailbox) -> AbstractContextManager[Transaction]:
        return self._context.writing(record.domain, Operation.RESTORE_ACCOUNT, record.domain)

    def _bring_back(self, tx: Transaction, record: DeletedMailbox, snapshot: str | None, secret: Secret | None) -> None:
        _Restoration(self._context, tx, record, snapshot).run(secret)


class _Restoration:
    """One restore, within the transaction that has the record locked."""

    def __init__(self, context: Context, tx: Transaction, record: DeletedMailbox, snapshot: str | None) -> None:
        self._context = context
        self._tx = tx
        self._record = record
        self._parts: dict[str, list[dict[str, Any]]] = unpacked(snapshot)
        self._restored = Restored(context.db, tx)
        self._names = NameSpace(context)
        self._expansions = Expansions(context)
        self._aliases = context.table("aliases")

    def run(self, hashed: Secret | None) -> None:
        """Insert the account and what belongs to it. `hashed` is the password if there is no snapshot."""
        address, tx = self._record.address, self._tx
        number = self._names.lock_domain(tx, domain_part(address))
        self._names.refuse_taken(tx.connection, address)
        row = self._account_row(number, hashed)
        if self._context.actor:
            quota = row[self._called["quota"]]
            self._context.actor.check_limits(tx, adding=1, quota=quota)
        self._check_home()
        self._restored.insert(self._context.table("accounts"), row)
        self._insert_aliases(self._parts.get("forwarding", []))
        pointers = self._parts.get("pointers", [])
        self._insert_aliases(row for row in pointers if row["_alone"] and self._fits(row))
        spellings = self._names.spellings(tx.connection, [address])
        others = (self._respelt(row, spellings) for row in pointers if not row["_alone"] and self._fits(row))
        self._insert_aliases(row for row in others if row is not None)
        self._restored.tell(address)

    @cached_property
    def _called(self) -> Mapping[str, str]:
        """The names of the columns of accounts on this server."""
        return {key: found.name for key, found in self._context.table("accounts").c.items()}

    def _account_row(self, domain_id: int, hashed: Secret | None) -> dict[str, Any]:
        stored = self._parts.get("account")
        if stored:
            # A domain of that name may have another number by now, and somebody may have the account's number.
            row = {**stored[0], self._called["domainId"]: domain_id}
            return {
                name: value for name, value in row.items() if name != self._called["accountId"] or self._is_free(value)
            }
        new = NewAccount.parse(self._context, self._record.address, hashed, {}, named=held_address)
        known = new.row | {"domainId": domain_id, "homeDir": column_text(self._record.home)}
        return {self._called[key]: value for key, value in known.items() if key in self._called}

    def _is_free(self, account_id: int) -> bool:
        columns = self._context.table("accounts").c
        return self._tx.execute(select(columns.accountId).where(columns.accountId == account_id)).first() is None

    def _check_home(self) -> None:
        """Make sure that the mail is there, and that nobody else's is, nor at, in or above it."""
        Retention(self._context).refuse_used_homes(self._tx, [self._record.home], restoring=self._record.id)
        find_mail(self._context.homes, self._record)

    def _fits(self, row: Row) -> bool:
        """Tell whether a row that led to the account may come back: nobody else has taken the name meanwhile.

        An alias of the account alone needs a free name; one with other members must still be there, and older than the
        deletion; a forwarding of another account needs that account, which must be as old.
        """
        name = str(row[self._aliases.c.AliasName.name])
        if row["_alone"]:
            return self._is_free_alias(name)
        accounts, columns = self._context.table("accounts").c, self._aliases.c
        is_account: Any = select(accounts.accountId).where(accounts.username == name)
        present: Any = select(columns.id).where(columns.AliasName == name)
        if self._record.deleted:
            deleted = to_local(self._record.deleted)
            if "dateCreate" in accounts:
                is_account = is_account.where(or_(accounts.dateCreate.is_(None), accounts.dateCreate <= deleted))
            if "DateCreate" in columns:
                present = present.where(columns.DateCreate <= deleted)
        return bool(self._tx.execute(is_account).first() or self._tx.execute(present).first())

    def _respelt(self, row: Row, spellings: Spellings) -> Row | None:
        """Return a row as it leads to the account now; None if it led to an alias that somebody else has by now."""
        column, address = self._aliases.c.AliasTo.name, self._record.address
        target = str(row[column])
        if spellings.meant(target):
            return row
        if plain_local_part(target) != local_part(address):
            return None
        return {**row, column: f"{local_part(target)}@{domain_part(address)}"}  # its alias domain is gone

    def _is_free_alias(self, name: str) -> bool:
        owner = self._names.owners(self._tx.connection, [domain_part(name)]).get(domain_part(name))
        if owner is None:
            return False
        names = self._names.all_names(self._tx.connection, {name: owner})[name]
        return not self._names.taken(self._tx.connection, names)

    def _insert_aliases(self, rows: Iterable[Row]) -> None:
        key = self._aliases.c.id.name
        for row in rows:
            kept = {name: value for name, value in row.items() if name != "_alone"}
            self._restored.insert(self._aliases, kept, without=(key,))
