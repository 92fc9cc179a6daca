"""What the system says when the disk fails, for people: which path, why, and what to do next."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mailstore.errors import HomeError, HomeRefused

__all__ = ["home_error", "reporting", "tell"]

_HINTS = {
    errno.ENOENT: "it does not exist, or no longer",
    errno.EACCES: "run as root or as the owner of the mailboxes, and check the rights of the directories above",
    errno.EPERM: "run as root or as the owner of the mailboxes, and check for immutable files",
    errno.ENOSPC: "make room on the file system (space or inodes) and try again",
    errno.EDQUOT: "raise the file system quota or make room and try again",
    errno.EROFS: "the file system is mounted read-only; check its disk and remount it",
    errno.EBUSY: "it is or contains a mount point; unmount that first",
    errno.EXDEV: "it is on another file system than its root; make that a root of its own",
    errno.ENOTDIR: "a component is a symbolic link or not a directory; look at it and put a directory in its place",
    errno.ELOOP: "a component is a symbolic link; look at it and put a directory in its place",
    errno.ESTALE: "the directory was moved or its server lost it meanwhile; try again",
    errno.ENOTEMPTY: "somebody keeps writing into it; stop that and try again",
}
_REFUSALS = frozenset({errno.EBUSY, errno.EXDEV, errno.ENOTDIR, errno.ELOOP})


def tell(error: HomeError, on_error: Callable[[HomeError], None] | None) -> None:
    """Give an error to who wants to be told, or raise it."""
    if on_error is None:
        raise error
    on_error(error)


@contextmanager
def reporting(doing: str, path: str) -> Iterator[None]:
    """Turn what the system raises in this context into a HomeError that says what was being done to which path."""
    try:
        yield
    except OSError as error:
        raise home_error(doing, path, error) from error


def home_error(doing: str, path: str, error: OSError) -> HomeError:
    """What the system said, for people: which path, why, what to do next."""
    kind = HomeRefused if error.errno in _REFUSALS else HomeError
    at = f" (at {error.filename!r})" if isinstance(error.filename, str) and error.filename not in (".", path) else ""
    hint = _HINTS.get(error.errno or 0)
    translated = kind(f"{doing} {path}: {error.strerror}{at}{'; ' + hint if hint else ''}", subject=path)
    translated.__cause__ = error
    return translated
