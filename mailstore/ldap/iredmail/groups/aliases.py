"""Standalone alias accounts: entries below ``ou=Aliases`` of their domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from mailstore import store
from mailstore.address import held_address
from mailstore.driver.rights import Operation
from mailstore.driver.values import sought
from mailstore.fields import AliasFields
from mailstore.ldap.entry import applied
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.entries import names_in
from mailstore.ldap.iredmail.groups.alias_entries import SUPPORTED, AliasChange, alias_of
from mailstore.ldap.iredmail.groups.creation import begun, check_limit, take_name
from mailstore.ldap.iredmail.groups.kinds import ALIAS, Entries, group_address
from mailstore.ldap.iredmail.groups.renaming import EntryRenaming
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.names.references import References, meaning, spellings_of, to_address
from mailstore.ldap.iredmail.policies.changes import clearing
from mailstore.model import Alias

__all__ = ["Aliases"]


class Aliases(store.Aliases):
    """See `mailstore.store.Aliases`."""

    fields = SUPPORTED

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._entries = Entries(context, ALIAS)
        self._references = References(context)

    def create(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        address, change = group_address(address), AliasChange(self._context, fields)
        self._context.require_right(address, Operation.WRITE_ALIASES)
        with self._names.locked({address}) as locks, self._context.changing(address) as changes:
            take_name(self._context, self._names, locks, changes, address)
            check_limit(self._context, locks, ALIAS, address)
            entry = begun(self._entries, locks, address)
            made = changes.add(entry.dn, applied(entry, change.build(entry)), return_entry=EVERYTHING)
            locks.of(address).count(ALIAS.counter, 1)
        return alias_of(made)

    def get(self, address: str) -> Alias:
        return alias_of(self._entries.require(held_address(address)))

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[Alias]:
        return map(alias_of, self._entries.select(domain, search, enabled, sought(after, "after")))

    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        return self._entries.count(domain, search, enabled)

    def exists(self, address: str) -> bool:
        return self._entries.exists(held_address(address))

    def update(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        address, change = held_address(address), AliasChange(self._context, fields)
        self._context.require_right(address, Operation.WRITE_ALIASES)
        with self._context.changing(address) as changes:
            dn, missing = self._entries.dn(address), self._entries.missing(address)
            _, after = self._context.edit(changes, dn, change.build, missing)
        return alias_of(after)

    def rename(self, address: str, new_address: str) -> Alias:
        old, new = held_address(address), group_address(new_address)
        self._context.require_right(old, Operation.WRITE_ALIASES)
        if old != new:
            with (
                clearing(self._context, [old]) as later,
                self._names.locked({old, new}) as locks,
                self._context.changing(old) as changes,
            ):
                EntryRenaming(self._context, self._entries, locks, changes, old, new).run(later)
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
            later.remove(names_in(entry))
            spellings = spellings_of(entry)
            gone = meaning(spellings, entry.dn)
            # The entry goes last: what is interrupted before is still an alias, and can be deleted again.
            for other in list(self._references.find(to_address(spellings, entry.dn), own=entry.dn)):
                self._references.remove(changes, other, gone)
                locks.of(address).keep()
            changes.delete(entry)
            locks.of(address).count(ALIAS.counter, -1)
