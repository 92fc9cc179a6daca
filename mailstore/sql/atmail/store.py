"""The atmail store: opens a `mailserver` database and puts the parts of this package together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Self
from urllib.parse import urlsplit

from sqlalchemy import select

from mailstore.config import StoreConfig
from mailstore.driver.base import homes_of
from mailstore.driver.drift import check_homes
from mailstore.driver.readings import unreadable_records
from mailstore.driver.urls import shown
from mailstore.errors import ConfigurationError, NotFound, NotSupported
from mailstore.model import Capability, Finding
from mailstore.sql.atmail.accounts.collection import Accounts
from mailstore.sql.atmail.admins.collection import Admins
from mailstore.sql.atmail.admins.roles import Permissions, Roles
from mailstore.sql.atmail.admins.rows import held_name
from mailstore.sql.atmail.aliases.collection import Aliases
from mailstore.sql.atmail.aliases.rows import AliasRows
from mailstore.sql.atmail.check import Checker
from mailstore.sql.atmail.context import Companion, Context
from mailstore.sql.atmail.deleted import DeletedMailboxes
from mailstore.sql.atmail.domains import Domains
from mailstore.sql.atmail.provisioning import Provisioning
from mailstore.sql.atmail.rights import Actor
from mailstore.sql.atmail.schema import detection
from mailstore.sql.atmail.schema.tables import API_SPECS, SPECS, Specs, TableNames
from mailstore.sql.connect import connect
from mailstore.sql.driver import SQLDriver
from mailstore.sql.engine import Database
from mailstore.store import Store

__all__ = ["AtmailStore", "create_own_table", "create_schema", "open_store"]

_ALWAYS = frozenset(
    {
        Capability.DOMAINS, Capability.ALIAS_DOMAINS, Capability.ALIASES, Capability.TRANSACTIONS,
        Capability.ACCOUNT_QUOTAS, Capability.ACCOUNT_ALIASES, Capability.DISABLING, Capability.RENAMING,
        Capability.DOMAIN_RENAMING, Capability.HOME_PATHS, Capability.READY_HASHES,
    }
)  # fmt: skip
_WITH_ADMINS = frozenset({Capability.ADMINS, Capability.STANDALONE_ADMINS, Capability.DOMAIN_ADMINS})
_WITH_RECORDS = frozenset({Capability.RETENTION})


def open_store(config: StoreConfig, password: str | None) -> AtmailStore:
    """Open the store, and look at its schema. See `mailstore.open_store` for the errors."""
    homes = homes_of(config)
    opened: list[Database] = []
    try:
        main = _opened(_database(config, password), "mailserver", TableNames(config.atmail), SPECS, opened)
        apiserver = _apiserver(config, password)
        beside = None
        if apiserver:
            beside = _opened(apiserver, "apiserver", TableNames(config.atmail), API_SPECS, opened)
    except BaseException:
        for db in opened:
            db.close()
        raise
    return AtmailStore(Context(main.db, main.schema, config, shown(config.url), homes, beside))


def _opened(db: Database, name: str, names: TableNames, specs: Specs, opened: list[Database]) -> Companion:
    """Return a database with its schema, after making sure that it can be used; note in `opened` that it is."""
    opened.append(db)
    with db.reading() as connection:
        found = detection.detect(connection, names, specs)
    found.require(name)
    db.forbid_writing(found.obstacle, tried=names.table(next(iter(specs))))
    return Companion(db, found)


def create_schema(config: StoreConfig, password: str | None) -> list[str]:
    """Make the complete schema in the empty database of `config`, and in the API server's if one is configured.

    Returns the names of the tables.
    """
    made = _create(_database(config, password), config, SPECS)
    apiserver = _apiserver(config, password)
    return made + [f"apiserver: {name}" for name in (_create(apiserver, config, API_SPECS) if apiserver else [])]


def _create(db: Database, config: StoreConfig, specs: Specs) -> list[str]:
    try:
        with db.writing() as tx:
            return detection.create(tx.connection, TableNames(config.atmail), specs)
    finally:
        db.close()


def create_own_table(config: StoreConfig, password: str | None) -> bool:
    """Add the tables for records of deleted mailboxes. Returns False if they were there."""
    db = _database(config, password)
    try:
        with db.writing() as tx:
            return detection.create_own_tables(tx.connection)
    finally:
        db.close()


def _database(config: StoreConfig, password: str | None) -> Database:
    return connect(config.url.partition("+")[2], config, password, local_times=True)


def _apiserver(config: StoreConfig, password: str | None) -> Database | None:
    """Return the API server's database if one is configured; a password in its own URL comes first."""
    if not config.apiserver:
        return None
    if urlsplit(config.apiserver).scheme != "mysql":
        raise ConfigurationError("apiserver: a URL such as mysql://mailstore@127.0.0.1/apiserver is wanted")
    own = urlsplit(config.apiserver).password is not None
    return connect(config.apiserver, config, None if own else password, local_times=True)


