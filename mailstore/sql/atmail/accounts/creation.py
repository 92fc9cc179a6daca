"""Writing new accounts: one with few statements, or many with few statements for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from mailstore.disk.layout import normal_home
from mailstore.driver.bulk import Hashing, Refusals, batches, grouped_by_columns, parse_accounts
from mailstore.driver.holders import refuse_taken
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.driver.values import now
from mailstore.errors import HomeExists, HomeRefused, InvalidValue
from mailstore.sql.atmail.accounts.new import NewAccount
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.expansions import Expansions
from mailstore.sql.atmail.homes import choose_rule, column_text, home_candidates, refuse_shared
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.records import Retention
from mailstore.sql.engine import Transaction

__all__ = ["SALT_BYTES", "Creation"]

SALT_BYTES = 32
"""atmail writes salts of this length; Dovecot reads any."""
_SAMPLE = 20


class Creation:
    """Checks new accounts against the database and writes them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._expansions = Expansions(context)
        self._retention = Retention(context)
        self._accounts = context.table("accounts")

    def one(self, tx: Transaction, new: NewAccount) -> None:
        """Write one account and make its home."""
        if new.aliases:  # lock all domains in one order before any of them
            self._names.lock_owners(tx, {new.address, *new.aliases})
        new.row["domainId"] = self._names.lock_domain(tx, new.domain)
        self._names.refuse_taken(tx.connection, new.address)
        if self._context.actor:
            self._context.actor.check_limits(tx, adding=1, quota=new.row["quota"])
        self._names.claim_aliases(tx, new.address, new.aliases)
        self._give_homes(tx, [new])
        new.row["accountId"] = self._context.insert_one(tx, "accounts", new.row)
        self._expansions.add(tx, new.alias_rows())

    def many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Write many accounts in one transaction. Raises BulkRefused with all rows that were refused."""
        refusals = Refusals()
        config = self._context.config
        hashing = Hashing(config.password_scheme, config.password_reader, SALT_BYTES)
        new = parse_accounts(accounts, hashing.take, self._parse, refusals)
        with self._context.db.writing() as tx:
            for batch in batches(new):
                self._check_batch(tx, batch, refusals)
            self._check_limits(tx, new, refusals)
            refusals.stop_if_any()
            for fitting in batches([account for _, account in new]):
                self._give_homes(tx, fitting)
                for alike in grouped_by_columns([account.row for account in fitting]):
                    self._context.insert(tx, "accounts", alike)
        return len(new)

    def _parse(self, address: str, hashed: Secret | None, fields: dict[str, Any], home: str | None) -> NewAccount:
        return NewAccount.parse(self._context, address, hashed, fields, home)

    def _check_batch(self, tx: Transaction, batch: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        domains = self._lock_domains(tx, {account.domain for _, account in batch})
        names = self._names.all_names(tx.connection, {account.address: account.domain for _, account in batch})
        taken = self._names.taken(tx.connection, set().union(*names.values()))
        for index, account in batch:
            with refusals.collect(index):
                if account.domain not in domains:
                    raise self._names.no_such_domain(tx.connection, account.domain)
                refuse_taken({account.address: names[account.address]}, taken)
                account.row["domainId"] = domains[account.domain]
                if self._context.actor and account.operations:
                    self._context.actor.require(tx.connection, account.operations, account.domain)

    def _lock_domains(self, tx: Transaction, names: set[str]) -> dict[str, int]:
        """Lock those of the domains that are there; return their numbers."""
        columns = self._context.table("domains").c
        query = select(columns.domainName, columns.domainId).where(columns.domainName.in_(names))
        found = {
            name.lower(): number for name, number in tx.execute(query.order_by(columns.domainName).with_for_update())
        }
        if self._context.actor:
            self._context.actor.require(tx.connection, Operation.CREATE_ACCOUNT, *sorted(found))
        return found

    def _check_limits(self, tx: Transaction, new: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        if not (self._context.actor and new):
            return
        quotas = [account.row["quota"] for _, account in new]
        with refusals.collect(new[-1][0]):
            self._context.actor.check_limits(tx, adding=len(new), quota=sum(quotas) if all(quotas) else 0)

    def _give_homes(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        """Give each account a home that nobody has had, and make it on disk if this store reaches the disk."""
        chosen = [(account, _given(account.home)) for account in accounts if account.home is not None]
        given = [home for _, home in chosen]
        if given:
            self._retention.refuse_used_homes(tx, given)
        for account, home in chosen:
            refuse_shared(self._context.config.new_home_root(), home)
            self._take_given(tx, home)
            account.row["homeDir"] = column_text(home)
        others = [account for account in accounts if account.home is None]
        if not others:
            return
        rule, pad, root = self._rule(tx), self._context.options.short_name_pad, self._context.config.new_home_root()
        candidates = {account.address: home_candidates(root, rule, pad, account.address, now()) for account in others}
        first = {account.address: next(candidates[account.address]) for account in others}
        used = self._retention.known_homes(tx, first.values()) | set(given)
        for account in others:
            home = first[account.address]
            if home in used or not self._make_home(tx, home):
                home = self._another(tx, account.address, candidates[account.address])
            account.row["homeDir"] = column_text(home)

    def _another(self, tx: Transaction, address: str, candidates: Iterable[str]) -> str:
        """Return the first of the other homes that is free, after making it."""
        paths = list(candidates)
        used = self._retention.known_homes(tx, paths)
        for home in paths:
            if home not in used and self._make_home(tx, home):
                return home
        raise HomeRefused(f"{address}: every path for its home is in use, from {paths[0]} on", subject=address)

    def _rule(self, tx: Transaction) -> str:
        """Return how homes are laid out here; the oldest accounts show it, if anything does."""
        options = self._context.options
        if options.home_rule != "auto":
            return options.home_rule
        columns = self._accounts.c
        sample = select(*labelled(self._accounts, "username", "homeDir")).order_by(columns.accountId).limit(_SAMPLE)
        accounts = ((str(name), str(home or "")) for name, home in tx.execute(sample).all())
        return choose_rule(options.home_rule, options.short_name_pad, accounts)

    def _take_given(self, tx: Transaction, home: str) -> None:
        """Make a home that the caller chose."""
        disk = self._context.homes
        if disk is not None:
            made = disk.create(home, adopt=disk.is_empty(home))
            tx.on_rollback(made.undo)

    def _make_home(self, tx: Transaction, home: str) -> bool:
        """Make a home if this store reaches the disk. Returns False if something is there already."""
        if self._context.homes is None:
            return True
        try:
            made = self._context.homes.create(home)
        except HomeExists:
            return False
        tx.on_rollback(made.undo)
        return True


def _given(path: str) -> str:
    home = normal_home(path)
    if home.count("/") < 3:  # a root, and something below it
        raise InvalidValue(f"{home}: a home needs at least three levels", subject=home)
    return home
