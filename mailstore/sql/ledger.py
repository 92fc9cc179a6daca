"""Records of deleted mailboxes in SQL tables: those of iRedMail, or mailstore's own where a store has none.

Two tables: the records, in the shape of iRedMail's ``deleted_mailboxes``, and beside them what that has no room for: a
snapshot of the account for a complete restore, and why a purge failed. Servers without the second table lack just that.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from operator import eq
from typing import Any, TypeAlias, Unpack

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    true,
    update,
)

from mailstore import store
from mailstore.address import held_address, held_domain, spellings
from mailstore.disk.neighbours import Place
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.driver.values import due_date, now
from mailstore.errors import InvalidValue, NotFound, NotSupported
from mailstore.fields import AccountFields, reject_unknown
from mailstore.model import Account, DeletedDomain, DeletedMailbox, Finding, Usage
from mailstore.sql.domain_records import DomainRecords
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.moments import ERA, known
from mailstore.sql.own_tables import ERROR_LENGTH
from mailstore.sql.paging import pages
from mailstore.sql.paths import is_below

__all__ = ["Ledger", "LedgerMailboxes", "NewRecord", "SQLMailboxes", "without_password"]

Conditions: TypeAlias = "list[ColumnElement[bool]]"
_PAGE = 500
_PLACES_PAGE = 20_000
_NOTHING = Usage(0, 0)
_START = datetime(ERA.year, ERA.month, ERA.day)  # noqa: DTZ001 naive UTC, as everywhere in stores
_END = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 likewise
_SLASHES = re.compile("/+")
_ESCAPING = re.compile(r"[^a-z0-9@.]")


@dataclass(frozen=True)
class NewRecord:
    """A mailbox to be recorded. ``snapshot`` is whatever the driver needs to bring the account back, as text."""

    address: str
    domain: str
    home: str
    due: date
    deleted_by: str = ""
    usage: Usage = _NOTHING
    snapshot: str | None = None
    domain_record: int | None = None


class Ledger:
    """The records of one database."""

    def __init__(self, db: Database, records: Table, beside: Table | None) -> None:
        self.db = db
        self.records = records
        self.beside = beside
        self.binds = beside is not None and "username" in beside.c

    def add(self, tx: Transaction, new: Sequence[NewRecord]) -> list[DeletedMailbox]:
        """Write records, with a number of statements that does not depend on how many. Returns them by rising id.

        The caller sees to it that nobody else records the same addresses at the same time.
        """
        if not new:
            return []
        moment, (before, last_kept) = now(), tx.execute(self._last_numbers).one()
        before = before or 0
        made = self._insert(tx, [self._row(record, moment) for record in new], before)
        snapshots = {record.address: record.snapshot for record in new if record.snapshot is not None}
        if self.beside is None or not snapshots:
            return made
        domain_records = {record.address: record.domain_record for record in new}
        kept = [record for record in made if record.address in snapshots]
        if last_kept is not None and last_kept > before:
            # Numbers started again, since another tool has emptied the table: what was kept under these is nobody's.
            tx.execute(delete(self.beside).where(self.beside.c.record_id.in_([record.id for record in kept])))
        rows_beside = [
            {
                "record_id": record.id, "snapshot": snapshots[record.address], "username": record.address,
                "timestamp": moment, "domain_record": domain_records[record.address],
            }
            for record in kept
        ]  # fmt: skip
        tx.execute(insert(self.beside), [self._present(row) for row in rows_beside])
        return [
            replace(record, restorable=True, domain_record=domain_records[record.address] if self.binds else None)
            if record.address in snapshots
            else record
            for record in made
        ]

    def _insert(self, tx: Transaction, rows: Sequence[dict[str, Any]], before: int) -> list[DeletedMailbox]:
        """Insert records, whose numbers will be above `before`, and return them by rising id."""
        if len(rows) == 1:
            values = {"bytes": 0, "messages": 0, **rows[0]}
            if self.db.kind == "postgresql":
                number = tx.execute(insert(self.records).returning(self.records.c.id), rows[0]).scalar_one()
            else:
                number = tx.execute(insert(self.records), rows[0]).lastrowid
            return [_record({**values, "id": number})]
        tx.execute(insert(self.records), rows)
        mine = self.records.c.username.in_([row["username"] for row in rows]), self.records.c.id > before
        found = tx.execute(self._query.where(*mine).order_by(self.records.c.id)).mappings()
        return [_record(row) for row in found]

    def select(self, condition: ColumnElement[bool], after: int = 0) -> Iterator[DeletedMailbox]:
        """Iterate over the records with an id above `after` that meet a condition, by rising id."""
        query = self._query.where(condition).order_by(self.records.c.id).limit(_PAGE)

        def fetch(last: int) -> Sequence[DeletedMailbox]:
            with self.db.reading() as connection:
                rows = connection.execute(query.where(self.records.c.id > last)).mappings()
                return [_record(row) for row in rows]

        for page in pages(fetch, lambda record: record.id, start=after, size=_PAGE):
            yield from page

    def count(self, condition: ColumnElement[bool]) -> int:
        """Return how many records meet a condition."""
        with self.db.reading() as connection:
            return connection.execute(select(func.count()).select_from(self.records).where(condition)).scalar_one()

    def get(self, record_id: int, visible: ColumnElement[bool]) -> DeletedMailbox:
        """Return one record. Raises NotFound."""
        with self.db.reading() as connection:
            row = connection.execute(self._query.where(self.records.c.id == record_id, visible)).mappings().first()
        if row is None:
            raise NotFound(f"there is no record {record_id} of a deleted mailbox", subject=str(record_id))
        return _record(row)

    def lock(self, tx: Transaction, record_id: int) -> DeletedMailbox:
        """Return one record and keep everybody else from changing it. Raises NotFound."""
        query = self._query.where(self.records.c.id == record_id).with_for_update(of=self.records)
        row = tx.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no record {record_id} of a deleted mailbox any more", subject=str(record_id))
        return _record(row)

    def lock_due(self, tx: Transaction, condition: ColumnElement[bool], limit: int) -> list[DeletedMailbox]:
        """Lock up to `limit` records that meet a condition, passing over those that somebody else has locked."""
        query = self._query.where(condition).order_by(self.records.c.id).limit(limit)
        locked = query.with_for_update(skip_locked=self.db.can_skip_locked, of=self.records)
        return [_record(row) for row in tx.execute(locked).mappings()]

    def snapshot(self, connection: Connection, record: DeletedMailbox) -> str | None:
        """Return what was kept of the account of a record, if anything was."""
        if self.beside is None:
            return None
        query = select(self.beside.c.snapshot).join(self.records, self._bound).where(self.records.c.id == record.id)
        text = connection.execute(query).scalar()
        # What an early version kept says for itself whose it is.
        return text if text and _names_it(text, record.address) else None

    def set_due(self, tx: Transaction, record_id: int, due: date | None) -> None:
        """Give a record another day; None is never."""
        tx.execute(update(self.records).where(self.records.c.id == record_id).values(delete_date=due))

    def note_failure(self, record_id: int, reason: str) -> None:
        """Keep why a purge failed, if there is a place for it."""
        if self.beside is None:
            return
        values = {"error": reason[:ERROR_LENGTH]}
        with self.db.writing() as tx:
            tx.execute(update(self.beside).where(self.beside.c.record_id == record_id).values(values))

    def drop(self, tx: Transaction, record_ids: Sequence[int]) -> None:
        """Remove records with what is beside them."""
        tx.execute(delete(self.records).where(self.records.c.id.in_(record_ids)))
        if self.beside is not None:
            tx.execute(delete(self.beside).where(self.beside.c.record_id.in_(record_ids)))

    @cached_property
    def domains(self) -> DomainRecords | None:
        """The records of deleted domains; None without a table that has room for them."""
        if self.beside is None or not self.binds:
            return None
        return DomainRecords(self.db, self.records, self.beside)

    def of_domain(self, tx: Transaction, domain_record: int) -> list[tuple[DeletedMailbox, str]]:
        """Lock the records of the mailboxes that went with a domain, and return them with what was kept of each."""
        own: Any = self.beside.c if self.beside is not None else None
        query = self._query.add_columns(own.snapshot).where(own.domain_record == -domain_record, own.record_id > 0)
        locked = query.order_by(self.records.c.id).with_for_update(of=self.records)
        return [(_record(row), str(row["snapshot"])) for row in tx.execute(locked).mappings()]

    def drop_orphans(self, tx: Transaction) -> None:
        """Remove what is beside records that another tool has removed: with hashes of passwords in it."""
        if self.beside is None:
            return
        orphans = self._orphans.with_only_columns(self.beside.c.record_id)
        found = tx.execute(orphans).scalars().all()
        if found:
            # A new record may get the number of one of them now; whoever writes it waits, or is waited for, here.
            of_these = self.beside.c.record_id.in_(found)
            tx.execute(select(self.beside.c.record_id).where(of_these).with_for_update())
            left = tx.execute(orphans.where(of_these)).scalars().all()
            tx.execute(delete(self.beside).where(self.beside.c.record_id.in_(left)))

    def findings(self) -> Iterator[Finding]:
        """Iterate over what is left of records that another tool has removed."""
        if self.beside is None:
            return
        with self.db.reading() as connection:
            rows = connection.execute(self._orphans.order_by(self.beside.c.record_id.desc())).all()
        for number, address in rows:
            message = f"{self.beside.name} keeps this account, with its password, for record {number} that is no more"
            yield Finding("left-over", address or str(number), f"{message}; the next purge removes it")

    def known_names(self, connection: Connection, addresses: Iterable[str]) -> set[str]:
        """Return those of `addresses` that a record is there for."""
        return set(connection.execute(self._known_names, {"addresses": list(addresses)}).scalars())

    def owner_of(self, connection: Connection, spellings: Iterable[str]) -> str | None:
        """Return the deleted account whose record has one of these `spellings` of a home."""
        path = func.lower(self.records.c.maildir)
        return connection.execute(select(self.records.c.username).where(path.in_(list(spellings)))).scalar()

    def places(self, *, but: int | None = None) -> Iterator[Place]:
        """Iterate over the homes of all records, whoever may see them, without the record `but`, if any."""
        columns = self.records.c
        query = select(columns.id, columns.username, columns.maildir).order_by(columns.id).limit(_PLACES_PAGE)

        def fetch(after: int) -> Sequence[Any]:
            with self.db.reading() as connection:
                return connection.execute(query.where(columns.id > after)).all()

        for page in pages(fetch, lambda row: int(row.id), start=0, size=_PLACES_PAGE):
            yield from (
                Place(row.maildir, row.username, row.id) for row in page if row.maildir.strip("/") and row.id != but
            )

    def below(self, root: str) -> ColumnElement[bool]:
        """Return the condition that the home lies under a directory."""
        return is_below(self.records.c.maildir, root)

    @property
    def nameless(self) -> ColumnElement[bool]:
        """The condition that a record names no mailbox."""
        return self.records.c.maildir.in_(("", "/"))

    def _row(self, record: NewRecord, moment: datetime) -> dict[str, Any]:
        values = {
            "timestamp": moment, "username": record.address, "domain": record.domain, "delete_date": record.due,
            "maildir": record.home, "admin": record.deleted_by,
        }  # fmt: skip
        if "bytes" in self.records.c:  # iRedMail's tables have them since 1.7.3
            values |= {"bytes": record.usage.bytes, "messages": record.usage.messages}
        return values

    def _present(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what a table of an early version has no column for."""
        return {name: value for name, value in row.items() if self.beside is not None and name in self.beside.c}

    @cached_property
    def _last_numbers(self) -> Select[Any]:
        kept: Any = null() if self.beside is None else select(func.max(self.beside.c.record_id)).scalar_subquery()
        return select(func.max(self.records.c.id), kept)

    @cached_property
    def _bound(self) -> ColumnElement[bool]:
        """The condition that a row beside belongs to the record of its number, not to an earlier one of that number."""
        records, own = self.records.c, self.beside.c if self.beside is not None else self.records.c
        if not self.binds:
            return own.record_id == records.id
        # The collations of both tables may differ. A record with a zero date, or a time without end, has lost its own.
        names = (
            cast(name, LargeBinary) if self.db.kind == "mysql" else name for name in (own.username, records.username)
        )
        lost = or_(records.timestamp < _START, records.timestamp > _END)
        same = and_(eq(*names), or_(own.timestamp == records.timestamp, lost))
        return and_(own.record_id == records.id, or_(own.username.is_(None), same))

    @cached_property
    def _orphans(self) -> Select[Any]:
        own: Any = self.beside.c if self.beside is not None else None
        name: Any = own.username if self.binds else null()
        gone = ~exists(select(self.records.c.id).where(self._bound))
        return select(own.record_id, name).where(own.record_id > 0, gone)

    @cached_property
    def _known_names(self) -> Select[Any]:
        username = self.records.c.username
        return select(username).where(username.in_(bindparam("addresses", expanding=True)))

    @cached_property
    def _query(self) -> Select[Any]:
        table = self.records
        usage = ("bytes", "messages")
        counts = [table.c[name] if name in table.c else null().label(name) for name in usage]
        names = ("id", "timestamp", "username", "domain", "maildir", "admin", "delete_date")
        columns = [*(table.c[name] for name in names), *counts]
        if self.beside is None:
            return select(*columns)
        own = self.beside
        columns += [own.c.record_id, own.c.error, *([own.c.domain_record] if self.binds else [])]
        return select(*columns).outerjoin(own, self._bound)


