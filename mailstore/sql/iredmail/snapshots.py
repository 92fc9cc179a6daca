"""Snapshots of accounts that are about to be deleted: every row of theirs, and every row that refers to them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, literal_column, select

from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.cleanup import REFERENCES
from mailstore.sql.iredmail.context import Context

__all__ = ["take_snapshots"]

_Rows = dict[str, list[dict[str, Any]]]


def take_snapshots(context: Context, tx: Transaction, addresses: Sequence[str]) -> dict[str, str]:
    """Return what the database says about each of `addresses`, as JSON, with one statement for each column that refers.

    The JSON is an object of tables, each a list of rows with all their columns, those that other tools added among them.
    """
    found: dict[str, _Rows] = defaultdict(lambda: defaultdict(list))
    places = [("mailbox", "username")]
    places += [(reference.table, reference.column) for reference in REFERENCES if context.schema.has(reference.table)]
    for name, column in places:
        table = context.table(name)
        query: Select[Any] = select(literal_column("*")).select_from(table).where(table.c[column].in_(addresses))
        for row in tx.execute(query).mappings():
            rows = found[row[column]][name]
            values = dict(row)
            if values not in rows:  # a self row refers to its account twice
                rows.append(values)
    return {address: json.dumps(found[address], default=_as_text) for address in addresses}


def _as_text(value: Any) -> str:
    if isinstance(value, datetime | date):
        return str(value)
    raise TypeError(f"cannot keep a {type(value).__name__} in a snapshot")
