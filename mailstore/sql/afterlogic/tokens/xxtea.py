"""The block cipher XXTEA over a whole message, with the length as the last word, as the product's tokens use it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["decrypt", "encrypt"]

_DELTA = 0x9E3779B9
_MASK = 0xFFFFFFFF
_KEY_BYTES = 16
_FEWEST_WORDS = 2


def encrypt(data: bytes, key: bytes) -> bytes:
    """Return `data`, which must not be empty, encrypted; of `key` only the first 16 bytes count."""
    words = [*_words(data), len(data)]
    keys, last = _words(key[:_KEY_BYTES]), len(words) - 1
    total = 0
    for _ in range(6 + 52 // len(words)):
        total = (total + _DELTA) & _MASK
        for place in range(len(words)):
            before, after = words[place - 1], words[0 if place == last else place + 1]
            words[place] = (words[place] + _mixed(before, after, total, keys, place)) & _MASK
    return struct.pack(f"<{len(words)}I", *words)


def decrypt(data: bytes, key: bytes) -> bytes:
    """Return what was encrypted. Raises ValueError if `data` cannot have come from `encrypt` with this key."""
    if len(data) % 4 or len(data) < 4 * _FEWEST_WORDS:
        raise ValueError("not a whole number of words")
    words = _words(data)
    keys, last = _words(key[:_KEY_BYTES]), len(words) - 1
    total = (6 + 52 // len(words)) * _DELTA & _MASK
    while total:
        for place in reversed(range(len(words))):
            before, after = words[place - 1], words[0 if place == last else place + 1]
            words[place] = (words[place] - _mixed(before, after, total, keys, place)) & _MASK
        total = (total - _DELTA) & _MASK
    length = words.pop()
    if not 4 * (len(words) - 1) < length <= 4 * len(words):
        raise ValueError("the length does not fit")
    return struct.pack(f"<{len(words)}I", *words)[:length]


def _words(data: bytes) -> list[int]:
    padded = data + bytes(-len(data) % 4)
    return list(struct.unpack(f"<{len(padded) // 4}I", padded))


def _mixed(before: int, after: int, total: int, keys: Sequence[int], place: int) -> int:
    shifted = ((before >> 5) ^ (after << 2)) + ((after >> 3) ^ (before << 4))
    return shifted & _MASK ^ ((total ^ after) + (keys[(place & 3) ^ (total >> 2 & 3)] ^ before)) & _MASK
