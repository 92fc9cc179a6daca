"""The one name space of accounts, aliases, lists, per-account aliases and alias domains.

Whoever takes an address first locks the domain that owns it (`locks`); nothing in the directory itself would keep two
entries from having one address, and Dovecot then lets neither of them in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mailstore.address import domain_part, local_part
from mailstore.driver.holders import no_such_domain, refuse_taken, served_names
from mailstore.driver.names import Spellings
from mailstore.errors import NotFound
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import alias_domains
from mailstore.ldap.iredmail.names.locks import Lock, lock
from mailstore.ldap.names import Filter, all_of, any_of, equals, present, same_dn

__all__ = ["HOLDER", "AliasDomains", "Locks", "NameSpace", "forms"]

HOLDER = any_of(*(equals("objectClass", name) for name in ("mailUser", "mailList", "mailAlias")))
"""Matches what can have an address."""
_AT_ONCE = 50
"""How many names stand in one filter."""


@dataclass(frozen=True)
class Locks:
    """The locks of some primary domains, and which of them owns each domain name that was asked for."""

    by_domain: Mapping[str, Lock]
    owners: Mapping[str, str]

    def of(self, address: str) -> Lock:
        """Return the lock of the domain that owns an address."""
        return self.by_domain[self.owners[domain_part(address)]]

    def names(self, address: str) -> set[str]:
        """Return every name under which an address of the locked domains would be served."""
        owner = self.owners[domain_part(address)]
        return served_names(address, owner, alias_domains(self.by_domain[owner].entry))

    def spellings(self, address: str) -> Spellings:
        """Return how references to an address are spelt; the alias domains of all locked domains are known then."""
        return Spellings([address], {name: alias_domains(each.entry) for name, each in self.by_domain.items()})

    def forms(self, address: str) -> set[str]:
        """Return the names of an address under the alias domains of its own domain."""
        owner = self.owners[domain_part(address)]
        return forms(address, owner, alias_domains(self.by_domain[owner].entry))


def forms(address: str, owner: str, aliases: Collection[str]) -> set[str]:
    """Return the names under `aliases`, the alias domains of `owner`, that an address has; none in an alias domain."""
    if domain_part(address) != owner:
        return set()
    return {f"{local_part(address)}@{alias}" for alias in aliases}


class AliasDomains:
    """All alias domains of a store, to tell which addresses of an entry are there only because of them."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        """`owners` are the primary domains of the alias domains."""
        self._names: dict[str, list[str]] = {}
        for alias, owner in owners.items():
            self._names.setdefault(owner, []).append(alias)

    def forms(self, address: str) -> set[str]:
        """Return the names of an address under the alias domains of its domain."""
        domain = domain_part(address)
        return forms(address, domain, self._names.get(domain, ()))

    def served(self, addresses: Iterable[str]) -> set[str]:
        """Return addresses with all their names."""
        named = set(addresses)
        return named.union(*map(self.forms, named))


class NameSpace:
    """Locks owners of addresses and refuses addresses that are taken."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @contextmanager
    def locked(self, addresses: Collection[str]) -> Iterator[Locks]:
        """Lock the primary domains that own some addresses against all other writers of mailstore. Raises NotFound."""
        domains = {domain_part(address) for address in addresses}
        # A single domain that is none is found out by the lock itself.
        owners = {name: name for name in domains} if len(domains) == 1 else self._owners(domains)
        for owner in sorted(set(owners.values())):
            self._context.require_right(owner)
        with ExitStack() as stack:
            # In one order for all, so that two operations that need the same two domains wait instead of deadlocking.
            locks = {owner: stack.enter_context(self.lock_domain(owner)) for owner in sorted(set(owners.values()))}
            yield Locks(locks, owners)

    @contextmanager
    def lock_domain(self, domain: str, *, unfinished_too: bool = False) -> Iterator[Lock]:
        """Lock a primary domain. Raises NotFound, which tells if the name is an alias domain."""
        directory, dn = self._context.directory, self._context.places.domain(domain)
        with lock(directory, dn, lambda: self.no_such_domain(domain), unfinished_too=unfinished_too) as held:
            yield held

    @contextmanager
    def lock_domain_names(self) -> Iterator[None]:
        """Lock the names of all domains, while a domain, an alias domain or a standalone admin is made."""
        places = self._context.places
        missing = NotFound(f"there is no {places.domains}; make it with 'mailstore schema create'")
        with lock(self._context.directory, places.domains, lambda: missing, attribute="description"):
            yield

    def owners(self, domains: Collection[str]) -> dict[str, str]:
        """Return the primary domain of each of `domains`, which may be primary or alias domains; others are left out."""
        if not domains:
            return {}
        names = [equals(name, domain) for domain in sorted(domains) for name in ("domainName", "domainAliasName")]
        found: dict[str, str] = {}
        query = all_of(equals("objectClass", "mailDomain"), any_of(*names))
        for entry in self._search_domains(query):
            primary = entry.first("domainName").lower()
            found |= {name: primary for name in (primary, *alias_domains(entry)) if name in domains}
        return found

    def all_alias_domains(self) -> AliasDomains:
        """Return the alias domains of the whole store."""
        found = self._search_domains(present("domainAliasName"))
        return AliasDomains(
            {alias: entry.first("domainName").lower() for entry in found for alias in alias_domains(entry)}
        )

    def alias_domains_of(self, addresses: Iterable[str]) -> AliasDomains:
        """Return those alias domains that one of these addresses lies under."""
        owners = self.owners({domain_part(address) for address in addresses})
        return AliasDomains({alias: owner for alias, owner in owners.items() if alias != owner})

    def require_primary(self, domain: str) -> None:
        """Raise NotFound unless this is a primary domain."""
        if self._context.directory.read(self._context.places.domain(domain), ("1.1",)) is None:
            raise self.no_such_domain(domain)

    def no_such_domain(self, domain: str) -> NotFound:
        """Return the error for a domain that is not there; it says so if the name is an alias domain."""
        return no_such_domain(domain, self.owners([domain]).get(domain))

    def holders(self, names: Collection[str], *, also: Filter | None = None) -> Iterator[Entry]:
        """Iterate over the entries that have one of these names, and over those that match `also`.

        They come with their names and home, and with what a former holder of one may have left: rights, and members
        of a list.
        """
        for some in _chunks(sorted(names)):
            tests = [equals(name, value) for value in some for name in ("mail", "shadowAddress")]
            query = all_of(HOLDER, any_of(*tests))
            names_of = ("objectClass", "mail", "shadowAddress", "domainName", "domainAdmin", "memberOfGroup")
            attributes = (*names_of, "homeDirectory")
            yield from self._context.directory.search(
                self._context.places.domains, any_of(query, also) if also else query, attributes=attributes
            )
            also = None

    @staticmethod
    def refuse_taken(
        wanted: Mapping[str, Collection[str]], holders: Sequence[Entry], *, own: Entry | None = None
    ) -> None:
        """Raise AlreadyExists if a name belongs to one of `holders` already.

        Parameters
        ----------
        wanted: the addresses that shall be taken, with all names of each.
        own: the entry that may keep what it has.
        """
        taken = {
            name.lower(): _kind(entry, name.lower())
            for entry in holders
            if not entry.has("objectClass", "mailExternalUser") and (own is None or not same_dn(entry.dn, own.dn))
            for name in (*entry.values("mail"), *entry.values("shadowAddress"))
        }
        refuse_taken(wanted, taken)

    def _owners(self, domains: Collection[str]) -> dict[str, str]:
        owners = self.owners(domains)
        for domain in sorted(domains):
            if domain not in owners:
                raise no_such_domain(domain, None)
        return owners

    def _search_domains(self, query: Filter) -> Iterator[Entry]:
        attributes = ("domainName", "domainAliasName")
        return self._context.directory.search(self._context.places.domains, query, scope="one", attributes=attributes)


def _kind(entry: Entry, name: str) -> str:
    if entry.has("objectClass", "mailList"):
        return "a mailing list"
    if entry.has("objectClass", "mailAlias"):
        return "an alias account"
    return "an account" if entry.has("mail", name) else "an alias address of an account"


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
