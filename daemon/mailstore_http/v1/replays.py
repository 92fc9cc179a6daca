"""Requests that are sent twice with the same Idempotency-Key are done once: the second is answered as the first was.

Each key is a file, named after the hash of key and caller. It is locked while the request is worked on, and then holds the
answer. One that is not locked and holds no answer belongs to a request whose end nobody knows: the process died in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from mailstore.errors import ConfigurationError
from mailstore_http.messages import Answer
from mailstore_http.v1.problems import ProblemError

__all__ = ["Replays"]

_SWEPT_AFTER = 600.0


class _Kept(msgspec.Struct):
    request: str
    status: int = 0
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Replays:
    """The answers of the last hours, in a directory that all workers share."""

    def __init__(self, directory: Path, keep: float) -> None:
        """`keep` is for how many seconds an answer is known. Raises ConfigurationError."""
        self._directory = directory
        self._keep = keep
        self._swept = time.monotonic()
        self._sweeping = threading.Lock()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"http.state: cannot use {directory}: {error.strerror}") from error

    def once(self, caller: str, key: str, request: bytes, answered: Callable[[], Answer]) -> Answer:
        """Return what `answered` does, or what it did for the same key. Raises ProblemError for a key of another request."""
        self._sweep()
        name = hashlib.sha256(f"{len(caller)} {caller} {key}".encode("utf-8", "surrogatepass")).hexdigest()
        # The key, which only the client knows, keeps passwords in the request from being guessed by the file.
        mark = hmac.digest(key.encode("utf-8", "surrogatepass"), request, "sha256").hex()
        handle = self._opened(self._directory / name)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ProblemError(409, "IdempotencyKeyInUse", "A request with this key is being worked on.") from None
            if (known := self._known(handle)) is not None:
                return self._replayed(known, mark)
            _write(handle, _Kept(mark))
            answer = answered()
            if answer.status >= 500:  # nothing came of it: it may be tried again
                os.ftruncate(handle, 0)
            else:
                kept = _Kept(mark, answer.status, answer.content_type, tuple(answer.headers), answer.body)
                _write(handle, kept)
        finally:
            os.close(handle)
        return answer

    def _opened(self, path: Path) -> int:
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with suppress(FileNotFoundError):  # swept away between the two
                if path.stat().st_ino == os.fstat(handle).st_ino:
                    return handle
            os.close(handle)

    def _known(self, handle: int) -> _Kept | None:
        facts = os.fstat(handle)
        if not facts.st_size or time.time() - facts.st_mtime > self._keep:
            return None
        return msgspec.msgpack.decode(os.pread(handle, facts.st_size, 0), type=_Kept)

    @staticmethod
    def _replayed(known: _Kept, mark: str) -> Answer:
        if not hmac.compare_digest(known.request, mark):
            raise ProblemError(422, "IdempotencyKeyReused", "This key came with another request.")
        if not known.status:
            raise ProblemError(
                409,
                "OutcomeUnknown",
                "The service ended while it worked on this: look at what is there, then use another key.",
            )
        headers = (*known.headers, ("Idempotency-Replayed", "true"))
        return Answer(known.status, known.body, known.content_type, headers, "replayed")

    def _sweep(self) -> None:
        """Remove what is too old, now and then."""
        with self._sweeping:
            if time.monotonic() - self._swept < _SWEPT_AFTER:
                return
            self._swept = time.monotonic()
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > self._keep:
                    path.unlink()


def _write(handle: int, kept: Any) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, msgspec.msgpack.encode(kept), 0)
