"""Homes that come from elsewhere: made ready beside the others in their root, and put in place in one step."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from mailstore.disk import dirfd
from mailstore.disk.dirfd import Removed
from mailstore.disk.errors import reporting
from mailstore.disk.search import ARRIVING
from mailstore.errors import HomeExists
from mailstore.maildir import Homes

__all__ = ["Arrivals"]

_DONE = ".done"
"""Behind the name of an arrival: a file with the number of the directory that was put in place."""


class Arrivals(Homes):
    """Homes, and in each root a directory for those that are on their way.

    What is not complete is in nobody's way there and is found again by the next run; a home that somebody has is never
    replaced. When all homes have arrived, nothing in those directories is needed any more.
    """

    @classmethod
    def of(cls, homes: Homes) -> Arrivals:
        """Return the same homes as arrivals."""
        made = cls.__new__(cls)
        made.__dict__.update(vars(homes))
        return made

    def free(self, home: str) -> tuple[int, int]:
        """Return the number of the file system in which a home lies, or will, and how many bytes it has room for."""
        place = self._locate(home)
        with reporting("cannot look at", place.root), self._root(place.root) as root:
            status = os.statvfs(root)
            return os.fstat(root).st_dev, status.f_bavail * status.f_frsize

    def arrived(self, home: str) -> bool:
        """Tell whether what is at the home was put there from here."""
        place = self._locate(home)
        with reporting("cannot look for", place.home), self._root(place.root) as root:
            try:
                with dirfd.descended(root, (ARRIVING,)) as arriving, dirfd.descended(root, place.names) as fd:
                    return _noted(arriving, _name(place.home)) == os.fstat(fd).st_ino
            except FileNotFoundError:
                return False

    def occupied(self, home: str) -> bool:
        """Tell whether a home is there and holds any file. In a root that is empty, none is."""
        place = self._locate(home)
        with reporting("cannot look into", place.home), self._root(place.root) as root:
            try:
                with dirfd.descended(root, place.names) as fd:
                    return any(next(visit.files, None) is not None for visit in dirfd.walk(fd, dirfd.unfailing))
            except FileNotFoundError:
                return False

    def ready(self, home: str) -> Removed | None:
        """Return what there is of a home that is being made ready; None if nothing is."""
        place = self._locate(home)
        with reporting("cannot look for", place.home), self._root(place.root) as root:
            try:
                with dirfd.descended(root, (ARRIVING, _name(place.home))) as fd:
                    return dirfd.contents(fd)
            except FileNotFoundError:
                return None

    @contextmanager
    def under_way(self, home: str) -> Iterator[int]:
        """Give a descriptor of the directory in which a home is made ready; it is made if it is not there."""
        place = self._locate(home)
        with (
            reporting("cannot make ready", place.home),
            self._root(place.root) as root,
            self._own_directory(ARRIVING, place.root, root, make=True) as arriving,
        ):
            with suppress(FileExistsError):
                dirfd.make(arriving, (_name(place.home),), self._owner_below(root), self._mode)
            with dirfd.opened(_name(place.home), dirfd.READ, dir_fd=arriving) as fd:
                dirfd.take_over_unfinished(fd, self._owner_below(root), self._mode)
                yield fd

    def take(self, source: Homes, old: str, new: str, *, below: Sequence[str] = (), into: Sequence[str] = ()) -> None:
        """Move a home, or the directory `below` it, out of another place to where one is made ready, or `into` that.

        That is one rename. Raises HomeRefused between file systems, and for what `Homes.set_aside` refuses.
        """
        origin, place = source._locate(old), self._locate(new)
        names = (*origin.names, *below)
        with (
            reporting("cannot move", origin.home),
            source._root(origin.root) as top,
            source._removable(origin, top),
            dirfd.descended(top, names[:-1]) as above,
            self._root(place.root) as root,
            self._own_directory(ARRIVING, place.root, root, make=True) as arriving,
        ):
            if into:
                with self.under_way(new) as fd:
                    os.rename(names[-1], into[-1], src_dir_fd=above, dst_dir_fd=fd)
                    dirfd.sync(fd)
            else:  # over an empty directory, or to where none is
                os.rename(names[-1], _name(place.home), src_dir_fd=above, dst_dir_fd=arriving)
                dirfd.sync(arriving)
            dirfd.sync(above)

    def settle(self, home: str) -> None:
        """Put a home that is ready in place. Raises HomeExists if there is one that holds anything."""
        place = self._locate(home)
        with (
            reporting("cannot put in place", place.home),
            self._root(place.root) as root,
            self._own_directory(ARRIVING, place.root, root, make=False) as arriving,
        ):
            name = _name(place.home)
            _remove_empty(root, place.names, place.home)
            with dirfd.opened(name, dirfd.READ, dir_fd=arriving) as fd:
                _note(arriving, name, os.fstat(fd).st_ino)
            self._move_back(name, arriving, place, root)


def _name(home: str) -> str:
    """Return what a home is called while it is on its way: its path may be longer than a name can be."""
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:40]


def _note(arriving: int, name: str, inode: int) -> None:
    """Note which directory is put in place; that comes first, so that it is known again whatever happens."""
    fd = os.open(f"{name}{_DONE}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=arriving)
    try:
        os.write(fd, b"%d" % inode)
        os.fsync(fd)
    finally:
        os.close(fd)


def _noted(arriving: int, name: str) -> int | None:
    fd = os.open(f"{name}{_DONE}", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=arriving)
    try:
        text = os.read(fd, 32)
    finally:
        os.close(fd)
    return int(text) if text.isdigit() else None


def _remove_empty(root: int, names: Sequence[str], home: str) -> None:
    """Remove a home that holds no file: such are made with an account, and nobody's mail is in them."""
    found: list[tuple[str, ...]] = []
    try:
        with dirfd.descended(root, names) as fd:
            for visit in dirfd.walk(fd, dirfd.unfailing):
                if next(visit.files, None) is not None:
                    raise _occupied(home)
                found.append((*names, *visit.names))
        for one in reversed(found):
            with dirfd.descended(root, one[:-1]) as above:
                os.rmdir(one[-1], dir_fd=above)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise _occupied(home) from error


def _occupied(home: str) -> HomeExists:
    return HomeExists(
        f"there is mail in {home} already, which is left as it is; bring both together with doveadm, or remove one",
        subject=home,
    )
