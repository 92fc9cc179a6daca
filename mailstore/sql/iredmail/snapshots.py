"""Snapshots of accounts that are about to be deleted: every row of theirs, and every row that refers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select

from mailstore.names import Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.cleanup import Cleanup
from mailstore.sql.iredmail.context import Context
from mailstore.sql.snapshots import packed, rows_of

__all__ = ["UNCOPIED", "take_snapshots"]

UNCOPIED = "uncopied"
"""Under this name, beside the tables, stand the accounts that forwarded to the account without keeping a copy."""


def take_snapshots(context: Context, tx: Transaction, addresses: Sequence[str], spellings: Spellings) -> dict[str, str]:
    """Return what the database says about each of `addresses`, with one statement for each column that refers.

    The text is made of tables, each a list of rows with all their columns, those that other tools added among them.
    `spellings` are those of all addresses of these accounts.
    """
    found: dict[str, dict[str, list[Any]]] = {address: defaultdict(list) for address in addresses}
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
    _note_uncopied(context, tx, found)
    return {address: packed(kept) for address, kept in found.items()}


def _note_uncopied(context: Context, tx: Transaction, found: Mapping[str, dict[str, list[Any]]]) -> None:
    """Note who forwards to each account and keeps no copy: the deletion of its last destination gives it one."""
    forwarders = {
        address: {str(row["address"]) for row in kept["forwardings"] if row["is_forwarding"]} - {address}
        for address, kept in found.items()
    }
    everybody = set().union(*forwarders.values())
    if everybody:
        rows = context.table("forwardings").c
        same = rows.address == rows.forwarding
        query = select(rows.address).where(rows.address.in_(everybody), same, rows.is_forwarding == 1)
        copying = set(tx.execute(query).scalars())
        for address, names in forwarders.items():
            found[address][UNCOPIED] = sorted(names - copying)
