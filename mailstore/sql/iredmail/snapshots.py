"""Snapshots of accounts that are about to be deleted: every row of theirs, and every row that refers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from mailstore.driver.companions import levels
from mailstore.driver.names import Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.references import FORWARDERS, NEVER, Cleanup, Found
from mailstore.sql.snapshots import Row, packed, rows_of

__all__ = ["MADE", "POLICIES", "UNCOPIED", "anchor", "note_anchors", "note_uncopied", "take_snapshots"]

MADE = "made"
"""Under this name stands when what the rows need to come back was made. See `anchor`."""

UNCOPIED = "uncopied"
"""Under this name, beside the tables, stand the accounts that forwarded to the account without keeping a copy."""

POLICIES = "policies"
"""Under this name stands what databases beside had for each name of the account."""


def take_snapshots(
    context: Context,
    tx: Transaction,
    addresses: Sequence[str],
    spellings: Spellings,
    referring: Found | None = None,
    read: dict[str, Sequence[Row]] | None = None,
) -> dict[str, str]:
    """Return what the database says about each of `addresses`, with one statement for each table that refers.

    The text is made of tables, each a list of rows with all their columns, those that other tools added among them.
    `spellings` are those of all addresses of these accounts, and `referring` what `Cleanup.found` has found of them: without
    it the tables are read through. `read` are rows, as `rows_of` gives them, of tables that were read already; those of the
    others are added to it.
    """
    read = {} if read is None else read
    found: dict[str, dict[str, Any]] = {address.lower(): defaultdict(list) for address in addresses}
    cleanup, username = Cleanup(context), context.table("mailbox").c.username
    conditions = cleanup.may_refer(spellings) if referring is None else cleanup.among(referring, addresses)
    columns: dict[str, list[str]] = {"mailbox": ["username"]}
    for reference in cleanup.references:
        columns.setdefault(reference.table, []).append(reference.column)
    for name, condition in {"mailbox": username.in_(addresses), **conditions}.items():
        if name not in read:
            read[name] = rows_of(tx, context.table(name), condition)
        for row in read[name]:
            # A self row refers to its account twice; who only looks like one of these is none of them.
            for holder in dict.fromkeys((spellings.holder(str(row[column])) or "").lower() for column in columns[name]):
                if holder in found:
                    found[holder][name].append(row)
    note_uncopied(context, tx, found)
    note_anchors(context, tx, found)
    for name, kept in context.companions.kept(levels(spellings.names)).items():
        holder = (spellings.holder(name) or "").lower()
        if holder in found:
            found[holder].setdefault(POLICIES, {})[name] = kept
    return {address: packed(found[address.lower()]) for address in addresses}


def note_uncopied(context: Context, tx: Transaction, found: Mapping[str, dict[str, list[Any]]]) -> None:
    """Note who forwards to each account and keeps no copy: the deletion of its last destination gives it one."""
    forwarders = {
        address: {str(row["address"]) for row in kept.get("forwardings", ()) if row["is_forwarding"]} - {address}
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


def anchor(value: str, place: str) -> str:
    """Return the name of what a row needs to come back: what is called `value` in a ``table.column``."""
    return f"{place} {value.lower()}"


def note_anchors(context: Context, tx: Transaction, found: Mapping[str, dict[str, Any]]) -> None:
    """Note when the lists, domains and accounts on the other side of the rows were made; '' for those that are not there.

    That tells them from others of their names that are made later. Times of different writers cannot be compared: each tool
    writes them in a zone of its own.
    """
    needed = {address: set(_anchors(context, address, kept)) for address, kept in found.items()}
    made: dict[str, str] = {}
    for place in sorted({place for each in needed.values() for _, place in each}):
        table, _, name = place.partition(".")
        if context.schema.has(table):
            columns = context.table(table).c
            values = {value for each in needed.values() for value, other in each if other == place}
            query = select(columns[name], columns.created).where(columns[name].in_(values))
            made |= {anchor(str(value), place): str(moment) for value, moment in tx.execute(query)}
    for address, each in needed.items():
        found[address][MADE] = {name: made.get(name, "") for name in (anchor(*one) for one in each)}


def _anchors(context: Context, address: str, kept: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, str]]:
    """Iterate over names and places that the rows of an account refer to, but for itself."""
    for row in kept.get("forwardings", ()):
        place = next((place for flag, place in FORWARDERS.items() if row[flag]), "domain.domain")
        if str(row["address"]).lower() != address:
            yield str(row["address"]), place
    for reference in Cleanup(context).references:
        for row in kept.get(reference.table, ()) if reference.back is not NEVER else ():
            for column, places in reference.back.items():
                if str(row[column]).lower() != address:
                    yield from ((str(row[column]), place) for place in places)
