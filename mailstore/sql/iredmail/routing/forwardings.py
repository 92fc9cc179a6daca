"""Rows of `forwardings`: every expansion of an address into another one, told apart by flags."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from mailstore.address import domain_part
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context

__all__ = ["Forwardings", "alias_row", "catch_all_row", "forwarding_row", "member_row"]

Row = dict[str, Any]


def _row(address: str, destination: str, owner: str, active: int, flag: str | None) -> Row:
    row = {
        "address": address, "forwarding": destination, "domain": owner, "dest_domain": domain_part(destination),
        "active": active, "is_list": 0, "is_forwarding": 0, "is_alias": 0, "is_maillist": 0,
    }  # fmt: skip
    if flag:
        row[flag] = 1
    return row


def forwarding_row(account: str, destination: str, active: int = 1) -> Row:
    """Return the row by which an account forwards; to itself it is the self row, which keeps the copy."""
    return _row(account, destination, domain_part(account), active, "is_forwarding")


def alias_row(alias: str, account: str, owner: str, active: int = 1) -> Row:
    """Return the row of a per-account alias. `owner` is its primary domain: Postfix finds no row of an alias domain."""
    return _row(alias, account, owner, active, "is_alias")


def member_row(alias: str, member: str, active: int = 1) -> Row:
    """Return the row of a member of a standalone alias account."""
    return _row(alias, member, domain_part(alias), active, "is_list")


def catch_all_row(domain: str, destination: str) -> Row:
    """Return the row of a catch-all destination: its address is the bare domain."""
    return _row(domain, destination, domain, 1, None)


class Forwardings:
    """Reads and changes sets of rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("forwardings")
        self.columns = self._table.c

    def replace(self, tx: Transaction, condition: ColumnElement[bool], wanted: Iterable[Row]) -> None:
        """Make the rows that meet `condition` be exactly `wanted`; rows that are right already are not touched."""
        columns = (self.columns.id, self.columns.address, self.columns.forwarding)
        present = {(row.address, row.forwarding): row.id for row in tx.execute(select(*columns).where(condition))}
        rows = {(row["address"], row["forwarding"]): row for row in wanted}
        gone = [id_ for pair, id_ in present.items() if pair not in rows]
        if gone:
            tx.execute(delete(self._table).where(self.columns.id.in_(gone)))
        self.add(tx, [row for pair, row in rows.items() if pair not in present])

    def add(self, tx: Transaction, rows: list[Row]) -> None:
        """Insert rows."""
        self._context.insert(tx, "forwardings", rows)

    def destinations(self, tx: Transaction, condition: ColumnElement[bool]) -> tuple[str, ...]:
        """Return the destinations of the rows that meet `condition`, sorted."""
        return tuple(sorted(tx.execute(select(self.columns.forwarding).where(condition)).scalars()))

    def set_active(self, tx: Transaction, condition: ColumnElement[bool], active: int) -> None:
        """Switch rows on or off."""
        tx.execute(update(self._table).where(condition).values(active=active))

    def of_account(self, address: str) -> ColumnElement[bool]:
        """Return the condition of the rows by which an account forwards, its self row among them."""
        return (self.columns.address == address) & (self.columns.is_forwarding == 1)

    def aliases_of(self, address: str) -> ColumnElement[bool]:
        """Return the condition of the rows of an account's aliases."""
        return (self.columns.forwarding == address) & (self.columns.is_alias == 1)

    def members_of(self, address: str) -> ColumnElement[bool]:
        """Return the condition of the member rows of a standalone alias."""
        return (self.columns.address == address) & (self.columns.is_list == 1)


def split_forwarding(account: str, destinations: Collection[str]) -> tuple[tuple[str, ...], bool]:
    """Return what the `is_forwarding` rows of an account say: the other destinations, sorted, and whether a copy is kept.

    An account without any row keeps its mail: Postfix rewrites nothing then.
    """
    if not destinations or destinations == [account]:
        return (), True
    return tuple(sorted(set(destinations) - {account})), account in destinations
