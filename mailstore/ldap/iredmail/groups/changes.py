"""What alias accounts and lists have in common among their parameters: a name, a state, a policy, and sets of addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mailstore.address import held_addresses, moderator
from mailstore.driver.names import edited
from mailstore.driver.values import ACCESS_POLICIES, Column, checked, text
from mailstore.fields import plain
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.edits import set_value
from mailstore.ldap.iredmail.entries import status
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.model import Edit, Names

__all__ = [
    "COLUMNS",
    "EVERYBODY",
    "checked_names",
    "column_changes",
    "lowered",
    "moderators",
    "policy_in",
    "resulting",
]  # fmt: skip

EVERYBODY = "public"
COLUMNS: Mapping[str, Column] = {
    "name": ("cn", text("name")),
    "enabled": ("accountStatus", status),
}
_SYNONYMS = {"allowedonly": "moderatorsonly"}


def column_changes(entry: Entry, fields: Mapping[str, Any]) -> list[Change]:
    """Return the changes of the attributes that have one value each."""
    values = checked(fields, COLUMNS)
    return [change for attribute, value in values.items() for change in set_value(entry, attribute, value)]


def policy_in(entry: Entry) -> str:
    """Return who may send to something. iRedAPD takes an unknown word for no restriction."""
    stored = entry.first("accessPolicy").lower()
    policy = _SYNONYMS.get(stored, stored)
    return policy if policy in ACCESS_POLICIES else EVERYBODY


def moderators(names: Iterable[str]) -> tuple[str, ...]:
    """Return the normal forms of addresses and of ``*@domain``, without repetition."""
    return tuple(dict.fromkeys(map(moderator, plain(names))))


def checked_names(names: Names | None, check: Callable[[Any], tuple[str, ...]]) -> Names | None:
    """Return a set of names, or an edit of one, in normal form; None if it is not given. Raises InvalidValue.

    What is removed may be whatever a directory holds.
    """
    if isinstance(names, Edit):
        return Edit(add=check(names.add), remove=held_addresses(names.remove))
    return None if names is None else check(names)


def resulting(context: Context, names: Names, present: Iterable[str]) -> tuple[str, ...]:
    """Return the names that there shall be, if `present` are there now."""
    return edited(names, present, NameSpace(context).owners) if isinstance(names, Edit) else tuple(names)


def lowered(entry: Entry, attribute: str) -> tuple[str, ...]:
    """Return the addresses in an attribute, sorted."""
    return tuple(sorted({value.lower() for value in entry.values(attribute)}))
