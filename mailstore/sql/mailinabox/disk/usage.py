"""What a mailbox holds, from where the box's panel reads it: Dovecot's ``maildirsize`` (the Maildir++ quota file)."""

from __future__ import annotations

import os
from pathlib import Path

from mailstore.maildir import Homes
from mailstore.model import Usage

__all__ = ["usage_of"]

_NAME = "maildirsize"
_LARGEST = 1 << 16


def usage_of(homes: Homes | None, home: str | None) -> Usage | None:
    """Return what a mailbox holds; None if Dovecot has not noted it, or not in a form that can be read."""
    if homes is None or home is None or homes.root_of(home) is None:
        return None
    try:
        handle = os.open(Path(home, _NAME), os.O_RDONLY | os.O_NOFOLLOW)
        with open(handle, encoding="ascii") as file:
            return _summed(file.read(_LARGEST))
    except (OSError, ValueError):  # the panel shows a question mark then
        return None


def _summed(text: str) -> Usage:
    """Add up the lines behind the header, each the size and number of messages that came or, negative, went."""
    steps = [tuple(map(int, line.split())) for line in text.splitlines()[1:] if line.strip()]
    return Usage(sum(size for size, _ in steps), sum(count for _, count in steps))
