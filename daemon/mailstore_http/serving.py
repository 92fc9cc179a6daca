"""The application as it is at present: a reload puts another one in its place, and calls in hand are finished by the old."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mailstore_http.app import Application
from mailstore_http.stores import Stores

__all__ = ["Present"]


class _Held:
    """An application with its stores, which are closed when it is no more the present one and nothing is in hand."""

    def __init__(self, app: Application, stores: Stores) -> None:
        self.app = app
        self._stores = stores
        self._lock = threading.Lock()
        self._users = 1  # being the present one counts

    def enter(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self._stores.close()


class Present:
    """A WSGI application that another one can be put in the place of. Threads may share it."""

    def __init__(self, app: Application, stores: Stores) -> None:
        self._lock = threading.Lock()
        self._held = _Held(app, stores)

    def replace(self, app: Application, stores: Stores) -> None:
        """Let calls that begin from now on be answered by another application."""
        with self._lock:
            old, self._held = self._held, _Held(app, stores)
        old.leave()

    def close(self) -> None:
        """Close the stores, as soon as nothing is in hand."""
        self._held.leave()

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            held = self._held
            held.enter()
        answer: Iterable[bytes] | None = None
        try:
            answer = held.app(environ, start_response)
        finally:
            if answer is None or isinstance(answer, list):
                held.leave()
        return answer if isinstance(answer, list) else _Streaming(answer, held)


class _Streaming:
    """An answer that is sent piece by piece; a WSGI server closes it, whatever becomes of it."""

    def __init__(self, pieces: Iterable[bytes], held: _Held) -> None:
        self._pieces = pieces
        self._held: _Held | None = held

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        if (close := getattr(self._pieces, "close", None)) is not None:
            close()
        held, self._held = self._held, None
        if held is not None:
            held.leave()
