"""The command that is told of trouble: what the log says, for somebody who does not read it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import tempfile
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import IO, Any

from mailstored.logs import FilteringBoundLogger
from mailstored.metrics import Metrics

__all__ = ["MOST_MAILBOXES", "Hook"]

MOST_MAILBOXES = 100
"""So many mailboxes are named to the command; how many there are stands in the counts."""
_LONGEST_ERROR = 500
_QUIET = ("ok", "stopped")


class Hook:
    """Runs a command, with one JSON object on its standard input, when a task has had trouble.

    A store that is not available is told once, not with each retry; the next run that comes to its end ends that.
    """

    def __init__(self, command: Sequence[str], seconds: float, log: FilteringBoundLogger, metrics: Metrics) -> None:
        self._command = list(command)
        self._seconds = seconds
        self._log = log
        self._metrics = metrics
        self._lock = threading.Lock()
        self._unavailable: set[tuple[str, str]] = set()

    def tell(
        self,
        store: str,
        job: str,
        result: str,
        *,
        error: str = "",
        counts: Mapping[str, int] | None = None,
        mailboxes: Collection[Mapping[str, Any]] = (),
    ) -> None:
        """Tell how a run ended, if that is trouble. What goes wrong with the command is logged and counted."""
        if not self._is_news((store, job), result):
            return
        facts = {
            "store": store,
            "job": job,
            "result": result,
            "error": error,
            "counts": dict(counts or {}),
            "mailboxes": list(mailboxes),
        }
        try:
            problem = _run(self._command, json.dumps(facts).encode(), self._seconds)
        except OSError as failure:
            problem = str(failure)
        if problem:
            self._metrics.hook_failures.inc()
            self._log.error("the command for trouble failed", store=store, job=job, error=problem)

    def _is_news(self, task: tuple[str, str], result: str) -> bool:
        with self._lock:
            known = task in self._unavailable
            if result == "unavailable":
                self._unavailable.add(task)
            elif result != "stopped":
                self._unavailable.discard(task)
        return result not in _QUIET and not (known and result == "unavailable")


def _run(command: Sequence[str], text: bytes, seconds: float) -> str:
    """Run a command; return what went wrong, or nothing. Its whole process group ends after `seconds`. Raises OSError."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(text)
        given.seek(0)
        pid = _start(command, given, said)
        late = not _ended(pid, seconds)
        with contextlib.suppress(ProcessLookupError):  # what it has left behind, too
            os.killpg(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        last = said.read().decode(errors="replace").strip()[-_LONGEST_ERROR:]
    if late:
        return f"{command[0]} was ended after {seconds:g} seconds: {last}".rstrip(": ")
    return f"{command[0]} ended with {code}: {last}".rstrip(": ") if code else ""


def _start(command: Sequence[str], given: IO[bytes], said: IO[bytes]) -> int:
    # Not `subprocess`: the command would inherit that the daemon blocks SIGTERM, and its own children could not be ended.
    files = [
        (os.POSIX_SPAWN_DUP2, given.fileno(), 0),
        (os.POSIX_SPAWN_DUP2, said.fileno(), 1),
        (os.POSIX_SPAWN_DUP2, said.fileno(), 2),
    ]
    return os.posix_spawn(command[0], list(command), _environment(), file_actions=files, setsid=True, setsigmask=())


def _environment() -> dict[str, str]:
    """Return the environment without what is the daemon's own: its passwords, and its way to the service manager."""
    kept = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _ended(pid: int, seconds: float) -> bool:
    """Wait for the end of a child that somebody will ask about; False if it still runs then."""
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))
    finally:
        os.close(handle)
