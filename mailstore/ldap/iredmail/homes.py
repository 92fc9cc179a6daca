"""Where the home of a new account lies: in a place that nobody has, had, or waits to be purged from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec

from mailstore.disk.layout import Layout, normal_home
from mailstore.disk.neighbours import Place, between, refuse_occupied, refuse_within, spelt
from mailstore.driver.values import now
from mailstore.errors import HomeExists, HomeRefused, InvalidValue
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.names import Filter, any_of, equals, present
from mailstore.model import DeletedMailbox

__all__ = ["ATTRIBUTE", "HAS_HOME", "HOME_ATTRIBUTES", "Homemaker", "home_in", "home_of", "recorded_home"]

ATTRIBUTE = "homeDirectory"
HOME_ATTRIBUTES = (ATTRIBUTE, "storageBaseDirectory", "mailMessageStore")
HAS_HOME = any_of(present(ATTRIBUTE), present("mailMessageStore"))


def home_of(entry: Entry) -> str | None:
    """Return the home of an account as its readers see it, None if it has none.

    One that is spelled as no home should be is the directory that the text means, so that the mail there stays guarded;
    a relative path means none, and no mailbox is the whole disk.
    """
    recorded = recorded_home(entry)
    try:
        return home_in(recorded)
    except InvalidValue:
        meant = spelt(recorded)
        return meant if recorded.startswith("/") and meant != "/" else None


def recorded_home(entry: Entry) -> str:
    """Return the home of an account as it stands in its entry, empty if it has none."""
    recorded = entry.first(ATTRIBUTE)
    if not recorded and entry.has("mailMessageStore"):  # as iRedMail wrote it before 0.9.8
        recorded = f"{entry.first('storageBaseDirectory')}/{entry.first('mailMessageStore')}"
    return recorded


def home_in(recorded: str) -> str | None:
    """Return a recorded home in normal form, None for none. Raises InvalidValue for one that nobody should write."""
    return normal_home(recorded) if recorded else None


class Homemaker:
    """Chooses homes, and makes them on disk if this store reaches the disk."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._layout = Layout(**msgspec.structs.asdict(context.config.layout))

    def make(self, changes: Changes, address: str, given: str | None, mailbox: dict[str, Any], *, known: bool) -> str:
        """Return the home of a new account, with the closing slash that iRedMail writes.

        Parameters
        ----------
        given: what the caller wants; None follows the layout.
        mailbox: the format and folder of the mailbox, as `Homes.create` takes them.
        known: whether mail of an earlier account of this name waits for its purge.
        """
        if given is not None:
            chosen = normal_home(given)
            self.refuse_used([chosen])
            self._layout.refuse_shared(self._context.config.new_home_root(), chosen)
            disk = self._context.homes
            self._create(changes, chosen, mailbox, adopt=disk is not None and disk.is_empty(chosen))
            return f"{chosen}/"
        look = known or not self._layout.timestamp
        root = self._context.config.new_home_root()
        for relative in self._layout.candidates(address, now()):
            chosen = normal_home(f"{root}/{relative}")
            if look and self._is_used(chosen):
                continue
            try:
                self._create(changes, chosen, mailbox)
            except HomeExists:
                continue
            return f"{chosen}/"
        raise HomeRefused(f"{address}: every path for its home below {root} is in use", subject=address)

    def above(self, address: str) -> Filter:
        """Return the filter for accounts whose home is a directory above that which the layout gives a new account."""
        return any_of(*(equals(ATTRIBUTE, home) for path in self._above(address) for home in (path, f"{path}/")))

    def refuse_within(self, address: str, found: Iterable[Entry]) -> None:
        """Raise HomeRefused if the layout's home for a new account lies in one of those that `above` has found."""
        root = self._context.config.new_home_root()
        refuse_within(self._first(address), root, (Place(home_of(entry) or "", entry.first("mail")) for entry in found))

    def _above(self, address: str) -> Sequence[str]:
        return between(self._context.config.new_home_root(), self._first(address))

    def _first(self, address: str) -> str:
        return normal_home(f"{self._context.config.new_home_root()}/{next(self._layout.candidates(address, now()))}")

    def refuse_used(self, homes: Sequence[str], *, restoring: Collection[DeletedMailbox] = ()) -> None:
        """Raise AlreadyExists if a home that the layout did not give touches that of an account or of a record.

        `restoring` are the records whose own homes they are. All entries are looked at: such homes are rare, and no index
        helps.
        """
        directory, places = self._context.directory, self._context.places
        found = directory.search(places.domains, HAS_HOME, attributes=("mail", *HOME_ATTRIBUTES))
        accounts = (Place(home_of(entry) or "", entry.first("mail")) for entry in found)
        own = {record.id for record in restoring}
        records = (place for place in self._context.companion.ledger.places() if place.id not in own)
        refuse_occupied(homes, chain(accounts, records))

    def _is_used(self, home: str) -> bool:
        spelled = any_of(equals(ATTRIBUTE, home), equals(ATTRIBUTE, f"{home}/"))
        found = self._context.directory.search(self._context.places.domains, spelled, attributes=("1.1",))
        return next(found, None) is not None or self._waiting(home) is not None

    def _waiting(self, home: str) -> str | None:
        ledger = self._context.companion.ledger
        with ledger.db.reading() as connection:
            return ledger.owner_of(connection, (home, f"{home}/"))

    def _create(self, changes: Changes, home: str, mailbox: dict[str, Any], *, adopt: bool = False) -> None:
        if self._context.homes is None:
            return
        made = self._context.homes.create(home, adopt=adopt, **mailbox)
        changes.on_undo(f"the new directory {home}", made.undo)
