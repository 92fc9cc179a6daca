"""Admins as rows: how both kinds are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, literal, or_, select, true, union_all, update

from mailstore.driver.iredmail.admin_settings import ADMIN_KEYS, AdminLimits, clear_admin_settings
from mailstore.driver.readings import Readings
from mailstore.driver.values import now
from mailstore.model import Admin
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.schema.settings import Settings
from mailstore.sql.paging import pages

__all__ = ["AdminRows", "demote_idle", "mark_admins"]

_PAGE = 500
_KNOWN_SETTINGS = ("timezone", *ADMIN_KEYS)


def demote_idle(context: Context, tx: Transaction, accounts: Collection[str]) -> None:
    """Take the admin mark from those of `accounts` that manage nothing any more, with the limits that go with it."""
    if not accounts:
        return
    mailbox, listed = context.table("mailbox"), context.table("domain_admins")
    manages = exists().where(listed.c.username == mailbox.c.username)
    idle = (mailbox.c.username.in_(accounts), mailbox.c.isadmin == 1, mailbox.c.isglobaladmin == 0, ~manages)
    _clear_settings(context, tx, *idle)
    tx.execute(update(mailbox).where(*idle).values(isadmin=0))


def mark_admins(context: Context, tx: Transaction, accounts: Collection[str]) -> None:
    """Mark accounts as admins. Those that are none yet begin without what is left of rights that they lost.

    Other tools take the mark or the domains from an admin and leave its limits, which would come back with the next right.
    """
    mailbox, listed = context.table("mailbox"), context.table("domain_admins")
    marked = or_(mailbox.c.isadmin == 1, mailbox.c.isglobaladmin == 1)
    manages = exists().where(listed.c.username == mailbox.c.username) | (mailbox.c.isglobaladmin == 1)
    new = (mailbox.c.username.in_(accounts), ~(marked & manages))
    fresh = tx.execute(select(mailbox.c.username).where(*new)).scalars().all()
    if fresh:
        tx.execute(delete(listed).where(listed.c.username.in_(fresh)))
        _clear_settings(context, tx, mailbox.c.username.in_(fresh))
    values = {"isadmin": 1, "modified": now()}
    tx.execute(update(mailbox).where(mailbox.c.username.in_(accounts)).values(values))


def _clear_settings(context: Context, tx: Transaction, *accounts: ColumnElement[bool]) -> None:
    """Remove what makes an admin from the settings of some accounts."""
    mailbox = context.table("mailbox")
    rows = tx.execute(select(mailbox.c.username, mailbox.c.settings).where(*accounts, mailbox.c.settings != "")).all()
    for username, text in rows:
        settings = Settings(text)
        clear_admin_settings(settings, rights_too=True)
        if str(settings) != str(Settings(text)):
            values = {"settings": context.settings_text(str(settings))}
            tx.execute(update(mailbox).where(mailbox.c.username == username).values(values))


class AdminRows:
    """Reads admins, one or many, with a fixed number of statements per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.all = self._union().subquery("admins")

    def one(self, connection: Connection, address: str) -> Admin | None:
        """Return one admin that the actor may see, or None."""
        query = select(self.all).where(self.all.c.username == address, self.visible())
        found = self._page(connection, query)
        return found[0] if found else None

    def hashes(self, connection: Connection) -> Mapping[tuple[str, str], str]:
        """Return the password hash of every admin by its kind and address, whoever asks."""
        query = select(self.all.c.kind, self.all.c.username, self.all.c.password)
        return {(kind, username): str(stored or "") for kind, username, stored in connection.execute(query).all()}

    def pages(self, condition: ColumnElement[bool], start: str) -> Iterator[Sequence[Admin]]:
        """Iterate over the admins that meet `condition`, sorted, behind `start`, in pages."""
        name = self.all.c.username
        query = select(self.all).where(condition, self.visible()).order_by(name).limit(_PAGE)

        def fetch(after: str) -> Sequence[Admin]:
            with self._context.reading() as connection:
                return self._page(connection, query.where(name > after))

        return pages(fetch, lambda admin: admin.address, start=start, size=_PAGE)

    def manages(self, domain: str) -> ColumnElement[bool]:
        """Return the condition that an admin is listed for a domain."""
        listed = self._context.table("domain_admins").c
        return exists().where(listed.username == self.all.c.username, listed.domain == domain)

    def visible(self) -> ColumnElement[bool]:
        """Return the condition that the actor may see an admin: itself, and those of its domains; all if it is global."""
        actor = self._context.actor
        if actor is None:
            return true()
        listed = self._context.table("domain_admins").c
        of_mine = exists().where(listed.username == self.all.c.username, actor.visible(listed.domain))
        return or_(actor.sees_everything(), self.all.c.username == actor.address, of_mine)

    def _union(self) -> Any:
        admin, mailbox = self._context.table("admin").c, self._context.table("mailbox").c
        listed = self._context.table("domain_admins").c
        is_global = exists().where(listed.username == admin.username, listed.domain == GLOBAL)
        names = ("username", "password", "name", "language", "active", "settings", "created", "modified")
        return union_all(
            select(
                *(admin[name] for name in names), literal("standalone").label("kind"), is_global.label("everything")
            ),
            select(
                *(mailbox[name] for name in names),
                literal("account").label("kind"),
                (mailbox.isglobaladmin == 1).label("everything"),
            ).where((mailbox.isadmin == 1) | (mailbox.isglobaladmin == 1)),
        )

    def _page(self, connection: Connection, query: Select[Any]) -> Sequence[Admin]:
        rows = connection.execute(query).mappings().all()
        domains = self._domains(connection, [row["username"] for row in rows]) if rows else {}
        return [_admin(row, domains[row["username"]]) for row in rows]

    def _domains(self, connection: Connection, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        listed = self._context.table("domain_admins").c
        query = select(listed.username, listed.domain).where(listed.username.in_(names), listed.domain != GLOBAL)
        if self._context.actor:
            query = query.where(self._context.actor.visible(listed.domain))
        domains: dict[str, Any] = defaultdict(list)
        for username, domain in connection.execute(query):
            domains[username].append(domain)
        return domains


def _admin(row: Mapping[Any, Any], domains: Sequence[str]) -> Admin:
    settings = Settings(row["settings"])
    readings = Readings()
    limits = _limits(settings, readings)
    return Admin(
        address=row["username"],
        kind=row["kind"],
        name=row["name"],
        language=row["language"],
        enabled=row["active"] == 1,
        global_admin=bool(row["everything"]),
        domains=tuple(sorted(domains)),
        max_domains=limits.max_domains,
        max_quota=limits.max_quota,
        max_accounts=limits.max_accounts,
        max_aliases=limits.max_aliases,
        max_lists=limits.max_lists,
        may_view_mail_log=limits.may_view_mail_log,
        may_manage_quarantine=limits.may_manage_quarantine,
        timezone=settings.text("timezone"),
        created=row["created"],
        modified=row["modified"],
        settings=settings.others(_KNOWN_SETTINGS),
        problems=readings.problems,
    )


def _limits(settings: Settings, readings: Readings) -> AdminLimits:
    amount = settings.text("create_max_quota")
    return readings.read("create_max_quota", amount, lambda _: AdminLimits.read(settings), AdminLimits())