def _record(row: Mapping[Any, Any]) -> DeletedMailbox:
    return DeletedMailbox(
        id=row["id"],
        address=row["username"],
        domain=row["domain"],
        home=_SLASHES.sub("/", row["maildir"].lower()).rstrip("/"),
        deleted=known(row["timestamp"]),
        deleted_by=row["admin"],
        due=known(row["delete_date"]),
        usage=Usage(row["bytes"] or 0, row["messages"] or 0),
        restorable=row.get("record_id") is not None,
        error=row.get("error") or "",
        domain_record=-row["domain_record"] if row.get("domain_record") else None,
    )


class LedgerMailboxes(store.DeletedMailboxes):
    """Everything of `mailstore.store.DeletedMailboxes` but `restore`, which only the driver of a schema knows."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @abstractmethod
    def _sees(self, domain: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that the acting admin may see records of the domain that a column names."""

    def _require(self, *operations: Operation) -> None:
        """Raise PermissionDenied unless the acting admin may do these, at least to its own domains."""

    def list(
        self,
        *,
        domain: str | None = None,
        address: str | None = None,
        due: date | None = None,
        after: int = 0,
    ) -> Iterator[DeletedMailbox]:
        return self._ledger.select(self._condition(domain, address, due), _number(after))

    def count(self, *, domain: str | None = None, address: str | None = None, due: date | None = None) -> int:
        return self._ledger.count(self._condition(domain, address, due))

    def get(self, record_id: int) -> DeletedMailbox:
        return self._ledger.get(_number(record_id), self._sees(self._ledger.records.c.domain))

    def domains(self, *, domain: str | None = None) -> Iterator[DeletedDomain]:
        records = self._ledger.domains
        if records is None:
            return iter(())
        visible = self._sees(records.name)
        named = None if domain is None else records.name.in_(spellings(domain, held_domain(domain)))
        return records.list(visible if named is None else and_(visible, named))

    def _last_deleted(self, domain: str) -> tuple[DeletedDomain, DomainRecords]:
        """Return the latest record of a deleted domain, and where it is. Raises NotFound, PermissionDenied."""
        self._require(Operation.RESTORE_DOMAIN)  # of whoever managed it, nothing is left that would say so
        found = next(self.domains(domain=domain), None)
        if found is None or self._ledger.domains is None:
            raise NotFound(f"there is no record of a deleted domain {domain}; create it anew", subject=domain)
        return found, self._ledger.domains

    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        due = None if keep_mailbox_days is None else due_date(keep_mailbox_days)
        self.get(record_id)
        with self._ledger.db.writing() as tx:
            self._ledger.lock(tx, record_id)
            self._ledger.set_due(tx, record_id, due)
            return self.get(record_id)

    def places(self) -> Iterator[Place]:
        return self._ledger.places()

    @contextmanager
    def claim(self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()) -> Iterator[store.Claim]:
        if self._ledger.db.in_transaction:
            raise NotSupported("no purge within a transaction: that could still be undone, the removal not")
        self._require(Operation.PURGE, *([Operation.DELETE_AT_ONCE] if today > datetime.now(UTC).date() else ()))
        condition = self._condition(None, None, today)
        if below:
            places = (self._ledger.below(root) for root in below)
            condition = and_(condition, or_(self._ledger.nameless, *places))
        with self._ledger.db.writing() as tx:
            if not after:
                self._ledger.drop_orphans(tx)
            if self._ledger.domains is not None:
                self._ledger.domains.drop_ended(tx)
            yield _Claim(self._ledger, tx, condition, after, limit)

    def note_failure(self, record_id: int, reason: str) -> None:
        self._ledger.note_failure(record_id, reason)

    def _condition(self, domain: str | None, address: str | None, due: date | None) -> ColumnElement[bool]:
        columns = self._ledger.records.c
        conditions: Conditions = [self._sees(columns.domain), true()]
        if domain is not None:
            conditions.append(columns.domain.in_(spellings(domain, held_domain(domain))))
        if address is not None:
            conditions.append(columns.username.in_(spellings(address, held_address(address))))
        if due is not None:
            if not isinstance(due, date):
                raise InvalidValue(f"due: a day is wanted, not {due!r}")
            day = columns.delete_date
            # Each side names the day, for its index. Without a mailbox there is nothing that "for ever" could keep.
            undated = or_(day.is_(None), day < ERA)
            conditions.append(or_(and_(day <= due, day >= ERA), and_(undated, self._ledger.nameless)))
        return and_(*conditions)


