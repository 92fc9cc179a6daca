"""Accounts as rows: how they are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from mailstore.driver.rights import Operation
from mailstore.model import Account
from mailstore.sql.atmail.accounts.new import NewAccount
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.expansions import DELIVER, Expansions
from mailstore.sql.atmail.homes import home_of
from mailstore.sql.atmail.schema.units import from_local, from_megabytes
from mailstore.sql.paging import pages

__all__ = ["AccountRows"]

_PAGE = 500
_INTERPRETED = frozenset(
    {"username", "password", "dateModified", "dateCreate", "userStatus", "homeDir", "quota", "firstName", "lastName"}
)


class AccountRows:
    """Reads accounts, one or many, with two statements per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._expansions = Expansions(context)
        self._table = context.table("accounts")
        self._names = [name for name in self._table.c.keys() if name != "password"]  # noqa: SIM118 the keys are wanted
        self.query: Select[Any] = select(*labelled(self._table, *self._names))

    def one(self, connection: Connection, address: str) -> Account | None:
        """Return one account, or None."""
        found = self.some(connection, self._table.c.username == address)
        return found[0] if found else None

    def some(self, connection: Connection, condition: ColumnElement[bool]) -> list[Account]:
        """Return the accounts that meet a condition, of which there are few, sorted."""
        return self._accounts(connection, self.query.where(condition).order_by(self._table.c.username))

    def pages(self, condition: ColumnElement[bool], operation: Operation, start: str) -> Iterator[Sequence[Account]]:
        """Iterate over the accounts that meet `condition`, sorted, behind `start`, in pages."""
        username = self._table.c.username
        query = self.query.where(condition).order_by(username).limit(_PAGE)

        def fetch(after: str) -> list[Account]:
            with self._context.reading(operation) as connection:
                return self._accounts(connection, query.where(username > after))

        return pages(fetch, lambda account: account.address, start=start, size=_PAGE)

    def page(self, connection: Connection, condition: ColumnElement[bool], start: int, size: int) -> list[Account]:
        """Return a page by its number, from 0."""
        query = self.query.where(condition).order_by(self._table.c.username)
        return self._accounts(connection, query.limit(size).offset(start * size))

    def new_account(self, new: NewAccount) -> Account:
        """Return an account that was just created, as a read would give it."""
        written = new.row | self._context.schema.fillings("accounts")
        row = {name: written.get(name) for name in self._names}
        if "autoReplyEnabled" in row and row["autoReplyEnabled"] is None:
            row["autoReplyEnabled"] = 0
        forwarding = [(target, DELIVER if new.keep_copy else "") for target in new.forwarding]
        return self._account(row, forwarding, new.aliases)

    def _accounts(self, connection: Connection, query: Select[Any]) -> list[Account]:
        rows = connection.execute(query).mappings().all()
        if not rows:
            return []
        forwardings, aliases = self._expansions.around(connection, [row["username"] for row in rows])
        return [
            self._account(row, forwardings.get(row["username"].lower(), ()), aliases.get(row["username"].lower(), ()))
            for row in rows
        ]

    @staticmethod
    def _account(row: Mapping[Any, Any], forwarding: Sequence[tuple[str, str]], aliases: Sequence[str]) -> Account:
        address = row["username"]
        first, last = row.get("firstName") or "", row.get("lastName") or ""
        others = sorted({target for target, _ in forwarding if target != address})
        copies = any(type_ == DELIVER or target == address for target, type_ in forwarding)
        return Account(
            address=address,
            name=f"{first} {last}".strip(),
            first_name=first,
            last_name=last,
            enabled=row["userStatus"] == 0,
            quota=from_megabytes(row["quota"]),
            forwarding=tuple(others),
            keep_copy=copies or not others,
            aliases=tuple(sorted(aliases)),
            home=home_of(row),
            created=from_local(row.get("dateCreate")),
            modified=from_local(row.get("dateModified")),
            settings={
                name: str(value) for name, value in row.items() if name not in _INTERPRETED and value is not None
            },
        )
