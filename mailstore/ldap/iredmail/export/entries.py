"""Domains and accounts as entries made from the records of any store, as this driver would write them itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

import msgspec

from mailstore.address import addresses, alias_address, domain_part
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.secret import Secret
from mailstore.fields import AccountFields, DomainFields
from mailstore.ldap.entry import Entry, applied
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.new import NewAccount
from mailstore.ldap.iredmail.domains.catch_all import catch_all_attributes
from mailstore.ldap.iredmail.domains.changes import DomainChange
from mailstore.ldap.iredmail.export.base import Maker, Membership, Record, fields_of, record_of
from mailstore.ldap.iredmail.homes import ATTRIBUTE as HOME
from mailstore.ldap.iredmail.places import UNITS, FileTarget
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.iredmail.settings import Settings
from mailstore.model import Account, Domain

__all__ = ["EntryMaker"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_NO_HASH = Secret("{SSHA}" + "A" * 32)
"""Well-formed, as a new account needs one; the real one takes its place."""
_DOMAIN_SETTINGS = {
    "timezone": "timezone",
    "default_groups": "defaultList",
    "defaultList": "defaultList",
    "defaultStorageBaseDirectory": "defaultStorageBaseDirectory",
}
"""Settings that the library does not interpret, but knows how the directory calls."""


class EntryMaker(Maker):
    """See `Maker`."""

    @cached_property
    def _target(self) -> FileTarget:
        # A hash is looked at by itself, so that an account whose hash is useless is exported all the same.
        return FileTarget(msgspec.structs.replace(self._config, login_by="lookup"))

    def domain(self, record: Domain, counts: Mapping[str, int]) -> Record:
        """Return the entry of a domain; `counts` are the panel's counters, by attribute."""
        name, fields = record.domain, fields_of(record, DomainFields)
        # One of them follows from the other; the catch-all has an entry of its own.
        for field in ("catch_all", "transport" if record.backup_mx else "primary_mx"):
            del fields[field]
        begun = Entry(self._places.domain(name), _octets(DomainChange(self._target, name, {}).new_attributes()))

        def make(given: dict[str, Any]) -> dict[str, list[bytes]]:
            change = DomainChange(self._target, name, {"backup_mx": record.backup_mx, **given})
            return {**applied(begun, change.build(begun)), "accountStatus": [(change.status or "active").encode()]}

        made: dict[str, list[str]] = {
            key: [value.decode() for value in values] for key, values in self._fitting(name, fields, make).items()
        }
        made |= {counter: [str(count)] for counter, count in counts.items()}
        made["domainAdmin"] = list(record.admins)
        made["domainAliasName"] = list(record.alias_domains)
        made["enabledService"] += ["domainalias"] if record.alias_domains else []
        made[SETTINGS] = self._domain_settings(record, made.get(SETTINGS, []))
        if record.backup_mx and record.transport and not record.transport.startswith("relay:"):
            self._left_out(name, f"transport {record.transport}: a backup MX relays")
        return record_of(begun.dn, made)

    def units(self, domain: str) -> list[Record]:
        """Return the four organizational units of a domain."""
        units = ((self._places.unit(domain, unit), unit) for unit in UNITS)
        return [record_of(dn, {"objectClass": ["organizationalUnit"], "ou": [unit]}) for dn, unit in units]

    def catch_all(self, record: Domain) -> Record | None:
        """Return the catch-all of a domain; None if it has none."""
        targets = self._fitting(record.domain, {"catch_all": record.catch_all}, _catch_all_targets)
        if not targets:
            return None
        state = {"accountStatus": ["active" if record.enabled else "disabled"]}
        domain = Entry(
            self._places.domain(record.domain), _octets({**state, "domainAliasName": list(record.alias_domains)})
        )
        dn = self._places.catch_all(record.domain)
        return record_of(dn, catch_all_attributes(domain, record.domain, targets))

    def account(
        self, record: Account, password_hash: str | None, membership: Membership, wanted: Collection[str] | None
    ) -> Record:
        """Return the entry of an account that may use the `wanted` services; None is what a new account may use.

        Without a hash nobody can log in until a password is set. Raises InvalidAddress.
        """
        address = alias_address(record.address)
        fields = {**fields_of(record, AccountFields), "services": wanted}
        new = self._fitting(
            address, fields, lambda given: NewAccount.parse(self._target, address, _NO_HASH, given, named=alias_address)
        )
        new.finish(self._target, _without_limits(domain_part(address)), domain_is_active=membership.domain_enabled)
        changed = record.password_changed
        self._note_settings(address, record.settings)
        return record_of(
            self._places.account(address),
            {
                **new.attributes,
                "userPassword": self._password(address, password_hash),
                "shadowLastChange": [str((changed - _EPOCH).days)] if changed else [],
                HOME: [f"{record.home}/"] if record.home else [],
                "enabledService": new.attributes["enabledService"] + [services.ADMIN] * record.admin,
                "domainGlobalAdmin": ["yes"] * record.global_admin,
                "shadowAddress": self._shadows(address, new.aliases),
                "memberOfGroup": self._groups(membership),
            },
        )

    def _domain_settings(self, record: Domain, values: Iterable[str]) -> list[str]:
        settings = Settings(values)
        for key, name in _DOMAIN_SETTINGS.items():
            if key in record.settings:
                self._fitting(record.domain, {name: record.settings[key]}, partial(_put_all, settings))
        self._note_settings(record.domain, {key for key in record.settings if key not in _DOMAIN_SETTINGS})
        return settings.values()


def _octets(attributes: Mapping[str, Iterable[str]]) -> dict[str, list[bytes]]:
    return {name: [value.encode() for value in values] for name, values in attributes.items()}


def _without_limits(domain: str) -> DomainPolicy:
    """Return a policy that refuses nothing: what is there already is taken over even where a limit has changed since."""
    return DomainPolicy(
        domain=domain, max_accounts=0, max_aliases=0, max_lists=0, quota=0, default_account_quota=0, max_account_quota=0,
        default_language="", min_password_length=0, max_password_length=0, disabled_services=(),
    )  # fmt: skip


def _put_all(settings: Settings, given: dict[str, Any]) -> None:
    for key, value in given.items():
        settings.put(key, value)


def _catch_all_targets(given: dict[str, Any]) -> tuple[str, ...]:
    return addresses(given.get("catch_all", ()))
