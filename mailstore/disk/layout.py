"""Paths of mailbox homes: their normal form, and how iRedMail's tools lay out new ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from mailstore.errors import InvalidAddress, InvalidValue

__all__ = ["Layout", "components", "has_stamp", "normal_home"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SAFE = re.compile(r"[a-z0-9_-][a-z0-9._-]*(?:/[a-z0-9_-][a-z0-9._-]*)+")
"""What `components` leaves as it is, whatever it does; nearly every path."""
_STAMP = re.compile(r"[0-9]{4}(?:\.[0-9]{2}){5}\Z")
_MOST_CANDIDATES = 100
_SHORTEST_STAMPED = 22  # a path of 21 characters or less cannot hold a name in front of the stamp


def normal_home(path: str) -> str:
    """``path`` as Dovecot uses it: lower case, single slashes, none at the end.

    Raises `InvalidValue` if it is not absolute, is only ``/``, has ``.`` or ``..`` as a component or holds control
    characters.
    """
    if not isinstance(path, str):
        raise InvalidValue(f"a home is wanted as text, not {type(path).__name__}")
    if not path.startswith("/"):
        raise InvalidValue(f"home {path!r} is not an absolute path", subject=path)
    return "/" + "/".join(components(path))


def components(path: str) -> tuple[str, ...]:
    """The lower-cased components of an absolute or relative path, at least one."""
    names = tuple(name for name in path.lower().split("/") if name)
    if not names or "." in names or ".." in names:
        raise InvalidValue(f"path {path!r} has no components, or has '.' or '..' among them", subject=path)
    if _CONTROL.search(path):
        raise InvalidValue(f"path {path!r} holds control characters", subject=path)
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise InvalidValue(f"path {path!r} cannot be a file name", subject=path) from error
    return names


def has_stamp(home: str) -> bool:
    """Whether ``home`` ends with a time stamp ``YYYY.MM.DD.hh.mm.ss`` (19 characters) after something else.

    Only such a path can be known never to be used again by a later account of the same address.
    """
    home = home.rstrip("/")
    return len(home) >= _SHORTEST_STAMPED and _STAMP.search(home) is not None


@dataclass(frozen=True)
class Layout:
    """How iRedMail's tools lay out new homes below a root.

    Parameters
    ----------
    hashed: the first three characters of the local part become three levels.
    domain: the domain comes in front.
    timestamp: the local part is followed by ``-`` and the time of creation, so that no two homes are ever the same.
    domain_hashed: two levels from the first label of the domain come before the domain.
    """

    hashed: bool = True
    domain: bool = True
    timestamp: bool = True
    domain_hashed: bool = False

    def relative(self, address: str, now: datetime) -> str:
        """Path of a new home for ``address`` below its root, lower case, with a slash at the end.

        ``now`` is the time for the stamp, in the zone that the stamp shall show. Use it for new accounts only: other
        writers lay out homes differently, so an existing home is what its record says. Raises `InvalidAddress`.
        """
        local, at, domain = address.lower().partition("@")
        if not (local and at) or "@" in domain or "/" in address or not all(domain.split(".")):
            raise InvalidAddress(f"{address!r} is not an address to lay out a home for", subject=address)
        levels = [*self._domain_levels(domain), *self._local_levels(local), local + self._stamp(now)]
        path = "/".join(levels)
        if _SAFE.fullmatch(path):
            return f"{path}/"
        try:
            return "/".join(components(path)) + "/"
        except InvalidValue as error:
            raise InvalidAddress(f"{address!r} does not make a safe path", subject=address) from error

    def candidates(self, address: str, now: datetime) -> Iterator[str]:
        """Iterate over the paths that the home of a new account may get below its root, best first.

        The first follows the layout; the others carry a time stamp that nobody has used, for an address whose former home
        still waits for its purge, or that was renamed: mail of one account must never appear under another.
        """
        yield self.relative(address, now)
        stamped = replace(self, timestamp=True)
        for second in range(self.timestamp, _MOST_CANDIDATES):
            yield stamped.relative(address, now + timedelta(seconds=second))

    def refuse_shared(self, root: str, home: str) -> None:
        """Raise `InvalidValue` if new homes of other accounts, below ``root``, may come to lie in the home that one chose.

        Such is a path that follows the layout up to a level short of the whole, and what holds the root.
        """
        below = f"{home}/".removeprefix(f"{root.lower()}/")
        if f"{root.lower()}/".startswith(f"{home}/") or (below != f"{home}/" and self._is_shared(below)):
            message = (
                f"{home} would hold the homes of other accounts; choose a path that the layout of homes cannot reach"
            )
            raise InvalidValue(message, subject=home)

    def _is_shared(self, relative: str) -> bool:
        names = [name for name in relative.split("/") if name]
        shared: list[Callable[[str], bool]] = []
        if self.domain:
            shared += [_is_one_character] * (2 * self.domain_hashed) + [_may_be_domain]
        shared += [_is_one_character] * (3 * self.hashed)
        return len(names) <= len(shared) and all(fits(name) for fits, name in zip(shared, names, strict=False))

    def _domain_levels(self, domain: str) -> list[str]:
        if not self.domain:
            return []
        if not self.domain_hashed:
            return [domain]
        label = domain.partition(".")[0]
        return [label[0], label[1] if label[1:2].isalnum() else "_", domain]

    def _local_levels(self, local: str) -> list[str]:
        if not self.hashed:
            return []
        return ["_" if character in ".~" else character for character in local[:3].ljust(3, "_")]

    def _stamp(self, now: datetime) -> str:
        return _stamp(now) if self.timestamp else ""


@lru_cache(maxsize=16)
def _stamp(now: datetime) -> str:
    return f"-{now.year:04}{now:.%m.%d.%H.%M.%S}"


def _is_one_character(name: str) -> bool:
    return len(name) == 1


def _may_be_domain(name: str) -> bool:
    return "." in name and "@" not in name
