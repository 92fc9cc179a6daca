"""Mailbox homes on disk: where they lie, making, measuring, setting aside and removing them.

A *home* is the directory above ``Maildir``; it also holds sieve scripts and indexes. Homes lie strictly below configured
*roots*, and Dovecot lower-cases their whole path, so this module does too. Removal has two steps: `Homes.set_aside`
moves a home into the trash of its root in one atomic rename, `Homes.unlink` removes it from there, however long it takes.

What must never happen is guarded here and nowhere else: touching a path outside the roots, going through a symbolic
link, moving a home of a foreign owner, taking over a directory that exists already, and mistaking a home that cannot be
read, or whose file system is not mounted, for one that does not exist.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mailstore.disk import dirfd
from mailstore.disk.dirfd import Removed
from mailstore.disk.errors import reporting, tell
from mailstore.disk.layout import normal_home
from mailstore.disk.marks import MARK, Mark, read_mark, write_mark
from mailstore.disk.mounts import mounts_below
from mailstore.disk.search import MAILDIR_PARTS, OWN, TRASH, homes_below
from mailstore.errors import ConfigurationError, HomeError, HomeExists, HomeRefused, InvalidValue
from mailstore.model import Usage

__all__ = ["TRASH", "CreatedHome", "Homes", "Trashed"]

_FORMATS = ("maildir", "mdbox", "sdbox")
_FOLDER = re.compile(r"[A-Za-z0-9]{0,20}")
_KEY = re.compile(r"[a-z0-9-]{1,200}")
_SETTLED, _REMOVING = ".settled", ".removing"  # early versions marked the former, too
_TRASH_ENTRY = re.compile(rf"(?P<key>{_KEY.pattern})\.[0-9a-f]{{8}}(?:\.settled|\.removing)?")
_RACES = 50  # how often a parent level may be removed by somebody else's undo before we give up


# --- what is handed out -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trashed:
    """A home in the trash of ``root``, set aside under the caller's ``key``, at ``path``."""

    root: str
    key: str
    path: str

    @property
    def removing(self) -> bool:
        """Whether its removal has begun, after which it cannot be put back."""
        return self.path.endswith(_REMOVING)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class CreatedHome:
    """A home that `Homes.create` made or completed, and which directories that took."""

    home: str
    root: str
    made: tuple[dirfd.Made, ...] = field(repr=False)

    def undo(self) -> None:
        """Remove exactly the directories that were made, last first, up to the first that is no longer empty.

        May be called again. Raises `HomeError` if one cannot be removed for another reason.
        """
        with reporting("cannot remove the newly made", self.home), dirfd.opened(self.root) as root:
            dirfd.unmake(root, self.made)


# --- the homes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """A home as a root and the names that lead to it from there."""

    root: str
    names: tuple[str, ...]

    @property
    def home(self) -> str:
        return "/".join((self.root, *self.names))


