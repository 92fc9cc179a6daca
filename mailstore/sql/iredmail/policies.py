"""What policies in databases beside `vmail` have to know of it; see `mailstore.driver.companions.Directory`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from mailstore.address import local_part
from mailstore.driver.rights import Operation
from mailstore.errors import NotFound
from mailstore.policies import Level
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.name_space import DOMAIN_NAMES, NameSpace

__all__ = ["SQLDirectory"]

_BATCH = 1000


class SQLDirectory:
    """The `vmail` database, as one admin sees it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)

    @contextmanager
    def holding(self, level: Level, operation: Operation, *, accounts_only: bool = False) -> Iterator[None]:
        """See `mailstore.driver.companions.Directory`. Whoever deletes or renames takes the same lock."""
        with self._context.db.writing(str(level)) as tx:
            if level.kind != "global":
                self._hold(tx, level, operation, accounts_only)
            elif self._context.actor:
                self._context.actor.require_anywhere(tx.connection, str(level), Operation.SET_FOR_ALL)
            yield

    def _hold(self, tx: Transaction, level: Level, operation: Operation, accounts_only: bool) -> None:
        owner = self._owner(tx, level.domain)
        if accounts_only and owner != level.domain:
            raise NotFound(f"{level.domain} is an alias domain; mail is scanned for {owner}", subject=str(level))
        if self._context.actor:
            subject = owner if level.kind == "domain" else f"{local_part(level.name)}@{owner}"
            self._context.actor.require(tx.connection, subject, operation)
            if level.kind == "address":
                self._context.actor.refuse_stronger_holder(tx.connection, {level.name, subject})
        self._names.lock_domain(tx, owner)
        if level.kind == "address":
            self._require_address(tx, level.name, accounts_only)

    def _owner(self, tx: Transaction, domain: str) -> str:
        owner = self._names.owners(tx.connection, [domain]).get(domain)
        if owner is None:
            raise self._names.no_such_domain(tx.connection, domain)
        return owner

    def _require_address(self, tx: Transaction, address: str, accounts_only: bool) -> None:
        if not accounts_only:
            if address not in self._names.taken(tx.connection, [address]):
                raise NotFound(f"there is no account, alias or list {address}", subject=address)
            return
        mailbox = self._context.table("mailbox").c
        if tx.execute(select(mailbox.username).where(mailbox.username == address)).first() is None:
            raise NotFound(f"there is no account {address}", subject=address)

    def require_everything(self, what: str) -> None:
        """See `mailstore.driver.companions.Directory`."""
        if self._context.actor:
            with self._context.db.reading() as connection:
                self._context.actor.require_anywhere(connection, what, Operation.SET_FOR_ALL)

    def sees(self, domain: str) -> bool:
        """See `mailstore.driver.companions.Directory`."""
        actor = self._context.actor
        if actor is None:
            return True
        with self._context.db.reading() as connection:
            if actor.is_global(connection):
                return True
            try:
                actor.require(connection, self._names.owners(connection, [domain]).get(domain, domain))
            except NotFound:
                return False
            return True

    @contextmanager
    def unheld(self, names: Collection[Level]) -> Iterator[Collection[Level]]:
        """See `mailstore.driver.companions.Directory`."""
        with self._context.db.writing() as tx:
            self._context.db.lock_name(tx, DOMAIN_NAMES)
            domains = self._names.owners(tx.connection, {name.domain for name in names})
            for owner in sorted(set(domains.values())):
                self._names.lock_domain(tx, owner)
            held = self._known(tx.connection, names)
            yield [name for name in names if name not in held]

    def known(self, names: Collection[Level]) -> Collection[Level]:
        """See `mailstore.driver.companions.Directory`."""
        listed = list(names)
        with self._context.db.reading() as connection:
            batches = (listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH))
            return {name for batch in batches for name in self._known(connection, batch)}

    def _known(self, connection: Connection, names: Collection[Level]) -> set[Level]:
        owners = self._names.owners(connection, {name.domain for name in names})
        addresses = {name.name for name in names if name.kind == "address"}
        taken = self._names.taken(connection, addresses | {_in(owners, address) for address in addresses})
        return {
            name
            for name in names
            if (name.kind == "domain" and name.name in owners)
            or (name.kind == "address" and {name.name, _in(owners, name.name)} & taken.keys())
        }

    def target_domain(self, domain: str) -> str | None:
        """See `mailstore.driver.companions.Directory`."""
        with self._context.db.reading() as connection:
            return self._names.owners(connection, [domain]).get(domain)

    def join(self, database: Database, called: str) -> None:
        """See `mailstore.driver.companions.Directory`."""
        self._context.db.let_join(database, called)


def _in(owners: dict[str, str], address: str) -> str:
    """Return an address under an alias domain as the one that it stands for."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{owners.get(domain, domain)}"
