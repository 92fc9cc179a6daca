"""What a healthy `vmail` database holds to, as queries that find the exceptions."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, not_, or_, select, union_all

from mailstore.model import Finding
from mailstore.sql.checks import Check, found_by, where
from mailstore.sql.iredmail.check.reading import ReadingChecks
from mailstore.sql.iredmail.check.routes import RouteChecks
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.references import REFERENCES, Reference
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.routing.shields import Shields

__all__ = ["Checker"]


class Checker:
    """All checks of one database, built once; a store keeps them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table
        self._shields = Shields(context)
        self._mailbox = context.table("mailbox").c
        self._alias = context.table("alias").c
        self._rows = context.table("forwardings").c
        self._domain = context.table("domain").c
        self._checks = tuple(self._built())
        self._others = (RouteChecks(context), ReadingChecks(context))

    def run(self) -> Iterator[Finding]:
        """Iterate over everything that is wrong."""
        yield from found_by(self._checks, self._context.db)
        for checks in self._others:
            yield from checks.run()

    def _built(self) -> Iterator[Check]:
        for checks in (
            self._accounts, self._forwardings, self._states, self._holders, self._left_over, self._limits, self._values,
        ):  # fmt: skip
            yield from checks()

    def _accounts(self) -> Iterator[Check]:
        mailbox = self._mailbox
        yield where(
            "account-without-domain", "its domain is not here", mailbox.username, not_(self._is_domain(mailbox.domain))
        )
        yield where(
            "account-domain", "mailbox.domain is not the domain of its address; it cannot log in",
            mailbox.username, not_(self._ends_with(mailbox.username, mailbox.domain)),
        )  # fmt: skip
        for column in (mailbox.username, self._alias.address, self._domain.domain):
            capital = column != func.lower(column)
            yield where("upper-case", "readers look for lower case only", column, capital)
            table = column.table.alias("in_lower_case")
            twin = exists().where(table.c[column.name] == func.lower(column))
            yield where(
                "two-holders", "it is there in lower case, too; readers take both for that", column, capital, twin
            )

    def _forwardings(self) -> Iterator[Check]:
        rows, mailbox = self._rows, self._mailbox
        forwards = exists().where(rows.address == mailbox.username, rows.is_forwarding == 1)
        yield where(
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
            yield where("orphan-forwarding", what, column, flag == 1, not_(holder))
        yield where(
            "forwarding-owner", "forwardings.domain is no primary domain; Postfix never finds the row",
            rows.address, not_(self._is_domain(rows.domain)),
        )  # fmt: skip

    def _states(self) -> Iterator[Check]:
        rows, mailbox, alias = self._rows, self._mailbox, self._alias
        message = "some of its rows in forwardings are switched on or off unlike itself"
        for name, active, own in (
            (mailbox.username, mailbox.active, and_(rows.address == mailbox.username, rows.is_forwarding == 1)),
            (mailbox.username, mailbox.active, and_(rows.forwarding == mailbox.username, rows.is_alias == 1)),
            (alias.address, alias.active, and_(rows.address == alias.address, rows.is_list == 1)),
        ):
            # A row that keeps the mail of somebody disabled from a catch-all.
            shields = and_(active == 0, rows.active == 1, self._shields.stays_active(), self._shields.is_caught())
            yield where("half-disabled", message, name, exists().where(own, rows.active != active, ~shields))

    def _holders(self) -> Iterator[Check]:
        rows, alias_domain = self._rows, self._table("alias_domain").c
        lists = self._table("maillists").c
        names = union_all(
            select(self._mailbox.username.label("name")), select(self._alias.address), select(lists.address),
            select(rows.address).where(rows.is_alias == 1).distinct(),
        ).subquery()  # fmt: skip
        query = select(names.c.name).group_by(names.c.name).having(func.count() > 1)
        yield Check("two-holders", "several accounts, aliases or lists have this address", query)
        yield where(
            "two-holders", "it is a domain and an alias domain", alias_domain.alias_domain,
            self._is_domain(alias_domain.alias_domain),
        )  # fmt: skip
        yield where(
            "alias-domain-target", "the domain that it stands for is not here", alias_domain.alias_domain,
            not_(self._is_domain(alias_domain.target_domain)),
        )  # fmt: skip
        admin = self._table("admin").c
        yield where(
            "admin-in-domain", "a standalone admin lies in a domain of this store", admin.username,
            or_(
                exists().where(self._ends_with(admin.username, self._domain.domain)),
                exists().where(self._ends_with(admin.username, alias_domain.alias_domain)),
            ),
        )  # fmt: skip

    def _left_over(self) -> Iterator[Check]:
        for reference in REFERENCES:
            if reference.owned and self._context.schema.has(reference.table):
                yield from self._left_over_in(reference)
        listed = self._table("domain_admins").c
        yield where(
            "left-over", "domain_admins has a row for this domain, which is not here", listed.domain,
            listed.domain != GLOBAL, not_(self._is_domain(listed.domain)),
        )  # fmt: skip
        for direction in ("sender", "recipient"):
            table = self._table(f"{direction}_bcc_domain").c
            message = f"{direction}_bcc_domain has a row for this domain, which is not here"
            yield where("left-over", message, table.domain, not_(self._is_domain(table.domain)))

    def _left_over_in(self, reference: Reference) -> Iterator[Check]:
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
        yield where("left-over", message, column, not_(or_(*holders)))

    def _limits(self) -> Iterator[Check]:
        domain, mailbox, alias = self._domain, self._mailbox, self._alias
        accounts = select(func.count()).where(mailbox.domain == domain.domain).scalar_subquery()
        aliases = select(func.count()).where(alias.domain == domain.domain).scalar_subquery()
        quota = select(func.sum(mailbox.quota)).where(mailbox.domain == domain.domain).scalar_subquery()
        for limit, value, noun in (
            (domain.mailboxes, accounts, "accounts"), (domain.aliases, aliases, "aliases"), (domain.maxquota, quota, "MB"),
        ):  # fmt: skip
            query = select(domain.domain, limit, value).where(limit != 0, value > case((limit < 0, 0), else_=limit))
            message = f"it may have {{0}} {noun} and has {{1}}"
            yield Check("over-allocated", message, query.order_by(domain.domain), "notice")

    def _values(self) -> Iterator[Check]:
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
                yield where(code, message, subject, column.like(bad))

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
