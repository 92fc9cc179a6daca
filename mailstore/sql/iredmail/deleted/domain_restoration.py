"""How a deleted domain comes back: what is kept of it and of its accounts is put together again.

What belonged or led to accounts that are purged, or were restored alone, stays away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select, update

from mailstore.address import domain_part, local_part
from mailstore.driver.companions import KeptPolicies, levels
from mailstore.model import DeletedDomain, DeletedMailbox
from mailstore.purge import find_mail
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.deleted.domain_snapshots import once
from mailstore.sql.iredmail.deleted.restoration import take_copies
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import FORWARDERS, Cleanup
from mailstore.sql.iredmail.records import Retention
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.iredmail.snapshots import MADE, POLICIES, UNCOPIED, anchor
from mailstore.sql.snapshots import Restored, Row, unpacked

__all__ = ["DomainRestoration"]

_KEYS: Mapping[str, tuple[str, ...]] = {
    "mailbox": ("username",), "alias": ("address",), "maillists": ("address",), "domain": ("domain",),
    "alias_domain": ("alias_domain",), "domain_admins": ("username", "domain"), "forwardings": ("address", "forwarding"),
    "moderators": ("address", "moderator"), "maillist_owners": ("address", "owner"), "sender_bcc_user": ("username",),
    "recipient_bcc_user": ("username",), "sender_bcc_domain": ("domain",), "recipient_bcc_domain": ("domain",),
    "sender_relayhost": ("account",), "last_login": ("username",), "share_folder": ("from_user", "to_user"),
    "anyone_shares": ("from_user",),
}  # fmt: skip
"""By what the rows of each table that come back are unique, in the order in which they are written."""


class DomainRestoration:
    """One restore, within the transaction that has the records locked."""

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
        self._mailboxes = [mailbox for mailbox, _ in mailboxes]
        self._snapshots = [unpacked(snapshot) for _, snapshot in mailboxes]
        self._made = {
            name: made for kept in (*self._snapshots, self._kept) for name, made in kept.get(MADE, {}).items()
        }
        self._cleanup = Cleanup(context)
        self._names = NameSpace(context)
        self.names: list[str] = list(self._kept["names"])
        self._gone = set(self._kept["accounts"]) - {mailbox.address for mailbox in self._mailboxes}

    def run(self) -> None:
        """Insert everything. The names of the domain are claimed, and the records of its mailboxes dropped already."""
        tables = self._tables()
        self._refuse_taken_aliases(tables)
        self._check_homes()
        uncopied = {name for snapshot in self._snapshots for name in snapshot.get(UNCOPIED, ())} | {
            *self._kept[UNCOPIED]
        }
        outside = sorted(name for name in uncopied if domain_part(name) not in self.names)
        take_copies(self._context, self._tx, outside)
        restored = Restored(self._context.db, self._tx)
        for name in _KEYS:
            restored.insert_many(self._context.table(name), self._free(name, tables.get(name, [])), without=("id",))
        self._mark_admins()
        accounts = [str(row["username"]) for row in tables.get("mailbox", [])] if self._gone else []
        self._cleanup.restore_self_rows(self._tx, [*outside, *accounts])
        Shields(self._context).renew_domain(self._tx, self.names[0])
        self._context.companions.claiming(levels(domains=self.names))
        self._bring_back_policies(tables)
        restored.tell(self._record.domain)

    def _bring_back_policies(self, tables: Mapping[str, Sequence[Row]]) -> None:
        kept: KeptPolicies = {}
        for each in (self._kept, *self._snapshots):
            kept |= each.get(POLICIES, {})
        aliases = {str(row["address"]).lower() for row in tables.get("forwardings", []) if row["is_alias"]}
        back = {name for name in kept if (domain_part(name) if "@" in name else name) in self.names} | aliases
        self._context.companions.bring_back(kept, {name for name in back if self._canonical(name) not in self._gone})

    def _tables(self) -> dict[str, list[Row]]:
        """Return the rows that come back, by table."""
        found: dict[str, list[Row]] = defaultdict(list)
        for tables in (self._kept["tables"], *self._snapshots):
            for name, rows in tables.items():
                if name in _KEYS and self._context.schema.has(name):
                    found[name] += (row for row in rows if not self._names_gone(name, row))
        wanted = {name: [(row, list(self._anchors(name, row))) for row in once(rows)] for name, rows in found.items()}
        there = self._there(
            {anchor for rows in wanted.values() for _, anchors in rows for each in anchors for anchor in each}
        )
        return {
            name: [row for row, anchors in rows if all(there.intersection(each) for each in anchors)]
            for name, rows in wanted.items()
        }

    def _names_gone(self, table: str, row: Row) -> bool:
        """Tell whether a row is of, or leads to, an account that is purged or was restored alone."""
        columns = {each.column for each in self._cleanup.references if each.table == table} | (
            {"username"} if table == "mailbox" else set()
        )
        return any(self._canonical(str(row[column])) in self._gone for column in columns)

    def _canonical(self, address: str) -> str:
        address = address.strip().lower()
        return f"{local_part(address)}@{self.names[0]}" if domain_part(address) in self.names else address

    def _anchors(self, table: str, row: Row) -> Iterator[list[tuple[str, str]]]:
        """Iterate over what outside of the domain must still be there for a row, each as places one of which will do."""
        needed: dict[str, tuple[str, ...]] = {}
        if table == "forwardings":
            place = next((place for flag, place in FORWARDERS.items() if row[flag]), None)
            if row["is_alias"]:
                needed["forwarding"] = ("mailbox.username",)
            elif place or "@" not in str(row["address"]):
                needed["address"] = (place or "domain.domain",)
        elif table == "domain_admins":
            needed["username"] = ("mailbox.username", "admin.username")
        for reference in self._cleanup.references:
            if reference.table == table != "forwardings":
                needed |= reference.back
        for column, places in needed.items():
            value = str(row[column]).lower()
            name = domain_part(value) if "@" in value else value
            if name not in self.names and value != GLOBAL.lower():
                yield [(place, value) for place in places]

    def _there(self, anchors: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those anchors that are there, and as old as the record."""
        by_place: dict[str, set[str]] = defaultdict(set)
        for place, value in anchors:
            by_place[place].add(value)
        there: set[tuple[str, str]] = set()
        for place, values in by_place.items():
            name, column = place.split(".")
            if self._context.schema.has(name):
                columns = self._context.table(name).c
                query = select(columns[column], columns.created).where(columns[column].in_(sorted(values)))
                found = {str(value).lower(): created for value, created in self._tx.execute(query)}
                there |= {(place, value) for value, created in found.items() if self._is_same(value, place, created)}
        return there

    def _is_same(self, value: str, place: str, created: datetime | None) -> bool:
        """Tell whether what is called `value` was there when the domain was deleted: times of writers cannot be compared."""
        made = self._made.get(anchor(value, place))
        if made is not None:
            return bool(made == str(created))
        return created is None or self._record.deleted is None or created <= self._record.deleted

    def _refuse_taken_aliases(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Raise AlreadyExists if an alias that an account had in another domain is somebody else's by now."""
        aliases = [str(row["address"]) for row in tables.get("forwardings", []) if row["is_alias"]]
        outside = {alias for alias in aliases if domain_part(alias) not in self.names}
        owners = self._names.owners(self._tx.connection, {domain_part(alias) for alias in outside}) if outside else {}
        wanted = {alias: owners[domain_part(alias)] for alias in outside if domain_part(alias) in owners}
        if wanted:
            self._names.refuse_taken_aliases(self._tx.connection, wanted)

    def _check_homes(self) -> None:
        """Make sure that the mail of all accounts is there, and that nobody else's is, nor at, in or above it."""
        Retention(self._context).refuse_used_homes(self._tx, [mailbox.home for mailbox in self._mailboxes])
        for mailbox in self._mailboxes:
            find_mail(self._context.homes, mailbox)

    def _free(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """Return those rows whose key nobody has taken meanwhile."""
        if not rows:
            return []
        keys, columns = _KEYS[table], self._context.table(table).c
        first = sorted({str(row[keys[0]]) for row in rows})
        query = select(*(columns[key] for key in keys)).where(columns[keys[0]].in_(first))
        taken = {tuple(str(value).lower() for value in found) for found in self._tx.execute(query)}
        return [row for row in rows if tuple(str(row[key]).lower() for key in keys) not in taken]

    def _mark_admins(self) -> None:
        """Give accounts of other domains their mark back that managed this domain alone."""
        admins, listed = self._kept["admins"], self._context.table("domain_admins").c
        if admins:
            mailbox = self._context.table("mailbox")
            manages = select(listed.username).where(listed.domain == self.names[0], listed.username.in_(admins))
            names = self._tx.execute(manages).scalars().all()
            self._tx.execute(update(mailbox).where(mailbox.c.username.in_(names)).values(isadmin=1))
