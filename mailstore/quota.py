"""A size, or no limit at all. Stores keep quotas in units of their own; each driver converts in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from mailstore.errors import InvalidQuota

__all__ = ["UNLIMITED", "Quota", "QuotaLike"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,19})\s*([KMGT]?)(?:I?B)?", re.IGNORECASE | re.ASCII)
_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota in bytes; ``bytes=None`` means unlimited. ``str()`` gives the form that `Quota.parse` reads."""

    bytes: int | None

    def __post_init__(self) -> None:
        if self.bytes is not None and not 0 < self.bytes <= _LARGEST:
            raise InvalidQuota(
                f"a quota must lie between 1 and {_LARGEST} bytes, not {self.bytes}; for no limit say 'unlimited'"
            )

    @property
    def unlimited(self) -> bool:
        """True where there is no limit."""
        return self.bytes is None

    @classmethod
    def parse(cls, value: QuotaLike) -> Quota:
        """Read a quota: a `Quota`, a number of bytes, ``"500M"``, ``"1G"`` (powers of 1024) or ``"unlimited"``.

        Raises InvalidQuota for anything else, zero and negative sizes among it: stores use 0 for "unlimited", so a
        quota of 0 could only be misread.
        """
        if isinstance(value, Quota):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value)
        if isinstance(value, str):
            if value.strip().lower() == "unlimited":
                return UNLIMITED
            if match := _SIZE.fullmatch(value.strip()):
                return cls(int(match[1]) * _UNITS[match[2].upper()])
        raise InvalidQuota(f"{value!r} is no quota; write for example 500M, 2G or unlimited")

    def whole_units(self, unit: int) -> int:
        """Return the size as a number of `unit` bytes; 0 stands for unlimited, as in every store known here.

        Raises InvalidQuota if the size is not a whole number of units: nothing is rounded behind the caller's back.
        """
        if self.bytes is None:
            return 0
        count, rest = divmod(self.bytes, unit)
        if rest:
            raise InvalidQuota(f"{self}: this store keeps quotas in whole units of {Quota(unit)}")
        return count

    def __str__(self) -> str:
        if self.bytes is None:
            return "unlimited"
        for name in ("T", "G", "M", "K"):
            if self.bytes % _UNITS[name] == 0:
                return f"{self.bytes // _UNITS[name]}{name}"
        return str(self.bytes)


QuotaLike: TypeAlias = "Quota | int | str"
UNLIMITED = Quota(None)
"""No limit at all."""
