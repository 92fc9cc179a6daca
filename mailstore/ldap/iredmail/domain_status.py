"""The state of a domain, which stands in the entry of everything in it too: readers look at the one entry that they find."""

from __future__ import annotations

from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.names.locks import Lock
from mailstore.ldap.names import all_of, any_of, equals, negate

__all__ = ["DISABLED", "spread_status"]

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
