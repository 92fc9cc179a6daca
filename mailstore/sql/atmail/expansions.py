"""Rows of `aliases`: what an address, or a whole domain, is turned into.

atmail knows three types. ``Local`` diverts an address, ``Deliver`` delivers to the local user and to the target, ``Domain``
diverts a domain to another one. There is one target in a row; several rows with one name are several targets. In the terms
of this library:

- rows named like an account are its forwarding, with a copy (``Deliver``) or without (``Local``);
- ``Domain`` rows are alias domains;
- the other names are alias accounts, whose members are the targets. One that leads to nothing but a single account is a
  per-account alias of it too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from mailstore.address import domain_part, local_part
from mailstore.driver.names import Spellings
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.schema.units import local_now
from mailstore.sql.engine import Transaction
from mailstore.sql.spelled import called, has_extension, leads_to

__all__ = ["DELIVER", "DOMAIN", "LOCAL", "Expansions", "alias_row", "bare"]

LOCAL, DELIVER, DOMAIN = "Local", "Deliver", "Domain"


def alias_row(name: str, target: str, type_: str = LOCAL) -> dict[str, Any]:
    """Return a new row. `Domain` is empty in every sample of the vendor; what it is for is not known."""
    return {
        "AliasName": name, "AliasTo": target, "aliasType": type_, "Domain": "", "DomainPart": domain_part(name),
        "DateCreate": local_now(),
    }  # fmt: skip


class Expansions:
    """Reads and changes sets of rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("aliases")
        self._accounts = context.table("accounts").c
        self.columns = self._table.c

    def add(self, tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows."""
        self._context.insert(tx, "aliases", rows)

    def remove(self, tx: Transaction, condition: ColumnElement[bool]) -> int:
        """Remove the rows that meet a condition; return how many there were."""
        return tx.execute(delete(self._table).where(condition)).rowcount

    def replace(self, tx: Transaction, name: str, targets: Iterable[str], type_: str) -> None:
        """Let an address have exactly these targets, with rows of this type; rows that are right already stay."""
        of_name = self.named(name)
        query = select(self.columns.id, self.columns.AliasTo, self.columns.aliasType).where(of_name)
        present = {target: (number, kind) for number, target, kind in tx.execute(query).all()}
        wanted = dict.fromkeys(targets)
        keep = [number for target, (number, kind) in present.items() if target in wanted and kind == type_]
        if len(keep) < len(present):
            self.remove(tx, and_(of_name, self.columns.id.not_in(keep)))
        kept = {target for target, (number, _) in present.items() if number in keep}
        self.add(tx, [alias_row(name, target, type_) for target in wanted if target not in kept])

    def named(self, name: str) -> ColumnElement[bool]:
        """Return the condition of the rows that expand an address."""
        return (self.columns.AliasName == name) & (self.columns.aliasType != DOMAIN)

    def is_address(self) -> ColumnElement[bool]:
        """Return the condition that a row is neither an alias domain nor the forwarding of an account."""
        return and_(
            self.columns.aliasType != DOMAIN, ~exists().where(self._accounts.username == self.columns.AliasName)
        )

    def alone(self) -> ColumnElement[bool]:
        """Return the condition that a row is a per-account alias: no other row has its name, and no account."""
        other = self._table.alias("other").c
        same = exists().where(other.AliasName == self.columns.AliasName, other.id != self.columns.id)
        return and_(self.columns.aliasType == LOCAL, ~same, self.is_address())

    def around(
        self, connection: Connection, accounts: Collection[str]
    ) -> tuple[Mapping[str, list[tuple[str, str]]], Mapping[str, list[str]]]:
        """Return what accounts forward to, as targets with types, and their per-account aliases, with one statement.

        The keys are in lower case, whatever another program wrote.
        """
        columns = self.columns
        query = union_all(
            select(literal("to"), columns.AliasName, columns.AliasTo, columns.aliasType).where(
                columns.AliasName.in_(accounts), columns.aliasType != DOMAIN
            ),
            select(literal("from"), columns.AliasTo, columns.AliasName, columns.aliasType).where(
                columns.AliasTo.in_(accounts), self.alone()
            ),
        )
        forwardings: dict[str, list[tuple[str, str]]] = defaultdict(list)
        aliases: dict[str, list[str]] = defaultdict(list)
        for direction, account, other, type_ in connection.execute(query).all():
            if direction == "to":
                forwardings[account.lower()].append((other, type_))
            else:
                aliases[account.lower()].append(other)
        return forwardings, aliases

    def leading(
        self, connection: Connection, accounts: Collection[str]
    ) -> tuple[Mapping[str, str], Mapping[str, set[str]]]:
        """Return the per-account aliases of accounts, with these, and all alias domains by the domain; one statement."""
        columns = self.columns
        query = union_all(
            select(literal("domain"), bare(columns.AliasName), bare(columns.AliasTo)).where(
                columns.aliasType == DOMAIN
            ),
            select(literal("alias"), columns.AliasName, columns.AliasTo).where(
                columns.AliasTo.in_(accounts), self.alone()
            ),
        )
        holders: dict[str, str] = {}
        under: dict[str, set[str]] = defaultdict(set)
        for kind, name, target in connection.execute(query).all():
            if kind == "alias":
                holders[name.lower()] = target.lower()
            else:
                under[target.lower()].add(name.lower())
        return holders, under

    def refers(self, spellings: Spellings) -> ColumnElement[bool]:
        """Return the condition that a row leads to some addresses, under every spelling that is followed."""
        return leads_to(self.columns.AliasTo, spellings)

    def may_refer(self, spellings: Spellings) -> ColumnElement[bool]:
        """Return a condition that `refers` implies, and whose size does not grow with each of many addresses."""
        names = spellings.names
        domains = {domain_part(name) for name in names}
        return called(self.columns.AliasTo, names, exact=False) | has_extension(
            self.columns.AliasTo, domains, exact=False
        )

    def remove_references(self, tx: Transaction, spellings: Spellings) -> None:
        """Remove every row that expands some addresses, or leads to them."""
        self.remove(tx, or_(self.columns.AliasName.in_(list(spellings.names)), self.refers(spellings)))

    def leave_alias_domain(self, tx: Transaction, name: str, target: str) -> None:
        """Let rows that lead to addresses under an alias domain that goes lead to the same ones of its `target`.

        Otherwise they would lead to a domain that is nobody's here, and its mail would leave the server.
        """
        columns = self.columns
        under = columns.AliasTo.endswith(f"@{name}", autoescape=True) & columns.AliasTo.not_like("@%")
        for spelling in tx.execute(select(columns.AliasTo).where(under).distinct()).scalars().all():
            self._rename_target(tx, spelling, f"{local_part(spelling).lower()}@{target}")

    def remove_domain(self, tx: Transaction, domain: str, alias_domains: Collection[str]) -> None:
        """Remove every row in or under a domain and its alias domains, and every row that leads there."""
        self.remove(tx, self.of_domain(domain, alias_domains))

    def of_domain(self, domain: str, alias_domains: Collection[str]) -> ColumnElement[bool]:
        """Return the condition of every row in or under a domain and its alias domains, or that leads there."""
        columns = self.columns
        names = [domain, *alias_domains]
        conditions: Any = [columns.AliasName.in_([*names, *(f"@{name}" for name in names)])]
        conditions += [columns.AliasTo.in_([domain, f"@{domain}"])]
        for name in names:
            conditions.append(columns.AliasName.endswith(f"@{name}", autoescape=True))
            conditions.append(columns.AliasTo.endswith(f"@{name}", autoescape=True))
        return or_(*conditions)

    def rename_domain(self, tx: Transaction, old: str, new: str) -> None:
        """Let every row in a domain, or that leads there, do so under its new name, which is free or its alias domain."""
        columns, twin = self.columns, self._table.alias("twin")
        own = columns.AliasName.in_([new, f"@{new}"]) & columns.AliasTo.in_([old, f"@{old}"])
        self.remove(tx, own)
        under_new = columns.AliasTo.endswith(f"@{new}", autoescape=True)
        same = (twin.c.AliasName == columns.AliasName) & (twin.c.AliasTo == in_domain(columns.AliasTo, new, old))
        doubled = tx.execute(select(columns.id).join_from(self._table, twin, same).where(under_new)).scalars().all()
        if doubled:
            self.remove(tx, columns.id.in_(doubled))
        values: dict[str, Any] = {}
        conditions: list[ColumnElement[bool]] = []
        for column in (columns.AliasTo, columns.AliasName):
            under, is_name = column.endswith(f"@{old}", autoescape=True), column == old
            values[column.name] = case((under, in_domain(column, old, new)), (is_name, new), else_=column)
            conditions += [under, is_name]
        if "DomainPart" in columns:
            values["DomainPart"] = case((columns.DomainPart == old, new), else_=columns.DomainPart)
            conditions.append(columns.DomainPart == old)
        tx.execute(update(self._table).where(or_(*conditions)).values(values))

    def rename(self, tx: Transaction, old: Spellings, new: str) -> None:
        """Let every row that expands or leads to the address of `old` do so for `new`; rows that stand twice become one."""
        (address,) = old.addresses
        columns = self.columns
        self._rename_target(tx, address, new)
        others = select(columns.AliasTo).where(self.refers(old), columns.AliasTo != address).distinct()
        for spelling in tx.execute(others).scalars().all():
            self._rename_target(tx, spelling, old.renamed(spelling, new))
        values: dict[str, Any] = {"AliasName": new}
        if "DomainPart" in columns:
            values["DomainPart"] = domain_part(new)
        tx.execute(update(self._table).where(columns.AliasName == address).values(values))

    def _rename_target(self, tx: Transaction, old: str, new: str) -> None:
        columns = self.columns
        twin = self._table.alias("twin")
        same = select(columns.id).join_from(self._table, twin, twin.c.AliasName == columns.AliasName)
        doubled = tx.execute(same.where(columns.AliasTo == new, twin.c.AliasTo == old)).scalars().all()
        own = and_(columns.AliasName == old, columns.AliasTo == new)
        self.remove(tx, or_(columns.id.in_(doubled), own) if doubled else own)
        tx.execute(update(self._table).where(columns.AliasTo == old).values(AliasTo=new))

    def alias_domains(self, connection: Connection, targets: Collection[str]) -> dict[str, list[str]]:
        """Return the alias domains of each of some domains."""
        columns = self.columns
        plain_target = bare(columns.AliasTo)
        query = select(plain_target, bare(columns.AliasName)).where(
            columns.aliasType == DOMAIN, columns.AliasTo.in_([*targets, *(f"@{name}" for name in targets)])
        )
        found: dict[str, list[str]] = defaultdict(list)
        for target, name in connection.execute(query).all():
            found[target.lower()].append(name.lower())
        return found


def in_domain(column: ColumnElement[str], old: str, new: str) -> ColumnElement[str]:
    """Return the address in a column, which lies in a domain, with another domain behind the @."""
    return func.substr(column, 1, func.char_length(column) - len(old)).concat(new)


def bare(column: ColumnElement[str]) -> ColumnElement[str]:
    """Return the domain in a column of a ``Domain`` row; the form with an @ in front is not documented, but understood."""
    return case((column.startswith("@"), func.substr(column, 2)), else_=column)
