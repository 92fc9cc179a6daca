"""Processes that fork: what a child does with what it has inherited.

A forked child has a copy of everything, but only the thread that forked. What it shares with its parent (sockets, locks
on files) must not be used by both, and a lock that another thread held at that moment is never released in the child.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Inherited", "in_children"]


class Inherited(Protocol):
    """Something that a child has to treat in its own way."""

    def forked(self) -> None:
        """Called in a child, in its only thread, before anything else there. It must not wait for any lock."""


_inherited: WeakSet[Inherited] = WeakSet()


def in_children(thing: Inherited) -> None:
    """Let `thing` know in every process that is forked from this one, as long as it is in use."""
    _inherited.add(thing)


def _in_child() -> None:
    _renew_locks()
    for thing in list(_inherited):
        thing.forked()


def _renew_locks() -> None:
    """Give cached properties new locks: until Python 3.12 they have one, that another thread may have held."""
    if sys.version_info >= (3, 12):
        return
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in {"mailstore", "mailstored"}:
            continue
        for kind in [value for value in vars(module).values() if isinstance(value, type)]:
            for attribute in vars(kind).values():
                if isinstance(attribute, functools.cached_property):
                    vars(attribute)["lock"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
