"""Connections that a forked process finds itself with: its parent's, which it must neither use nor end.

Two processes on one socket read each other's answers, and whoever closes a connection in the orderly way ends it for both.
With SQLite it is a file: its library believes the child to have the parent's locks, and closing would roll back, by the
journal, what the parent is about to commit.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mailstore.errors import StoreError

__all__ = ["OpenConnections"]

_DESCRIPTORS = ("/proc/self/fd", "/dev/fd")


class OpenConnections:
    """The connections of one database that are open in this process, with the threads that use them."""

    def __init__(self) -> None:
        self._open: dict[int, Any] = {}
        self._users: dict[int, int] = {}
        self._inherited: list[tuple[sqlite3.Connection, bool]] = []

    def opened(self, connection: Any) -> None:
        """Note a connection of the database's driver."""
        self._open[id(connection)] = connection

    def closed(self, connection: Any) -> None:
        """Forget a connection."""
        self._open.pop(id(connection), None)
        self._users.pop(id(connection), None)

    def lent(self, connection: Any) -> None:
        """Note that the running thread uses a connection."""
        self._users[id(connection)] = threading.get_ident()

    def given_back(self, connection: Any) -> None:
        """Note that nobody uses a connection."""
        self._users.pop(id(connection), None)

    def forked(self) -> None:
        """Let go of what a child has inherited, as far as that can be done at once; it must not wait for any lock."""
        me = threading.get_ident()
        for number, connection in self._open.items():
            _keep_for_ever(connection)
            if isinstance(connection, sqlite3.Connection):
                self._inherited.append((connection, self._users.get(number, me) != me))
            else:
                _lead_nowhere(connection)
        self._open, self._users = {}, {}

    def release(self, database: str) -> None:
        """Close what was inherited of an SQLite database, before anything of it is opened in this process.

        Until then its library would believe that the locks of the parent are this process's own. Raises StoreError if it
        cannot be done without harm to the parent.
        """
        while self._inherited:
            connection, in_use = self._inherited[-1]
            _close_without_trace(connection, os.path.realpath(database), in_use=in_use)
            self._inherited.pop()


def _keep_for_ever(connection: Any) -> None:
    """Keep an object from being destroyed, even when the process ends: that would close the parent's connection."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _lead_nowhere(connection: Any) -> None:
    """Let the descriptor of a connection to a server lead nowhere: this process neither uses it nor keeps it open."""
    with suppress(Exception):  # one that is closed already
        inner = connection if hasattr(connection, "fileno") else connection._sock  # PyMySQL has no method
        descriptor = inner.fileno()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(null, descriptor, inheritable=False)
        finally:
            os.close(null)


def _close_without_trace(connection: sqlite3.Connection, database: str, *, in_use: bool) -> None:
    if in_use:  # perhaps within a call, whose lock nobody would ever release
        raise StoreError(f"another thread used {database} when this process was forked; {_ADVICE}")
    if connection.in_transaction:
        if Path(f"{database}-wal").exists():
            raise StoreError(f"this process was forked within a transaction on {database}, a WAL database; {_ADVICE}")
        # SQLite rolls back by the journal and removes it. Without its descriptor it leaves everything to whoever comes next.
        for descriptor in _descriptors_of(f"{database}-journal"):
            os.close(descriptor)
    with suppress(sqlite3.Error):  # the journal cannot be read: that is the purpose
        connection.close()


_ADVICE = "SQLite does not survive that: fork outside of transactions, or open the store in the new process"


def _descriptors_of(path: str) -> Iterator[int]:
    try:
        journal = Path(path).stat()
    except FileNotFoundError:
        return  # nothing was changed yet
    listing = next((place for place in _DESCRIPTORS if Path(place).is_dir()), None)
    found = [number for number in _numbers(listing) if _is_same(number, journal)]
    if not found:
        raise StoreError(f"this process was forked within a transaction whose journal is {path}; {_ADVICE}")
    yield from found


def _numbers(listing: str | None) -> list[int]:
    return [int(place.name) for place in Path(listing).iterdir()] if listing else []


def _is_same(descriptor: int, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file)
    except OSError:
        return False
