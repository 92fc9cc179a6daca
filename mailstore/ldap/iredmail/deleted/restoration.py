"""Bringing a deleted account back from its record: its entry, and every reference to it that still fits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from mailstore.address import domain_part, held_address, local_part
from mailstore.driver.iredmail.units import MEGABYTE
from mailstore.driver.names import Spellings, plain_local_part
from mailstore.driver.readings import Readings
from mailstore.driver.secret import Secret
from mailstore.errors import AlreadyExists, NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.accounts.creation import COUNTER
from mailstore.ldap.iredmail.accounts.entries import stamps
from mailstore.ldap.iredmail.accounts.new import NewAccount
from mailstore.ldap.iredmail.admins.entries import demote_idle
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active, policy_of
from mailstore.ldap.iredmail.edits import add_values
from mailstore.ldap.iredmail.entries import names_in, own_aliases
from mailstore.ldap.iredmail.homes import ATTRIBUTE, Homemaker, home_of
from mailstore.ldap.iredmail.limits import check_accounts
from mailstore.ldap.iredmail.names.name_space import Locks, NameSpace
from mailstore.ldap.iredmail.names.references import NAMES, admin_of, spellings_of
from mailstore.ldap.iredmail.policies.changes import bring_back, claim
from mailstore.ldap.iredmail.records import POLICIES, stored_attributes, stored_below
from mailstore.ldap.names import DN, all_of, any_of, equals, parse_dn
from mailstore.model import DeletedMailbox
from mailstore.purge import find_mail

__all__ = ["Restoration"]

Values = dict[str, list[bytes]]


class Restoration:
    """One restore of a record that nobody else can change meanwhile."""

    def __init__(self, context: Context, record: DeletedMailbox, snapshot: str | None, hashed: Secret | None) -> None:
        """`hashed` is the password for a record that has no `snapshot`."""
        self._context = context
        self._record = record
        self._address = record.address
        self._dn = context.places.account(record.address)
        self._snapshot: dict[str, Any] = json.loads(snapshot) if snapshot else {}
        self._hashed = hashed
        self._names = NameSpace(context)

    @contextmanager
    def locked(self) -> Iterator[Locks]:
        """Lock the domains of the account's addresses. Raises NotFound."""
        with self._names.locked(self._wanted) as locks:
            if domain_part(self._address) not in locks.by_domain:
                raise self._names.no_such_domain(domain_part(self._address))
            yield locks

    def run(self, changes: Changes, locks: Locks) -> None:
        """Write the account and what belongs to it. Raises AlreadyExists, LimitExceeded, HomeError."""
        if not self._is_there():
            self._add(changes, locks)
        self._add_below(changes)
        spellings = self._spellings()
        for dn, attribute, value in self._snapshot.get("references", ()):
            now = value if attribute in NAMES or spellings.meant(value) else self._respelt(value)
            if now is not None:
                self._refer(changes, parse_dn(dn), attribute, now)
        demote_idle(self._context, changes, [self._address])  # the domains that it managed may be gone

    def _add_below(self, changes: Changes) -> None:
        """Bring back what lay below the entry, as far as an interrupted restore has not."""
        for name, attributes in stored_below(self._snapshot):
            dn = parse_dn(name)
            if self._context.directory.read(dn, ("1.1",)) is None:
                changes.add(dn, attributes)

    def _spellings(self) -> Spellings:
        """Return how references to the account are spelt by now."""
        entry = self._context.directory.read(self._dn, ("mail", "shadowAddress"))
        return Spellings([self._address]) if entry is None else spellings_of(entry)

    def _respelt(self, value: str) -> str | None:
        """Return what a reference to a name that the account has no more becomes; None if the name was an alias."""
        own = plain_local_part(value) == local_part(self._address)
        return f"{local_part(value)}@{domain_part(self._address)}" if own else None

    def _is_there(self) -> bool:
        """Tell whether the account lives with its record: its deletion, or an earlier restore, was interrupted."""
        entry = self._context.directory.read(self._dn, (ATTRIBUTE,))
        return entry is not None and home_of(entry) == self._record.home

    @cached_property
    def _wanted(self) -> list[str]:
        """The addresses that the account had, as far as their domains are there still."""
        known = self._names.all_alias_domains()
        stored = {held_address(name) for name in own_aliases(self._stored(), known)}
        owners = self._names.owners({domain_part(name) for name in stored})
        return [self._address, *(name for name in sorted(stored) if domain_part(name) in owners)]

    def _add(self, changes: Changes, locks: Locks) -> None:
        domain = locks.of(self._address).entry
        attributes = self._attributes(domain)
        entry = Entry(self._dn, attributes)
        self._refuse_stronger(entry)
        policy, quota = policy_of(domain), max(entry.number("mailQuota") or 0, 0) // MEGABYTE
        policy.check_account_quota(self._address, quota)
        check_accounts(self._context, policy, adding=1, quota=quota)
        self._check_home()
        attributes["shadowAddress"] = self._free_names(changes, locks)
        names = names_in(Entry(self._dn, attributes))
        claim(self._context, names)
        bring_back(self._context, changes, self._snapshot.get(POLICIES, {}), names)
        attributes["memberOfGroup"] = self._lists_left(entry)
        attributes["domainStatus"] = [] if is_active(domain) else [b"disabled"]
        changes.add(self._dn, attributes)
        locks.of(self._address).count(COUNTER, 1)

    def refuse_stronger(self) -> None:
        """Raise PermissionDenied if the account, as its record knows it, could do more than the acting admin."""
        if self._snapshot:
            self._refuse_stronger(self._stored())

    def _refuse_stronger(self, entry: Entry) -> None:
        if self._context.actor:
            self._context.actor.refuse_stronger(entry, restored=self._managed())

    def _managed(self) -> list[DN]:
        """Return the domains that will name the account as their admin again."""
        named = (
            parse_dn(dn) for dn, attribute, _ in self._snapshot.get("references", ()) if attribute == "domainAdmin"
        )
        return [dn for dn in named if self._context.directory.read(dn, ("1.1",)) is not None]

    def _stored(self) -> Entry:
        return Entry(self._dn, stored_attributes(self._snapshot))

    def _attributes(self, domain: Entry) -> Values:
        if self._snapshot:
            return {name: list(values) for name, values in self._stored().raw.items()}
        new = NewAccount.parse(self._context, self._address, self._hashed, {}, named=held_address)
        new.finish(self._context, policy_of(domain), domain_is_active=is_active(domain))
        new.attributes[ATTRIBUTE] = [f"{self._record.home}/"]
        return {name: [value.encode() for value in values] for name, values in new.attributes.items()}

    def _free_names(self, changes: Changes, locks: Locks) -> list[bytes]:
        """Return the aliases that nobody else has taken. Raises AlreadyExists if the address itself is in use."""
        wanted = {name: locks.names(name) for name in self._wanted}
        holders = list(self._names.holders(set().union(*wanted.values()), also=admin_of([self._address])))
        for holder in holders:
            if holder.has("domainAdmin", self._address):  # of somebody else who had this address meanwhile
                changes.modify(holder.dn, [Change.delete("domainAdmin", self._address)])
        people = [holder for holder in holders if not holder.has("objectClass", "mailDomain")]
        self._names.refuse_taken({self._address: wanted[self._address]}, people)
        free = [name for name in wanted if self._is_free(name, wanted[name], people)]
        served = {form for name in free for form in (name, *locks.forms(name))} - {self._address}
        return sorted(name.encode() for name in served)

    def _is_free(self, name: str, names: set[str], holders: Sequence[Entry]) -> bool:
        try:
            self._names.refuse_taken({name: names}, holders)
        except AlreadyExists:
            return False
        return True

    def _lists_left(self, entry: Entry) -> list[bytes]:
        """Return the lists that the account was a member of and that are there still."""
        groups = [value.lower() for value in entry.values("memberOfGroup")]
        if not groups:
            return []
        query = any_of(*(equals(name, group) for group in groups for name in ("mail", "shadowAddress")))
        lists = all_of(equals("objectClass", "mailList"), query)
        found = self._context.directory.search(
            self._context.places.domains, lists, attributes=("mail", "shadowAddress", "createTimestamp")
        )
        left = {
            value.lower()
            for each in found
            if not self._is_younger(each)
            for name in ("mail", "shadowAddress")
            for value in each.values(name)
        }
        return [group.encode() for group in groups if group in left]

    def _refer(self, changes: Changes, dn: DN, attribute: str, value: str) -> None:
        """Let an entry refer to the account again, unless it is gone, or another one by now."""
        missing = NotFound(f"{dn} is gone", subject=self._address)

        def build(entry: Entry) -> list[Change]:
            return [] if self._is_younger(entry) else add_values(entry, attribute, [value])

        try:
            self._context.edit(changes, dn, build, missing)
        except NotFound:
            return

    def _is_younger(self, entry: Entry) -> bool:
        """Tell whether an entry was made after the account was deleted, so that it is not what the record speaks of."""
        made = stamps(entry, Readings())["created"]
        return made is not None and self._record.deleted is not None and made > self._record.deleted

    def _check_home(self) -> None:
        """Make sure that the mail is there, and that nobody else's is, nor at, in or above it."""
        Homemaker(self._context).refuse_used([self._record.home], restoring=[self._record])
        find_mail(self._context.homes, self._record)
