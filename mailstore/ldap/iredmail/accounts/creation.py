"""Writing new accounts: one with four operations, or many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from mailstore.driver.bulk import Hashing, Refusals, parse_accounts
from mailstore.driver.holders import refuse_each_other, refuse_self
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.new import NewAccount
from mailstore.ldap.iredmail.context import STAMPS, Context
from mailstore.ldap.iredmail.domain_facts import is_active, policy_of
from mailstore.ldap.iredmail.groups.creation import forget_members, members_of
from mailstore.ldap.iredmail.homes import ATTRIBUTE, Homemaker
from mailstore.ldap.iredmail.limits import check_accounts
from mailstore.ldap.iredmail.names.name_space import Locks, NameSpace
from mailstore.ldap.iredmail.names.references import admin_of
from mailstore.ldap.iredmail.policies.changes import claim
from mailstore.ldap.iredmail.schemes import reader_of
from mailstore.ldap.names import any_of

__all__ = ["COUNTER", "Creation", "known_names"]

COUNTER = "domainCurrentUserNumber"
_AT_ONCE = 25


class Creation:
    """Checks new accounts against the directory and writes them."""

    def __init__(self, context: Context, names: NameSpace) -> None:
        self._context = context
        self._names = names
        self._homes = Homemaker(context)

    def one(self, new: NewAccount) -> Entry:
        """Write one account and make its home. Returns its entry."""
        self._context.require_right(new.address, Operation.CREATE_ACCOUNT, *new.operations)
        with self._names.locked({new.address, *new.aliases}) as locks, self._context.changing(new.address) as changes:
            self._require_primary(locks, new)
            policy = self._finish(locks, [new])
            holders = self._find(locks, [new])
            self._take_names(locks, new, holders)
            check_accounts(self._context, policy, adding=1, quota=new.quota or 0)
            self._claim([new])
            self._forget_former(changes, locks, [new.address], holders)
            known = known_names(self._context, [new.address])
            return self._write(changes, locks, new, known)

    def many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Write many accounts, or none. Raises BulkRefused with all rows that were refused."""
        refusals = Refusals()
        config = self._context.config
        hashing = Hashing(config.password_scheme, reader_of(config))
        new = parse_accounts(accounts, hashing.take, self._parse, refusals)
        with ExitStack() as stack:
            locks = self._lock_all(stack, new, refusals)
            ready = [(index, account) for index, account in new if account.domain in locks.by_domain]
            self._check(locks, ready, refusals)
            refusals.stop_if_any()
            with self._context.changing(f"{len(ready)} accounts") as changes:
                holders = self._find(locks, [account for _, account in ready])
                addresses = [account.address for _, account in ready]
                known = known_names(self._context, addresses)
                self._claim([account for _, account in ready])
                self._forget_former(changes, locks, addresses, holders)
                for _, account in ready:
                    self._write(changes, locks, account, known)
                    for lock in locks.by_domain.values():
                        lock.keep()
        return len(new)

    def _require_primary(self, locks: Locks, new: NewAccount) -> None:
        if new.domain not in locks.by_domain:
            raise self._names.no_such_domain(new.domain)

    def _finish(self, locks: Locks, accounts: Sequence[NewAccount]) -> DomainPolicy:
        """Complete accounts of one domain. Returns what the domain lays down."""
        domain = locks.by_domain[accounts[0].domain].entry
        policy = policy_of(domain)
        for new in accounts:
            new.quota = new.finish(self._context, policy, domain_is_active=is_active(domain))
            self._check_rights(policy, new)
        return policy

    def _check_rights(self, policy: DomainPolicy, new: NewAccount) -> None:
        """Raise PermissionDenied if the domain binds the actor, who gives a ready hash or a service that is off there."""
        if self._context.actor is None:
            return
        self._context.check_secret(policy, new.secret, new.address)
        nothing = Entry(self._context.places.account(new.address), {})
        if new.services is not None and services.switched_on(nothing, new.services, policy.disabled_services):
            self._context.require_right(new.address, Operation.RULE_DOMAIN)

    def _find(self, locks: Locks, accounts: Sequence[NewAccount]) -> list[Entry]:
        """Return who has one of the names of new accounts, and what former holders left: rights, members of a list.

        Whose home lies above that of a new account is found, too.
        """
        found: list[Entry] = []
        for start in range(0, len(accounts), _AT_ONCE):
            some = accounts[start : start + _AT_ONCE]
            names = set().union(*(locks.names(name) for new in some for name in (new.address, *new.aliases)))
            above = [self._homes.above(new.address) for new in some if new.home is None]
            former = any_of(admin_of([new.address for new in some]), members_of(names), *above)
            found += self._names.holders(names, also=former)
        return found

    def _take_names(self, locks: Locks, new: NewAccount, holders: Sequence[Entry]) -> None:
        """Give a new account its aliases, and all names under alias domains. Raises AlreadyExists, HomeRefused."""
        refuse_self(new.address, new.aliases)
        refuse_each_other({alias: locks.names(alias) for alias in new.aliases}, (new.address, *new.aliases))
        wanted = {address: locks.names(address) for address in (new.address, *new.aliases)}
        self._names.refuse_taken(wanted, holders)
        if new.home is None:
            self._homes.refuse_within(new.address, holders)
        derived = set().union(*(locks.forms(address) for address in wanted))
        new.attributes["shadowAddress"] = sorted({*new.aliases, *derived})

    def _claim(self, accounts: Sequence[NewAccount]) -> None:
        """Remove what former holders of names, which nobody has any more, left in the databases beside."""
        claim(self._context, {name for new in accounts for name in (new.address, *new.attributes["shadowAddress"])})

    def _forget_former(
        self, changes: Changes, locks: Locks, addresses: Sequence[str], holders: Sequence[Entry]
    ) -> None:
        """Remove rights, members and shares of former holders of these addresses, before somebody else has them."""
        if holders:
            forget_members(self._context, changes, holders, set().union(*map(locks.names, addresses)))
        for domain in {holder.dn: holder for holder in holders}.values():
            gone = [address for address in addresses if domain.has("domainAdmin", address)]
            if gone:
                changes.modify(domain.dn, [Change.delete("domainAdmin", *gone)])
        for start in range(0, len(addresses), _AT_ONCE):
            undo = self._context.companion.forget(addresses[start : start + _AT_ONCE])
            changes.on_undo("what Dovecot noted about former accounts", undo)

    def _write(self, changes: Changes, locks: Locks, new: NewAccount, known: Collection[str]) -> Entry:
        home = self._homes.make(changes, new.address, new.home, new.mailbox, known=new.address in known)
        locks.by_domain[new.domain].count(COUNTER, 1)
        dn, attributes = self._context.places.account(new.address), {**new.attributes, ATTRIBUTE: [home]}
        stamps = changes.add(dn, attributes, return_entry=STAMPS)
        written = {name: [value.encode() for value in values] for name, values in attributes.items() if values}
        return Entry(dn, {**written, **stamps.raw})

    def _parse(self, address: str, hashed: Secret | None, fields: dict[str, Any], home: str | None) -> NewAccount:
        return NewAccount.parse(self._context, address, hashed, fields, home)

    def _lock_all(self, stack: ExitStack, new: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> Locks:
        """Lock the domains of new accounts; what lies in no domain is refused."""
        locks = {}
        for domain in sorted({account.domain for _, account in new}):
            try:
                self._context.require_right(domain, Operation.CREATE_ACCOUNT)
                locks[domain] = stack.enter_context(self._names.lock_domain(domain))
            except NotFound as error:
                for index, account in new:
                    if account.domain == domain:
                        refusals.add(index, error)
        return Locks(locks, {domain: domain for domain in locks})

    def _check(self, locks: Locks, new: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        holders = self._find(locks, [account for _, account in new]) if new else []
        by_domain: dict[str, list[tuple[int, NewAccount]]] = defaultdict(list)
        for index, account in new:
            with refusals.collect(index):
                if account.operations:
                    self._context.require_right(account.address, *account.operations)
                self._finish(locks, [account])
                self._take_names(locks, account, holders)
            by_domain[account.domain].append((index, account))
        for domain, accounts in by_domain.items():
            with refusals.collect(accounts[-1][0]):
                policy = policy_of(locks.by_domain[domain].entry)
                quota = sum(account.quota or 0 for _, account in accounts)
                check_accounts(self._context, policy, adding=len(accounts), quota=quota)


def known_names(context: Context, addresses: Collection[str]) -> set[str]:
    """Return those addresses whose former mailbox is recorded."""
    ledger = context.companion.ledger
    with ledger.db.reading() as connection:
        return ledger.known_names(connection, addresses)
