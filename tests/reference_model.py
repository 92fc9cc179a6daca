"""A store as plain dictionaries: what `mailstore.store` promises, written down a second time and independently.

Where several reasons forbid an operation, the contract does not say which one is reported; the model names them all, and a
store may report any of them. Sizes are whole megabytes, ``None`` is "no limit".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailstore.errors import AlreadyExists, BulkRefused, InvalidValue, LimitExceeded, MailstoreError, NotFound
from mailstore.model import Edit

__all__ = ["FOREVER", "Call", "ReferenceModel", "Refusal", "address_of"]

FOREVER = 36500
"""Days that a mailbox is kept if nobody says how long."""

Reasons = set[type[MailstoreError]]


class Refusal(Exception):
    """An operation that may not happen, with every reason that a store may give for that."""

    def __init__(self, reasons: Iterable[type[MailstoreError]]) -> None:
        self.reasons = frozenset(reasons)
        super().__init__(", ".join(sorted(reason.__name__ for reason in self.reasons)))


@dataclass(frozen=True)
class Call:
    """One operation: ``store.<noun>.<verb>(*arguments, **fields)``."""

    noun: str
    verb: str
    arguments: tuple[Any, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        given = [repr(argument) for argument in self.arguments]
        given += [f"{name}={value!r}" for name, value in self.fields.items()]
        return f"{self.noun}.{self.verb}({', '.join(given)})"


@dataclass
class _Domain:
    enabled: bool = True
    quota: int | None = None
    default_account_quota: int | None = None
    max_account_quota: int | None = None
    max_accounts: int | None = None
    max_aliases: int | None = None
    alias_domains: set[str] = field(default_factory=set)
    catch_all: set[str] = field(default_factory=set)


@dataclass
class _Account:
    marker: int
    password: str
    enabled: bool = True
    quota: int | None = None
    forwarding: set[str] = field(default_factory=set)
    keep_copy: bool = True
    aliases: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=lambda: {"imap", "pop3"})
    admin: bool = False
    global_admin: bool = False
    manages: set[str] = field(default_factory=set)


@dataclass
class _Alias:
    enabled: bool = True
    members: set[str] = field(default_factory=set)


@dataclass
class _Record:
    """A deleted account with its pointers: the aliases, accounts and domains whose mail went to it."""

    address: str
    days: int
    account: _Account
    member_of: set[str]
    forwarded_from: set[str]
    catches: set[str]


def address_of(local: str, domain: str) -> str:
    """Return the address of a local part in a domain."""
    return f"{local}@{domain}"


def _parts(address: str) -> tuple[str, str]:
    local, _, domain = address.partition("@")
    return local, domain


def _size(text: str) -> int | None:
    return None if text == "unlimited" else int(text.removesuffix("M"))


def _applied(names: Any, current: Collection[str]) -> set[str]:
    """Return the set of names that a parameter asks for."""
    if isinstance(names, Edit):
        return (set(current) - set(names.remove)) | set(names.add)
    return set(names)


def _named(names: Any) -> set[str]:
    """Return the names that a parameter explicitly wants to be there."""
    return set(names.add if isinstance(names, Edit) else names)


_DOMAIN_SIZES = ("quota", "default_account_quota", "max_account_quota")


class ReferenceModel:
    """Domains, accounts, aliases, admins and records of deleted mailboxes."""

    def __init__(self) -> None:
        self.domains: dict[str, _Domain] = {}
        self.accounts: dict[str, _Account] = {}
        self.aliases: dict[str, _Alias] = {}
        self.records: list[_Record] = []
        self._last_marker = 0

    def apply(self, call: Call) -> Any:
        """Carry out one operation and return what it gives back; raise `Refusal` and change nothing if it may not be."""
        operation = getattr(self, f"{call.noun}_{call.verb}")
        return operation(*call.arguments, **call.fields)

    # --- The name space -----------------------------------------------------------------------------------------------

    def owner(self, domain: str) -> str | None:
        """Return the primary domain that a domain name belongs to, None if it is not served here."""
        if domain in self.domains:
            return domain
        return next((name for name, found in self.domains.items() if domain in found.alias_domains), None)

    def served(self, address: str) -> set[str]:
        """Return every address under which mail for the holder of `address` arrives."""
        local, domain = _parts(address)
        found = self.domains.get(domain)
        return {address} | ({address_of(local, name) for name in found.alias_domains} if found else set())

    def held(self, *, but_aliases_of: str = "") -> set[str]:
        """Return every address that is served."""
        holders = {*self.accounts, *self.aliases}
        for name, account in self.accounts.items():
            holders |= account.aliases if name != but_aliases_of else set()
        return set().union(*map(self.served, holders))

    def _name_reasons(self, address: str, *, but_aliases_of: str = "") -> Reasons:
        """Return why an account or alias cannot be called `address`."""
        if _parts(address)[1] not in self.domains:
            return {NotFound}
        return {AlreadyExists} if self.served(address) & self.held(but_aliases_of=but_aliases_of) else set()

    def _alias_reasons(self, account: str, new: Collection[str], held: set[str]) -> Reasons:
        """Return why an account cannot get `new` aliases where the addresses `held` are in use."""
        reasons: Reasons = set()
        taken = held | self.served(account)
        for alias in sorted(new):
            if alias in self.served(account):
                reasons |= {InvalidValue, AlreadyExists}
            if self.owner(_parts(alias)[1]) is None:
                reasons.add(NotFound)
            elif self.served(alias) & taken:
                reasons.add(AlreadyExists)
            taken |= self.served(alias)
        return reasons

    # --- Limits -------------------------------------------------------------------------------------------------------

    def _quota_reasons(self, domain: str, quota: int | None, *, without: str = "", adding: int = 0) -> Reasons:
        """Return why an account with `quota` does not fit into a domain."""
        limits = self.domains[domain]
        others = [found for name, found in self.accounts.items() if _parts(name)[1] == domain and name != without]
        allocated = sum(found.quota or 0 for found in others)
        most = limits.max_account_quota
        exceeded = (
            (quota is None and (limits.quota or most)),
            most and (quota or 0) > most,
            limits.quota and allocated + (quota or 0) > limits.quota,
            adding and limits.max_accounts is not None and len(others) >= limits.max_accounts,
        )
        return {LimitExceeded} if any(exceeded) else set()

    def _alias_limit_reasons(self, domain: str) -> Reasons:
        most = self.domains[domain].max_aliases
        count = sum(_parts(name)[1] == domain for name in self.aliases)
        return {LimitExceeded} if most is not None and count >= most else set()

    # --- Pointers from one address to another -------------------------------------------------------------------------

    def _pointing(self) -> Iterable[set[str]]:
        yield from (found.members for found in self.aliases.values())
        yield from (found.forwarding for found in self.accounts.values())
        yield from (found.catch_all for found in self.domains.values())

    def _forget(self, is_gone: Callable[[str], bool]) -> None:
        """Remove every pointer to addresses that are gone."""
        for names in self._pointing():
            names -= {name for name in names if is_gone(name)}
        for account in self.accounts.values():
            account.keep_copy = account.keep_copy or not account.forwarding

    def _redirect(self, old: str, new: str) -> None:
        for names in self._pointing():
            if old in names:
                names.remove(old)
                names.add(new)

    @staticmethod
    def _require(reasons: Reasons) -> None:
        if reasons:
            raise Refusal(reasons)

    def _require_domain(self, name: str) -> _Domain:
        if name not in self.domains:
            raise Refusal({NotFound})
        return self.domains[name]

    def _require_account(self, address: str) -> _Account:
        if address not in self.accounts:
            raise Refusal({NotFound})
        return self.accounts[address]

    def _require_alias(self, address: str) -> _Alias:
        if address not in self.aliases:
            raise Refusal({NotFound})
        return self.aliases[address]

    # --- Domains ------------------------------------------------------------------------------------------------------

    def domains_create(self, name: str, **fields: Any) -> None:
        """See `mailstore.store.Domains.create`."""
        self._require({AlreadyExists} if self.owner(name) else set())
        self.domains[name] = _Domain()
        self.domains_update(name, **fields)

    def domains_update(self, name: str, **fields: Any) -> None:
        """See `mailstore.store.Domains.update`."""
        domain = self._require_domain(name)
        for key, value in fields.items():
            if key == "catch_all":
                domain.catch_all = _applied(value, domain.catch_all)
            else:
                setattr(domain, key, _size(value) if key in _DOMAIN_SIZES else value)

    def domains_add_alias_domains(self, name: str, names: Collection[str]) -> None:
        """See `mailstore.store.Domains.add_alias_domains`."""
        domain = self._require_domain(name)
        new = set(names) - domain.alias_domains
        self._require({AlreadyExists} if any(map(self.owner, new)) else set())
        domain.alias_domains |= new

    def domains_remove_alias_domains(self, name: str, names: Collection[str]) -> None:
        """See `mailstore.store.Domains.remove_alias_domains`."""
        domain = self._require_domain(name)
        self._require(set() if set(names) <= domain.alias_domains else {NotFound})
        domain.alias_domains -= set(names)
        self._drop_account_aliases(set(names))

    def domains_delete(self, name: str, *, keep_mailbox_days: int | None = None) -> int:
        """See `mailstore.store.Domains.delete`."""
        domain = self._require_domain(name)
        gone = sorted(address for address in self.accounts if _parts(address)[1] == name)
        self.records += [self._record(address, keep_mailbox_days) for address in gone]
        del self.domains[name]
        self.accounts = {key: found for key, found in self.accounts.items() if key not in gone}
        self.aliases = {key: found for key, found in self.aliases.items() if _parts(key)[1] != name}
        self._drop_account_aliases({name, *domain.alias_domains})
        self._forget(lambda address: _parts(address)[1] == name)
        for account in self.accounts.values():
            self._unmanage(account, name)
        return len(gone)

    def _drop_account_aliases(self, domains: set[str]) -> None:
        for account in self.accounts.values():
            account.aliases = {alias for alias in account.aliases if _parts(alias)[1] not in domains}

    # --- Accounts -----------------------------------------------------------------------------------------------------

    def accounts_create(self, address: str, *, password: str, **fields: Any) -> int:
        """See `mailstore.store.Accounts.create`. Returns the marker to put into the new home."""
        domain_name = _parts(address)[1]
        aliases = set(fields.get("aliases", ()))
        reasons = self._name_reasons(address) | self._alias_reasons(address, aliases, self.held())
        quota = None
        if domain_name in self.domains:
            default = self.domains[domain_name].default_account_quota
            quota = _size(fields["quota"]) if "quota" in fields else default
            reasons |= self._quota_reasons(domain_name, quota, adding=1)
        self._require(reasons)
        self._last_marker += 1
        account = _Account(self._last_marker, password, quota=quota, aliases=aliases)
        self.accounts[address] = account
        account.enabled = fields.get("enabled", True)
        self._forward(address, account, fields)
        return account.marker

    def accounts_create_many(self, accounts: Sequence[dict[str, Any]]) -> int:
        """See `mailstore.store.Accounts.create_many`."""
        trial = copy.deepcopy(self)
        try:
            for fields in accounts:
                trial.accounts_create(**fields)
        except Refusal as refusal:
            raise Refusal({BulkRefused}) from refusal
        self.__dict__ = trial.__dict__
        return len(accounts)

    def accounts_update(self, address: str, **fields: Any) -> None:
        """See `mailstore.store.Accounts.update`."""
        account = self._require_account(address)
        aliases = _applied(fields.get("aliases", Edit()), account.aliases)
        reasons: Reasons = set()
        if "quota" in fields:
            reasons |= self._quota_reasons(_parts(address)[1], _size(fields["quota"]), without=address)
        reasons |= self._changed_alias_reasons(address, aliases)
        self._require(reasons)
        account.aliases = aliases
        if "quota" in fields:
            account.quota = _size(fields["quota"])
        account.enabled = fields.get("enabled", account.enabled)
        account.password = fields.get("password", account.password)
        account.services = _applied(fields.get("services", Edit()), account.services)
        self._forward(address, account, fields)

    def _changed_alias_reasons(self, address: str, wanted: set[str]) -> Reasons:
        present = self.accounts[address].aliases
        kept = set().union(*map(self.served, present & wanted))
        held = self.held(but_aliases_of=address) | kept
        return self._alias_reasons(address, wanted - present, held)

    @staticmethod
    def _forward(address: str, account: _Account, fields: dict[str, Any]) -> None:
        names = fields.get("forwarding", Edit())
        own = {address} if account.keep_copy else set()
        destinations = _applied(names, account.forwarding | own)
        if not isinstance(names, Edit):
            destinations |= own
        keep = fields.get("keep_copy", address in destinations) or address in _named(names)
        account.forwarding = destinations - {address}
        account.keep_copy = keep or not account.forwarding

    def accounts_update_all(self, domain: str, *, enabled: bool) -> int:
        """See `mailstore.store.Accounts.update_all`."""
        self._require_domain(domain)
        accounts = [found for address, found in self.accounts.items() if _parts(address)[1] == domain]
        for account in accounts:
            account.enabled = enabled
        return len(accounts)

    def accounts_rename(self, old: str, new: str) -> None:
        """See `mailstore.store.Accounts.rename`."""
        domains = _parts(old)[1], _parts(new)[1]
        reasons: Reasons = set() if old in self.accounts else {NotFound}
        if old != new or not self.accounts.get(old):
            reasons |= self._name_reasons(new, but_aliases_of=old)
        if old in self.accounts and domains[0] != domains[1] and domains[1] in self.domains:
            reasons |= self._quota_reasons(domains[1], self.accounts[old].quota, adding=1)
        self._require(reasons)
        if old == new:
            return
        account = self.accounts.pop(old)
        self.accounts[new] = account
        account.aliases -= self.served(new)
        self._redirect(old, new)
        if new in account.forwarding:  # what it forwarded to this name is now its own copy
            account.forwarding.remove(new)
            account.keep_copy = True

    def accounts_delete(self, address: str, *, keep_mailbox_days: int | None = None) -> None:
        """See `mailstore.store.Accounts.delete`."""
        self._require_account(address)
        self.records.append(self._record(address, keep_mailbox_days))
        del self.accounts[address]
        self._forget(lambda other: other == address)

    def accounts_verify_password(self, address: str, password: str) -> bool:
        """See `mailstore.store.Accounts.verify_password`."""
        return self._require_account(address).password == password

    def _record(self, address: str, days: int | None) -> _Record:
        return _Record(
            address=address,
            days=FOREVER if days is None else days,
            account=copy.deepcopy(self.accounts[address]),
            member_of={name for name, found in self.aliases.items() if address in found.members},
            forwarded_from={name for name, found in self.accounts.items() if address in found.forwarding},
            catches={name for name, found in self.domains.items() if address in found.catch_all},
        )

    # --- Aliases ------------------------------------------------------------------------------------------------------

    def aliases_create(self, address: str, *, members: Collection[str] = (), enabled: bool = True) -> None:
        """See `mailstore.store.Aliases.create`."""
        reasons = self._name_reasons(address)
        if _parts(address)[1] in self.domains:
            reasons |= self._alias_limit_reasons(_parts(address)[1])
        self._require(reasons)
        self.aliases[address] = _Alias(enabled, set(members))

    def aliases_update(self, address: str, **fields: Any) -> None:
        """See `mailstore.store.Aliases.update`."""
        alias = self._require_alias(address)
        alias.members = _applied(fields.get("members", Edit()), alias.members)
        alias.enabled = fields.get("enabled", alias.enabled)

    def aliases_rename(self, old: str, new: str) -> None:
        """See `mailstore.store.Aliases.rename`."""
        reasons: Reasons = set() if old in self.aliases else {NotFound}
        if old != new or old not in self.aliases:
            reasons |= self._name_reasons(new)
        if _parts(new)[1] in self.domains and _parts(old)[1] != _parts(new)[1]:
            reasons |= self._alias_limit_reasons(_parts(new)[1])
        self._require(reasons)
        self.aliases[new] = self.aliases.pop(old)
        self._redirect(old, new)

    def aliases_delete(self, address: str) -> None:
        """See `mailstore.store.Aliases.delete`."""
        self._require_alias(address)
        del self.aliases[address]
        self._forget(lambda other: other == address)

    # --- Admins -------------------------------------------------------------------------------------------------------

    def admins_promote(self, address: str, **fields: Any) -> None:
        """See `mailstore.store.Admins.promote`; only accounts are admins here."""
        account = self._require_account(address)
        domains = set(fields.get("domains", ()))
        is_global = account.global_admin or fields.get("global_admin", False)
        self._require(set() if is_global or domains <= self.domains.keys() else {NotFound})
        account.admin, account.global_admin = True, is_global
        if not is_global:  # for those who may do everything, domains and limits mean nothing
            account.manages = domains or account.manages | {_parts(address)[1]}

    def admins_demote(self, address: str) -> None:
        """See `mailstore.store.Admins.demote`."""
        account = self._require_account(address)
        self._require(set() if account.admin else {NotFound})
        account.admin = account.global_admin = False
        account.manages = set()

    def admins_add_to_domain(self, domain: str, admins: Collection[str]) -> None:
        """See `mailstore.store.Admins.add_to_domain`."""
        self._require_domain(domain)
        accounts = [self._require_account(address) for address in admins]
        for account in accounts:
            account.admin = True
            account.manages.add(domain)

    def admins_remove_from_domain(self, domain: str, admins: Collection[str] | None = None) -> None:
        """See `mailstore.store.Admins.remove_from_domain`."""
        self._require_domain(domain)
        for address, account in self.accounts.items():
            if admins is None or address in admins:
                self._unmanage(account, domain)

    @staticmethod
    def _unmanage(account: _Account, domain: str) -> None:
        if domain in account.manages:
            account.manages.remove(domain)
            account.admin = bool(account.manages) or account.global_admin

    # --- Deleted mailboxes --------------------------------------------------------------------------------------------

    def find_record(self, address: str, number: int) -> _Record:
        """Return the record `number` of those of an address, the oldest first."""
        found = [record for record in self.records if record.address == address]
        if number >= len(found):
            raise Refusal({NotFound})
        return found[number]

    def deleted_reschedule(self, address: str, number: int, *, keep_mailbox_days: int) -> None:
        """See `mailstore.store.DeletedMailboxes.reschedule`."""
        self.find_record(address, number).days = keep_mailbox_days

    def deleted_restore(self, address: str, number: int) -> None:
        """See `mailstore.store.DeletedMailboxes.restore`."""
        record = self.find_record(address, number)
        domain = _parts(address)[1]
        account = record.account
        reasons = self._name_reasons(address)
        if domain in self.domains:
            reasons |= self._quota_reasons(domain, account.quota, adding=1)
        self._require(reasons)
        self.records = [other for other in self.records if other is not record]
        aliases, account.aliases = account.aliases, set()
        self.accounts[address] = account
        for alias in sorted(aliases):
            if not self._alias_reasons(address, {alias}, self.held()):
                account.aliases.add(alias)
        account.manages &= self.domains.keys()
        self._point_again(record)

    def _point_again(self, record: _Record) -> None:
        for names, kept in (
            (record.member_of, {name: alias.members for name, alias in self.aliases.items()}),
            (record.forwarded_from, {name: account.forwarding for name, account in self.accounts.items()}),
            (record.catches, {name: domain.catch_all for name, domain in self.domains.items()}),
        ):
            for name in names & kept.keys():
                kept[name].add(record.address)

    def deleted_purge(self, day: int) -> list[str]:
        """See `mailstore.purge.purge_due`, run in so many days. Returns the addresses of what is purged."""
        due = [record for record in self.records if record.days <= day]
        self.records = [record for record in self.records if record.days > day]
        return sorted(record.address for record in due)
