"""One change of a record at a time, in all threads and workers: what If-Match compares stays so until the change is made.

Other programs that write to the store do not ask here; they are kept out by its transactions only.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailstore.errors import ConfigurationError

__all__ = ["Locks"]

_STRIPES = 256


class Locks:
    """Locks by name, of which some share a file."""

    def __init__(self, directory: Path) -> None:
        """Raises ConfigurationError if the directory cannot be used."""
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"http.state: cannot use {directory}: {error.strerror}") from error

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold the lock of a name; wait for it as long as another holds it."""
        stripe = zlib.crc32(name.encode("utf-8", "surrogatepass")) % _STRIPES
        handle = os.open(self._directory / f"{stripe:02x}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
