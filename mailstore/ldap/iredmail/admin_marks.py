"""The service that marks an account as an admin: the panel asks for it, and it goes with the last domain to manage."""

from __future__ import annotations

from collections.abc import Iterable

from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.edits import add_values, remove_values
from mailstore.ldap.iredmail.services import ADMIN, ATTRIBUTE
from mailstore.ldap.names import DN, equals, same_dn

__all__ = ["demote_idle", "set_mark"]


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
