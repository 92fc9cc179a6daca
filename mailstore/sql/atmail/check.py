"""What a healthy `mailserver` database holds to, as queries that find the exceptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import and_, exists, func, not_, select

from mailstore import passwords
from mailstore.address import unserved
from mailstore.driver.routes import Maps
from mailstore.model import Finding
from mailstore.sql.atmail.admins.tree import Node, faults
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.expansions import DELIVER, DOMAIN, LOCAL, bare
from mailstore.sql.atmail.provisioning import Provisioning
from mailstore.sql.checks import Check, found_by, where

__all__ = ["Checker"]

_USER_LINKS = ("userDomains", "userPermissions", "userRoles")


class Checker:
    """Runs all checks on one database."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.table("accounts").c
        self._domains = context.table("domains").c
        self._aliases = context.table("aliases").c
        self._checks = tuple(self._built())
        self._names = select(self._accounts.username)
        cheap = (self._accounts.password.not_like(f"{{{name}}}%") for name in passwords.ALWAYS_CHEAP)
        self._odd_passwords = select(self._accounts.username, self._accounts.password).where(*cheap)

    def run(self) -> Iterator[Finding]:
        """Iterate over everything that is wrong."""
        yield from found_by(self._checks, self._context.db)
        yield from self._maps().dead_ends()
        yield from self._unserved()
        yield from self._passwords()
        if self._context.schema.has_admins:
            yield from self._tree()
        if self._context.apiserver:
            for address in Provisioning(self._context).left_over():
                message = "the API server knows it, but it is no account; a new one of that name would inherit from it"
                yield Finding("provisioned-without-account", address, message, "notice")

    def _built(self) -> Iterator[Check]:
        yield from self._account_rows()
        yield from self._alias_rows()
        if self._context.schema.has_admins:
            yield from self._admins()

    def _account_rows(self) -> Iterator[Check]:
        accounts, domains = self._accounts, self._domains
        own = domains.domainId == accounts.domainId
        name = accounts.username
        yield where("account-without-domain", "its domain is not here", name, not_(exists().where(own)))
        stray = exists().where(own, func.substring_index(name, "@", -1) != domains.domainName)
        yield where("account-domain", "it is listed under the domain of another address", name, stray)
        twice = select(name).group_by(name).having(func.count() > 1)
        yield Check("account-twice", "there are several accounts of this name", twice)
        for column in (name, domains.domainName):
            upper = func.binary(column) != func.binary(func.lower(column))
            yield where("upper-case", "mailstore writes lower case only", column, upper, severity="notice")

    def _alias_rows(self) -> Iterator[Check]:
        rows, name = self._aliases, self._aliases.AliasName
        unknown = rows.aliasType.not_in([LOCAL, DELIVER, DOMAIN])
        yield where("alias-type", "its type is none of Local, Deliver and Domain", name, unknown)
        is_account = exists().where(self._accounts.username == name)
        is_deliver = rows.aliasType == DELIVER
        message = "it delivers to a local user that is not here"
        yield where("deliver-to-nobody", message, name, is_deliver, not_(is_account), severity="notice")
        served = exists().where(self._domains.domainName == bare(rows.AliasTo))
        message = "this domain is diverted to one that is not here"
        yield where("alias-to-nowhere", message, name, rows.aliasType == DOMAIN, not_(served), severity="notice")
        target = func.substring_index(rows.AliasTo, "@", -1)
        local = and_(rows.aliasType != DOMAIN, exists().where(self._domains.domainName == target))
        other = self._context.table("aliases").alias("other").c
        reached = exists().where(self._accounts.username == rows.AliasTo) | exists().where(
            other.AliasName == rows.AliasTo
        )
        message = "mail is sent to this address, which does not exist"
        yield where("alias-to-nowhere", message, rows.AliasTo, local, not_(reached), severity="notice")

    def _maps(self) -> Maps:
        """Return what the vendor's queries for Postfix find."""
        rows: dict[str, list[str]] = defaultdict(list)
        owners: dict[str, str] = {}
        aliases = self._aliases
        with self._context.db.reading() as connection:
            accounts = {str(name).lower(): True for name in connection.execute(self._names).scalars()}
            domains = {str(name).lower() for name in connection.execute(select(self._domains.domainName)).scalars()}
            found = connection.execute(select(aliases.AliasName, aliases.AliasTo, aliases.aliasType)).all()
        for alias, destination, kind in found:
            name, target = str(alias).strip().lower(), str(destination).strip().lower()
            if kind == DOMAIN:
                owners[name.removeprefix("@")] = target.removeprefix("@")
            else:
                rows[name] += [target, *([name] if kind == DELIVER else [])]
        return Maps(rows, accounts, domains, domains, owners)

    def _unserved(self) -> Iterator[Finding]:
        with self._context.db.reading() as connection:
            addresses = connection.execute(self._names).scalars().all()
        yield from (
            Finding("not-served", address, why, "notice") for address in addresses if (why := unserved(address))
        )

    def _passwords(self) -> Iterator[Finding]:
        with self._context.db.reading() as connection:
            rows = connection.execute(self._odd_passwords).all()
        for address, stored in rows:
            if problem := passwords.unusable(stored, self._context.config.password_reader):
                yield Finding("password", address, problem, "notice")

    def _tree(self) -> Iterator[Finding]:
        users = self._context.table("users")
        columns = labelled(users, "userId", "leftEdge", "rightEdge", "createdByUserId")
        with self._context.db.reading() as connection:
            nodes = [Node(*row) for row in connection.execute(select(*columns))]
        yield from (Finding("admin-tree", users.name, fault) for fault in faults(nodes))

    def _admins(self) -> Iterator[Check]:
        users = self._context.table("users")
        for name in _USER_LINKS:
            links = self._context.table(name).c
            lost = not_(exists().where(users.c.userId == links.userId))
            yield where("left-over", f"{name} has a row for this admin, who is not here", links.userId, lost)
        links = self._context.table("userDomains").c
        lost = not_(exists().where(self._domains.domainId == links.domainId))
        yield where("left-over", "userDomains has a row for this domain, which is not here", links.domainId, lost)
