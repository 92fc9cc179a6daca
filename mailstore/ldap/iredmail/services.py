"""The attribute ``enabledService`` of an account as service names (`mailstore.driver.iredmail.service_names`).

Some words are not services that an account uses, but switches without which features of the entry mean nothing: every
reader asks for ``mail``, and an address in ``shadowAddress`` may log in with ``shadowaddress`` only. They stay on, and are
not among the names. Words of other tools stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailstore.driver.iredmail.service_names import FAMILIES, collapsed, expanded, neutral, switched_off
from mailstore.errors import InvalidValue
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.entry import applied
from mailstore.ldap.iredmail.edits import set_values
from mailstore.model import Edit, Names

__all__ = ["ADMIN", "ATTRIBUTE", "SERVICES", "default_words", "names", "service_changes", "switched_on", "words"]

ATTRIBUTE = "enabledService"
ADMIN = "domainadmin"
"""Marks an account that is an admin."""
_SWITCHES = ("mail", "forward", "senderbcc", "recipientbcc", "shadowaddress")
_SERVICES = (
    "internal", "doveadm", "lib-storage", "indexer-worker", "dsync", "quota-status",
    "smtp", "smtpsecured", "smtptls", "pop3", "pop3secured", "pop3tls", "imap", "imapsecured", "imaptls",
    "managesieve", "managesievesecured", "managesievetls", "sieve", "sievesecured", "sievetls",
    "deliver", "lda", "lmtp", "displayedInGlobalAddressBook",
    "sogo", "sogowebmail", "sogocalendar", "sogoactivesync",
)  # fmt: skip
_KNOWN = {neutral(stored): stored for stored in _SERVICES}
SERVICES = frozenset(_KNOWN)
"""The names of all services."""


def default_words(disabled: Iterable[str]) -> list[str]:
    """Return the values of a new account, without what its domain has `disabled` for new ones."""
    off = switched_off(disabled)
    return [*_SWITCHES, *(stored for stored in _SERVICES if stored not in off)]


def words(services: Names, disabled: Iterable[str]) -> list[str]:
    """Return the values of a new account that may use these services, or for an `Edit` the default ones without `disabled`.

    Raises InvalidValue for one that is unknown.
    """
    if isinstance(services, Edit):
        default = {neutral(stored) for stored in _SERVICES if stored not in switched_off(disabled)}
        enabled = default - _checked(services.remove) | _checked(services.add)
    else:
        enabled = _checked(services)
    return [*_SWITCHES, *(_KNOWN[name] for name in sorted(enabled))]


def names(entry: Entry) -> tuple[str, ...]:
    """Return the services that an entry may use, sorted; a family where all its variants are on."""
    return collapsed(_enabled(entry), _KNOWN)


def service_changes(entry: Entry, services: Names) -> list[Change]:
    """Return what sets the services of an entry, wholly or by an `Edit`. Raises InvalidValue for one that is unknown."""
    if isinstance(services, Edit):
        enabled = _enabled(entry) - _checked(services.remove) | _checked(services.add)
    else:
        enabled = _checked(services)
    known = {stored.lower() for stored in _SERVICES}
    others = [value for value in entry.values(ATTRIBUTE) if value.lower() not in known]
    return set_values(entry, ATTRIBUTE, [*others, *(_KNOWN[name] for name in sorted(enabled))])


def switched_on(entry: Entry, services: Names, disabled: Iterable[str]) -> set[str]:
    """Return what a change to services switches on although the domain has it `disabled`."""
    before = set(entry.values(ATTRIBUTE))
    after = Entry(entry.dn, applied(entry, service_changes(entry, services))).values(ATTRIBUTE)
    return (set(after) - before) & switched_off(disabled)


def _enabled(entry: Entry) -> set[str]:
    stored = {value.lower() for value in entry.values(ATTRIBUTE)}
    return {name for name, value in _KNOWN.items() if value.lower() in stored}


def _checked(services: Iterable[str]) -> set[str]:
    wanted = expanded(services, _KNOWN)
    for name in sorted(wanted - _KNOWN.keys()):
        raise InvalidValue(f"unknown service {name!r}; known are {', '.join([*FAMILIES, *_KNOWN])}")
    return wanted
