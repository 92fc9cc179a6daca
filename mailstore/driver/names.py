"""Which spellings of an address mail servers follow to the same mailbox: the one answer that all drivers share.

Readers fold addresses to lower case, cut off what follows a `DELIMITER`, and look under the domain that an alias domain
stands for. Whoever removes, renames, restores, edits or checks references must find them under each of these spellings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from mailstore.address import domain_part, held_address, local_part
from mailstore.errors import InvalidAddress, about_field
from mailstore.fields import plain
from mailstore.model import Edit, Names

__all__ = [
    "DELIMITER",
    "Given",
    "Owners",
    "Spellings",
    "Wanted",
    "edited",
    "newcomers",
    "plain_local_part",
    "settled",
    "wanted",
    "wanted_in",
]

DELIMITER = "+"
"""What starts an extension: Postfix's `recipient_delimiter` on all of these systems."""

Owners: TypeAlias = Mapping[str, str]
"""The domain that each name of a domain leads to: alias domains, and domains themselves."""


def plain_local_part(address: str) -> str:
    """Return the local part in lower case and without its extension; one that begins with the delimiter has none."""
    local = local_part(address).lower()
    plain = local.partition(DELIMITER)[0]
    return plain or local


@dataclass(frozen=True)
class Spellings:
    """All spellings by which references to some addresses are followed.

    Parameters
    ----------
    addresses: as they are stored: those of one account, alias or list, or of several.
    alias_domains: the names that lead to each domain of the addresses, in lower case. A name under one of them that
        belongs to somebody else must not be among `others`.
    others: names that would be spellings by their domain but are somebody else's.
    holders: whose those of the addresses are that are aliases of an account.
    """

    addresses: Collection[str]
    alias_domains: Mapping[str, Collection[str]] = field(default_factory=dict)
    others: Collection[str] = ()
    holders: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[str, str]:
        """Every name without an extension, with the address that it means."""
        found = {
            f"{local_part(address).lower()}@{name}": address
            for address in self.addresses
            for name in self.alias_domains.get(domain_part(address).lower(), ())
        }
        found = {name: address for name, address in found.items() if name not in self.others}
        return found | {address.lower(): address for address in self.addresses}

    def meant(self, text: str) -> str | None:
        """Return the address that a reference means; None if it is none of these."""
        names, text = self.names, text.strip().lower()
        return names.get(text) or names.get(f"{plain_local_part(text)}@{domain_part(text)}")

    def holder(self, text: str) -> str | None:
        """Return who gets the mail for a reference, of those whose addresses these are; None if nobody of them."""
        address = self.meant(text)
        return self.holders.get(address, address) if address else None

    def renamed(self, text: str, new: str) -> str:
        """Return a reference to one of the addresses as it leads to `new`.

        An extension stays, and so does an alias domain that `new` is served under too.
        """
        under = self.alias_domains.get(domain_part(new), ())
        local, _, domain = text.strip().lower().rpartition("@")
        extension = local[len(local_part(self.meant(text) or text)) :]
        return f"{local_part(new)}{extension}@{domain if domain in under else domain_part(new)}"


class Given(tuple[str, ...]):
    """A set of addresses that a call gives whole, in normal form; `odd` are those among them that may not be new.

    Who reads a set and writes it back with a name more repeats what other tools wrote, by rules of their own.
    """

    odd: Mapping[str, InvalidAddress]

    def __new__(cls, names: Iterable[str], odd: Mapping[str, InvalidAddress]) -> Given:
        given = super().__new__(cls, names)
        given.odd = odd
        return given

    def over(self, present: Iterable[str]) -> tuple[str, ...]:
        """Return the set in the place of what is `present`, whose odd names keep their spelling.

        Raises InvalidAddress for an odd one that is not there.
        """
        if not self.odd:
            return tuple(self)
        there = {_folded(name): name for name in present}
        for name, refused in self.odd.items():
            if name not in there:
                raise refused
        return tuple(there[name] if name in self.odd else name for name in self)


def _folded(name: str) -> str:
    try:
        return held_address(name)
    except InvalidAddress:
        return name.lower()


