"""What entries of accounts, aliases and lists have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mailstore.driver.values import (
    flag,
)
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.names.name_space import AliasDomains
from mailstore.ldap.names import all_of, equals, negate, starts_with

__all__ = ["ACCOUNT", "address_of", "moment", "names_in", "own_aliases", "status"]


ACCOUNT = all_of(equals("objectClass", "mailUser"), negate(starts_with("mail", "@")))
"""Matches accounts, and not the catch-alls of domains."""


def address_of(entry: Entry) -> str:
    """Return the address of an entry."""
    return entry.first("mail").lower()


def moment(text: str) -> datetime | None:
    """Return a time that the server keeps, like ``20261120161500Z``, as naive UTC. Raises ValueError."""
    return datetime.fromisoformat(f"{text[:8]}T{text[8:14]}") if text else None


def own_aliases(entry: Entry, known: AliasDomains) -> tuple[str, ...]:
    """Return the alias addresses of an entry without those that are there for alias domains only.

    Both kinds stand in one attribute.
    """
    values = _shadows(entry)
    if not values:
        return ()
    named = values | {address_of(entry)}
    derived = set().union(*map(known.forms, named))
    return tuple(sorted(values - derived - {address_of(entry)}))


def _shadows(entry: Entry) -> set[str]:
    return {value.lower() for value in entry.values("shadowAddress")}


def status(enabled: Any) -> str:
    """Return what ``accountStatus`` says about something that is on or off. Raises InvalidValue."""
    return "active" if flag("enabled")(enabled) else "disabled"


def names_in(entry: Entry) -> set[str]:
    """Return every address that an entry has, those under alias domains too."""
    return {value.lower() for attribute in ("mail", "shadowAddress") for value in entry.values(attribute)}
