"""The part of PHP's serialised text that tokens are made of: one array of strings and integers."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["dump", "load"]

_ARRAY = re.compile(rb"a:(\d{1,9}):\{")
_STRING = re.compile(rb's:(\d{1,9}):"')
_INTEGER = re.compile(rb"i:(-?\d{1,18});")


def dump(values: Mapping[str, str | int]) -> bytes:
    """Return an array with string keys as PHP serialises it; lengths count bytes."""
    inner = b"".join(_dumped(key) + _dumped(value) for key, value in values.items())
    return b"a:%d:{%s}" % (len(values), inner)


def load(data: bytes) -> dict[str | int, str | int]:
    """Return the array in a serialised text. Raises ValueError for anything else."""
    head = _ARRAY.match(data)
    if not head:
        raise ValueError("no serialised array")
    found: dict[str | int, str | int] = {}
    position = head.end()
    for _ in range(int(head[1])):
        key, position = _loaded(data, position)
        found[key], position = _loaded(data, position)
    if data[position:] != b"}":
        raise ValueError("the array does not end where it should")
    return found


def _dumped(value: str | int) -> bytes:
    if isinstance(value, int):
        return b"i:%d;" % value
    text = value.encode()
    return b's:%d:"%s";' % (len(text), text)


def _loaded(data: bytes, position: int) -> tuple[str | int, int]:
    if number := _INTEGER.match(data, position):
        return int(number[1]), number.end()
    head = _STRING.match(data, position)
    if not head:
        raise ValueError("neither a string nor an integer")
    end = head.end() + int(head[1])
    if data[end : end + 2] != b'";':
        raise ValueError("a string has not the length that it says")
    return data[head.end() : end].decode(), end + 2
