"""Directory trees by descriptor: no path is resolved twice and no symbolic link is ever followed.

Everything here takes the descriptor of a directory that was opened before, and names below it. Whoever swaps a
directory for a link between two of our steps gains nothing: the steps go through the descriptors. Trees may be of any
depth; the number of descriptors in use stays constant. All functions raise plain ``OSError``; the caller knows which
mailbox it was about.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TypeVar

__all__ = [
    "LOOK",
    "READ",
    "Made",
    "Moved",
    "Removed",
    "Visit",
    "contents",
    "descended",
    "make",
    "opened",
    "regular_sizes",
    "remove_tree",
    "sync",
    "take_over_unfinished",
    "unfailing",
    "unmake",
    "walk",
    "with_access",
]

_T = TypeVar("_T")

_SAFE = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LOOK = os.O_PATH | _SAFE
"""Flags to open a directory in order to go through it; needs no right to read it."""
READ = os.O_RDONLY | _SAFE
"""Flags to open a directory in order to list or sync it."""

_BATCH = 4096  # names held at once while a directory is emptied
_FRUITLESS = 50  # passes without any removal before a tree counts as being filled by somebody else
_WORK_PREFIX = ".gone-"  # sub-directories that removal has moved to the top of the tree


@contextmanager
def opened(name: str, flags: int = LOOK, *, dir_fd: int | None = None) -> Iterator[int]:
    """Descriptor of the directory ``name``, which must not be a symbolic link (then ``NotADirectoryError``)."""
    fd = os.open(name, flags, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def descended(top: int, names: Sequence[str]) -> Iterator[int]:
    """Descriptor (as by ``LOOK``) of the directory ``names`` below ``top``, reached step by step."""
    fd = os.dup(top)
    try:
        for name in names:
            child = os.open(name, LOOK, dir_fd=fd)
            os.close(fd)
            fd = child
        yield fd
    finally:
        os.close(fd)


def sync(directory: int) -> None:
    """Make renames in and out of ``directory`` survive a power failure."""
    with opened(".", READ, dir_fd=directory) as readable:
        os.fsync(readable)


# --- making -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A directory that was made: where, and which one it is, should another take its place."""

    names: tuple[str, ...]
    inode: int


def make(top: int, names: tuple[str, ...], owner: tuple[int, int], mode: int) -> Made:
    """Make the directory ``names`` below ``top``, whose parents exist, for ``owner`` (uid, gid) with exactly ``mode``.

    Raises ``FileExistsError`` if there is anything of that name; leaves nothing if it fails.
    """
    name = names[-1]
    with descended(top, names[:-1]) as parent:
        os.mkdir(name, mode, dir_fd=parent)
        try:
            with opened(name, READ, dir_fd=parent) as fd:
                return Made(names, _hand_over(fd, owner, mode))
        except BaseException:
            with suppress(OSError):
                os.rmdir(name, dir_fd=parent)
            raise


def take_over_unfinished(fd: int, owner: tuple[int, int], mode: int) -> None:
    """Give a directory to its owner if whoever made it, as we do, was interrupted before that: it is ours, and empty."""
    if owner[0] == os.geteuid() or os.fstat(fd).st_uid != os.geteuid():
        return
    with opened(".", READ, dir_fd=fd) as readable, os.scandir(readable) as entries:
        if next(entries, None) is None:
            _hand_over(readable, owner, mode)


def _hand_over(fd: int, owner: tuple[int, int], mode: int) -> int:
    """Give the directory its owner and mode, as far as they differ; returns its inode number."""
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) != owner:
        os.fchown(fd, *owner)
    if stat.S_IMODE(now.st_mode) != mode:
        os.fchmod(fd, mode)
    return now.st_ino


