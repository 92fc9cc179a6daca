"""Snapshots of accounts that are about to be deleted: every row of theirs, and every row that refers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.cleanup import REFERENCES
from mailstore.sql.iredmail.context import Context
from mailstore.sql.snapshots import Row, packed, rows_of

__all__ = ["take_snapshots"]


def take_snapshots(context: Context, tx: Transaction, addresses: Sequence[str]) -> dict[str, str]:
    """Return what the database says about each of `addresses`, with one statement for each column that refers.

    The text is made of tables, each a list of rows with all their columns, those that other tools added among them.
    """
    found: dict[str, dict[str, list[Row]]] = {address: defaultdict(list) for address in addresses}
    places = [("mailbox", "username")]
    places += [(reference.table, reference.column) for reference in REFERENCES if context.schema.has(reference.table)]
    for name, column in places:
        table = context.table(name)
        for row in rows_of(tx, table, table.c[column].in_(addresses)):
            rows = found[str(row[column]).lower()][name]
            if row not in rows:  # a self row refers to its account twice
                rows.append(row)
    return {address: packed(kept) for address, kept in found.items()}
