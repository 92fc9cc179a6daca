"""Records of mailboxes whose accounts go: `deleted_mailboxes`, and a snapshot of the account in mailstore's own table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, insert, literal_column, select

from mailstore.errors import AlreadyExists
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.account_rows import home_of
from mailstore.sql.iredmail.cleanup import REFERENCES
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.homes import HomeColumns
from mailstore.sql.iredmail.tables import OWN_TABLE
from mailstore.sql.iredmail.values import now

__all__ = ["Retention"]

_HOME = ("storagebasedirectory", "storagenode", "maildir")
_MAILBOX_COLUMNS = ("username", "domain", *_HOME)


class Retention:
    """Writes records, and tells which homes are spoken for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deleted = context.table("deleted_mailboxes")
        self._mailbox = context.table("mailbox")
        self._references = [reference for reference in REFERENCES if context.schema.has(reference.table)]

    def record(self, tx: Transaction, address: str, due: date) -> DeletedMailbox | None:
        """Record the mailbox of one account that is about to be deleted. Returns None if it has no home."""
        records = self._record(tx, self._mailbox.c.username == address, due)
        return records[0] if records else None

    def record_domain(self, tx: Transaction, domain: str, due: date) -> int:
        """Record every mailbox of a domain that is about to be deleted. Returns the number of its accounts."""
        count = tx.execute(select(func.count()).where(self._mailbox.c.domain == domain)).scalar_one()
        self._record(tx, self._mailbox.c.domain == domain, due)
        return count

    def _record(self, tx: Transaction, condition: ColumnElement[bool], due: date) -> list[DeletedMailbox]:
        used = self._context.table("used_quota")
        query = (
            select(*(self._mailbox.c[name] for name in _MAILBOX_COLUMNS), used.c.bytes, used.c.messages)
            .outerjoin(used, used.c.username == self._mailbox.c.username)
            .where(condition)
        )
        accounts = [row for row in tx.execute(query).mappings() if home_of(row)]
        return [self._record_one(tx, row, due) for row in accounts]

    def _record_one(self, tx: Transaction, row: Mapping[Any, Any], due: date) -> DeletedMailbox:
        actor = self._context.actor.address if self._context.actor else ""
        usage = Usage(row["bytes"] or 0, row["messages"] or 0)
        values: dict[str, Any] = {
            "timestamp": now(), "username": row["username"], "domain": row["domain"],
            # As iRedAdmin writes it: the three parts as they are, not yet in lower case.
            "maildir": "/".join(row[name] for name in _HOME), "admin": actor, "delete_date": due,
        }  # fmt: skip
        if self._context.schema.has("deleted_mailboxes", "bytes"):
            values |= {"bytes": usage.bytes, "messages": usage.messages}
        key = tx.execute(insert(self._deleted).values(values)).inserted_primary_key
        record_id: int = key[0] if key else 0
        restorable = self._context.schema.has(OWN_TABLE)
        if restorable:
            snapshot = json.dumps(self._snapshot(tx, row["username"]), default=_as_text)
            self._context.insert(tx, OWN_TABLE, {"record_id": record_id, "snapshot": snapshot})
        return DeletedMailbox(
            id=record_id, address=row["username"], domain=row["domain"], home=home_of(row) or "",
            deleted=values["timestamp"], deleted_by=actor, due=due, usage=usage, restorable=restorable,
        )  # fmt: skip

    def _snapshot(self, tx: Transaction, address: str) -> dict[str, list[dict[str, Any]]]:
        """Return every row of the account and every row that refers to it, with all columns that the tables have."""
        rows = {"mailbox": self._rows(tx.connection, "mailbox", "username", address)}
        for reference in self._references:
            found = rows.setdefault(reference.table, [])
            found += [
                row for row in self._rows(tx.connection, reference.table, reference.column, address) if row not in found
            ]
        return {table: found for table, found in rows.items() if found}

    def _rows(self, connection: Connection, table: str, column: str, address: str) -> list[dict[str, Any]]:
        # All columns (*), because other tools may have added some of their own.
        source = self._context.table(table)
        query: Select[Any] = select(literal_column("*")).select_from(source).where(source.c[column] == address)
        return [dict(row) for row in connection.execute(query).mappings()]

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


def _as_text(value: Any) -> str:
    if isinstance(value, datetime | date):
        return str(value)
    raise TypeError(f"cannot keep a {type(value).__name__} in a snapshot")
