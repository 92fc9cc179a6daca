"""What is going on now, and when it last moved: for the watchdog, and to know when the daemon may end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

__all__ = ["Activity"]


class Activity:
    """The tasks that run. Purges are *measured*: they tell of each step, so that standing still can be seen.

    Checks are not: looking for drift in a big and healthy store may take hours without anything to tell. They change
    nothing either, so the daemon may end in the middle of one.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._moved: dict[str, float] = {}
        self._unmeasured: set[str] = set()

    @contextmanager
    def running(self, task: str, *, measured: bool) -> Iterator[None]:
        """Count `task` as running until the context ends."""
        with self._change:
            if measured:
                self._moved[task] = time.monotonic()
            else:
                self._unmeasured.add(task)
        try:
            yield
        finally:
            with self._change:
                self._moved.pop(task, None)
                self._unmeasured.discard(task)
                self._change.notify_all()

    def moved(self, task: str) -> None:
        """Note that a measured task got on."""
        with self._change:
            if task in self._moved:
                self._moved[task] = time.monotonic()

    def stuck(self, limit: timedelta) -> list[str]:
        """Return the measured tasks that have not moved for so long."""
        since = time.monotonic() - limit.total_seconds()
        with self._change:
            return sorted(task for task, moved in self._moved.items() if moved < since)

    def wait_until_measured_end(self, seconds: float) -> bool:
        """Wait for the measured tasks; False if some are left when the time is over."""
        with self._change:
            return self._change.wait_for(lambda: not self._moved, seconds)

    def wait_until_all_end(self, seconds: float) -> bool:
        """Wait for all tasks; False if some are left when the time is over."""
        with self._change:
            return self._change.wait_for(lambda: not (self._moved or self._unmeasured), seconds)
