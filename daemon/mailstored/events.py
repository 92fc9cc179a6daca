"""Every event in the log, by its text: what it means and which facts come with it. The page docs/daemon.md is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["EVENTS", "Event"]

_ERROR = ("error", "kind", "where")


@dataclass(frozen=True)
class Event:
    """What an event means. ``levels`` are those that it may have, ``facts`` the keys that a line may have besides."""

    levels: tuple[str, ...]
    meaning: str
    facts: tuple[str, ...] = ()


EVENTS: Mapping[str, Event] = {
    "started": Event(
        ("info",), "The daemon serves; `next` says when each task runs next.", ("version", "stores", "next")
    ),
    "run finished": Event(
        ("info",),
        "A task came to its end: `open`, `purge` or `check` of a store. `result` is `ok`, `attention` (something was kept, "
        "or an error found) or `stopped`; the numbers are those of this run.",
        (
            "store", "job", "result", "seconds", "purged", "absent", "trashed", "kept", "elsewhere", "due", "files",
            "bytes", "errors", "notices",
        ),
    ),
    "run failed": Event(
        ("warning", "error"),
        "A task could not be done. `result` is `unavailable` (it will be tried again), `misconfigured` or `failed`.",
        ("store", "job", "result", "seconds", *_ERROR),
    ),
    "run crashed": Event(("error",), "A bug ended a task; the schedule goes on.", ("store", "job", *_ERROR)),
    "will try again": Event(
        ("info",), "A store was not available; the task runs again at that time.", ("store", "job", "attempt", "at")
    ),
    "still running when the next run was due": Event(
        ("warning",), "A task takes longer than its schedule leaves; one run is left out.", ("store", "job")
    ),
    "mailbox": Event(
        ("info", "warning", "debug"),
        "What became of one due mailbox; `action` and `reason` are those of "
        "[the purge](retention.md#purging). `kept` and `trashed` are warnings; `elsewhere` is told on level debug.",
        ("store", "job", "address", "home", "action", "reason", "files", "bytes"),
    ),
    "finding": Event(
        ("warning", "debug"),
        "One finding of a check. Of each kind of error the first twenty are told, and everything on level debug.",
        ("store", "job", "code", "severity", "subject", "message"),
    ),
    "findings": Event(
        ("warning", "info"),
        "How many findings of one kind a check has made: a warning for errors.",
        ("store", "job", "code", "severity", "count"),
    ),
    "the command for trouble failed": Event(
        ("error",),
        "`on_trouble` could not be started, ended with another code than 0, or was ended because it took too long; "
        "`error` has its last words.",
        ("store", "job", "error"),
    ),
    "stuck; the watchdog is told no more": Event(
        ("error",), "A purge has not moved for `stuck_after`, or the scheduler does not answer.", ("tasks", "scheduler")
    ),
    "configuration reloaded": Event(("info",), "After SIGHUP.", ("stores", "next")),
    "configuration refused; the old one stays in force": Event(("error",), "After SIGHUP.", ("error",)),
    "stopping": Event(("info",), "A signal came; mailboxes in hand are finished.", ("signal",)),
    "stopped in the middle of a check": Event(("warning",), "It changes nothing, and the next one begins anew."),
    "stopped": Event(("info",), "The daemon ends."),
}  # fmt: skip
