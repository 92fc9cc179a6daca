"""What is kept of a deleted domain besides its accounts' own rows, and how all of it comes back.

Every row of `aliases` that goes with a domain is kept here, those of its accounts too. What belonged or led to accounts that
are purged, or were restored alone, stays away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from mailstore.address import domain_part
from mailstore.driver.names import Spellings
from mailstore.errors import AlreadyExists
from mailstore.model import DeletedDomain, DeletedMailbox
from mailstore.purge import find_mail
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.expansions import DOMAIN, Expansions
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.records import Retention
from mailstore.sql.atmail.schema.units import to_local
from mailstore.sql.engine import Transaction
from mailstore.sql.snapshots import Restored, Row, packed, rows_of, unpacked

__all__ = ["DomainRestoration", "record_domain"]


def record_domain(
    context: Context, tx: Transaction, number: int, names: Sequence[str], addresses: Sequence[str], due: date
) -> None:
    """Record a domain that is about to be deleted, with the mailboxes of its accounts. `names` has its own first."""
    domains, retention = context.ledger.domains, Retention(context)
    record = None if domains is None else domains.new_number(tx)
    made = retention.record(tx, addresses, names[0], due, record)
    if domains is not None and record is not None:
        recorded = {mailbox.address for mailbox in made}
        kept = packed(_kept(context, tx, number, names, recorded, set(addresses) - recorded))
        domains.add(tx, record, names[0], due, retention.deleted_by, len(made), kept)


def _kept(
    context: Context,
    tx: Transaction,
    number: int,
    names: Sequence[str],
    recorded: Collection[str],
    others: Collection[str],
) -> dict[str, Any]:
    """Return what a domain has. `recorded` are the accounts with records of their own, `others` those without a home."""
    domains, accounts, expansions = context.table("domains"), context.table("accounts"), Expansions(context)
    columns, going = expansions.columns, expansions.of_domain(names[0], names[1:])
    also = [columns.AliasName.label("_name"), columns.AliasTo.label("_to"), expansions.alone().label("_alone")]
    aliases = rows_of(tx, context.table("aliases"), going, also=also)
    outside = sorted({row["_name"].lower() for row in aliases if _domain(row["_name"]) not in names})
    staying = select(columns.AliasName).where(columns.AliasName.in_(outside), ~going)
    holding = select(accounts.c.username).where(accounts.c.username.in_(outside))
    stay = {name.lower() for query in (staying, holding) for name in tx.execute(query).scalars()} if outside else set()
    return {
        "names": list(names), "accounts": sorted(recorded), "stay": sorted(stay), "aliases": aliases,
        "domain": rows_of(tx, domains, domains.c.domainId == number)[0],
        "others": rows_of(tx, accounts, accounts.c.username.in_(sorted(others))) if others else [],
        "links": _links(context, tx, number),
    }  # fmt: skip


def _links(context: Context, tx: Transaction, number: int) -> list[Row]:
    """Return who administers a domain. Numbers of admin users are given away again, so that their names are kept, too."""
    if not context.schema.has_admins:
        return []
    links, users = context.table("userDomains"), context.table("users").c
    name = select(users.username).where(users.userId == links.c.userId).scalar_subquery().label("_user")
    return rows_of(tx, links, links.c.domainId == number, also=[name])


class DomainRestoration:
    """One restore, within the transaction that has the records locked and dropped."""

    def __init__(
        self,
        context: Context,
        tx: Transaction,
        record: DeletedDomain,
        kept: str,
        mailboxes: Sequence[tuple[DeletedMailbox, str]],
    ) -> None:
        self._context = context
        self._tx = tx
        self._record = record
        self._kept = unpacked(kept)
        self.names: list[str] = self._kept["names"]
        self.row: Row = self._kept["domain"]
        self._mailboxes = [mailbox for mailbox, _ in mailboxes]
        self._snapshots = [unpacked(snapshot) for _, snapshot in mailboxes]
        self._restored = Restored(context.db, tx)
        self._space = NameSpace(context)
        self._aliases = context.table("aliases")

    def run(self, number: int) -> None:
        """Insert everything that belongs to the domain, which is there again. Raises AlreadyExists, HomeError."""
        self._check_homes()
        self._insert_accounts(number)
        rows = [
            {name: value for name, value in row.items() if not name.startswith("_")} for row in self._fitting_aliases()
        ]
        self._restored.insert_many(self._aliases, rows, without=(self._aliases.c.id.name,))
        self._insert_links(number)
        self._restored.tell(self._record.domain)

    def _insert_accounts(self, number: int) -> None:
        accounts = self._context.table("accounts")
        key, of_domain = accounts.c.accountId.name, accounts.c.domainId.name
        stored = [row for snapshot in self._snapshots for row in snapshot["account"]] + self._kept["others"]
        numbers = [row[key] for row in stored]
        query = select(accounts.c.accountId).where(accounts.c.accountId.in_(numbers))
        taken = set(self._tx.execute(query).scalars()) if numbers else set()
        rows = [
            {name: value for name, value in {**row, of_domain: number}.items() if name != key or value not in taken}
            for row in stored
        ]
        self._restored.insert_many(accounts, rows)

    def _fitting_aliases(self) -> list[Row]:
        """Return the rows that come back. Raises AlreadyExists if an account's alias elsewhere is somebody else's by now."""
        rows = [row for row in self._kept["aliases"] if not self._is_gone(row)]
        outside = [row for row in rows if _domain(row["_name"]) not in self.names]
        if not outside:
            return rows
        stay = set(self._kept["stay"])
        owners = self._space.owners(self._tx.connection, {_domain(row["_name"]) for row in outside})
        wanted = {row["_name"].lower() for row in outside if _domain(row["_name"]) in owners}
        self._space.lock_owners(self._tx, wanted)
        served = self._space.all_names(self._tx.connection, {name: owners[domain_part(name)] for name in wanted - stay})
        taken = self._space.taken(self._tx.connection, set().union(*served.values()) if served else ())
        same = self._still_the_same(wanted & stay)

        def fits(row: Row) -> bool:
            name = row["_name"].lower()
            if _domain(name) in self.names:
                return True
            if name in stay or name not in wanted:
                return name in same
            held = sorted(served[name] & taken.keys())
            if held and row["_alone"]:
                raise AlreadyExists(f"{name} is in use already: {held[0]} is {taken[held[0]]}", subject=name)
            return not held

        return [row for row in rows if fits(row)]

    def _is_gone(self, row: Row) -> bool:
        """Tell whether a row is of, or leads to, an account that does not come back."""
        return any(self._gone.meant(row[side]) is not None for side in ("_name", "_to"))

    @property
    def _gone(self) -> Spellings:
        left = {mailbox.address for mailbox in self._mailboxes}
        gone = set(self._kept["accounts"]) - left
        under = {self.names[0]: self.names[1:]}
        first = Spellings(gone, under)
        alone = (row for row in self._kept["aliases"] if row["_alone"] and first.meant(row["_to"]) is not None)
        return Spellings([*gone, *(row["_name"] for row in alone)], under)

    def _still_the_same(self, names: Collection[str]) -> set[str]:
        """Return those accounts and aliases elsewhere that are there, and not made after the domain was deleted."""
        accounts, columns = self._context.table("accounts").c, self._aliases.c
        deleted = to_local(self._record.deleted) if self._record.deleted else None
        found: set[str] = set()
        for table, name, created in ((accounts, "username", "dateCreate"), (columns, "AliasName", "DateCreate")):
            query = select(table[name]).where(table[name].in_(sorted(names)))
            if table is columns:
                query = query.where(columns.aliasType != DOMAIN)
            if deleted is not None and created in table:
                query = query.where((table[created] <= deleted) | table[created].is_(None))
            found |= {value.lower() for value in self._tx.execute(query).scalars()}
        return found

    def _check_homes(self) -> None:
        """Make sure that the mail of all accounts is there, and that nobody else's is, nor at, in or above it."""
        Retention(self._context).refuse_used_homes(self._tx, [mailbox.home for mailbox in self._mailboxes])
        for mailbox in self._mailboxes:
            find_mail(self._context.homes, mailbox)

    def _insert_links(self, number: int) -> None:
        if not self._kept["links"] or not self._context.schema.has_admins:
            return
        links, users = self._context.table("userDomains"), self._context.table("users").c
        user, domain = links.c.userId.name, links.c.domainId.name
        there = {(row.userId, row.username) for row in self._tx.execute(select(users.userId, users.username))}
        rows = [
            {**{name: value for name, value in row.items() if name != "_user"}, domain: number}
            for row in self._kept["links"]
            if (row[user], row["_user"]) in there
        ]
        self._restored.insert_many(links, rows)


def _domain(name: str) -> str:
    """Return the domain of an address, or of a row for a whole domain."""
    return name.lower().rpartition("@")[2]
