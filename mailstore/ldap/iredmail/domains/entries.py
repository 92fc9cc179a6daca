"""Domains as entries: how they are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from mailstore.driver.iredmail.units import from_limit, from_megabytes
from mailstore.driver.readings import Readings
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.accounts.entries import stamps
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.domain_facts import QUOTA_KEY, alias_domains, domain_quota, is_active
from mailstore.ldap.iredmail.names.locks import Lock
from mailstore.ldap.iredmail.settings import Settings
from mailstore.ldap.names import Filter, all_of, any_of, equals, negate
from mailstore.ldap.sorting import sorted_entries
from mailstore.model import Domain
from mailstore.quota import UNLIMITED

__all__ = [
    "DEFAULT_SERVICES",
    "DISABLED",
    "DOMAIN",
    "SETTINGS_LISTS",
    "SWITCHES",
    "DomainEntries",
    "domain_of",
    "domain_problems",
    "spread_status",
]

DOMAIN = equals("objectClass", "mailDomain")
SWITCHES = ("mail", "domainalias", "senderbcc", "recipientbcc")
"""Services of a domain that go with other settings of it: they are not among its services as long as they are on."""
DEFAULT_SERVICES = ("mail",)
SETTINGS_LISTS = {
    "disabled_services": "disabledMailService",
    "disabled_domain_profiles": "disabledDomainProfile",
    "disabled_user_profiles": "disabledUserProfile",
    "disabled_user_preferences": "disabledUserPreference",
}
"""Parameters that are lists in the settings, and their keys there."""

_KNOWN_SETTINGS = (
    QUOTA_KEY, "defaultQuota", "maxUserQuota", "numberOfUsers", "numberOfAliases", "numberOfLists", "defaultLanguage",
    "minPasswordLength", "maxPasswordLength", *SETTINGS_LISTS.values(),
)  # fmt: skip
_PAGE = 200
_RELAY = "relay:"


def domain_of(entry: Entry) -> str:
    """Return the name of a domain's entry."""
    return entry.first("domainName").lower()


class DomainEntries:
    """Reads domains, one or many."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def one(self, name: str) -> Domain | None:
        """Return one domain, or None."""
        entry = self._context.directory.read(self._context.places.domain(name), EVERYTHING)
        if entry is None:
            return None
        catch_all = self._context.directory.read(self._context.places.catch_all(name), ("mailForwardingAddress",))
        return _domain(entry, catch_all.values("mailForwardingAddress") if catch_all else ())

    def select(self, condition: Filter, visible: Collection[str] | None, after: str) -> Iterator[Domain]:
        """Iterate over the domains that meet a condition, sorted, behind `after`; only over the `visible` ones if given."""
        places, directory = self._context.places, self._context.directory
        found = directory.search(places.domains, all_of(DOMAIN, condition), scope="one", attributes=EVERYTHING)
        entries = sorted_entries(
            (entry for entry in found if visible is None or domain_of(entry) in visible), domain_of, after=after
        )
        while page := list(islice(entries, _PAGE)):
            catch_alls = self._catch_alls([domain_of(entry) for entry in page])
            yield from (_domain(entry, catch_alls.get(domain_of(entry), ())) for entry in page)

    def _catch_alls(self, domains: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return where the mail for unknown addresses of some domains goes."""
        query = all_of(equals("objectClass", "mailUser"), any_of(*(equals("mail", f"@{name}") for name in domains)))
        attributes = ("mail", "mailForwardingAddress")
        found = self._context.directory.search(self._context.places.domains, query, attributes=attributes)
        return {entry.first("mail").lower().removeprefix("@"): entry.values("mailForwardingAddress") for entry in found}


def _domain(entry: Entry, catch_all: Sequence[str]) -> Domain:
    settings = Settings.of(entry)
    backup_mx = entry.has("domainBackupMX", "yes")
    transport, readings = entry.first("mtaTransport"), Readings()
    return Domain(
        domain=domain_of(entry),
        name=entry.first("cn"),
        enabled=is_active(entry),
        max_accounts=from_limit(settings.number("numberOfUsers")),
        max_aliases=from_limit(settings.number("numberOfAliases")),
        max_lists=from_limit(settings.number("numberOfLists")),
        default_language=settings.text("defaultLanguage") or entry.first("preferredLanguage"),
        transport=transport,
        backup_mx=backup_mx,
        primary_mx=transport.removeprefix(_RELAY) if backup_mx and transport.startswith(_RELAY) else "",
        min_password_length=settings.number("minPasswordLength"),
        max_password_length=settings.number("maxPasswordLength"),
        disclaimer=entry.first("disclaimer"),
        sender_bcc=entry.first("domainSenderBccAddress").lower(),
        recipient_bcc=entry.first("domainRecipientBccAddress").lower(),
        outbound_relay=entry.first("senderRelayHost"),
        catch_all=tuple(sorted(value.lower() for value in catch_all)),
        alias_domains=alias_domains(entry),
        services=_services(entry),
        admins=tuple(sorted(value.lower() for value in entry.values("domainAdmin"))),
        settings=settings.others(_KNOWN_SETTINGS),
        **_odd_values(entry, settings, readings),
        problems=readings.problems,
        **_lists(settings),
    )


def _odd_values(entry: Entry, settings: Settings, readings: Readings) -> dict[str, Any]:
    """Return what other tools may have written in ways that mean nothing."""
    quotas = {
        "quota": (QUOTA_KEY, lambda _: from_megabytes(domain_quota(settings))),
        "default_account_quota": ("defaultQuota", lambda text: from_megabytes(int(text))),
        "max_account_quota": ("maxUserQuota", lambda text: from_megabytes(int(text))),
    }
    found = {
        name: readings.read(key, settings.text(key) or "0", convert, UNLIMITED)
        for name, (key, convert) in quotas.items()
    }
    return {**found, **stamps(entry, readings)}


def _lists(settings: Settings) -> dict[str, Any]:
    return {name: settings.names(key) for name, key in SETTINGS_LISTS.items()}


def domain_problems(entry: Entry) -> tuple[str, ...]:
    """Return what of a domain's entry cannot be read."""
    readings = Readings()
    _odd_values(entry, Settings.of(entry), readings)
    return readings.problems


def _services(entry: Entry) -> tuple[str, ...]:
    return tuple(sorted(value for value in entry.values("enabledService") if value.lower() not in SWITCHES))


DISABLED = equals("domainStatus", "disabled")


_MARKED = ("mailUser", "mailList", "mailAlias", "mailExternalUser")


def spread_status(context: Context, changes: Changes, lock: Lock, domain: str, *, enabled: bool) -> None:
    """Mark everything in a domain as enabled or disabled with it. What is marked so already costs nothing."""
    kinds = any_of(*(equals("objectClass", name) for name in _MARKED))
    query = all_of(kinds, DISABLED if enabled else negate(DISABLED))
    base = context.places.domain(domain)
    for entry in list(context.directory.search(base, query, attributes=("domainStatus",))):
        wanted = Change.replace("domainStatus", *([] if enabled else ["disabled"]))
        changes.modify(entry.dn, [wanted], old=entry)
        lock.keep()
