"""Where a new account's home lies. The vendor's own samples follow two different rules for the three levels above it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mailstore.address import local_part
from mailstore.errors import InvalidValue

__all__ = ["choose_rule", "column_text", "home_candidates", "home_of", "refuse_shared"]

_MOST_CANDIDATES = 100
_LEVELS = 3


def md5_levels(address: str) -> Sequence[str]:
    """Return the first hexadecimal digits of the address's MD5 digest, as the database rows in the documentation have it."""
    return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()[:_LEVELS]


def prefix_levels(address: str, pad: str) -> Sequence[str]:
    """Return the first characters of the local part, as the API's answers in the documentation have it.

    What short names get is not documented; `pad` stands for what they lack. A dot alone would be no directory name.
    """
    return [pad if character == "." else character for character in local_part(address)[:_LEVELS].ljust(_LEVELS, pad)]


def choose_rule(rule: str, pad: str, accounts: Iterable[tuple[str, str]]) -> str:
    """Return the rule for new homes, ``md5`` or ``prefix``.

    ``auto`` takes the one that the first of `accounts` (address, home) follows which follows only one of them, else md5:
    the sample for it is unedited output of a server.
    """
    if rule != "auto":
        return rule
    for address, home in accounts:
        fitting = [name for name in ("md5", "prefix") if _relative(address.lower(), name, pad) == _tail(home)]
        if len(fitting) == 1:
            return fitting[0]
    return "md5"


def home_candidates(root: str, rule: str, pad: str, address: str, now: datetime) -> Iterator[str]:
    """Iterate over the homes that a new account may get, best first.

    The first follows the rule. The others have a time stamp behind the address, for a name whose former home still waits
    for its purge, or belongs to an account that was renamed; readers take whatever path the account's row has.
    """
    plain = f"{root}/{_relative(address, rule, pad)}"
    yield plain
    for second in range(_MOST_CANDIDATES):
        yield f"{plain}-{now + timedelta(seconds=second):%Y.%m.%d.%H.%M.%S}"


def refuse_shared(root: str, home: str) -> None:
    """Raise InvalidValue if new homes of other accounts, below `root`, may come to lie in the home that one chose."""
    below = f"{home}/".removeprefix(f"{root.lower()}/")
    names = [name for name in below.split("/") if name]
    is_level = below != f"{home}/" and len(names) <= _LEVELS and all(len(name) == 1 for name in names)
    if is_level or f"{root.lower()}/".startswith(f"{home}/"):
        raise InvalidValue(
            f"{home} would hold the homes of other accounts; choose a path with longer names", subject=home
        )


def column_text(home: str) -> str:
    """Return a home as the column holds it, with a slash at the end."""
    return f"{home.rstrip('/')}/"


def _relative(address: str, rule: str, pad: str) -> str:
    levels = md5_levels(address) if rule == "md5" else prefix_levels(address, pad)
    return "/".join([*levels, address])


def _tail(home: str) -> str:
    return "/".join(home.lower().rstrip("/").split("/")[-_LEVELS - 1 :])


_SLASHES = re.compile("/+")


def home_of(row: Mapping[Any, Any]) -> str | None:
    """Return the home that a row names, in the normal form of this library; None if it names none.

    What cannot be a path at all is returned too: it is for `check` to find it, and not for a list to break off there.
    """
    return _SLASHES.sub("/", (row["homeDir"] or "").lower()).rstrip("/") or None
