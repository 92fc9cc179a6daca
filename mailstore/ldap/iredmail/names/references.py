"""Who refers to an address: every attribute of iRedMail's schema that holds addresses of others, once.

Nothing in a directory keeps these values in step. Deleting an address removes them, renaming one changes them, `check` looks
for what is left over, and the snapshot of a deletion keeps them. iRedMail's servers index all but ``listModerator``,
``listOwner`` and ``userManager``; with these three indexed too, the search reads only what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from mailstore.address import domain_part, local_part
from mailstore.driver.names import DELIMITER, Spellings
from mailstore.errors import Conflict, InvalidValue, NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.edits import set_values
from mailstore.ldap.iredmail.groups.shields import FORWARDING, is_alias, or_itself
from mailstore.ldap.names import DN, Filter, all_of, any_of, between, ends_with, equals, negate, parse_dn, same_dn

__all__ = [
    "ADDRESSES",
    "EXTERNALS",
    "MAILED",
    "NAMES",
    "References",
    "admin_of",
    "meaning",
    "normal",
    "renaming",
    "spellings_of",
    "to_address",
    "to_domain",
    "values_of",
]

ADDRESSES = (
    "domainAdmin", "domainSenderBccAddress", "domainRecipientBccAddress", "mailForwardingAddress",
    "userSenderBccAddress", "userRecipientBccAddress", "userManager", "listAllowedUser", "listModerator", "listOwner",
    "memberOfGroup",
)  # fmt: skip
"""Attributes that hold addresses of others."""
MAILED = frozenset(name for name in ADDRESSES if name.endswith(("BccAddress", "ForwardingAddress"))) | {"mail"}
"""Those that Postfix sends mail to; ``mail`` is that of members without an entry of their own."""
NAMES = ("member", "uniqueMember")
"""Attributes that hold names of other entries."""
EXTERNALS = equals("objectClass", "mailExternalUser")
"""Matches the entries that hold members of lists, in ``mail``; their ``memberOfGroup`` is their own name."""


def spellings_of(entry: Entry) -> Spellings:
    """Return how references to an entry are spelt: its names under alias domains and its aliases stand in the entry."""
    served = [value.lower() for name in ("mail", "shadowAddress") for value in entry.values(name)]
    return Spellings(served, holders=dict.fromkeys(served, served[0]))


def meaning(spellings: Spellings, dn: DN) -> Callable[[str], bool]:
    """Return the test whether a reference, as `normal` returns it, means one of some addresses or their entry."""
    own = dn.lower()
    return lambda value: value == own or spellings.meant(value) is not None


def renaming(spellings: Spellings, new: str, dns: Collection[str], new_dn: DN) -> Callable[[str], str]:
    """Return what makes a reference to `new` of one, as `normal` returns it, to some addresses or to names of entries."""
    own = {dn.lower() for dn in dns}

    def renamed(value: str) -> str:
        if value in own:
            return new_dn
        return value if spellings.meant(value) is None else spellings.renamed(value, new)

    return renamed


def to_address(spellings: Spellings, dn: DN) -> Filter:
    """Return the filter for what refers to some addresses, or to their entry."""
    named = [equals(name, dn) for name in NAMES]
    names = sorted(spellings.names)

    def led_to(attribute: str) -> Filter:
        exact = [equals(attribute, name) for name in names]
        extended = [
            between(attribute, f"{local_part(name)}{DELIMITER}", f"@{domain_part(name)}")
            for name in names
            if attribute in MAILED
        ]
        return any_of(*exact, *extended)

    return any_of(_pointers(led_to), *named)


def to_domain(domain: str) -> Filter:
    """Return the filter for what refers to any address of a domain. References by name of entry are not among them."""
    return _pointers(lambda name: ends_with(name, f"@{domain}"))


def _pointers(test: Callable[[str], Filter]) -> Filter:
    group = all_of(test("memberOfGroup"), negate(EXTERNALS))
    others = [test(name) for name in ADDRESSES if name != "memberOfGroup"]
    return any_of(*others, group, all_of(EXTERNALS, test("mail")))


def values_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """Iterate over the references that an entry holds: attribute and value."""
    external = entry.has("objectClass", "mailExternalUser")
    own = ("mail",) if external else ADDRESSES
    for attribute in (*own, *NAMES):
        yield from ((attribute, value) for value in entry.values(attribute))


def normal(attribute: str, value: str) -> str:
    """Return a reference in lower case; a name in our spelling, since servers escape some characters otherwise."""
    if attribute not in NAMES:
        return value.lower()
    try:
        return parse_dn(value).lower()
    except InvalidValue:
        return value.lower()


class References:
    """Finds references, and changes them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def find(self, query: Filter, own: DN | None = None) -> Iterator[Entry]:
        """Iterate over the entries that match `to_address` or `to_domain`, without the one called `own`."""
        domains = self._context.places.domains
        for entry in self._context.directory.search(domains, query, attributes=EVERYTHING):
            if own is None or not same_dn(entry.dn, own):
                yield entry

    def remove(self, changes: Changes, entry: Entry, gone: Callable[[str], bool]) -> None:
        """Take the values that are `gone` from an entry that refers to them; a list's last external member takes all.

        `gone` is given values as `normal` returns them.
        """

        def build(present: Entry) -> list[Change]:
            changes = _replaced(present, lambda value: None if gone(value) else value)
            led = present.values(FORWARDING)
            if is_alias(present) and led and all(gone(normal(FORWARDING, value)) for value in led):
                changes += [Change.add(FORWARDING, itself) for itself in or_itself(self._context, present, ())]
            return changes

        external = entry.has("objectClass", "mailExternalUser")
        if external and all(gone(value.lower()) for value in entry.values("mail")):
            try:
                changes.delete(entry, only_if=equals("entryCSN", entry.first("entryCSN")))
            except NotFound:
                return
            except Conflict:  # somebody has just added a member
                self._edit(changes, entry, build)
        else:
            self._edit(changes, entry, build)

    def rename(self, changes: Changes, entry: Entry, renamed: Callable[[str], str]) -> None:
        """Put new values in the place of old ones, which `renamed` is given as `normal` returns them."""

        def build(present: Entry) -> list[Change]:
            return _replaced(present, renamed)

        self._edit(changes, entry, build)

    def _edit(self, changes: Changes, entry: Entry, build: Callable[[Entry], list[Change]]) -> None:
        try:
            missing = NotFound(f"{entry.dn} is gone", subject=changes.subject)
            self._context.edit(changes, entry.dn, build, missing, known=entry)
        except NotFound:
            return  # and what it referred to with it


def _replaced(entry: Entry, new: Callable[[str], str | None]) -> list[Change]:
    changes: list[Change] = []
    for attribute in dict.fromkeys(attribute for attribute, _ in values_of(entry)):
        values = [(value, normal(attribute, value)) for value in entry.values(attribute)]
        found = [(value, key, new(key)) for value, key in values]
        kept = [value if then == key else then for value, key, then in found if then is not None]
        changes += set_values(entry, attribute, kept)
    return changes


def admin_of(addresses: Collection[str]) -> Filter:
    """Return the filter for domains that list one of these addresses as an admin."""
    return all_of(equals("objectClass", "mailDomain"), any_of(*(equals("domainAdmin", name) for name in addresses)))
