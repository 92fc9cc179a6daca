"""What keeps mail for somebody who gets none from the catch-all of the domain.

Postfix asks for an address and, if nothing in `forwardings` answers, for its domain. So the mail of an account or alias
that is switched off, or of an alias without members, would go to the owner of the catch-all, and there is no state in the
schema that says "refuse". A row from the address to itself does: Postfix stops there, finds no mailbox, and the mail
bounces. Accounts have such a row, the self row, which stays active; others get one without any flag, which means nothing to
the panel. Where there is no catch-all nothing is added: the mail is then refused before it is sent.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, union_all, update

from mailstore.address import domain_part
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context

__all__ = ["Shields"]

_FLAGS = ("is_list", "is_forwarding", "is_alias", "is_maillist")


class Shields:
    """Adds and removes these rows. Whoever changes what answers for an address lifts its shield first, and renews it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("forwardings")
        self._rows = self._table.c
        self._mailbox = context.table("mailbox").c
        self._alias = context.table("alias").c

    def lift(self, tx: Transaction, addresses: Collection[str]) -> None:
        """Take away the rows of these accounts and aliases that are there for nothing else."""
        if addresses:
            tx.execute(delete(self._table).where(self._is_shield(), self._rows.address.in_(addresses)))

    def renew(self, tx: Transaction, addresses: Collection[str]) -> None:
        """Shield those of these accounts and aliases that need it, and no others."""
        if addresses:
            rows, mailbox, alias = self._rows, self._mailbox, self._alias
            self._renew(
                tx, rows.address.in_(addresses), rows.forwarding.in_(addresses), mailbox.username.in_(addresses),
                alias.address.in_(addresses),
            )  # fmt: skip

    def renew_domain(self, tx: Transaction, domain: str) -> None:
        """Shield those in a domain that need it, and no others: the domain has another catch-all, or none any more."""
        of_domain = self._rows.domain == domain
        self._renew(tx, of_domain, of_domain, self._mailbox.domain == domain, self._alias.domain == domain)

    def _renew(
        self,
        tx: Transaction,
        named: ColumnElement[bool],
        leading: ColumnElement[bool],
        accounts: ColumnElement[bool],
        aliases: ColumnElement[bool],
    ) -> None:
        tx.execute(delete(self._table).where(self._is_shield(), named))
        self._switch_rows(tx, leading)
        silent = union_all(
            select(self._mailbox.username).where(
                accounts, self._mailbox.active == 0, self._is_caught(self._mailbox.domain),
                ~self._answers(self._mailbox.username),
            ),
            select(self._alias.address).where(
                aliases, self._is_caught(self._alias.domain), ~self._answers(self._alias.address)
            ),
        )  # fmt: skip
        names = tx.execute(silent).scalars().all()
        flags = {flag: 0 for flag in _FLAGS if flag in self._rows}
        new = [
            {
                "address": name, "forwarding": name, "domain": domain_part(name), "dest_domain": domain_part(name),
                "active": 1, **flags,
            }
            for name in names
        ]  # fmt: skip
        self._context.insert(tx, "forwardings", new)

    def _switch_rows(self, tx: Transaction, leading: ColumnElement[bool]) -> None:
        """Let self rows and aliases of disabled accounts answer exactly where a catch-all would answer for them."""
        rows, mailbox = self._rows, self._mailbox
        caught = self._is_caught(rows.domain)
        wrong = or_(and_(rows.active == 0, caught), and_(rows.active != 0, ~caught))
        query = select(rows.id, rows.active).where(
            leading, rows.forwarding == mailbox.username, mailbox.active == 0, self.stays_active(), wrong
        )
        found: dict[int, list[int]] = {}
        for number, active in tx.execute(query).all():
            found.setdefault(0 if active else 1, []).append(number)
        for active, numbers in found.items():
            tx.execute(update(self._table).where(rows.id.in_(numbers)).values(active=active))

    def stays_active(self) -> ColumnElement[bool]:
        """Return the condition that a row of a disabled account is active where there is a catch-all."""
        rows = self._rows
        return or_(and_(rows.address == rows.forwarding, rows.is_forwarding == 1), rows.is_alias == 1)

    def is_caught(self) -> ColumnElement[bool]:
        """Return the condition that the domain of a row has a catch-all."""
        return self._is_caught(self._rows.domain)

    def _is_shield(self) -> ColumnElement[bool]:
        rows = self._rows
        return and_(rows.address == rows.forwarding, *(rows[flag] == 0 for flag in _FLAGS if flag in rows))

    def _is_caught(self, domain: ColumnElement[str]) -> ColumnElement[bool]:
        catch_all: Any = self._table.alias("catch_all").c
        return exists().where(catch_all.address == domain, catch_all.active == 1)

    def _answers(self, address: ColumnElement[str]) -> ColumnElement[bool]:
        row: Any = self._table.alias("answer").c
        return exists().where(row.address == address, row.active == 1)