Wanted: TypeAlias = "Edit | Given"
"""What a call wants of a set of addresses, in normal form: all of it, or a change."""


def wanted_in(fields: Mapping[str, Any], name: str, new: Callable[[str], str]) -> Wanted | None:
    """Return what parameters want of the set of addresses `name`, as `wanted` does; None if they do not say."""
    if fields.get(name) is None:
        return None
    with about_field(name):
        found = wanted(fields[name], new)
    if isinstance(found, Given):
        for refused in found.odd.values():
            refused.field = name
    return found


def wanted(names: Names, new: Callable[[str], str], held: Callable[[str], str] = held_address) -> Wanted:
    """Return what a call wants of a set of addresses, in normal form. Raises InvalidAddress.

    What is added must pass `new`. What an `Edit` removes may be whatever a store holds, which is named as `held` says; so
    may what a whole set repeats, as `Given.over` finds out.
    """
    if isinstance(names, Edit):
        added = dict.fromkeys(map(new, plain(names.add)))
        # A domain with letters beyond ASCII may be stored either way.
        removed = (form for name in plain(names.remove) for form in (held(name), name.strip(" ").lower()))
        return Edit(add=tuple(added), remove=tuple(dict.fromkeys(removed)))
    found, odd = [], {}
    for name in plain(names):
        try:
            found.append(new(name))
        except InvalidAddress as refused:
            found.append(held(name))
            odd[found[-1]] = refused
    return Given(dict.fromkeys(found), odd)


def newcomers(names: Wanted | None) -> tuple[str, ...]:
    """Return the names that may have to be added."""
    if isinstance(names, Given):
        return tuple(name for name in names if name not in names.odd)
    return () if names is None else tuple(names.add)


def settled(
    names: Wanted, present: Iterable[str], owners: Callable[[Collection[str]], Owners] = lambda _: {}
) -> tuple[str, ...]:
    """Return what becomes of a set of addresses of which `present` are there; `owners` as for `edited`.

    Raises InvalidAddress for a name that is neither there nor may be new.
    """
    return names.over(present) if isinstance(names, Given) else edited(names, present, owners)


def edited(edit: Edit, present: Iterable[str], owners: Callable[[Collection[str]], Owners]) -> tuple[str, ...]:
    """Return what becomes of the names that are `present`; those that stay keep their spelling.

    A removed address goes in every spelling that leads to its mailbox, with an extension too, while a removed extension
    takes only itself. `owners` is asked which domains lead where only if something is spelled otherwise than it was named.
    """
    current = list(present)
    named = {name.lower() for name in (*edit.add, *edit.remove)}
    removed = {name.lower() for name in edit.remove} - {name.lower() for name in edit.add}
    local_parts = {local_part(name) for name in removed}
    odd = [name for name in current if name.lower() not in named and _may_mean(name, local_parts)]
    gone = _meaning(odd, removed, owners) if odd else []
    return Edit(add=edit.add, remove=[*edit.remove, *gone]).apply(current)


def _may_mean(name: str, local_parts: Collection[str]) -> bool:
    return local_part(name).lower() in local_parts or plain_local_part(name) in local_parts


def _meaning(names: Iterable[str], removed: Collection[str], owners: Callable[[Collection[str]], Owners]) -> list[str]:
    """Return which of `names` lead to a removed address, by their domain or without their extension."""
    domains = {domain_part(name.lower()) for name in (*names, *removed)}
    leads = owners(domains)

    def at_owner(local: str, name: str) -> str:
        domain = domain_part(name.lower())
        return f"{local}@{leads.get(domain, domain)}"

    wanted = {at_owner(local_part(name), name) for name in removed}

    def is_meant(name: str) -> bool:
        # What a foreign server does with extensions nobody here knows.
        hosted = domain_part(name.lower()) in leads
        forms = [local_part(name).lower(), *([plain_local_part(name)] if hosted else [])]
        return any(at_owner(local, name) in wanted for local in forms)

    return [name for name in names if is_meant(name)]
