"""What the daemon does: a purge, and a check, of one store. A store is open only while that runs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from mailstore.audit import Trail, Who, note_outcome
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, MailstoreError
from mailstore.model import Finding
from mailstore.purge import Outcome, purge_due
from mailstore.registry import open_config
from mailstore.store import Store
from mailstored.hook import MOST_MAILBOXES, Hook
from mailstored.logs import FilteringBoundLogger, explained
from mailstored.metrics import Metrics
from mailstored.settings import Settings, problems

__all__ = ["Check", "Kind", "Opening", "Purge", "Result", "ResultStatus", "Surroundings", "Task", "hook_of"]

Kind = Literal["open", "purge", "check"]
ResultStatus = Literal["ok", "attention", "stopped", "unavailable", "misconfigured", "failed"]
"""``attention``: done, but somebody should look; ``unavailable``: temporary; the last three did not come to their end."""

_OUTCOME_LEVELS: Mapping[str, str] = {
    "purged": "info",
    "absent": "info",
    "trashed": "warning",
    "kept": "warning",
    "elsewhere": "debug",  # some other host's, on each run again
}
_WHO = Who("mailstored", "mailstored")
_LINES_PER_CODE = 20
"""So many errors of one kind get a line of their own in each check."""


@dataclass(frozen=True)
class Surroundings:
    """What a task tells the outside, and what it asks. ``moved`` is told its id on every step, ``hook`` of trouble."""

    log: FilteringBoundLogger
    metrics: Metrics
    stop: Callable[[], bool]
    moved: Callable[[str], None] = lambda _task: None
    trail: Trail = field(default_factory=lambda: Trail([]))
    hook: Hook | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended, and what it counted."""

    store: str
    kind: Kind
    status: ResultStatus
    counts: Mapping[str, int]
    error: MailstoreError | None = None
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def complete(self) -> bool:
        """Whether everything was looked at."""
        return self.status in ("ok", "attention")


def hook_of(settings: Settings, log: FilteringBoundLogger, metrics: Metrics) -> Hook | None:
    """Return the command that the settings name; None if there is none."""
    if not settings.on_trouble:
        return None
    return Hook(settings.on_trouble, settings.on_trouble_timeout.total_seconds(), log, metrics)


class Task(ABC):
    """One kind of work on one store."""

    kind: ClassVar[Kind]
    measured: ClassVar[bool]
    """Whether it tells of every step; see `mailstored.activity`."""

    def __init__(self, store: str, options: StoreConfig, around: Surroundings) -> None:
        self.store = store
        self._options = options
        self._around = around
        self._log = around.log.bind(store=store, job=self.kind)
        self._troubled: list[dict[str, str]] = []

    @property
    def id(self) -> str:
        """A name that is the same for the same work under another configuration."""
        return f"{self.kind} {self.store}"

    def run(self) -> Result:
        """Do the work, and tell of it. What goes wrong with the store is part of the result; nothing is raised for it."""
        began = time.monotonic()
        counts: Counter[str] = Counter()
        self._troubled.clear()
        status, error = self._attempt(counts)
        result = Result(self.store, self.kind, status, dict(counts), error)
        self._tell(result, time.monotonic() - began)
        self._tell_hook(status, explained(error)["error"] if error else "", counts)
        return result

    def tell_crash(self, error: BaseException) -> None:
        """Tell that a bug ended the run."""
        self._log.error("run crashed", **explained(error))
        self._tell_hook("crashed", explained(error)["error"], {})

    def _tell_hook(self, result: str, error: str, counts: Mapping[str, int]) -> None:
        if self._around.hook is not None:
            self._around.hook.tell(self.store, self.kind, result, error=error, counts=counts, mailboxes=self._troubled)

    def _attempt(self, counts: Counter[str]) -> tuple[ResultStatus, MailstoreError | None]:
        if self._around.stop():
            return "stopped", None
        try:
            with open_config(self._options) as store:
                return self._work(store, counts), None
        except MailstoreError as error:
            return _status_of(error), error

    @abstractmethod
    def _work(self, store: Store, counts: Counter[str]) -> ResultStatus:
        """Work on the open store, adding to `counts` on the way."""

    def _tell(self, result: Result, seconds: float) -> None:
        metrics, labels = self._around.metrics, (self.store, self.kind)
        metrics.runs.labels(*labels, result.status).inc()
        metrics.seconds.labels(*labels).observe(seconds)
        if result.complete:
            metrics.set_success(*labels)
        if result.status != "stopped":
            metrics.set_up(self.store, result.complete)
        facts = {"result": result.status, "seconds": round(seconds, 3), **result.counts}
        if result.error is None:
            self._log.info("run finished", **facts)
        else:
            level = "warning" if result.error.temporary else "error"
            getattr(self._log, level)("run failed", **facts, **explained(result.error))


