"""The ``settings`` columns: ``key:value;key:value;``, shared with other tools and therefore read, changed and written.

iRedAdmin's reader breaks on a second colon in a value and on text in a number; its writer cannot keep 0. What
this module does not know stays as it is, in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mailstore.errors import InvalidValue

__all__ = ["Settings", "unreadable"]


_NUMBERS = frozenset(
    {
        "default_user_quota", "max_user_quota", "min_passwd_length", "max_passwd_length", "create_max_domains",
        "create_max_users", "create_max_aliases", "create_max_lists", "create_max_quota",
    }
)  # fmt: skip


def unreadable(text: str | None) -> Iterator[tuple[str, str]]:
    """Iterate over the fragments of a column at which iRedAdmin's reader stops with an error, and why it does."""
    for fragment in (text or "").split(";"):
        key, _, value = fragment.partition(":")
        if ":" in value:
            yield fragment, "it has two colons"
        elif value and key in _NUMBERS and not _is_number(value):
            yield fragment, "it must be a number"


def _is_number(value: str) -> bool:
    try:
        int(value)
    except ValueError:
        return False
    return True


class Settings:
    """The content of one settings column."""

    def __init__(self, text: str | None) -> None:
        self._values: dict[str, str] = {}
        for fragment in (text or "").split(";"):
            key, _, value = fragment.partition(":")
            if key.strip():
                self._values[key.strip()] = value

    def text(self, key: str) -> str:
        """Return the value of a key, empty if it is not there."""
        return self._values.get(key, "")

    def number(self, key: str) -> int | None:
        """Return the value of a key as a number; None if it is not there or no number."""
        try:
            return int(self._values.get(key, ""))
        except ValueError:
            return None

    def names(self, key: str) -> tuple[str, ...]:
        """Return the value of a key as a sorted list."""
        return tuple(sorted(name for name in self.text(key).split(",") if name))

    def put(self, key: str, value: str | int | Iterable[str] | None) -> None:
        """Set a key; None, 0, an empty text and an empty list remove it, since zero cannot be stored.

        Raises InvalidValue for characters that would end the value, or break iRedAdmin's reader.
        """
        if isinstance(value, str | int) or value is None:
            text = str(value or "")
        else:
            names = sorted(set(value))
            if any("," in name for name in names):
                raise InvalidValue(f"{key}: a name in this list holds a comma")
            text = ",".join(names)
        if not text:
            self._values.pop(key, None)
            return
        if any(character in ";:" or not character.isprintable() for character in text):
            raise InvalidValue(f"{key}: {text!r} must not hold ';', ':' or control characters")
        self._values[key] = text

    def others(self, known: Iterable[str]) -> Mapping[str, str]:
        """Return what is there besides the `known` keys."""
        return {key: value for key, value in self._values.items() if key not in set(known)}

    def __str__(self) -> str:
        return "".join(f"{key}:{value};" if value else f"{key};" for key, value in self._values.items())
