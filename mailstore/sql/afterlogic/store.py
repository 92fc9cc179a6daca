"""The AfterLogic store: opens a webmail database and puts the parts of this package together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Never, Self

from mailstore.config import StoreConfig
from mailstore.driver.base import homes_of
from mailstore.driver.drift import check_homes
from mailstore.driver.readings import unreadable_records
from mailstore.driver.urls import shown
from mailstore.errors import ConfigurationError, NotSupported, PermissionDenied
from mailstore.model import Capability, Finding
from mailstore.sql.afterlogic.accounts.collection import Accounts
from mailstore.sql.afterlogic.check import Checker
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.deleted.collection import DeletedMailboxes
from mailstore.sql.afterlogic.domains import Domains
from mailstore.sql.afterlogic.installation import Installation
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.rest import Rest
from mailstore.sql.afterlogic.schema import detection
from mailstore.sql.afterlogic.tenants import Tenants
from mailstore.sql.driver import SQLDriver
from mailstore.sql.files import database, require_file
from mailstore.store import Store

__all__ = ["AfterLogicStore", "create_own_table", "create_schema", "open_store"]

_ALWAYS = frozenset(
    {
        Capability.DOMAINS,
        Capability.TRANSACTIONS,
        Capability.ACCOUNT_QUOTAS,
        Capability.DISABLING,
    }
)


def open_store(config: StoreConfig, password: str | None) -> AfterLogicStore:
    """Open the store, and look at its schema. See `mailstore.open_store` for the errors."""
    _check_options(config)
    homes = homes_of(config)
    db = database(config, password)
    require_file(db)
    try:
        with db.reading() as connection:
            found = detection.detect(connection, db.kind, config.table_prefix)
        found.require()
        db.forbid_writing(found.obstacle, tried=found["awm_accounts"].name)
    except BaseException:
        db.close()
        raise
    data = Path(config.webmail_data) if config.webmail_data else None
    installation = Installation(data, lite=config.webmail_edition == "lite")
    return AfterLogicStore(Context(db, found, config, shown(config.url), installation, homes))


def create_schema(config: StoreConfig, password: str | None) -> list[str]:
    """Make the complete schema in the empty database of `config`. Returns the names of the tables."""
    _check_options(config)
    db = database(config, password)
    try:
        with db.writing() as tx:
            return detection.create(tx.connection, db.kind, config.table_prefix)
    finally:
        db.close()


def create_own_table(config: StoreConfig, password: str | None) -> bool:
    """Add the tables that keep the mailboxes of deleted accounts. Returns False if they were there."""
    db = database(config, password)
    try:
        with db.writing() as tx:
            return detection.create_ledger(tx.connection, db.kind)
    finally:
        db.close()


class AfterLogicStore(SQLDriver[Context]):
    """See `mailstore.store.Store`. `tenants` and `rest` are this store's own."""

    collections = (
        *Store.collections,
        "tenants",
    )

    domains: Domains
    accounts: Accounts

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._server = MailServer(context)
        self._names = NameSpace(context, self._server)
        self.domains = Domains(context, self._names, self._server)
        self.accounts = Accounts(context, self._names, self._server)

    @cached_property
    def _checker(self) -> Checker:
        return Checker(self._context, self._server)

    @property
    def capabilities(self) -> frozenset[Capability]:
        found = {
            Capability.ACCOUNT_ALIASES: self._server.serves_new_domains,
            Capability.USAGE: self._server.usage is not None,
            Capability.RETENTION: self._context.ledger is not None,
        }
        return _ALWAYS | {capability for capability, is_there in found.items() if is_there}

    @property
    def aliases(self) -> Never:
        raise self._lacking(Capability.ALIASES)

    @property
    def admins(self) -> Never:
        raise self._lacking(Capability.ADMINS)

    @cached_property
    def deleted(self) -> DeletedMailboxes:
        self._require_everything()
        return DeletedMailboxes(self._context, self.accounts, self.domains, self._names, self._server)

    @property
    def tenants(self) -> Tenants:
        """The tenants of an Aurora installation. Raises NotSupported in WebMail Lite, PermissionDenied to a tenant."""
        self._require_everything()
        return Tenants(self._context)

    @property
    def rest(self) -> Rest:
        """Logins and tokens of the REST API."""
        return Rest(self._context)

    def acting_as(self, admin: str) -> Self:  # noqa: ARG002 whoever that is
        raise self._lacking(Capability.ADMINS)

    def acting_as_tenant(self, tenant_id: int) -> Self:
        """Return this store limited to the domains of a tenant: there are no others, and no accounts outside of domains.

        Raises TenantNotFound if there is no such enabled tenant, NotSupported in WebMail Lite.
        """
        Tenants(self._context).require_enabled(tenant_id)
        return type(self)(replace(self._context, tenant=tenant_id))

    def unrestricted(self) -> Self:
        return type(self)(replace(self._context, tenant=None))

    def _require_everything(self) -> None:
        if self._context.tenant is not None:
            raise PermissionDenied("a tenant manages the domains and accounts that it has, and nothing else")

    def _findings(self) -> Iterator[Finding]:
        self._require_everything()
        yield from self._checker.run()
        yield from unreadable_records(self)
        ledger = self._context.ledger
        if ledger is not None:
            yield from ledger.findings()
        if self.homes and ledger is not None:
            yield from check_homes(self, self.homes, folder="")

    def schema_report(self) -> detection.Schema:
        """Return what the schema of this server has and lacks."""
        return self._context.schema

    def _lacking(self, capability: Capability) -> NotSupported:
        return NotSupported(f"{self.name} has no {capability.value}")


def _check_options(config: StoreConfig) -> None:
    """Raise ConfigurationError for options that do not go together."""
    if config.webmail_data and not config.webmail_data.startswith("/"):
        raise ConfigurationError(f"webmail_data: {config.webmail_data!r} is not an absolute path")
