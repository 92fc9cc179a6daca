"""Admin users as rows: how they are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select, true

from mailstore.address import any_address, held_address
from mailstore.driver.values import text
from mailstore.errors import InvalidValue
from mailstore.model import Admin
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.rights import has_permission
from mailstore.sql.atmail.schema.permissions import ALL, grants
from mailstore.sql.atmail.schema.units import from_account_limit, from_local, from_megabytes
from mailstore.sql.paging import pages

__all__ = ["AdminRows", "held_name", "login_name"]

_PAGE = 500
_INTERPRETED = frozenset(
    {"username", "password", "numUsers", "quota", "fullname", "language", "dateCreate", "modified"}
)
_name = text("login name")


def login_name(name: str) -> str:
    """Return the login name of a new admin: an address in its normal form, or any other word, which is kept as it is."""
    checked = _name(name)
    if "@" in checked:
        return any_address(checked)
    if not checked or " " in checked:
        raise InvalidValue(f"{name!r} cannot be the login name of an admin: it is empty, or has blanks in it")
    return checked


def held_name(name: str) -> str:
    """Return the login name of an admin that may be there, whoever named it; an address as `held_address` has it."""
    return held_address(name) if "@" in _name(name).strip("@") else _name(name)


class AdminRows:
    """Reads admins, one or many, with three statements per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("users")
        names = [name for name in self._table.c.keys() if name != "password"]  # noqa: SIM118 the keys are wanted
        self._query: Select[Any] = select(*labelled(self._table, *names))

    def one(self, connection: Connection, name: str) -> Admin | None:
        """Return one admin that the actor may see, or None."""
        found = self._page(connection, self._query.where(self._table.c.username == name, self.visible()))
        return found[0] if found else None

    def pages(self, condition: ColumnElement[bool], start: str) -> Iterator[Sequence[Admin]]:
        """Iterate over the admins that meet `condition`, sorted, behind `start`, in pages."""
        name = self._table.c.username
        query = self._query.where(condition, self.visible()).order_by(name).limit(_PAGE)

        def fetch(after: str) -> Sequence[Admin]:
            with self._context.db.reading() as connection:
                return self._page(connection, query.where(name > after))

        return pages(fetch, lambda admin: admin.address, start=start, size=_PAGE)

    def visible(self) -> ColumnElement[bool]:
        """Return the condition that the actor may see an admin: itself and those below it; all if it may do everything."""
        actor = self._context.actor
        if actor is None:
            return true()
        return or_(actor.sees_everything(), self._table.c.userId == actor.user_id, actor.below())

    def manages(self, domain: str) -> ColumnElement[bool]:
        """Return the condition that a domain is assigned to an admin."""
        links, domains = self._context.table("userDomains").c, self._context.table("domains").c
        query = select(links.userId).where(links.domainId == domains.domainId, domains.domainName == domain)
        return self._table.c.userId.in_(query)

    def _page(self, connection: Connection, query: Select[Any]) -> Sequence[Admin]:
        rows = connection.execute(query).mappings().all()
        if not rows:
            return []
        numbers = [row["userId"] for row in rows]
        domains, rights = self._domains(connection, numbers), self._rights(connection, numbers)
        return [_admin(row, domains[row["userId"]], rights[row["userId"]]) for row in rows]

    def _domains(self, connection: Connection, numbers: Sequence[int]) -> Mapping[int, Sequence[str]]:
        links, domains = self._context.table("userDomains").c, self._context.table("domains").c
        query = select(links.userId, domains.domainName).where(
            links.userId.in_(numbers), links.domainId == domains.domainId
        )
        found: dict[int, Any] = defaultdict(list)
        for user, name in connection.execute(query).all():
            found[user].append(name)
        return found

    def _rights(self, connection: Connection, numbers: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """Return, for each admin, those of its permissions that the model knows: everything, and creating domains."""
        users = self._table.alias("holder").c
        names = (ALL, "domain.all", "domain.add")
        flags = [has_permission(self._context.schema, users.userId, name) for name in names]
        query = select(users.userId, *flags).where(users.userId.in_(numbers))
        found: dict[int, Any] = defaultdict(list)
        for user, *held in connection.execute(query).all():
            found[user] = [name for name, holds in zip(names, held, strict=True) if holds]
        return found


def _admin(row: Mapping[Any, Any], domains: Sequence[str], permissions: Sequence[str]) -> Admin:
    return Admin(
        address=row["username"],
        name=row.get("fullname") or "",
        language=row.get("language") or "",
        global_admin=ALL in permissions,
        domains=tuple(sorted(domains)),
        max_domains=None if grants(permissions, "domain.add") else 0,
        max_quota=from_megabytes(row["quota"]),
        max_accounts=from_account_limit(row["numUsers"]),
        created=from_local(row.get("dateCreate")),
        modified=from_local(row.get("modified")),
        settings={name: str(value) for name, value in row.items() if name not in _INTERPRETED and value is not None},
    )
