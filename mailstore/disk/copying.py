"""Copying a tree so that it can be broken off and taken up again: what is there already and equal is left alone."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mailstore.disk import dirfd

__all__ = ["Copied", "Plan", "mirror"]

_CHUNK = 8 << 20
_PASSES = 10
_PARTIAL = ".mailstore-partial"
"""The name of a file that is being written. It is on nobody's way: a tree that is not complete is not used."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a copy is to look like.

    Parameters
    ----------
    place: the names that lead to a directory of the copy, by those of the source, the top's being empty; None leaves it out
        with its files, but not what is below.
    content: how the content of a file changes, by the names of its directory and its own; None for most, which are copied
        as they are.
    skipped: whether a file stays behind, by the names of its directory and its own.
    owner: uid and gid that the copy of a file gets, by its own.
    """

    place: Callable[[Sequence[str]], Sequence[str] | None] = tuple
    content: Callable[[Sequence[str], str], Callable[[bytes], bytes] | None] = field(default=lambda _names, _file: None)
    skipped: Callable[[Sequence[str], str], bool] = field(default=lambda _names, _file: False)
    owner: Callable[[int, int], tuple[int, int]] = field(default=lambda uid, gid: (uid, gid))


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy took: the files written anew, and their bytes."""

    files: int = 0
    bytes: int = 0


def mirror(source: int, target: int, plan: Plan) -> Copied:
    """Make the directory `target` a copy of the directory `source`: content, times, modes, owners, links, and nothing else.

    It is looked at again until nothing changes any more, because who renames a message meanwhile hides it from a listing.
    Sockets and pipes are left out, symbolic links are copied as links. Raises OSError, ESTALE if changes do not end.
    """
    files = size = 0
    for _ in range(_PASSES):
        one = _Pass(source, target, plan)
        one.run()
        files, size = files + one.files, size + one.bytes
        if not one.changed:
            return Copied(files, size)
    raise OSError(errno.ESTALE, "somebody keeps changing it while it is copied")


