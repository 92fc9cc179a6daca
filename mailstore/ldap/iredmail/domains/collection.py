"""Domains: entries below ``o=domains``, each with four organizational units."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Unpack

from mailstore import store
from mailstore.address import domain_name, held_domain
from mailstore.driver.rights import DOMAIN_FIELDS, Operation, asked, deletion
from mailstore.driver.values import due_date, either, sought
from mailstore.errors import AlreadyExists, NotFound
from mailstore.fields import DomainFields, plain, reject_unknown
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.entry import applied
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import alias_domains
from mailstore.ldap.iredmail.domains.alias_domains import add_alias_domains, refuse_served, remove_alias_domains
from mailstore.ldap.iredmail.domains.catch_all import set_catch_all
from mailstore.ldap.iredmail.domains.changes import DomainChange
from mailstore.ldap.iredmail.domains.deletion import DomainDeletion
from mailstore.ldap.iredmail.domains.entries import DOMAIN, DomainEntries, spread_status
from mailstore.ldap.iredmail.edits import set_value
from mailstore.ldap.iredmail.entries import ACCOUNT
from mailstore.ldap.iredmail.names.locks import UNFINISHED, Lock, is_unfinished, new_lock_value
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.places import UNITS, USERS
from mailstore.ldap.iredmail.policies.changes import claim, clearing
from mailstore.ldap.iredmail.rights import IS_ADMIN, RANK
from mailstore.ldap.iredmail.settings import ATTRIBUTE
from mailstore.ldap.names import Filter, all_of, any_of, contains, ends_with, equals, negate, present
from mailstore.model import Domain

__all__ = ["Domains"]


class Domains(store.Domains):
    """See `mailstore.store.Domains`."""

    no_renaming = "a directory changes one entry at a time, and has no transactions"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._entries = DomainEntries(context)

    def create(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        reject_unknown(fields, DomainFields)
        name = domain_name(domain)
        change = DomainChange(self._context, name, fields)
        if self._context.actor:
            wanted = {Operation.NEW_NAME, *asked(fields, DOMAIN_FIELDS, new=True)}
            self._context.actor.require_anywhere(name, *wanted)
            self._context.actor.allow_new_domain(_wanted_limits(change))
        with self._names.lock_domain_names(), self._context.changing(name) as changes:
            self._remove_unfinished(name)
            self._claim(name)
            claim(self._context, domains=[name])
            self._add(changes, name, change)
        return self._get(name)

    def get(self, domain: str) -> Domain:
        name = held_domain(domain)
        self._context.require_right(name)
        return self._get(name)

    def list(self, *, search: str | None = None, enabled: bool | None = None, after: str = "") -> Iterator[Domain]:
        return self._entries.select(_condition(search, enabled), self._visible(), sought(after, "after"))

    def count(self, *, search: str | None = None, enabled: bool | None = None) -> int:
        visible, query = self._visible(), all_of(DOMAIN, _condition(search, enabled))
        found = self._context.directory.search(
            self._context.places.domains, query, scope="one", attributes=("domainName",)
        )
        return sum(1 for entry in found if visible is None or entry.first("domainName").lower() in visible)

    def exists(self, domain: str) -> bool:
        name = held_domain(domain)
        owner = self._names.owners([name]).get(name)
        return owner is not None and (self._context.actor is None or self._context.actor.sees(owner))

    def update(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        reject_unknown(fields, DomainFields)
        name = held_domain(domain)
        change = DomainChange(self._context, name, fields)
        wanted = {*asked(fields, DOMAIN_FIELDS)} | (
            {Operation.DESCRIBE_DOMAIN} if fields.keys() - DOMAIN_FIELDS else set()
        )
        self._context.require_right(name, *wanted)
        if Operation.COPY_DOMAIN in wanted:
            self._refuse_stronger_in(name)
        if self._context.actor and change.limits:
            self._context.actor.allow_limits(name, change.limits)
        with self._names.lock_domain(name) as lock, self._context.changing(name) as changes:
            self._change(changes, lock, name, change)
        return self._get(name)

    def _refuse_stronger_in(self, name: str) -> None:
        """Raise PermissionDenied if an account of a domain may do more than the actor."""
        if self._context.actor is None:
            return
        base, query = self._context.places.unit(name, USERS), all_of(ACCOUNT, IS_ADMIN)
        for entry in self._context.directory.search(base, query, scope="one", attributes=RANK):
            self._context.refuse_stronger(entry)

    def _change(self, changes: Changes, lock: Lock, name: str, change: DomainChange) -> None:
        """Write a change; the domain is switched off before what is in it, and on after that."""
        spread = change.status is not None
        if spread and change.status == "active":
            spread_status(self._context, changes, lock, name, enabled=True)

        def build(entry: Entry) -> list[Change]:
            return change.build(entry) + (set_value(entry, "accountStatus", change.status) if change.status else [])

        _, after = self._context.edit(changes, self._context.places.domain(name), build, _gone(name))
        if change.changes_catch_all:
            set_catch_all(self._context, changes, after, name, change)
        if spread and change.status != "active":
            spread_status(self._context, changes, lock, name, enabled=False)

    def add_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        target, wanted = held_domain(domain), _new_names(names)
        self._context.require_right(target, Operation.NEW_NAME)
        with (
            self._names.lock_domain_names(),
            self._names.lock_domain(target) as lock,
            self._context.changing(target) as changes,
        ):
            new = [name for name in wanted if name not in alias_domains(lock.entry)]
            for name in new:
                self._claim(name)
                refuse_served(self._context, name, target)
            claim(self._context, domains=new)
            # Also those that are there already: whoever was interrupted finishes by asking again.
            add_alias_domains(self._context, changes, lock, target, wanted)

    def remove_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        target, wanted = held_domain(domain), _held_names(names)
        self._context.require_right(target, Operation.DROP_ALIAS_DOMAIN)
        with (
            clearing(self._context, domains=wanted) as later,
            self._names.lock_domain(target) as lock,
            self._context.changing(target) as changes,
        ):
            for name in wanted:
                if name not in alias_domains(lock.entry) and not self._was_interrupted(name):
                    raise NotFound(f"{name} is no alias domain of {target}", subject=name)
            later.remove(domains=wanted)
            remove_alias_domains(self._context, changes, lock, wanted)

    def _was_interrupted(self, name: str) -> bool:
        """Tell whether nobody owns a domain name under which addresses are there still."""
        if self._names.owners([name]):
            return False
        query = any_of(ends_with("shadowAddress", f"@{name}"), ends_with("memberOfGroup", f"@{name}"))
        found = self._context.directory.search(self._context.places.domains, query, attributes=("1.1",))
        return next(found, None) is not None

    def delete(self, domain: str, *, keep_mailbox_days: int | None = None) -> int:
        name, due = held_domain(domain), due_date(keep_mailbox_days)
        self._context.require_right(name, *deletion(Operation.DELETE_DOMAIN, keep_mailbox_days))
        with (
            clearing(self._context, domains=[name]) as later,
            self._names.lock_domain(name, unfinished_too=True) as lock,
        ):
            return DomainDeletion(self._context, lock, name, due).run(later)

    def claim_back(self, names: Sequence[str]) -> None:
        """Take the names of a domain that comes back, its own first, while the names of all domains are locked.

        What is left of a creation or restore that was interrupted goes. Raises AlreadyExists if one is in use.
        """
        self._remove_unfinished(names[0])
        for name in names:
            self._claim(name)
            refuse_served(self._context, name, names[0])

    def _get(self, name: str) -> Domain:
        found = self._entries.one(name)
        if found is None:
            raise self._names.no_such_domain(name)
        return found

    def _add(self, changes: Changes, name: str, change: DomainChange) -> None:
        """Write a domain: switched off and marked as unfinished, until everything is there."""
        dn = self._context.places.domain(name)
        begun = Entry(
            dn, {key: [value.encode() for value in values] for key, values in change.new_attributes().items()}
        )
        attributes = applied(begun, change.build(begun))
        mark = new_lock_value(UNFINISHED)
        attributes["accountStatus"] = [b"disabled"]
        attributes[ATTRIBUTE] = [*attributes.get(ATTRIBUTE, ()), mark.encode()]
        if self._context.actor and not self._context.actor.is_global():
            attributes["domainAdmin"] = [self._context.actor.address.encode()]
        changes.add(dn, attributes)
        for unit in UNITS:
            changes.add(self._context.places.unit(name, unit), {"objectClass": ["organizationalUnit"], "ou": [unit]})
        wanted = change.status or "active"
        if change.changes_catch_all:
            state = Entry(dn, {**attributes, "accountStatus": [wanted.encode()]})
            set_catch_all(self._context, changes, state, name, change)
        finished = [Change.delete(ATTRIBUTE, mark), Change.replace("accountStatus", wanted)]
        changes.modify(dn, finished, undo=())

    def _claim(self, name: str) -> None:
        """Raise AlreadyExists if a name is that of a domain, or of a standalone admin: it could then be an account too."""
        owner = self._names.owners([name]).get(name)
        if owner is not None:
            what = "a domain" if owner == name else f"an alias domain of {owner}"
            raise AlreadyExists(f"{name} is {what} already", subject=name)
        admins, query = self._context.places.admins, ends_with("mail", f"@{name}")
        for admin in self._context.directory.search(admins, query, scope="one", attributes=("mail",)):
            address = admin.first("mail")
            raise AlreadyExists(
                f"{address} is a standalone admin; delete it before {name} becomes a domain", subject=name
            )

    def _remove_unfinished(self, name: str) -> None:
        """Remove what an interrupted creation left: a domain that never was switched on, without anything in it."""
        dn, directory = self._context.places.domain(name), self._context.directory
        entry = directory.read(dn)
        if entry is None or not any(is_unfinished(value) for value in entry.values(ATTRIBUTE)):
            return
        left = [found.dn for found in directory.search(dn, present("objectClass"), attributes=("1.1",))]
        for found in sorted(left, key=len, reverse=True):
            directory.delete(found)

    def _visible(self) -> Collection[str] | None:
        actor = self._context.actor
        return None if actor is None or actor.is_global() else set(actor.managed())


def _wanted_limits(change: DomainChange) -> dict[str, int]:
    """Return the limits that a new domain would have; what is not given is unlimited."""
    return {"numberOfUsers": 0, "numberOfAliases": 0, "numberOfLists": 0, "domainQuota": 0} | change.limits


def _gone(name: str) -> NotFound:
    return NotFound(f"domain {name} is gone", subject=name)


def _new_names(names: Iterable[str]) -> list[str]:
    return sorted({domain_name(name) for name in plain(names)})


def _held_names(names: Iterable[str]) -> list[str]:
    return sorted({held_domain(name) for name in plain(names)})


def _condition(search: str | None, enabled: bool | None) -> Filter:
    conditions = [DOMAIN]
    if search and sought(search):
        conditions.append(any_of(contains("domainName", search), contains("cn", search)))
    if either(enabled) is not None:
        active = equals("accountStatus", "active")
        conditions.append(active if enabled else negate(active))
    return all_of(*conditions)
