"""The mailbox of an account on disk. Its path follows from the address, so that an address finds its old mail again."""

from __future__ import annotations

from pathlib import Path

from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, HomeExists
from mailstore.maildir import Homes
from mailstore.model import DeletedMailbox
from mailstore.purge import take_from_trash
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.box import FOLDER, Box
from mailstore.sql.mailinabox.context import Context

__all__ = ["make_or_adopt", "open_homes"]


def open_homes(config: StoreConfig, box: Box) -> Homes | None:
    """Return access to the mailboxes; None if no roots are configured. Raises ConfigurationError if they lie elsewhere.

    A root may lie above the directory of the mailboxes, which belongs to root then: new ones get the owner of the others.
    """
    if not config.homes:
        return None
    homes = Homes(config.homes, owner=config.owner_ids() or _owner_of(box.mailboxes))
    if box.mailboxes not in homes.roots and homes.root_of(box.mailboxes) is None:
        roots = ", ".join(homes.roots)
        raise ConfigurationError(f"homes are {roots}, but the mailboxes of this box lie in {box.mailboxes}")
    return homes


def _owner_of(directory: str) -> tuple[int, int] | None:
    try:
        status = Path(directory).stat()
    except FileNotFoundError:  # nobody has got mail yet
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot look at {directory}: {error}") from error
    return status.st_uid, status.st_gid


def make_or_adopt(context: Context, tx: Transaction, home: str, records: list[DeletedMailbox]) -> None:
    """Make the mailbox of a new account, or take over the one that is there, as the box does.

    `records` are those of earlier accounts of this address; a purge that was interrupted may have left their mail in the
    trash.
    """
    if context.homes is None:
        return
    for record in records:
        take_from_trash(context.homes, record)
    try:
        made = context.homes.create(home, folder=FOLDER)
    except HomeExists:
        made = context.homes.create(home, folder=FOLDER, adopt=True)
    tx.on_rollback(made.undo)
