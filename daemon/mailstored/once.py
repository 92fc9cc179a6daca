"""One run of everything in the foreground: for timers, cron, and trying a configuration out."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from types import FrameType

from mailstored.logs import adopt_standard_logging, make_logger
from mailstored.metrics import Metrics
from mailstored.settings import Settings
from mailstored.tasks import ResultStatus, Surroundings, Task, hook_of
from mailstored.timetable import tasks_of

__all__ = ["run_once"]

_FAULT, _CONFIGURATION, _TEMPORARY = 1, 2, 75
_CODES: Mapping[ResultStatus, int] = {
    "ok": 0,
    "stopped": 0,
    "attention": _FAULT,
    "failed": _FAULT,
    "misconfigured": _CONFIGURATION,
    "unavailable": _TEMPORARY,
}
_WORST_FIRST = (_CONFIGURATION, _FAULT, _TEMPORARY)
"""What somebody has to do something about comes before what passes by itself."""


class _Stop:
    """Whether a signal asked to stop. Its handler does nothing that could block."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked


def run_once(settings: Settings) -> int:
    """Purge and check every store. Returns the exit code."""
    log = make_logger(settings.log_format, settings.log_level)
    adopt_standard_logging(log)
    metrics = Metrics()
    hook = hook_of(settings, log, metrics)
    tasks = tasks_of(settings, Surroundings(log, metrics, _Stop(), trail=settings.trail, hook=hook))
    codes = {_code(task) for task in tasks}
    return next((code for code in _WORST_FIRST if code in codes), 0)


def _code(task: Task) -> int:
    try:
        return _CODES[task.run().status]
    except Exception as error:  # noqa: BLE001 a bug that one store brings out must not keep the others
        task.tell_crash(error)
        return _FAULT
