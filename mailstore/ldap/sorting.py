"""Sorting answers that do not fit into memory: a directory returns entries in no useful order."""

from __future__ import annotations

import heapq
import marshal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from tempfile import TemporaryFile
from typing import BinaryIO

from mailstore.ldap.entry import Entry
from mailstore.ldap.names import DN

__all__ = ["sorted_entries"]

_RUN = 2000
"""How many entries are held in memory; more of them are sorted in runs on disk, and merged."""


def sorted_entries(
    entries: Iterable[Entry], key: Callable[[Entry], str], *, after: str = "", run: int = _RUN
) -> Iterator[Entry]:
    """Iterate over entries by rising `key`, behind `after`, in memory that does not depend on how many they are."""
    remaining = (entry for entry in entries if key(entry) > after)
    first = sorted(islice(remaining, run), key=key)
    if len(first) < run:
        yield from first
        return
    with ExitStack() as stack:
        runs = [_spilled(first, stack)]
        while batch := sorted(islice(remaining, run), key=key):
            runs.append(_spilled(batch, stack))
        yield from heapq.merge(*map(_read, runs), key=key)


def _spilled(entries: Sequence[Entry], stack: ExitStack) -> BinaryIO:
    # Without a name on disk: entries may hold password hashes.
    file = stack.enter_context(TemporaryFile(prefix="mailstore-"))  # noqa: SIM115 the stack closes it
    for entry in entries:
        marshal.dump((entry.dn, {name: list(values) for name, values in entry.raw.items()}), file)
    file.seek(0)
    return file


def _read(file: BinaryIO) -> Iterator[Entry]:
    while True:
        try:
            name, attributes = marshal.load(file)  # noqa: S302 written by this process a moment ago
        except EOFError:
            return
        yield Entry(DN(name), attributes)
