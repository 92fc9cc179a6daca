"""Slowing down whoever guesses passwords: per address of the client, and per account.

Nobody is locked out. After some failures an attempt counts only when a pause is over, which doubles with each failure; what
comes before is refused without a look at the password. No thread waits meanwhile. A client that has logged in to an account
is not slowed down by what others try there, else a guesser could keep its owner out.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO, TypeVar

__all__ = ["FailedLogins", "printable"]

_T = TypeVar("_T")
_FREE = {"client": 10, "account": 5}
"""So many failures of one client, or for one account, are without consequence: people mistype."""
_LONGEST = 60.0
_FORGOTTEN_AFTER = 600.0
_KNOWN_FOR = 24 * 3600.0
"""So long a client that has logged in is known to be the owner of the account."""
_MOST = 20_000
"""So many clients and accounts are remembered, the latest ones: memory must not be a guesser's to fill."""


@dataclass
class _Record:
    failures: int = 0
    last: float = 0.0


class FailedLogins:
    """Counts failures in this process; threads may share it."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        stream: TextIO | None = None,
        counted: Callable[[], object] = lambda: None,
    ) -> None:
        """`counted` is called for each failure."""
        self._clock = clock
        self._stream = stream or sys.stderr
        self._counted = counted
        self._lock = threading.Lock()
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    def wait(self, client: str, account: str) -> float:
        """Return for how many seconds from now on an attempt would not be looked at; 0 if it may be made."""
        now = self._clock()
        of_client, of_account = _keys(client, account)
        with self._lock:
            since = self._known.get((client, of_account[1]))
            counted = (of_client,) if since is not None and now - since < _KNOWN_FOR else (of_client, of_account)
            return max(self._pause(key, now) for key in counted)

    def succeeded(self, client: str, account: str) -> None:
        """Note that a client has logged in to an account."""
        with self._lock:
            _add(self._known, (client, _keys(client, account)[1][1]), self._clock())

    def note(self, client: str, account: str, line: str) -> None:
        """Count a failure, and write `line`, by which fail2ban finds it, to standard error."""
        now = self._clock()
        with self._lock:
            for key in _keys(client, account):
                record = self._records.get(key)
                if record is None or now - record.last > _FORGOTTEN_AFTER:
                    record = _Record()
                record.failures, record.last = record.failures + 1, now
                _add(self._records, key, record)
            self._stream.write(f"{line}\n")
            self._stream.flush()
        self._counted()

    def _pause(self, key: tuple[str, str], now: float) -> float:
        record = self._records.get(key)
        if record is None or now - record.last > _FORGOTTEN_AFTER:
            return 0.0
        beyond = record.failures - _FREE[key[0]]
        if beyond < 0:
            return 0.0
        return max(0.0, record.last + min(_LONGEST, 2.0 ** min(beyond, 10)) - now)


def _add(records: OrderedDict[tuple[str, str], _T], key: tuple[str, str], value: _T) -> None:
    """Put what is new at the end, and forget the oldest if there are too many."""
    records[key] = value
    records.move_to_end(key)
    while len(records) > _MOST:
        records.popitem(last=False)


def _keys(client: str, account: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("client", client), ("account", account.strip().lower()[:254])


def printable(text: str) -> str:
    """Return what somebody typed so that it neither breaks a line nor ends a field of it, and is not long."""
    return "".join(character if character.isprintable() and character not in ',"' else "?" for character in text)[:254]
