"""What a hash may cost whoever verifies it: about two seconds, and 256 MiB.

Whoever can put a hash into a store, by an import or a panel, could otherwise stop a mail server with one login.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mailstore.errors import InvalidPassword

__all__ = ["MOST", "refuse_costly"]

_MEMORY = 256 << 20
"""Bytes; more than an auth process of Dovecot 2.3 may have by default."""
_WORK = 1 << 30
"""Bytes passed over, all passes together."""
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

MOST: Mapping[str, int] = {
    "BLF-CRYPT": 15,
    "SHA512-CRYPT": 5_000_000,
    "SHA256-CRYPT": 5_000_000,
    "PBKDF2": 1_000_000,
    "SCRAM-SHA-1": 1_000_000,
    "SCRAM-SHA-256": 1_000_000,
    "SHA1-CRYPT": 1_000_000,
    "SUN-MD5-CRYPT": 500_000,
    "BSDI-CRYPT": 1_000_000,
}
"""The most rounds of the schemes that have such a number; for BLF-CRYPT it counts doublings."""


def refuse_costly(scheme: str, found: Mapping[str, str]) -> None:
    """Raise InvalidPassword if a hash costs more than its readers should pay.

    `found` holds the parts of the hash that say so: ``rounds``, or what the scheme calls its parameters.
    """
    if scheme in MOST:
        rounds = int(found.get("rounds") or 0)
        if rounds > MOST[scheme]:
            raise InvalidPassword(f"this {scheme} hash has a cost of {rounds}; more than {MOST[scheme]} is refused")
    elif scheme in _MEMORY_HARD:
        memory, passes = _MEMORY_HARD[scheme](found)
        if memory > _MEMORY or memory * passes > _WORK:
            raise InvalidPassword(
                f"this {scheme} hash takes {memory >> 20} MiB and {passes} passes; "
                f"more than {_MEMORY >> 20} MiB, or {_WORK >> 20} MiB in all passes, is refused"
            )


def _argon2(found: Mapping[str, str]) -> tuple[int, int]:
    return int(found["memory"]) << 10, int(found["passes"])


def _scrypt(found: Mapping[str, str]) -> tuple[int, int]:
    """Read ``$7$``: the logarithm of N in one character, r and p in five each, the lowest bits first."""
    parameters = [_ALPHABET.index(character) for character in found["parameters"]]
    r, p = (sum(value << 6 * place for place, value in enumerate(part)) for part in (parameters[1:6], parameters[6:]))
    return 128 * r << parameters[0], max(p, 1)


def _yescrypt(found: Mapping[str, str]) -> tuple[int, int]:
    """Read ``$y$``: flavour, logarithm of N, r, and if there are more, which of p and t follow."""
    numbers = _numbers(found["parameters"])
    try:
        next(numbers)
        log, r = next(numbers) + 1, next(numbers) + 1
        have = next(numbers, -1) + 1
        p = next(numbers) + 2 if have & 1 else 1
        t = next(numbers) + 1 if have & 2 else 0
    except StopIteration:
        raise InvalidPassword("this is not a well-formed yescrypt hash") from None
    return 128 * r << log, p * (t + 1)


def _numbers(text: str) -> Iterator[int]:
    """Return the numbers that yescrypt writes in one character or more: the larger the first, the more follow."""
    characters = iter(text)
    for first in characters:
        value, start, end, more = 0, 0, 47, 0
        code = _ALPHABET.index(first)
        while code > end:
            value += (end + 1 - start) << 6 * more
            start, end, more = end + 1, end + 1 + (62 - end) // 2, more + 1
        value += (code - start) << 6 * more
        for place in reversed(range(more)):
            value += _ALPHABET.index(next(characters, ".")) << 6 * place
        yield value


_MEMORY_HARD: Mapping[str, Callable[[Mapping[str, str]], tuple[int, int]]] = {
    "ARGON2I": _argon2,
    "ARGON2ID": _argon2,
    "SCRYPT": _scrypt,
    "YESCRYPT": _yescrypt,
    "GOST-YESCRYPT": _yescrypt,
}
