"""The last result of every task, as the status line of the service."""

from __future__ import annotations

import threading
from collections.abc import Collection

from mailstored.tasks import Result

__all__ = ["Board"]

_WORDS = {"purged": "purged", "kept": "kept", "trashed": "in the trash", "errors": "errors", "notices": "notices"}


class Board:
    """What became of each task when it last ran; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, tuple[bool, str]] = {}

    def record(self, task: str, result: Result) -> None:
        """Note a result."""
        counts = "".join(f", {result.counts[key]} {word}" for key, word in _WORDS.items() if result.counts.get(key))
        self._note(task, result.complete, f"{task}: {result.status}{counts} ({result.ended:%Y-%m-%d %H:%MZ})")

    def record_crash(self, task: str) -> None:
        """Note that a bug ended the task."""
        self._note(task, False, f"{task}: crashed, see the log")

    def forget(self, task: str) -> None:
        """Forget the result of one task."""
        with self._lock:
            self._last.pop(task, None)

    def _note(self, task: str, good: bool, text: str) -> None:
        with self._lock:
            self._last[task] = (good, text)

    def failed(self, task: str) -> bool:
        """Whether the task did not come to its end the last time."""
        with self._lock:
            return task in self._last and not self._last[task][0]

    def keep_only(self, tasks: Collection[str]) -> None:
        """Forget other tasks."""
        with self._lock:
            self._last = {task: last for task, last in self._last.items() if task in tasks}

    def text(self) -> str:
        """Return the results on one line, those that failed first."""
        with self._lock:
            last = sorted(self._last.values())
        return "; ".join(text for _, text in last) or "waiting for the first run"
