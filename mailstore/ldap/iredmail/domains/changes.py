"""A new domain, or a change to one, as changes of the attributes that its entry has."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from mailstore.address import any_address
from mailstore.driver.iredmail.units import megabytes, to_limit
from mailstore.driver.names import Owners, settled, wanted_in
from mailstore.driver.values import Column, checked, language, long_text, next_hop, optional_address, text, transport
from mailstore.errors import InvalidValue
from mailstore.fields import plain
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.domain_facts import QUOTA_KEY
from mailstore.ldap.iredmail.domains.entries import DEFAULT_SERVICES, SETTINGS_LISTS, SWITCHES
from mailstore.ldap.iredmail.edits import set_value, set_values
from mailstore.ldap.iredmail.entries import status
from mailstore.ldap.iredmail.places import Target
from mailstore.ldap.iredmail.settings import Settings
from mailstore.model import Edit, Names

__all__ = ["LIMITS", "DomainChange"]

_ATTRIBUTES: Mapping[str, Column] = {
    "name": ("cn", text("name", 1000)),
    "disclaimer": ("disclaimer", long_text("disclaimer")),
    "sender_bcc": ("domainSenderBccAddress", optional_address),
    "recipient_bcc": ("domainRecipientBccAddress", optional_address),
    "outbound_relay": ("senderRelayHost", next_hop),
}
_SETTINGS: Mapping[str, Column] = {
    "quota": (QUOTA_KEY, megabytes),
    "default_account_quota": ("defaultQuota", megabytes),
    "max_account_quota": ("maxUserQuota", megabytes),
    "max_accounts": ("numberOfUsers", to_limit("max_accounts")),
    "max_aliases": ("numberOfAliases", to_limit("max_aliases")),
    "max_lists": ("numberOfLists", to_limit("max_lists")),
    "default_language": ("defaultLanguage", language),
    "min_password_length": ("minPasswordLength", to_limit("min_password_length")),
    "max_password_length": ("maxPasswordLength", to_limit("max_password_length")),
}
_LENGTHS = ("minPasswordLength", "maxPasswordLength")
LIMITS = (QUOTA_KEY, "numberOfUsers", "numberOfAliases", "numberOfLists")
"""The settings that an admin of limited rights may allocate only so much of."""
_BCC_SERVICES = {"domainSenderBccAddress": "senderbcc", "domainRecipientBccAddress": "recipientbcc"}
_WORD = re.compile(r"[A-Za-z0-9_-]{1,50}")


class DomainChange:
    """The parameters of `Domains.create` and `Domains.update`, checked before the directory is asked anything."""

    def __init__(self, context: Target, domain: str, fields: Mapping[str, Any]) -> None:
        self._context = context
        self._domain = domain
        self._fields = fields
        self._attributes = checked(fields, _ATTRIBUTES)
        self._settings = checked(fields, _SETTINGS)
        self.status = status(fields["enabled"]) if "enabled" in fields else None
        self._check_transport()
        for name in ("services", *SETTINGS_LISTS):
            _words(name, fields.get(name, ()))
        self._catch_all = wanted_in(fields, "catch_all", any_address)

    @property
    def limits(self) -> dict[str, Any]:
        """The limits among the parameters, in iRedMail's units."""
        return {key: value for key, value in self._settings.items() if key in LIMITS}

    @property
    def changes_catch_all(self) -> bool:
        """Whether the catch-all is among the parameters."""
        return self._catch_all is not None

    def catch_all(
        self, present: Iterable[str], owners: Callable[[Collection[str]], Owners] = lambda _: {}
    ) -> tuple[str, ...]:
        """Return where the mail for unknown addresses shall go, if it goes to `present` now.

        `owners` tells which domains lead where.
        """
        return settled(Edit() if self._catch_all is None else self._catch_all, present, owners)

    def build(self, entry: Entry) -> list[Change]:
        """Return the changes of a domain's entry, but for its state, which concerns everything in it."""
        changes: list[Change] = []
        services = list(entry.values("enabledService"))
        for attribute, value in self._attributes.items():
            changes += set_value(entry, attribute, value)
            if value and attribute in _BCC_SERVICES:
                services.append(_BCC_SERVICES[attribute])
        changes += set_values(entry, "enabledService", self._services(services))
        return changes + self._settings_changes(entry) + self._transport(entry)

    def new_attributes(self) -> dict[str, list[str]]:
        """Return the attributes of a new domain to begin with, which `build` then completes."""
        return {
            "objectClass": ["mailDomain"],
            "domainName": [self._domain],
            "mtaTransport": [self._context.config.default_transport],
            "enabledService": list(DEFAULT_SERVICES),
            "domainCurrentUserNumber": ["0"],
            "domainCurrentAliasNumber": ["0"],
            "domainCurrentListNumber": ["0"],
        }

    def _services(self, present: Iterable[str]) -> list[str]:
        """Return the services of the domain; a whole new list leaves those alone that go with other settings."""
        if "services" not in self._fields:
            return list(present)
        wanted: Names = self._fields["services"]
        if isinstance(wanted, Edit):
            return list(wanted.apply(present))
        return [*(value for value in present if value.lower() in SWITCHES), *wanted]

    def _settings_changes(self, entry: Entry) -> list[Change]:
        settings = Settings.of(entry)
        for key, value in self._settings.items():
            if key == QUOTA_KEY:
                settings.put(key, f"{value}:MB" if value else None)
            else:
                # A length of 0 or less says nothing: to_limit gives -1 for 0.
                settings.put(key, max(value, 0) if key in _LENGTHS else value)
        for name, key in SETTINGS_LISTS.items():
            if name in self._fields:
                edit = self._fields[name]
                settings.put(key, edit.apply(settings.names(key)) if isinstance(edit, Edit) else tuple(edit))
        return settings.changes(entry)

    def _check_transport(self) -> None:
        transport(self._fields.get("transport", ""))
        next_hop(self._fields.get("primary_mx", ""))
        if self._fields.get("backup_mx") and self._fields.get("transport"):
            raise InvalidValue("backup_mx sets the transport itself; give only one of the two", subject=self._domain)
        if self._fields.get("primary_mx") and self._fields.get("backup_mx") is False:
            raise InvalidValue("primary_mx means nothing without backup_mx", subject=self._domain)

    def _transport(self, entry: Entry) -> list[Change]:
        """Return the changes of transport and backup MX, which depend on each other."""
        fields, was_backup = self._fields, entry.has("domainBackupMX", "yes")
        default = self._context.config.default_transport
        if fields.get("backup_mx", was_backup):
            if fields.get("transport"):
                raise InvalidValue("a backup MX has no transport of its own; set backup_mx=False", subject=self._domain)
            if "primary_mx" not in fields and was_backup:
                return []
            relay = f"relay:{next_hop(fields.get('primary_mx', ''))}"
            return [*set_value(entry, "domainBackupMX", "yes"), *set_value(entry, "mtaTransport", relay)]
        if fields.get("primary_mx"):
            raise InvalidValue("primary_mx means nothing without backup_mx", subject=self._domain)
        changes = set_value(entry, "domainBackupMX", "") if was_backup else []
        if was_backup or "transport" in fields:
            changes += set_value(entry, "mtaTransport", transport(fields.get("transport", "")) or default)
        return changes


def _words(field: str, names: Names) -> None:
    """Refuse what could not be an item of a list in the panel."""
    for some in (names.add, names.remove) if isinstance(names, Edit) else (names,):
        for name in plain(some):
            if not _WORD.fullmatch(name):
                raise InvalidValue(f"{field}: {name!r} must be letters, digits, '-' and '_'", field=field)
