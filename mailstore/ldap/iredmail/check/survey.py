"""What `check` knows of a tree: its domains, and who has which address. Memory grows with the number of addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailstore.address import domain_part
from mailstore.driver.iredmail.units import MEGABYTE
from mailstore.driver.routes import Maps
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.accounts.changes import is_admin
from mailstore.ldap.iredmail.domain_facts import alias_domains, is_active, is_backup
from mailstore.ldap.iredmail.names.name_space import AliasDomains
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.names import DN, is_within, parent, rdn_value, same_dn

__all__ = ["ALIAS", "CATCH_ALL", "EXTERNAL", "LIST", "USER", "HostedDomain", "Survey", "kind_of", "shown"]

USER, LIST, ALIAS, EXTERNAL = "mailUser", "mailList", "mailAlias", "mailExternalUser"
CATCH_ALL = "catch-all"


@dataclass
class HostedDomain:
    """One domain, with what was counted in it. ``numbers`` are entries by kind, ``quota`` is what is allocated, in MB."""

    entry: Entry
    name: str
    units: set[str] = field(default_factory=set)
    numbers: Counter[str] = field(default_factory=Counter)
    quota: int = 0


class Survey:
    """The facts that single entries are held against."""

    def __init__(self, places: Places, domains: Iterator[Entry], admins: Iterator[Entry]) -> None:
        self.places = places
        self.domains = {found.name: found for found in map(_hosted, domains)}
        self.standalone = {admin.first("mail").lower(): admin for admin in admins}
        self.alias_owners: dict[str, list[str]] = {}
        for hosted in self.domains.values():
            for alias in alias_domains(hosted.entry):
                self.alias_owners.setdefault(alias, []).append(hosted.name)
        self.aliases = AliasDomains({alias: owners[0] for alias, owners in self.alias_owners.items()})
        self._ends = {name: f",{places.domain(name)}".lower() for name in self.domains}
        self.holders: dict[str, DN] = {}
        self.accounts: set[str] = set()
        self._rows: dict[str, set[str]] = {}
        self._mailboxes: dict[str, bool] = {}
        self.admins: set[str] = set()
        self.lists: set[str] = set()

    def owner(self, domain: str) -> str | None:
        """Return the primary domain of a name; None if the name is not hosted."""
        return domain if domain in self.domains else next(iter(self.alias_owners.get(domain, ())), None)

    def knows(self, address: str) -> bool:
        """Tell whether somebody has this address, perhaps with an extension."""
        local, _, domain = address.rpartition("@")
        return address in self.holders or f"{local.partition('+')[0]}@{domain}" in self.holders

    def catches(self, domain: str) -> bool:
        """Tell whether mail for unknown addresses of a domain goes somewhere."""
        owner = self.owner(domain)
        return owner is not None and self.domains[owner].numbers[CATCH_ALL] > 0

    def domain_of(self, entry: Entry, name: str) -> str | None:
        """Return the domain that an entry lies in; `name` is the address that it probably is named after."""
        domain = domain_part(name)
        if domain in self.domains and entry.dn.lower().endswith(self._ends[domain]):
            return domain
        above = entry.dn
        while is_within(above, self.places.domains) and not same_dn(above, self.places.domains):
            here, above = above, parent(above)
            if same_dn(above, self.places.domains):
                return rdn_value(here).lower()
        return None

    def note(self, entry: Entry, kind: str, hosted: HostedDomain) -> None:
        """Take an entry into account."""
        hosted.numbers[kind] += 1
        if kind == USER:
            hosted.quota += max(entry.number("mailQuota") or 0, 0) // MEGABYTE
            self.accounts.add(entry.first("mail").lower())
            if is_admin(entry):
                self.admins.add(entry.first("mail").lower())
        names = {value.lower() for name in ("mail", "shadowAddress") for value in entry.values(name)}
        if kind == LIST:
            self.lists.update(names)
        elif kind != EXTERNAL:
            self._note_route(entry, kind, names)

    def _note_route(self, entry: Entry, kind: str, names: set[str]) -> None:
        if kind == USER:
            self._mailboxes |= dict.fromkeys(names, is_active(entry))
        targets = {value.strip().lower() for value in entry.values("mailForwardingAddress")}
        if targets and is_active(entry):
            self._rows |= dict.fromkeys(names, targets)

    def maps(self) -> Maps:
        """Return what Postfix finds, of what was noted."""
        hosted = {name for name, found in self.domains.items() if is_active(found.entry) and not is_backup(found.entry)}
        owners = {alias: names[0] for alias, names in self.alias_owners.items()}
        return Maps(self._rows, self._mailboxes, hosted, self.domains.keys(), owners, self.lists)


def kind_of(entry: Entry) -> str | None:
    """Return what an entry is; None if it holds no address."""
    if entry.has("objectClass", USER):
        return CATCH_ALL if entry.first("mail").startswith("@") else USER
    return next((kind for kind in (LIST, ALIAS, EXTERNAL) if entry.has("objectClass", kind)), None)


def shown(entry: Entry) -> str:
    """Return what to call an entry in a message."""
    if entry.has("objectClass", EXTERNAL):
        return f"the list of external members of {entry.first('memberOfGroup').lower()}"
    return (entry.first("mail") or entry.first("domainName")).lower() or entry.dn


def _hosted(entry: Entry) -> HostedDomain:
    return HostedDomain(entry, entry.first("domainName").lower())
