"""How many accounts, aliases and lists a domain may have, and has."""

from __future__ import annotations

from collections.abc import Iterator

from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.iredmail.units import MEGABYTE, from_limit
from mailstore.errors import LimitExceeded
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.places import ALIASES, GROUPS, USERS
from mailstore.ldap.names import Filter, all_of, equals, negate

__all__ = ["accounts_of", "check_accounts", "check_number", "count_of"]


def count_of(context: Context, domain: str, unit: str, filter: Filter) -> Iterator[Entry]:
    """Iterate over what a domain has in one of its units, with nothing but the quota."""
    base = context.places.unit(domain, unit)
    return context.directory.search(base, filter, scope="one", attributes=("mailQuota",))


_CLASSES = {
    GROUPS: "mailList",
    ALIASES: "mailAlias",
}


def accounts_of(domain: str) -> Filter:
    """Return the filter for the accounts of a domain; its catch-all looks like one."""
    return all_of(equals("objectClass", "mailUser"), negate(equals("mail", f"@{domain}")))


def check_accounts(
    context: Context, policy: DomainPolicy, *, adding: int, quota: int, instead_of: Entry | None = None
) -> None:
    """Raise LimitExceeded unless `adding` more accounts with `quota` MB together fit, without the account `instead_of`.

    Only where there is a limit the accounts are read. Whoever checks a limit holds the lock of the domain.
    """
    if policy.max_accounts <= 0 and not policy.quota:
        policy.check_count(count=0, allocated=0, adding=adding, quota=quota)
        return
    count = allocated = 0
    for entry in count_of(context, policy.domain, USERS, accounts_of(policy.domain)):
        if instead_of is None or entry.dn != instead_of.dn:
            count += 1
            allocated += max(entry.number("mailQuota") or 0, 0) // MEGABYTE
    policy.check_count(count=count, allocated=allocated, adding=adding, quota=quota)


def check_number(context: Context, domain: str, most: int, unit: str, noun: str) -> None:
    """Raise LimitExceeded unless one more alias account or list fits; `most` is 0 for no limit, -1 for none at all."""
    limit = from_limit(most)
    if limit is None:
        return
    if limit == 0:
        raise LimitExceeded(f"domain {domain} may have no {noun}", subject=domain)
    count = sum(1 for _ in count_of(context, domain, unit, equals("objectClass", _CLASSES[unit])))
    if count >= limit:
        raise LimitExceeded(f"domain {domain} may have {limit} {noun} and has {count}", subject=domain)
