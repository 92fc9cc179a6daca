"""What a store holds as LDIF, for a directory with iRedMail's tree.

A store of this kind gives its entries as they are. From any other store they are made out of its records, so that it can be
moved into a directory by a file. Everything is written as it is read, in memory that does not depend on how much it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailstore.address import held_address, held_domain
from mailstore.driver.rights import Operation
from mailstore.errors import NotFound
from mailstore.ldap.entry import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.export.base import Export, Record
from mailstore.ldap.iredmail.places import UNITS
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.iredmail.settings import LOCK_KEY, RESTORED_KEY
from mailstore.ldap.names import DN, present
from mailstore.ldap.sorting import sorted_entries

__all__ = ["TreeExport"]

_PASSWORD = "userPassword"  # noqa: S105 the name of an attribute
_CHILDREN = "hasSubordinates"
_ALL = ("*", _CHILDREN)
_THINGS = present("objectClass")
_OURS = tuple(f"{key}:".lower().encode() for key in (LOCK_KEY, RESTORED_KEY))


class TreeExport(Export):
    """Exports entries of this driver's own tree as they are, without what the server sets by itself."""

    def __init__(self, context: Context, *, passwords: bool = True) -> None:
        """Raises PermissionDenied for an admin who may not see everything, hashes among it."""
        if context.actor:
            context.actor.require_anywhere("the whole directory", Operation.READ_HASHES)
        self._directory = context.directory
        self._places = context.places
        self._passwords = passwords

    def everything(self) -> Iterator[Record]:
        for top in (self._places.domains, self._places.admins):
            yield from self._below(top)

    def whole_domain(self, domain: str) -> Iterator[Record]:
        yield from self._tree(self._entry(self._places.domain(held_domain(domain)), "domain", domain))

    def domain(self, domain: str) -> Iterator[Record]:
        name = held_domain(domain)
        yield self._record(self._entry(self._places.domain(name), "domain", domain))
        for unit in UNITS:
            yield from self._optional(self._places.unit(name, unit))

    def catch_all(self, domain: str) -> Iterator[Record]:
        name = held_domain(domain)
        self._entry(self._places.domain(name), "domain", domain)
        return self._optional(self._places.catch_all(name))

    def admin(self, address: str) -> Iterator[Record]:
        wanted = held_address(address)
        entry = self._directory.read(self._places.admin(wanted)) or self._directory.read(self._places.account(wanted))
        if entry is None:
            raise NotFound(f"there is no admin {wanted}", subject=wanted)
        yield self._record(entry)

    def account(self, address: str) -> Iterator[Record]:
        yield self._record(self._entry(self._places.account(held_address(address)), "account", address))

    def mailing_list(self, address: str) -> Iterator[Record]:
        name = held_address(address)
        yield self._record(self._entry(self._places.mailing_list(name), "mailing list", address))
        yield from self._optional(self._places.externals(name))

    def alias(self, address: str) -> Iterator[Record]:
        yield self._record(self._entry(self._places.alias(held_address(address)), "alias", address))

    def _entry(self, dn: DN, what: str, name: str) -> Entry:
        entry = self._directory.read(dn, _ALL)
        if entry is None:
            raise NotFound(f"there is no {what} {name}", subject=name)
        return entry

    def _optional(self, dn: DN) -> Iterator[Record]:
        entry = self._directory.read(dn)
        if entry is not None:
            yield self._record(entry)

    def _below(self, base: DN) -> Iterator[Record]:
        """Iterate over everything below an entry; the server itself returns entries in the order of their creation."""
        children = self._directory.search(base, _THINGS, scope="one", attributes=_ALL)
        for child in sorted_entries(children, lambda entry: entry.dn.lower()):
            yield from self._tree(child)

    def _tree(self, entry: Entry) -> Iterator[Record]:
        yield self._record(entry)
        if entry.has(_CHILDREN, "TRUE"):
            yield from self._below(entry.dn)

    def _record(self, entry: Entry) -> Record:
        attributes: dict[str, list[str | bytes]] = {
            name: list(values) for name, values in entry.raw.items() if name.lower() not in self._unwanted
        }
        settings = next((name for name in attributes if name.lower() == SETTINGS.lower()), SETTINGS)
        kept = [value for value in attributes.pop(settings, []) if not _is_ours(value)]
        return entry.dn, {**attributes, **({settings: kept} if kept else {})}

    @property
    def _unwanted(self) -> set[str]:
        return {_CHILDREN.lower()} | (set() if self._passwords else {_PASSWORD.lower()})


def _is_ours(value: str | bytes) -> bool:
    return isinstance(value, bytes) and value.lower().startswith(_OURS)
