"""The stores that the dialects work on: opened when first needed, and shared by all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from mailstore.config import StoreConfig
from mailstore.errors import MailstoreError, NotFound
from mailstore.registry import open_config
from mailstore.store import Store

__all__ = ["Stores"]

_PROBE = "readiness.invalid"
_ASKED_AFTER = 2.0


class Stores:
    """Opens each store once. One that is down is tried again with the next call that needs it."""

    def __init__(self, options: Mapping[str, StoreConfig]) -> None:
        self._options = options
        self._locks = {name: threading.Lock() for name in options}
        self._open: dict[str, Store] = {}
        self._asking = threading.Lock()
        self._state: tuple[float, list[str]] = (0.0, [])

    def get(self, name: str) -> Store:
        """Return a store. Raises the errors of `mailstore.open_store`."""
        found = self._open.get(name)
        if found is None:
            with self._locks[name]:  # a store that is down must not keep calls of others waiting
                found = self._open.get(name)
                if found is None:
                    found = self._open[name] = open_config(self._options[name])
        return found

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
