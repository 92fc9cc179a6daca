"""Mailing lists: entries below ``ou=Groups`` of their domain; their members stand elsewhere (`members`).

Lists of mlmmj, which has their subscribers on disk, can be read, and changed in what stands in the directory. To rename or
delete one is left to mlmmjadmin: what is on disk would stay behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Unpack

from mailstore import store
from mailstore.address import held_address
from mailstore.driver.rights import Operation
from mailstore.driver.values import sought
from mailstore.fields import MailingListFields
from mailstore.ldap.connection import Entry
from mailstore.ldap.entry import applied
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.entries import address_of, names_in
from mailstore.ldap.iredmail.groups.creation import begun, check_limit, take_name
from mailstore.ldap.iredmail.groups.kinds import LIST, Entries, group_address
from mailstore.ldap.iredmail.groups.list_entries import ListChange, is_managed, list_of, refuse_managed
from mailstore.ldap.iredmail.groups.list_renaming import ListRenaming, change_default_list, concerned
from mailstore.ldap.iredmail.groups.members import GROUP, LIST_PAGE, Members, is_external
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.names.references import References, meaning, spellings_of
from mailstore.ldap.iredmail.policies.changes import clearing
from mailstore.model import Edit, MailingList

__all__ = ["MailingLists"]


class MailingLists(store.MailingLists):
    """See `mailstore.store.MailingLists`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._entries = Entries(context, LIST)
        self._members = Members(context)
        self._references = References(context)

    def create(self, address: str, **fields: Unpack[MailingListFields]) -> MailingList:
        address, change = group_address(address), ListChange(self._context, fields)
        self._context.require_right(address, Operation.WRITE_ALIASES)
        with self._names.locked({address}) as locks, self._context.changing(address) as changes:
            take_name(self._context, self._names, locks, changes, address)
            check_limit(self._context, locks, LIST, address)
            # The list goes last: what is interrupted before is no list yet, and can be created again.
            members = self._members.change(changes, locks, address, change.members) if change.members else ()
            entry = begun(self._entries, locks, address)
            made = changes.add(entry.dn, applied(entry, change.complete(entry)), return_entry=EVERYTHING)
            locks.of(address).count(LIST.counter, 1)
        return list_of(made, members)

    def get(self, address: str) -> MailingList:
        return self._with_members(self._entries.require(held_address(address)))

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[MailingList]:
        entries = self._entries.select(domain, search, enabled, sought(after, "after"))
        while page := list(islice(entries, LIST_PAGE)):
            members = self._members.of([address_of(entry) for entry in page if not is_managed(entry)])
            yield from (list_of(entry, members.get(address_of(entry), ())) for entry in page)

    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        return self._entries.count(domain, search, enabled)

    def exists(self, address: str) -> bool:
        return self._entries.exists(held_address(address))

    def update(self, address: str, **fields: Unpack[MailingListFields]) -> MailingList:
        address, change = held_address(address), ListChange(self._context, fields)
        if change.members is None:
            return self._with_members(self._update(address, change))
        self._update_members(address, change)
        return self.get(address)

    def add_members(self, address: str, members: Iterable[str]) -> None:
        self._edit_members(address, Edit(add=tuple(members)))

    def remove_members(self, address: str, members: Iterable[str]) -> None:
        self._edit_members(address, Edit(remove=tuple(members)))

    def rename(self, address: str, new_address: str) -> MailingList:
        old, new = held_address(address), group_address(new_address)
        self._context.require_right(old, Operation.WRITE_ALIASES)
        if old != new:
            with (
                clearing(self._context, [old]) as later,
                self._names.locked({old, new}) as locks,
                self._context.changing(old) as changes,
            ):
                ListRenaming(self._context, self._entries, locks, changes, old, new).run(later)
        return self.get(new)

    def delete(self, address: str) -> None:
        address = held_address(address)
        self._context.require_right(address, Operation.DELETE_ALIASES)
        with (
            clearing(self._context, [address]) as later,
            self._names.locked({address}) as locks,
            self._context.changing(address) as changes,
        ):
            entry = self._entries.require(address)
            refuse_managed(entry, "delete it")
            later.remove(names_in(entry))
            names = {address, *locks.forms(address)}
            spellings = spellings_of(entry)
            gone = meaning(spellings, entry.dn)
            # The entry goes last: what is interrupted before is still a list, and can be deleted again.
            found = self._references.find(concerned(address, sorted(names), spellings, entry.dn), own=entry.dn)
            for other in sorted(found, key=is_external, reverse=True):
                if is_external(other) and any(other.has(GROUP, name) for name in names):
                    changes.delete(other)
                else:
                    self._references.remove(changes, other, gone)
                if other.has("objectClass", "mailDomain"):
                    change_default_list(self._context, changes, other, address, None)
                locks.of(address).keep()
            changes.delete(entry)
            locks.of(address).count(LIST.counter, -1)

    def _edit_members(self, address: str, members: Edit) -> None:
        self._update_members(held_address(address), ListChange(self._context, {"members": members}))

    def _update_members(self, address: str, change: ListChange) -> None:
        self._context.require_right(address, Operation.WRITE_ALIASES)
        with self._names.locked({address}) as locks, self._context.changing(address) as changes:
            entry = self._entries.require(address)
            refuse_managed(entry, "change its subscribers")
            if change.members is not None:
                self._members.change(changes, locks, address, change.members)
            if change.changes_entry:
                dn, missing = self._entries.dn(address), self._entries.missing(address)
                self._context.edit(changes, dn, change.build, missing, known=entry)

    def _update(self, address: str, change: ListChange) -> Entry:
        self._context.require_right(address, Operation.WRITE_ALIASES)
        with self._context.changing(address) as changes:
            dn, missing = self._entries.dn(address), self._entries.missing(address)
            return self._context.edit(changes, dn, change.build, missing)[1]

    def _with_members(self, entry: Entry) -> MailingList:
        address = address_of(entry)
        members = () if is_managed(entry) else self._members.of([address]).get(address, ())
        return list_of(entry, members)