class Homes:
    """The mailbox homes below some roots.

    Parameters
    ----------
    roots: the directories below which homes may be touched; new homes go below the first. Absolute, lower case, not
        ``/``, not symbolic links, none below another. They need not exist yet: file systems may be mounted later.
    owner: uid and gid that new homes get; existing ones must have that uid. ``None``: those of their root directory.
    mode: permission bits of all directories made.

    Every method takes homes as absolute paths, lower-cases them, and raises `InvalidValue` for one that cannot be a
    home, `HomeRefused` for one that a safety rule forbids to touch, and `HomeError` when the disk fails.
    """

    def __init__(self, roots: Sequence[str | Path], *, owner: tuple[int, int] | None = None, mode: int = 0o700) -> None:
        self.roots = _checked_roots(roots)
        self._owner = owner
        self._mode = mode

    # --- finding

    def root_of(self, home: str) -> str | None:
        """The configured root that ``home`` lies strictly under, if any."""
        home = normal_home(home)
        return next((root for root in self.roots if home.startswith(root + "/")), None)

    def exists(self, home: str) -> bool:
        """Whether the home is there.

        False only when its root can be read, is not empty, and holds no such path. Anything that leaves a doubt raises
        `HomeError`: a missing or empty root (not mounted?), a directory that cannot be passed.
        """
        place = self._locate(home)
        with reporting("cannot look for", place.home), self._root(place.root) as root:
            try:
                with dirfd.descended(root, place.names):
                    return True
            except FileNotFoundError:
                _refuse_empty(root, place.root)
                return False

    @contextmanager
    def opened(self, home: str, doing: str = "cannot read") -> Iterator[int]:
        """Give a descriptor of the home, reached without any link. ``doing`` says in errors what it is for."""
        place = self._locate(home)
        with (
            reporting(doing, place.home),
            self._root(place.root) as root,
            dirfd.descended(root, place.names) as fd,
        ):
            yield fd

    def owner_of(self, home: str) -> tuple[int, int]:
        """uid and gid of the home."""
        with self.opened(home, "cannot read the owner of") as fd:
            status = os.fstat(fd)
            return status.st_uid, status.st_gid

    def owner_below(self, root: str) -> tuple[int, int]:
        """uid and gid that homes below a root must have."""
        with reporting("cannot read", root), self._root(root) as fd:
            return self._owner_below(fd)

    def is_empty(self, home: str) -> bool:
        """Whether the home is there, with no file in any of its directories."""
        place = self._locate(home)
        with reporting("cannot look into", place.home), self._root(place.root) as root:
            try:
                with dirfd.descended(root, place.names) as fd:
                    return not any(list(visit.files) for visit in dirfd.walk(fd, dirfd.unfailing))
            except FileNotFoundError:
                return False

    def check_owner(self, home: str) -> None:
        """Raise HomeRefused unless the home has the owner that homes below its root must have."""
        place = self._locate(home)
        with (
            reporting("cannot check", place.home),
            self._root(place.root) as root,
            dirfd.descended(root, place.names) as fd,
        ):
            self._check_owner(fd, root, place)

    def contents(self, home: str | Trashed) -> Removed:
        """What `unlink` would remove of a home, or of one in the trash."""
        if isinstance(home, str):
            with self.opened(home, "cannot measure") as fd:
                return dirfd.contents(fd)
        name = self._entry_name(home)
        with (
            reporting("cannot measure", home.path),
            self._root(home.root) as root,
            self._trash(home.root, root) as trash,
            dirfd.opened(name, dir_fd=trash) as fd,
        ):
            return dirfd.contents(fd)

    def measure(self, home: str, *, folder: str = "Maildir") -> Usage:
        """Bytes of all regular files in the home, and messages in every ``cur`` and ``new`` below its ``folder``.

        ``folder`` may be ``""`` if the home itself is the Maildir. Mailboxes of other formats count no messages.
        Symbolic links are not followed. An unreadable directory raises `HomeError`: a part is no measure.
        """
        below = [_checked_folder(folder)] if folder else []
        size = messages = 0
        with self.opened(home, "cannot measure") as fd:
            for visit in dirfd.walk(fd, dirfd.unfailing):
                sizes = list(dirfd.regular_sizes(visit.files))
                size += sum(sizes)
                if visit.names[-1:] in (["cur"], ["new"]) and visit.names[: len(below)] == below:
                    messages += len(sizes)
        return Usage(size, messages)

    def find_homes(
        self, *, folder: str | None = None, on_error: Callable[[HomeError], None] | None = None
    ) -> Iterator[str]:
        """Every directory below the roots that looks like a home, as it is spelt on disk, in no particular order.

        A home holds a Maildir: a directory with ``cur``, ``new`` and ``tmp``. ``folder`` is that directory's name,
        ``None`` for any, ``""`` if homes are Maildirs themselves. The inside of homes and the trash are not searched.
        ``on_error`` is told of what cannot be read; without it, that is raised.
        """
        for root in self.roots:
            try:
                with reporting("cannot search", root), self._root(root) as fd:
                    yield from homes_below(fd, root, folder, on_error)
            except HomeError as error:
                tell(error, on_error)

    # --- making

    def create(
        self, home: str, *, folder: str = "Maildir", mail_format: str = "maildir", adopt: bool = False
    ) -> CreatedHome:
        """Make a home, its missing parents and, for ``mail_format`` maildir, ``folder`` with ``cur``, ``new``, ``tmp``.

        Parameters
        ----------
        folder: name of the mail directory in the home; ``""`` makes the home itself the Maildir.
        mail_format: maildir, mdbox or sdbox; Dovecot makes the inside of the latter two itself.
        adopt: the home must exist already, with the expected owner; only what is missing in it is made.

        A home within another one, which holds ``folder``, is refused: it would go with that. Without ``adopt`` an existing
        home is `HomeExists`: it may hold the mail of another account. Of several racing
        calls for one home exactly one succeeds. A call that fails removes what it made.
        """
        place = self._locate(home)
        parts = _maildir_parts(place.names, _checked_folder(folder), mail_format)
        with reporting("cannot create", place.home), self._root(place.root) as root:
            if folder:
                _refuse_within(place, root, folder)
            if adopt:
                self._check_adoptable(place, root)
                made = self._make_all(root, place, parts)
            else:
                made = self._make_all(root, place, (place.names, *parts))
                _check_still_there(root, place, made)
        return CreatedHome(place.home, place.root, made)

    def _check_adoptable(self, place: _Place, root: int) -> None:
        try:
            with dirfd.descended(root, place.names) as fd:
                self._check_owner(fd, root, place)
        except FileNotFoundError as error:
            message = f"there is no home {place.home} to adopt; create it instead"
            raise HomeRefused(message, subject=place.home) from error

    def _make_all(self, root: int, place: _Place, wanted: Sequence[tuple[str, ...]]) -> tuple[dirfd.Made, ...]:
        """Make the ``wanted`` directories and the parents of the home, all or none of them."""
        for _ in range(_RACES):
            made: list[dirfd.Made] = []
            try:
                for names in (*_parents(place.names), *wanted):
                    self._make_one(root, place, names, made)
            except FileNotFoundError:  # another process gave up and removed the parent that both of us needed
                dirfd.unmake(root, made)
            except BaseException:
                dirfd.unmake(root, made)
                raise
            else:
                return tuple(made)
        raise _vanishing(place)

    def _make_one(self, root: int, place: _Place, names: tuple[str, ...], made: list[dirfd.Made]) -> None:
        try:
            made.append(dirfd.make(root, names, self._owner_below(root), self._mode))
        except FileExistsError as error:
            if names == place.names:
                raise _home_exists(place) from error
            with dirfd.descended(root, names) as fd:  # refuses a symbolic link or a file
                dirfd.take_over_unfinished(fd, self._owner_below(root), self._mode)

    # --- the trash

    def check_removable(self, home: str) -> bool:
        """Whether `set_aside` would find the home; raises what that would raise. Changes nothing."""
        place = self._locate(home)
        with reporting("cannot set aside", place.home), self._root(place.root) as root:
            try:
                with self._removable(place, root):
                    pass
            except FileNotFoundError:
                return self.exists(place.home)
            with suppress(FileNotFoundError), self._trash(place.root, root):
                pass
        return True

    @contextmanager
    def _removable(self, place: _Place, root: int) -> Iterator[tuple[int, int]]:
        """The directory above a home, and the home, after everything was checked that keeps it from being moved."""
        *above, name = place.names
        with dirfd.descended(root, above) as parent, dirfd.opened(name, dir_fd=parent) as home:
            self._check_owner(home, root, place)
            _check_same_device(home, root, place)
            _check_unmounted(place)
            yield parent, home

    def set_aside(self, home: str, key: str) -> Trashed | None:
        """Move a home into the trash of its root, in one atomic and durable step; ``None`` if it does not exist.

        ``key`` names the entry for `find_trashed`, made of ``a-z0-9-``. `HomeRefused` unless every component is a real
        directory, the owner is the expected one, the home is on the file system of its root, and nothing is mounted in it.
        """
        place = self._locate(home)
        if not _KEY.fullmatch(key):
            raise InvalidValue(f"trash key {key!r} may hold only a-z, 0-9 and '-'", subject=place.home)
        entry = f"{key}.{secrets.token_hex(4)}"
        with reporting("cannot set aside", place.home), self._root(place.root) as root:
            try:
                self._move_to_trash(place, root, entry)
            except FileNotFoundError:
                if self.exists(place.home):  # then something else is missing
                    raise
                return None
        return Trashed(place.root, key, f"{place.root}/{TRASH}/{entry}")

    def _move_to_trash(self, place: _Place, root: int, entry: str) -> None:
        name = place.names[-1]
        with self._removable(place, root) as (parent, home), self._trash(place.root, root, make=True) as trash:
            # To move a directory its owner needs the right to write into it; root always may.
            move = partial(os.rename, name, entry, src_dir_fd=parent, dst_dir_fd=trash)
            dirfd.with_access(name, parent, move)
            if not _is_same(home, entry, trash):
                os.rename(entry, name, src_dir_fd=trash, dst_dir_fd=parent)
                message = f"{place.home} was replaced by something else while it was set aside; look at it"
                raise HomeRefused(message, subject=place.home)
            _sync_both(trash, parent, place.home, f"the home is in the trash as {entry}")

    def trashed(
        self, key_prefix: str = "", *, on_error: Callable[[HomeError], None] | None = None
    ) -> Iterator[Trashed]:
        """All entries in the trash of every root, of keys that start with ``key_prefix``; other things are passed over.

        ``on_error`` is told of a root or trash that cannot be read; without it, that is raised.
        """
        for root in self.roots:
            try:
                entries = self._entries(root)
            except HomeError as error:
                tell(error, on_error)
                continue
            yield from (entry for entry in entries if entry.key.startswith(key_prefix))

    def find_trashed(self, ending: str, home: str) -> list[Trashed]:
        """The entries whose key ends with ``ending``, in the trash of the root that ``home`` is in."""
        return [entry for entry in self._entries(self._locate(home).root) if entry.key.endswith(ending)]

    def mark(self, root: str) -> Mark | None:
        """The mark of a root, which tells who purges it; None if nobody has marked it. `HomeRefused` for what is none."""
        with reporting("cannot read the mark of", root), self._root(root) as fd:
            try:
                return read_mark(fd)
            except ValueError as error:
                raise HomeRefused(
                    f"{root}/{MARK} is no mark of mailstore ({error}); look at it", subject=root
                ) from error

    def set_mark(self, root: str, mark: Mark, *, replace: bool = False) -> bool:
        """Mark a root; False if it is marked already and ``replace`` is not set."""
        with reporting("cannot mark", root), self._root(root) as fd:
            return write_mark(fd, mark, replace=replace)

    def _entries(self, root: str) -> list[Trashed]:
        with reporting("cannot list the trash of", root), self._root(root) as fd:
            try:
                with self._trash(root, fd) as trash, os.scandir(trash) as entries:
                    names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            except FileNotFoundError:
                return []
        matches = [match for name in sorted(names) if (match := _TRASH_ENTRY.fullmatch(name))]
        return [Trashed(root, match["key"], f"{root}/{TRASH}/{match[0]}") for match in matches]

    def put_back(self, trashed: Trashed, home: str) -> None:
        """Move a home out of the trash to ``home``, below the same root, whose missing parents are made.

        `HomeRefused` if ``home`` exists, or if the removal of the entry has begun.
        """
        place = self._locate(home)
        name = self._entry_name(trashed)
        if trashed.removing:
            raise HomeRefused(f"{trashed.path} may be partly removed and cannot be put back", subject=trashed.path)
        if place.root != trashed.root:
            raise HomeRefused(f"{trashed.path} can only be put back below {trashed.root}", subject=place.home)
        with (
            reporting("cannot put back", trashed.path),
            self._root(place.root) as root,
            self._trash(place.root, root) as trash,
            dirfd.opened(name, dir_fd=trash),
        ):
            self._move_back(name, trash, place, root)

    def _move_back(self, name: str, trash: int, place: _Place, root: int) -> None:
        """One rename and nothing before it: an empty home left by a killed call would pass for the one to put back.

        A home that another process makes meanwhile stops the rename, or is replaced while it is empty, which that
        process then notices (`_check_still_there`).
        """
        for _ in range(_RACES):
            made = self._make_all(root, place, ())
            try:
                with dirfd.descended(root, place.names[:-1]) as parent:
                    _rename_to_new(name, trash, place, parent)
                    _sync_both(parent, trash, place.home, f"the home is back at {place.home}")
            except FileNotFoundError:
                dirfd.unmake(root, made)
                if not _is_there(name, trash):
                    raise
            except BaseException:
                dirfd.unmake(root, made)
                raise
            else:
                return
        raise _vanishing(place)

    def is_trashed(self, trashed: Trashed) -> bool:
        """Whether a trash entry is still there, be it that its removal has begun."""
        name = self._entry_name(trashed)
        with reporting("cannot look for", trashed.path), self._root(trashed.root) as root:
            try:
                with self._trash(trashed.root, root) as trash:
                    return any(_is_there(each, trash) for each in (name, _removing(name)))
            except FileNotFoundError:
                return False

    def unlink(self, trashed: Trashed, *, progress: Callable[[int], None] | None = None) -> Removed:
        """Remove a home from the trash for good; returns what this call removed.

        May be broken off and repeated, also by several processes at once; an entry that is gone counts nothing. ``progress``
        is called now and then with the number of files removed so far. Nothing outside the entry is touched: links are
        removed, not followed, and a mount point inside is `HomeRefused`.
        """
        name = self._entry_name(trashed)
        with reporting("cannot remove", trashed.path), self._root(trashed.root) as root, ExitStack() as stack:
            try:
                trash = stack.enter_context(self._trash(trashed.root, root))
            except FileNotFoundError:
                return Removed()
            _rename_entry(name, _removing(name), trash)
            return dirfd.remove_tree(_removing(name), trash, progress)

    def _entry_name(self, trashed: Trashed) -> str:
        """The name of a trash entry, which must be one that this object could have handed out."""
        if trashed.root not in self.roots or trashed.path != f"{trashed.root}/{TRASH}/{trashed.name}":
            raise HomeRefused(f"{trashed.path} is not in the trash of a configured root", subject=trashed.path)
        if not _TRASH_ENTRY.fullmatch(trashed.name):
            raise HomeRefused(f"{trashed.path} was not set aside by mailstore", subject=trashed.path)
        return trashed.name

    @contextmanager
    def _trash(self, root: str, root_fd: int, *, make: bool = False) -> Iterator[int]:
        """The trash directory of a root, verified; ``FileNotFoundError`` if there is none and ``make`` is not set."""
        with self._own_directory(TRASH, root, root_fd, make=make) as fd:
            yield fd

    @contextmanager
    def _own_directory(self, name: str, root: str, root_fd: int, *, make: bool) -> Iterator[int]:
        """A directory in a root that nobody else writes to, verified; see `_trash`."""
        above = os.fstat(root_fd)
        if make:
            with suppress(FileExistsError):
                dirfd.make(root_fd, (name,), (above.st_uid, above.st_gid), 0o700)
        with dirfd.opened(name, dirfd.READ, dir_fd=root_fd) as fd:
            status = os.fstat(fd)
            uid = status.st_uid
            # Our own uid: another process may be between making the trash and handing it over.
            if uid not in (above.st_uid, self._owner_below(root_fd)[0], os.geteuid()):
                message = f"{root}/{name} belongs to uid {uid} instead of uid {above.st_uid}; look at it"
                raise HomeRefused(message, subject=f"{root}/{name}")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                message = (
                    f"{root}/{name} can be written by others (mode {stat.S_IMODE(status.st_mode):o}); "
                    "see what they put there, then chmod it to 700"
                )
                raise HomeRefused(message, subject=f"{root}/{name}")
            yield fd

    # --- verifying

    def _locate(self, home: str) -> _Place:
        home = normal_home(home)
        root = self.root_of(home)
        if root is None:
            raise HomeRefused(f"{home} is not below any of {', '.join(self.roots)}", subject=home)
        names = tuple(home[len(root) + 1 :].split("/"))
        if names[0] in OWN:
            where = "in the trash" if names[0] == TRASH else "on its way"
            raise HomeRefused(f"{home} is {where} and cannot be used as a home", subject=home)
        return _Place(root, names)

    @contextmanager
    def _root(self, root: str) -> Iterator[int]:
        try:
            fd = os.open(root, dirfd.LOOK)
        except FileNotFoundError as error:
            message = f"root {root} does not exist; is its file system mounted?"
            raise HomeError(message, subject=root) from error
        try:
            yield fd
        finally:
            os.close(fd)

    def _owner_below(self, root: int) -> tuple[int, int]:
        status = os.fstat(root)
        return self._owner or (status.st_uid, status.st_gid)

    def _check_owner(self, home: int, root: int, place: _Place) -> None:
        uid, expected = os.fstat(home).st_uid, self._owner_below(root)[0]
        if uid != expected:
            message = f"{place.home} belongs to uid {uid} instead of uid {expected}; look at it, then chown it"
            raise HomeRefused(message, subject=place.home)


