"""Finding homes below a root by what they look like."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from mailstore.disk import dirfd
from mailstore.disk.errors import home_error, tell
from mailstore.errors import HomeError

__all__ = ["ARRIVING", "MAILDIR_PARTS", "OWN", "TRASH", "homes_below"]

MAILDIR_PARTS = ("cur", "new", "tmp")
TRASH = ".mailstore-trash"
"""Name of the directory in each root that holds the homes set aside."""
ARRIVING = ".mailstore-arriving"
"""Name of the directory in each root that holds homes on their way from elsewhere; nobody uses them yet."""
OWN = (TRASH, ARRIVING)
"""The directories in each root that are no homes and hold none."""


def homes_below(top: int, root: str, folder: str | None, on_error: Callable[[HomeError], None] | None) -> Iterator[str]:
    """Iterate over the homes below ``root``, open as ``top``; see `mailstore.maildir.Homes.find_homes`."""

    def unreadable(names: list[str], error: OSError) -> None:
        if not isinstance(error, dirfd.Moved):  # homes that went elsewhere are not here any more
            tell(home_error("cannot search", "/".join((root, *names)), error), on_error)

    for visit in dirfd.walk(top, unreadable):
        visit.exhaust()
        if not visit.names:
            visit.subdirs[:] = [name for name in visit.subdirs if name not in OWN]
        elif _looks_like_home(visit, folder):
            visit.subdirs.clear()
            yield "/".join((root, *visit.names))


def _looks_like_home(visit: dirfd.Visit, folder: str | None) -> bool:
    if folder == "":
        return set(MAILDIR_PARTS) <= set(visit.subdirs)
    return any(_is_maildir(name, visit.fd) for name in visit.subdirs if folder in (None, name))


def _is_maildir(name: str, parent: int) -> bool:
    try:
        with dirfd.opened(name, dir_fd=parent) as fd:
            modes = [os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode for part in MAILDIR_PARTS]
    except OSError:  # what cannot be read is reported when the walk gets there
        return False
    return all(stat.S_ISDIR(mode) for mode in modes)
