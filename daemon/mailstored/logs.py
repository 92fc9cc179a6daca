"""Structured logs on standard error, one line each.

No exception that is not ours is ever logged with its text: a driver's may quote the connection string, or a row. What is
logged instead is its type and where it came from.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger

from mailstore.errors import MailstoreError

__all__ = ["FilteringBoundLogger", "adopt_standard_logging", "explained", "make_logger"]

_FRAMES = 6


def make_logger(form: str, level: str, stream: TextIO | None = None) -> FilteringBoundLogger:
    """Return a logger that writes ``json`` or ``text`` lines. Nothing is configured for the process as a whole."""
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer() if form == "json" else _text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    return cast("FilteringBoundLogger", logger.bind())


def _text(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    head = f"{event.pop('timestamp')} {event.pop('level'):<7} {_shown(event.pop('event'), spaces=True)}"
    return " ".join([head, *(f"{name}={_shown(value)}" for name, value in event.items())])


def _shown(value: object, *, spaces: bool = False) -> str:
    """Return a value so that it can neither break the line nor look like another value: homes come from a database."""
    text = str(value)
    plain = text.isprintable() and '"' not in text and (spaces or " " not in text) and text != ""
    return text if plain else json.dumps(text)


def explained(error: BaseException) -> dict[str, str]:
    """Return what may be logged about an exception."""
    kind = type(error).__name__
    if isinstance(error, MailstoreError | OSError):
        return {"error": str(error), "kind": kind}
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {"error": "internal error", "kind": kind, "where": " < ".join(_place(frame) for frame in reversed(frames))}


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}"


class _Forward(logging.Handler):
    """Hands what libraries log to our logger."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        facts = explained(error) if error else {}
        self._log.log(record.levelno, record.getMessage(), logger=record.name, **facts)


def adopt_standard_logging(log: FilteringBoundLogger) -> None:
    """Write the warnings and errors of the libraries as lines of `log`, too."""
    logging.basicConfig(handlers=[_Forward(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    # It logs the exception of a task, text and all, and names its own parts; `timetable` tells of both itself.
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
