"""The attribute ``accountSetting``: values ``key:value``, shared with other tools and therefore changed value by value.

The panel splits at the first colon and ignores what has none. A key may stand several times: each value is one item of a
list. Zero cannot be kept, since the panel drops it. Keys that this library does not know stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailstore.errors import InvalidValue
from mailstore.ldap.entry import Change, Entry
from mailstore.ldap.iredmail.edits import set_values

__all__ = ["ATTRIBUTE", "LOCK_KEY", "RESTORED_KEY", "Settings"]

ATTRIBUTE = "accountSetting"
LOCK_KEY = "mailstoreLock"
"""A key of ours; see `mailstore.ldap.iredmail.names.locks`."""
RESTORED_KEY = "mailstoreRestored"
"""The other one: of which record a domain comes from, until that is dropped."""


class Settings:
    """The settings of one entry."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = [value for value in values if ":" in value]
        self._foreign = [value for value in values if ":" not in value]

    @classmethod
    def of(cls, entry: Entry) -> Settings:
        """Return the settings of an entry."""
        return cls(entry.values(ATTRIBUTE))

    def text(self, key: str) -> str:
        """Return the (first) value of a key, empty if it is not there."""
        return next(iter(self._all(key)), "")

    def number(self, key: str) -> int | None:
        """Return the value of a key as a number; None if it is not there or no number."""
        try:
            return int(self.text(key))
        except ValueError:
            return None

    def names(self, key: str) -> tuple[str, ...]:
        """Return all values of a key, sorted."""
        return tuple(sorted(self._all(key)))

    def put(self, key: str, value: str | int | Iterable[str] | None) -> None:
        """Set a key, to several values if they are given; None, 0 and empty text remove it.

        Raises InvalidValue for what the attribute cannot hold.
        """
        texts = [str(value or "")] if isinstance(value, str | int) or value is None else sorted(set(value))
        for text in texts:
            if not (text.isascii() and text.isprintable()):
                raise InvalidValue(f"{key}: {text!r} must be printable ASCII")
        self._values = [found for found in self._values if not _is(found, key)]
        self._values += [f"{key}:{text}" for text in texts if text]

    def others(self, known: Iterable[str]) -> Mapping[str, str]:
        """Return what is there besides the `known` keys; several values of one key are joined by commas."""
        skipped = {key.lower() for key in (*known, LOCK_KEY, RESTORED_KEY)}
        found: dict[str, list[str]] = {}
        for value in self._values:
            key, _, text = value.partition(":")
            if key.lower() not in skipped:
                found.setdefault(key, []).append(text)
        return {key: ",".join(texts) for key, texts in found.items()}

    def values(self) -> list[str]:
        """Return the values of the attribute."""
        return [*self._values, *self._foreign]

    def changes(self, entry: Entry) -> list[Change]:
        """Return what makes these the settings of `entry`."""
        return set_values(entry, ATTRIBUTE, self.values())

    def _all(self, key: str) -> Iterable[str]:
        return [value.partition(":")[2] for value in self._values if _is(value, key)]


def _is(value: str, key: str) -> bool:
    return value.partition(":")[0].lower() == key.lower()
