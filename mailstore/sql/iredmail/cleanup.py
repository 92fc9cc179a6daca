"""Everywhere an address may stand: what a deletion removes, a rename follows, and a new account must not inherit.

`REFERENCES` says as data where addresses stand. iRedAdmin leaves part of it behind when it deletes (relay
hosts, shares, last logins), so leftovers of that kind must be expected under every new name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, literal, or_, select, union, update

from mailstore.address import domain_part
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context

__all__ = ["REFERENCES", "Cleanup", "Reference"]


@dataclass(frozen=True)
class Reference:
    """A column that holds addresses.

    ``domain`` is the column beside it with the domain part. ``owned`` marks rows that are the address's own: they would
    give a later account of that name something of an earlier one. The others are other people's pointers to it.
    ``partner`` is the column with which it must be unique.
    """

    table: str
    column: str
    domain: str | None = None
    owned: bool = False
    partner: str | None = None


REFERENCES = (
    Reference("forwardings", "address", "domain"),
    Reference("forwardings", "forwarding", "dest_domain", partner="address"),
    Reference("moderators", "address", "domain", owned=True),
    Reference("moderators", "moderator", "dest_domain", partner="address"),
    Reference("maillist_owners", "address", "domain", owned=True),
    Reference("maillist_owners", "owner", "dest_domain", owned=True, partner="address"),
    Reference("domain_admins", "username", owned=True),
    Reference("sender_bcc_user", "username", "domain", owned=True),
    Reference("recipient_bcc_user", "username", "domain", owned=True),
    Reference("sender_bcc_user", "bcc_address"),
    Reference("recipient_bcc_user", "bcc_address"),
    Reference("sender_bcc_domain", "bcc_address"),
    Reference("recipient_bcc_domain", "bcc_address"),
    Reference("sender_relayhost", "account", owned=True),
    Reference("used_quota", "username", "domain", owned=True),
    Reference("last_login", "username", "domain", owned=True),
    Reference("share_folder", "from_user", owned=True),
    Reference("share_folder", "to_user", owned=True),
    Reference("anyone_shares", "from_user", owned=True),
)


class Cleanup:
    """The matrix, applied to the tables that a server has."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._references = [reference for reference in REFERENCES if context.schema.has(reference.table)]

    def leftovers(self, address: str | ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that rows owned by a former holder of `address` are there."""
        found = [
            exists().where(self._column(reference) == address) for reference in self._references if reference.owned
        ]
        return or_(self._orphan_aliases_exist(address), *found)

    def leftovers_of_new(self, tx: Transaction, since: datetime) -> set[str]:
        """Return the accounts whose password was set at `since` or later, and that have rows in the tables of owned ones.

        For accounts inserted just now, these rows can only be those of a former holder. The index on the time leads to them
        without naming each.
        """
        mailbox, rows = self._context.table("mailbox").c, self._forwarding.c
        new = mailbox.passwordlastchange >= since
        queries = [select(mailbox.username).where(new, mailbox.username == rows.forwarding, rows.is_alias == 1)]
        owned = (self._column(reference) for reference in self._references if reference.owned)
        queries += [select(mailbox.username).where(new, mailbox.username == column) for column in owned]
        return set(tx.execute(union(*queries)).scalars())

    def remove_leftovers(self, tx: Transaction, address: str) -> None:
        """Remove what a former holder of `address` left behind, its per-account aliases among it."""
        forwardings = self._context.table("forwardings")
        tx.execute(delete(forwardings).where(forwardings.c.forwarding == address, forwardings.c.is_alias == 1))
        for reference in self._references:
            if reference.owned:
                tx.execute(delete(self._context.table(reference.table)).where(self._column(reference) == address))

    def remove(self, tx: Transaction, address: str) -> None:
        """Remove every row that refers to `address`, in all tables but those of the accounts themselves."""
        forwarders = self._forwarders(tx.connection, self._forwarding.c.forwarding == address)
        for reference in self._references:
            tx.execute(delete(self._context.table(reference.table)).where(self._column(reference) == address))
        self.restore_self_rows(tx, forwarders)

    def remove_domain(self, tx: Transaction, domain: str) -> None:
        """Remove every row that refers to an address of `domain`, by the domain columns where there are any."""
        rows = self._forwarding.c
        # Those of the domain itself are about to go.
        outside = (rows.dest_domain == domain) & (rows.domain != domain)
        forwarders = self._forwarders(tx.connection, outside)
        for reference in self._references:
            condition = self._in_domain(reference, domain)
            tx.execute(delete(self._context.table(reference.table)).where(condition))
        self.restore_self_rows(tx, forwarders)

    def rename(self, tx: Transaction, old: str, new: str) -> None:
        """Let every row that refers to `old` refer to `new`; rows that would then stand twice become one."""
        for reference in self._references:
            table, column = self._context.table(reference.table), self._column(reference)
            if reference.partner:
                self._remove_twins(tx, reference, old, new)
            values = {reference.column: new}
            if reference.domain and domain_part(old) != domain_part(new):
                values[reference.domain] = domain_part(new)
            tx.execute(update(table).where(column == old).values(values))

    def restore_self_rows(self, tx: Transaction, accounts: Sequence[str]) -> None:
        """Give accounts their self row back whose last forwarding is gone: without it their mail goes astray (trap 1)."""
        if not accounts:
            return
        mailbox, rows = self._context.table("mailbox"), self._forwarding
        left = select(literal(1)).where(rows.c.address == mailbox.c.username, rows.c.is_forwarding == 1)
        query = select(mailbox.c.username, mailbox.c.domain, mailbox.c.active).where(
            mailbox.c.username.in_(accounts), ~left.exists()
        )
        lost = [
            {
                "address": name, "forwarding": name, "domain": domain, "dest_domain": domain, "is_forwarding": 1,
                "active": active,
            }
            for name, domain, active in tx.execute(query).all()
        ]  # fmt: skip
        self._context.insert(tx, "forwardings", lost)

    @property
    def _forwarding(self) -> Any:
        return self._context.table("forwardings")

    def _column(self, reference: Reference) -> ColumnElement[str]:
        return self._context.table(reference.table).c[reference.column]

    def _orphan_aliases_exist(self, address: str | ColumnElement[str]) -> ColumnElement[bool]:
        rows = self._forwarding
        return exists().where(rows.c.forwarding == address, rows.c.is_alias == 1)

    def _forwarders(self, connection: Connection, condition: ColumnElement[bool]) -> Sequence[str]:
        """Return the accounts that forward to the addresses in question."""
        rows = self._forwarding
        query = select(rows.c.address).where(condition, rows.c.is_forwarding == 1, rows.c.address != rows.c.forwarding)
        return connection.execute(query.distinct()).scalars().all()

    def _in_domain(self, reference: Reference, domain: str) -> ColumnElement[bool]:
        column = self._column(reference)
        under = column.endswith(f"@{domain}", autoescape=True)
        if reference.domain is None:
            return under
        table = self._context.table(reference.table)
        if reference.table in {"used_quota", "last_login"}:
            return or_(table.c[reference.domain] == domain, under)  # renames by other tools leave the old domain there
        return table.c[reference.domain] == domain

    def _remove_twins(self, tx: Transaction, reference: Reference, old: str, new: str) -> None:
        """Remove rows of `new` whose partner has a row of `old` too; both would violate the unique key after the rename."""
        table = self._context.table(reference.table)
        other = table.alias("other")
        partner = reference.partner or ""
        same = and_(other.c[partner] == table.c[partner], other.c[reference.column] == old)
        query = select(table.c.id).join(other, same).where(table.c[reference.column] == new)
        twins = tx.execute(query).scalars().all()
        if twins:
            tx.execute(delete(table).where(table.c.id.in_(twins)))
