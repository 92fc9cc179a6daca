"""What a healthy `vmail` database holds to, as queries that find the exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from mailstore import passwords
from mailstore.address import unserved
from mailstore.driver.iredmail.panel import panel_verifies
from mailstore.errors import InvalidPassword
from mailstore.model import Finding
from mailstore.sql.iredmail.check.routes import RouteChecks
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.references import REFERENCES, Reference
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.iredmail.schema.settings import unreadable

__all__ = ["Checker"]

Severity = Literal["error", "notice"]


class Checker:
    """Runs all checks on one database."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table
        self._shields = Shields(context)
        self._mailbox = context.table("mailbox").c
        self._alias = context.table("alias").c
        self._rows = context.table("forwardings").c
        self._domain = context.table("domain").c

    def run(self) -> Iterator[Finding]:
        """Iterate over everything that is wrong."""
        for check in (
            self._accounts, self._forwardings, self._states, self._holders, self._nowhere, self._left_over, self._limits,
            self._values, self._admins, self._passwords,
        ):  # fmt: skip
            yield from check()

    def _find(
        self,
        code: str,
        message: str,
        subject: ColumnElement[Any],
        *where: ColumnElement[bool],
        severity: Severity = "error",
    ) -> Iterator[Finding]:
        query = select(subject).where(*where).distinct().order_by(subject)
        yield from self._findings(code, message, query, severity)

    def _findings(
        self, code: str, message: str, query: Select[Any] | Any, severity: Severity = "error"
    ) -> Iterator[Finding]:
        with self._context.reading() as connection:
            rows = connection.execute(query).all()
        for subject, *details in rows:
            yield Finding(code, str(subject), message.format(*details), severity)

    def _accounts(self) -> Iterator[Finding]:
        mailbox = self._mailbox
        yield from self._find(
            "account-without-domain", "its domain is not here", mailbox.username, not_(self._is_domain(mailbox.domain))
        )
        yield from self._find(
            "account-domain", "mailbox.domain is not the domain of its address; it cannot log in",
            mailbox.username, not_(self._ends_with(mailbox.username, mailbox.domain)),
        )  # fmt: skip
        with self._context.reading() as connection:
            for address in connection.execute(select(mailbox.username)).scalars():
                if why := unserved(address):
                    yield Finding("not-served", address, why, "notice")
        for column in (mailbox.username, self._alias.address, self._domain.domain):
            yield from self._find(
                "upper-case", "readers look for lower case only", column, column != func.lower(column)
            )

    def _forwardings(self) -> Iterator[Finding]:
        rows, mailbox = self._rows, self._mailbox
        forwards = exists().where(rows.address == mailbox.username, rows.is_forwarding == 1)
        yield from self._find(
            "no-self-row",
            "it has no row in forwardings; a catch-all would get its mail",
            mailbox.username,
            not_(forwards),
        )
        for flag, column, holder, what in (
            (rows.is_forwarding, rows.address, self._is_account(rows.address), "a forwarding without its account"),
            (rows.is_alias, rows.address, self._is_account(rows.forwarding), "a per-account alias without its account"),
            (rows.is_list, rows.address, self._is_alias(rows.address), "members without their alias account"),
        ):
            yield from self._find("orphan-forwarding", what, column, flag == 1, not_(holder))
        yield from self._find(
            "forwarding-owner", "forwardings.domain is no primary domain; Postfix never finds the row",
            rows.address, not_(self._is_domain(rows.domain)),
        )  # fmt: skip

    def _states(self) -> Iterator[Finding]:
        rows, mailbox, alias = self._rows, self._mailbox, self._alias
        message = "some of its rows in forwardings are switched on or off unlike itself"
        for name, active, own in (
            (mailbox.username, mailbox.active, and_(rows.address == mailbox.username, rows.is_forwarding == 1)),
            (mailbox.username, mailbox.active, and_(rows.forwarding == mailbox.username, rows.is_alias == 1)),
            (alias.address, alias.active, and_(rows.address == alias.address, rows.is_list == 1)),
        ):
            # A row that keeps the mail of somebody disabled from a catch-all.
            shields = and_(active == 0, rows.active == 1, self._shields.stays_active(), self._shields.is_caught())
            yield from self._find("half-disabled", message, name, exists().where(own, rows.active != active, ~shields))

    def _holders(self) -> Iterator[Finding]:
        rows, alias_domain = self._rows, self._table("alias_domain").c
        lists = self._table("maillists").c
        names = union_all(
            select(self._mailbox.username.label("name")), select(self._alias.address), select(lists.address),
            select(rows.address).where(rows.is_alias == 1).distinct(),
        ).subquery()  # fmt: skip
        query = select(names.c.name).group_by(names.c.name).having(func.count() > 1)
        yield from self._findings("two-holders", "several accounts, aliases or lists have this address", query)
        yield from self._find(
            "two-holders", "it is a domain and an alias domain", alias_domain.alias_domain,
            self._is_domain(alias_domain.alias_domain),
        )  # fmt: skip
        yield from self._find(
            "alias-domain-target", "the domain that it stands for is not here", alias_domain.alias_domain,
            not_(self._is_domain(alias_domain.target_domain)),
        )  # fmt: skip
        admin = self._table("admin").c
        yield from self._find(
            "admin-in-domain", "a standalone admin lies in a domain of this store", admin.username,
            or_(
                exists().where(self._ends_with(admin.username, self._domain.domain)),
                exists().where(self._ends_with(admin.username, alias_domain.alias_domain)),
            ),
        )  # fmt: skip

    def _nowhere(self) -> Iterator[Finding]:
        with self._context.reading() as connection:
            routes = RouteChecks(self._context, connection)
        yield from routes.run()

    def _left_over(self) -> Iterator[Finding]:
        for reference in REFERENCES:
            if reference.owned and self._context.schema.has(reference.table):
                yield from self._left_over_in(reference)
        listed = self._table("domain_admins").c
        yield from self._find(
            "left-over", "domain_admins has a row for this domain, which is not here", listed.domain,
            listed.domain != GLOBAL, not_(self._is_domain(listed.domain)),
        )  # fmt: skip
        for direction in ("sender", "recipient"):
            table = self._table(f"{direction}_bcc_domain").c
            message = f"{direction}_bcc_domain has a row for this domain, which is not here"
            yield from self._find("left-over", message, table.domain, not_(self._is_domain(table.domain)))

    def _left_over_in(self, reference: Reference) -> Iterator[Finding]:
        """Find rows of `reference` that belong to nobody: they would reach the next account of that name."""
        column = self._table(reference.table).c[reference.column]
        holders = [self._is_account(column), self._is_alias(column), self._is_list(column)]
        if reference.table == "domain_admins":
            admin = self._table("admin").c
            holders.append(exists().where(admin.username == column))
        if reference.table == "sender_relayhost":
            holders.append(exists().where(column == literal("@") + self._domain.domain))
            # A relay may also be set for addresses that are accounts' aliases, or lie under alias domains.
            holders.append(exists().where(self._rows.address == column))
            holders.append(self._is_shadow(column))
        message = f"{reference.table}.{reference.column} has a row for this address, which is not here"
        yield from self._find("left-over", message, column, not_(or_(*holders)))

    def _limits(self) -> Iterator[Finding]:
        domain, mailbox, alias = self._domain, self._mailbox, self._alias
        accounts = select(func.count()).where(mailbox.domain == domain.domain).scalar_subquery()
        aliases = select(func.count()).where(alias.domain == domain.domain).scalar_subquery()
        quota = select(func.sum(mailbox.quota)).where(mailbox.domain == domain.domain).scalar_subquery()
        for limit, value, noun in (
            (domain.mailboxes, accounts, "accounts"), (domain.aliases, aliases, "aliases"), (domain.maxquota, quota, "MB"),
        ):  # fmt: skip
            query = select(domain.domain, limit, value).where(limit != 0, value > case((limit < 0, 0), else_=limit))
            message = f"it may have {{0}} {noun} and has {{1}}"
            yield from self._findings("over-allocated", message, query.order_by(domain.domain), "notice")

    def _values(self) -> Iterator[Finding]:
        mailbox, domain, relay = self._mailbox, self._domain, self._table("sender_relayhost").c
        user = mailbox.username
        for code, message, subject, column, bad in (
            ("locked-out", "allow_nets is empty, not NULL; it cannot log in", user, mailbox.get("allow_nets"), ""),
            ("no-mail-location", "mailboxformat is empty", user, mailbox.get("mailboxformat"), ""),
            ("no-mail-location", "mailboxfolder is empty", user, mailbox.get("mailboxfolder"), ""),
            ("no-transport", "Postfix does not know what to do with its mail", domain.domain, domain.transport, ""),
            (
                "bad-relay",
                "the relay host begins with smtp:, at which Postfix dies",
                relay.account,
                relay.relayhost,
                "smtp:%",
            ),
        ):
            if column is not None:
                yield from self._find(code, message, subject, column.like(bad))
        for table, name in (("domain", "domain"), ("mailbox", "username"), ("admin", "username")):
            columns = self._table(table).c
            # Of mailboxes, which are many, only those that may have what iRedAdmin stumbles over.
            odd = columns.settings.like("%:%:%") | columns.settings.like("%create_%")
            query = select(columns[name], columns.settings)
            yield from self._bad_settings(query.where(odd) if table == "mailbox" else query)

    def _bad_settings(self, query: Select[Any]) -> Iterator[Finding]:
        with self._context.reading() as connection:
            rows = connection.execute(query).all()
        for subject, settings in rows:
            for fragment, why in unreadable(settings):
                yield Finding("bad-settings", subject, f"iRedAdmin cannot read the setting {fragment!r}: {why}")

    def _admins(self) -> Iterator[Finding]:
        admin, mailbox = self._table("admin").c, self._mailbox
        query = union_all(
            select(admin.username, admin.password),
            select(mailbox.username, mailbox.password).where(or_(mailbox.isadmin == 1, mailbox.isglobaladmin == 1)),
        )
        with self._context.reading() as connection:
            rows = connection.execute(query).all()
        yield from (Finding(*finding, "notice") for finding in _unverifiable(rows))

    def _passwords(self) -> Iterator[Finding]:
        mailbox, reader = self._mailbox, self._context.config.password_reader
        odd = and_(
            mailbox.password != "", *(mailbox.password.not_like(f"{{{name}}}%") for name in passwords.ALWAYS_CHEAP)
        )
        with self._context.reading() as connection:
            for address, stored in connection.execute(select(mailbox.username, mailbox.password).where(odd)):
                if problem := passwords.unusable(stored, reader):
                    yield Finding("unusable-password", address, f"it cannot log in: {problem}", "notice")

    def _is_domain(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(self._domain.domain == column)

    def _is_account(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        mailbox = self._table("mailbox").alias("holder").c
        return exists().where(mailbox.username == column)

    def _is_alias(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        alias = self._table("alias").alias("alias_holder").c
        return exists().where(alias.address == column)

    def _is_shadow(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that a column is the address of an account or alias, under an alias domain."""
        others = self._table("alias_domain").alias("other_domain").c
        found = []
        for name, key in (("mailbox", "username"), ("alias", "address")):
            holder = self._table(name).alias(f"{name}_of_domain").c
            under = func.replace(holder[key], literal("@") + holder.domain, literal("@") + others.alias_domain)
            found.append(exists().where(others.target_domain == holder.domain, under == column))
        return or_(*found)

    def _is_list(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(self._table("maillists").c.address == column)

    @staticmethod
    def _ends_with(address: ColumnElement[str], domain: ColumnElement[str]) -> ColumnElement[bool]:
        return address.like(literal("%@") + domain)


def _unverifiable(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    for username, stored in rows:
        try:
            scheme = passwords.scheme_of(stored)
        except InvalidPassword as error:
            yield "admin-password", username, str(error)
            continue
        if not panel_verifies(stored):
            yield "admin-password", username, f"iRedAdmin cannot verify {scheme}; set the password again"
