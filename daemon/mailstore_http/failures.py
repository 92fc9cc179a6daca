"""Slowing down whoever guesses passwords: per address of the client, and per account.

Nobody is locked out. After some failures an attempt counts only when a pause is over, which doubles with each failure; what
comes before is refused without a look at the password. No thread waits meanwhile.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

__all__ = ["FailedLogins", "printable"]

_FREE = {"client": 10, "account": 5}
"""So many failures of one client, or for one account, are without consequence: people mistype."""
_LONGEST = 60.0
_FORGOTTEN_AFTER = 600.0
_MOST = 20_000
"""So many clients and accounts are remembered, the latest ones: memory must not be a guesser's to fill."""


@dataclass
class _Record:
    failures: int = 0
    last: float = 0.0


class FailedLogins:
    """Counts failures in this process; threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def wait(self, client: str, account: str) -> float:
        """Return for how many seconds from now on an attempt would not be looked at; 0 if it may be made."""
        now = self._clock()
        with self._lock:
            return max(self._pause(key, now) for key in _keys(client, account))

    def note(self, client: str, account: str, line: str) -> None:
        """Count a failure, and write `line`, by which fail2ban finds it, to standard error."""
        now = self._clock()
        with self._lock:
            for key in _keys(client, account):
                record = self._records.pop(key, None)
                if record is None or now - record.last > _FORGOTTEN_AFTER:
                    record = _Record()
                record.failures, record.last = record.failures + 1, now
                self._records[key] = record
            while len(self._records) > _MOST:
                self._records.popitem(last=False)
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _pause(self, key: tuple[str, str], now: float) -> float:
        record = self._records.get(key)
        if record is None or now - record.last > _FORGOTTEN_AFTER:
            return 0.0
        beyond = record.failures - _FREE[key[0]]
        if beyond < 0:
            return 0.0
        return max(0.0, record.last + min(_LONGEST, 2.0 ** min(beyond, 10)) - now)


def _keys(client: str, account: str) -> tuple[tuple[str, str], ...]:
    return ("client", client), ("account", account.strip().lower()[:254])


def printable(text: str) -> str:
    """Return what somebody typed so that it neither breaks a line nor ends a field of it, and is not long."""
    return "".join(character if character.isprintable() and character not in ',"' else "?" for character in text)[:254]
