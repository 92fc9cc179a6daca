"""Make passwords and hashes, and refuse passwords that no reader would take whole."""

from __future__ import annotations

import secrets
import string
import unicodedata
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from mailstore.errors import InvalidPassword
from mailstore.passwords.costs import MOST
from mailstore.passwords.stored import read

__all__ = [
    "BCRYPT_MOST_BYTES",
    "CRYPT_MOST_BYTES",
    "DEFAULT_SCHEME",
    "MOST_BYTES",
    "WRITABLE_SCHEMES",
    "check_password",
    "check_scheme",
    "generate_password",
    "hash_many",
    "hash_password",
    "needs_rehash",
]

DEFAULT_SCHEME = "SSHA256"
WRITABLE_SCHEMES = ("SSHA256", "SSHA512", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2ID")
MOST_BYTES = 4096
"""Of a password: enough for any, and little enough to hash at once."""
CRYPT_MOST_BYTES = 511
"""crypt(3) refuses longer passwords, so that nobody could log in."""
BCRYPT_MOST_BYTES = 72

# A login should not take more than some hundredths of a second: mail programs log in all the time.
_COSTS = {
    "SHA512-CRYPT": (1000, 5000, MOST["SHA512-CRYPT"]),
    "BLF-CRYPT": (4, 10, MOST["BLF-CRYPT"]),
    "ARGON2ID": (1, 2, 32),
}
"""The least, the usual and the greatest cost: rounds, doublings, passes."""
_ARGON2_MEMORY = 19_456
"""KiB."""
_SALT_BYTES = 16
_GENERATED_LENGTH = 20
_GENERATED_FROM = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
"""Without what looks alike on paper."""


def check_scheme(scheme: str) -> tuple[str, int | None]:
    """Return the scheme in upper case and the cost of ``SCHEME`` or ``SCHEME:COST``.

    Raises InvalidPassword for a scheme that is not among `WRITABLE_SCHEMES`, and a cost that it does not have.
    """
    name, colon, cost = scheme.upper().partition(":")
    if name not in WRITABLE_SCHEMES:
        raise InvalidPassword(f"cannot hash with scheme {scheme!r}; choose one of {', '.join(WRITABLE_SCHEMES)}")
    if name not in _COSTS:
        if colon:
            raise InvalidPassword(f"{name} has no cost to choose")
        return name, None
    least, usual, most = _COSTS[name]
    if not colon:
        return name, usual
    if not (cost.isascii() and cost.isdigit() and least <= int(cost) <= most):
        raise InvalidPassword(f"the cost of {name} is a number from {least} to {most}, such as {name}:{usual}")
    return name, int(cost)


def hash_password(password: str, scheme: str = DEFAULT_SCHEME, *, salt_bytes: int | None = None) -> str:
    """Hash a password.

    Parameters
    ----------
    password: any text without control characters; it is hashed as UTF-8.
    scheme: one of `WRITABLE_SCHEMES`; those that have a cost take it as in ``BLF-CRYPT:12`` (the logarithm of the rounds,
        10 if not given), ``SHA512-CRYPT:20000`` (rounds, 5000), ``ARGON2ID:3`` (passes over 19 MiB, 2).
    salt_bytes: length of the salt for the SSHA schemes, 16 if not given; Dovecot verifies any length.

    Returns ``{SCHEME}data``. Raises InvalidPassword for an empty or unusable password or an unknown scheme.
    """
    name, cost = check_scheme(scheme)
    check_password(password, name)
    hashed: str = _handler(name, cost, salt_bytes or _SALT_BYTES).hash(password)
    return hashed if hashed.startswith("{") else f"{{{name}}}{hashed}"


def needs_rehash(stored: str, scheme: str = DEFAULT_SCHEME) -> bool:
    """Tell whether a stored hash has another scheme than the wanted one, or another cost if ``SCHEME:COST`` is wanted."""
    name, cost = check_scheme(scheme)
    found = read(stored)
    return found.scheme != name or (":" in scheme and found.rounds != cost)


def check_password(password: str, scheme: str = DEFAULT_SCHEME) -> None:
    """Refuse what no client could type or what `scheme` would cut off. Raises InvalidPassword."""
    if not isinstance(password, str) or not password:
        raise InvalidPassword("the password is empty")
    # Cs is half a character: what JSON and the command line make of bytes that are no text.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in password):
        raise InvalidPassword("the password holds control characters, or bytes that are no text")
    size, scheme = len(password.encode()), scheme.upper().partition(":")[0]
    if size > MOST_BYTES:
        raise InvalidPassword(f"the password is longer than {MOST_BYTES} bytes")
    if scheme == "BLF-CRYPT" and size > BCRYPT_MOST_BYTES:
        raise InvalidPassword(f"BLF-CRYPT looks at {BCRYPT_MOST_BYTES} bytes only; the password is longer")
    if scheme.endswith("-CRYPT") and size > CRYPT_MOST_BYTES:
        raise InvalidPassword(f"with {scheme} nobody could log in by a password of more than {CRYPT_MOST_BYTES} bytes")


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
    """Hash many passwords in order; slow schemes are spread over a pool of `workers` processes (default: all cores).

    Workers of `multiprocessing.Pool` and the like may not start processes, and do it alone.
    """
    if scheme.upper().startswith("SSHA"):
        return [hash_password(password, scheme, salt_bytes=salt_bytes) for password in passwords]
    from concurrent.futures import ProcessPoolExecutor  # a tenth of the time that the command line needs to start
    from multiprocessing import current_process

    name, cost = check_scheme(scheme)
    if current_process().daemon:
        return [hash_password(password, scheme) for password in passwords]
    # Loaded before the forks: a child would wait for ever for what another thread is just loading.
    _handler(name, cost, _SALT_BYTES).get_backend()
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(hash_password, scheme=scheme), passwords, chunksize=8))


@cache
def _handler(scheme: str, cost: int | None, salt_bytes: int) -> Any:
    """Return the passlib handler of a scheme."""
    from passlib import hash as known  # imported on demand: most runs never touch a password

    match scheme:
        case "SSHA256" | "SSHA512":
            base = known.ldap_salted_sha256 if scheme == "SSHA256" else known.ldap_salted_sha512
            # passlib stops at 16 bytes of salt; Dovecot does not, and atmail writes 32.
            with_long_salt: Any = type(scheme, (base,), {"max_salt_size": 1024})
            return with_long_salt.using(salt_size=salt_bytes)
        case "BLF-CRYPT":
            return known.bcrypt.using(rounds=cost, truncate_error=True)
        case "ARGON2ID":
            return known.argon2.using(type="ID", rounds=cost, memory_cost=_ARGON2_MEMORY, parallelism=1)
        case _:
            return known.sha512_crypt.using(rounds=cost)