def _status_of(error: MailstoreError) -> ResultStatus:
    if error.temporary:
        return "unavailable"
    return "misconfigured" if isinstance(error, ConfigurationError) else "failed"


class Opening(Task):
    """Opens the store when its configuration comes into force, so that what is wrong shows then, and not at night."""

    kind = "open"
    measured = False

    def _attempt(self, counts: Counter[str]) -> tuple[ResultStatus, MailstoreError | None]:
        found = list(problems(self._options))
        if found:
            return "misconfigured", ConfigurationError("; ".join(found))
        return super()._attempt(counts)

    def _work(self, store: Store, counts: Counter[str]) -> ResultStatus:  # noqa: ARG002 it is open, and that is all
        return "ok"


class Purge(Task):
    """Removes the mailboxes whose retention ran out."""

    kind = "purge"
    measured = True

    def _work(self, store: Store, counts: Counter[str]) -> ResultStatus:
        for outcome in purge_due(store, stop=self._around.stop, progress=lambda _files: self._moved()):
            self._moved()
            self._count(outcome, counts)
            note_outcome(self._around.trail, _WHO, store, outcome)
            self._tell_outcome(outcome)
        today = datetime.now(UTC).date()
        due = counts["due"] = store.deleted.count(due=today)
        overdue = store.deleted.count(due=today - timedelta(days=1)) if due else 0
        self._around.metrics.set_due(self.store, due, overdue)
        if self._around.stop():
            return "stopped"
        return "attention" if counts["kept"] or counts["trashed"] else "ok"

    def _moved(self) -> None:
        self._around.moved(self.id)

    def _count(self, outcome: Outcome, counts: Counter[str]) -> None:
        metrics = self._around.metrics
        metrics.mailboxes.labels(self.store, outcome.action).inc()
        metrics.files.labels(self.store).inc(outcome.files)
        metrics.bytes.labels(self.store).inc(outcome.bytes)
        counts.update({outcome.action: 1, "files": outcome.files, "bytes": outcome.bytes})

    def _tell_outcome(self, outcome: Outcome) -> None:
        level = _OUTCOME_LEVELS.get(outcome.action, "info")
        facts = {
            "address": outcome.record.address if outcome.record else "",  # trash whose record is forgotten has none
            "home": outcome.home,
            "action": outcome.action,
            "reason": outcome.reason,
        }
        if level == "warning" and len(self._troubled) < MOST_MAILBOXES:
            self._troubled.append(facts)
        getattr(self._log, level)("mailbox", **facts, files=outcome.files, bytes=outcome.bytes)


class Check(Task):
    """Reports what has become inconsistent."""

    kind = "check"
    measured = False

    def _work(self, store: Store, counts: Counter[str]) -> ResultStatus:
        found: Counter[tuple[str, str]] = Counter()
        for finding in store.check():
            if self._around.stop():
                return "stopped"
            found[finding.code, finding.severity] += 1
            counts[f"{finding.severity}s"] += 1
            self._tell_finding(finding, found[finding.code, finding.severity])
        for (code, severity), count in found.items():
            tell = self._log.warning if severity == "error" else self._log.info
            tell("findings", code=code, severity=severity, count=count)
        self._around.metrics.set_findings(self.store, found)
        return "attention" if counts["errors"] else "ok"

    def _tell_finding(self, finding: Finding, number: int) -> None:
        """Tell one finding; notices, and errors from some number on, only on level debug: thousands hide everything else."""
        tell = self._log.warning if finding.severity == "error" and number <= _LINES_PER_CODE else self._log.debug
        tell(
            "finding",
            code=finding.code,
            severity=finding.severity,
            subject=finding.subject,
            message=finding.message,
        )