class _Pass:
    """One look at everything."""

    def __init__(self, source: int, target: int, plan: Plan) -> None:
        self.files = self.bytes = 0
        self.changed = False
        self._source = source
        self._target = target
        self._plan = plan
        self._made: set[tuple[str, ...]] = {()}
        self._links: dict[tuple[int, int], tuple[tuple[str, ...], str]] = {}
        """Where the first name of a message with several names was copied to."""

    def run(self) -> None:
        for visit in dirfd.walk(self._source, dirfd.unfailing):
            names = tuple(visit.names)
            place = self._plan.place(names)
            if place is None:
                visit.exhaust()
                continue
            where = tuple(place)
            files = self._directory(visit, where)
            with dirfd.descended(self._target, where) as fd:
                self._remove_others(fd, files)
        self._remove_other_directories()

    def _directory(self, visit: dirfd.Visit, where: tuple[str, ...]) -> set[str]:
        """Copy the files of a directory. Returns their names."""
        names, seen = tuple(visit.names), set()
        self._make(where, os.fstat(visit.fd))
        with dirfd.descended(self._target, where) as fd:
            for entry in visit.files:
                if self._plan.skipped(names, entry.name):
                    continue
                try:
                    if self._entry(visit.fd, fd, names, where, entry):
                        seen.add(entry.name)
                except FileNotFoundError:  # renamed meanwhile: the next look finds it
                    self.changed = True
        return seen

    def _make(self, where: tuple[str, ...], like: os.stat_result) -> None:
        """Make a directory of the copy with all above it, like the one that it is a copy of."""
        for length in range(1, len(where) + 1):
            if where[:length] in self._made:
                continue
            self._made.add(where[:length])
            with dirfd.descended(self._target, where[: length - 1]) as above:
                with suppress(FileExistsError):
                    os.mkdir(where[length - 1], 0o700, dir_fd=above)
                    self.changed = True
                with dirfd.opened(where[length - 1], dirfd.READ, dir_fd=above) as fd:
                    self._hand_over(fd, like)

    def _hand_over(self, fd: int, like: os.stat_result) -> None:
        now, owner = os.fstat(fd), self._plan.owner(like.st_uid, like.st_gid)
        if (now.st_uid, now.st_gid) != owner:
            os.fchown(fd, *owner)
        if stat.S_IMODE(now.st_mode) != stat.S_IMODE(like.st_mode):
            os.fchmod(fd, stat.S_IMODE(like.st_mode))

    def _entry(
        self, source: int, target: int, names: tuple[str, ...], where: tuple[str, ...], entry: os.DirEntry[str]
    ) -> bool:
        """Copy one entry. Returns whether the copy has such a thing."""
        status = os.stat(entry.name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            self._symlink(source, target, entry.name, status)
            return True
        if not stat.S_ISREG(status.st_mode):
            return False
        change = self._plan.content(names, entry.name)
        if not self._is_there(target, entry.name, status, exact=change is None):
            self.changed = True
            if not (status.st_nlink > 1 and self._linked(target, entry.name, status)):
                self._file(source, target, entry.name, change)
        if status.st_nlink > 1:
            self._links.setdefault((status.st_dev, status.st_ino), (where, entry.name))
        return True

    @staticmethod
    def _is_there(target: int, name: str, status: os.stat_result, *, exact: bool) -> bool:
        with suppress(FileNotFoundError):
            there = os.stat(name, dir_fd=target, follow_symlinks=False)
            same = stat.S_ISREG(there.st_mode) and there.st_mtime_ns == status.st_mtime_ns
            return same and (not exact or there.st_size == status.st_size)
        return False

    def _linked(self, target: int, name: str, status: os.stat_result) -> bool:
        """Give a message that was copied already another name."""
        where, first = self._links.get((status.st_dev, status.st_ino), ((), ""))
        if not first:
            return False
        with suppress(FileNotFoundError):
            os.unlink(_PARTIAL, dir_fd=target)
        with dirfd.descended(self._target, where) as fd:
            os.link(first, _PARTIAL, src_dir_fd=fd, dst_dir_fd=target, follow_symlinks=False)
        os.rename(_PARTIAL, name, src_dir_fd=target, dst_dir_fd=target)
        return True

    def _file(self, source: int, target: int, name: str, change: Callable[[bytes], bytes] | None) -> None:
        read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        try:
            with suppress(FileNotFoundError):  # of a run that was broken off
                os.unlink(_PARTIAL, dir_fd=target)
            write = os.open(_PARTIAL, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
            try:
                size = _copy(read, write) if change is None else _write(write, change(_whole(read)))
                like = os.fstat(read)
                self._hand_over(write, like)
                os.utime(write, ns=(like.st_atime_ns, like.st_mtime_ns))
            finally:
                os.close(write)
        finally:
            os.close(read)
        os.rename(_PARTIAL, name, src_dir_fd=target, dst_dir_fd=target)
        self.files += 1
        self.bytes += size

    def _symlink(self, source: int, target: int, name: str, status: os.stat_result) -> None:
        text = os.readlink(name, dir_fd=source)
        with suppress(FileNotFoundError, OSError):
            if os.readlink(name, dir_fd=target) == text:
                return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=target)
        os.symlink(text, name, dir_fd=target)
        owner = self._plan.owner(status.st_uid, status.st_gid)
        now = os.stat(name, dir_fd=target, follow_symlinks=False)
        if (now.st_uid, now.st_gid) != owner:
            os.chown(name, *owner, dir_fd=target, follow_symlinks=False)
        self.changed = True

    def _remove_others(self, target: int, files: set[str]) -> None:
        """Remove the files that are in the copy and not in the source: they were there when it was broken off."""
        with dirfd.opened(".", dirfd.READ, dir_fd=target) as readable, os.scandir(readable) as entries:
            others = [
                entry.name for entry in entries if entry.name not in files and not entry.is_dir(follow_symlinks=False)
            ]
        for name in others:
            os.unlink(name, dir_fd=target)
            self.changed = True

    def _remove_other_directories(self) -> None:
        for visit in dirfd.walk(self._target, dirfd.unfailing):
            visit.exhaust()
            others = [name for name in visit.subdirs if (*visit.names, name) not in self._made]
            visit.subdirs[:] = [name for name in visit.subdirs if name not in others]
            for name in others:
                dirfd.remove_tree(name, visit.fd)
                self.changed = True


def _copy(read: int, write: int) -> int:
    size = 0
    while sent := os.sendfile(write, read, None, _CHUNK):  # from where it was read last
        size += sent
    return size


def _whole(read: int) -> bytes:
    with os.fdopen(os.dup(read), "rb") as stream:
        return stream.read()


def _write(write: int, content: bytes) -> int:
    with os.fdopen(os.dup(write), "wb") as stream:
        stream.write(content)
    return len(content)
