"""What every driver needs to create many accounts in one call: refused rows, passwords, and rows in handy groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mailstore import passwords
from mailstore.errors import BulkRefused, InvalidPassword, Refused
from mailstore.secret import Secret

__all__ = ["Refusals", "batches", "grouped_by_columns", "take_secrets"]

_T = TypeVar("_T")
_BATCH = 1000


class Refusals:
    """The rows of a bulk call that were refused, by index."""

    def __init__(self) -> None:
        self._rows: dict[int, Refused] = {}

    @contextmanager
    def collect(self, index: int) -> Iterator[None]:
        """Note a refusal instead of raising it; of several for one row the first counts."""
        try:
            yield
        except Refused as error:
            self._rows.setdefault(index, error)

    def stop_if_any(self) -> None:
        """Raise BulkRefused if a row was refused."""
        if self._rows:
            raise BulkRefused(sorted(self._rows.items()))


def take_secrets(given: Sequence[dict[str, Any]], scheme: str, refusals: Refusals) -> dict[int, Secret]:
    """Take the passwords and hashes out of `given`; return what to store, by index."""
    hashes: dict[int, Secret] = {}
    plain: dict[int, str] = {}
    for index, fields in enumerate(given):
        password, ready = fields.pop("password", None), fields.pop("password_hash", None)
        with refusals.collect(index):
            if password is not None and ready is not None:
                raise InvalidPassword("give a password or a ready hash, not both")
            if ready is not None:
                hashes[index] = Secret(passwords.check_hash(ready))
            elif password is not None:
                passwords.check_password(password, scheme)
                plain[index] = password
    made = passwords.hash_many(list(plain.values()), scheme)
    return hashes | {
        index: Secret(hashed, password) for (index, password), hashed in zip(plain.items(), made, strict=True)
    }


def batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Return the items in groups that fit into one statement."""
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def grouped_by_columns(rows: Sequence[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Return the rows in groups that set the same columns, as a multi-row insert needs them."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row)].append(row)
    return groups.values()
