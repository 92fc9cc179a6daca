"""Entries as the directory has them, and changes of their attributes: octets, without a schema to interpret them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mailstore.errors import InvalidValue
from mailstore.ldap.names import DN, comparable

__all__ = ["Change", "Entry", "folded", "octets", "shows"]


def octets(value: str | bytes) -> bytes:
    """Return a value as it is sent."""
    if isinstance(value, bytes):
        return value
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidValue("text with half a surrogate pair cannot be stored") from None


def _text(value: bytes) -> str:
    # Octets that are no UTF-8 survive being read as text and written again.
    return value.decode("utf-8", "surrogateescape")


class _Attributes(Mapping[str, Sequence[bytes]]):
    """Values by attribute name, in any case; names keep the spelling that the server gave them."""

    def __init__(self, attributes: Mapping[str, Sequence[bytes]]) -> None:
        self._values = {name.lower(): (name, tuple(values)) for name, values in attributes.items()}

    def __getitem__(self, name: str) -> Sequence[bytes]:
        return self._values[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class Entry:
    """One entry. Attribute names ignore case."""

    dn: DN
    raw: Mapping[str, Sequence[bytes]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", _Attributes(self.raw))

    def __repr__(self) -> str:
        """Show names only: among the values are password hashes."""
        return f"Entry({self.dn!r}, attributes: {', '.join(self.raw)})"

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of an attribute; none if it is absent."""
        return tuple(map(_text, self.raw.get(name, ())))

    def first(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute, in the server's order."""
        return next(iter(self.values(name)), default)

    def number(self, name: str) -> int | None:
        """Return the first value as a number; None if it is absent or none."""
        try:
            return int(self.first(name))
        except ValueError:
            return None

    def has(self, name: str, value: str | None = None) -> bool:
        """Tell whether the attribute is there, with this value in any case if one is given."""
        if value is None:
            return name in self.raw
        return value.lower() in (found.lower() for found in self.values(name))


@dataclass(frozen=True)
class Change:
    """One change of one attribute. Made by `add`, `delete` and `replace`."""

    kind: Literal["add", "delete", "replace"]
    attribute: str
    values: tuple[bytes, ...] = field(default=(), repr=False)

    @staticmethod
    def add(attribute: str, *values: str | bytes) -> Change:
        """Add values; one that is there already is an error."""
        return Change("add", attribute, tuple(map(octets, values)))

    @staticmethod
    def delete(attribute: str, *values: str | bytes) -> Change:
        """Delete values, or the whole attribute if none is given; one that is absent is an error."""
        return Change("delete", attribute, tuple(map(octets, values)))

    @staticmethod
    def replace(attribute: str, *values: str | bytes) -> Change:
        """Put these values in the place of all; none removes the attribute, which need not be there."""
        return Change("replace", attribute, tuple(map(octets, values)))


def applied(entry: Entry, changes: Iterable[Change]) -> dict[str, list[bytes]]:
    """Return the attributes that an entry has after some changes; for an entry that is to be added."""
    attributes = {name: list(values) for name, values in entry.raw.items()}
    for change in changes:
        present = [] if change.kind == "replace" else attributes.get(change.attribute, [])
        gone = change.values if change.kind == "delete" else ()
        kept = [value for value in present if value not in gone] if gone or change.kind != "delete" else []
        attributes[change.attribute] = kept + list(change.values if change.kind != "delete" else ())
    return {name: values for name, values in attributes.items() if values}


def folded(values: Iterable[str | bytes]) -> set[str]:
    """Return values so that those are equal which most matching rules take for equal."""
    return {comparable(_text(octets(value))) for value in values}


def shows(entry: Entry, changes: Sequence[Change]) -> bool:
    """Tell whether an entry looks as if the changes had just been made to it."""
    return all(
        _shows(folded(entry.raw.get(name, ())), [change for change in changes if change.attribute.lower() == name])
        for name in {change.attribute.lower() for change in changes}
    )


def _shows(found: set[str], changes: Sequence[Change]) -> bool:
    wanted: set[str] = set()
    unwanted: set[str] = set()
    whole = False
    for change in changes:
        values = folded(change.values)
        if change.kind == "add":
            wanted, unwanted = wanted | values, unwanted - values
        elif change.kind == "delete" and values:
            wanted, unwanted = wanted - values, unwanted | values
        else:
            wanted, unwanted, whole = values, set(), True
    return wanted <= found and not unwanted & found and (not whole or found <= wanted)