# --- helpers ----------------------------------------------------------------------------------------------------------


def _checked_roots(roots: Sequence[str | Path]) -> tuple[str, ...]:
    checked = tuple(dict.fromkeys(_checked_root(str(root)) for root in roots))
    if not checked:
        raise ConfigurationError("no root for mailbox homes is configured")
    for root in checked:
        for other in checked:
            if root.startswith(other + "/"):
                raise ConfigurationError(f"root {root} lies below root {other}; keep one of them", subject=root)
    return checked


def _checked_root(root: str) -> str:
    try:
        normal = normal_home(root)
    except InvalidValue as error:
        raise ConfigurationError(f"{root!r} cannot be a root of mailbox homes: {error}", subject=root) from error
    if root != root.lower():
        raise ConfigurationError(f"root {root} has upper case, but Dovecot lower-cases homes", subject=root)
    if os.path.islink(normal):  # noqa: PTH114 - must not raise where the path is not readable
        raise ConfigurationError(f"root {root} is a symbolic link; configure what it points to", subject=root)
    return normal


def _checked_folder(folder: str) -> str:
    if not _FOLDER.fullmatch(folder):
        message = f"mailbox folder {folder!r} must be at most 20 ASCII letters and digits"
        raise InvalidValue(message, subject=folder)
    return folder


