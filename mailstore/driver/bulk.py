"""Many new accounts in one call: their passwords hashed together, and every refusal collected before anything is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from mailstore import passwords
from mailstore.driver.secret import Secret
from mailstore.errors import AlreadyExists, BulkRefused, InvalidPassword, InvalidValue, Refused

__all__ = ["Refusals", "batches", "grouped_by_columns", "parse_accounts", "take_secrets"]

_T = TypeVar("_T")
_BATCH = 1000


class _HasAddress(Protocol):
    address: str


_New = TypeVar("_New", bound=_HasAddress)
_Parse = Callable[[str, Secret | None, dict[str, Any], str | None], _New]


class Refusals:
    """The rows of a bulk call that were refused, by index."""

    def __init__(self) -> None:
        self._rows: dict[int, Refused] = {}

    def add(self, index: int, error: Refused) -> None:
        """Note a refusal; of several for one row the first counts."""
        self._rows.setdefault(index, error)

    @contextmanager
    def collect(self, index: int) -> Iterator[None]:
        """Note a refusal instead of raising it."""
        try:
            yield
        except Refused as error:
            self.add(index, error)

    def stop_if_any(self) -> None:
        """Raise BulkRefused if a row was refused."""
        if self._rows:
            raise BulkRefused(sorted(self._rows.items()))


def parse_accounts(
    accounts: Iterable[Mapping[str, Any]], scheme: str, reader: str, parse: _Parse[_New], refusals: Refusals
) -> list[tuple[int, _New]]:
    """Return the accounts of a bulk call that are well-formed, with their index.

    Parameters
    ----------
    scheme: what plain passwords are hashed with, all of them together.
    reader: who must be able to verify ready hashes (`passwords.READERS`).
    parse: makes a driver's new account of ``(address, secret, fields, home)``.
    """
    given = [dict(account) for account in accounts]
    secrets = take_secrets(given, scheme, reader, refusals)
    new: list[tuple[int, _New]] = []
    seen: set[str] = set()
    for index, fields in enumerate(given):
        with refusals.collect(index):
            if {"aliases", "forwarding", "keep_copy"} & fields.keys():
                raise InvalidValue("aliases and forwarding cannot be set in bulk; update the account afterwards")
            address, home = fields.pop("address", ""), fields.pop("home", None)
            account = parse(address, secrets.get(index), fields, home)
            if account.address in seen:
                raise AlreadyExists(f"{account.address} stands twice in this list", subject=account.address)
            seen.add(account.address)
            new.append((index, account))
    return new


def take_secrets(
    given: Sequence[dict[str, Any]], scheme: str, reader: str, refusals: Refusals, *, salt_bytes: int | None = None
) -> dict[int, Secret]:
    """Take the passwords and hashes out of `given`; return what to store, by index."""
    ready: dict[int, Secret] = {}
    plain: dict[int, str] = {}
    for index, fields in enumerate(given):
        password, hashed = fields.pop("password", None), fields.pop("password_hash", None)
        with refusals.collect(index):
            if password is not None and hashed is not None:
                raise InvalidPassword("give a password or a ready hash, not both")
            if hashed is not None:
                ready[index] = Secret(passwords.check_hash(hashed, reader))
            elif password is not None:
                passwords.check_password(password, scheme)
                plain[index] = password
    made = passwords.hash_many(list(plain.values()), scheme, salt_bytes=salt_bytes)
    return ready | {
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
