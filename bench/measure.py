"""What all benchmarks share: rows of the report, and how two ways of doing the same are measured in turns."""

from __future__ import annotations

import cProfile
import os
import pstats
import statistics
import subprocess
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from mailstore import Store

__all__ = ["HEAD", "Row", "Rows", "Times", "alternate", "cpu_seconds", "peak_memory", "where"]

HEAD = (
    "| what | mailstore ms | floor ms | ratio | spread | target | reached |",
    "|---|---|---|---|---|---|---|",
)
SECONDS = 20
"""How long one row is measured at most, when its rounds have not come to an end by then."""
_FEWEST = 3
_SHOWN = 4
_PLACES = (
    ("/sqlalchemy/", "SQLAlchemy"), ("/pymysql/", "PyMySQL"), ("/psycopg", "psycopg"), ("/ldap3/", "ldap3"),
    ("/pyasn1/", "pyasn1"), ("/mailstore/", "mailstore"),
)  # fmt: skip
_WAITING = (
    "socket",
    "select.",
    "psycopg_",
    "commit",
    "executemany",
    "execute' of",
    "fetch",
    "posix.",
    "built-in method io",
)


@dataclass(frozen=True)
class Times:
    """Seconds of ours and of the floor, one pair a round."""

    ours: Sequence[float]
    floor: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median of ours over that of the floor."""
        return statistics.median(self.ours) / statistics.median(self.floor)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratios of the rounds; of less than four rounds the extremes."""
        ratios = sorted(mine / theirs for mine, theirs in zip(self.ours, self.floor, strict=True))
        skipped = len(ratios) // 4
        return ratios[skipped], ratios[-1 - skipped]

    def each(self, number: int) -> Times:
        """Return the same for one of `number` things that a round does."""
        return Times([seconds / number for seconds in self.ours], [seconds / number for seconds in self.floor])


@dataclass(frozen=True)
class Row:
    """One row of the report.

    Parameters
    ----------
    target: the ratio that is aimed at; with `limit`, milliseconds of ours, and there need be no floor.
    why: where the time of ours goes, measured, for a row that misses its target.
    """

    name: str
    times: Times
    target: float
    limit: bool = False
    why: Callable[[], str] | None = None

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        ours = statistics.median(self.times.ours) * 1000
        return (ours if self.limit else self.times.ratio) <= self.target

    def line(self) -> str:
        """Return the row as a table of Markdown has it."""
        ours = statistics.median(self.times.ours) * 1000
        floor, ratio, spread = "", "", ""
        if self.times.floor:
            low, high = self.times.spread
            floor, ratio = f"{statistics.median(self.times.floor) * 1000:.3f}", f"{self.times.ratio:.2f}"
            spread = f"{low:.2f} to {high:.2f}"
        target = f"{self.target:g} ms" if self.limit else f"{self.target:.2f}"
        verdict = "yes" if self.reached else "no"
        return f"| {self.name} | {ours:.3f} | {floor} | {ratio} | {spread} | {target} | {verdict} |"


Rows: TypeAlias = Iterator[Row]


def alternate(
    ours: Callable[[int], object],
    floor: Callable[[int], object],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    warm_up: bool = True,
) -> Times:
    """Measure both in turns, after a round that is thrown away, until `rounds` are done or time is up.

    Both get the number of the round, which begins with 0.
    """
    times: tuple[list[float], list[float]] = ([], [])
    end = time.monotonic() + SECONDS
    for number in range(rounds + warm_up):
        for kept, run in zip(times, (ours, floor), strict=True):
            start = clock()
            run(number)
            if number or not warm_up:
                kept.append(clock() - start)
        if len(times[0]) >= min(_FEWEST, rounds) and time.monotonic() > end:
            break
    return Times(*times)


def where(run: Callable[[], object]) -> str:
    """Return in words in which packages a run spends its time, by a profile of it."""
    profile = cProfile.Profile()
    profile.runcall(run)
    spent: dict[str, float] = defaultdict(float)
    for (file, _, function), (*_, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[_place(file, function)] += own
    whole = sum(spent.values())
    parts = sorted(spent.items(), key=lambda entry: -entry[1])[:_SHOWN]
    return ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in parts)


def _place(file: str, function: str) -> str:
    for part, name in _PLACES:
        if part in file:
            return name
    if file == "~":
        return "server, wire and C drivers" if any(word in function for word in _WAITING) else "built-in functions"
    return "Python's library"


def cpu_seconds(command: Sequence[str]) -> float:
    """Return the process time of a command, user and system."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def peak_memory(store: Store, count: int) -> int:
    """Return the most bytes that Python had allocated at once while listing `count` accounts."""
    tracemalloc.start()
    try:
        for _ in islice(store.accounts.list(), count):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
