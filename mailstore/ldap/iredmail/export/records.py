"""Export from a store of another kind: entries made from its records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

from mailstore.address import domain_part
from mailstore.config import StoreConfig
from mailstore.driver.iredmail.service_names import FAMILIES, neutral
from mailstore.errors import InvalidValue, NotFound, NotSupported
from mailstore.ldap.iredmail.export.base import Export, Membership, Record
from mailstore.ldap.iredmail.export.entries import EntryMaker
from mailstore.ldap.iredmail.export.groups import GroupMaker
from mailstore.ldap.iredmail.names.name_space import AliasDomains
from mailstore.ldap.iredmail.places import Places
from mailstore.model import Account, Admin, Alias, Capability, Domain, Finding, MailingList
from mailstore.store import Store

__all__ = ["RecordExport"]

_RIGHTS = ("max_domains", "max_quota", "max_accounts", "max_aliases", "max_lists", "may_view_mail_log",
           "may_manage_quarantine")  # fmt: skip
_NO_LIMITS = Admin(address="")
_ADDRESS_BOOK = "displayedInGlobalAddressBook"
"""Only a directory has a switch for this; elsewhere everybody is shown."""
_COLUMN = "mailbox.enable"


class RecordExport(Export):
    """See `Export`. The membership of lists is held in memory, and which domains there are; nothing else."""

    def __init__(
        self,
        store: Store,
        places: Places,
        config: StoreConfig,
        *,
        passwords: bool = True,
        report: Callable[[Finding], None],
    ) -> None:
        self._store = store
        self._places = places
        self._config = config
        self._passwords = passwords
        self._report = report

    def everything(self) -> Iterator[Record]:
        self._note_lists()
        for record in self._store.domains.list():
            yield from self._whole(record)
        if Capability.ADMINS in self._store.capabilities:
            for admin in self._store.admins.list():
                if admin.kind == "standalone":
                    yield from self._tried(admin.address, partial(self._admin, admin))

    def whole_domain(self, domain: str) -> Iterator[Record]:
        self._note_lists()
        yield from self._whole(self._store.domains.get(domain))

    def domain(self, domain: str) -> Iterator[Record]:
        yield from self._domain(self._store.domains.get(domain))

    def catch_all(self, domain: str) -> Iterator[Record]:
        found = self._entries.catch_all(self._store.domains.get(domain))
        return iter([found] if found else [])

    def admin(self, address: str) -> Iterator[Record]:
        record = self._store.admins.get(address)
        return self._admin(record) if record.kind == "standalone" else self.account(address)

    def account(self, address: str) -> Iterator[Record]:
        return self._account(self._store.accounts.get(address))

    def mailing_list(self, address: str) -> Iterator[Record]:
        return self._list(self._store.lists.get(address))

    def alias(self, address: str) -> Iterator[Record]:
        return self._alias(self._store.aliases.get(address))

    def _whole(self, record: Domain) -> Iterator[Record]:
        name, has = record.domain, self._store.capabilities
        yield from self._domain(record)
        catch_all = self._entries.catch_all(record)
        if catch_all:
            yield catch_all
        for account in self._store.accounts.list(domain=name):
            yield from self._tried(account.address, partial(self._account, account))
        if Capability.LISTS in has:
            for found in self._store.lists.list(domain=name):
                yield from self._tried(found.address, partial(self._list, found))
        if Capability.ALIASES in has:
            for alias in self._store.aliases.list(domain=name):
                yield from self._tried(alias.address, partial(self._alias, alias))

    def _domain(self, record: Domain) -> Iterator[Record]:
        yield self._entries.domain(record, self._counts(record.domain))
        yield from self._entries.units(record.domain)

    def _account(self, record: Account) -> Iterator[Record]:
        hashed = self._hash(lambda: self._store.accounts.password_hash(record.address))
        if record.admin and not record.global_admin:
            self._note_limits(record.address)
        yield self._entries.account(record, hashed, self._membership(record.address), self._services(record))

    def _alias(self, record: Alias) -> Iterator[Record]:
        yield self._groups.alias(record, self._membership(record.address))

    def _admin(self, record: Admin) -> Iterator[Record]:
        yield self._groups.admin(record, self._hash(lambda: self._store.admins.password_hash(record.address)))

    def _list(self, record: MailingList) -> Iterator[Record]:
        if record.kind == "managed":
            raise InvalidValue("lists of a list manager have to be made by it (mlmmjadmin)", subject=record.address)
        membership = self._membership(record.address)
        yield self._groups.mailing_list(record, membership)
        strangers = [member for member in record.members if not self._has_entry(member)]
        externals = self._groups.externals(record.address, strangers, domain_enabled=membership.domain_enabled)
        if externals:
            yield externals

    def _tried(self, subject: str, make: Callable[[], Iterator[Record]]) -> Iterator[Record]:
        """Iterate over what is made; report what cannot be, or is gone meanwhile, and go on."""
        try:
            yield from make()
        except NotFound:
            return
        except InvalidValue as error:
            self._report(Finding("not-exported", subject, f"not exported: {error}"))

    def _hash(self, read: Callable[[], str]) -> str | None:
        return read() if self._passwords else None

    def _services(self, record: Account) -> Collection[str] | None:
        """Return what an account may use; None if its store does not know such a thing."""
        knows = Capability.ACCOUNT_PROFILE in self._store.capabilities
        return {*record.services, *self._always_on} if knows else None

    def _membership(self, address: str) -> Membership:
        enabled, _, catches = self._domains.get(domain_part(address), (True, (), False))
        return Membership(enabled, self._lists_of.get(address, ()), catches)

    def _has_entry(self, address: str) -> bool:
        """Tell whether a member of a list is named by an entry of its own, as the directory wants it."""
        if domain_part(address) not in self._domains:
            return False
        holders = (self._store.accounts, self._store.aliases, self._store.lists)
        return any(holder.exists(address) for holder in holders)

    def _counts(self, domain: str) -> Mapping[str, int]:
        store, has = self._store, self._store.capabilities
        return {
            "domainCurrentUserNumber": store.accounts.count(domain=domain),
            "domainCurrentAliasNumber": store.aliases.count(domain=domain) if Capability.ALIASES in has else 0,
            "domainCurrentListNumber": store.lists.count(domain=domain) if Capability.LISTS in has else 0,
        }

    def _note_lists(self) -> None:
        if Capability.LISTS not in self._store.capabilities:
            message = "mailing lists are not exported: they are not among what this store can read; make them anew"
            self._report(Finding("lists-left-out", self._store.name, message, "notice"))

    def _note_limits(self, address: str) -> None:
        """Report limits of an account as an admin: a mail user could change them in the directory, so it has none."""
        try:
            admin = self._store.admins.get(address)
        except (NotFound, NotSupported):
            return
        limits = [name for name in _RIGHTS if getattr(admin, name) != getattr(_NO_LIMITS, name)]
        if limits:
            message = f"left out: {', '.join(limits)}: an admin that is an account has no limits in a directory"
            self._report(Finding("left-out", address, message, "notice"))

    @cached_property
    def _entries(self) -> EntryMaker:
        return EntryMaker(self._places, self._config, self._aliases, self._report)

    @cached_property
    def _groups(self) -> GroupMaker:
        return GroupMaker(self._places, self._config, self._aliases, self._report)

    @cached_property
    def _aliases(self) -> AliasDomains:
        return AliasDomains({alias: name for name, (_, aliases, _) in self._domains.items() for alias in aliases})

    @cached_property
    def _domains(self) -> Mapping[str, tuple[bool, Collection[str], bool]]:
        """Whether each domain is enabled, and its alias domains."""
        found = self._store.domains.list()
        return {each.domain: (each.enabled, each.alias_domains, bool(each.catch_all)) for each in found}

    @cached_property
    def _lists_of(self) -> Mapping[str, Collection[str]]:
        """The lists that each address is a member of; it is the members that name them in a directory."""
        found: dict[str, list[str]] = defaultdict(list)
        if Capability.LISTS in self._store.capabilities:
            for record in self._store.lists.list():
                for member in record.members:
                    found[member].append(record.address)
        return dict(found)

    @cached_property
    def _always_on(self) -> tuple[str, ...]:
        """Services that accounts have because the store has no switch for them, as old versions of the SQL schema."""
        report: Any = getattr(self._store, "schema_report", lambda: None)()
        absent = [neutral(name.removeprefix(_COLUMN)) for name in getattr(report, "absent", ()) if _COLUMN in name]
        variants = {variant for family in FAMILIES.values() for variant in family}
        return (_ADDRESS_BOOK, *(name for name in absent if name not in variants))
