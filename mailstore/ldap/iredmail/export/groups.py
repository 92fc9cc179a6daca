"""Alias accounts, mailing lists and standalone admins as entries made from the records of any store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mailstore.address import addresses, alias_address, moderator
from mailstore.driver.iredmail.admin_settings import change_admin_limits
from mailstore.driver.values import Column, access_policy, checked, language
from mailstore.fields import AdminFields, AliasFields, MailingListFields
from mailstore.ldap.iredmail.accounts.new import Values
from mailstore.ldap.iredmail.admins.entries import REFUSALS
from mailstore.ldap.iredmail.export.base import Maker, Membership, Record, fields_of, record_of
from mailstore.ldap.iredmail.groups.changes import COLUMNS, EVERYBODY
from mailstore.ldap.iredmail.groups.creation import SERVICES
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.iredmail.settings import Settings
from mailstore.model import Admin, Alias, MailingList

__all__ = ["GroupMaker"]

_ADMIN_COLUMNS: Mapping[str, Column] = {**COLUMNS, "language": ("preferredLanguage", language)}
_COLUMNS: Mapping[str, Column] = {**COLUMNS, "access_policy": ("accessPolicy", access_policy)}


class GroupMaker(Maker):
    """See `Maker`."""

    def alias(self, record: Alias, membership: Membership) -> Record:
        """Return the entry of an alias account. Raises InvalidAddress."""
        fields = self._fitting(record.address, fields_of(record, AliasFields), _checked_group)
        policy = fields.get("access_policy", EVERYBODY)
        attributes = {
            **self._group(record.address, "mailAlias", fields, membership),
            # One without members leads to itself, so that the catch-all does not get its mail.
            "mailForwardingAddress": list(fields.get("members", ())) or [record.address] * membership.domain_catches,
            # The schema allows it here since iRedMail 1.7.2 only.
            "accessPolicy": [policy] if policy != EVERYBODY else [],
            "listModerator": list(fields.get("moderators", ())),
        }
        return record_of(self._places.alias(record.address), attributes)

    def mailing_list(self, record: MailingList, membership: Membership) -> Record:
        """Return the entry of a mailing list, whose members it does not name. Raises InvalidAddress."""
        fields = self._fitting(record.address, fields_of(record, MailingListFields), _checked_group)
        moderators, owners = (list(fields.get(name, ())) for name in ("moderators", "owners"))
        attributes = {
            **self._group(record.address, "mailList", fields, membership),
            "listModerator": moderators,
            "listOwner": owners,
            # The union: it is where iRedAPD looked first.
            "listAllowedUser": list(dict.fromkeys([*moderators, *owners])),
        }
        return record_of(self._places.mailing_list(record.address), attributes)

    def externals(self, mailing_list: str, members: Collection[str], *, domain_enabled: bool) -> Record | None:
        """Return the entry that holds those members of a list that have no entry; None if there are none."""
        if not members:
            return None
        attributes = {
            "objectClass": ["mailExternalUser"],
            "memberOfGroup": [mailing_list],
            "mail": sorted(members),
            "accountStatus": ["active"],
            "enabledService": list(SERVICES),
            "shadowAddress": self._shadows(mailing_list, ()),
            "domainStatus": [] if domain_enabled else ["disabled"],
        }
        return record_of(self._places.externals(mailing_list), attributes)

    def admin(self, record: Admin, password_hash: str | None) -> Record:
        """Return the entry of a standalone admin."""
        address = alias_address(record.address)
        fields = fields_of(record, AdminFields)
        plain = self._fitting(address, fields, lambda given: checked(given, _ADMIN_COLUMNS))
        settings = Settings(self._fitting(address, fields, lambda given: _admin_settings(given, record)))
        self._note_settings(address, record.settings)
        attributes: Values = {
            "objectClass": ["mailAdmin"],
            "mail": [address],
            **{name: [value] if value else [] for name, value in plain.items()},
            "userPassword": self._password(address, password_hash),
            "domainGlobalAdmin": ["yes"] * record.global_admin,
            "disabledService": [word for right, word in REFUSALS.items() if not fields[right]],
            SETTINGS: settings.values(),
        }
        return record_of(self._places.admin(address), attributes)

    def _group(self, address: str, kind: str, fields: Mapping[str, Any], membership: Membership) -> Values:
        """Return what alias accounts and lists have in common."""
        columns = checked(fields, _COLUMNS)
        return {
            "objectClass": [kind],
            "mail": [alias_address(address)],
            **{name: [value] if value else [] for name, value in columns.items()},
            "enabledService": list(SERVICES),
            "shadowAddress": self._shadows(address, ()),
            "domainStatus": [] if membership.domain_enabled else ["disabled"],
            "memberOfGroup": self._groups(membership),
        }


def _checked_group(given: dict[str, Any]) -> dict[str, Any]:
    """Check the parameters of an alias account or a list."""
    checked(given, _COLUMNS)
    found = dict(given)
    if "members" in given:
        found["members"] = addresses(given["members"])
    for name in {"moderators", "owners"} & given.keys():
        found[name] = tuple(dict.fromkeys(map(moderator, given[name])))
    return found


def _admin_settings(given: dict[str, Any], record: Admin) -> list[str]:
    settings = Settings()
    if not record.global_admin:
        change_admin_limits(settings, given)
    elif "timezone" in given:
        change_admin_limits(settings, {"timezone": given["timezone"]})
    return settings.values()
