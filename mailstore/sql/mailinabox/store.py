"""The Mail-in-a-Box store: opens a box's file of users and puts the parts of this package together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from sqlalchemy import URL, Connection, select

from mailstore import store
from mailstore.address import held_address
from mailstore.config import StoreConfig
from mailstore.driver.drift import check_homes
from mailstore.driver.readings import unreadable_records
from mailstore.errors import NotFound, PermissionDenied
from mailstore.model import Capability, Finding, Notice
from mailstore.sql.driver import SQLDriver
from mailstore.sql.engine import Database
from mailstore.sql.mailinabox import rights
from mailstore.sql.mailinabox.accounts.collection import Accounts
from mailstore.sql.mailinabox.admins import Admins
from mailstore.sql.mailinabox.aliases import Aliases
from mailstore.sql.mailinabox.box import FOLDER, Box
from mailstore.sql.mailinabox.check import Checker
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.deleted import DeletedMailboxes, UnrecordedMailboxes
from mailstore.sql.mailinabox.disk.mailboxes import open_homes
from mailstore.sql.mailinabox.domains import Domains
from mailstore.sql.mailinabox.records import Retention
from mailstore.sql.mailinabox.schema import detection
from mailstore.sql.mailinabox.second_factors import SecondFactors
from mailstore.store.base import RecordKind

__all__ = ["MailInABoxStore", "create_own_table", "open_store"]

BUSY_SECONDS = 30
"""How long to wait for another writer. The panel keeps its lock until its process happens to tidy up."""
_ALWAYS = frozenset(
    {
        Capability.READY_HASHES,
        Capability.ALIAS_DOMAINS,
        Capability.ALIASES,
        Capability.TRANSACTIONS,
        Capability.USAGE,
        Capability.ARCHIVE,
    }
)


def open_store(config: StoreConfig, password: str | None) -> MailInABoxStore:  # noqa: ARG001 a file has no password
    """Open the store, and look at its schema. See `mailstore.open_store` for the errors."""
    box = Box.of(config)
    db = _database(box)
    try:
        with db.reading() as connection:
            found = detection.detect(connection)
        found.require()
        homes = open_homes(config, box)
    except BaseException:
        db.close()
        raise
    return MailInABoxStore(Context(db, found, config, box, homes))


def create_own_table(config: StoreConfig, password: str | None) -> bool:  # noqa: ARG001 a file has no password
    """Add the tables in which mailboxes are recorded when their accounts are deleted. Returns False if they were there."""
    db = _database(Box.of(config))
    try:
        with db.writing() as tx:
            detection.detect(tx.connection).require()
            return detection.create_own_tables(tx.connection)
    finally:
        db.close()


class MailInABoxStore(SQLDriver[Context]):
    """See `mailstore.store.Store`."""

    domains: Domains
    accounts: Accounts

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._retention = Retention(context)
        self.domains = Domains(context)
        self.accounts = Accounts(context, self._retention)

    @cached_property
    def aliases(self) -> Aliases:
        return Aliases(self._context)

    @cached_property
    def admins(self) -> Admins:
        return Admins(self._context, self.accounts)

    @property
    def second_factors(self) -> SecondFactors:
        """One-time codes of admins; this store's own."""
        return SecondFactors(self._context)

    @cached_property
    def deleted(self) -> store.DeletedMailboxes:
        ledger = self._retention.ledger
        if ledger is None:
            return UnrecordedMailboxes(self._context)
        return DeletedMailboxes(self._context, self.accounts, ledger)

    @property
    def capabilities(self) -> frozenset[Capability]:
        found = self._context.schema
        present = {
            Capability.ADMINS: found.has("users", "privileges"),
            Capability.ACCOUNT_ADMINS: found.has("users", "privileges"),
            Capability.ACCOUNT_QUOTAS: found.has("users", "quota"),
            Capability.PERMITTED_SENDERS: found.has("aliases", "permitted_senders"),
            Capability.RETENTION: found.own is not None,
        }
        return _ALWAYS | {capability for capability, is_there in present.items() if is_there}

    def record(self, kind: RecordKind, name: str) -> Mapping[str, Any]:
        if kind not in {"account", "alias"}:
            return super().record(kind, name)
        account = kind == "account"
        key = self.accounts.get(name).address if account else self.aliases.get(name).address
        table = self._context.table("users" if account else "aliases")
        columns = [column for column in table.c if column.name != "password"]
        with self._context.reading() as connection:
            query = select(*columns).where(table.c["email" if account else "source"] == key)
            row = connection.execute(query).mappings().first()
            if row is None:  # it was there a moment ago
                raise NotFound(f"there is no {kind} {key} any more", subject=key)
            factors = _factors(self._context.schema, connection, row["id"]) if account else {}
        return {**row, **factors}

    def acting_as(self, admin: str) -> Self:
        actor = held_address(admin)
        self._context.require("users", "privileges", "admins")
        with self._context.db.reading() as connection:
            try:
                rights.require_admin(self._context.schema, connection, actor)
            except PermissionDenied:
                raise NotFound(f"there is no enabled admin {actor}", subject=actor) from None
        return type(self)(replace(self._context, actor=actor))

    def unrestricted(self) -> Self:
        return type(self)(replace(self._context, actor=None))

    def _findings(self) -> Iterator[Finding]:
        yield from Checker(self._context).run()
        # What Dovecot makes of an odd quota is told already.
        yield from (found for found in unreadable_records(self) if not found.message.startswith("quota "))
        ledger = Retention(self._context).ledger
        if ledger is not None:
            yield from ledger.findings()
        if self.homes:
            yield from check_homes(self, self.homes, folder=FOLDER)

    def take_notices(self) -> Sequence[Notice]:
        return self._context.notices.take()

    @property
    def box(self) -> Box:
        """Where things are on this box."""
        return self._context.box

    def schema_report(self) -> detection.Schema:
        """Return what the schema of this box has and lacks."""
        return self._context.schema


def _database(box: Box) -> Database:
    return Database(URL.create("sqlite+pysqlite", database=str(box.database)), {"timeout": BUSY_SECONDS})


def _factors(schema: detection.Schema, connection: Connection, user: int) -> Mapping[str, Any]:
    """Return the kinds of second factors that a user has; their secrets are left out."""
    if not schema.has("mfa"):
        return {"mfa": []}
    table = schema["mfa"]
    return {"mfa": list(connection.execute(select(table.c.type).where(table.c.user_id == user)).scalars())}
