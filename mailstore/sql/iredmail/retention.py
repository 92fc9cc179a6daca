"""Records of mailboxes whose accounts go: `deleted_mailboxes`, and a snapshot of the account in mailstore's own table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, null, select

from mailstore.errors import AlreadyExists
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.account_rows import home_of
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.homes import HomeColumns
from mailstore.sql.iredmail.snapshots import take_snapshots
from mailstore.sql.iredmail.tables import OWN_TABLE
from mailstore.sql.iredmail.values import now

__all__ = ["Retention", "record_of", "record_query"]

_BATCH = 500
_SLASHES = re.compile("/+")
_HOME = ("storagebasedirectory", "storagenode", "maildir")
_MAILBOX_COLUMNS = ("username", "domain", *_HOME)


class Retention:
    """Writes records, and tells which homes are spoken for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deleted = context.table("deleted_mailboxes")
        self._mailbox = context.table("mailbox")

    def record(self, tx: Transaction, address: str, due: date) -> DeletedMailbox | None:
        """Record the mailbox of one account that is about to be deleted. Returns None if it has no home."""
        records = self._record(tx, [address], due)
        return records[0] if records else None

    def record_domain(self, tx: Transaction, domain: str, due: date) -> int:
        """Record every mailbox of a domain that is about to be deleted. Returns the number of its accounts."""
        query = select(self._mailbox.c.username).where(self._mailbox.c.domain == domain)
        accounts = tx.execute(query).scalars().all()
        for start in range(0, len(accounts), _BATCH):
            self._record(tx, accounts[start : start + _BATCH], due)
        return len(accounts)

    def _record(self, tx: Transaction, addresses: Sequence[str], due: date) -> list[DeletedMailbox]:
        """Record some accounts, with a number of statements that does not depend on how many they are."""
        used = self._context.table("used_quota")
        query = (
            select(*(self._mailbox.c[name] for name in _MAILBOX_COLUMNS), used.c.bytes, used.c.messages)
            .outerjoin(used, used.c.username == self._mailbox.c.username)
            .where(self._mailbox.c.username.in_(addresses))
        )
        accounts = {row["username"]: row for row in tx.execute(query).mappings() if home_of(row)}
        if not accounts:
            return []
        before = tx.execute(select(func.max(self._deleted.c.id))).scalar() or 0
        self._context.insert(tx, "deleted_mailboxes", [self._row(row, due) for row in accounts.values()])
        records = self._inserted(tx, list(accounts), before)
        if self._context.schema.has(OWN_TABLE):
            snapshots = take_snapshots(self._context, tx, list(accounts))
            rows = [{"record_id": record.id, "snapshot": snapshots[record.address]} for record in records]
            self._context.insert(tx, OWN_TABLE, rows)
            records = [replace(record, restorable=True) for record in records]
        return records

    def _row(self, row: Mapping[Any, Any], due: date) -> dict[str, Any]:
        values = {
            "timestamp": now(), "username": row["username"], "domain": row["domain"], "delete_date": due,
            # As iRedAdmin writes it: the three parts as they are, not yet in lower case.
            "maildir": "/".join(row[name] for name in _HOME),
            "admin": self._context.actor.address if self._context.actor else "",
        }  # fmt: skip
        if self._context.schema.has("deleted_mailboxes", "bytes"):
            values |= {"bytes": row["bytes"] or 0, "messages": row["messages"] or 0}
        return values

    def _inserted(self, tx: Transaction, addresses: Sequence[str], before: int) -> list[DeletedMailbox]:
        """Return the records just made. Nobody else can have made one of these: their domain is locked."""
        query = record_query(self._context).where(self._deleted.c.username.in_(addresses), self._deleted.c.id > before)
        return [record_of(row) for row in tx.execute(query.order_by(self._deleted.c.id)).mappings()]

    def known_names(self, tx: Transaction, addresses: Sequence[str]) -> set[str]:
        """Return those of `addresses` that a record is there for."""
        username = self._deleted.c.username
        return set(tx.execute(select(username).where(username.in_(addresses))).scalars())

    def home_is_used(self, tx: Transaction, home: HomeColumns, address: str) -> bool:
        """Tell whether a home that the layout gives belongs to an account, or waits for its purge.

        A time stamp in the path is unique but for records of the same address in the same second, which an index finds
        (`Accounts.rename` sees to it that no renamed account keeps a stamp of the running second). Without a stamp every
        path has to be looked at.
        """
        record: Any = exists().where(self._deleted.c.maildir.in_(_spellings(home)))
        if self._context.config.layout.timestamp:
            found: Any = record.where(self._deleted.c.username == address)
        else:
            found = record | exists().where(*self._same_home(home))
        return bool(tx.execute(select(found)).scalar())

    def refuse_used_home(self, tx: Transaction, home: HomeColumns) -> None:
        """Raise AlreadyExists if a home that the caller chose belongs to an account, or waits for its purge."""
        path = home.path
        for row in tx.execute(select(*(self._mailbox.c[name] for name in _MAILBOX_COLUMNS))).mappings():
            other = home_of(row) or ""
            if f"{other}/".startswith(f"{path}/") or (other and f"{path}/".startswith(f"{other}/")):
                raise AlreadyExists(f"{path} is, holds, or lies in the home of {row['username']}", subject=path)
        waiting = select(self._deleted.c.username).where(func.lower(self._deleted.c.maildir).in_(_spellings(home)))
        owner = tx.execute(waiting).scalar()
        if owner:
            raise AlreadyExists(
                f"{path} holds the mail of the deleted account {owner}; restore that record to use it", subject=path
            )

    def _same_home(self, home: HomeColumns) -> list[ColumnElement[bool]]:
        return [self._mailbox.c[name] == value for name, value in home.columns().items()]


def _spellings(home: HomeColumns) -> Sequence[str]:
    """Return the ways in which a record may spell a home: with and without the closing slash."""
    path = f"{home.storagebasedirectory}/{home.storagenode}/{home.maildir}"
    return tuple({path, path.rstrip("/"), home.path, f"{home.path}/"})


def record_query(context: Context) -> Select[Any]:
    """Return the query for records, to be narrowed down; `record_of` reads its rows."""
    table = context.table("deleted_mailboxes")
    known = context.schema.has("deleted_mailboxes", "bytes")
    usage = (table.c.bytes, table.c.messages) if known else (null().label("bytes"), null().label("messages"))
    names = ("id", "timestamp", "username", "domain", "maildir", "admin", "delete_date")
    columns = [*(table.c[name] for name in names), *usage]
    if not context.schema.has(OWN_TABLE):
        return select(*columns)
    own = context.table(OWN_TABLE)
    return select(*columns, own.c.record_id, own.c.error).outerjoin(own, own.c.record_id == table.c.id)


def record_of(row: Mapping[Any, Any]) -> DeletedMailbox:
    """Return the record that a row of `record_query` means."""
    return DeletedMailbox(
        id=row["id"],
        address=row["username"],
        domain=row["domain"],
        home=_SLASHES.sub("/", row["maildir"].lower()).rstrip("/"),
        deleted=row["timestamp"],
        deleted_by=row["admin"],
        due=row["delete_date"],
        usage=Usage(row["bytes"] or 0, row["messages"] or 0),
        restorable=row.get("record_id") is not None,
        error=row.get("error") or "",
    )
