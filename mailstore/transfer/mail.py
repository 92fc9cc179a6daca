"""The mail of accounts that have another home now: moved by a rename, or copied so that nothing of it changes."""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import IO, Literal, Self, TypeAlias

from mailstore.disk import dirfd
from mailstore.disk.copying import Copied, Plan, mirror
from mailstore.disk.folders import FolderLayout, find_folders, of_the_layout, subscriptions
from mailstore.disk.neighbours import spelt
from mailstore.errors import HomeError, HomeRefused, InvalidValue
from mailstore.maildir import Homes
from mailstore.model import Account
from mailstore.transfer.arrivals import Arrivals
from mailstore.transfer.entries import Entry

__all__ = ["Carried", "Carrier", "Mailbox", "Pairs"]

Way: TypeAlias = Literal["move", "copy"]
_TOGETHER = 50
"""Homes that are written before the disk is told to keep them."""
_MADE_ANEW = ("dovecot.index", "dovecot.list.index", "dovecot.mailbox.log")
"""What servers make out of the rest; copied while in use it would be none."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where the mail of an account lies, and in which form: the fields of `Account`."""

    address: str
    home: str
    mailbox_format: str
    mailbox_folder: str

    @classmethod
    def of(cls, account: Account) -> Self:
        """Return the mailbox of an account."""
        return cls(account.address, account.home or "", account.mailbox_format, account.mailbox_folder)


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a home: ``moved``, ``copied``, ``unchanged`` (it was there before, or there is none), ``refused``.

    ``files`` and ``bytes`` are what was copied, or would be.
    """

    address: str
    was: str
    action: Literal["moved", "copied", "unchanged", "refused"]
    reason: str = ""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Pairs:
    """Mailboxes of both sides, written to an empty file and read again: there may be very many."""

    file: IO[str]

    def add(self, entry: Entry, new: Account) -> None:
        """Add an account, as it comes and as it is in the target, if its home is another one now."""
        old = replace(Mailbox.of(entry.record), address=entry.origin)
        if old.home and new.home and spelt(old.home) != spelt(new.home):
            self.file.write(f"{json.dumps([asdict(old), asdict(Mailbox.of(new))])}\n")

    def __iter__(self) -> Iterator[tuple[Mailbox, Mailbox]]:
        self.file.seek(0)
        for line in self.file:
            old, new = json.loads(line)
            yield Mailbox(**old), Mailbox(**new)


@dataclass
class Carrier:
    """Brings mail from the homes of one store to those of another.

    Parameters
    ----------
    source, target: the homes of both stores, as they were opened.
    way: ``move`` renames, within a file system; ``copy`` leaves the source as it is.
    occupied: the homes of all accounts of the source: one that holds another is refused.
    layout: of the folders in the target; None keeps it.

    A home that holds anything is never replaced; an interrupted copy goes on where it was.
    """

    source: Homes
    target: Homes
    way: Way
    occupied: Iterable[str] = field(repr=False, default=())
    layout: FolderLayout | None = None

    def __post_init__(self) -> None:
        self._arrivals = Arrivals.of(self.target)
        self._homes = sorted(map(spelt, self.occupied))

    def plan(self, pairs: Iterable[tuple[Mailbox, Mailbox]]) -> Iterator[Carried]:
        """Tell what would become of each. Changes nothing.

        Raises HomeError at the end if there is not room enough for the copies.
        """
        needed, room = Counter[int](), dict[int, int]()
        for old, new in pairs:
            told = _told(old, new, partial(self._looked_at, old, new))
            if told.action == "copied":
                device, free = self._arrivals.free(new.home)
                needed[device] += told.bytes
                room.setdefault(device, free)
            yield told
        for device, size in needed.items():
            if size > room[device]:
                raise HomeError(
                    f"the mail takes {size} bytes, and there is room for {room[device]}; nothing was copied"
                )

    def carry(self, pairs: Iterable[tuple[Mailbox, Mailbox]]) -> Iterator[Carried]:
        """Bring the mail of each, and tell what became of it."""
        rest = iter(pairs)
        while some := tuple(islice(rest, _TOGETHER)):
            ready = [(old, new, _told(old, new, partial(self._made_ready, old, new))) for old, new in some]
            if any(one.action == "copied" for _, _, one in ready):
                os.sync()  # before a home is in use it must be there for good
            for old, new, told in ready:
                settled = told.action in {"copied", "moved"}
                yield _told(old, new, partial(self._settled, new, told)) if settled else told

    # --- one home

    def _looked_at(self, old: Mailbox, new: Mailbox) -> Carried:
        """Tell what would become of a home, as far as that can be seen. Raises HomeError."""
        if old.mailbox_format != "maildir" or new.mailbox_format != "maildir":
            raise HomeRefused(
                f"{old.mailbox_format} to {new.mailbox_format}: only Maildir is carried; use --homes script, for doveadm"
            )
        here, ready = self.source.exists(old.home), self._arrivals.ready(new.home)
        if self._arrivals.arrived(new.home):
            return Carried(new.address, old.address, "unchanged", "it is there already")
        if ready is None and not (here and self._has_maildir(old)):
            return Carried(new.address, old.address, "unchanged", f"there is no Maildir in {old.home}")
        if self._arrivals.occupied(new.home):
            raise HomeRefused(
                f"there is mail in {new.home} already, which is left as it is; bring both together with doveadm"
            )
        how = f"{old.home} to {new.home}"
        if not here:
            return Carried(new.address, old.address, "moved", how)
        self._refuse_holding(old.home)
        self.source.check_owner(old.home)
        if old.mailbox_folder and not new.mailbox_folder:
            how += f"; what is beside {old.mailbox_folder} stays"
        if self.way == "move":
            self._check_movable(old, new)
            return Carried(new.address, old.address, "moved", how)
        held, done = self.source.contents(old.home), ready.bytes if ready else 0
        return Carried(new.address, old.address, "copied", how, held.files, max(held.bytes - done, 0))

    def _refuse_holding(self, home: str) -> None:
        """Refuse a home that holds that of another account; one that is moved must not be another's either."""
        path = spelt(home)
        below, same = bisect_left(self._homes, f"{path}/"), bisect_left(self._homes, path)
        others = [one for one in self._homes[below : below + 1] if one.startswith(f"{path}/")]
        if self.way == "move" and self._homes[same : same + 2] == [path, path]:
            others.append(path)
        if others:
            raise HomeRefused(
                f"{home} is, or holds, the home of another account ({others[0]}); look at it", subject=home
            )

    def _check_movable(self, old: Mailbox, new: Mailbox) -> None:
        if Arrivals.of(self.source).free(old.home)[0] != self._arrivals.free(new.home)[0]:
            raise HomeRefused(f"{old.home} and {new.home} are on different file systems; use --homes copy")
        wanted, found = self.target.owner_below(self._root_of(new.home)), self.source.owner_of(old.home)
        if wanted[0] != found[0]:
            raise HomeRefused(
                f"{old.home} belongs to uid {found[0]}, and homes there to uid {wanted[0]}; use --homes copy"
            )
        if self.layout is not None:
            with self.source.opened(old.home) as home, ExitStack() as stack:
                layout = find_folders(stack.enter_context(dirfd.descended(home, _folder(old)))).layout
            if layout not in (None, self.layout):
                raise HomeRefused(f"the folders of {old.home} have the layout {layout}; use --homes copy")

    def _root_of(self, home: str) -> str:
        return self.target.root_of(home) or home

    def _made_ready(self, old: Mailbox, new: Mailbox) -> Carried:
        """Bring a home to where it can be put in place."""
        told = self._looked_at(old, new)
        if told.action == "copied":
            copied = self._copied(old, new)
            return Carried(told.address, told.was, "copied", told.reason, copied.files, copied.bytes)
        if told.action == "moved":
            self._moved(old, new)
        return told

    def _settled(self, new: Mailbox, told: Carried) -> Carried:
        self._arrivals.settle(new.home)
        return told

    # --- moving

    def _moved(self, old: Mailbox, new: Mailbox) -> None:
        before, after = _folder(old), _folder(new)
        inward, outward = not before and bool(after), bool(before) and not after
        if self.source.exists(old.home) and not (outward and not self._has_maildir(old)):
            ready = self._arrivals.ready(new.home)
            if ready is not None and ready.files:
                raise HomeRefused(
                    f"{old.home} is there again, and its mail was moved before: see {new.home} in .mailstore-arriving"
                )
            self._arrivals.take(
                self.source, old.home, new.home, below=before if outward else (), into=after if inward else ()
            )
        if before and after and before != after:
            with self._arrivals.under_way(new.home) as home, suppress(FileNotFoundError):  # an earlier run did it
                os.rename(before[0], after[0], src_dir_fd=home, dst_dir_fd=home)

    def _has_maildir(self, mailbox: Mailbox) -> bool:
        with self.source.opened(mailbox.home) as home:
            try:
                with dirfd.descended(home, _folder(mailbox)):
                    return True
            except FileNotFoundError:
                return False

    # --- copying

    def _copied(self, old: Mailbox, new: Mailbox) -> Copied:
        with self.source.opened(old.home, "cannot copy") as home, self._arrivals.under_way(new.home) as arrival:
            return mirror(home, arrival, self._copy_plan(home, old, new))

    def _copy_plan(self, home: int, old: Mailbox, new: Mailbox) -> Plan:
        before, after = _folder(old), _folder(new)
        layout = _Layout.of(home, before, self.layout)

        def place(names: Sequence[str]) -> Sequence[str] | None:
            if tuple(names[: len(before)]) == before:
                found = layout.place(names[len(before) :])
                return None if found is None else (*after, *found)
            return names if after else None  # beside the Maildir, where the other side may have no room

        def skipped(names: Sequence[str], file: str) -> bool:
            passing = file.startswith(_MADE_ANEW) or file.endswith(".lock") or names[-1:] == ("tmp",)
            return passing or (layout.changes and of_the_layout(file))

        def content(names: Sequence[str], file: str) -> Callable[[bytes], bytes] | None:
            return layout.subscriptions if file == "subscriptions" and tuple(names) == before else None

        return Plan(place, content, skipped, self._owner(old, new))

    def _owner(self, old: Mailbox, new: Mailbox) -> Callable[[int, int], tuple[int, int]]:
        """Return what tells the owner of a copy: that of homes there, for what has the owner of homes here."""
        theirs, ours = self.source.owner_of(old.home), self.target.owner_below(self._root_of(new.home))

        def owner(uid: int, gid: int) -> tuple[int, int]:
            return ours[0] if uid == theirs[0] else uid, ours[1] if gid == theirs[1] else gid

        return owner


