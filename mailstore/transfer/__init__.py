"""Moving what stores hold: out of a store, into a store, from one store into another, of whatever kinds.

`dump` gives `Entry` after `Entry`, `Loader` takes them; `read_entries` and `write_entries` are the file between the two, in
the form of docs/format.md. Only the contract of `mailstore.store` is used, so that every store is on either side.
"""

from __future__ import annotations

from mailstore.transfer.dumping import dump
from mailstore.transfer.entries import KINDS, Entry, read_entries, schema, write_entries
from mailstore.transfer.loading import IfExists, Loader, Outcome, Passwords
from mailstore.transfer.mail import Carried, Carrier, Mailbox, Pairs
from mailstore.transfer.renaming import Renaming, within

__all__ = [
    "KINDS",
    "Carried",
    "Carrier",
    "Entry",
    "IfExists",
    "Loader",
    "Mailbox",
    "Outcome",
    "Pairs",
    "Passwords",
    "Renaming",
    "dump",
    "read_entries",
    "schema",
    "within",
    "write_entries",
]
