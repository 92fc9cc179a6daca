"""Checks of the domains themselves: what they consist of, names, locks, limits and counters."""

from __future__ import annotations

from collections.abc import Iterator

from mailstore.address import domain_part
from mailstore.driver.readings import unreadable
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.check.survey import ALIAS, LIST, USER, HostedDomain, Survey
from mailstore.ldap.iredmail.domain_facts import domain_quota
from mailstore.ldap.iredmail.domains.counters import wrong_counters
from mailstore.ldap.iredmail.domains.entries import domain_problems
from mailstore.ldap.iredmail.names.locks import LIFETIME_SECONDS, lock_age
from mailstore.ldap.iredmail.places import UNITS
from mailstore.ldap.iredmail.settings import ATTRIBUTE, Settings
from mailstore.model import Finding

__all__ = ["check_domains", "check_locks"]

_UNFINISHED = ":unfinished"
_LIMITS = {"numberOfUsers": (USER, "accounts"), "numberOfAliases": (ALIAS, "aliases"), "numberOfLists": (LIST, "lists")}


def check_domains(survey: Survey) -> Iterator[Finding]:
    """Iterate over what is wrong with the domains, when all entries have been counted."""
    yield from _names(survey)
    for hosted in survey.domains.values():
        yield from (unreadable(hosted.name, problem) for problem in domain_problems(hosted.entry))
        yield from _parts(hosted)
        yield from check_locks(hosted.entry, hosted.name, ATTRIBUTE)
        yield from _limits(hosted)
        yield from _counters(hosted)


def _names(survey: Survey) -> Iterator[Finding]:
    for alias, owners in sorted(survey.alias_owners.items()):
        if alias in survey.domains:
            yield Finding("two-holders", alias, "it is a domain and an alias domain")
        if len(owners) > 1:
            yield Finding("two-holders", alias, f"it is an alias domain of {' and '.join(sorted(owners))}")
    for address in sorted(survey.standalone):
        if survey.owner(domain_part(address)) is not None:
            yield Finding("admin-in-domain", address, "a standalone admin lies in a domain of this store")


def _parts(hosted: HostedDomain) -> Iterator[Finding]:
    for unit in UNITS:
        if unit.lower() not in hosted.units:
            yield Finding("no-unit", hosted.name, f"it has no entry ou={unit}, where the panel looks; add that entry")
    if not hosted.entry.has("enabledService", "mail"):
        message = "its enabledService lacks mail: no mail server serves this domain"
        yield Finding("no-mail-service", hosted.name, message, "notice")


def check_locks(entry: Entry, name: str, attribute: str) -> Iterator[Finding]:
    """Iterate over what interrupted operations left in an entry that is locked in `attribute`."""
    for value in entry.values(attribute):
        age = lock_age(value)
        if age is None or age <= LIFETIME_SECONDS:
            continue
        if value.endswith(_UNFINISHED):
            yield Finding("unfinished-domain", name, "its creation was interrupted; create it again, or delete it")
        else:
            message = "an operation was interrupted here and left its lock; do again what was to be done"
            yield Finding("interrupted", name, message, "notice")


def _limits(hosted: HostedDomain) -> Iterator[Finding]:
    settings = Settings.of(hosted.entry)
    limits = [(settings.number(key) or 0, hosted.numbers[kind], noun) for key, (kind, noun) in _LIMITS.items()]
    for limit, value, noun in (*limits, (domain_quota(settings), hosted.quota, "MB")):
        if limit and value > max(limit, 0):
            message = f"it may have {max(limit, 0)} {noun} and has {value}"
            yield Finding("over-allocated", hosted.name, message, "notice")


def _counters(hosted: HostedDomain) -> Iterator[Finding]:
    for attribute, right in wrong_counters(hosted.entry, hosted.numbers).items():
        kept = hosted.entry.first(attribute)
        message = f"{attribute} is {kept} and should be {right}; 'mailstore check --repair-counters' sets it right"
        yield Finding("wrong-counter", hosted.name, message, "notice")