@dataclass(frozen=True)
class _Layout:
    """How the folders of a Maildir are laid out in its copy."""

    place: Callable[[Sequence[str]], Sequence[str] | None] = tuple
    subscriptions: Callable[[bytes], bytes] | None = None

    @property
    def changes(self) -> bool:
        """Whether it is another layout than before."""
        return self.subscriptions is not None

    @classmethod
    def of(cls, home: int, folder: Sequence[str], wanted: FolderLayout | None) -> Self:
        """Return that of the Maildir `folder` in a home; it stays as it is where None is wanted, or nothing differs."""
        if wanted is None:
            return cls()
        try:
            with dirfd.descended(home, folder) as maildir:
                folders = find_folders(maildir)
        except FileNotFoundError:
            return cls()
        if folders.layout is None or folders.layout == wanted:
            return cls()
        return cls(folders.place(wanted), subscriptions(folders.layout, wanted))


def _told(old: Mailbox, new: Mailbox, act: Callable[[], Carried]) -> Carried:
    """Return what became of a home; an error of the disk is told as well, and stops no other."""
    try:
        return act()
    except (HomeError, InvalidValue) as error:
        return Carried(new.address, old.address, "refused", str(error))


def _folder(mailbox: Mailbox) -> tuple[str, ...]:
    """Return the names that lead from a home to its Maildir."""
    return (mailbox.mailbox_folder,) if mailbox.mailbox_folder else ()
