"""Alias accounts and mailing lists as entries: what differs between the two, and how either is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailstore.address import alias_address, domain_part, held_domain
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.values import either, sought
from mailstore.errors import InvalidAddress, NotFound
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.entries import address_of
from mailstore.ldap.iredmail.places import ALIASES, GROUPS, Places
from mailstore.ldap.names import DN, Filter, all_of, any_of, contains, equals, negate
from mailstore.ldap.sorting import sorted_entries

__all__ = ["ALIAS", "LIST", "Entries", "Kind", "group_address"]


@dataclass(frozen=True)
class Kind:
    """One of the two: its names in errors, and where things stand in the tree.

    ``counter`` is the panel's cache of how many a domain has, ``limit`` returns how many a domain may have.
    """

    noun: str
    plural: str
    object_class: str
    unit: str
    counter: str
    dn: Callable[[Places, str], DN]
    limit: Callable[[DomainPolicy], int]


ALIAS = Kind(
    "alias", "aliases", "mailAlias", ALIASES, "domainCurrentAliasNumber",
    Places.alias, lambda policy: policy.max_aliases,
)  # fmt: skip
LIST = Kind(
    "mailing list", "lists", "mailList", GROUPS, "domainCurrentListNumber",
    Places.mailing_list, lambda policy: policy.max_lists,
)  # fmt: skip


def group_address(text: str) -> str:
    """Return the normal form of the address of a new alias account or list. Raises InvalidAddress.

    iRedAdmin writes names into DNs as they are, where a leading # means something else: it could not show the entry.
    """
    address = alias_address(text)
    if address.startswith("#"):
        raise InvalidAddress(f"{address}: iRedAdmin cannot read an entry whose name begins with #", subject=address)
    return address


class Entries:
    """Reads the entries of one kind, as far as the acting admin sees them."""

    def __init__(self, context: Context, kind: Kind) -> None:
        self._context = context
        self.kind = kind

    def dn(self, address: str) -> DN:
        """Return the name of an entry."""
        return self.kind.dn(self._context.places, address)

    def missing(self, address: str) -> NotFound:
        """Return the error for an address that has no such entry."""
        return NotFound(f"there is no {self.kind.noun} {address}", subject=address)

    def read(self, address: str) -> Entry | None:
        """Return an entry with the attributes that this driver reads; rights are not looked at."""
        if not address.isascii():  # the attribute mail takes nothing else
            return None
        entry = self._context.directory.read(self.dn(address), EVERYTHING)
        return entry if entry is not None and entry.has("objectClass", self.kind.object_class) else None

    def require(self, address: str) -> Entry:
        """Return an entry. Raises NotFound."""
        self._context.require_right(address)
        entry = self.read(address)
        if entry is None:
            raise self.missing(address)
        return entry

    def exists(self, address: str) -> bool:
        """Tell whether there is such an entry."""
        visible = self._context.actor is None or self._context.actor.sees(domain_part(address))
        return visible and self.read(address) is not None

    def select(self, domain: str | None, search: str | None, enabled: bool | None, after: str) -> Iterator[Entry]:
        """Iterate over the entries that `list` asks for, sorted by address."""
        condition, directory = self._condition(search, enabled), self._context.directory
        bases = self._bases(domain)
        found = (entry for base in bases for entry in directory.search(base, condition, attributes=EVERYTHING))
        return sorted_entries(found, address_of, after=after)

    def count(self, domain: str | None, search: str | None, enabled: bool | None) -> int:
        """Return how many entries `select` would give."""
        condition, directory = self._condition(search, enabled), self._context.directory
        return sum(1 for base in self._bases(domain) for _ in directory.search(base, condition, attributes=("1.1",)))

    def _bases(self, domain: str | None) -> list[DN]:
        return self._context.bases(None if domain is None else held_domain(domain), self.kind.unit)

    def _condition(self, search: str | None, enabled: bool | None) -> Filter:
        conditions = [equals("objectClass", self.kind.object_class)]
        if search and sought(search):
            conditions.append(any_of(contains("mail", search), contains("cn", search)))
        if either(enabled) is not None:
            active = equals("accountStatus", "active")
            conditions.append(active if enabled else negate(active))
        return all_of(*conditions)
