"""Members of plain lists. Postfix asks who belongs to the address that mail is sent to: membership stands with the member.

Whoever has an entry in this directory has the list in its ``memberOfGroup``, under every name of the list. All others share
one entry below ``ou=Externals`` of the list's domain, which is there only as long as it has members: addresses elsewhere,
those that do not exist yet, alias addresses, and those in domains that the acting admin does not manage, which do not exist
for it. Somebody who gets an entry later stays there; Postfix then finds the entry in a second step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice

from mailstore.address import domain_part
from mailstore.driver.names import Wanted
from mailstore.errors import InvalidValue, NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.edits import add_values, remove_values
from mailstore.ldap.iredmail.entries import address_of
from mailstore.ldap.iredmail.groups.changes import resulting
from mailstore.ldap.iredmail.groups.creation import SERVICES
from mailstore.ldap.iredmail.names.name_space import HOLDER, Locks
from mailstore.ldap.iredmail.names.references import EXTERNALS
from mailstore.ldap.names import DN, Filter, all_of, any_of, equals
from mailstore.model import Edit

__all__ = ["EXTERNAL", "GROUP", "LIST_PAGE", "Members", "is_external"]

GROUP, EXTERNAL = "memberOfGroup", "mailExternalUser"
LIST_PAGE = 50
"""Of how many lists the members are looked for at once: all of them stand in one filter."""
_READ = ("objectClass", "mail", GROUP)


def is_external(entry: Entry) -> bool:
    """Tell whether an entry holds members that have none of their own."""
    return entry.has("objectClass", EXTERNAL)


@dataclass(frozen=True)
class _Present:
    """What a change of members has to know: who of those concerned is there, with the list or without."""

    local: Mapping[str, Entry]
    externals: Sequence[Entry]

    def members(self, mailing_list: str) -> set[str]:
        """Return who of them is a member."""
        own = {name for name, entry in self.local.items() if entry.has(GROUP, mailing_list)}
        return own.union(*(_addresses(entry) for entry in self.externals))


class Members:
    """Reads and changes the members of lists."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, lists: Sequence[str]) -> Mapping[str, Collection[str]]:
        """Return the members of some lists, at most `LIST_PAGE`."""
        found: dict[str, set[str]] = defaultdict(set)
        if not lists:
            return found
        for entry in self._search(any_of(*(equals(GROUP, name) for name in lists))):
            members = _addresses(entry) if is_external(entry) else {address_of(entry)}
            for group in entry.values(GROUP):
                found[group.lower()] |= members
        return found

    def change(self, changes: Changes, locks: Locks, address: str, names: Wanted) -> tuple[str, ...]:
        """Give a list, whose domain is locked, these members. Returns those that are known to be members then.

        Raises InvalidValue for a member that would send the list's mail back to it.
        """
        present = self._look(address, names)
        before = present.members(address)
        after = set(resulting(self._context, names, sorted(before)))
        self._refuse_loops(locks, address, after - before, present)
        groups = sorted({address, *locks.forms(address)})
        local = self._visible(after - before, present.local) | {
            name for name in after & before if present.local.get(name, _NOBODY).has(GROUP, address)
        }
        # Also those that lack a name of the list only: what was interrupted is finished by doing it again.
        for name in sorted(local):
            entry = present.local[name]
            if not self._write(changes, entry, add_values(entry, GROUP, groups), locks, address):
                local.remove(name)  # deleted just now
        self._write_externals(changes, locks, address, present.externals, after - before - local, before - after)
        for name in sorted(before - after):
            entry = present.local.get(name, _NOBODY)
            self._write(changes, entry, remove_values(entry, GROUP, groups), locks, address)
        return tuple(sorted(after))

    def _search(self, query: Filter) -> Iterator[Entry]:
        return self._context.directory.search(self._context.places.domains, query, attributes=_READ)

    def _look(self, address: str, names: Wanted) -> _Present:
        """Look for the entries of those named, for the external members, and for all members if all are replaced."""
        group = equals(GROUP, address)
        named = iter(sorted({*names.add, *names.remove} if isinstance(names, Edit) else set(names)))
        found: dict[DN, Entry] = {}
        also: list[Filter] = [all_of(EXTERNALS, group) if isinstance(names, Edit) else group]
        while (some := list(islice(named, LIST_PAGE))) or also:
            tests = [all_of(HOLDER, any_of(*(equals("mail", name) for name in some)))] if some else []
            found |= {entry.dn: entry for entry in self._search(any_of(*tests, *also))}
            also = []
        local = {name: entry for entry in found.values() if not is_external(entry) for name in _addresses(entry)}
        return _Present(local, [entry for entry in found.values() if is_external(entry)])

    def _visible(self, names: Set[str], local: Mapping[str, Entry]) -> set[str]:
        """Return which of these addresses have an entry that the acting admin may know of."""
        found, actor = {name for name in names if name in local}, self._context.actor
        if not found or actor is None or actor.is_global():
            return found
        managed = set(actor.managed())
        return {name for name in found if domain_part(name) in managed}

    def _refuse_loops(self, locks: Locks, address: str, new: Set[str], present: _Present) -> None:
        if own := sorted(new & locks.names(address)):
            raise InvalidValue(f"{own[0]} cannot be a member of itself: its mail would go round", subject=address)
        lists = {name for name in new if present.local.get(name, _NOBODY).has("objectClass", "mailList")}
        if not lists:
            return
        if above := sorted(lists & self._lists_above(address)):
            raise InvalidValue(
                f"{above[0]} cannot be a member of {address}, which is a member of it: their mail would go round",
                subject=address,
            )

    def _lists_above(self, address: str) -> set[str]:
        """Return the lists that a list is a member of, also through others."""
        above: set[str] = set()
        level = {address}
        while level:
            names = any_of(*(equals("mail", name) for name in sorted(level)))
            found = self._search(all_of(equals("objectClass", "mailList"), names))
            level = {group.lower() for entry in found for group in entry.values(GROUP)} - above
            above |= level
        return above

    def _write(self, changes: Changes, entry: Entry, wanted: list[Change], locks: Locks, address: str) -> bool:
        """Change an entry, with values that nobody else minds. Returns False if it is gone."""
        locks.of(address).keep()
        try:
            if wanted:
                changes.modify(entry.dn, wanted, old=entry)
        except NotFound:
            return False
        return True

    def _write_externals(
        self, changes: Changes, locks: Locks, address: str, externals: Sequence[Entry], new: Set[str], gone: Set[str]
    ) -> None:
        for entry in externals:
            left = _addresses(entry) - gone
            if left or (new and entry is externals[0]):
                added, new = (new, set()) if entry is externals[0] else (set(), new)
                wanted = [*remove_values(entry, "mail", gone), *([Change.add("mail", *sorted(added))] if added else [])]
                changes.modify(entry.dn, wanted, old=entry)
            elif whole := self._context.directory.read(entry.dn):
                changes.delete(whole)
        if new:
            domain = locks.of(address).entry
            changes.add(
                self._context.places.externals(address),
                {
                    "objectClass": [EXTERNAL],
                    GROUP: [address],
                    "mail": sorted(new),
                    "accountStatus": ["active"],
                    "enabledService": list(SERVICES),
                    "shadowAddress": sorted(locks.forms(address)),
                    "domainStatus": [] if is_active(domain) else ["disabled"],
                },
            )


_NOBODY = Entry(DN(""), {})


def _addresses(entry: Entry) -> set[str]:
    values: Iterable[str] = entry.values("mail")
    return {value.lower() for value in values}
