"""Users as rows: how one is read, and what it means in the terms of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from mailstore.disk.layout import normal_home
from mailstore.driver.readings import Readings
from mailstore.model import Account
from mailstore.sql.lenient import note_replaced
from mailstore.sql.mailinabox import rights as privileges
from mailstore.sql.mailinabox.box import FOLDER
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.disk.usage import usage_of
from mailstore.sql.mailinabox.schema import quotas
from mailstore.sql.paging import pages

__all__ = ["AccountRows"]

_READ = ("email", "privileges", "quota")
_PAGE = 500


class AccountRows:
    """Reads accounts, one or many, with one statement per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._users = context.table("users")
        self._query = select(*(self._users.c[name] for name in _READ if name in self._users.c))

    def one(self, connection: Connection, address: str) -> Account | None:
        """Return one account, or None."""
        row = connection.execute(self._query.where(self._users.c.email == address)).mappings().first()
        return None if row is None else self.account(row)

    def pages(self, condition: ColumnElement[bool], start: str) -> Iterator[Sequence[Account]]:
        """Iterate over the accounts that meet `condition`, sorted, behind `start`, in pages."""
        email = self._users.c.email
        query = self._query.where(condition).order_by(email).limit(_PAGE)

        def fetch(last: str) -> Sequence[Account]:
            with self._context.reading() as connection:
                rows = connection.execute(query.where(email > last)).mappings().all()
            # Without the connection: its lock would keep writers waiting while mailboxes are looked at.
            return [self.account(row) for row in rows]

        return pages(fetch, lambda account: account.address, start=start, size=_PAGE)

    def account(self, row: Mapping[Any, Any]) -> Account:
        """Return the account that a row describes."""
        address, home = row["email"], self._context.box.home(row["email"])
        rights, readings = privileges.listed(row.get("privileges")), Readings()
        if row.get("quota") is not None and not quotas.is_readable(row["quota"]):
            readings.note("quota", row["quota"])
        note_replaced(readings, row)
        usable = readings.read("the mailbox", home, _checked_home, None)
        is_admin = privileges.ADMIN in rights
        return Account(
            address=address,
            quota=quotas.from_text(row.get("quota")),
            mailbox_folder=FOLDER,
            home=home,
            admin=is_admin,
            global_admin=is_admin,
            usage=usage_of(self._context.homes, usable),
            settings=_settings(rights, row.get("quota")),
            problems=readings.problems,
        )


def _checked_home(home: str | None) -> str | None:
    return normal_home(home) if home else None


def _settings(rights: Sequence[str], quota: str | None) -> dict[str, str]:
    """Return what the box keeps and the record has no place for."""
    others = [right for right in rights if right != privileges.ADMIN]
    settings = {"privileges": privileges.joined(others)} if others else {}
    return settings | ({} if quota is None or quotas.is_readable(quota) else {"quota": quota})
