"""Checks that no query can make: names, settings and passwords are read, and looked at one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select, union_all

from mailstore import passwords
from mailstore.address import unserved
from mailstore.driver.iredmail.panel import panel_verifies
from mailstore.errors import InvalidPassword
from mailstore.model import Finding
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.schema.settings import unreadable

__all__ = ["ReadingChecks"]


class ReadingChecks:
    """What is wrong within single values. Of passwords, only those are read that may be unusable."""

    def __init__(self, context: Context) -> None:
        self._context = context
        mailbox, admin = context.table("mailbox").c, context.table("admin").c
        self._names = select(mailbox.username)
        self._settings = [_settings(context, *names) for names in _WITH_SETTINGS]
        self._admins = union_all(
            select(admin.username, admin.password),
            select(mailbox.username, mailbox.password).where(or_(mailbox.isadmin == 1, mailbox.isglobaladmin == 1)),
        )
        cheap = (mailbox.password.not_like(f"{{{name}}}%") for name in passwords.ALWAYS_CHEAP)
        self._passwords = select(mailbox.username, mailbox.password).where(and_(mailbox.password != "", *cheap))

    def run(self) -> Iterator[Finding]:
        """Iterate over everything that is wrong."""
        for check in (self._unserved, self._bad_settings, self._unverifiable, self._unusable):
            with self._context.reading() as connection:
                found = list(check(connection))
            yield from found

    def _unserved(self, connection: Connection) -> Iterator[Finding]:
        for address in connection.execute(self._names).scalars():
            if why := unserved(address):
                yield Finding("not-served", address, why, "notice")

    def _bad_settings(self, connection: Connection) -> Iterator[Finding]:
        for query in self._settings:
            for subject, settings in connection.execute(query):
                for fragment, why in unreadable(settings):
                    yield Finding("bad-settings", subject, f"iRedAdmin cannot read the setting {fragment!r}: {why}")

    def _unverifiable(self, connection: Connection) -> Iterator[Finding]:
        for username, stored in connection.execute(self._admins):
            try:
                scheme = passwords.scheme_of(stored)
            except InvalidPassword as error:
                yield Finding("admin-password", username, str(error), "notice")
                continue
            if not panel_verifies(stored):
                message = f"iRedAdmin cannot verify {scheme}; set the password again"
                yield Finding("admin-password", username, message, "notice")

    def _unusable(self, connection: Connection) -> Iterator[Finding]:
        reader = self._context.config.password_reader
        for address, stored in connection.execute(self._passwords):
            if problem := passwords.unusable(stored, reader):
                yield Finding("unusable-password", address, f"it cannot log in: {problem}", "notice")


_WITH_SETTINGS = (("domain", "domain"), ("mailbox", "username"), ("admin", "username"))


def _settings(context: Context, table: str, name: str) -> Select[Any]:
    """Return the query for names and settings in a table."""
    columns = context.table(table).c
    query = select(columns[name], columns.settings)
    if table == "mailbox":  # which are many: only those that may have what iRedAdmin stumbles over
        return query.where(columns.settings.like("%:%:%") | columns.settings.like("%create_%"))
    return query
