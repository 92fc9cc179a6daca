"""Connections that wait for their next use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mailstore.ldap.session import Session

__all__ = ["Pool"]

_KEPT = 8
"""More than this many idle connections are closed."""


class Pool:
    """Lends sessions to threads. Nobody shares one: the pages of a search belong to its connection."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._idle: deque[Session] = deque()  # whose operations are atomic, so that no lock can survive a fork
        self._owner = object()

    def take(self) -> Session:
        """Return a session that seems alive."""
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                session = self._connect()
                session.owner = self._owner
                return session
            if session.usable:
                return session
            session.close()

    def give_back(self, session: Session) -> None:
        """Keep a session for the next one; not if the pool was closed since it was made."""
        if session.owner is self._owner and len(self._idle) < _KEPT:
            self._idle.append(session)
        else:
            session.close()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session; it is closed if anything goes wrong meanwhile."""
        session = self.take()
        try:
            yield session
        except BaseException:
            session.close()
            raise
        self.give_back(session)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._owner = object()
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return
