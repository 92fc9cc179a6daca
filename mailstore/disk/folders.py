"""Folders of a Maildir on disk: ``.Sub.Folder`` beside each other (Maildir++), or ``Sub/Folder`` in each other (fs)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mailstore.disk import dirfd
from mailstore.disk.search import MAILDIR_PARTS
from mailstore.errors import HomeRefused

__all__ = ["FolderLayout", "Folders", "find_folders", "of_the_layout", "subscriptions"]

FolderLayout: TypeAlias = Literal["maildir++", "fs"]
_SEPARATORS: dict[FolderLayout, str] = {"maildir++": ".", "fs": "/"}
_OF_THE_LAYOUT = ("dovecot.list.index", "maildirfolder")
"""Files that say again what the directories are; Dovecot makes them anew."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one Maildir: the names of their directories below it, and how they are laid out; None without any."""

    found: frozenset[tuple[str, ...]]
    layout: FolderLayout | None

    def place(self, wanted: FolderLayout) -> Callable[[Sequence[str]], Sequence[str] | None]:
        """Return what tells where a directory of this Maildir is in another layout.

        Raises HomeRefused for a name that cannot be there.
        """
        names = {(): ()} | {folder: _named(folder, wanted) for folder in self.found}
        holders = {folder[:length] for folder in self.found for length in range(1, len(folder))} - self.found

        def of(directory: Sequence[str]) -> Sequence[str] | None:
            directory = tuple(directory)
            if directory in holders:  # what only holds other folders is none in the other layout
                return None
            nearest = next(length for length in range(len(directory), -1, -1) if directory[:length] in names)
            return (*names[directory[:nearest]], *directory[nearest:])

        return of


def _named(folder: tuple[str, ...], wanted: FolderLayout) -> tuple[str, ...]:
    if wanted == "fs":
        return tuple(folder[0].removeprefix(".").split("."))
    dotted = next((name for name in folder if "." in name), None)
    if dotted is not None:
        raise HomeRefused(
            f"the folder {'/'.join(folder)} has a dot in its name, which parts names in Maildir++; rename it",
            subject=dotted,
        )
    return (f".{'.'.join(folder)}",)


def find_folders(maildir: int) -> Folders:
    """Look for the folders of a Maildir, given by a descriptor. Raises OSError, HomeRefused if both layouts are mixed."""
    found: set[tuple[str, ...]] = set()

    for visit in dirfd.walk(maildir, dirfd.unfailing):
        visit.exhaust()
        is_folder = "cur" in visit.subdirs
        visit.subdirs[:] = [name for name in visit.subdirs if name not in MAILDIR_PARTS]
        if visit.names and is_folder:
            found.add(tuple(visit.names))
    kinds = {folder[0].startswith(".") for folder in found}
    if len(kinds) > 1 or (kinds == {True} and any(len(folder) > 1 for folder in found)):
        raise HomeRefused("folders of both layouts (.Sub.Folder and Sub/Folder) are in it; look at it")
    layout: FolderLayout | None = None if not kinds else "maildir++" if kinds == {True} else "fs"
    return Folders(frozenset(found), layout)


def of_the_layout(name: str) -> bool:
    """Tell whether a file of a Maildir belongs to its layout, and stays behind if that changes."""
    return name.startswith(_OF_THE_LAYOUT)


def subscriptions(before: FolderLayout, after: FolderLayout) -> Callable[[bytes], bytes]:
    """Return what makes a file ``subscriptions`` that of another layout."""
    old, new = (_SEPARATORS[layout].encode() for layout in (before, after))

    def changed(content: bytes) -> bytes:
        # Version 2 of the file parts names by tabs, in every layout.
        return content if content.startswith(b"V\t") else content.replace(old, new)

    return changed
