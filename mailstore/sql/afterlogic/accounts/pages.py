"""Pages of account lists as the REST API gives them: by number and size, in three orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, select

from mailstore.errors import InvalidValue
from mailstore.sql.afterlogic.context import Context

__all__ = ["AccountEntry", "Page", "offset"]

_ORDERS: Final[Mapping[str, tuple[str, str]]] = {
    "email": ("awm_accounts", "email"),
    "name": ("awm_accounts", "friendly_nm"),
    "last login": ("awm_settings", "last_login"),
}
_MOST: Final = 10_000
_FARTHEST: Final = 1 << 40


def offset(number: int, size: int) -> int:
    """Return where a page of a list begins; numbers below 1 mean the first one. Raises InvalidValue."""
    for value in (number, size):
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValue(f"page and size are numbers, not {value!r}")
    if not 1 <= size <= _MOST:
        raise InvalidValue(f"size: a number from 1 to {_MOST}")
    return min(max(number - 1, 0) * size, _FARTHEST)


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account in a list of the REST API."""

    id: int
    email: str
    friendly_name: str


@dataclass(frozen=True)
class Page:
    """Which page of a list is wanted; numbers below 1 mean the first one. Raises InvalidValue."""

    number: int
    size: int
    order_by: str
    descending: bool

    def __post_init__(self) -> None:
        offset(self.number, self.size)
        if self.order_by not in _ORDERS:
            raise InvalidValue(f"order_by is one of {', '.join(_ORDERS)}")

    def read(self, connection: Connection, context: Context, condition: ColumnElement[bool]) -> Sequence[AccountEntry]:
        """Return the accounts that meet a condition, as far as they are on this page."""
        accounts, users = context.table("awm_accounts"), context.table("awm_settings")
        table, column = _ORDERS[self.order_by]
        order = context.table(table).c[column]
        query = (
            select(accounts.c.id_acct, accounts.c.email, accounts.c.friendly_nm)
            .join(users, users.c.id_user == accounts.c.id_user)
            .where(condition)
            # The number settles the order of equals, so that no two pages show the same account.
            .order_by(order.desc() if self.descending else order, accounts.c.id_acct)
            .limit(self.size)
            .offset(offset(self.number, self.size))
        )
        return [AccountEntry(row[0], row[1].lower(), row[2] or "") for row in connection.execute(query)]