def _maildir_parts(home: tuple[str, ...], folder: str, mail_format: str) -> tuple[tuple[str, ...], ...]:
    """The directories that a new home of this format needs inside."""
    if mail_format not in _FORMATS:
        raise InvalidValue(f"mail format {mail_format!r} is none of {', '.join(_FORMATS)}", subject=mail_format)
    if mail_format != "maildir":
        return ()
    maildir = (*home, folder) if folder else home
    parts = tuple((*maildir, part) for part in MAILDIR_PARTS)
    return (maildir, *parts) if folder else parts


def _parents(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (names[:length] for length in range(1, len(names)))


def _refuse_empty(root: int, path: str) -> None:
    with dirfd.opened(".", dirfd.READ, dir_fd=root) as fd, os.scandir(fd) as entries:
        if next(entries, None) is None:
            raise HomeError(f"root {path} is completely empty; is its file system mounted?", subject=path)


def _check_same_device(home: int, root: int, place: _Place) -> None:
    if os.fstat(home).st_dev != os.fstat(root).st_dev:
        raise HomeRefused(f"{place.home} is on another file system than its root {place.root}", subject=place.home)


def _check_unmounted(place: _Place) -> None:
    """Refuse a home that is moved from, to or with a mount point: the kernel would refuse it later, or half way."""
    trash = f"{place.root}/{TRASH}"
    for point in mounts_below(place.root):
        around = f"{place.home}/".startswith(f"{point}/") or f"{point}/".startswith(f"{place.home}/")
        if around or point == trash:
            message = f"{point} is a mount point, so {place.home} cannot be removed; unmount it first"
            raise HomeRefused(message, subject=place.home)


def _home_exists(place: _Place) -> HomeExists:
    message = f"home {place.home} already exists; adopt it, choose another, or remove it by hand"
    return HomeExists(message, subject=place.home)


def _vanishing(place: _Place) -> HomeError:
    return HomeError(f"the directories above {place.home} keep vanishing; try again", subject=place.home)


def _refuse_within(place: _Place, root: int, folder: str) -> None:
    """Raise HomeRefused if a directory above the home holds mail in a `folder` of its own."""
    for names in _parents(place.names):
        try:
            with dirfd.descended(root, (*names, folder)):
                outer = "/".join((place.root, *names))
        except OSError:  # not there; what cannot be read stops the creation itself
            continue
        raise HomeRefused(f"{place.home} would lie in {outer}, which is the home of a mailbox", subject=place.home)


def _check_still_there(root: int, place: _Place, made: Sequence[dirfd.Made]) -> None:
    """Refuse a home just made that another process has replaced, while it was empty, with one from the trash."""
    inode = next(one.inode for one in made if one.names == place.names)
    with dirfd.descended(root, place.names) as fd:
        if os.fstat(fd).st_ino == inode:
            return
    dirfd.unmake(root, made)
    raise _home_exists(place)


def _rename_to_new(name: str, trash: int, place: _Place, parent: int) -> None:
    """Move a trash entry to the name of its home in ``parent``, where nothing of that name may be."""
    new = place.names[-1]
    if _is_there(new, parent):
        raise _home_exists(place)
    try:
        os.rename(name, new, src_dir_fd=trash, dst_dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise _home_exists(place) from error
        raise


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_same(fd: int, name: str, parent: int) -> bool:
    there = os.stat(name, dir_fd=parent, follow_symlinks=False)
    return os.path.samestat(os.fstat(fd), there)


def _sync_both(destination: int, source: int, home: str, state: str) -> None:
    try:
        dirfd.sync(destination)
        dirfd.sync(source)
    except OSError as error:
        message = f"the disk does not confirm the move of {home}; check the disk"
        raise HomeError(message, subject=home, state=state) from error


def _removing(name: str) -> str:
    """The name of a trash entry while it is removed."""
    return name.removesuffix(_REMOVING).removesuffix(_SETTLED) + _REMOVING


def _rename_entry(name: str, marked: str, trash: int) -> None:
    """Mark a trash entry by its name, so that nobody puts back what is partly removed."""
    with suppress(FileNotFoundError):  # marked before, or gone
        os.rename(name, marked, src_dir_fd=trash, dst_dir_fd=trash)
