"""Password schemes: hash, verify, and tell whether a stored hash should be replaced.

A stored hash is always ``{SCHEME}data`` in Dovecot's notation, because Dovecot is the reader that has to understand it.
A password and a hash are different parameters everywhere in this library; nothing here guesses which one it was given.
"""

from __future__ import annotations

import base64
import re
import secrets
import string
import unicodedata
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from mailstore.errors import InvalidPassword

__all__ = [
    "DEFAULT_SCHEME",
    "READABLE_SCHEMES",
    "WRITABLE_SCHEMES",
    "check_hash",
    "generate_password",
    "hash_many",
    "hash_password",
    "needs_rehash",
    "scheme_of",
    "verify_password",
]

DEFAULT_SCHEME = "SSHA256"
WRITABLE_SCHEMES = ("SSHA256", "SSHA512", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2ID")
_OLD_SCHEMES = (
    "CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "SSHA", "SMD5", "SHA", "SHA1", "SHA256", "SHA512", "LDAP-MD5", "PLAIN-MD5",
)  # fmt: skip
READABLE_SCHEMES = WRITABLE_SCHEMES + _OLD_SCHEMES
"""Schemes that can be verified, and taken over as a ready hash."""

_CLEARTEXT = frozenset({"PLAIN", "CLEAR", "CLEARTEXT"})
_PREFIX = re.compile(r"\{([A-Za-z0-9.-]+)\}(.*)", re.DOTALL)
_CRYPT_IDENTS = {"$1$": "MD5-CRYPT", "$2": "BLF-CRYPT", "$5$": "SHA256-CRYPT", "$6$": "SHA512-CRYPT"}
_BCRYPT_MAX_BYTES = 72
_SALT_BYTES = 16
_GENERATED_LENGTH = 20
_GENERATED_FROM = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
"""Without what looks alike on paper."""


def hash_password(password: str, scheme: str = DEFAULT_SCHEME, *, salt_bytes: int | None = None) -> str:
    """Hash a password.

    Parameters
    ----------
    password: any text without control characters; it is hashed as UTF-8.
    scheme: one of `WRITABLE_SCHEMES`.
    salt_bytes: length of the salt for the SSHA schemes, 16 if not given; Dovecot verifies any length.

    Returns ``{SCHEME}data``. Raises InvalidPassword for an empty or unusable password or an unknown scheme.
    """
    scheme = scheme.upper()
    if scheme not in WRITABLE_SCHEMES:
        raise InvalidPassword(f"cannot hash with scheme {scheme!r}; choose one of {', '.join(WRITABLE_SCHEMES)}")
    check_password(password, scheme)
    handler = _handler(scheme)
    if salt_bytes is not None and scheme.startswith("SSHA"):
        handler = handler.using(salt_size=salt_bytes)
    return _with_prefix(scheme, handler.hash(password))


def check_password(password: str, scheme: str = DEFAULT_SCHEME) -> None:
    """Refuse what no client could type or what `scheme` would cut off. Raises InvalidPassword."""
    if not isinstance(password, str) or not password:
        raise InvalidPassword("the password is empty")
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise InvalidPassword("the password holds control characters")
    if scheme == "BLF-CRYPT" and len(password.encode()) > _BCRYPT_MAX_BYTES:
        raise InvalidPassword(f"BLF-CRYPT looks at {_BCRYPT_MAX_BYTES} bytes only; the password is longer")


def generate_password() -> str:
    """Return a new random password."""
    return "".join(secrets.choice(_GENERATED_FROM) for _ in range(_GENERATED_LENGTH))


def hash_many(
    passwords: Sequence[str],
    scheme: str = DEFAULT_SCHEME,
    *,
    salt_bytes: int | None = None,
    workers: int | None = None,
) -> list[str]:
    """Hash many passwords in order; slow schemes are spread over a pool of `workers` processes (default: all cores)."""
    if scheme.upper().startswith("SSHA"):
        return [hash_password(password, scheme, salt_bytes=salt_bytes) for password in passwords]
    from concurrent.futures import ProcessPoolExecutor  # a tenth of the time that the command line needs to start

    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(hash_password, scheme=scheme), passwords, chunksize=8))


def verify_password(password: str, stored: str) -> bool:
    """Tell whether `password` belongs to the stored hash.

    Hashes without a prefix count as CRYPT if they look like it (``$1$ $2b$ $5$ $6$``), as in Dovecot 2.3. Raises
    InvalidPassword if the stored hash has a scheme that cannot be verified here or is malformed.
    """
    scheme, handler, data = _read(stored)
    too_long = scheme == "BLF-CRYPT" and len(password.encode()) > _BCRYPT_MAX_BYTES
    if not password or too_long or "\0" in password:
        return False
    try:
        return bool(handler.verify(password, data))
    except ValueError as error:
        raise InvalidPassword(f"the stored {scheme} hash is malformed") from error