def unmake(top: int, made: Sequence[Made]) -> None:
    """Remove directories that ``make`` made, last first, up to the first that is in use.

    What is gone already, or was replaced by something else, is passed over.
    """
    for one in reversed(made):
        try:
            with descended(top, one.names[:-1]) as parent:
                if os.stat(one.names[-1], dir_fd=parent, follow_symlinks=False).st_ino == one.inode:
                    os.rmdir(one.names[-1], dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if _not_empty(error):
                return
            raise


def _not_empty(error: OSError) -> bool:
    return error.errno in (errno.ENOTEMPTY, errno.EEXIST)


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass
class Visit:
    """A directory under ``walk``; valid until the next one is asked for.

    ``names`` lead to it from the top, ``files`` are its entries other than directories, to be read once, and ``subdirs``
    the names of its directories, complete when ``files`` is exhausted. Taking names out of ``subdirs`` spares them.
    """

    fd: int
    names: list[str]
    subdirs: list[str] = field(default_factory=list)
    files: Iterator[os.DirEntry[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.files = self._sorted_out()

    def _sorted_out(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self.fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self.subdirs.append(entry.name)
                else:
                    yield entry

    def exhaust(self) -> None:
        """Read what is left of ``files``, so that ``subdirs`` is complete."""
        for _ in self.files:
            pass


class Moved(OSError):
    """A directory was moved away under a walk; what it holds was not visited completely."""


def walk(top: int, on_error: Callable[[list[str], OSError], None]) -> Iterator[Visit]:
    """Visit ``top`` and all directories below it, parents first, with one descriptor at any depth.

    A directory that cannot be opened is told to ``on_error`` (its names from the top, the error), which may raise; so is
    one that was moved away before all below it was visited (`Moved`). One that vanished meanwhile is not an error.
    """
    fd: int | None = os.open(".", READ, dir_fd=top)
    names: list[str] = []
    levels: list[_Level] = []
    try:
        while fd is not None:
            visit = Visit(fd, names)
            yield visit
            visit.exhaust()
            levels.append(_Level(_identity(fd), visit.subdirs))
            fd = _next(top, fd, names, levels, on_error)
    finally:
        if fd is not None:
            os.close(fd)


@dataclass(frozen=True)
class _Level:
    identity: tuple[int, int]
    pending: list[str]


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _next(
    top: int, fd: int, names: list[str], levels: list[_Level], on_error: Callable[[list[str], OSError], None]
) -> int | None:
    """The next directory of a walk: below ``fd`` if one is pending there, else below the nearest one further up.

    Closes ``fd`` unless it raises; going up re-uses its number, so that the caller always knows what to close.
    """
    while True:
        child = _first_pending(fd, names, levels[-1].pending, on_error)
        if child is not None:
            os.close(fd)
            return child
        levels.pop()
        if not levels:
            os.close(fd)
            return None
        names.pop()
        above = _above(fd, levels[-1].identity)
        if above is None:
            above = _found_again(top, names, levels[-1].identity)
        if above is None:
            _give_up(names, levels[-1].pending, on_error)
        else:
            os.dup2(above, fd, inheritable=False)
            os.close(above)


def _give_up(names: list[str], pending: list[str], on_error: Callable[[list[str], OSError], None]) -> None:
    """Forget what was still to be visited below a directory that was moved away."""
    if pending:
        pending.clear()
        on_error([*names], Moved(errno.ESTALE, "the directory was moved while it was being read"))


def _first_pending(
    fd: int, names: list[str], pending: list[str], on_error: Callable[[list[str], OSError], None]
) -> int | None:
    while pending:
        name = pending.pop()
        try:
            child = os.open(name, READ, dir_fd=fd)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            on_error([*names, name], error)
            continue
        names.append(name)
        return child
    return None


def _above(fd: int, expected: tuple[int, int]) -> int | None:
    """The directory above ``fd``; ``None`` if that is not the one that the walk came from: ``fd`` was moved meanwhile."""
    try:
        above = os.open("..", READ, dir_fd=fd)
    except OSError:  # removed, or moved to where we have no rights
        return None
    return _if_same(above, expected)


def _found_again(top: int, names: list[str], expected: tuple[int, int]) -> int | None:
    """The directory ``names`` below ``top``; ``None`` if it is gone, or another has taken its place."""
    try:
        with descended(top, names) as fd:
            found = os.open(".", READ, dir_fd=fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _if_same(found, expected)


def _if_same(fd: int, expected: tuple[int, int]) -> int | None:
    if _identity(fd) == expected:
        return fd
    os.close(fd)
    return None


def unfailing(_names: list[str], error: OSError) -> None:
    """For `walk`: raise what cannot be read."""
    raise error


def regular_sizes(entries: Iterator[os.DirEntry[str]]) -> Iterator[int]:
    """Sizes in bytes of the regular files among ``entries``; messages may vanish while we look."""
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue


# --- removing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Removed:
    """What a removal took away: everything but directories in ``files``, and the size of regular files in ``bytes``."""

    files: int = 0
    bytes: int = 0


def contents(top: int) -> Removed:
    """What `remove_tree` would take away of a directory."""
    files = size = 0
    for visit in walk(top, unfailing):
        entries = list(visit.files)
        files += len(entries)
        size += sum(regular_sizes(iter(entries)))
    return Removed(files, size)


def remove_tree(name: str, parent: int, progress: Callable[[int], None] | None = None) -> Removed:
    """Remove the directory ``name`` in ``parent`` with all it holds; returns what this call removed.

    May be broken off anywhere and called again, also by several processes at once: what is gone already is no error.
    ``progress`` is called now and then with the number of files removed so far. Mount points inside are an ``OSError``
    with ``EBUSY``; what is mounted there is not touched.
    """
    try:
        top = _open_for_removal(name, parent)
    except FileNotFoundError:
        return Removed()
    try:
        removal = _Removal(top, progress or (lambda _files: None))
        _sweep_until_gone(removal, name, parent)
        return Removed(removal.files, removal.bytes)
    finally:
        os.close(top)


def _sweep_until_gone(removal: _Removal, name: str, parent: int) -> None:
    """Sweep until the emptied tree itself can go; other removers, full disks and odd listings cost more passes."""
    fruitless = 0
    while True:
        before = removal.steps
        removal.sweep()
        try:
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except OSError as error:
            fruitless = 0 if removal.steps > before else fruitless + 1
            if not _not_empty(error) or fruitless == _FRUITLESS:
                raise
        else:
            return


class _Removal:
    """Removes what is below ``top`` by flattening it.

    Every sub-directory is first renamed to a work name directly below ``top`` and then emptied there. So the tree is
    never deeper than two levels, whatever its depth was; and since the kernel refuses to rename a mount point, nothing
    that is mounted inside is ever entered.
    """

    def __init__(self, top: int, progress: Callable[[int], None]) -> None:
        self.files = self.bytes = 0
        self.steps = 0  # anything removed or moved
        self._top = top
        self._progress = progress
        token = secrets.token_hex(4)
        self._work_names = (f"{_WORK_PREFIX}{token}-{number}" for number in count())

    def sweep(self) -> None:
        waiting = self._empty(self._top)
        while waiting:
            name = waiting.pop()
            try:
                fd = _open_for_removal(name, self._top)
            except FileNotFoundError:
                continue
            try:
                waiting += self._empty(fd)
            finally:
                os.close(fd)
            self._rmdir(name)

    def _empty(self, fd: int) -> list[str]:
        """Unlink the files in ``fd`` and move its directories to the top; returns their work names."""
        subdirs: list[str] = []
        with os.scandir(fd) as entries:
            while batch := list(islice(entries, _BATCH)):
                batch.sort(key=os.DirEntry.inode)  # neighbours on the disk one after the other
                subdirs += self._unlink_files(batch, fd)
                self._progress(self.files)
        return [moved for name in subdirs if (moved := self._move_to_top(name, fd))]

    def _unlink_files(self, batch: list[os.DirEntry[str]], fd: int) -> list[str]:
        """Unlink the files of ``batch``; returns the names of its directories."""
        subdirs = []
        unlinked = 0
        for entry in batch:
            if entry.is_dir(follow_symlinks=False):
                subdirs.append(entry.name)
                continue
            try:
                size = entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else 0
                os.unlink(entry.name, dir_fd=fd)
                unlinked += 1
                self.bytes += size
            except FileNotFoundError:  # another remover was here
                pass
        self.files += unlinked
        self.steps += unlinked
        return subdirs

    def _move_to_top(self, name: str, fd: int) -> str | None:
        """Rename a directory to a work name below the top; ``None`` if it is gone or must wait for the next pass.

        What has a work name already, from a broken-off removal or of another remover, is renamed as well: only that
        proves that nothing is mounted there.
        """
        work_name = next(self._work_names)
        try:
            with_access(name, fd, lambda: os.rename(name, work_name, src_dir_fd=fd, dst_dir_fd=self._top))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # the files removed meanwhile make room
                return None
            raise
        if fd != self._top or not name.startswith(_WORK_PREFIX):
            self.steps += 1
        return work_name

    def _rmdir(self, name: str) -> None:
        try:
            os.rmdir(name, dir_fd=self._top)
            self.steps += 1
        except FileNotFoundError:
            pass
        except OSError as error:
            if not _not_empty(error):  # the next pass sees what is left
                raise


def _open_for_removal(name: str, parent: int) -> int:
    """Open a directory that is to be emptied, giving its owner (us) the rights to do so."""
    fd = with_access(name, parent, lambda: os.open(name, READ, dir_fd=parent))
    if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with suppress(PermissionError):  # then it is not ours, and what fails is the unlink
            os.fchmod(fd, stat.S_IRWXU)
    return fd


def with_access(name: str, parent: int, action: Callable[[], _T]) -> _T:
    """Do ``action``; if rights on the directory ``name`` are missing, take them and try once more."""
    try:
        return action()
    except PermissionError:
        # Without /proc nothing changes, and the second try says again which right is missing.
        with opened(name, LOOK, dir_fd=parent) as fd, suppress(OSError):
            os.chmod(f"/proc/self/fd/{fd}", stat.S_IRWXU)  # noqa: PTH101 - fchmod refuses such descriptors
        return action()
