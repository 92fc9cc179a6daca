"""Mail users: entries below ``ou=Users`` of their domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Unpack

from mailstore import passwords, store
from mailstore.address import account_address, domain_part, held_address, held_domain
from mailstore.driver.holders import refuse_each_other, refuse_self
from mailstore.driver.iredmail.service_names import translated
from mailstore.driver.iredmail.stamps import outlive_stamp
from mailstore.driver.names import Spellings
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked, deletion
from mailstore.driver.values import due_date, either, sought
from mailstore.errors import InvalidPassword, NotFound, NotSupported
from mailstore.fields import AccountFields, BulkAccountFields, reject_unknown
from mailstore.ldap.changes import HAS_BELOW, Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.changes import AccountChange, is_admin, tell_panel, update_all
from mailstore.ldap.iredmail.accounts.creation import COUNTER, Creation
from mailstore.ldap.iredmail.accounts.entries import AccountEntries
from mailstore.ldap.iredmail.accounts.new import NewAccount, secret
from mailstore.ldap.iredmail.accounts.renaming import AccountRenaming, is_unfinished
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.domain_facts import policy_of
from mailstore.ldap.iredmail.entries import ACCOUNT, address_of, names_in
from mailstore.ldap.iredmail.homes import HAS_HOME, HOME_ATTRIBUTES, home_of
from mailstore.ldap.iredmail.limits import check_accounts
from mailstore.ldap.iredmail.names.name_space import AliasDomains, NameSpace
from mailstore.ldap.iredmail.names.references import References, meaning, spellings_of, to_address
from mailstore.ldap.iredmail.places import USERS
from mailstore.ldap.iredmail.policies.changes import claim, clearing
from mailstore.ldap.iredmail.records import Retention
from mailstore.ldap.iredmail.schemes import scheme_for, stored_form
from mailstore.ldap.names import Filter, all_of, any_of, contains, equals, negate
from mailstore.model import Account, DeletedMailbox

__all__ = ["Accounts"]


class Accounts(store.Accounts):
    """See `mailstore.store.Accounts`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._entries = AccountEntries(context)
        self._creation = Creation(context, self._names)
        self._references = References(context)
        self._retention = Retention(context)

    @property
    def service_names(self) -> frozenset[str]:
        return services.SERVICES

    def services_here(self, services: Iterable[str], known: Collection[str] | None = None) -> tuple[str, ...]:
        return translated(services, known, self.service_names)

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        home: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        hashed = secret(self._context, password, password_hash)
        new = NewAccount.parse(self._context, address, hashed, fields, home)
        return self._entries.account(self._creation.one(new))

    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        return self._creation.many(accounts)

    def get(self, address: str) -> Account:
        return self._entries.account(self._read(held_address(address)))

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
        after: str = "",
    ) -> Iterator[Account]:
        bases = self._context.bases(None if domain is None else held_domain(domain), USERS)
        return self._entries.select(bases, _condition(search, enabled, admins), sought(after, "after"))

    def count(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
    ) -> int:
        bases = self._context.bases(None if domain is None else held_domain(domain), USERS)
        condition, directory = _condition(search, enabled, admins), self._context.directory
        return sum(1 for base in bases for _ in directory.search(base, condition, attributes=("1.1",)))

    def exists(self, address: str) -> bool:
        address = held_address(address)
        visible = self._context.actor is None or self._context.actor.sees(domain_part(address))
        return visible and self._entries.read(address) is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        reject_unknown(fields, AccountFields)
        address = held_address(address)
        hashed = secret(self._context, password, password_hash)
        change = AccountChange(self._context, address, hashed, fields)
        self._context.require_right(address, Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS))
        if hashed is not None:
            self._context.check_secret(policy_of(self._domain(address)), hashed, address)
        if change.aliases is not None:
            return self._update_aliases(address, change)
        if change.quota is not None:
            return self._update_quota(address, change, change.quota)
        return self._update(address, change, None)

    def _update(self, address: str, change: AccountChange, known: AliasDomains | None) -> Account:
        def build(entry: Entry) -> list[Change]:
            self._context.refuse_stronger(entry)
            self._refuse_services(entry, change)
            return change.build(entry, known or AliasDomains({}))

        with self._context.changing(address) as changes:
            dn = self._context.places.account(address)
            _, after = self._context.edit(changes, dn, build, _no_such_account(address))
            if change.sets_password:
                tell_panel(self._context, changes, after)
        return self._entries.account(after, known)

    def _refuse_services(self, entry: Entry, change: AccountChange) -> None:
        """Raise PermissionDenied if the domain binds the actor, who switches on a service that the domain switches off."""
        if self._context.actor is None or change.services is None:
            return
        address = address_of(entry)
        if services.switched_on(entry, change.services, policy_of(self._domain(address)).disabled_services):
            self._context.require_right(address, Operation.RULE_DOMAIN)

    def _update_quota(self, address: str, change: AccountChange, quota: int) -> Account:
        """Change an account together with its quota, which the domain has a say about."""
        with self._names.locked({address}) as locks:
            entry, policy = self._read(address), policy_of(locks.of(address).entry)
            policy.check_account_quota(address, quota)
            check_accounts(self._context, policy, adding=0, quota=quota, instead_of=entry)
            return self._update(address, change, None)

    def _update_aliases(self, address: str, change: AccountChange) -> Account:
        """Change an account together with its aliases, which nobody else may have."""
        new = change.new_aliases
        with clearing(self._context) as later, self._names.locked({address, *new}) as locks:
            entry = self._read(address)
            refuse_self(address, new)
            known = self._names.all_alias_domains()
            wanted = {alias: locks.names(alias) for alias in new}
            refuse_each_other(wanted, (address, *change.aliases_after(entry, known)))
            self._names.refuse_taken(wanted, list(self._names.holders(set().union(*wanted.values()))), own=entry)
            if change.quota is not None:
                policy = policy_of(locks.of(address).entry)
                policy.check_account_quota(address, change.quota)
                check_accounts(self._context, policy, adding=0, quota=change.quota, instead_of=entry)
            claim(self._context, set().union(*wanted.values()) - names_in(entry))
            gone = names_in(entry) - change.served_after(entry, known)
            later.remove(gone)
            later.remove_again(change.removed_aliases)
            with self._context.changing(address) as changes:
                self._forget_aliases(changes, entry, gone)
                return self._update(address, change, known)

    def _forget_aliases(self, changes: Changes, entry: Entry, gone: Collection[str]) -> None:
        """Remove what leads to names that an account loses: whoever gets one next must not get what is meant for it."""
        if not gone:
            return
        spellings = Spellings(sorted(gone))
        for other in list(self._references.find(to_address(spellings, entry.dn), own=entry.dn)):
            self._references.remove(changes, other, lambda value: spellings.meant(value) is not None)

    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        reject_unknown(fields, BulkAccountFields)
        return update_all(self._context, self._names, held_domain(domain), fields)

    def rename(self, address: str, new_address: str, *, keep_alias: bool = False) -> Account:
        old, new = held_address(address), account_address(new_address)
        self._context.require_right(old, Operation.CHANGE_ACCOUNT)
        if old == new:
            return self.get(old)
        with (
            clearing(self._context, [old]) as later,
            self._names.locked({old, new}) as locks,
            self._context.changing(old) as changes,
        ):
            entry = self._read_to_rename(old, new)
            self._context.refuse_stronger(entry)
            known = self._names.all_alias_domains()
            entry = AccountRenaming(
                self._context, self._names, locks, changes, entry, old, new, keep_alias=keep_alias
            ).run(known, later)
        renamed = self._entries.account(entry, known)
        outlive_stamp(renamed.home, self._context.homes)
        return renamed

    def _read_to_rename(self, old: str, new: str) -> Entry:
        """Return the account, under its new name if an earlier rename was interrupted. Raises NotFound."""
        entry = self._entries.read(old)
        if entry is None:
            renamed = self._entries.read(new)
            if renamed is None or not is_unfinished(renamed, old, new):
                raise _no_such_account(old)
            return renamed
        return entry

    def delete(self, address: str, *, keep_mailbox_days: int | None = None) -> DeletedMailbox | None:
        address, due = held_address(address), due_date(keep_mailbox_days)
        self._context.require_right(address, *deletion(Operation.DELETE_ACCOUNT, keep_mailbox_days))
        with (
            clearing(self._context, [address]) as later,
            self._names.locked({address}) as locks,
            self._context.changing(address) as changes,
        ):
            entry = self._read(address, HAS_BELOW)
            self._context.refuse_stronger(entry)
            later.remove(names_in(entry))
            spellings = spellings_of(entry)
            references = list(self._references.find(to_address(spellings, entry.dn), own=entry.dn))
            records = self._retention.record(changes, [entry], references, due)
            # The entry goes last: what is interrupted before is still an account, and can be deleted again.
            gone = meaning(spellings, entry.dn)
            for other in references:
                self._references.remove(changes, other, gone)
            changes.on_undo("what Dovecot noted about it", self._context.companion.forget([address]))
            changes.delete(entry)
            locks.of(address).count(COUNTER, -1)
        return records[0] if records else None

    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:
        address = held_address(address)
        self._context.require_right(address, Operation.VERIFY_ACCOUNT)
        entry = self._read(address)
        stored = entry.values("userPassword")
        if self._context.config.verify_by_bind:
            right = self._context.directory.verify(entry.dn, password)
        else:
            right = any(passwords.verify_password(password, value) for value in stored)
        scheme = scheme_for(self._context.config, admin=is_admin(entry))
        if right and rehash and any(_needs_rehash(value, scheme) for value in stored):
            self._replace_hash(entry, passwords.hash_password(password, scheme))
        return right

    def _replace_hash(self, entry: Entry, hashed: str) -> None:
        """Store a new hash of the same password, unless somebody changed the password meanwhile."""
        old = entry.raw["userPassword"]
        new = stored_form(hashed, self._context.config)
        self._context.directory.modify(entry.dn, [Change.delete("userPassword", *old), Change.add("userPassword", new)])

    def password_hash(self, address: str) -> str:
        address = held_address(address)
        self._context.require_right(address, Operation.READ_HASHES)
        entry = self._read(address)
        return entry.first("userPassword")

    def homes(self, *, at_once: bool = False) -> Iterator[tuple[str, str]]:  # noqa: ARG002 a search reads by entry
        query = all_of(ACCOUNT, HAS_HOME)
        for base in self._context.bases(None, USERS):
            for entry in self._context.directory.search(base, query, attributes=("mail", *HOME_ATTRIBUTES)):
                home = home_of(entry)
                if home:
                    yield address_of(entry), home

    def _read(self, address: str, *also: str) -> Entry:
        self._context.require_right(address)
        entry = self._entries.read(address, *also)
        if entry is None:
            raise _no_such_account(address)
        return entry

    def _domain(self, address: str) -> Entry:
        entry = self._context.directory.read(self._context.places.domain(domain_part(address)), EVERYTHING)
        if entry is None:
            raise _no_such_account(address)
        return entry


def _no_such_account(address: str) -> NotFound:
    return NotFound(f"there is no account {address}", subject=address)


def _needs_rehash(stored: str, scheme: str) -> bool:
    try:
        return passwords.needs_rehash(stored, scheme)
    except (InvalidPassword, NotSupported):  # a scheme that only the server can verify
        return True


def _condition(search: str | None, enabled: bool | None, admins: bool | None) -> Filter:
    conditions = [ACCOUNT]
    if search and sought(search):
        conditions.append(any_of(contains("mail", search), contains("cn", search)))
    if either(enabled) is not None:
        active = equals("accountStatus", "active")
        conditions.append(active if enabled else negate(active))
    if either(admins, "admins") is not None:
        is_admin = any_of(equals(services.ATTRIBUTE, services.ADMIN), equals("domainGlobalAdmin", "yes"))
        conditions.append(is_admin if admins else negate(is_admin))
    return all_of(*conditions)
