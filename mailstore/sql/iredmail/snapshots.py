"""Snapshots of accounts that are about to be deleted: every row of theirs, and every row that refers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement

from mailstore.names import Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.cleanup import Cleanup
from mailstore.sql.iredmail.context import Context
from mailstore.sql.snapshots import Row, packed, rows_of

__all__ = ["take_snapshots"]


def take_snapshots(context: Context, tx: Transaction, addresses: Sequence[str], spellings: Spellings) -> dict[str, str]:
    """Return what the database says about each of `addresses`, with one statement for each column that refers.

    The text is made of tables, each a list of rows with all their columns, those that other tools added among them.
    `spellings` are those of all addresses of these accounts.
    """
    found: dict[str, dict[str, list[Row]]] = {address: defaultdict(list) for address in addresses}
    cleanup, username = Cleanup(context), context.table("mailbox").c.username
    places: list[tuple[str, str, ColumnElement[bool]]] = [("mailbox", "username", username.in_(addresses))]
    places += [(each.table, each.column, cleanup.may_refer(each, spellings)) for each in cleanup.references]
    for name, column, condition in places:
        for row in rows_of(tx, context.table(name), condition):
            holder = spellings.holder(str(row[column]))
            if holder not in found:  # an address that only looks like one of these
                continue
            rows = found[holder][name]
            if row not in rows:  # a self row refers to its account twice
                rows.append(row)
    return {address: packed(kept) for address, kept in found.items()}
