"""Mailing lists: what their entries mean, and changes of them.

``enabled`` is ``accountStatus`` of the list. Postfix expands a list by asking its members' entries and never looks at the
list's own: it is iRedAPD, which iRedMail asks about every recipient, that refuses mail to a list that is switched off.

iRedAPD lets those in ``listAllowedUser`` send whatever the policy is. Moderators and owners stand there, too, as the panel
and mlmmjadmin write them; whoever else is there was put there by somebody, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mailstore.address import any_address, moderator
from mailstore.driver.names import Wanted, wanted_in
from mailstore.driver.readings import Readings
from mailstore.driver.values import access_policy
from mailstore.errors import InvalidAddress, NotSupported
from mailstore.fields import MailingListFields, reject_unknown
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.accounts.entries import stamps
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.edits import set_value, set_values
from mailstore.ldap.iredmail.entries import address_of
from mailstore.ldap.iredmail.groups.changes import (
    EVERYBODY,
    column_changes,
    lowered,
    policy_in,
    resulting,
)
from mailstore.ldap.iredmail.groups.kinds import LIST
from mailstore.ldap.iredmail.services import ATTRIBUTE as SERVICE
from mailstore.model import MailingList

__all__ = ["ListChange", "is_managed", "list_of", "refuse_managed"]

_POLICY, _ALLOWED = "accessPolicy", "listAllowedUser"
_PRIVILEGED = {"moderators": "listModerator", "owners": "listOwner"}
_MANAGED = "mlmmj"


class ListChange:
    """The parameters of `MailingLists.create` and `MailingLists.update`, checked before the directory is asked anything."""

    def __init__(self, context: Context, fields: Mapping[str, Any]) -> None:
        reject_unknown(fields, MailingListFields)
        self._context = context
        self._fields = fields
        self._policy = access_policy(fields["access_policy"]) if "access_policy" in fields else None
        self._privileged: dict[str, Wanted] = {}
        for name, attribute in _PRIVILEGED.items():
            if (names := wanted_in(fields, name, moderator if name == "moderators" else _owner)) is not None:
                self._privileged[attribute] = names
        self.members = wanted_in(fields, "members", any_address)
        column_changes(Entry(context.places.domains, {}), fields)
        context.require(
            [attribute for attribute, names in self._privileged.items() if names], LIST.object_class, release="1.4.0"
        )

    @property
    def changes_entry(self) -> bool:
        """Whether the entry of the list itself is concerned; members stand elsewhere."""
        return bool(self._fields.keys() - {"members"})

    def complete(self, entry: Entry) -> list[Change]:
        """Return what makes a new list of an entry."""
        return [*self.build(entry), *([] if self._policy else [Change.add(_POLICY, EVERYBODY)])]

    def build(self, entry: Entry) -> list[Change]:
        """Return the changes of a list's entry."""
        changes = column_changes(entry, self._fields)
        if self._policy is not None:
            changes += set_value(entry, _POLICY, self._policy)
        return changes + self._senders(entry)

    def _senders(self, entry: Entry) -> list[Change]:
        if not self._privileged:
            return []
        before = {attribute: lowered(entry, attribute) for attribute in _PRIVILEGED.values()}
        after = before | {
            name: resulting(self._context, names, before[name]) for name, names in self._privileged.items()
        }
        others = set(lowered(entry, _ALLOWED)) - set().union(*before.values())
        changes = [change for name in self._privileged for change in set_values(entry, name, after[name])]
        return changes + set_values(entry, _ALLOWED, sorted(others.union(*after.values())))


def list_of(entry: Entry, members: Iterable[str]) -> MailingList:
    """Return what the entry of a list means; its `members` stand elsewhere."""
    managed, readings = is_managed(entry), Readings()
    return MailingList(
        address=address_of(entry),
        kind="managed" if managed else "plain",
        name=entry.first("cn"),
        enabled=is_active(entry),
        access_policy=policy_in(entry),
        members=() if managed else tuple(sorted(members)),
        moderators=lowered(entry, _PRIVILEGED["moderators"]),
        owners=lowered(entry, _PRIVILEGED["owners"]),
        **stamps(entry, readings),
        problems=readings.problems,
    )


def is_managed(entry: Entry) -> bool:
    """Tell whether mlmmj keeps the subscribers of a list."""
    return entry.has(SERVICE, _MANAGED)


def refuse_managed(entry: Entry, what: str) -> None:
    """Raise NotSupported for a list of mlmmj: its subscribers and settings lie in a directory on disk."""
    if is_managed(entry):
        address = address_of(entry)
        raise NotSupported(f"{address} is a list of mlmmj; {what} with mlmmjadmin", subject=address)


def _owner(name: str) -> str:
    owner = any_address(name)
    if owner.startswith("*@"):  # iRedAPD would take it for everybody of the domain
        raise InvalidAddress(f"{owner} cannot own a list; name an address", subject=owner)
    return owner
