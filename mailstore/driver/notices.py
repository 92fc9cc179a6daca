"""What changes to a store leave to be done outside of it, collected until somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mailstore.driver.forks import in_children
from mailstore.model import Notice

__all__ = ["Notices"]


class Notices:
    """The notices of one opened store; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Notice] = []
        in_children(self)

    def forked(self) -> None:
        """See `mailstore.driver.forks`."""
        self._lock = threading.Lock()

    def add(self, notice: Notice) -> Callable[[], None]:
        """Keep a notice. Returns what takes it back, should the change not come about."""
        with self._lock:
            self._waiting.append(notice)

        def take_back() -> None:
            with self._lock:
                self._waiting = [waiting for waiting in self._waiting if waiting is not notice]

        return take_back

    def take(self) -> tuple[Notice, ...]:
        """Return what waits, once."""
        with self._lock:
            taken, self._waiting = tuple(self._waiting), []
        return taken
