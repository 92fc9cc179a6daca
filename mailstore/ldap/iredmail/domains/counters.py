"""The numbers that the panel keeps in a domain's entry: of what, and how they are set right.

iRedAdmin changes them without a lock, so that they drift; only those that are there count, since who never kept one misses
nothing. The panel computes its sum of quotas by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailstore.ldap.entry import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.limits import accounts_of, count_of
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.places import ALIASES, GROUPS, USERS
from mailstore.ldap.names import Filter, equals

__all__ = ["COUNTERS", "repair", "wrong_counters"]

COUNTERS = {
    "domainCurrentUserNumber": "mailUser",
    "domainCurrentAliasNumber": "mailAlias",
    "domainCurrentListNumber": "mailList",
}
"""The attributes, and the class of what they count."""
_UNITS = {"mailUser": USERS, "mailAlias": ALIASES, "mailList": GROUPS}


def wrong_counters(entry: Entry, numbers: Mapping[str, int]) -> dict[str, int]:
    """Return what the counters of a domain's entry should be, as far as they are not, if there is so much of each class."""
    right = {attribute: numbers[kind] for attribute, kind in COUNTERS.items() if entry.has(attribute)}
    return {attribute: number for attribute, number in right.items() if entry.number(attribute) != number}


def repair(context: Context, domains: Iterable[str]) -> int:
    """Set the counters of some domains right, each under its lock. Returns how many were wrong."""
    repaired = 0
    for domain in domains:
        with NameSpace(context).lock_domain(domain) as lock:
            numbers = {kind: _number(context, domain, kind) for kind in COUNTERS.values()}
            wrong = wrong_counters(lock.entry, numbers)
            lock.at_release(*(Change.replace(attribute, str(number)) for attribute, number in wrong.items()))
            repaired += len(wrong)
    return repaired


def _number(context: Context, domain: str, kind: str) -> int:
    wanted: Filter = accounts_of(domain) if kind == "mailUser" else equals("objectClass", kind)
    return sum(1 for _ in count_of(context, domain, _UNITS[kind], wanted))
