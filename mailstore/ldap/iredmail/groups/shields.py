"""What keeps mail for an alias account without members from the catch-all of its domain.

Postfix asks for an address and, if no entry answers, for its domain. An alias that leads to itself answers: Postfix stops
there, finds no mailbox, and the mail bounces. Where there is no catch-all nothing is added: the mail is then refused before
it is sent. Nothing can be written so for what is switched off: no map of iRedMail's looks at such an entry. The files of
`mailstore.ldap.iredmail.lookups` have two that do.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailstore.address import domain_part
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.places import ALIASES
from mailstore.ldap.names import all_of, equals, negate, present

__all__ = ["FORWARDING", "is_alias", "or_itself", "shield_aliases", "without_itself"]

FORWARDING = "mailForwardingAddress"
_ALIAS = equals("objectClass", "mailAlias")


def is_alias(entry: Entry) -> bool:
    """Tell whether an entry is an alias account."""
    return entry.has("objectClass", "mailAlias")


def or_itself(context: Context, entry: Entry, members: Sequence[str]) -> Sequence[str]:
    """Return what an alias account shall lead to that has these members: itself if it has none and there is a catch-all."""
    address = entry.first("mail").lower()
    if members or context.directory.read(context.places.catch_all(domain_part(address)), ("1.1",)) is None:
        return members
    return [address]


def without_itself(entry: Entry, members: Sequence[str]) -> tuple[str, ...]:
    """Return the members among what an alias account leads to."""
    address = entry.first("mail").lower()
    return tuple(member for member in members if member != address)


def shield_aliases(context: Context, changes: Changes, domain: str) -> None:
    """Let the alias accounts of a domain that have no members lead to themselves: it has a catch-all from now on."""
    empty = all_of(_ALIAS, negate(present(FORWARDING)))
    base = context.places.unit(domain, ALIASES)
    for entry in list(context.directory.search(base, empty, scope="one", attributes=("mail", FORWARDING))):
        address = entry.first("mail").lower()

        def build(present_: Entry, address: str = address) -> list[Change]:
            return [] if present_.values(FORWARDING) else [Change.add(FORWARDING, address)]

        context.edit(changes, entry.dn, build, NotFound(f"{entry.dn} is gone", subject=domain))
