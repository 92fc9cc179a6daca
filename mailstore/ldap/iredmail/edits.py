"""Changes of single attributes, computed from what an entry has: as few values as possible, so that others' values stay."""

from __future__ import annotations

from collections.abc import Iterable

from mailstore.ldap.entry import Change, Entry

__all__ = ["add_values", "applied", "remove_values", "set_value", "set_values"]


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


def applied(entry: Entry, changes: Iterable[Change]) -> dict[str, list[bytes]]:
    """Return the attributes that an entry has after some changes; for an entry that is to be added."""
    attributes = {name: list(values) for name, values in entry.raw.items()}
    for change in changes:
        present = [] if change.kind == "replace" else attributes.get(change.attribute, [])
        gone = change.values if change.kind == "delete" else ()
        kept = [value for value in present if value not in gone] if gone or change.kind != "delete" else []
        attributes[change.attribute] = kept + list(change.values if change.kind != "delete" else ())
    return {name: values for name, values in attributes.items() if values}


def add_values(entry: Entry, attribute: str, values: Iterable[str]) -> list[Change]:
    """Return what adds the values that are not there."""
    return set_values(entry, attribute, [*entry.values(attribute), *values])


def remove_values(entry: Entry, attribute: str, values: Iterable[str]) -> list[Change]:
    """Return what removes the values that are there."""
    unwanted = {value.lower() for value in values}
    return set_values(entry, attribute, [value for value in entry.values(attribute) if value.lower() not in unwanted])
