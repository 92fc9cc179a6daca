"""Writing new accounts: one with few statements, or many with few statements for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from mailstore.disk.layout import Layout
from mailstore.driver.bulk import Hashing, Refusals, batches, grouped_by_columns, parse_accounts
from mailstore.driver.companions import levels
from mailstore.driver.holders import refuse_taken
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.driver.values import now
from mailstore.errors import HomeExists, HomeRefused, Refused
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail import homes
from mailstore.sql.iredmail.accounts.new import NewAccount
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.limits import check_accounts, policy_of
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import Cleanup
from mailstore.sql.iredmail.records import Retention
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.routing.shields import Shields

__all__ = ["Creation"]


class Creation:
    """Checks new accounts against the database and writes them."""

    def __init__(self, context: Context, names: NameSpace, services: Services) -> None:
        self._context = context
        self._names = names
        self._services = services
        self._cleanup = Cleanup(context)
        self._retention = Retention(context)
        self._layout = Layout(**msgspec.structs.asdict(context.config.layout))

    def one(self, tx: Transaction, new: NewAccount) -> None:
        """Write one account and make its home. Without limits and aliases these are four statements."""
        if new.aliases:  # lock all domains in one order before any of them
            self._names.lock_owners(tx, {new.address, *new.aliases})
        policy = policy_of(self._names.lock_domain(tx, new.domain))
        new.finish(policy, self._services)
        self._check_rights(tx, policy, new)
        facts = self._names.facts(tx.connection, new.address)
        self._names.refuse_taken(facts, new.address)
        check_accounts(self._context, tx, policy, adding=1, quota=new.mailbox["quota"])
        owners = self._names.claim_aliases(tx, new.address, new.aliases)
        if facts["leftovers"]:
            self._cleanup.remove_leftovers(tx, new.address)
        self._check_given_homes(tx, [new])
        new.mailbox |= self._home(tx, new, known_name=facts["deleted_before"]).columns()
        self._insert_mailboxes(tx, [new])
        self._insert_beside(tx, [new], owners)
        self._context.companions.claiming(levels([new.address]))

    def many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Write many accounts in one transaction. Raises BulkRefused with all rows that were refused."""
        refusals = Refusals()
        config = self._context.config
        hashing = Hashing(config.password_scheme, config.password_reader)
        new = parse_accounts(accounts, hashing.take, self._parse, refusals)
        with self._context.db.writing() as tx:
            for batch in batches(new):
                self._check_batch(tx, batch, refusals)
            self._check_capacity(tx, new, refusals)
            refusals.stop_if_any()
            self._write(tx, [account for _, account in new])
            self._context.companions.claiming(levels(account.address for _, account in new))
        return len(new)

    def _parse(self, address: str, hashed: Secret | None, fields: dict[str, Any], home: str | None) -> NewAccount:
        return NewAccount.parse(self._context, address, hashed, fields, home)

    def _check_batch(self, tx: Transaction, batch: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        domains = self._lock_domains(tx, {account.domain for _, account in batch})
        names = self._names.all_names(tx.connection, [account.address for _, account in batch])
        taken = self._names.taken(tx.connection, set().union(*names.values()))
        for index, account in batch:
            try:
                if account.domain not in domains:
                    raise self._names.no_such_domain(tx.connection, account.domain)
                refuse_taken({account.address: names[account.address]}, taken)
                account.finish(domains[account.domain], self._services)
                if self._context.actor and account.operations:
                    self._context.actor.require(tx.connection, account.address, *account.operations)
                self._check_rights(tx, domains[account.domain], account)
            except Refused as error:
                refusals.add(index, error)

    def _check_rights(self, tx: Transaction, policy: DomainPolicy, new: NewAccount) -> None:
        """Raise PermissionDenied if the domain binds the actor, who gives a ready hash or a service that is off there."""
        if self._context.actor is None:
            return
        self._context.check_secret(tx.connection, policy, new.secret, new.address)
        off = self._services.disabled_for_new(policy.disabled_services)
        if new.services is not None and any(new.mailbox[column] != value for column, value in off.items()):
            self._context.actor.require(tx.connection, new.address, Operation.RULE_DOMAIN)

    def _write(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        self._check_given_homes(tx, accounts)
        for batch in batches(accounts):
            known = self._retention.known_names(tx, [account.address for account in batch])
            for account in batch:
                account.mailbox |= self._home(tx, account, known_name=account.address in known).columns()
            self._insert_mailboxes(tx, batch)
        self._remove_leftovers(tx, accounts)
        for batch in batches(accounts):
            self._insert_beside(tx, batch, {})

    def _remove_leftovers(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        """Remove what former holders of these names left, before the new accounts have rows of their own there."""
        if accounts:
            since = min(account.mailbox["created"] for account in accounts)
            found = self._cleanup.leftovers_of_new(tx, since)
            for address in found & {account.address for account in accounts}:
                self._cleanup.remove_leftovers(tx, address)

    def _lock_domains(self, tx: Transaction, domains: set[str]) -> dict[str, DomainPolicy]:
        table = self._context.table("domain")
        query = select(table).where(table.c.domain.in_(domains)).order_by(table.c.domain).with_for_update()
        policies = {row["domain"]: policy_of(row) for row in tx.execute(query).mappings()}
        if self._context.actor:
            for domain in policies:
                self._context.actor.require(tx.connection, domain, Operation.CREATE_ACCOUNT)
        return policies

    def _check_capacity(self, tx: Transaction, new: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        by_domain: dict[str, list[tuple[int, NewAccount]]] = defaultdict(list)
        for index, account in new:
            by_domain[account.domain].append((index, account))
        for domain, policy in self._lock_domains(tx, set(by_domain)).items():
            accounts = by_domain[domain]
            quota = sum(account.mailbox.get("quota", 0) for _, account in accounts)
            with refusals.collect(accounts[-1][0]):
                check_accounts(self._context, tx, policy, adding=len(accounts), quota=quota)

    def _insert_mailboxes(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        for alike in grouped_by_columns([account.mailbox for account in accounts]):
            self._context.insert_all(tx, "mailbox", alike)

    def _insert_beside(self, tx: Transaction, accounts: Sequence[NewAccount], owners: Mapping[str, str]) -> None:
        """Insert what an account has in other tables; `owners` are the primary domains of its aliases."""
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for account in accounts:
            rows["forwardings"] += account.forwarding_rows(owners)
            for table, row in account.pointer_rows().items():
                rows[table].append(row)
        for table, all_rows in rows.items():
            self._context.insert_all(tx, table, all_rows)
        Shields(self._context).renew(tx, [account.address for account in accounts if not account.mailbox["active"]])

    def _check_given_homes(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        """Refuse homes that callers chose where others live, are kept, or would come to live by the layout."""
        root = self._context.config.new_home_root()
        given = [homes.given(root, account.home).path for account in accounts if account.home is not None]
        if given:
            self._retention.refuse_used_homes(tx, given)
            for path in given:
                self._layout.refuse_shared(root, path)

    def _home(self, tx: Transaction, new: NewAccount, *, known_name: bool) -> homes.HomeColumns:
        """Return a home that nobody has had, and make it on disk if this store reaches the disk.

        `known_name` tells whether mail of an earlier account of this name waits for its purge.
        """
        root = self._context.config.new_home_root()
        if new.home is not None:
            chosen = homes.given(root, new.home)
            self._make_home(tx, new, chosen, adopt=self._is_unused(chosen))
            return chosen
        look = known_name or not self._layout.timestamp
        for chosen in homes.candidates(root, self._layout, new.address, now()):
            if look and self._retention.home_is_used(tx, chosen, new.address):
                continue
            try:
                self._make_home(tx, new, chosen)
            except HomeExists:
                continue
            return chosen
        raise HomeRefused(f"{new.address}: every path for its home below {root} is in use", subject=new.address)

    def _is_unused(self, home: homes.HomeColumns) -> bool:
        """Tell whether there is an empty directory already, as an interrupted call or an administrator leaves it."""
        disk = self._context.homes
        return disk is not None and disk.is_empty(home.path)

    def _make_home(self, tx: Transaction, new: NewAccount, home: homes.HomeColumns, *, adopt: bool = False) -> None:
        if self._context.homes is None:
            return
        made = self._context.homes.create(
            home.path,
            folder=new.mailbox.get("mailboxfolder", "Maildir"),
            mail_format=new.mailbox.get("mailboxformat", "maildir"),
            adopt=adopt,
        )
        tx.on_rollback(made.undo)
