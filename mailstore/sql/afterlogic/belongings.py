"""Removing everything of users: with a number of statements that does not depend on how many they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, false, literal, or_, select, union_all, update

from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.schema.user_data import BELONGINGS, DISOWNED, Belonging, Owner, Through
from mailstore.sql.engine import Transaction

__all__ = ["Belongings", "Owners"]


@dataclass(frozen=True)
class Owners:
    """Whose things go: accounts and users by number, and addresses. Linked accounts go without their user.

    ``named`` are all addresses, those of aliases among them, by which others may have written them down.
    """

    accounts: Sequence[int]
    users: Sequence[int] = ()
    addresses: Sequence[str] = ()
    named: Sequence[str] = ()

    def called(self, owner: Owner) -> Sequence[Any]:
        """Return what a column of that kind holds for them."""
        match owner:
            case "account":
                return self.accounts
            case "account in a link":
                return [f'{{"Account":{number},' for number in self.accounts]
            case "user":
                return self.users
            case "user as text":
                return [str(user) for user in self.users]
            case "principal":
                return [f"principals/{address}" for address in self.addresses]
            case "address":
                return self.addresses
            case "named":
                return self.named


class Belongings:
    """The matrix of `user_data`, applied to the tables that a server has."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._present = [one for one in BELONGINGS if self._is_there(one)]
        self._disowned = [one for one in DISOWNED if self._is_there(one)]

    def remove(self, tx: Transaction, owners: Owners) -> None:
        """Remove everything of the owners but the rows of the accounts and users themselves.

        One statement tells which tables have something of them.
        """
        self._remove_shadows(tx, owners)
        found = self._holding(tx, owners, [*self._disowned, *self._present])
        for one in filter(found.__contains__, self._disowned):
            table = self._context.table(one.table)
            tx.execute(update(table).where(self._of(one, owners)).values({one.column: 0}))
        for one in filter(found.__contains__, self._present):
            tx.execute(delete(self._context.table(one.table)).where(self._of(one, owners)))

    def remove_leftovers(self, tx: Transaction, addresses: Sequence[str]) -> None:
        """Remove what was kept under these addresses for former holders: the product's own deletion leaves calendars.

        Usually there is nothing, which one statement tells.
        """
        by_name = [one for one in self._present if one.owner in {"principal", "address"} and one.through is None]
        owners = Owners([], [], addresses)
        if self._holding(tx, owners, by_name):
            self.remove(tx, owners)

    def _holding(self, tx: Transaction, owners: Owners, some: Sequence[Belonging]) -> set[Belonging]:
        """Return those of the belongings of which the owners have any."""
        asked = [one for one in some if owners.called(one.owner)]
        if not asked:
            return set()
        queries = (
            select(literal(number)).where(select(literal(1)).where(self._of(one, owners)).exists()).subquery().select()
            for number, one in enumerate(asked)
        )
        return {asked[number] for number in tx.execute(union_all(*queries)).scalars()}

    def _remove_shadows(self, tx: Transaction, owners: Owners) -> None:
        """Remove what others see of the users in their address books: rows of type 1 that point at the users' entry."""
        if not owners.users:
            return
        book = self._context.table("awm_addr_book")
        entries = select(book.c.id_addr).where(book.c.type == 2, book.c.type_id.in_(owners.called("user as text")))
        numbers = [str(number) for number in tx.execute(entries).scalars()]
        if not numbers:
            return
        shadows = book.c.type == 1, book.c.type_id.in_(numbers)
        if self._context.schema.has("awm_addr_groups_contacts"):
            members = self._context.table("awm_addr_groups_contacts")
            gone = [*map(int, numbers), *tx.execute(select(book.c.id_addr).where(*shadows)).scalars()]
            tx.execute(delete(members).where(members.c.id_addr.in_(gone)))
        tx.execute(delete(book).where(*shadows))

    def _of(self, one: Belonging, owners: Owners) -> ColumnElement[bool]:
        table, names = self._context.table(one.table), owners.called(one.owner)
        if one.through is not None:
            return table.c[one.column].in_(self._leading(one.owner, one.through, names))
        found = self._names(one.owner, table.c[one.column], names)
        return found & table.c.type.in_(one.types) if one.types else found

    def _leading(self, owner: Owner, through: Through, names: Sequence[Any]) -> Any:
        columns = self._context.table(through.table).c
        column = columns[through.column]
        if through.through is not None:
            return select(columns[through.key]).where(column.in_(self._leading(owner, through.through, names)))
        return select(columns[through.key]).where(self._names(owner, column, names))

    def _names(self, owner: Owner, column: ColumnElement[Any], names: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition that a column names one of the owners, however it is spelt there."""
        match owner:
            case "principal" | "address" | "named":
                return self._context.one_of(column, names)
            case "account in a link":
                return or_(false(), *(column.startswith(name, autoescape=True) for name in names))
            case _:
                return column.in_(names)

    def _is_there(self, one: Belonging) -> bool:
        return all(self._context.schema.has(table, column) for table, column in _columns(one))


def _columns(one: Belonging) -> Iterable[tuple[str, str]]:
    """Iterate over the columns that a belonging needs."""
    yield one.table, one.column
    through = one.through
    while through is not None:
        yield from ((through.table, through.column), (through.table, through.key))
        through = through.through
