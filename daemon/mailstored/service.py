"""The running daemon: starts everything, then waits for signals and keeps the watchdog content."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta
from pathlib import Path

from mailstore.errors import ConfigurationError
from mailstore.version import __version__
from mailstored import settings as configuration
from mailstored.activity import Activity
from mailstored.board import Board
from mailstored.logs import adopt_standard_logging, make_logger
from mailstored.metrics import Exporter, Metrics
from mailstored.notify import Notifier
from mailstored.settings import Settings
from mailstored.tasks import Surroundings, hook_of
from mailstored.timetable import Timetable

__all__ = ["Service"]

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_LONGEST_WAIT = 60.0
"""How long the clock may be wrong before the scheduler looks at it again."""
_STOP_STEP = 1.0
_EXTENSION = timedelta(minutes=1)
"""How long a mailbox in hand may stand still while the daemon stops."""
_CHECK_GRACE = 3.0


class Service:
    """The daemon, from start to stop."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self._path = path
        self._notifier = Notifier()
        self._metrics = Metrics()
        self._exporter = Exporter(self._metrics.registry)
        self._activity = Activity()
        self._board = Board()
        self._stopping = threading.Event()
        self._timetable = Timetable(self._metrics, self._activity, self._board, self._show)
        self._told_stuck = False
        self._use(settings)

    def run(self) -> int:
        """Serve until a signal ends it. Returns the exit code. Raises OSError if the metrics cannot be served."""
        # Signals are fetched, not handled: a handler that sets an Event can find its lock taken by the thread that it
        # interrupts. Blocked before any thread starts, so that all threads inherit it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._exporter.listen(self._settings.listen)
        self._timetable.start()
        self._log.info("started", version=__version__, stores=list(self._settings.stores), **self._plan())
        self._notifier.ready(self._board.text())
        self._serve()
        return self._stop()

    def _use(self, settings: Settings) -> None:
        self._settings = settings
        self._log = make_logger(settings.log_format, settings.log_level)
        adopt_standard_logging(self._log)
        around = Surroundings(
            self._log,
            self._metrics,
            self._stopping.is_set,
            self._activity.moved,
            settings.trail,
            hook_of(settings, self._log, self._metrics),
        )
        self._timetable.load(settings, around)

    def _plan(self) -> dict[str, object]:
        return {"next": self._timetable.next_runs()}

    def _show(self) -> None:
        if not self._stopping.is_set():
            self._notifier.status(self._board.text())

    # --- waiting

    def _serve(self) -> None:
        period = self._notifier.watchdog_seconds
        wait = min(_LONGEST_WAIT, period / 2) if period else _LONGEST_WAIT
        while True:
            self._timetable.wake()
            received = signal.sigtimedwait(_SIGNALS, wait)
            if received is None:
                self._ping(2 * wait)
            elif received.si_signo == signal.SIGHUP:
                self._reload()
            else:
                self._log.info("stopping", signal=signal.Signals(received.si_signo).name)
                return

    def _ping(self, patience: float) -> None:
        """Tell the watchdog that all is well, if it is; this thread's being here is a part of that."""
        stuck = self._activity.stuck(self._settings.stuck_after)
        if stuck or not self._timetable.answered_within(patience):
            if not self._told_stuck:
                self._log.error("stuck; the watchdog is told no more", tasks=stuck, scheduler=not stuck)
            self._told_stuck = True
        else:
            self._told_stuck = False
            self._notifier.ping()

    # --- reloading

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            settings = configuration.load(self._path)
            self._exporter.listen(settings.listen)
        except (ConfigurationError, OSError) as error:
            self._metrics.reload_failures.inc()
            self._log.error("configuration refused; the old one stays in force", error=str(error))
        else:
            self._use(settings)
            self._log.info("configuration reloaded", stores=list(settings.stores), **self._plan())
        self._notifier.ready(self._board.text())

    # --- stopping

    def _stop(self) -> int:
        self._stopping.set()
        self._timetable.begin_no_more()
        self._notifier.stopping("finishing the mailbox in hand")
        self._finish_purges()
        self._exporter.close()
        if not self._activity.wait_until_all_end(_CHECK_GRACE):
            # Python would wait for its thread, for hours maybe; a check changes nothing and can be cut off.
            self._log.warning("stopped in the middle of a check")
            os._exit(0)
        self._timetable.close()
        self._log.info("stopped")
        self._notifier.close()
        return 0

    def _finish_purges(self) -> None:
        """Wait for the mailboxes in hand, asking systemd for more time as long as they move."""
        period = self._notifier.watchdog_seconds
        step = min(_STOP_STEP, period / 2) if period else _STOP_STEP
        patience = min(_EXTENSION, self._settings.stuck_after)
        while not self._activity.wait_until_measured_end(step):
            if not self._activity.stuck(patience):
                self._notifier.extend(_EXTENSION.total_seconds())
                self._notifier.ping()
