"""Many accounts at once: deleted, or changed alike, by a number of statements that does not depend on how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import delete, or_, select, update

from mailstore.driver.bulk import Refusals, batches
from mailstore.driver.companions import levels
from mailstore.driver.values import checked, now
from mailstore.errors import AlreadyExists, NotFound
from mailstore.model import DeletedMailbox
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts.new import COLUMNS
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import Cleanup
from mailstore.sql.iredmail.records import Retention
from mailstore.sql.iredmail.routing.forwardings import Forwardings
from mailstore.sql.iredmail.routing.shields import Shields

__all__ = ["ALIKE", "change_alike", "delete_together"]

ALIKE: Final = frozenset(COLUMNS) - {"quota"}
"""The parameters that are a column each, and in which no other account and no domain has a say."""


def delete_together(
    context: Context, tx: Transaction, addresses: Sequence[str], due: date
) -> list[DeletedMailbox | None]:
    """Delete accounts, and return the records of their mailboxes. Raises BulkRefused if one is not there."""
    require_all(context, tx, addresses)
    names, cleanup, mailbox = NameSpace(context), Cleanup(context), context.table("mailbox")
    names.lock_owners(tx, set(addresses))
    found: dict[str, DeletedMailbox] = {}
    for batch in batches(addresses):
        spellings = names.spellings(tx.connection, batch)
        tx.afterwards(context.companions.removing(levels(spellings.addresses)))
        referring = cleanup.found(tx, spellings)
        # The records are written first: they copy what the clean-up is about to remove.
        records = Retention(context).record_all(tx, batch, spellings, due, referring)
        found |= {record.address: record for record in records}
        cleanup.remove(tx, spellings, referring)
        tx.execute(delete(mailbox).where(mailbox.c.username.in_(batch)))
    return [found.get(address) for address in addresses]


def change_alike(context: Context, tx: Transaction, changes: Sequence[Mapping[str, Any]]) -> None:
    """Change accounts; those that get the same are changed together. Raises BulkRefused.

    Each mapping has an ``address``, as it is stored, and some of `ALIKE`.
    """
    refusals, groups = Refusals(), dict[tuple[Any, ...], list[str]]()
    for index, change in enumerate(changes):
        with refusals.collect(index):
            columns = checked(change, COLUMNS)
            context.require(columns, "mailbox")
            groups.setdefault(tuple(sorted(columns.items())), []).append(change["address"])
    refusals.stop_if_any()
    require_all(context, tx, [change["address"] for change in changes])
    for values, addresses in groups.items():
        for batch in batches(addresses):
            _change(context, tx, dict(values), batch)


def _change(context: Context, tx: Transaction, columns: dict[str, Any], addresses: Sequence[str]) -> None:
    mailbox, active = context.table("mailbox"), columns.get("active")
    of_these = mailbox.c.username.in_(addresses)
    switched: Sequence[str] = ()
    if active is not None:
        query = select(mailbox.c.username).where(of_these, mailbox.c.active != active)
        switched = tx.execute(query).scalars().all()
    tx.execute(update(mailbox).where(of_these).values(**columns, modified=now()))
    if not switched:
        return
    forwardings, shields = Forwardings(context), Shields(context)
    rows = forwardings.columns
    shields.lift(tx, switched)
    own = or_(rows.address.in_(switched), rows.forwarding.in_(switched) & (rows.is_alias == 1))
    forwardings.set_active(tx, own, columns["active"])
    shields.renew(tx, switched)


def require_all(context: Context, tx: Transaction, addresses: Sequence[str]) -> None:
    """Lock the rows of accounts. Raises BulkRefused for those that are not there, or named twice."""
    refusals, mailbox = Refusals(), context.table("mailbox").c
    found: set[str] = set()
    for batch in batches(addresses):
        query = select(mailbox.username).where(mailbox.username.in_(batch)).with_for_update()
        found |= {name.lower() for name in tx.execute(query).scalars()}
    seen: set[str] = set()
    for index, address in enumerate(addresses):
        if address.lower() not in found:
            refusals.add(index, NotFound(f"there is no account {address}", subject=address))
        elif address in seen:
            refusals.add(index, AlreadyExists(f"{address} stands twice in this list", subject=address))
        seen.add(address)
    refusals.stop_if_any()
