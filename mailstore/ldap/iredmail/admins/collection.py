"""Admins of both kinds: entries below ``o=domainAdmins``, and marked accounts; domains name those who manage them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Unpack

from mailstore import passwords, store
from mailstore.address import any_address, domain_part, held_address, held_domain
from mailstore.driver.logins import is_right
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.driver.values import sought
from mailstore.errors import AlreadyExists, InvalidPassword, InvalidValue, NotFound
from mailstore.fields import AdminFields, plain, reject_unknown
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.entry import applied
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.changes import is_admin, tell_panel
from mailstore.ldap.iredmail.accounts.collection import Accounts
from mailstore.ldap.iredmail.accounts.new import secret
from mailstore.ldap.iredmail.admins.changes import (
    AdminChange,
    changed_domains,
    holding,
    name_in_domain,
    refuse_limits,
)
from mailstore.ldap.iredmail.admins.entries import AdminEntries, demote_idle, set_mark
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.domain_facts import policy_of
from mailstore.ldap.iredmail.edits import remove_values, set_value
from mailstore.ldap.iredmail.names.locks import Lock
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.schemes import scheme_for
from mailstore.model import Admin, Edit, Names

__all__ = ["Admins"]

_RIGHTS = frozenset(AdminFields.__annotations__) - {"name", "language", "timezone", "enabled", "domains"}


class Admins(store.Admins):
    """See `mailstore.store.Admins`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts
        self._names = NameSpace(context)
        self._entries = AdminEntries(context)

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        reject_unknown(fields, AdminFields)
        address = any_address(address)
        hashed = secret(self._context, password, password_hash)
        if hashed is None:
            raise InvalidPassword(f"{address}: a new admin needs a password, or a ready hash", subject=address)
        change = AdminChange(self._context, address, hashed, fields)
        self._require(Operation.CREATE_ADMIN, address)
        with self._names.lock_domain_names(), self._context.changing(address) as changes:
            self._refuse_taken(address)
            # A domain may still name a former admin of this address.
            domains = () if change.makes_global(None) else tuple(plain(change.domains or ()))
            self._set_domains(changes, address, domains)
            new = Entry(self._context.places.admin(address), _new_attributes(address))
            # The entry comes last, so that whoever is interrupted can create the admin again.
            attributes = applied(new, change.build(new))
            changes.add(new.dn, attributes)
            tell_panel(self._context, changes, Entry(new.dn, attributes))
        return self.get(address)

    def promote(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        reject_unknown(fields, AdminFields)
        address = held_address(address)
        hashed = secret(self._context, password, password_hash)
        rights: dict[str, Any] = {**fields}
        if not (rights.get("global_admin") or "domains" in rights):
            rights["domains"] = Edit(add=[domain_part(address)])
        change = AdminChange(self._context, address, hashed, rights)
        self._context.require_right(address, Operation.SHARE_DOMAIN)
        with holding(self._names, [address]) as locks, self._context.changing(address) as changes:
            entry = self._account(address)
            if entry is None:
                raise NotFound(f"there is no account {address} to make an admin", subject=address)
            self._require_right_to_change(address, entry, fields)
            refuse_limits(address, fields)
            self._check_secret(locks, address, hashed)
            self._forget_former(changes, address, entry)
            self._write(changes, address, entry, change)
        return self.get(address)

    def demote(self, address: str) -> None:
        address = held_address(address)
        self._context.require_right(address, Operation.SHARE_DOMAIN)
        with holding(self._names, [address]), self._context.changing(address) as changes:
            entry, managed = self._account(address), self._entries.managed([address])[address]
            # Without the mark but named by a domain: taking the rights was interrupted, and is finished now.
            if entry is None or not (is_admin(entry) or managed):
                raise NotFound(f"{address} is no account with admin rights", subject=address)
            self._context.refuse_stronger(entry)
            self._context.edit(changes, entry.dn, _demoted, _gone(address))
            self._set_domains(changes, address, Edit(remove=managed), unchecked=True)

    def get(self, address: str) -> Admin:
        address = held_address(address)
        found = self._entries.one(address)
        if found is None:
            raise _no_such_admin(address)
        return found

    def list(self, *, domain: str | None = None, search: str | None = None, after: str = "") -> Iterator[Admin]:
        return self._entries.select(None if domain is None else held_domain(domain), search, sought(after, "after"))

    def count(self, *, domain: str | None = None, search: str | None = None) -> int:
        return self._entries.count(None if domain is None else held_domain(domain), search)

    def exists(self, address: str) -> bool:
        return self._entries.one(held_address(address)) is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        reject_unknown(fields, AdminFields)
        address = held_address(address)
        hashed = secret(self._context, password, password_hash)
        change = AdminChange(self._context, address, hashed, fields)
        with holding(self._names, [address]) as locks, self._context.changing(address) as changes:
            entry = self._visible(address)
            self._require_right_to_change(address, entry, fields)
            if entry.has("objectClass", "mailUser"):
                refuse_limits(address, fields)
                self._check_secret(locks, address, hashed)
            self._write(changes, address, entry, change)
        return self.get(address)

    def delete(self, address: str) -> None:
        address = held_address(address)
        self._require(Operation.DELETE_ADMIN, address)
        with self._names.lock_domain_names(), self._context.changing(address) as changes:
            entry = self._context.directory.read(self._context.places.admin(address))
            if entry is None:
                raise NotFound(f"there is no standalone admin {address}", subject=address)
            # The entry goes last, so that whoever is interrupted can delete the admin again.
            self._set_domains(changes, address, ())
            changes.delete(entry)

    def add_to_domain(self, domain: str, admins: Iterable[str]) -> None:
        name, wanted = held_domain(domain), sorted({held_address(admin) for admin in plain(admins)})
        self._context.require_right(name, Operation.SHARE_DOMAIN)
        with holding(self._names, wanted), self._context.changing(name) as changes:
            self._names.require_primary(name)
            people = {address: self._person(address) for address in wanted}
            accounts = [address for address, entry in people.items() if entry.has("objectClass", "mailUser")]
            for address in accounts:
                self._forget_former(changes, address, people[address])
            name_in_domain(self._context, self._names, changes, name, wanted, named=True)
            for address in accounts:
                set_mark(self._context, changes, address, marked=True)
                marked = self._account(address)
                if marked is not None:
                    tell_panel(self._context, changes, marked)

    def remove_from_domain(self, domain: str, admins: Iterable[str] | None = None) -> None:
        name = held_domain(domain)
        self._context.require_right(name, Operation.SHARE_DOMAIN)
        wanted = None if admins is None else sorted({held_address(admin) for admin in plain(admins)})
        concerned = self._admins_of(name) if wanted is None else wanted
        self._refuse_stronger(concerned)
        with holding(self._names, concerned), self._context.changing(name) as changes:
            gone = name_in_domain(self._context, self._names, changes, name, wanted, named=False)
            demote_idle(self._context, changes, sorted(gone))

    def verify_password(self, address: str, password: str) -> bool:
        address = held_address(address)
        entry = self._visible(address, "userPassword")
        if self._context.actor and address != self._context.actor.address:
            self._require(Operation.VERIFY_ACCOUNT, address)
        admin = self._entries.shown(entry)
        return self._is_password(entry, password) and admin is not None and admin.enabled

    def password_hash(self, address: str) -> str:
        address = held_address(address)
        self._require(Operation.READ_HASHES, address)
        return self._visible(address, "userPassword").first("userPassword")

    def login(self, address: str, password: str) -> Admin | None:
        address = held_address(address)
        entry = self._entries.read(address, "userPassword")
        admin = None if entry is None else self._entries.shown(entry)
        others = [stored for values in self._entries.hashes() for stored in values]
        scheme = scheme_for(self._context.config, admin=True)
        if entry is None or admin is None:
            entry, stored = Entry(self._context.places.admin(address), {}), None
        else:
            stored = entry.values("userPassword")
        by_bind = partial(self._context.directory.verify, entry.dn, password)
        right = is_right(
            password, stored, others, scheme, verify=by_bind if self._context.config.verify_by_bind else None
        )
        return admin if right and admin and admin.enabled else None

    def _is_password(self, entry: Entry, password: str) -> bool:
        if self._context.config.verify_by_bind:
            return self._context.directory.verify(entry.dn, password)
        return any(passwords.verify_password(password, stored) for stored in entry.values("userPassword"))

    def _write(self, changes: Changes, address: str, entry: Entry, change: AdminChange) -> None:
        """Change the domains of an admin, then its own entry, which makes the rights count."""
        standalone = entry.has("objectClass", "mailAdmin")
        wanted = change.makes_global(entry)
        if wanted is not None:
            self._require(Operation.CHANGE_ADMIN, address)
        if change.domains is not None and not (wanted or (wanted is None and entry.has("domainGlobalAdmin", "yes"))):
            self._set_domains(changes, address, change.domains)
        build = change.build if standalone else change.build_account
        _, after = self._context.edit(changes, entry.dn, build, _gone(address))
        tell_panel(self._context, changes, after)

    def _set_domains(self, changes: Changes, address: str, names: Names, *, unchecked: bool = False) -> None:
        """Let these domains, and no others, name an admin; each of them must be one that the actor manages."""
        new, old = changed_domains(self._entries.managed([address])[address], names)
        for name in sorted(new | old) if self._context.actor and not unchecked else ():
            self._context.require_right(name, Operation.SHARE_DOMAIN)
        for name in sorted(new):
            self._names.require_primary(name)
        for name in sorted(new | old):
            name_in_domain(self._context, self._names, changes, name, [address], named=name in new)

    def _visible(self, address: str, *also: str) -> Entry:
        """Return the entry of an admin that the actor may see, with `also` some attributes."""
        entry = self._entries.read(address, *also)
        if entry is None or self._entries.shown(entry) is None:
            raise _no_such_admin(address)
        return entry

    def _account(self, address: str) -> Entry | None:
        entry = self._context.directory.read(self._context.places.account(address), EVERYTHING)
        return entry if entry is not None and entry.has("objectClass", "mailUser") else None

    def _person(self, address: str) -> Entry:
        """Return the entry of an account or a standalone admin. Raises NotFound."""
        self._context.require_right(address)  # an acting admin may promote only accounts that it manages
        entry = self._account(address) or self._context.directory.read(self._context.places.admin(address))
        if entry is None:
            raise NotFound(f"{address} is neither an admin nor an account", subject=address)
        return entry

    def _forget_former(self, changes: Changes, address: str, entry: Entry) -> None:
        """Let no domain name an account that has no admin rights: what it lost must not come back with the next right."""
        if not is_admin(entry):
            managed = self._entries.managed([address])[address]
            self._set_domains(changes, address, Edit(remove=managed), unchecked=True)

    def _check_secret(self, locks: Mapping[str, Lock], address: str, hashed: Secret | None) -> None:
        if hashed is not None:
            self._context.check_secret(policy_of(locks[domain_part(address)].entry), hashed, address)

    def _refuse_stronger(self, addresses: Collection[str]) -> None:
        if self._context.actor:
            for address in addresses:
                entry = self._entries.read(address)
                if entry is not None:
                    self._context.refuse_stronger(entry)

    def _admins_of(self, domain: str) -> Collection[str]:
        entry = self._context.directory.read(self._context.places.domain(domain), ("domainAdmin",))
        if entry is None:
            raise self._names.no_such_domain(domain)
        return {value.lower() for value in entry.values("domainAdmin")}

    def _refuse_taken(self, address: str) -> None:
        if self._names.owners([domain_part(address)]):
            raise InvalidValue(
                f"{address} lies in a domain of this store; create it as an account and promote that", subject=address
            )
        if self._context.directory.read(self._context.places.admin(address), ("1.1",)) is not None:
            raise AlreadyExists(f"{address} is an admin already", subject=address)

    def _require(self, operation: Operation, address: str) -> None:
        if self._context.actor:
            self._context.actor.require_anywhere(address, operation)

    def _require_right_to_change(self, address: str, entry: Entry, fields: Mapping[str, Any]) -> None:
        """Raise PermissionDenied if the actor may not change this admin in this way.

        One that is not global changes no limits and rights, not even its own, and no standalone admins but itself.
        """
        actor = self._context.actor
        if actor is None or actor.is_global():
            return
        standalone = entry.has("objectClass", "mailAdmin")
        if fields.keys() & _RIGHTS or (standalone and address != actor.address):
            self._require(Operation.CHANGE_ADMIN, address)
        actor.refuse_stronger(entry)
        if not standalone:
            actor.require(address, Operation.CHANGE_ACCOUNT)


def _new_attributes(address: str) -> Mapping[str, list[bytes]]:
    return {"objectClass": [b"mailAdmin"], "mail": [address.encode()], "accountStatus": [b"active"]}


def _demoted(entry: Entry) -> list[Change]:
    marks = remove_values(entry, services.ATTRIBUTE, [services.ADMIN])
    return marks + set_value(entry, "domainGlobalAdmin", None)


def _gone(address: str) -> NotFound:
    return NotFound(f"{address} is gone", subject=address)


def _no_such_admin(address: str) -> NotFound:
    return NotFound(f"there is no admin {address}", subject=address)