class AtmailStore(SQLDriver[Context]):
    """See `mailstore.store.Store`. What only atmail has is in further collections."""

    collections = (*Store.collections, "roles", "provisioning", "alias_rows")

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
    def _checker(self) -> Checker:
        return Checker(self._context)

    @property
    def capabilities(self) -> frozenset[Capability]:
        found = self._context.schema
        with_admins = _WITH_ADMINS if found.has_admins else frozenset()
        return _ALWAYS | with_admins | (_WITH_RECORDS if found.has_records else frozenset())

    @cached_property
    def alias_rows(self) -> AliasRows:
        """The rows behind aliases, forwardings and alias domains, of all three types."""
        return AliasRows(self._context)

    @cached_property
    def admins(self) -> Admins:
        self._require_admins()
        return Admins(self._context)

    @property
    def roles(self) -> Roles:
        """Roles of admins; raises NotSupported in stores without `Capability.ADMINS`."""
        self._require_admins()
        return Roles(self._context)

    @property
    def permissions(self) -> Permissions:
        """What admins may be allowed to do; raises NotSupported in stores without `Capability.ADMINS`."""
        self._require_admins()
        return Permissions(self._context)

    @cached_property
    def provisioning(self) -> Provisioning:
        """Users of the API server; raises NotSupported if the store was opened without its database."""
        return Provisioning(self._context)

    @cached_property
    def deleted(self) -> DeletedMailboxes:
        return DeletedMailboxes(self._context, self.accounts)

    def acting_as(self, admin: str) -> Self:
        self._require_admins()
        users = self._context.table("users").c
        query = select(users.userId, users.username).where(users.username == held_name(admin))
        with self._context.db.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"there is no admin {admin}", subject=admin)
        return type(self)(replace(self._context, actor=Actor(self._context.schema, *row)))

    def unrestricted(self) -> Self:
        return type(self)(replace(self._context, actor=None))

    def _is_restricted(self) -> bool:
        actor = self._context.actor
        if actor is None:
            return False
        with self._context.db.reading() as connection:
            return not actor.state(connection).everything

    def _findings(self) -> Iterator[Finding]:
        yield from self._checker.run()
        yield from unreadable_records(self)
        if self._context.schema.has_records and self._context.actor is None:
            yield from self._context.ledger.findings()
        if self.homes and self._context.schema.has_records:
            yield from check_homes(self, self.homes)

    def schema_report(self) -> detection.Schema:
        """Return what the schema of this server has and lacks."""
        return self._context.schema

    def close(self) -> None:
        super().close()
        if self._context.apiserver:
            self._context.apiserver.db.close()

    def _require_admins(self) -> None:
        if not self._context.schema.has_admins:
            absent = ", ".join(self._context.schema.absent)
            raise NotSupported(
                f"{self.name} has no admins as far as known; absent: {absent}. If these tables are called otherwise there, "
                "say so in 'tables' of [stores.NAME.atmail]"
            )
