"""Removing everything of users: with a number of statements that does not depend on how many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, literal, select, union_all

from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.user_data import BELONGINGS, Belonging, Owner, Through
from mailstore.sql.engine import Transaction

__all__ = ["Belongings", "Owners"]


@dataclass(frozen=True)
class Owners:
    """Whose things go: accounts and users by number, and addresses. Linked accounts go without their user."""

    accounts: Sequence[int]
    users: Sequence[int] = ()
    addresses: Sequence[str] = ()

    def named(self, owner: Owner) -> Sequence[Any]:
        """Return what a column of that kind holds for them."""
        match owner:
            case "account":
                return self.accounts
            case "user":
                return self.users
            case "user as text":
                return [str(user) for user in self.users]
            case "principal":
                return [f"principals/{address}" for address in self.addresses]
            case "address":
                return self.addresses


class Belongings:
    """The matrix of `user_data`, applied to the tables that a server has."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._present = [one for one in BELONGINGS if self._is_there(one)]

    def remove(self, tx: Transaction, owners: Owners) -> None:
        """Remove everything of the owners but the rows of the accounts and users themselves."""
        self._remove_shadows(tx, owners)
        for one in self._present:
            if owners.named(one.owner):
                tx.execute(delete(self._context.table(one.table)).where(self._of(one, owners)))

    def remove_leftovers(self, tx: Transaction, addresses: Sequence[str]) -> None:
        """Remove what was kept under these addresses for former holders: the product's own deletion leaves calendars.

        Usually there is nothing, which one statement tells.
        """
        by_name = [one for one in self._present if one.owner in {"principal", "address"} and one.through is None]
        owners = Owners([], [], addresses)
        queries = [select(literal(1)).where(self._of(one, owners)).limit(1) for one in by_name]
        if queries and tx.execute(union_all(*(query.subquery().select() for query in queries))).first() is not None:
            self.remove(tx, owners)

    def _remove_shadows(self, tx: Transaction, owners: Owners) -> None:
        """Remove what others see of the users in their address books: rows of type 1 that point at the users' entry."""
        if not (owners.users and self._context.schema.has("awm_addr_book")):
            return
        book = self._context.table("awm_addr_book")
        entries = select(book.c.id_addr).where(book.c.type == 2, book.c.type_id.in_(owners.named("user as text")))
        numbers = [str(number) for number in tx.execute(entries).scalars()]
        if numbers:
            tx.execute(delete(book).where(book.c.type == 1, book.c.type_id.in_(numbers)))

    def _of(self, one: Belonging, owners: Owners) -> ColumnElement[bool]:
        table = self._context.table(one.table)
        column, names = table.c[one.column], owners.named(one.owner)
        if one.through is not None:
            return column.in_(self._leading(one.through, names))
        found = self._context.one_of(column, names) if one.owner in {"principal", "address"} else column.in_(names)
        return found & table.c.type.in_(one.types) if one.types else found

    def _leading(self, through: Through, names: Sequence[Any]) -> Any:
        columns = self._context.table(through.table).c
        owner = columns[through.column]
        if through.through is not None:
            return select(columns[through.key]).where(owner.in_(self._leading(through.through, names)))
        return select(columns[through.key]).where(owner.in_(names))

    def _is_there(self, one: Belonging) -> bool:
        has, through = self._context.schema.has, one.through
        if not has(one.table, one.column):
            return False
        while through is not None:
            if not (has(through.table, through.column) and has(through.table, through.key)):
                return False
            through = through.through
        return True
