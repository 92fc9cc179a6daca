"""Alias domains: readers look for the address that mail is sent to, so every address is there once more for each of them.

An account, alias account or list has its names under alias domains in ``shadowAddress``; Postfix finds the members of a
plain list by ``memberOfGroup``, and those without an entry of their own by ``shadowAddress`` of the entry that holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from mailstore.address import domain_part, local_part
from mailstore.errors import AlreadyExists, NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.edits import add_values, remove_values
from mailstore.ldap.iredmail.names.locks import Lock
from mailstore.ldap.iredmail.names.name_space import HOLDER
from mailstore.ldap.iredmail.names.references import EXTERNALS, References, to_domain
from mailstore.ldap.names import DN, Filter, all_of, any_of, ends_with, is_within

__all__ = ["add_alias_domains", "forget_names", "refuse_served", "remove_alias_domains"]

_SERVICE = "domainalias"
_SERVED = ("mail", "shadowAddress")


def refuse_served(context: Context, name: str, domain: str) -> None:
    """Raise AlreadyExists if an address under `name`, a future alias domain of `domain`, is somebody's alias already.

    What has the same address under the domain itself, too, has it from an interrupted call of `add_alias_domains`.
    """
    query = all_of(HOLDER, ends_with("shadowAddress", f"@{name}"))
    for entry in context.directory.search(context.places.domains, query, attributes=("mail", "shadowAddress")):
        served = [value.lower() for attribute in _SERVED for value in entry.values(attribute)]
        if all(f"{local_part(value)}@{domain}" in served for value in served if domain_part(value) == name):
            continue
        raise AlreadyExists(f"an address under {name} is in use already by {entry.first('mail')}", subject=name)


def add_alias_domains(context: Context, changes: Changes, lock: Lock, domain: str, names: Collection[str]) -> None:
    """Serve every address of a domain under further names. The domain itself comes last: it makes them known."""
    if not names:
        return
    for entry in list(context.directory.search(context.places.domains, _concerned([domain]))):
        _edit(context, changes, lock, entry, lambda present: _with(present, domain, names))

    def announce(present: Entry) -> list[Change]:
        known = add_values(present, "domainAliasName", names)
        return known + add_values(present, "enabledService", [_SERVICE])

    _edit(context, changes, lock, lock.entry, announce)


def remove_alias_domains(context: Context, changes: Changes, lock: Lock, names: Collection[str]) -> None:
    """Serve a domain under some names no longer, with all aliases that lie under them."""
    if not names:
        return

    _leave_references(context, changes, lock, names)

    def conceal(present: Entry) -> list[Change]:
        left = {value.lower() for value in present.values("domainAliasName")} - set(names)
        services = [] if left else remove_values(present, "enabledService", [_SERVICE])
        return remove_values(present, "domainAliasName", names) + services

    _edit(context, changes, lock, lock.entry, conceal)
    forget_names(context, changes, lock, names)


def forget_names(
    context: Context, changes: Changes, lock: Lock, names: Collection[str], *, outside: DN | None = None
) -> None:
    """Take the addresses under some domain names from everything that has them, or from what is not below `outside`."""
    for entry in list(context.directory.search(context.places.domains, _concerned(names))):
        if outside is None or not is_within(entry.dn, outside):
            _edit(context, changes, lock, entry, lambda present: _without(present, names))


def _leave_references(context: Context, changes: Changes, lock: Lock, names: Collection[str]) -> None:
    """Let what refers to addresses under some alias domains refer to their holders by the names that they keep.

    Otherwise it would point at a domain that is nobody's here, and its mail would leave the server.
    """
    references, target = References(context), lock.entry.first("domainName").lower()
    holders = _holders(context, names, target)

    def moved(value: str) -> str:
        local, _, domain = value.rpartition("@")
        return holders.get(value, f"{local}@{target}") if domain in names else value

    for entry in list(references.find(any_of(*(to_domain(name) for name in sorted(names))))):
        references.rename(changes, entry, moved)
        lock.keep()


def _holders(context: Context, names: Collection[str], target: str) -> dict[str, str]:
    """Return who has those addresses under some alias domains that are not addresses of the `target` domain itself."""
    found: dict[str, str] = {}
    ends = any_of(*(ends_with("shadowAddress", f"@{name}") for name in sorted(names)))
    for entry in context.directory.search(context.places.domains, all_of(HOLDER, ends), attributes=_SERVED):
        served = {value.lower() for attribute in _SERVED for value in entry.values(attribute)}
        for value in served:
            if domain_part(value) in names and f"{local_part(value)}@{target}" not in served:
                found[value] = entry.first("mail").lower()
    return found


def _concerned(domains: Iterable[str]) -> Filter:
    """Return the filter for what has a value under one of some domains, in an attribute that addresses are looked up in."""
    ends = [(name, f"@{domain}") for domain in domains for name in (*_SERVED, "memberOfGroup")]
    return all_of(any_of(HOLDER, EXTERNALS), any_of(*(ends_with(name, end) for name, end in ends)))


def _with(entry: Entry, domain: str, names: Collection[str]) -> list[Change]:
    group = entry.values("memberOfGroup")
    if entry.has("objectClass", "mailExternalUser"):
        return add_values(entry, "shadowAddress", _under(group, domain, names))
    served = [value for name in _SERVED for value in entry.values(name)]
    changes = add_values(entry, "shadowAddress", _under(served, domain, names))
    return changes + add_values(entry, "memberOfGroup", _under(group, domain, names))


def _under(values: Iterable[str], domain: str, names: Collection[str]) -> list[str]:
    end = f"@{domain}"
    return [
        f"{value.lower().removesuffix(end)}@{name}" for value in values if value.lower().endswith(end) for name in names
    ]


def _without(entry: Entry, names: Collection[str]) -> list[Change]:
    changes: list[Change] = []
    for attribute in ("shadowAddress", "memberOfGroup"):
        gone = [value for value in entry.values(attribute) if value.lower().rpartition("@")[2] in names]
        changes += remove_values(entry, attribute, gone)
    return changes


def _edit(context: Context, changes: Changes, lock: Lock, entry: Entry, build: Callable[[Entry], list[Change]]) -> None:
    context.edit(changes, entry.dn, build, NotFound(f"{entry.dn} is gone", subject=changes.subject))
    lock.keep()
