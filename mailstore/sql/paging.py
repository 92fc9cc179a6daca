"""Reading long lists in pages by key: constant memory, no open cursor, and the last page costs what the first does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["pages"]

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", str, int)


def pages(
    fetch: Callable[[_Key], Sequence[_Item]], key: Callable[[_Item], _Key], *, start: _Key, size: int
) -> Iterator[Sequence[_Item]]:
    """Iterate over pages.

    Parameters
    ----------
    fetch: returns up to `size` items whose key comes after the given one, in the order of their keys.
    key: returns the key of an item.
    start: comes before all keys.
    """
    after = start
    while True:
        page = fetch(after)
        yield page
        if len(page) < size:
            return
        after = key(page[-1])
