"""Records of mailboxes whose accounts go, in two tables of our own in the file of users, if they were added to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from mailstore.address import domain_part
from mailstore.driver.values import due_date
from mailstore.errors import NotSupported
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import Ledger, NewRecord
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.disk.usage import usage_of
from mailstore.sql.mailinabox.names.references import References, Referring
from mailstore.sql.snapshots import unpacked

__all__ = ["NO_TABLE", "Retention"]

_BATCH = 500
NO_TABLE = "this box's file has no tables for that; add them with 'mailstore schema add-retention-table'"


class Retention:
    """Writes records, and cancels them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._references = References(context.schema)

    @cached_property
    def ledger(self) -> Ledger | None:
        """The records; None if the file has no tables for them."""
        own = self._context.schema.own
        return None if own is None else Ledger(self._context.db, *own)

    def due(self, keep_mailbox_days: int | None) -> date | None:
        """Return the day on which a mailbox is due; None for one that is kept without a record, as the panel keeps it.

        Raises InvalidValue, NotSupported if a number of days is given and there is nowhere to note it.
        """
        day = due_date(keep_mailbox_days)
        if self.ledger is not None:
            return day
        if keep_mailbox_days is not None:
            raise NotSupported(f"the mailbox cannot be kept for a number of days: {NO_TABLE}")
        return None

    def record(
        self, tx: Transaction, user: Mapping[Any, Any], referring: Referring, due: date | None
    ) -> DeletedMailbox | None:
        """Record the mailbox of a user that is about to be deleted, with all that the file knows of it."""
        address = str(user["email"])
        home = self._context.box.home(address)
        if home is None:
            return None
        if self.ledger is None or due is None:
            return DeletedMailbox(id=0, address=address, domain=domain_part(address), home=home)
        new = NewRecord(
            address=address,
            domain=domain_part(address),
            home=home,
            due=due,
            deleted_by=self._context.actor or "",
            usage=usage_of(self._context.homes, home) or Usage(0, 0),
            snapshot=self._references.snapshot(tx, user, referring),
        )
        return self.ledger.add(tx, [new])[0]

    def cancel(self, tx: Transaction, addresses: Sequence[str]) -> dict[str, list[DeletedMailbox]]:
        """Drop the records of addresses that are accounts again, and return them: their mailboxes are in use."""
        dropped: dict[str, list[DeletedMailbox]] = defaultdict(list)
        if self.ledger is None:
            return dropped
        username = self.ledger.records.c.username
        for start in range(0, len(addresses), _BATCH):
            for record in list(self.ledger.select(username.in_(addresses[start : start + _BATCH]))):
                dropped[record.address].append(record)
        self.drop_revived(tx, [record for records in dropped.values() for record in records])
        return dropped

    def drop_revived(self, tx: Transaction, records: Sequence[DeletedMailbox]) -> None:
        """Drop the records of accounts that are there again, and put those back into the aliases that they were in.

        The panel would not have taken them out: to it, an account that is made again is the former one.
        """
        if self.ledger is None or not records:
            return
        for record in records:
            snapshot = self.ledger.snapshot(tx.connection, record)
            if snapshot is not None:
                self._references.put_back(tx, unpacked(snapshot))
        self.ledger.drop(tx, [record.id for record in records])
