"""Alias accounts: what their entries mean, and changes of them.

Who may send to an alias is kept since iRedMail 1.7.2. The attributes themselves are older, since lists have them: it is the
object class that has to allow them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailstore.address import any_address, moderator
from mailstore.driver.names import wanted_in
from mailstore.driver.readings import Readings
from mailstore.driver.values import access_policy
from mailstore.fields import AliasFields, reject_unknown, reject_unsupported
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
from mailstore.ldap.iredmail.groups.kinds import ALIAS
from mailstore.ldap.iredmail.groups.shields import or_itself, without_itself
from mailstore.model import Alias

__all__ = ["SUPPORTED", "AliasChange", "alias_of"]

SUPPORTED = frozenset(AliasFields.__annotations__.keys() - {"permitted_senders"})

_MEMBERS, _POLICY, _MODERATORS = "mailForwardingAddress", "accessPolicy", "listModerator"


class AliasChange:
    """The parameters of `Aliases.create` and `Aliases.update`, checked before the directory is asked anything."""

    def __init__(self, context: Context, fields: Mapping[str, Any]) -> None:
        reject_unknown(fields, AliasFields)
        reject_unsupported(fields, SUPPORTED, Alias(address=""), "iRedMail's directory")
        self._context = context
        self._fields = fields
        self._members = wanted_in(fields, "members", any_address)
        self._moderators = wanted_in(fields, "moderators", moderator)
        self._policy = access_policy(fields["access_policy"]) if "access_policy" in fields else None
        column_changes(Entry(context.places.domains, {}), fields)
        if self._moderators:
            context.require([_MODERATORS], ALIAS.object_class, release="1.7.2")
        if self._policy not in {None, EVERYBODY}:
            context.require([_POLICY], ALIAS.object_class, release="1.7.2")

    def build(self, entry: Entry) -> list[Change]:
        """Return the changes of an alias account's entry."""
        changes = column_changes(entry, self._fields)
        members = without_itself(entry, lowered(entry, _MEMBERS))
        if self._members is not None:
            members = resulting(self._context, self._members, members)
        if self._members is not None or not members:
            changes += set_values(entry, _MEMBERS, or_itself(self._context, entry, members))
        if self._policy is not None and self._policy != policy_in(entry):
            changes += set_value(entry, _POLICY, "" if self._policy == EVERYBODY else self._policy)
        if self._moderators is not None:
            changes += set_values(
                entry, _MODERATORS, resulting(self._context, self._moderators, lowered(entry, _MODERATORS))
            )
        return changes


def alias_of(entry: Entry) -> Alias:
    """Return what an entry means."""
    readings = Readings()
    return Alias(
        address=address_of(entry),
        name=entry.first("cn"),
        enabled=is_active(entry),
        access_policy=policy_in(entry),
        members=without_itself(entry, lowered(entry, _MEMBERS)),
        moderators=lowered(entry, _MODERATORS),
        **stamps(entry, readings),
        problems=readings.problems,
    )
