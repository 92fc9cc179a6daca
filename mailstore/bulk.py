"""What calls that take many rows have in common: refusals collected by row, and passwords hashed in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mailstore import passwords
from mailstore.errors import BulkRefused, InvalidPassword, Refused
from mailstore.secret import Secret

__all__ = ["Refusals", "take_secrets"]


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
