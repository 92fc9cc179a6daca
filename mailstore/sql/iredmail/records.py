"""Records of mailboxes whose accounts go: `deleted_mailboxes`, and a snapshot of the account in mailstore's own table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any

from sqlalchemy import exists, null, select, union_all

from mailstore.disk.neighbours import Place, between, refuse_occupied, refuse_within
from mailstore.driver.names import Spellings
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.deleted.domain_snapshots import keep_domain
from mailstore.sql.iredmail.homes import HomeColumns, home_of
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import Found
from mailstore.sql.iredmail.schema.tables import OWN_TABLE
from mailstore.sql.iredmail.snapshots import take_snapshots
from mailstore.sql.ledger import Ledger, NewRecord
from mailstore.sql.paths import is_below, is_one_of
from mailstore.sql.snapshots import Row

__all__ = ["Retention", "ledger_of"]

_BATCH = 500
_SLASHES = re.compile("/+")
_HOME = ("storagebasedirectory", "storagenode", "maildir")
_MAILBOX_COLUMNS = ("username", "domain", *_HOME)


def ledger_of(context: Context) -> Ledger:
    """Return the records of a `vmail` database; the table beside them is optional."""
    beside = context.table(OWN_TABLE) if context.schema.has(OWN_TABLE) else None
    return Ledger(context.db, context.table("deleted_mailboxes"), beside)


class Retention:
    """Writes records, and tells which homes are spoken for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ledger = ledger_of(context)
        self._deleted = self._ledger.records
        self._mailbox = context.table("mailbox")
        self._names = NameSpace(context)

    def record(
        self,
        tx: Transaction,
        address: str,
        spellings: Spellings,
        due: date,
        found: Found,
        read: dict[str, Sequence[Row]],
    ) -> DeletedMailbox | None:
        """Record the mailbox of one account that is about to be deleted. Returns None if it has no home.

        `spellings` are those of the account's addresses, and `found` what `Cleanup.found` has found of them. `read` are its
        rows as `take_snapshots` takes them, that of ``mailbox`` among them, and gets the others if a snapshot is taken.
        """
        records = self._record(tx, [address], spellings, due, found=found, read=read)
        return records[0] if records else None

    def record_all(
        self, tx: Transaction, addresses: Sequence[str], spellings: Spellings, due: date, found: Found
    ) -> Sequence[DeletedMailbox]:
        """Record the mailboxes of several accounts likewise; those without a home have no record."""
        return self._record(tx, addresses, spellings, due, found=found)

    def record_domain(self, tx: Transaction, names: Sequence[str], due: date) -> int:
        """Record a domain that is about to be deleted with its mailboxes. Returns the number of its accounts.

        `names` are those of the domain, its own first.
        """
        domain, domains = names[0], self._ledger.domains
        number = None if domains is None else domains.new_number(tx)
        username = self._mailbox.c.username
        query = select(username).where(self._mailbox.c.domain == domain).order_by(username)
        accounts = tx.execute(query).scalars().all()
        recorded: list[str] = []
        for start in range(0, len(accounts), _BATCH):
            batch = accounts[start : start + _BATCH]
            made = self._record(tx, batch, self._names.spellings(tx.connection, batch), due, number)
            recorded += (record.address for record in made)
        if domains is not None and number is not None:
            kept = keep_domain(self._context, tx, names, recorded)
            domains.add(tx, number, domain, due, self._deleted_by, len(recorded), kept)
        return len(accounts)

    def _record(
        self,
        tx: Transaction,
        addresses: Sequence[str],
        spellings: Spellings,
        due: date,
        domain_record: int | None = None,
        found: Found | None = None,
        read: dict[str, Sequence[Row]] | None = None,
    ) -> list[DeletedMailbox]:
        """Record some accounts, with a number of statements that does not depend on how many they are."""
        rows = self._without_usage(found, read) or self._with_usage(tx, addresses)
        accounts = {row["username"]: row for row in rows if home_of(row)}
        if not accounts:
            return []
        keeps_snapshots = self._ledger.beside is not None
        snapshots = take_snapshots(self._context, tx, list(accounts), spellings, found, read) if keeps_snapshots else {}
        new = [
            NewRecord(
                address, row["domain"],
                # As iRedAdmin writes it: the three parts as they are, not yet in lower case.
                "/".join(row[name] for name in _HOME),
                due, self._deleted_by, Usage(row["bytes"] or 0, row["messages"] or 0), snapshots.get(address),
                domain_record,
            )
            for address, row in accounts.items()
        ]  # fmt: skip
        return self._ledger.add(tx, new)

    def _without_usage(self, found: Found | None, read: Mapping[str, Sequence[Row]] | None) -> Sequence[Row]:
        """Return what is recorded of accounts whose rows were read, if that says all: nothing counts their mail."""
        if found is None or read is None or any(reference.table == "used_quota" for reference in found):
            return []
        rows = [{**row, "bytes": 0, "messages": 0} for row in read["mailbox"]]
        # SQLite may have anything there.
        return rows if all(isinstance(row[name], str) for row in rows for name in _MAILBOX_COLUMNS) else []

    def _with_usage(self, tx: Transaction, addresses: Sequence[str]) -> Sequence[Mapping[Any, Any]]:
        used = self._context.table("used_quota")
        query = (
            select(*(self._mailbox.c[name] for name in _MAILBOX_COLUMNS), used.c.bytes, used.c.messages)
            .outerjoin(used, used.c.username == self._mailbox.c.username)
            .where(self._mailbox.c.username.in_(addresses))
            .order_by(self._mailbox.c.username)
        )
        return tx.execute(query).mappings().all()

    @property
    def _deleted_by(self) -> str:
        return self._context.actor.address if self._context.actor else ""

    def known_names(self, tx: Transaction, addresses: Sequence[str]) -> set[str]:
        """Return those of `addresses` that a record is there for."""
        return self._ledger.known_names(tx.connection, addresses)

    def home_is_used(self, tx: Transaction, home: HomeColumns, address: str) -> bool:
        """Tell whether a home that the layout gives belongs to an account, or waits for its purge.

        A time stamp in the path is unique but for records of the same address in the same second, which an index finds
        (`Accounts.rename` sees to it that no renamed account keeps a stamp of the running second). Without a stamp every
        path has to be looked at, so that those above and below are seen, too. Raises HomeRefused if the home would lie in
        that of somebody else: no other one by this layout would do.
        """
        if self._context.config.layout.timestamp:
            columns = self._deleted.c
            record = exists().where(columns.maildir.in_(_spellings(home)), columns.username == address)
            return bool(tx.execute(select(record)).scalar())
        root, path = self._context.config.new_home_root(), home.path
        touching = list(self._touching(tx, path, between(root, path)))
        refuse_within(path, root, touching)
        return bool(touching)

    def _touching(self, tx: Transaction, path: str, above: Sequence[str]) -> Iterator[Place]:
        """Iterate over the accounts and records whose homes are a path, below it, or one of the directories above."""
        mailbox, deleted = self._mailbox.c, self._deleted.c
        home = mailbox.storagebasedirectory + "/" + mailbox.storagenode + "/" + mailbox.maildir
        everywhere = ((home, mailbox.username, null()), (deleted.maildir, deleted.username, deleted.id))
        found = (
            select(*columns).where(is_one_of(columns[0], (path, *above)) | is_below(columns[0], path))
            for columns in everywhere
        )
        yield from (Place(*row) for row in tx.execute(union_all(*found)))

    def refuse_used_homes(self, tx: Transaction, homes: Sequence[str], *, restoring: int | None = None) -> None:
        """Raise AlreadyExists if a home that the layout did not give touches that of an account or of a record.

        `restoring` is the record whose own home it is. All rows are looked at: such homes are rare, and no index helps.
        """
        rows = tx.execute(select(*(self._mailbox.c[name] for name in _MAILBOX_COLUMNS))).mappings()
        accounts = (Place(home_of(row) or "", row["username"]) for row in rows)
        refuse_occupied(homes, chain(accounts, self._ledger.places(but=restoring)))


def _spellings(home: HomeColumns) -> Sequence[str]:
    """Return the ways in which a record may spell a home: with and without the closing slash."""
    path = f"{home.storagebasedirectory}/{home.storagenode}/{home.maildir}"
    return tuple({path, path.rstrip("/"), home.path, f"{home.path}/"})
