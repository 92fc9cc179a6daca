"""The iRedMail LDAP store: opens a directory and puts the parts of this package together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, Self

from mailstore.address import held_address
from mailstore.config import StoreConfig
from mailstore.driver.base import Driver, homes_of
from mailstore.driver.companions import BESIDE, Companions, WithPolicies, open_companions
from mailstore.driver.drift import check_homes
from mailstore.driver.rights import IREDMAIL_GLOBAL
from mailstore.errors import ConfigurationError, NotFound, NotSupported, SchemaMismatch
from mailstore.ldap import ldif
from mailstore.ldap.connection import Directory
from mailstore.ldap.iredmail.accounts.collection import Accounts
from mailstore.ldap.iredmail.admins.collection import Admins
from mailstore.ldap.iredmail.check.checker import Checker
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.deleted.collection import DeletedMailboxes
from mailstore.ldap.iredmail.domains.collection import Domains
from mailstore.ldap.iredmail.domains.counters import repair
from mailstore.ldap.iredmail.export.tree import TreeExport
from mailstore.ldap.iredmail.groups.aliases import Aliases
from mailstore.ldap.iredmail.groups.lists import MailingLists
from mailstore.ldap.iredmail.location import companion_of, endpoint_of, places_of, shown
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.policies.directory import PolicyDirectory
from mailstore.ldap.iredmail.rights import Actor
from mailstore.ldap.iredmail.schema.setup import (
    CLASSES,
    SERVICE_ACCOUNTS,
    SchemaReport,
    create_own_table,
    create_schema,
    report,
    server_files,
)
from mailstore.ldap.iredmail.schemes import check_scheme
from mailstore.ldap.iredmail.settings import LOCK_KEY, RESTORED_KEY
from mailstore.ldap.names import DN
from mailstore.ldap.rehearsal import Rehearsal
from mailstore.model import Capability, Finding, Notice
from mailstore.store.base import RecordKind, RolledBack

__all__ = [
    "SERVICE_ACCOUNTS",
    "IRedMailDirectory",
    "create_own_table",
    "create_schema",
    "endpoint_of",
    "open_store",
    "places_of",
    "server_files",
]

_CONTROLS = ("1.3.6.1.1.12", "1.3.6.1.1.13.2")
"""Assertion (RFC 4528) and post-read (RFC 4527), which every OpenLDAP since 2.4 has."""
_MISSING = frozenset(
    {
        Capability.TRANSACTIONS,
        Capability.DOMAIN_RENAMING,
        Capability.ACCOUNT_ADMIN_LIMITS,
        Capability.PERMITTED_SENDERS,
        Capability.ARCHIVE,
    }
)


def open_store(config: StoreConfig, password: str | None) -> IRedMailDirectory:
    """Open the store, and look at its schema. See `mailstore.open_store` for the errors."""
    check_scheme(config)
    policies, homes = open_companions(config), homes_of(config)
    directory = Directory(endpoint_of(config, password))
    places = places_of(config)
    try:
        _require(directory, places)
        companion = companion_of(config, directory)
    except BaseException:
        directory.close()
        raise
    context = Context(directory, places, config, shown(config.url), companion, homes)
    return IRedMailDirectory(_with_policies(context, policies))


def _with_policies(context: Context, policies: Companions) -> Context:
    return replace(context, policies=policies.seen_by(PolicyDirectory(context)))


class IRedMailDirectory(Driver[Context], WithPolicies):
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
    def lists(self) -> MailingLists:
        return MailingLists(self._context)

    @cached_property
    def admins(self) -> Admins:
        return Admins(self._context, self.accounts)

    @cached_property
    def deleted(self) -> DeletedMailboxes:
        return DeletedMailboxes(self._context, self.accounts)

    @property
    def capabilities(self) -> frozenset[Capability]:
        missing = set(_MISSING)
        if not self._context.config.retention or not self._context.companion.keeps_usage:
            missing.add(Capability.USAGE)
        return (frozenset(Capability) - missing - BESIDE) | self.companions.capabilities

    def transaction(self) -> AbstractContextManager[None]:
        raise NotSupported(
            f"{self.name}: no {Capability.TRANSACTIONS.value}; every operation is wholly done or taken back"
        )

    @contextmanager
    def rehearsal(self) -> Iterator[Self]:
        if self.homes is not None:
            raise NotSupported("nothing can be tried out on the disk: open the store without homes for a rehearsal")
        context = replace(self._context, directory=Rehearsal(self._context.directory.endpoint))
        with closing(context.directory), suppress(RolledBack), context.companion.db.writing():
            yield type(self)(_with_policies(context, context.policies))
            raise RolledBack

    def record(self, kind: RecordKind, name: str) -> Mapping[str, Any]:
        entry = self._context.directory.read(self._place(kind, name))
        if entry is None:  # it was there a moment ago
            raise NotFound(f"there is no {kind} {name} any more", subject=name)
        ours = tuple(f"{key}:".lower() for key in (LOCK_KEY, RESTORED_KEY))
        return {
            key: [value for value in entry.values(key) if not value.lower().startswith(ours)]
            for key in entry.raw
            if key.lower() != "userpassword"
        }

    def _place(self, kind: RecordKind, name: str) -> DN:
        """Return where the record of something is, if the actor may see it."""
        places = self._context.places
        if kind == "domain":
            return places.domain(self.domains.get(name).domain)
        if kind == "alias":
            return places.alias(self.aliases.get(name).address)
        if kind == "list":
            return places.mailing_list(self.lists.get(name).address)
        if kind == "admin":
            admin = self.admins.get(name)
            return places.admin(admin.address) if admin.kind == "standalone" else places.account(admin.address)
        return places.account(self.accounts.get(name).address)

    def ldif(self, kind: RecordKind | Literal["catch-all"], name: str) -> str:
        found = TreeExport(self._context)
        reading = {
            "domain": found.domain, "catch-all": found.catch_all, "admin": found.admin, "account": found.account,
            "list": found.mailing_list, "alias": found.alias,
        }[kind]  # fmt: skip
        return "".join(ldif.document((ldif.record(*entry) for entry in reading(name)), version=False))

    def acting_as(self, admin: str) -> Self:
        actor = Actor(self._context.directory, self._context.places, held_address(admin))
        actor.require_enabled()
        return type(self)(_with_policies(replace(self._context, actor=actor), self._context.policies))

    def unrestricted(self) -> Self:
        return type(self)(_with_policies(replace(self._context, actor=None), self._context.policies))

    @property
    def companions(self) -> Companions:
        return self._context.policies

    def take_notices(self) -> Sequence[Notice]:
        return self._context.notices.take()

    def _is_restricted(self) -> bool:
        actor = self._context.actor
        return actor is not None and actor.kind() is not IREDMAIL_GLOBAL

    def _findings(self) -> Iterator[Finding]:
        yield from Checker(self._context).run()
        yield from self.companions.findings()
        if self.homes:
            if self._context.actor is None:
                yield from self._context.companion.ledger.findings()
            yield from check_homes(self, self.homes)

    def repair_counters(self) -> int:
        return repair(self._context, [domain.domain for domain in self.domains.list()])

    @property
    def context(self) -> Context:
        """What the parts of this driver share, for those of its parts that are no collections."""
        return self._context

    def schema_report(self) -> SchemaReport:
        """Return what the schema of this server has and lacks."""
        return report(self._context.directory)

    def close(self) -> None:
        self._context.directory.close()
        self._context.companion.close()
        self.companions.close()


def _require(directory: Directory, places: Places) -> None:
    """Raise SchemaMismatch if the server or its schema lacks something, ConfigurationError if the tree is not there."""
    absent = [control for control in _CONTROLS if control not in directory.supported_controls]
    if absent:
        raise SchemaMismatch(f"the server lacks the control {absent[0]}; OpenLDAP has it since version 2.4")
    missing = [name for name in CLASSES if name.lower() not in directory.object_classes]
    if missing:
        raise SchemaMismatch(
            f"the schema of the server lacks {', '.join(missing)}; load iredmail.schema and amavis.schema"
        )
    for dn in (places.domains, places.admins):
        if directory.read(dn, ("1.1",)) is None:
            raise ConfigurationError(
                f"there is no {dn}, or the account may not see it; make the tree with 'mailstore schema create'"
            )
