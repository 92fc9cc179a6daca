"""Where mail ends that Postfix sends on from address to address, for checks: nowhere, in a circle, or with somebody."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

__all__ = ["End", "Routes"]


@dataclass(frozen=True)
class End:
    """What becomes of mail for an address: does any of it arrive, and does it meet an address a second time?"""

    arrives: bool
    circles: bool


class Routes:
    """Follows addresses through what the maps answer. Every address is followed once."""

    def __init__(self, expand: Callable[[str], Collection[str]], arrives: Callable[[str], bool]) -> None:
        """`expand` returns what an address is sent on to, `arrives` tells whether mail for one that stands for itself does.

        An address that is sent on to itself stands for itself, besides the others. Both are asked in lower case.
        """
        self._expand = expand
        self._arrives = arrives
        self._ends: dict[str, End] = {}

    def end(self, address: str) -> End:
        """Return what becomes of mail for an address."""
        if address in self._ends:
            return self._ends[address]
        path: list[tuple[str, Iterator[str]]] = []
        found: dict[str, End] = {}  # of those on the path, as far as they were followed

        def enter(name: str) -> None:
            targets = {target.lower() for target in self._expand(name)}
            stands = not targets or name in targets
            found[name] = End(stands and self._arrives(name), False)
            path.append((name, iter(sorted(targets - {name}))))

        enter(address)
        while path:
            name, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                self._ends[name] = end = found.pop(name)
                if path:
                    found[path[-1][0]] = _both(found[path[-1][0]], end)
            elif target in found:
                found[name] = End(found[name].arrives, True)
            elif target in self._ends:
                found[name] = _both(found[name], self._ends[target])
            else:
                enter(target)
        return self._ends[address]


def _both(one: End, other: End) -> End:
    return End(one.arrives or other.arrives, one.circles or other.circles)
