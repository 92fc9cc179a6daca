"""Changes of single attributes, computed from what an entry has: as few values as possible, so that others' values stay."""

from __future__ import annotations

from collections.abc import Iterable

from mailstore.ldap.entry import Change, Entry

__all__ = ["add_values", "remove_values", "set_value", "set_values"]


def set_value(entry: Entry, attribute: str, value: str | int | None) -> list[Change]:
    """Return what gives an attribute this one value; '' and None remove it, because slapd would keep an empty text."""
    text = "" if value is None else str(value)
    if entry.values(attribute) == ((text,) if text else ()):
        return []
    return [Change.replace(attribute, *([text] if text else []))]


def set_values(entry: Entry, attribute: str, values: Iterable[str]) -> list[Change]:
    """Return what makes `values` the values of an attribute. Upper and lower case are alike, as for the server."""
    wanted = {value.lower(): value for value in values}
    present = {value.lower(): value for value in entry.values(attribute)}
    gone = [value for key, value in present.items() if key not in wanted]
    new = [value for key, value in wanted.items() if key not in present]
    changes = [Change.delete(attribute, *gone)] if gone else []
    return changes + ([Change.add(attribute, *new)] if new else [])


def add_values(entry: Entry, attribute: str, values: Iterable[str]) -> list[Change]:
    """Return what adds the values that are not there."""
    return set_values(entry, attribute, [*entry.values(attribute), *values])


def remove_values(entry: Entry, attribute: str, values: Iterable[str]) -> list[Change]:
    """Return what removes the values that are there."""
    unwanted = {value.lower() for value in values}
    return set_values(entry, attribute, [value for value in entry.values(attribute) if value.lower() not in unwanted])
