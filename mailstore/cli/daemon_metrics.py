"""What the daemon says of itself to whoever asks: its metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException

__all__ = ["answers", "last_runs"]

_PATIENCE = 2.0
_SUCCESS = re.compile(r'mailstored_last_success_timestamp_seconds\{job="(\w+)",store="([^"]*)"\} (\S+)')


def last_runs(listen: str) -> Mapping[tuple[str, str], datetime]:
    """Return when a job of a store last came to its end (naive UTC), by store and job; nothing if nobody answers."""
    found = {}
    for job, store, seconds in _SUCCESS.findall(_metrics(listen) or ""):
        if float(seconds):
            found[store, job] = datetime.fromtimestamp(float(seconds), UTC).replace(tzinfo=None)
    return found


def answers(listen: str) -> bool:
    """Tell whether a daemon serves metrics at ``address:port``."""
    return _metrics(listen) is not None


def _metrics(listen: str) -> str | None:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        return None
    connection = HTTPConnection(host.strip("[]"), int(port), timeout=_PATIENCE)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode(errors="replace")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
