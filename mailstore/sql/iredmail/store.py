"""The iRedMail SQL store: opens a `vmail` database and puts the parts of this package together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from sqlalchemy import select

from mailstore.address import held_address
from mailstore.config import StoreConfig
from mailstore.driver.base import homes_of
from mailstore.driver.companions import BESIDE, Companions, WithPolicies, open_companions
from mailstore.driver.drift import check_homes
from mailstore.driver.readings import unreadable_records
from mailstore.driver.rights import IREDMAIL_GLOBAL
from mailstore.driver.urls import shown
from mailstore.errors import NotFound
from mailstore.model import Capability, Finding, Notice
from mailstore.sql.driver import SQLDriver, as_stored
from mailstore.sql.files import database, require_file
from mailstore.sql.iredmail.accounts.collection import Accounts
from mailstore.sql.iredmail.admins.collection import Admins
from mailstore.sql.iredmail.aliases import Aliases
from mailstore.sql.iredmail.check.checker import Checker
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.deleted.collection import DeletedMailboxes
from mailstore.sql.iredmail.domains.collection import Domains
from mailstore.sql.iredmail.policies import SQLDirectory
from mailstore.sql.iredmail.records import ledger_of
from mailstore.sql.iredmail.rights import Actor
from mailstore.sql.iredmail.schema import detection
from mailstore.store.base import RecordKind

__all__ = ["IRedMailStore", "create_own_table", "create_schema", "open_store"]

_MISSING = frozenset({Capability.LISTS, Capability.PERMITTED_SENDERS, Capability.ARCHIVE}) | BESIDE


def open_store(config: StoreConfig, password: str | None) -> IRedMailStore:
    """Open the store, and look at its schema. See `mailstore.open_store` for the errors."""
    companions, homes = open_companions(config), homes_of(config)
    db = database(config, password)
    require_file(db)
    try:
        with db.reading() as connection:
            found = detection.detect(connection, db.kind)
        found.require()
        db.forbid_writing(found.obstacle, tried="mailbox")
    except BaseException:
        db.close()
        raise
    context = Context(db, found, config, shown(config.url), homes)
    return IRedMailStore(_with_companions(context, companions))


def _with_companions(context: Context, companions: Companions) -> Context:
    return replace(context, companions=companions.seen_by(SQLDirectory(context)))


def create_schema(config: StoreConfig, password: str | None) -> list[str]:
    """Make the complete schema in the empty database of `config`. Returns the names of the tables."""
    db = database(config, password)
    try:
        with db.writing() as tx:
            return detection.create(tx.connection, db.kind)
    finally:
        db.close()


def create_own_table(config: StoreConfig, password: str | None) -> bool:
    """Add the table that lets deleted accounts be restored completely. Returns False if it was there."""
    db = database(config, password)
    try:
        with db.writing() as tx:
            return detection.create_own_table(tx.connection, db.kind)
    finally:
        db.close()


_RECORDS = {
    "domain": ("domain", "domain"), "account": ("mailbox", "username"), "alias": ("alias", "address"),
    "standalone": ("admin", "username"),
}  # fmt: skip
"""The table and key column of what `IRedMailStore.record` shows; an admin may be a standalone one or an account."""


class IRedMailStore(SQLDriver[Context], WithPolicies):
    """See `mailstore.store.Store`."""

    domains: Domains
    accounts: Accounts

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.domains = Domains(context)
        self.accounts = Accounts(context)

    @cached_property
    def aliases(self) -> Aliases:
        return Aliases(self._context)

    @cached_property
    def admins(self) -> Admins:
        return Admins(self._context, self.accounts)

    @cached_property
    def deleted(self) -> DeletedMailboxes:
        return DeletedMailboxes(self._context, self.accounts)

    @cached_property
    def _checker(self) -> Checker:
        return Checker(self._context)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return (frozenset(Capability) - _MISSING) | self.companions.capabilities

    def record(self, kind: RecordKind, name: str) -> Mapping[str, Any]:
        if kind == "list":
            return super().record(kind, name)
        key, place = self._record_of(kind, name)
        table, column = _RECORDS[place]
        columns = [each for each in self._context.table(table).c if each.name != "password"]
        query = select(*columns).where(self._context.table(table).c[column] == key)
        with self._context.db.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:  # it was there a moment ago
            raise NotFound(f"there is no {kind} {key} any more", subject=key)
        return dict(row)

    def _record_of(self, kind: RecordKind, name: str) -> tuple[str, str]:
        """Return the key of a record and what it is, in the spelling of the store, if the actor may see it."""
        if kind == "domain":
            return self.domains.get(name).domain, kind
        if kind == "alias":
            return self.aliases.get(name).address, kind
        if kind == "admin":
            admin = self.admins.get(name)
            return admin.address, admin.kind
        return self.accounts.get(name).address, kind

    def acting_as(self, admin: str) -> Self:
        columns = (self._context.table("admin").c.username, self._context.table("mailbox").c.username)
        actor = Actor(self._context.schema, as_stored(self._context.db, admin, held_address(admin), *columns))
        with self._context.db.reading() as connection:
            actor.require_enabled(connection)
        return type(self)(_with_companions(replace(self._context, actor=actor), self._context.companions))

    def unrestricted(self) -> Self:
        return type(self)(_with_companions(replace(self._context, actor=None), self._context.companions))

    @property
    def companions(self) -> Companions:
        return self._context.companions

    def take_notices(self) -> Sequence[Notice]:
        return self._context.notices.take()

    def _is_restricted(self) -> bool:
        actor = self._context.actor
        if actor is None:
            return False
        with self._context.db.reading() as connection:
            return actor.kind(connection) is not IREDMAIL_GLOBAL

    def _findings(self) -> Iterator[Finding]:
        yield from self._checker.run()
        yield from unreadable_records(self)
        yield from self.companions.findings()
        if self._context.actor is None:
            yield from ledger_of(self._context).findings()
        if self.homes:
            yield from check_homes(self, self.homes)

    def schema_report(self) -> detection.Schema:
        """Return what the schema of this server has and lacks."""
        return self._context.schema

    def close(self) -> None:
        super().close()
        self.companions.close()
