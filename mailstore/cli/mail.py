"""The mail of a migration: which homes are others now, and a script or a run that brings what lies in them."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

import click

from mailstore.cli.files import open_private

if TYPE_CHECKING:
    from mailstore.cli.session import Session
    from mailstore.disk.folders import FolderLayout
    from mailstore.maildir import Homes
    from mailstore.model import Account
    from mailstore.transfer import Carrier, Entry, Mailbox

__all__ = ["Commands", "Mail", "mails"]

Way: TypeAlias = Literal["keep", "move", "copy", "script"]
_OPTIONS = (
    click.option(
        "--homes",
        "way",
        type=click.Choice(["keep", "move", "copy", "script"]),
        default="keep",
        show_default=True,
        help="keep: new accounts keep their homes, where the store can hold such. Else they get those of its layout, and"
        " the mail is moved there (on one file system), copied, or a script is written that copies it.",
    ),
    click.option(
        "--folders",
        "layout",
        type=click.Choice(["maildir++", "fs"]),
        help="How the target lays out folders (.Sub.Folder or Sub/Folder); without it they stay as they are.",
    ),
    click.option(
        "--script",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="With --homes script: the new file that the script is written to.",
    ),
)


@dataclass(frozen=True)
class Mail:
    """What the options of `mails` say."""

    way: Way
    layout: FolderLayout | None
    script: Path | None

    def refuse_nonsense(self) -> None:
        """Raise UsageError for options that do not go together."""
        if (self.way == "script") != (self.script is not None):
            raise click.UsageError("--homes script and --script FILE go together")
        if self.layout and self.way == "keep":
            raise click.UsageError("--folders goes with --homes move, copy or script: kept homes are not touched")

    def carrier(self, source: Session, target: Session) -> Carrier | None:
        """Return what brings the mail, or None. Raises UsageError for a store whose homes are not known."""
        if self.way not in {"move", "copy"}:
            return None
        from mailstore.transfer import Carrier

        theirs, ours = (self._homes(side) for side in (source, target))
        occupied = (home for _, home in source.store.accounts.homes())
        return Carrier(theirs, ours, "move" if self.way == "move" else "copy", occupied, self.layout)

    def _homes(self, side: Session) -> Homes:
        if side.store.homes is None:
            raise click.UsageError(
                f"--homes {self.way} needs the option 'homes', the directories of the mail, for {side.store.name}"
            )
        return side.store.homes

    @contextmanager
    def commands(self) -> Iterator[Commands]:
        """Give what takes all accounts, and writes the script if one is wanted."""
        with ExitStack() as stack:
            script = stack.enter_context(open_private(self.script)) if self.script else None
            yield Commands(stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii")), script, self.layout)


def mails(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what becomes of the mail, as the parameter `mail`."""

    @wraps(command)
    def mailing(*args: Any, way: Way, layout: FolderLayout | None, script: Path | None, **values: Any) -> None:
        command(*args, mail=Mail(way, layout, script), **values)

    for option in reversed(_OPTIONS):
        mailing = option(mailing)
    return mailing


class Commands:
    """Accounts whose home is another one now, and, if a script is wanted, lines that copy their mail on this machine."""

    def __init__(self, file: IO[str], script: IO[str] | None, layout: FolderLayout | None) -> None:
        from mailstore.transfer import Pairs

        self.pairs = Pairs(file)
        self._script = script
        self._layout = layout
        if script:
            script.write(
                "#!/bin/sh\n# Run it while neither side gets mail. What is there already is brought up to date.\nset -e\n"
            )

    def add(self, entry: Entry, new: Account) -> None:
        """Add an account, as it comes and as it is in the target."""
        self.pairs.add(entry, new)

    def write(self) -> None:
        """Write the lines of all."""
        if self._script:
            for old, new in self.pairs:
                self._script.write(_command(old, new, self._layout))


def _command(old: Mailbox, new: Mailbox, layout: FolderLayout | None) -> str:
    """Return lines that bring the mail of one account; between formats or layouts that is Dovecot's work."""
    if layout or (old.mailbox_format, new.mailbox_format) != ("maildir", "maildir"):
        place = f"{old.mailbox_format}:{old.home}/{old.mailbox_folder}".rstrip("/")
        return f"doveadm backup -R -u {shlex.quote(new.address)} {shlex.quote(place)}\n"
    if old.mailbox_folder == new.mailbox_folder:
        here, there = old.home, new.home
    else:
        here, there = (f"{one.home}/{one.mailbox_folder}".rstrip("/") for one in (old, new))
    return (
        f"mkdir -p -- {shlex.quote(there)}\n"
        f"rsync -aH --numeric-ids -- {shlex.quote(f'{here}/')} {shlex.quote(f'{there}/')}\n"
    )
