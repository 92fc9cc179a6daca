"""Quotas as a box keeps them: ``0`` for no limit, or digits with ``M`` or ``G``; digits alone are bytes to Dovecot."""

from __future__ import annotations

import re

from mailstore.errors import InvalidQuota
from mailstore.quota import UNLIMITED, Quota, QuotaLike

__all__ = ["from_text", "is_readable", "to_text"]

_MEGABYTE = 1 << 20
_READABLE = re.compile(r"[0-9]{1,19}[BKMGT]?", re.ASCII)


def to_text(value: QuotaLike) -> str:
    """Return a quota as the column holds it. Raises InvalidQuota for one that is not in whole megabytes."""
    megabytes = Quota.parse(value).whole_units(_MEGABYTE)
    if megabytes == 0:
        return "0"
    gigabytes, rest = divmod(megabytes, 1024)
    return f"{megabytes}M" if rest else f"{gigabytes}G"


def from_text(text: str | None) -> Quota:
    """Return the quota in a column as Dovecot takes it; unlimited if that is no quota at all."""
    if not is_readable(text):
        return UNLIMITED
    number = str(text).rstrip("BKMGT")
    try:
        return Quota.parse(str(text).removesuffix("B")) if int(number) else UNLIMITED
    except InvalidQuota:  # more bytes than there can be
        return UNLIMITED


def is_readable(text: str | None) -> bool:
    """Tell whether Dovecot can read a quota; None stands for a box without quotas."""
    return text is not None and _READABLE.fullmatch(text) is not None