class SQLMailboxes(LedgerMailboxes):
    """Records beside accounts in the same database: an account comes back, and its record goes, in one transaction."""

    def __init__(self, ledger: Ledger, accounts: store.Accounts) -> None:
        super().__init__(ledger)
        self._accounts = accounts

    def _take_domain(
        self, tx: Transaction, found: DeletedDomain, records: DomainRecords
    ) -> tuple[str, list[tuple[DeletedMailbox, str]]]:
        """Drop the records of a deleted domain and its mailboxes, and return what was kept of it and of each of them.

        Raises NotFound if somebody else has restored it meanwhile.
        """
        kept = records.lock(tx, found.id)
        if kept is None:
            raise NotFound(f"the record of the deleted domain {found.domain} is gone", subject=found.domain)
        mailboxes = self._ledger.of_domain(tx, found.id)
        self._ledger.drop(tx, [mailbox.id for mailbox, _ in mailboxes])
        records.drop(tx, found.id)
        return kept, mailboxes

    @abstractmethod
    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        """Return what to store for the one of both that is given; None if neither is. Raises InvalidPassword."""

    @abstractmethod
    def _restoring(self, record: DeletedMailbox) -> AbstractContextManager[Transaction]:
        """Open the transaction of a restore, after checking that the acting admin may."""

    @abstractmethod
    def _bring_back(self, tx: Transaction, record: DeletedMailbox, snapshot: str | None, secret: Secret | None) -> None:
        """Insert the account and what belongs to it; `secret` is the password of one that has no `snapshot`."""

    def restore(
        self,
        record_id: int,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        reject_unknown(fields, AccountFields)
        # Hashing may take a quarter of a second: it is done before any lock is taken.
        secret = self._secret(password, password_hash)
        with self._restoring(self.get(record_id)) as tx:
            record = self._ledger.lock(tx, record_id)
            snapshot = self._ledger.snapshot(tx.connection, record)
            if snapshot is None and secret is None:
                raise without_password(record)
            self._ledger.drop(tx, [record_id])
            self._bring_back(tx, record, snapshot, secret)
            if record.domain_record and self._ledger.domains is not None:
                self._ledger.domains.drop_ended(tx)
            if fields or secret:
                return self._accounts.update(record.address, password=password, password_hash=password_hash, **fields)
            return self._accounts.get(record.address)


def without_password(record: DeletedMailbox) -> InvalidValue:
    """Return the error for a restore from a record that knows no password, when none is given."""
    return InvalidValue(
        f"record {record.id} knows only where the mail of {record.address} is; give a password to restore it",
        subject=record.address,
    )


class _Claim:
    """See `mailstore.store.Claim`."""

    def __init__(self, ledger: Ledger, tx: Transaction, condition: ColumnElement[bool], after: int, limit: int) -> None:
        self._ledger = ledger
        self._tx = tx
        self._condition = condition
        self.records: Sequence[DeletedMailbox] = self._lock(self._ledger.records.c.id > after, limit)

    def take(self, record_ids: Collection[int]) -> Sequence[DeletedMailbox]:
        return self._lock(self._ledger.records.c.id.in_(sorted(record_ids)), len(record_ids))

    def _lock(self, condition: ColumnElement[bool], limit: int) -> list[DeletedMailbox]:
        return self._ledger.lock_due(self._tx, and_(self._condition, condition), limit)

    def forget(self, record: DeletedMailbox) -> None:
        self._ledger.drop(self._tx, [record.id])

    def on_failure(self, undo: Callable[[], None]) -> None:
        self._tx.on_rollback(undo)


def _names_it(snapshot: str, address: str) -> bool:
    """Tell whether an address stands in a snapshot, where JSON and DNs may have escaped some of its characters."""
    text = _ESCAPING.sub("", snapshot.lower())
    return any(_ESCAPING.sub("", form.lower()) in text for form in (address, json.dumps(address)))


def _number(record_id: int) -> int:
    if not isinstance(record_id, int) or isinstance(record_id, bool):
        raise InvalidValue(f"a record is named by its number, not by {record_id!r}")
    return record_id
