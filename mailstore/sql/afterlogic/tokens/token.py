"""Tokens of the REST API: who logged in and when, encrypted with a key that is made from the installation's salt file.

Whoever has a token is believed for an hour; the password in it is not compared again, so that a token outlives a change of
the password.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field

from mailstore.sql.afterlogic.rest_errors import InvalidToken, TokenExpired
from mailstore.sql.afterlogic.tokens import php, xxtea

__all__ = ["LIFETIME", "Grant", "Salt", "make_token", "read_token"]

LIFETIME = 3600
"""How many seconds a token is good for."""
_MOST_CHARACTERS = 65_536
_TO_URL = str.maketrans("+/=", "-_.")
_FROM_URL = str.maketrans("-_.", "+/=")
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BCRYPT_SALT = 22


@dataclass(frozen=True)
class Salt:
    """What an installation's salt file stands for: the salt of the administrator's password, and the key of tokens."""

    _digest: str = field(repr=False)

    @classmethod
    def from_file(cls, content: bytes) -> Salt:
        """Return the salt that the whole content of ``salt.php`` makes."""
        return cls(hashlib.md5(content, usedforsecurity=False).hexdigest())

    @property
    def key(self) -> bytes:
        """The key of tokens."""
        salt = f"$2y$07${self._digest}$"
        return hashlib.md5(salt.encode(), usedforsecurity=False).hexdigest().encode()

    @property
    def bcrypt_salt(self) -> bytes:
        """The salt of the administrator's password.

        bcrypt takes 22 characters, of the last of which only two bits count; Python's bcrypt wants the others to be zero.
        """
        last = _BCRYPT_ALPHABET[_BCRYPT_ALPHABET.index(self._digest[_BCRYPT_SALT - 1]) & 0x30]
        return f"$2y$07${self._digest[: _BCRYPT_SALT - 1]}{last}".encode()


@dataclass(frozen=True)
class Grant:
    """What a good token says. ``tenant_id`` is 0 for the administrator."""

    login: str
    password: str = field(repr=False)
    tenant_id: int = 0
    issued: int = 0


def make_token(salt: Salt, login: str, password: str, tenant_id: int = 0, *, now: int | None = None) -> str:
    """Return a token. The caller has checked login and password; `now` is the time in Unix seconds."""
    issued = int(time.time()) if now is None else now
    data = php.dump({"login": login, "password": password, "tenantId": tenant_id, "timestamp": issued})
    return base64.b64encode(xxtea.encrypt(data, salt.key)).decode().translate(_TO_URL)


def read_token(salt: Salt, token: str, *, now: int | None = None) -> Grant:
    """Return what a token says. Raises InvalidToken, or TokenExpired for one that is older than an hour."""
    values = _decrypted(salt, token)
    login, password = values.get("login"), values.get("password")
    if not (isinstance(login, str) and isinstance(password, str) and login and password):
        raise InvalidToken("the token names no login and password; ask for a new one")
    issued, tenant_id = values.get("timestamp"), values.get("tenantId", 0)
    moment = int(time.time()) if now is None else now
    if not isinstance(issued, int) or moment - issued > LIFETIME:
        raise TokenExpired("the token is older than an hour; ask for a new one")
    return Grant(login, password, tenant_id if isinstance(tenant_id, int) else 0, issued)


def _decrypted(salt: Salt, token: str) -> dict[str | int, str | int]:
    if not isinstance(token, str) or not token or len(token) > _MOST_CHARACTERS:
        raise InvalidToken("there is no token; ask for one with login and password")
    text = token.translate(_FROM_URL).rstrip("=")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        return php.load(xxtea.decrypt(data, salt.key))
    except ValueError:  # UnicodeDecodeError and binascii.Error among them
        raise InvalidToken("the token cannot be read: it is damaged, or of another installation") from None
