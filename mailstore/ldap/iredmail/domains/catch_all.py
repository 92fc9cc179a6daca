"""The catch-all of a domain: a mail user without a local part, whose forwarding gets the mail for unknown addresses.

It has no services: with ``mail`` and ``deliver`` it would be taken for a mailbox.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import alias_domains, is_active
from mailstore.ldap.iredmail.domains.changes import DomainChange
from mailstore.ldap.iredmail.edits import set_values
from mailstore.ldap.iredmail.groups.shields import shield_aliases
from mailstore.ldap.iredmail.names.name_space import NameSpace

__all__ = ["catch_all_attributes", "set_catch_all"]

FORWARDING = "mailForwardingAddress"
_NAME = "catch-all"


def set_catch_all(context: Context, changes: Changes, domain: Entry, name: str, change: DomainChange) -> None:
    """Make, change or delete the catch-all of a domain as its change says; `domain` is the domain's entry."""
    dn = context.places.catch_all(name)
    entry = context.directory.read(dn)
    present = [value.lower() for value in entry.values(FORWARDING)] if entry else []
    targets = change.catch_all(present, NameSpace(context).owners)
    if entry is None:
        if targets:
            shield_aliases(context, changes, name)
            changes.add(dn, catch_all_attributes(domain, name, targets))
    elif targets:
        missing = NotFound(f"{dn} is gone", subject=name)
        context.edit(changes, dn, lambda present: set_values(present, FORWARDING, targets), missing)
    else:
        changes.delete(entry)


def catch_all_attributes(domain: Entry, name: str, targets: Sequence[str]) -> dict[str, list[str]]:
    """Return the catch-all of a domain with this entry."""
    return {
        "objectClass": ["inetOrgPerson", "mailUser"],
        "mail": [f"@{name}"],
        "cn": [_NAME],
        "sn": [_NAME],
        "uid": [_NAME],
        "accountStatus": ["active"],
        "domainStatus": [] if is_active(domain) else ["disabled"],
        FORWARDING: list(targets),
        "shadowAddress": [f"@{alias}" for alias in alias_domains(domain)],
    }
