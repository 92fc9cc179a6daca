"""atmail's units: quotas in megabytes with 0 for unlimited, its own number for "no limit" of accounts, and local times."""

from __future__ import annotations

from datetime import UTC, datetime

from mailstore.driver.values import now
from mailstore.errors import InvalidQuota, InvalidValue
from mailstore.quota import UNLIMITED, Quota, QuotaLike

__all__ = [
    "MEGABYTE", "UNLIMITED_ACCOUNTS", "account_limit", "from_account_limit", "from_local", "from_megabytes",
    "local_now", "megabytes", "to_local",
]  # fmt: skip

MEGABYTE = 1 << 20
_MOST_MEGABYTES = (1 << 31) - 1  # what any integer column of four bytes holds
UNLIMITED_ACCOUNTS = 16_777_215
"""Stands for "no limit" in `numUsers`; the very first admin has NULL there."""


def megabytes(value: QuotaLike) -> int:
    """Return a quota in megabytes; 0 stands for unlimited."""
    size = Quota.parse(value).whole_units(MEGABYTE)
    if size > _MOST_MEGABYTES:
        raise InvalidQuota(f"{Quota.parse(value)}: atmail's column holds at most {_MOST_MEGABYTES} megabytes")
    return size


def from_megabytes(value: int | None) -> Quota:
    """Return the quota that a column means; 0 and NULL are unlimited."""
    return Quota(value * MEGABYTE) if value and value > 0 else UNLIMITED


def account_limit(value: int | None) -> int:
    """Return how many accounts an admin may create, as `numUsers` holds it."""
    if value is None:
        return UNLIMITED_ACCOUNTS
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < UNLIMITED_ACCOUNTS:
        raise InvalidValue(
            f"max_accounts: a number from 0 to {UNLIMITED_ACCOUNTS - 1}, or None for no limit, not {value!r}"
        )
    return value


def from_account_limit(value: int | None) -> int | None:
    """Return what `numUsers` means: None no limit."""
    return None if value is None or value >= UNLIMITED_ACCOUNTS else value


def to_local(moment: datetime) -> datetime:
    """Return a naive UTC time as atmail keeps it: naive, in the time zone of the server."""
    return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def from_local(moment: datetime | None) -> datetime | None:
    """Return a time of the database as naive UTC. The hour that a clock change repeats counts as the first of the two."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def local_now() -> datetime:
    """Return the present time as atmail keeps it."""
    return to_local(now())