def check_hash(text: str) -> str:
    """Return a ready hash in the form to store (scheme in upper case).

    Raises InvalidPassword if it has no ``{SCHEME}``, a scheme that Dovecot would not verify, or malformed data.
    """
    match = _PREFIX.fullmatch(text)
    if not match:
        raise InvalidPassword("a ready hash starts with its scheme, for example {SSHA256} or {CRYPT}")
    _, handler, data = _read(text)
    try:
        complete = handler.from_string(data).checksum is not None
    except ValueError as error:
        raise InvalidPassword(f"this is not a well-formed {match[1].upper()} hash") from error
    if not complete:
        raise InvalidPassword(f"this {match[1].upper()} hash has no digest")
    return f"{{{match[1].upper()}}}{match[2]}"


def scheme_of(stored: str) -> str:
    """Return the scheme of a stored hash in upper case; CRYPT is resolved to what it holds. Raises InvalidPassword."""
    return _read(stored)[0]


def needs_rehash(stored: str, scheme: str = DEFAULT_SCHEME) -> bool:
    """Tell whether a stored hash has another scheme than the wanted one."""
    return scheme_of(stored) != scheme.upper()


def _read(stored: str) -> tuple[str, Any, str]:
    """Return a stored hash as scheme, passlib handler, and the text that this handler reads."""
    match = _PREFIX.fullmatch(stored)
    scheme, data = (match[1].upper(), match[2]) if match else ("CRYPT", stored)
    if scheme == "CRYPT":
        scheme = next((name for ident, name in _CRYPT_IDENTS.items() if data.startswith(ident)), "CRYPT")
    if scheme in _CLEARTEXT:
        raise InvalidPassword(f"{scheme} is not a hash and is never verified or stored; set the password instead")
    if scheme not in READABLE_SCHEMES or scheme == "CRYPT":
        known = ", ".join(READABLE_SCHEMES)
        raise InvalidPassword(f"unknown password scheme {scheme[:30]!r}; known are {known}")
    return scheme, _handler(scheme), _for_passlib(scheme, data)


def _for_passlib(scheme: str, data: str) -> str:
    if scheme in _SALTED:
        return f"{{{scheme}}}{data}"
    if scheme not in _UNSALTED_BYTES:
        return data
    try:  # passlib reads unsalted digests in hexadecimal
        digest = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise InvalidPassword(f"this is not a well-formed {scheme} hash") from error
    if len(digest) != _UNSALTED_BYTES[scheme]:
        raise InvalidPassword(f"this is not a well-formed {scheme} hash")
    return digest.hex()


def _with_prefix(scheme: str, text: str) -> str:
    return text if text.startswith("{") else f"{{{scheme}}}{text}"


@cache
def _handler(scheme: str) -> Any:
    """Return the passlib handler of a scheme."""
    from passlib import hash as known  # imported on demand: most runs never touch a password

    match scheme:
        case "SSHA256" | "SSHA512" | "SSHA" | "SMD5":
            base = getattr(known, _SALTED[scheme])
            # passlib stops at 16 bytes of salt; Dovecot does not, and atmail writes 32.
            with_long_salt: Any = type(scheme, (base,), {"max_salt_size": 1024})
            return with_long_salt.using(salt_size=_SALT_BYTES)
        case "BLF-CRYPT":
            return known.bcrypt.using(truncate_error=True)
        case "ARGON2ID":
            return known.argon2.using(type="ID")
        case _:
            return getattr(known, _PLAIN_HANDLERS[scheme])


_SALTED = {
    "SSHA256": "ldap_salted_sha256",
    "SSHA512": "ldap_salted_sha512",
    "SSHA": "ldap_salted_sha1",
    "SMD5": "ldap_salted_md5",
}
_PLAIN_HANDLERS = {
    "SHA512-CRYPT": "sha512_crypt",
    "SHA256-CRYPT": "sha256_crypt",
    "MD5-CRYPT": "md5_crypt",
    "PLAIN-MD5": "hex_md5",
    "LDAP-MD5": "hex_md5",
    "SHA": "hex_sha1",
    "SHA1": "hex_sha1",
    "SHA256": "hex_sha256",
    "SHA512": "hex_sha512",
}
_UNSALTED_BYTES = {"LDAP-MD5": 16, "SHA": 20, "SHA1": 20, "SHA256": 32, "SHA512": 64}
