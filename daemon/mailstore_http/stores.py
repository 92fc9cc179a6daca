"""The stores that the dialects work on: opened when first needed, and shared by all threads.

What is done with them is written to the audit log as done by whoever asks in the present request, see `asking`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar

import msgspec

from mailstore.audit import Trail, Who, note_outcome, watched
from mailstore.config import StoreConfig
from mailstore.errors import MailstoreError, NotFound
from mailstore.purge import Outcome
from mailstore.registry import open_config
from mailstore.store import Store

__all__ = ["Stores", "asked", "asking"]

_NOBODY = Who("mailstore-http", "")
_asking: ContextVar[Who] = ContextVar("asking")
_PROBE = "readiness.invalid"
_ASKED_AFTER = 2.0


def asking(client: str, request: str, caller: str = "") -> None:
    """Say who asks from now on in this thread; an admin as whom a store acts need not be named."""
    _asking.set(Who("mailstore-http", caller, client, request))


def asked() -> Who:
    """Return who asks in this thread, and in which request."""
    return _asking.get(_NOBODY)


class Stores:
    """Opens each store once. One that is down is tried again with the next call that needs it."""

    def __init__(self, options: Mapping[str, StoreConfig], trail: Trail | None = None) -> None:
        self._options = options
        self._trail = trail or Trail([])
        self._locks = {name: threading.Lock() for name in options}
        self._open: dict[tuple[str, bool], Store] = {}
        self._asking = threading.Lock()
        self._state: tuple[float, list[str]] = (0.0, [])

    def get(self, name: str, *, records_only: bool = False) -> Store:
        """Return a store, with `records_only` one that does not reach the disk, so that a call can be rehearsed in it.

        Raises the errors of `mailstore.open_store`.
        """
        found = self._shared(name, records_only=records_only)
        return watched(found, self._trail, asked()) if self._trail else found

    def note(self, store: Store, outcome: Outcome) -> None:
        """Write what the purge did to the audit log."""
        note_outcome(self._trail, asked(), store, outcome)

    def _shared(self, name: str, *, records_only: bool) -> Store:
        key = name, records_only and bool(self._options[name].homes)
        found = self._open.get(key)
        if found is None:
            with self._locks[name]:  # a store that is down must not keep calls of others waiting
                found = self._open.get(key)
                if found is None:
                    found = self._open[key] = open_config(self._without_disk(name) if key[1] else self._options[name])
        return found

    def _without_disk(self, name: str) -> StoreConfig:
        options = self._options[name]
        return msgspec.structs.replace(options, homes=[], home_root=options.new_home_root())

    def silent(self) -> list[str]:
        """Return the names of the stores that do not answer now; they are asked every few seconds at most."""
        with self._asking:
            since, names = self._state
            if not since or time.monotonic() - since > _ASKED_AFTER:
                names = [name for name in self._options if not self._answers(name)]
                self._state = time.monotonic(), names
            return names

    def _answers(self, name: str) -> bool:
        try:
            self.get(name).domains.get(_PROBE)
        except NotFound:
            return True
        except MailstoreError:
            return False
        return True

    def close(self) -> None:
        """Close them."""
        for store in self._open.values():
            store.close()
        self._open.clear()
