"""What alias accounts and lists have in common among their parameters: a name, a state, a policy, and sets of addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mailstore.driver.names import Wanted, settled
from mailstore.driver.values import ACCESS_POLICIES, Column, checked, text
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.edits import set_value
from mailstore.ldap.iredmail.entries import status
from mailstore.ldap.iredmail.names.name_space import NameSpace

__all__ = [
    "COLUMNS",
    "EVERYBODY",
    "column_changes",
    "lowered",
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


def resulting(context: Context, names: Wanted, present: Iterable[str]) -> tuple[str, ...]:
    """Return the names that there shall be, if `present` are there now. Raises InvalidAddress."""
    return settled(names, present, NameSpace(context).owners)


def lowered(entry: Entry, attribute: str) -> tuple[str, ...]:
    """Return the addresses in an attribute, sorted."""
    return tuple(sorted({value.lower() for value in entry.values(attribute)}))
