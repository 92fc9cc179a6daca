"""Many new accounts in one call: their passwords hashed together, and every refusal collected before anything is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mailstore import passwords
from mailstore.driver.secret import Secret
from mailstore.errors import AlreadyExists, BulkRefused, InvalidPassword, InvalidValue, Refused
from mailstore.fields import is_so
from mailstore.model import Account

__all__ = ["Hashing", "Refusals", "batches", "grouped_by_columns", "parse_accounts"]

_T = TypeVar("_T")
_BATCH = 1000


class _HasAddress(Protocol):
    @property
    def address(self) -> str: ...


_New = TypeVar("_New", bound=_HasAddress)
_Stored = TypeVar("_Stored")
_BLANK = Account(address="")
_SET_AFTERWARDS = ("aliases", "forwarding", "keep_copy")
"""What takes locks and rows of its own for each account."""


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
    accounts: Iterable[Mapping[str, Any]],
    take: Callable[[Sequence[dict[str, Any]], Refusals], Mapping[int, _Stored]],
    parse: Callable[[str, _Stored | None, dict[str, Any], str | None], _New],
    refusals: Refusals,
) -> list[tuple[int, _New]]:
    """Return the accounts of a bulk call that are well-formed, with their index.

    Parameters
    ----------
    take: takes the passwords out of the rows and returns what is stored for each, by index, as `Hashing.take` does.
    parse: makes a driver's new account of ``(address, what is stored for its password, fields, home)``.
    """
    if not isinstance(accounts, Iterable):
        raise InvalidValue(f"accounts: a list is wanted, not {type(accounts).__name__}")
    given = [_row(account) for account in accounts]
    stored = take(given, refusals)
    new: list[tuple[int, _New]] = []
    seen: set[str] = set()
    for index, fields in enumerate(given):
        try:
            address, home = fields.pop("address", ""), fields.pop("home", None)
            account = parse(address, stored.get(index), fields, home)
            if fields and not all(
                is_so(fields[name], getattr(_BLANK, name)) for name in _SET_AFTERWARDS if name in fields
            ):
                raise InvalidValue("aliases and forwarding cannot be set in bulk; update the account afterwards")
            if account.address in seen:
                raise AlreadyExists(f"{account.address} stands twice in this list", subject=account.address)
        except Refused as error:
            refusals.add(index, error)
            continue
        seen.add(account.address)
        new.append((index, account))
    return new


def _row(account: Mapping[str, Any]) -> dict[str, Any]:
    if type(account) is not dict and not isinstance(account, Mapping):
        raise InvalidValue(f"an account is wanted as a mapping of its parameters, not {type(account).__name__}")
    return dict(account)


@dataclass(frozen=True)
class Hashing:
    """How passwords are taken out of the rows of a bulk call that a store keeps as hashes.

    Parameters
    ----------
    scheme, salt_bytes: what plain passwords are hashed with, all of them together.
    reader: who must be able to verify ready hashes (`passwords.READERS`).
    check: raises InvalidPassword for a plain one that the store does not take.
    """

    scheme: str
    reader: str
    salt_bytes: int | None = None
    check: Callable[[str], object] | None = None

    def take(self, given: Sequence[dict[str, Any]], refusals: Refusals) -> Mapping[int, Secret]:
        """Take the passwords and hashes out of `given`; return what to store, by index."""
        ready: dict[int, Secret] = {}
        plain: dict[int, str] = {}
        for index, fields in enumerate(given):
            password, hashed = fields.pop("password", None), fields.pop("password_hash", None)
            try:
                if password is not None and hashed is not None:
                    raise InvalidPassword("give a password or a ready hash, not both")
                if hashed is not None:
                    ready[index] = Secret(passwords.check_hash(hashed, self.reader))
                elif password is not None:
                    passwords.check_password(password, self.scheme)
                    if self.check is not None:
                        self.check(password)
                    plain[index] = password
            except Refused as error:
                refusals.add(index, error)
        made = passwords.hash_many(list(plain.values()), self.scheme, salt_bytes=self.salt_bytes)
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
