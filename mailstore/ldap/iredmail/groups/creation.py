"""Taking an address for an alias account or a list, while its domain is locked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailstore.address import domain_part
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active, policy_of
from mailstore.ldap.iredmail.edits import remove_values
from mailstore.ldap.iredmail.groups.kinds import Entries, Kind
from mailstore.ldap.iredmail.limits import check_number
from mailstore.ldap.iredmail.names.name_space import Locks, NameSpace
from mailstore.ldap.iredmail.policies.changes import claim
from mailstore.ldap.names import Filter, any_of, equals

__all__ = ["SERVICES", "begun", "check_limit", "forget_members", "members_of", "require_primary", "take_name"]

SERVICES = ("mail", "deliver")
"""Without both no reader looks at an alias account, a list, or what holds a list's external members."""


def require_primary(names: NameSpace, locks: Locks, address: str) -> None:
    """Raise NotFound if an address lies in an alias domain, where nothing has an entry."""
    if domain_part(address) not in locks.by_domain:
        raise names.no_such_domain(domain_part(address))


def check_limit(context: Context, locks: Locks, kind: Kind, address: str) -> None:
    """Raise LimitExceeded unless the domain of an address may have one more of a kind."""
    policy = policy_of(locks.of(address).entry)
    check_number(context, policy.domain, kind.limit(policy), kind.unit, kind.plural)


def take_name(
    context: Context, names: NameSpace, locks: Locks, changes: Changes, address: str, *, own: Entry | None = None
) -> None:
    """Make sure that nobody else has an address, and that no members of a former list of that name get its mail.

    `own` is the entry that shall get the address. If it has it as an alias already, members of it are its own. Raises
    AlreadyExists.
    """
    wanted = locks.names(address)
    found = list(names.holders(wanted, also=members_of(wanted)))
    names.refuse_taken({address: wanted}, found, own=own)
    if own is None:
        claim(context, wanted)
    if own is None or not own.has("shadowAddress", address):
        forget_members(context, changes, found, wanted)


def begun(entries: Entries, locks: Locks, address: str) -> Entry:
    """Return a new entry with what every one of its kind has; it is still to be completed and added."""
    domain = locks.of(address).entry
    values = {
        "objectClass": [entries.kind.object_class],
        "mail": [address],
        "accountStatus": ["active"],
        "enabledService": list(SERVICES),
        "shadowAddress": sorted(locks.forms(address)),
        "domainStatus": [] if is_active(domain) else ["disabled"],
    }
    return Entry(entries.dn(address), {name: [value.encode() for value in some] for name, some in values.items()})


def members_of(names: Collection[str]) -> Filter:
    """Return the filter for members of lists with these names, and for what holds external ones."""
    return any_of(*(equals("memberOfGroup", name) for name in sorted(names)))


def forget_members(context: Context, changes: Changes, found: Iterable[Entry], names: Collection[str]) -> None:
    """Let nobody of `found` be a member of lists with these names, which somebody else shall have.

    Postfix would send the mail to the members.
    """
    for entry in found:
        if _is_external(entry):
            whole = context.directory.read(entry.dn)
            if whole is not None:
                changes.delete(whole)
        elif gone := remove_values(entry, "memberOfGroup", names):
            changes.modify(entry.dn, gone, old=entry)


def _is_external(entry: Entry) -> bool:
    return entry.has("objectClass", "mailExternalUser")
