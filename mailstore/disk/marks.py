"""The mark of a root: which store purges it. It lies in the root, and goes with copies of it.

It is a symbolic link that leads nowhere, whose target is the text: such a link is made and read in one step, without a
moment in which it is empty, on every file system.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mailstore.disk import dirfd

__all__ = ["MARK", "Mark", "read_mark", "write_mark"]

MARK = ".mailstore-purged-by"
"""The name of the link."""
_LONGEST_NAME, _MOST_FORMER = 300, 200  # a target has 4,095 octets at most


@dataclass(frozen=True)
class Mark:
    """The ``key`` and ``name`` of the store that purges a root, and the ``former`` keys of whose trash is its now."""

    key: str
    name: str
    former: Sequence[str] = ()


def read_mark(root: int) -> Mark | None:
    """Return the mark in a root, None if there is none. Raises OSError, ValueError for what is none."""
    try:
        found = json.loads(os.readlink(MARK, dir_fd=root))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError("it is no link") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ("key", "name")):
        raise ValueError("it names no store")
    return Mark(found["key"], found["name"], tuple(map(str, found.get("former", ()))))


def write_mark(root: int, mark: Mark, *, replace: bool) -> bool:
    """Put a mark into a root, in one step. Returns False if there is one already and `replace` is not set."""
    former = list(mark.former)[-_MOST_FORMER:]
    text = json.dumps({"key": mark.key, "name": mark.name[:_LONGEST_NAME], "former": former}, ensure_ascii=False)
    name = f"{MARK}.{secrets.token_hex(4)}" if replace else MARK
    try:
        os.symlink(text, name, dir_fd=root)
    except FileExistsError:
        return False
    if replace:
        try:
            os.rename(name, MARK, src_dir_fd=root, dst_dir_fd=root)
        except BaseException:
            with suppress(OSError):
                os.unlink(name, dir_fd=root)
            raise
    dirfd.sync(root)
    return True
