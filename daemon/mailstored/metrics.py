"""Metrics for Prometheus, in a registry of their own."""

from __future__ import annotations

import math
import threading
from collections import Counter as Tally
from collections.abc import Callable, Collection
from functools import partial
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from mailstore.version import __version__
from mailstored.settings import Listen

__all__ = ["Exporter", "Metrics"]

STATUSES = ("ok", "attention", "stopped", "unavailable", "misconfigured", "failed")
"""How a run may end: `mailstored.tasks.ResultStatus`."""
ACTIONS = ("purged", "absent", "trashed", "kept", "elsewhere")
"""What may become of a mailbox in a purge: `mailstore.purge.Outcome`."""
SEVERITIES = ("error", "notice")
_SECONDS = (0.1, 1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600)


class Metrics:
    """Everything that is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._due: dict[str, int] = {}
        self._found: dict[str, Tally[tuple[str, str]]] = {}
        self._succeeded: set[tuple[str, str]] = set()
        self._planned: set[tuple[str, str]] = set()
        self._seen: set[str] = set()
        self._define_runs()
        self._define_stores()
        self._define_mailboxes()
        self._define_hook()

    def _define_runs(self) -> None:
        registry, labels = self.registry, ("store", "job")
        self.runs = Counter("mailstored_runs", "Finished runs by result.", (*labels, "result"), registry=registry)
        self.seconds = Histogram(
            "mailstored_run_seconds", "Duration of runs.", labels, buckets=_SECONDS, registry=registry
        )
        self.last_success = Gauge(
            "mailstored_last_success_timestamp_seconds",
            "When a run last came to its end; 0 before the first.",
            labels,
            registry=registry,
        )
        self.crashes = Counter("mailstored_crashes", "Runs that a bug ended.", labels, registry=registry)
        self.reload_failures = Counter(
            "mailstored_config_reload_failures", "Configurations that were refused on SIGHUP.", registry=registry
        )

    def _define_hook(self) -> None:
        self.hook_failures = Counter(
            "mailstored_hook_failures",
            "Times that the command `on_trouble` did not do its work.",
            registry=self.registry,
        )

    def _define_stores(self) -> None:
        registry = self.registry
        build = Gauge("mailstored_build_info", "The version that runs; always 1.", ("version",), registry=registry)
        build.labels(__version__).set(1)
        self.up = Gauge(
            "mailstored_store_up",
            "1 if the last task could use the store, 0 if not; NaN before the first.",
            ("store",),
            registry=registry,
        )
        self.next_run = Gauge(
            "mailstored_next_run_timestamp_seconds",
            "When the task runs next, by its schedule or as a retry.",
            ("store", "job"),
            registry=registry,
        )

    def _define_mailboxes(self) -> None:
        registry, store = self.registry, ("store",)
        self.mailboxes = Counter(
            "mailstored_mailboxes", "Due mailboxes by what was done.", (*store, "action"), registry=registry
        )
        self.files = Counter("mailstored_removed_files", "Files removed.", store, registry=registry)
        self.bytes = Counter("mailstored_removed_bytes", "Size of the files removed.", store, registry=registry)
        self.due = Gauge(
            "mailstored_due_mailboxes",
            "Due mailboxes that the last purge left; NaN before the first.",
            store,
            registry=registry,
        )
        self.overdue = Gauge(
            "mailstored_overdue_mailboxes",
            "Those among them that were due on the day before, or earlier; NaN before the first.",
            store,
            registry=registry,
        )
        self.findings = Gauge(
            "mailstored_findings",
            "Findings of the last check by kind; a kind appears when it is first found.",
            (*store, "code", "severity"),
            registry=registry,
        )
        self.severities = Gauge(
            "mailstored_findings_by_severity",
            "Findings of the last check; NaN before the first.",
            (*store, "severity"),
            registry=registry,
        )

    def set_success(self, store: str, job: str) -> None:
        """Note that a run came to its end now."""
        self._succeeded.add((store, job))
        self.last_success.labels(store, job).set_to_current_time()

    def set_up(self, store: str, up: bool) -> None:
        """Note whether a task could use the store."""
        self._seen.add(store)
        self.up.labels(store).set(up)

    def set_due(self, store: str, count: int, overdue: int) -> None:
        """Set how many due records wait, and how many of them since yesterday or longer."""
        self._due[store] = count
        self.due.labels(store).set(count)
        self.overdue.labels(store).set(overdue)

    def plan(self, planned: Collection[tuple[str, str]], when: Callable[[str, str], float]) -> None:
        """Show when these (store, job) run next, and no others; `when` tells it in seconds whenever somebody asks."""
        for store, job in self._planned - set(planned):
            self.next_run.remove(store, job)
        for store, job in planned:
            self.next_run.labels(store, job).set_function(partial(when, store, job))
        self._planned = set(planned)

    def set_findings(self, store: str, findings: Tally[tuple[str, str]]) -> None:
        """Set the findings of a store by (code, severity); those that were not found again are gone."""
        for code, severity in self._found.get(store, Tally()):
            if (code, severity) not in findings:
                self.findings.remove(store, code, severity)
        for (code, severity), count in findings.items():
            self.findings.labels(store, code, severity).set(count)
        self._found[store] = Tally(findings)
        for severity in SEVERITIES:
            count = sum(number for (_, found), number in findings.items() if found == severity)
            self.severities.labels(store, severity).set(count)

    def serve(self, stores: Collection[str], jobs: Collection[str]) -> None:
        """Let all series of these stores be there, so that whoever watches them sees the first event, and no others."""
        self.keep_only(stores)
        for store in stores:
            for job in jobs:
                self._series_of_job(store, job)
            for action in ACTIONS:
                self.mailboxes.labels(store, action)
            for counter in (self.files, self.bytes):
                counter.labels(store)
            if store not in self._due:
                self._due[store] = 0
                for gauge in (self.due, self.overdue):
                    gauge.labels(store).set(math.nan)
            if store not in self._seen:
                self._seen.add(store)
                self.up.labels(store).set(math.nan)
            if store not in self._found:
                self._found[store] = Tally()
                for severity in SEVERITIES:
                    self.severities.labels(store, severity).set(math.nan)

    def _series_of_job(self, store: str, job: str) -> None:
        for status in STATUSES:
            self.runs.labels(store, job, status)
        self.seconds.labels(store, job)
        self.crashes.labels(store, job)
        self.last_success.labels(store, job)
        self._succeeded.add((store, job))

    def keep_only(self, stores: Collection[str]) -> None:
        """Forget the state of stores that are no longer served, which would stand still for ever."""
        for store in [name for name in self._due if name not in stores]:
            del self._due[store]
            self.due.remove(store)
            self.overdue.remove(store)
        for store in [name for name in self._seen if name not in stores]:
            self._seen.discard(store)
            self.up.remove(store)
        for store in [name for name in self._found if name not in stores]:
            self.set_findings(store, Tally())
            del self._found[store]
            for severity in SEVERITIES:
                self.severities.remove(store, severity)
        for store, job in [labels for labels in self._succeeded if labels[0] not in stores]:
            self._succeeded.discard((store, job))
            self.last_success.remove(store, job)


class Exporter:
    """The HTTP server of the metrics; none until `listen` is called with an address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._listen: Listen | None = None
        self._running: tuple[WSGIServer, threading.Thread] | None = None

    def listen(self, where: Listen | None) -> None:
        """Serve there instead. Raises OSError, and goes on as before, if that address cannot be had."""
        if where == self._listen:
            return
        fresh = start_http_server(where.port, where.host, registry=self._registry) if where else None
        self.close()
        self._listen, self._running = where, fresh

    @property
    def port(self) -> int:
        """The port that it serves on; 0 if it does not."""
        return self._running[0].server_port if self._running else 0

    def close(self) -> None:
        """Stop serving."""
        if self._running is not None:
            server, thread = self._running
            server.shutdown()
            server.server_close()
            thread.join()
        self._listen = self._running = None
