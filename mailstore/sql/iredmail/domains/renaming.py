"""A domain gets another name: every column that names it, and every address in it, in one transaction."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, case, delete, func, literal, or_, select, union_all, update

from mailstore.driver.holders import in_use
from mailstore.driver.values import now
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.references import Cleanup, Reference
from mailstore.sql.spelled import called, in_domains

__all__ = ["rename_domain"]

_HOLDERS = (("mailbox", "username"), ("alias", "address"), ("maillists", "address"))
"""Tables of what has an address, and its column; all have the domain beside it."""
_NAMES = (
    ("alias_domain", "target_domain"),
    ("domain_admins", "domain"),
    ("sender_bcc_domain", "domain"),
    ("recipient_bcc_domain", "domain"),
    ("domain", "domain"),
)
"""Columns that hold the name of the domain; its own row comes last."""


def rename_domain(context: Context, tx: Transaction, old: str, new: str, *, keep_alias: bool) -> None:
    """Let everything of the domain `old`, whose row is locked, and all that refers to it be of `new`, which is free.

    A fixed number of statements does it, however many addresses there are. Addresses under alias domains stay. Homes stay
    where they are. With `keep_alias` the old name becomes an alias domain. Raises AlreadyExists if another tool left an
    account, an alias or a forwarding under the new name: mail of somebody in the domain would go where that leads.
    """
    renaming = _Renaming(context, tx, old, new)
    renaming.refuse_taken()
    renaming.free_new_name()
    renaming.references()
    for table, column in _HOLDERS:
        if context.schema.has(table):
            renaming.holders(context.table(table), column)
    for table, column in _NAMES:
        if context.schema.has(table):
            renaming.names(context.table(table), column)
    domain = context.table("domain")
    tx.execute(update(domain).where(domain.c.domain == new).values(modified=now()))
    if keep_alias:
        row = {"alias_domain": old, "target_domain": new, "created": now(), "active": 1}
        context.insert(tx, "alias_domain", row)


class _Renaming:
    def __init__(self, context: Context, tx: Transaction, old: str, new: str) -> None:
        self._context = context
        self._tx = tx
        self._old = old
        self._new = new
        self._references = Cleanup(context).references
        self._exact = context.db.tells_case

    def refuse_taken(self) -> None:
        """Raise AlreadyExists if something has an address under the new name, but for aliases of accounts of the domain."""
        rows = self._context.table("forwardings").c
        own = (rows.is_alias == 1) & called(rows.domain, [self._old], exact=self._exact)
        found = [select(rows.address).where(in_domains(rows.address, [self._new], exact=self._exact), ~own)]
        for name, column in _HOLDERS:
            if self._context.schema.has(name):
                held = self._context.table(name).c[column]
                found.append(select(held).where(in_domains(held, [self._new], exact=self._exact)))
        taken = self._tx.execute(union_all(*found).limit(1)).scalar()
        if taken is not None:
            raise in_use(taken, taken, "left over under the new name of the domain; see 'mailstore check'")

    def free_new_name(self) -> None:
        """Remove what a former domain of the new name left, and its row if it was an alias domain of the old one."""
        alias_domains = self._context.table("alias_domain")
        self._tx.execute(delete(alias_domains).where(alias_domains.c.alias_domain == self._new))
        for reference in self._references:
            table = self._context.table(reference.table)
            if reference.owned:
                column = table.c[reference.column]
                self._tx.execute(delete(table).where(in_domains(column, [self._new], exact=False)))
            elif reference.partner:
                self._remove_twins(table, reference)

    def _remove_twins(self, table: Table, reference: Reference) -> None:
        """Remove pointers to addresses under the new name where the same one stands under the old: both would be one."""
        other = table.alias("other")
        column, partner = table.c[reference.column], reference.partner or ""
        twin = func.lower(other.c[reference.column]) == func.lower(self._moved(column, self._new, self._old))
        found = (
            select(table.c.id)
            .join(other, (other.c[partner] == table.c[partner]) & twin)
            .where(in_domains(column, [self._new], exact=self._exact))
        )
        ids = self._tx.execute(found).scalars().all()
        if ids:
            self._tx.execute(delete(table).where(table.c.id.in_(ids)))

    def references(self) -> None:
        """Let all columns that hold addresses hold those of the new name, with the domains beside them."""
        by_table: dict[str, list[Reference]] = {}
        for reference in self._references:
            by_table.setdefault(reference.table, []).append(reference)
        for name, references in by_table.items():
            table = self._context.table(name)
            values: dict[str, ColumnElement[str]] = {}
            conditions: list[ColumnElement[bool]] = []
            for reference in references:
                column = table.c[reference.column]
                within = in_domains(column, [self._old], exact=self._exact)
                # A catch-all stands under the domain itself.
                is_name = called(column, [self._old], exact=self._exact)
                values[reference.column] = case(
                    (within, self._moved(column, self._old, self._new)), (is_name, literal(self._new)), else_=column
                )
                conditions += [within, is_name]
                if reference.domain:
                    beside = table.c[reference.domain]
                    named = called(beside, [self._old], exact=self._exact)
                    values[reference.domain] = case((named | within, literal(self._new)), else_=beside)
                    conditions.append(named)
            self._tx.execute(update(table).where(or_(*conditions)).values(values))

    def holders(self, table: Table, column: str) -> None:
        """Give what has an address in the domain its new one."""
        moved = self._moved(table.c[column], self._old, self._new)
        mine = called(table.c.domain, [self._old], exact=self._exact)
        self._tx.execute(update(table).where(mine).values({column: moved, "domain": self._new}))

    def names(self, table: Table, column: str) -> None:
        """Let a column that holds the name of the domain hold the new one."""
        mine = called(table.c[column], [self._old], exact=self._exact)
        self._tx.execute(update(table).where(mine).values({column: self._new}))

    def _moved(self, column: ColumnElement[str], old: str, new: str) -> ColumnElement[str]:
        """Return the address in a column with another domain behind the @; as long as it is, case does not matter."""
        length = func.length if self._context.db.engine.dialect.name == "sqlite" else func.char_length
        return func.substr(column, 1, length(column) - len(old)).concat(new)
