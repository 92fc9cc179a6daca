"""Broken invariants in a webmail database: what no constraint of its schema forbids."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, exists, func, select

from mailstore.model import Finding
from mailstore.sql.afterlogic.accounts.rows import AccountRows
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.schema.user_data import POINTERS
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.checks import Check, found_by

__all__ = ["Checker"]


class Checker:
    """Looks for what is wrong in the tables; changes nothing."""

    def __init__(self, context: Context, server: MailServer) -> None:
        self._context = context
        self._server = server
        self._rows = AccountRows(context, server)
        self._accounts = context.table("awm_accounts")
        self._domains = context.table("awm_domains")
        self._checks = tuple(self._built())

    def run(self) -> Iterator[Finding]:
        """Iterate over the findings."""
        yield from self._two_forms(self._accounts.c.email, "address-twice", "its domain is stored with A-labels, too")
        yield from self._two_forms(self._domains.c.name, "domain-twice", "the domain is stored with A-labels, too")
        yield from found_by(self._checks, self._context.db)

    def _built(self) -> Iterator[Check]:
        yield from self._names()
        yield from self._users()
        yield from self._aliases()
        yield from self._pointers()
        if self._context.ledger is None:
            yield from self._without_ledger()

    def _names(self) -> Iterator[Check]:
        email, name = func.lower(self._accounts.c.email), func.lower(self._domains.c.name)
        twice = select(email).where(self._accounts.c.def_acct == 1).group_by(email).having(func.count() > 1)
        yield Check("address-twice", "several primary accounts have this address", twice)
        yield Check(
            "domain-twice", "several domains have this name", select(name).group_by(name).having(func.count() > 1)
        )
        if self._context.db.kind != "mysql":
            capitals = select(self._accounts.c.email).where(self._accounts.c.email != email)
            message = "the product looks for addresses in lower case and never finds this one"
            yield Check("address-case", message, capitals, "notice")

    def _two_forms(self, column: ColumnElement[str], code: str, message: str) -> Iterator[Finding]:
        """Find names that are stored in both forms of their domain: the product takes them for two."""
        encoded = select(column).where(func.lower(column).contains("xn--"))
        with self._context.db.reading() as connection:
            names = {str(name).lower() for name in connection.execute(encoded).scalars()}
            others = set(spellings(names)) - names
            if others:
                twins = connection.execute(select(column).where(self._context.one_of(column, others))).scalars().all()
                yield from (Finding(code, canonical(name), f"{message}, as {name}", "error") for name in twins)

    def _users(self) -> Iterator[Check]:
        users, settings = self._context.table("a_users").c, self._context.table("awm_settings").c
        accounts = self._accounts.c
        hidden = select(accounts.email).where(accounts.mailing_list == 0, ~self._rows.is_readable)
        yield Check("account-hidden", "its settings or its domain are missing: the product does not see it", hidden)
        orphans = select(users.id_user).where(~exists().where(accounts.id_user == users.id_user))
        message = "a user without accounts, as a creation leaves that failed half-way"
        yield Check("user-left", message, orphans, "notice")
        left = select(settings.id_user).where(~exists().where(accounts.id_user == settings.id_user))
        yield Check("settings-left", "settings of a user without accounts", left, "notice")

    def _aliases(self) -> Iterator[Check]:
        aliases, accounts = self._server.aliases.c, self._accounts.c
        address = aliases.alias_name + "@" + aliases.alias_domain
        nowhere = select(address).where(~exists().where(accounts.id_acct == aliases.id_acct))
        yield Check("alias-nowhere", "the account that it stands for is gone", nowhere)
        held = accounts.def_acct == 1, func.lower(accounts.email) == func.lower(address)
        yield Check("alias-taken", "it is an account, too", select(address).where(exists().where(*held)))

    def _pointers(self) -> Iterator[Check]:
        """Find members of mailing lists, and forwards, of nobody, or to addresses here that nobody has."""
        accounts, aliases, domains = self._accounts.c, self._server.aliases.c, self._domains.c
        held = [func.lower(accounts.email), func.lower(aliases.alias_name + "@" + aliases.alias_domain)]
        for name, column, whose in POINTERS:
            if not self._context.schema.has(name):
                continue
            table = self._context.table(name).c
            owner = table[whose[0]] if len(whose) == 1 else table[whose[0]] + "@" + table[whose[1]]
            gone = select(owner, table[column]).where(~exists().where(accounts.id_acct == table.id_acct))
            yield Check("left-over", f"a row of {name} leads from it to {{}}, and its account or list is gone", gone)
            target = func.lower(table[column])
            served = exists().where(domains.is_internal == 1, func.lower(domains.name) == self._domain_of(target))
            nobody = (~exists().where(each == target) for each in held)
            message = f"a row of {name} leads to {{}}, which nobody has"
            yield Check("leads-nowhere", message, select(owner, table[column]).where(served, *nobody), "notice")

    def _domain_of(self, address: ColumnElement[str]) -> ColumnElement[str]:
        if self._context.db.kind == "postgresql":
            return func.split_part(address, "@", 2)
        return func.substr(address, func.instr(address, "@") + 1)

    def _without_ledger(self) -> Iterator[Check]:
        internal = select(self._domains.c.name).where(self._domains.c.is_internal == 1)
        message = "accounts in it cannot be deleted before 'mailstore schema add-retention-table'"
        yield Check("no-retention-table", message, internal, "notice")
