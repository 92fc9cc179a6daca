"""Runs the tasks: each by its schedule, never twice at once, and sooner if its store was not available."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from mailstored.activity import Activity
from mailstored.board import Board
from mailstored.logs import explained
from mailstored.metrics import Metrics
from mailstored.settings import Settings
from mailstored.tasks import Check, Opening, Purge, Result, Surroundings, Task

__all__ = ["Timetable", "tasks_of"]

_WORKERS = 4
"""So many tasks run at once; more would only compete for the same disk."""
_MOST_DOUBLINGS = 20


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]  # APScheduler has no types
    """A scheduler that shows that its thread is alive."""

    beat = 0.0

    def _process_jobs(self) -> Any:
        self.beat = time.monotonic()
        return super()._process_jobs()


def tasks_of(settings: Settings, around: Surroundings) -> list[Task]:
    """Return everything that is to be done for the stores: purges first."""
    tasks: list[Task] = [Purge(name, options, around) for name, options in settings.stores.items()]
    if settings.check is not None:
        tasks += [Check(name, options, around) for name, options in settings.stores.items()]
    return tasks


class Timetable:
    """The scheduler with one job for each task."""

    def __init__(self, metrics: Metrics, activity: Activity, board: Board, changed: Callable[[], None]) -> None:
        self._metrics = metrics
        self._activity = activity
        self._board = board
        self._changed = changed
        self._attempts: dict[str, int] = {}
        # The defaults would drop a run that waits for a worker for more than a second.
        defaults = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        executors = {"default": ThreadPoolExecutor(_WORKERS)}
        self._scheduler = _Scheduler(timezone=UTC, job_defaults=defaults, executors=executors)
        self._scheduler.add_listener(self._crashed, EVENT_JOB_ERROR)
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)

    def load(self, settings: Settings, around: Surroundings) -> None:
        """Take over new settings. What runs goes on; what failed the last time runs again at once."""
        self._settings, self._around = settings, around
        tasks = tasks_of(settings, around)
        self._board.keep_only([task.id for task in tasks])  # those of openings come anew
        self._metrics.serve(settings.stores, ["open", *dict.fromkeys(task.kind for task in tasks)])
        self._metrics.plan([(task.store, task.kind) for task in tasks], self._seconds_of_next_run)
        self._attempts.clear()
        self._scheduler.remove_all_jobs()
        for task in tasks:
            self._add(task)
        for name, options in settings.stores.items():
            opening = Opening(name, options, around)
            self._scheduler.add_job(self._run, "date", args=[opening], id=opening.id)

    def _add(self, task: Task) -> None:
        trigger = self._settings.purge if isinstance(task, Purge) else self._settings.check
        at_once = {"next_run_time": datetime.now(UTC)} if self._board.failed(task.id) else {}
        self._scheduler.add_job(self._run, trigger, args=[task], id=task.id, **at_once)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def wake(self) -> None:
        """Let the scheduler look at the clock: it may have been set, or the machine may have slept."""
        self._scheduler.wakeup()

    def answered_within(self, seconds: float) -> bool:
        """Whether the scheduler's thread has done anything within that time; `wake` makes it."""
        return time.monotonic() - float(self._scheduler.beat) <= seconds

    def next_runs(self) -> dict[str, str]:
        """Return when each task runs next."""
        jobs = (job for job in self._scheduler.get_jobs() if not isinstance(job.args[0], Opening))
        return {job.id: job.next_run_time.isoformat() for job in jobs}

    def _seconds_of_next_run(self, store: str, kind: str) -> float:
        job = self._scheduler.get_job(f"{kind} {store}")
        when = getattr(job, "next_run_time", None)  # none before the scheduler has started
        return when.timestamp() if when else math.nan

    def begin_no_more(self) -> None:
        """Start no task any more. Those that run are not waited for."""
        self._scheduler.pause()

    def close(self) -> None:
        """End; no task may be running, since one that moves its job would wait for us and we for it."""
        self._scheduler.shutdown(wait=True)

    def _run(self, task: Task) -> None:
        with self._activity.running(task.id, measured=task.measured):
            result = task.run()
            self._show(task, result)
            self._plan_retry(task, result)

    def _show(self, task: Task, result: Result) -> None:
        """Show the result as the store's state; that it could be opened tells nothing beside that of a run."""
        if result.complete:
            self._board.forget(f"{Opening.kind} {task.store}")
        if isinstance(task, Opening) and result.status in ("ok", "stopped"):
            return
        self._board.record(task.id, result)
        self._changed()

    def _plan_retry(self, task: Task, result: Result) -> None:
        if result.status != "unavailable":
            self._attempts.pop(task.id, None)
        elif not (isinstance(task, Opening) or self._around.stop()):
            attempt = self._attempts[task.id] = self._attempts.get(task.id, 0) + 1
            self._retry(task, attempt, datetime.now(UTC) + self._pause(attempt))

    def _pause(self, attempt: int) -> timedelta:
        first, most = self._settings.retry_first.total_seconds(), self._settings.retry_max.total_seconds()
        return timedelta(seconds=min(first * 2 ** min(attempt - 1, _MOST_DOUBLINGS), most))

    def _retry(self, task: Task, attempt: int, when: datetime) -> None:
        """Move the next run of the job forward; the one after that is by the schedule again."""
        try:
            job = self._scheduler.get_job(task.id)
            if job is None:
                return
            when = min(when, job.next_run_time)
            self._scheduler.modify_job(task.id, next_run_time=when)
        except JobLookupError:  # a reload took it away meanwhile
            return
        self._around.log.info("will try again", store=task.store, job=task.kind, attempt=attempt, at=when.isoformat())

    def _skipped(self, event: Any) -> None:
        kind, _, store = str(event.job_id).partition(" ")
        self._around.log.warning("still running when the next run was due", store=store, job=kind)

    def _crashed(self, event: Any) -> None:
        kind, _, store = str(event.job_id).partition(" ")
        self._metrics.crashes.labels(store, kind).inc()
        facts = explained(event.exception)
        self._around.log.error("run crashed", store=store, job=kind, **facts)
        self._board.record_crash(event.job_id)
        self._changed()
        if self._around.hook is not None:
            self._around.hook.tell(store, kind, "crashed", error=facts["error"])
