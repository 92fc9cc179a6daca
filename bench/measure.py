"""What all benchmarks share: a result, and how two ways of doing the same are measured."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from mailstore.store import Store

__all__ = ["Result", "alternate", "peak_memory"]


@dataclass(frozen=True)
class Result:
    """One line of the report: seconds of ours and of the floor, and the ratio that is aimed at."""

    name: str
    ours: float
    floor: float
    target: float
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        return self.ours / self.floor

    def line(self) -> str:
        verdict = "yes" if self.ratio <= self.target else "no"
        return (
            f"| {self.name} | {self.ours * 1000:.2f} | {self.floor * 1000:.2f} | {self.ratio:.2f} "
            f"| {self.target:.2f} | {verdict} |"
        )


def alternate(ours: Callable[[int], object], floor: Callable[[int], object], rounds: int) -> tuple[float, float]:
    """Return the median seconds of both, measured in turns, after one round that is thrown away."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for index, run in enumerate((ours, floor)):
            start = time.perf_counter()
            run(number)
            if number:
                times[index].append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def peak_memory(store: Store, count: int) -> int:
    """Return the most bytes that Python had allocated at once while listing `count` accounts."""
    tracemalloc.start()
    try:
        for number, _ in enumerate(store.accounts.list(), 1):
            if number == count:
                break
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
