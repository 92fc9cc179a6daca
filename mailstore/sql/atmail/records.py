"""Records of mailboxes whose accounts go, and which homes are spoken for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, func, null, or_, select

from mailstore.disk.neighbours import Neighbours, Place, between, refuse_occupied, refuse_within
from mailstore.driver.names import Spellings
from mailstore.model import DeletedMailbox
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.expansions import DOMAIN, Expansions
from mailstore.sql.atmail.homes import home_of
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.schema.tables import OWN_TABLES
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import NewRecord
from mailstore.sql.paths import as_read, is_one_of
from mailstore.sql.snapshots import Row, packed, rows_of

__all__ = ["Retention"]

_BATCH = 500


class Retention:
    """Writes records with snapshots of the accounts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.table("accounts")
        self._expansions = Expansions(context)
        self._names = NameSpace(context)

    def record(
        self,
        tx: Transaction,
        addresses: Sequence[str],
        domain: str,
        due: date,
        domain_record: int | None = None,
    ) -> list[DeletedMailbox]:
        """Record the mailboxes of some accounts of one domain that are about to be deleted, perhaps with the domain.

        The number of statements depends on how many hundreds they are, not on how many.
        """
        made: list[DeletedMailbox] = []
        for start in range(0, len(addresses), _BATCH):
            batch = addresses[start : start + _BATCH]
            made += self.record_some(tx, batch, domain, due, self._names.spellings(tx.connection, batch), domain_record)
        return made

    def record_some(
        self,
        tx: Transaction,
        addresses: Sequence[str],
        domain: str,
        due: date,
        spellings: Spellings,
        domain_record: int | None = None,
    ) -> list[DeletedMailbox]:
        """Record some hundred accounts at most, references to which have these `spellings`."""
        columns = self._accounts.c
        query = select(*labelled(self._accounts, "username", "homeDir")).where(columns.username.in_(addresses))
        rows = {row["username"]: row for row in tx.execute(query).mappings() if home_of(row)}
        snapshots = self._snapshots(tx, list(rows), spellings)
        new = [
            NewRecord(
                address,
                domain,
                row["homeDir"],
                due,
                self.deleted_by,
                snapshot=snapshots[address],
                domain_record=domain_record,
            )
            for address, row in rows.items()
        ]
        return self._context.ledger.add(tx, new)

    @property
    def deleted_by(self) -> str:
        """Who is recorded as having deleted something."""
        return self._context.actor.username if self._context.actor else ""

    def _snapshots(self, tx: Transaction, addresses: Sequence[str], around: Spellings) -> dict[str, str]:
        """Return what the database says about each address: its row, and the rows of aliases around it.

        Rows have all their columns by the server's names, those that this driver does not know among them.
        """
        found: dict[str, dict[str, list[Row]]] = {address: defaultdict(list) for address in addresses}
        accounts = self._accounts
        account = accounts.c.username.label("_of")
        for row in rows_of(tx, accounts, accounts.c.username.in_(addresses), also=[account]):
            found[str(row.pop("_of")).lower()]["account"].append(row)
        columns, alone = self._expansions.columns, self._expansions.alone().label("_alone")
        own = columns.AliasName.in_(addresses) & (columns.aliasType != DOMAIN)
        both = [columns.AliasName.label("_name"), columns.AliasTo.label("_to"), alone]
        for row in rows_of(tx, self._context.table("aliases"), own | self._expansions.may_refer(around), also=both):
            name, holder, is_alone = (
                str(row.pop("_name")).lower(),
                around.holder(str(row.pop("_to"))),
                row.pop("_alone"),
            )
            if name in found:
                found[name]["forwarding"].append(row)
            if holder in found and holder != name:  # else an address that only looks like one of these
                found[holder]["pointers"].append({**row, "_alone": is_alone})
        return {address: packed(kept) for address, kept in found.items()}

    def known_homes(self, tx: Transaction, homes: Collection[str]) -> set[str]:
        """Return those of `homes` which the rule gives that hold one of an account, or one that waits for its purge.

        Raises HomeRefused for one that would lie in such a home: no other one by the rule would do.
        """
        root, near = self._context.config.new_home_root(), Neighbours(homes)
        places = list(self._touching(tx, homes, {path for home in homes for path in between(root, home)}))
        for home in homes:
            refuse_within(home, root, places)
        return {home for place in places for home in near.of(place.home)}

    def _touching(self, tx: Transaction, homes: Collection[str], above: Collection[str]) -> Iterator[Place]:
        """Iterate over the accounts and records whose homes are some paths, below them, or directories above."""
        accounts = self._accounts.c
        everywhere: list[tuple[ColumnElement[Any], ...]] = [(accounts.homeDir, accounts.username, null())]
        if self._context.schema.has_records:
            records = self._context.table(OWN_TABLES[0]).c
            everywhere.append((records.maildir, records.username, records.id))
        for columns in everywhere:
            query = select(*columns).where(_is_at_or_below(columns[0], homes) | is_one_of(columns[0], above))
            yield from (Place(*row) for row in tx.execute(query))

    def refuse_used_homes(self, tx: Transaction, homes: Sequence[str], *, restoring: int | None = None) -> None:
        """Raise AlreadyExists if a home that the rule did not give touches that of an account or of a record.

        `restoring` is the record whose own home it is. All rows are looked at: such homes are rare, and no index helps.
        """
        rows = tx.execute(select(*labelled(self._accounts, "username", "homeDir"))).mappings()
        accounts = (Place(row["homeDir"] or "", row["username"]) for row in rows)
        records = self._context.ledger.places(but=restoring) if self._context.schema.has_records else ()
        refuse_occupied(homes, chain(accounts, records))


def _is_at_or_below(path: ColumnElement[str], homes: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a recorded path is one of these homes or lies below one; the same cost for any number."""
    depths = {home.count("/") + 1 for home in homes}
    return or_(*(func.substring_index(as_read(path), "/", depth).in_(homes) for depth in depths))
