"""Everywhere an address may stand: what a deletion removes, a rename follows, and a new account must not inherit.

`REFERENCES` says as data where addresses stand. iRedAdmin leaves part of it behind when it deletes (relay
hosts, shares, last logins), so leftovers of that kind must be expected under every new name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    false,
    literal,
    or_,
    select,
    union,
    union_all,
    update,
)

from mailstore.address import domain_part, local_part
from mailstore.driver.names import Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.occurrences import AddressColumn, occurrences
from mailstore.sql.spelled import called, has_extension, in_domains

__all__ = ["FORWARDERS", "NEVER", "REFERENCES", "Cleanup", "Found", "Reference"]


Anchors: TypeAlias = "Mapping[str, tuple[str, ...]]"
"""Columns of a row, and where the value of each must be found (one of the places, written ``table.column``)."""

NEVER: Anchors = {"": ()}
"""The anchors of rows that do not come back."""
_ACCOUNT, _ALIAS, _LIST, _DOMAIN = "mailbox.username", "alias.address", "maillists.address", "domain.domain"


@dataclass(frozen=True, eq=False)
class Reference:
    """A column that holds addresses.

    ``back`` are the anchors that must (still) be there for a row to come back with a restored account. ``domain`` is the
    column beside it with the domain part. ``owned`` marks rows that are the address's own: they would give a later account
    of that name something of an earlier one. ``points`` marks other people's pointers to it, which other tools spell as
    they like, and which mail servers follow under every spelling. ``partner`` is the column with which it must be unique.
    """

    table: str
    column: str
    domain: str | None = None
    owned: bool = False
    points: bool = False
    partner: str | None = None
    back: Anchors = field(kw_only=True)


REFERENCES = (
    # Whether a forwarding comes back depends on its flag, see `FORWARDERS`.
    Reference("forwardings", "address", "domain", back={}),
    Reference("forwardings", "forwarding", "dest_domain", points=True, partner="address", back={}),
    Reference("moderators", "address", "domain", owned=True, back={"address": (_ALIAS, _LIST)}),
    Reference(
        "moderators", "moderator", "dest_domain", points=True, partner="address", back={"address": (_ALIAS, _LIST)}
    ),
    Reference("maillist_owners", "address", "domain", owned=True, back={"address": (_LIST,)}),
    Reference(
        "maillist_owners", "owner", "dest_domain", owned=True, points=True, partner="address",
        back={"address": (_LIST,)},
    ),
    Reference("domain_admins", "username", owned=True, back={"domain": (_DOMAIN,)}),
    Reference("sender_bcc_user", "username", "domain", owned=True, back={"username": (_ACCOUNT,)}),
    Reference("recipient_bcc_user", "username", "domain", owned=True, back={"username": (_ACCOUNT,)}),
    Reference("sender_bcc_user", "bcc_address", points=True, back={"username": (_ACCOUNT,)}),
    Reference("recipient_bcc_user", "bcc_address", points=True, back={"username": (_ACCOUNT,)}),
    Reference("sender_bcc_domain", "bcc_address", points=True, back={"domain": (_DOMAIN,)}),
    Reference("recipient_bcc_domain", "bcc_address", points=True, back={"domain": (_DOMAIN,)}),
    Reference("sender_relayhost", "account", owned=True, back={}),
    # An insert there adds up on some servers, and Dovecot counts again by itself.
    Reference("used_quota", "username", "domain", owned=True, back=NEVER),
    Reference("last_login", "username", "domain", owned=True, back={"username": (_ACCOUNT,)}),
    Reference("share_folder", "from_user", owned=True, back={"from_user": (_ACCOUNT,), "to_user": (_ACCOUNT,)}),
    Reference("share_folder", "to_user", owned=True, back={"from_user": (_ACCOUNT,), "to_user": (_ACCOUNT,)}),
    Reference("anyone_shares", "from_user", owned=True, back={"from_user": (_ACCOUNT,)}),
)  # fmt: skip
FORWARDERS = {"is_forwarding": _ACCOUNT, "is_list": _ALIAS, "is_maillist": _LIST, "is_alias": _ACCOUNT}
"""Where the address of a forwarding must be found, by its flag; one without flags is the catch-all of a domain."""

Found: TypeAlias = "Mapping[Reference, Sequence[str]]"
"""Values that stand in columns. Only those columns are there that have any."""


class Cleanup:
    """The matrix, applied to the tables that a server has."""

    def __init__(self, context: Context) -> None:
        """`references` are those of the matrix whose tables the server has."""
        self._context = context
        self.references = [reference for reference in REFERENCES if context.schema.has(reference.table)]
        self._shields = Shields(context)
        self._columns = [AddressColumn(each.table, each.column, each.points) for each in self.references]

    def leftovers(self, address: str | ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that rows owned by a former holder of `address` are there."""
        found = [exists().where(self._column(reference) == address) for reference in self.references if reference.owned]
        return or_(self._orphan_aliases_exist(address), *found)

    def leftovers_of_new(self, tx: Transaction, since: datetime) -> set[str]:
        """Return the accounts whose password was set at `since` or later, and that have rows in the tables of owned ones.

        For accounts inserted just now, these rows can only be those of a former holder. The index on the time leads to them
        without naming each.
        """
        mailbox, rows = self._context.table("mailbox").c, self._forwarding.c
        new = mailbox.passwordlastchange >= since
        queries = [select(mailbox.username).where(new, mailbox.username == rows.forwarding, rows.is_alias == 1)]
        owned = (self._column(reference) for reference in self.references if reference.owned)
        queries += [select(mailbox.username).where(new, mailbox.username == column) for column in owned]
        return set(tx.execute(union(*queries)).scalars())

    def remove_leftovers(self, tx: Transaction, address: str) -> None:
        """Remove what a former holder of `address` left behind, its per-account aliases among it."""
        forwardings = self._context.table("forwardings")
        tx.execute(delete(forwardings).where(forwardings.c.forwarding == address, forwardings.c.is_alias == 1))
        for reference in self.references:
            if reference.owned:
                tx.execute(delete(self._context.table(reference.table)).where(self._column(reference) == address))

    def may_refer(self, spellings: Spellings) -> dict[str, ColumnElement[bool]]:
        """Return, by tables, a condition that all rows with values of `found` meet, and that is short for many addresses.

        It reads all rows.
        """
        names = list(spellings.names)
        domains, exact = {domain_part(name) for name in names}, self._context.db.tells_case
        conditions: dict[str, list[ColumnElement[bool]]] = defaultdict(list)
        for reference in self.references:
            column = self._column(reference)
            condition: ColumnElement[bool] = column.in_({*names, *spellings.addresses})
            if reference.points:
                condition = called(column, names, exact=exact) | has_extension(column, domains, exact=exact)
            conditions[reference.table].append(condition)
        return {table: or_(*some) for table, some in conditions.items()}

    def found(self, tx: Transaction, spellings: Spellings) -> Found:
        """Return what stands in the columns that refer, and means one of some addresses; one statement finds it."""
        found: dict[Reference, list[str]] = defaultdict(list)
        for place, value in sorted(occurrences(self._context.db, tx, self._columns, spellings)):
            found[self.references[place]].append(value)
        return found

    def among(self, values: Found, addresses: Collection[str]) -> dict[str, ColumnElement[bool]]:
        """Return, by tables, the condition that a row has one of these values, and is none of a twin of `addresses`."""
        conditions: dict[str, list[ColumnElement[bool]]] = defaultdict(list)
        for reference, some in values.items():
            conditions[reference.table].append(
                self._column(reference).in_(some) & ~self._is_twins(reference, addresses)
            )
        return {table: or_(*some) for table, some in conditions.items()}

    def remove(
        self,
        tx: Transaction,
        spellings: Spellings,
        found: Found | None = None,
        forwardings: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Remove every row that refers to some addresses, in all tables but those of the accounts themselves.

        `found` is what `found` has returned for them, if that was asked, and `forwardings` the rows there that have any of
        it, if they were read.
        """
        found = self.found(tx, spellings) if found is None else found
        leading = {value for each, some in found.items() if each.column == "forwarding" for value in some}
        senders = self._senders_of(tx, leading, forwardings) if leading else set()
        for table, condition in self.among(found, spellings.addresses).items():
            tx.execute(delete(self._context.table(table)).where(condition))
        self._care_for(tx, senders, besides=set(spellings.addresses))

    def remove_domain(self, tx: Transaction, domain: str, alias_domains: Collection[str]) -> None:
        """Remove every row that refers to an address of `domain`, by the domain columns where there are any."""
        rows = self._forwarding.c
        names = {domain, *alias_domains}
        # Those of the domain itself are about to go.
        outside = called(rows.dest_domain, names, exact=self._context.db.tells_case) & (rows.domain != domain)
        senders = self._senders(tx.connection, outside)
        for reference in self.references:
            condition = self.in_domains(reference, names)
            tx.execute(delete(self._context.table(reference.table)).where(condition))
        self._care_for(tx, senders)

    def rename(self, tx: Transaction, old: Spellings, new: str) -> None:
        """Let every row that refers to the one address of `old` refer to `new`; rows that stand twice then become one."""
        found = self.found(tx, replace(old, addresses=[*old.addresses, new]))
        doubled = {reference for reference, values in found.items() if any(value.lower() == new for value in values)}
        for reference, spelling in self._in_order(old, found):
            target = old.renamed(spelling, new)
            # As a rule nothing refers to the new address yet, and so nothing can stand twice.
            twins = target != new or reference in doubled
            self._rename(tx, reference, spelling, target, twins=twins, addresses=old.addresses)
            doubled.add(reference)

    def leave_alias_domains(
        self, tx: Transaction, target: str, names: Collection[str], aliases: Mapping[str, str]
    ) -> None:
        """Let what refers to addresses under alias domains that go refer to the same address of their `target`.

        Otherwise it would point at a domain that is nobody's here, and its mail would leave the server. `aliases` are
        addresses under these domains that belong to an account of another name.
        """
        for reference, spelling in self._found(tx, lambda reference: self._under(reference, names)):
            address = spelling.strip().lower()
            self._rename(tx, reference, spelling, aliases.get(address) or f"{local_part(address)}@{target}")

    def _rename(
        self,
        tx: Transaction,
        reference: Reference,
        old: str,
        new: str,
        *,
        twins: bool = True,
        addresses: Collection[str] = (),
    ) -> None:
        if reference.partner and twins:
            self._remove_twins(tx, reference, old, new)
        values = {reference.column: new}
        if reference.domain and domain_part(old) != domain_part(new):
            values[reference.domain] = domain_part(new)
        table = self._context.table(reference.table)
        mine = (self._column(reference) == old) & ~self._is_twins(reference, addresses)
        tx.execute(update(table).where(mine).values(values))

    def _is_twins(self, reference: Reference, addresses: Collection[str]) -> ColumnElement[bool]:
        """Return the condition that a row lets an account keep its own mail that is called like one of `addresses`.

        Only in capitals is it another one, where the database tells these apart.
        """
        if reference.column != "forwarding" or not addresses or not self._context.db.tells_case:
            return false()
        rows, username = self._forwarding.c, self._context.table("mailbox").c.username
        is_self: ColumnElement[bool] = (rows.address == rows.forwarding) & rows.address.not_in(addresses)
        return is_self & exists().where(username == rows.address)

    def _in_order(self, old: Spellings, found: Found) -> Iterator[tuple[Reference, str]]:
        """Iterate over what is to be renamed: in all columns first what is spelt like the address itself."""
        every = [
            (reference, spelling)
            for reference in self.references
            for spelling in found.get(reference, ())
            if old.meant(spelling)
        ]
        yield from sorted(every, key=lambda each: each[1] not in old.addresses)

    def _found(
        self, tx: Transaction, condition: Callable[[Reference], ColumnElement[bool]]
    ) -> Iterator[tuple[Reference, str]]:
        """Iterate over what stands in the columns that refer, where a condition is met; one statement finds all."""
        queries = [
            select(literal(place), self._column(reference)).where(condition(reference))
            for place, reference in enumerate(self.references)
        ]
        found = {(int(place), str(spelling)) for place, spelling in tx.execute(union_all(*queries)).all()}
        for place, spelling in sorted(found):
            yield self.references[place], spelling

    def _under(self, reference: Reference, names: Collection[str]) -> ColumnElement[bool]:
        """Return the condition that a pointer, or somebody's relay, is written under one of some domains."""
        if not (reference.points or reference.table == "sender_relayhost"):
            return false()
        exact = self._context.db.tells_case
        if reference.domain:
            return called(self._context.table(reference.table).c[reference.domain], names, exact=exact)
        return in_domains(self._column(reference), names, exact=exact)

    def restore_self_rows(self, tx: Transaction, accounts: Sequence[str]) -> None:
        """Give accounts their self row back whose last forwarding is gone: without it their mail goes astray (trap 1)."""
        if not accounts:
            return
        self._shields.lift(tx, accounts)
        mailbox, rows = self._context.table("mailbox"), self._forwarding
        left = select(literal(1)).where(rows.c.address == mailbox.c.username, rows.c.is_forwarding == 1)
        query = select(mailbox.c.username, mailbox.c.domain, mailbox.c.active).where(
            mailbox.c.username.in_(accounts), ~left.exists()
        )
        lost = [
            {
                "address": name, "forwarding": name, "domain": domain, "dest_domain": domain, "is_forwarding": 1,
                "active": active,
            }
            for name, domain, active in tx.execute(query).all()
        ]  # fmt: skip
        self._context.insert(tx, "forwardings", lost)

    @property
    def _forwarding(self) -> Any:
        return self._context.table("forwardings")

    def _column(self, reference: Reference) -> ColumnElement[str]:
        return self._context.table(reference.table).c[reference.column]

    def _orphan_aliases_exist(self, address: str | ColumnElement[str]) -> ColumnElement[bool]:
        rows = self._forwarding
        return exists().where(rows.c.forwarding == address, rows.c.is_alias == 1)

    def _senders(self, connection: Connection, condition: ColumnElement[bool]) -> set[tuple[str, bool]]:
        """Return who sends mail to the addresses in question, and whether it is an account that forwards."""
        rows = self._forwarding.c
        query = select(rows.address, rows.is_forwarding).where(condition, rows.is_alias == 0)
        return {(address, bool(forwards)) for address, forwards in connection.execute(query.distinct())}

    def _senders_of(
        self, tx: Transaction, values: Collection[str], rows: Sequence[Mapping[str, Any]] | None
    ) -> set[tuple[str, bool]]:
        """Return what `_senders` does for destinations, from rows if they were read and hold no octets."""
        if rows is None or not all(isinstance(row[name], str) for row in rows for name in ("address", "forwarding")):
            return self._senders(tx.connection, self._forwarding.c.forwarding.in_(values))
        leading = (row for row in rows if row["forwarding"] in values and not row["is_alias"])
        return {(str(row["address"]), bool(row["is_forwarding"])) for row in leading}

    def _care_for(self, tx: Transaction, senders: Collection[tuple[str, bool]], besides: Collection[str] = ()) -> None:
        """See that nobody else gets the mail of those who may have lost their last destination."""
        left = [(address, forwards) for address, forwards in sorted(senders) if address not in besides]
        self.restore_self_rows(tx, [address for address, forwards in left if forwards])
        self._shields.renew(tx, [address for address, _ in left if "@" in address])
        for domain in (address for address, _ in left if "@" not in address):
            self._shields.renew_domain(tx, domain)

    def in_domains(self, reference: Reference, names: Collection[str]) -> ColumnElement[bool]:
        """Return the condition that a column refers to an address of a domain, which has these names."""
        column, exact = self._column(reference), self._context.db.tells_case and reference.points
        under = in_domains(column, names, exact=exact)
        if reference.domain is None:
            return under
        listed = called(self._context.table(reference.table).c[reference.domain], names, exact=exact)
        # Renames by other tools leave the old domain there.
        return or_(listed, under) if reference.table in {"used_quota", "last_login"} else listed

    def _remove_twins(self, tx: Transaction, reference: Reference, old: str, new: str) -> None:
        """Remove rows of `new` whose partner has a row of `old` too; both would violate the unique key after the rename."""
        table = self._context.table(reference.table)
        other = table.alias("other")
        partner = reference.partner or ""
        same = and_(other.c[partner] == table.c[partner], other.c[reference.column] == old)
        query = select(table.c.id).join(other, same).where(table.c[reference.column] == new)
        twins = tx.execute(query).scalars().all()
        if twins:
            tx.execute(delete(table).where(table.c.id.in_(twins)))
