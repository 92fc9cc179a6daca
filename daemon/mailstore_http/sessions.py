"""Sessions in a directory: they survive a restart, all workers share them, and each can be ended.

A session is a file. Its name is the hash of the token that the client holds, so that who reads the directory cannot take one
over; when it was last used is the time of the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailstore.errors import ConfigurationError

__all__ = ["Session", "Sessions"]

_RENEWED_AFTER = 30
"""So old may the time of last use be: not every call has to write."""
_SWEPT_AFTER = 300
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Session:
    """Who is logged in, from where, and what the dialect wants to remember."""

    account: str
    client: str
    note: str = ""


class Sessions:
    """The sessions of one dialect. ``idle`` is the number of seconds after which an unused one ends."""

    def __init__(self, directory: Path, idle: float) -> None:
        """Raises ConfigurationError if the directory cannot be used."""
        self._directory = directory
        self._idle = idle
        self._swept = 0.0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"http.state: cannot use {directory}: {error.strerror}") from error

    def begin(self, session: Session) -> str:
        """Return the token of a new session. Raises OSError."""
        self._sweep()
        token = secrets.token_hex(_TOKEN_BYTES)
        path = self._path(token)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump({"account": session.account, "client": session.client, "note": session.note}, file)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, whose time begins anew; None if there is none any more."""
        path = self._path(token)
        try:
            age = time.time() - path.stat().st_mtime
            if age > self._idle:
                path.unlink(missing_ok=True)
                return None
            facts: Any = json.loads(path.read_text(encoding="utf-8"))
            if age > _RENEWED_AFTER:
                os.utime(path)
            return Session(**facts)
        except (FileNotFoundError, ValueError, TypeError):  # one that another worker writes this moment is none yet
            return None

    def end(self, token: str) -> None:
        """End a session, if there is one."""
        self._path(token).unlink(missing_ok=True)

    def _path(self, token: str) -> Path:
        return self._directory / hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

    def _sweep(self) -> None:
        """Remove what is too old to be used, now and then."""
        now = time.time()
        if now - self._swept < _SWEPT_AFTER:
            return
        self._swept = now
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > self._idle:
                    path.unlink()
