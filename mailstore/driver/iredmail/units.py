"""iRedMail's units: quotas in megabytes, and limits in which 0 means "no limit" and -1 "none allowed"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from mailstore.errors import InvalidQuota, InvalidValue
from mailstore.quota import UNLIMITED, Quota, QuotaLike

__all__ = ["MEGABYTE", "from_limit", "from_megabytes", "from_seconds", "megabytes", "to_limit"]

MEGABYTE = 1 << 20
_MOST_MEGABYTES = (1 << 43) - 1  # more would overflow a BIGINT as soon as Dovecot multiplies it to bytes


def megabytes(value: QuotaLike) -> int:
    """Return a quota in megabytes; 0 stands for unlimited."""
    size = Quota.parse(value).whole_units(MEGABYTE)
    if size > _MOST_MEGABYTES:
        raise InvalidQuota(f"{Quota.parse(value)}: the quota is too large to be counted in bytes")
    return size


@lru_cache(maxsize=1024)
def from_megabytes(value: int | None) -> Quota:
    """Return the quota that a column or setting in megabytes means."""
    return Quota(value * MEGABYTE) if value and value > 0 else UNLIMITED


def from_seconds(value: int | None) -> datetime | None:
    """Return a time that is kept in seconds since 1970, as naive UTC; None for none, and for one beyond all calendars."""
    try:
        return datetime.fromtimestamp(value, UTC).replace(tzinfo=None) if value else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def to_limit(name: str) -> Callable[[int | None], int]:
    """Return a check for "how many": None becomes 0 (unlimited), 0 becomes -1 (none allowed)."""

    def check(value: int | None) -> int:
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < (1 << 31):
            raise InvalidValue(
                f"{name}: a number from 0 (none allowed) on, or None for no limit, not {value!r}", field=name
            )
        return value or -1

    return check


def from_limit(value: int | None) -> int | None:
    """Return what a limit column or setting means: None no limit, 0 none allowed."""
    if not value:
        return None
    return max(value, 0)
