"""Records of deleted mailboxes in `deleted_mailboxes`: list, restore, and claim them for the purge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, TypeAlias, Unpack

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, true, update

from mailstore import store
from mailstore.address import any_address, domain_name
from mailstore.errors import InvalidValue, NotFound, NotSupported
from mailstore.fields import AccountFields, reject_unknown
from mailstore.model import Account, DeletedMailbox
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts import Accounts
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.new_account import secret
from mailstore.sql.iredmail.restoration import Restoration
from mailstore.sql.iredmail.retention import record_of, record_query
from mailstore.sql.iredmail.tables import OWN_TABLE
from mailstore.sql.iredmail.values import due_date
from mailstore.sql.paging import pages

__all__ = ["DeletedMailboxes"]

Conditions: TypeAlias = "list[ColumnElement[bool]]"  # `list` is the name of a method below
_PAGE = 500
_ERROR_LENGTH = 1000


class DeletedMailboxes(store.DeletedMailboxes):
    """See `mailstore.store.DeletedMailboxes`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts
        self._table = context.table("deleted_mailboxes")
        self._own = context.table(OWN_TABLE) if context.schema.has(OWN_TABLE) else None

    def list(
        self, *, domain: str | None = None, address: str | None = None, due: date | None = None
    ) -> Iterator[DeletedMailbox]:
        query = self._query().where(self._condition(domain, address, due)).order_by(self._table.c.id).limit(_PAGE)

        def fetch(after: int) -> Sequence[DeletedMailbox]:
            with self._context.reading() as connection:
                return [record_of(row) for row in connection.execute(query.where(self._table.c.id > after)).mappings()]

        for page in pages(fetch, lambda record: record.id, start=0, size=_PAGE):
            yield from page

    def count(self, *, domain: str | None = None, address: str | None = None, due: date | None = None) -> int:
        query = select(func.count()).select_from(self._table).where(self._condition(domain, address, due))
        with self._context.reading() as connection:
            return connection.execute(query).scalar_one()

    def get(self, record_id: int) -> DeletedMailbox:
        query = self._query().where(self._table.c.id == record_id, self._visible())
        with self._context.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no record {record_id} of a deleted mailbox", subject=str(record_id))
        return record_of(row)

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        due = None if keep_mailbox_days is None else due_date(keep_mailbox_days)
        with self._context.writing(self.get(record_id).domain) as tx:
            self._lock(tx, record_id)
            tx.execute(update(self._table).where(self._table.c.id == record_id).values(delete_date=due))
            return self.get(record_id)

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
            record = self._lock(tx, record_id)
            snapshot = self._snapshot(tx, record_id)
            if snapshot is None and hashed is None:
                raise InvalidValue(
                    f"record {record_id} knows only where the mail of {record.address} is; give a password to restore it",
                    subject=record.address,
                )
            Restoration(self._context, tx, record, snapshot).run(hashed)
            self._drop(tx, [record_id])
            if fields or hashed:
                return self._accounts.update(record.address, password=password, password_hash=password_hash, **fields)
            return self._accounts.get(record.address)

    @contextmanager
    def claim(self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()) -> Iterator[store.Claim]:
        if self._context.db.in_transaction:
            raise NotSupported("no purge within a transaction: that could still be undone, the removal not")
        with self._context.db.writing() as tx:
            query = self._query().where(self._condition(None, None, today), self._table.c.id > after)
            if below:
                query = query.where(or_(*(self._below(root) for root in below)))
            skip = self._context.db.can_skip_locked
            locked = query.order_by(self._table.c.id).limit(limit).with_for_update(skip_locked=skip, of=self._table)
            yield _Claim(self, tx, [record_of(row) for row in tx.execute(locked).mappings()])

    def note_failure(self, record_id: int, reason: str) -> None:
        if self._own is None:
            return
        values = {"error": reason[:_ERROR_LENGTH]}
        with self._context.db.writing() as tx:
            tx.execute(update(self._own).where(self._own.c.record_id == record_id).values(values))

    def _drop(self, tx: Transaction, record_ids: Sequence[int]) -> None:
        tx.execute(delete(self._table).where(self._table.c.id.in_(record_ids)))
        if self._own is not None:
            tx.execute(delete(self._own).where(self._own.c.record_id.in_(record_ids)))

    def _lock(self, tx: Transaction, record_id: int) -> DeletedMailbox:
        query = self._query().where(self._table.c.id == record_id).with_for_update(of=self._table)
        row = tx.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no record {record_id} of a deleted mailbox any more", subject=str(record_id))
        return record_of(row)

    def _snapshot(self, tx: Transaction, record_id: int) -> str | None:
        if self._own is None:
            return None
        return tx.execute(select(self._own.c.snapshot).where(self._own.c.record_id == record_id)).scalar()

    def _query(self) -> Select[Any]:
        return record_query(self._context)

    def _below(self, root: str) -> ColumnElement[bool]:
        # Records may spell the path with double slashes and upper case (dossier 2.7); both are gone on disk.
        path = func.replace(func.replace(func.lower(self._table.c.maildir), "//", "/"), "//", "/")
        return path.startswith(f"{root}/", autoescape=True)

    def _visible(self) -> ColumnElement[bool]:
        actor = self._context.actor
        return actor.visible(self._table.c.domain) if actor else true()

    def _condition(self, domain: str | None, address: str | None, due: date | None) -> ColumnElement[bool]:
        conditions: Conditions = [self._visible()]
        if domain is not None:
            conditions.append(self._table.c.domain == domain_name(domain))
        if address is not None:
            conditions.append(self._table.c.username == any_address(address))
        if due is not None:
            conditions.append(self._table.c.delete_date <= due)  # never true for an undated record
        return and_(*conditions)


class _Claim:
    """See `mailstore.store.Claim`."""

    def __init__(self, deleted: DeletedMailboxes, tx: Transaction, records: Sequence[DeletedMailbox]) -> None:
        self._deleted = deleted
        self._tx = tx
        self.records = records

    def forget(self, record: DeletedMailbox) -> None:
        self._deleted._drop(self._tx, [record.id])
