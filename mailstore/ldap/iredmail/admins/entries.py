"""Admins as entries: how both kinds are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from mailstore.address import local_part
from mailstore.driver.iredmail.admin_settings import ADMIN_KEYS, AdminLimits
from mailstore.driver.readings import Readings
from mailstore.driver.values import sought
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.changes import is_admin
from mailstore.ldap.iredmail.accounts.entries import stamps
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.edits import add_values, remove_values
from mailstore.ldap.iredmail.entries import ACCOUNT, address_of
from mailstore.ldap.iredmail.names.references import admin_of
from mailstore.ldap.iredmail.services import ADMIN, ATTRIBUTE
from mailstore.ldap.iredmail.settings import Settings
from mailstore.ldap.names import DN, Filter, all_of, any_of, contains, equals, same_dn
from mailstore.ldap.sorting import sorted_entries
from mailstore.model import Admin

__all__ = ["REFUSALS", "STANDALONE", "AdminEntries", "demote_idle", "set_mark"]

STANDALONE = equals("objectClass", "mailAdmin")
_PROMOTED = all_of(
    ACCOUNT, any_of(equals(services.ATTRIBUTE, services.ADMIN), equals("domainGlobalAdmin", "yes"))
)  # fmt: skip
REFUSALS = {"may_view_mail_log": "view_mail_log", "may_manage_quarantine": "manage_quarantined_mails"}
"""Rights in the panel, and the values of ``disabledService`` that take them from an admin."""
_READ = (
    "objectClass", "mail", "cn", "preferredLanguage", "accountStatus", "domainGlobalAdmin", "accountSetting",
    "disabledService", services.ATTRIBUTE, "createTimestamp", "modifyTimestamp",
)  # fmt: skip
_PAGE = 50
"""How many admins are looked up with one filter."""


class AdminEntries:
    """Reads admins, one or many."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def read(self, address: str, *also: str) -> Entry | None:
        """Return the entry of an admin with what this module reads, and `also` some attributes; None if it is none."""
        if not address.isascii():  # the attribute mail takes nothing else
            return None
        places, directory, attributes = self._context.places, self._context.directory, (*_READ, *also)
        account = directory.read(places.account(address), attributes)
        if account is not None and account.has("objectClass", "mailUser") and is_admin(account):
            return account
        return directory.read(places.admin(address), attributes)

    def hashes(self) -> Iterator[Sequence[str]]:
        """Iterate over the password hashes of all admins, whoever asks."""
        return (entry.values("userPassword") for entry in self._found([], ("userPassword",)))

    def one(self, address: str) -> Admin | None:
        """Return one admin that the actor may see, or None."""
        entry = self.read(address)
        return None if entry is None else self.shown(entry)

    def shown(self, entry: Entry) -> Admin | None:
        """Return what the entry of an admin means; None if the actor may not see it."""
        address = address_of(entry)
        domains, mine = self.managed([address])[address], self._mine()
        shown = domains if mine is None else [name for name in domains if name in mine]
        own = self._context.actor is not None and address == self._context.actor.address
        return _admin(entry, shown) if shown or own or mine is None else None

    def managed(self, addresses: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the domains that name these admins, sorted, by admin."""
        found: dict[str, list[str]] = defaultdict(list)
        domains, wanted = self._context.places.domains, ("domainName", "domainAdmin")
        for entry in self._context.directory.search(domains, admin_of(addresses), scope="one", attributes=wanted):
            for admin in {value.lower() for value in entry.values("domainAdmin")}:
                found[admin].append(entry.first("domainName").lower())
        return defaultdict(list, {admin: sorted(names) for admin, names in found.items()})

    def select(self, domain: str | None, search: str | None, after: str) -> Iterator[Admin]:
        """Iterate over the admins that the actor may see, sorted, behind `after`; of a domain, if one is given."""
        for entries in self._pages(domain, search, _READ, after):
            managed, mine = self.managed([address_of(entry) for entry in entries]), self._mine()
            for entry in entries:
                domains = managed[address_of(entry)]
                yield _admin(entry, domains if mine is None else [name for name in domains if name in mine])

    def count(self, domain: str | None, search: str | None) -> int:
        """Return how many admins `select` would give."""
        return sum(map(len, self._pages(domain, search, ("mail",))))

    def _pages(
        self, domain: str | None, search: str | None, attributes: Sequence[str], after: str = ""
    ) -> Iterator[Sequence[Entry]]:
        """Iterate over admins in pages, sorted."""
        names = self._wanted(domain)
        if names is None:
            found = sorted_entries(self._found(_searched(search), attributes), address_of, after=after)
            while page := list(islice(found, _PAGE)):
                yield page
            return
        remaining = iter(sorted(name for name in names if name > after))
        while some := list(islice(remaining, _PAGE)):
            named = any_of(*(equals("mail", name) for name in some))
            page = sorted(self._found([named, *_searched(search)], attributes), key=address_of)
            if page:
                yield page

    def _found(self, conditions: Sequence[Filter], attributes: Sequence[str]) -> Iterator[Entry]:
        """Iterate over admins of both kinds."""
        places, directory = self._context.places, self._context.directory
        standalone, promoted = all_of(STANDALONE, *conditions), all_of(_PROMOTED, *conditions)
        return chain(
            directory.search(places.admins, standalone, scope="one", attributes=attributes),
            directory.search(places.domains, promoted, attributes=attributes),
        )

    def _wanted(self, domain: str | None) -> set[str] | None:
        """Return who may be among the admins of a domain, or of all that the actor sees; None if that can be anybody."""
        own = self._visible()
        if domain is None:
            return own
        entry = self._context.directory.read(self._context.places.domain(domain), ("domainAdmin",))
        listed = {value.lower() for value in entry.values("domainAdmin")} if entry else set()
        return listed if own is None else listed & own

    def _visible(self) -> set[str] | None:
        """Return whom the actor sees: itself, and the admins of its domains. None for everybody."""
        actor = self._context.actor
        if actor is None or actor.is_global():
            return None
        domains, mine = self._context.places.domains, admin_of([actor.address])
        found = self._context.directory.search(domains, mine, scope="one", attributes=("domainAdmin",))
        return {actor.address} | {value.lower() for entry in found for value in entry.values("domainAdmin")}

    def _mine(self) -> Collection[str] | None:
        """Return the domains that the actor manages; None for all."""
        actor = self._context.actor
        return None if actor is None or actor.is_global() else set(actor.managed())


def _searched(search: str | None) -> list[Filter]:
    return [any_of(contains("mail", search), contains("cn", search))] if search and sought(search) else []


def _admin(entry: Entry, domains: Sequence[str]) -> Admin:
    address, settings = address_of(entry), Settings.of(entry)
    standalone = entry.has("objectClass", "mailAdmin")
    # A mail user can write both attributes in its own entry: of these, they say nothing.
    readings = Readings()
    limits = _limits(settings, readings) if standalone else AdminLimits()
    name = entry.first("cn")
    return Admin(
        address=address,
        kind="standalone" if standalone else "account",
        name="" if not standalone and name == local_part(address) else name,
        language=entry.first("preferredLanguage"),
        enabled=is_active(entry),
        global_admin=entry.has("domainGlobalAdmin", "yes"),
        domains=tuple(domains),
        max_domains=limits.max_domains,
        max_quota=limits.max_quota,
        max_accounts=limits.max_accounts,
        max_aliases=limits.max_aliases,
        max_lists=limits.max_lists,
        timezone=settings.text("timezone"),
        settings=settings.others(("timezone", *ADMIN_KEYS)),
        **stamps(entry, readings),
        problems=readings.problems,
        **_rights(entry, standalone),
    )


def _rights(entry: Entry, standalone: bool) -> dict[str, Any]:
    return {right: not (standalone and entry.has("disabledService", word)) for right, word in REFUSALS.items()}


def _limits(settings: Settings, readings: Readings) -> AdminLimits:
    amount = settings.text("create_max_quota")
    return readings.read("create_max_quota", amount, lambda _: AdminLimits.read(settings), AdminLimits())


def set_mark(context: Context, changes: Changes, address: str, *, marked: bool) -> bool:
    """Mark an account as an admin, or take the mark from it. Returns False if there is no such account."""

    def build(entry: Entry) -> list[Change]:
        return (add_values if marked else remove_values)(entry, ATTRIBUTE, [ADMIN])

    try:
        context.edit(changes, context.places.account(address), build, NotFound(f"{address} is gone", subject=address))
    except NotFound:
        return False
    return True


def demote_idle(context: Context, changes: Changes, addresses: Iterable[str], *, besides: DN | None = None) -> None:
    """Take the mark from those accounts that manage nothing any more, but perhaps a domain `besides` that is about to go."""
    for address in addresses:
        managed = context.directory.search(
            context.places.domains, equals("domainAdmin", address), scope="one", attributes=("1.1",)
        )
        found = (entry for entry in managed if besides is None or not same_dn(entry.dn, besides))
        account = context.directory.read(context.places.account(address), ("domainGlobalAdmin",))
        if next(found, None) is None and account is not None and not account.has("domainGlobalAdmin", "yes"):
            set_mark(context, changes, address, marked=False)
