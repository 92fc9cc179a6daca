"""Records of deleted domains: what a domain had besides its mailboxes, until the last of them is purged or restored.

They stand in the table that keeps what is beside records, under negative numbers: no right is needed that a store's account
has not got. A domain is one row, and more where its text is long; its mailboxes' rows name it as their ``domain_record``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, insert, or_, select

from mailstore.driver.values import now
from mailstore.model import DeletedDomain
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.moments import known

__all__ = ["DomainRecords"]

_LOCK = "deleted domains"
_CHUNK = 400_000  # characters: servers take statements of a megabyte and more


class DomainRecords:
    """The deleted domains of one database."""

    def __init__(self, db: Database, records: Table, beside: Table) -> None:
        self._db = db
        self._table = beside
        self._own: Any = beside.c
        self.name: ColumnElement[Any] = beside.c.username
        """The column with the name of the domain."""
        mailbox: Any = beside.alias("of_domain").c
        self._header = and_(self._own.record_id < 0, self._own.record_id == self._own.domain_record)
        self._has_mailboxes = exists().where(
            mailbox.domain_record == self._own.record_id, mailbox.record_id == records.c.id
        )

    def new_number(self, tx: Transaction) -> int:
        """Return the number for a domain that is about to be deleted; nobody else gets it before this transaction ends."""
        self._db.lock_name(tx, _LOCK)
        least = tx.execute(select(func.min(self._own.record_id))).scalar()
        return min(least or 0, 0) - 1

    def add(self, tx: Transaction, number: int, domain: str, due: date, by: str, accounts: int, kept: str) -> None:
        """Record a domain under its number, with what is kept of it. `accounts` is how many mailboxes were recorded."""
        chunks = [kept[start : start + _CHUNK] for start in range(0, len(kept), _CHUNK)]
        rows = [
            {
                "record_id": number - place, "domain_record": number, "snapshot": chunk, "error": "",
                "username": domain, "timestamp": now(), "delete_date": due, "admin": by, "accounts": accounts,
            }
            for place, chunk in enumerate(chunks)
        ]  # fmt: skip
        tx.execute(insert(self._table), rows)

    def list(self, condition: ColumnElement[bool]) -> Iterator[DeletedDomain]:
        """Iterate over the records that meet a condition, the latest first."""
        own = self._own
        columns = (own.record_id, own.username, own.timestamp, own.delete_date, own.admin, own.accounts)
        query = select(*columns).where(self._header, condition).order_by(own.record_id)
        with self._db.reading() as connection:
            rows = connection.execute(query).all()
        for number, domain, deleted, due, by, accounts in rows:
            yield DeletedDomain(-number, domain, known(deleted), by or "", known(due), accounts or 0)

    def lock(self, tx: Transaction, record_id: int) -> str | None:
        """Return what is kept of a domain, and keep everybody else from restoring it; None if the record is gone."""
        own = self._own
        query = select(own.snapshot).where(own.domain_record == -record_id, own.record_id < 0)
        chunks: Sequence[str] = tx.execute(query.order_by(own.record_id.desc()).with_for_update()).scalars().all()
        return "".join(chunks) or None

    def drop(self, tx: Transaction, record_id: int) -> None:
        """Remove a record."""
        tx.execute(delete(self._table).where(self._own.domain_record == -record_id, self._own.record_id < 0))

    def drop_ended(self, tx: Transaction) -> None:
        """Remove the records of domains of whose mailboxes none is left; of one that had none, when it is due."""
        own = self._own
        ended = or_(own.accounts > 0, own.delete_date <= datetime.now(UTC).date())
        query = select(own.record_id).where(self._header, ended, ~self._has_mailboxes)
        for number in tx.execute(query).scalars().all():
            self.drop(tx, -number)
