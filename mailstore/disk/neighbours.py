"""Which homes lie at, in or above others, by their paths alone.

Rows of other tools spell one directory in many ways, and a mailbox that is removed takes everything below it along. So
paths are compared as the directories that they mean, and in both directions.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailstore.errors import AlreadyExists, HomeRefused

__all__ = ["Neighbours", "Place", "between", "places_at", "refuse_occupied", "refuse_within", "spelt"]


@dataclass(frozen=True, slots=True)
class Place:
    """A home and who has it: an account, or the record with this ``id`` of a deleted one."""

    home: str
    address: str
    id: int | None = None

    def __str__(self) -> str:
        if self.id is None:
            return f"the account {self.address} ({self.home})"
        return f"record {self.id} of the deleted account {self.address} ({self.home})"


def spelt(home: str) -> str:
    """Return the one spelling of the directory that a home means, whatever the text: it never raises.

    Lower case as the readers fold it, no doubled or closing slashes, ``.`` and ``..`` resolved: no component of a home is
    a link. An empty text, which names no directory, stays empty.
    """
    text = home.lower()
    if text.startswith("/") and not ("//" in text or "/." in text or text.endswith("/")):
        return text  # most are spelt so
    return posixpath.normpath("/" + text.lstrip("/")) if text else ""


def places_at(path: str) -> Iterator[str]:
    """Iterate over a spelt path and all above it, up to ``/``."""
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield path


def between(root: str, home: str) -> Sequence[str]:
    """Return the directories between a root and a home below it, closest to the home first, without both."""
    top = spelt(root)
    return [path for path in places_at(spelt(home)) if path.startswith(f"{top}/")][1:]


class Neighbours:
    """Some homes, to find those of them that others touch: equal, contain, or lie in. Costs the same for any number."""

    def __init__(self, homes: Iterable[str]) -> None:
        self._at: dict[str, list[str]] = defaultdict(list)
        self._below: dict[str, list[str]] = defaultdict(list)
        for home in filter(None, dict.fromkeys(homes)):
            path, *above = places_at(spelt(home))
            self._at[path].append(home)
            for place in above:
                self._below[place].append(home)
        self._shortest = min(map(len, self._at), default=0)

    def of(self, home: str) -> Iterator[str]:
        """Iterate over those homes that `home` touches; an empty one touches nothing, nor does ``/``, which is nobody's."""
        path = spelt(home)
        if path in ("", "/"):
            return
        yield from self._below.get(path, ())
        while len(path) >= self._shortest and path != "/":  # nothing lies in what is shorter than all
            yield from self._at.get(path, ())
            path = path.rpartition("/")[0] or "/"


def refuse_occupied(homes: Sequence[str], others: Iterable[Place]) -> None:
    """Raise AlreadyExists if one of `homes` is, holds, or lies in one of the `others`, or another one of `homes`."""
    wanted, counted = Neighbours(homes), Counter(homes)
    for home in homes:
        if counted[home] > 1 or any(other != home for other in wanted.of(home)):
            raise AlreadyExists(
                f"{home} touches a home that is given to another account of the same call", subject=home
            )
    for other in others:
        for home in wanted.of(other.home):
            hint = "" if other.id is None else "; restore that record to use it, or wait for its purge"
            raise AlreadyExists(f"{home} is, holds, or lies in the home of {other}{hint}", subject=home)


def refuse_within(home: str, root: str, others: Iterable[Place]) -> None:
    """Raise HomeRefused if a home, which the layout gives below `root`, lies in one of the `others`."""
    above = between(root, home)
    for other in others:
        if spelt(other.home) in above:
            raise HomeRefused(f"{home} would lie in the home of {other}; move that mailbox first", subject=home)
