"""Tokens for programs that use the HTTP API: made, listed and revoked by an operator, and kept hashed in a file.

A token is ``mst_ID_SECRET``. The file holds the SHA-256 of the secret, which is 32 random bytes: nothing slower is needed to
keep it from being guessed. It is written as a whole and takes the place of the old one at once, so that whoever reads it
meanwhile sees the one or the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from mailstore.errors import AlreadyExists, ConfigurationError, NotFound

__all__ = ["Token", "TokenFile"]

_PREFIX = "mst"
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a token; everything but its secret.

    ``stores`` and ``domains`` are what it may touch, all if they are empty. ``admin`` is the admin in whose name it acts,
    with that admin's rights; empty for one that may do everything. ``expires`` None is never.
    """

    id: str
    name: str
    hash: str
    access: Literal["read", "write"] = "read"
    stores: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    admin: str = ""
    created: datetime
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, name={self.name!r}, access={self.access!r})"


class TokenFile:
    """The tokens in a file. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, int, int], dict[str, Token]] | None = None

    def list(self) -> Sequence[Token]:
        """Return all tokens, in the order in which they were made. Raises ConfigurationError if the file is unreadable."""
        return sorted(self._tokens().values(), key=lambda token: token.created)

    def find(self, text: str) -> Token | None:
        """Return the token that somebody shows, None if it is none, or is over. It takes as long for any text."""
        _, _, rest = text.partition("_")
        number, _, secret = rest.partition("_")
        token = self._tokens().get(number)
        given = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        right = hmac.compare_digest(given, token.hash if token else _NOBODY)
        if token is None or not right or not text.startswith(f"{_PREFIX}_"):
            return None
        return None if token.expires is not None and token.expires <= datetime.now(UTC) else token

    def create(
        self,
        name: str,
        *,
        access: Literal["read", "write"] = "read",
        stores: Sequence[str] = (),
        domains: Sequence[str] = (),
        admin: str = "",
        expires: datetime | None = None,
    ) -> tuple[Token, str]:
        """Make a token. Returns it, and its text, which nobody can be told again. Raises AlreadyExists for a name in use."""
        secret, number = secrets.token_urlsafe(32), secrets.token_hex(6)
        token = Token(
            id=number,
            name=name,
            hash=hashlib.sha256(secret.encode()).hexdigest(),
            access=access,
            stores=tuple(stores),
            domains=tuple(domains),
            admin=admin,
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
        with self._changing() as tokens:
            if any(other.name == name for other in tokens.values()):
                raise AlreadyExists(f"there is a token {name!r} already; revoke it, or take another name", subject=name)
            tokens[number] = token
        return token, f"{_PREFIX}_{number}_{secret}"

    def revoke(self, name: str) -> Token:
        """Remove a token by its name or id; it opens nothing from this moment on. Raises NotFound."""
        with self._changing() as tokens:
            found = next((token for token in tokens.values() if name in {token.name, token.id}), None)
            if found is None:
                raise NotFound(f"there is no token {name!r}", subject=name)
            del tokens[found.id]
        return found

    def _tokens(self) -> dict[str, Token]:
        """Return the tokens as the file has them now; it is read again when it is another one."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigurationError(f"cannot read the tokens in {self._path}: {error.strerror}") from error
        state = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        with self._lock:
            if self._read is None or self._read[0] != state:
                self._read = state, self._decoded()
            return self._read[1]

    def _decoded(self) -> dict[str, Token]:
        try:
            tokens = msgspec.json.decode(self._path.read_bytes(), type=list[Token])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigurationError(f"cannot read the tokens in {self._path}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{self._path} holds no tokens: {error}") from error
        return {token.id: token for token in tokens}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """Give the tokens to be changed, and write them; of several processes one at a time."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                tokens = self._decoded()
                yield tokens
                self._write(tokens)
            finally:
                os.close(lock)
        except OSError as error:
            raise ConfigurationError(f"cannot write the tokens in {self._path}: {error.strerror}") from error

    def _write(self, tokens: dict[str, Token]) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "wb") as file:
                file.write(msgspec.json.encode(list(tokens.values())))
                file.flush()
                os.fsync(file.fileno())
                # An operator is root as a rule; the service, to whom the directory belongs, has to read it.
                owner = self._path.parent.stat()
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            fresh.replace(self._path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise
