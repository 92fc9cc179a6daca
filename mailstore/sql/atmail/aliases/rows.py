"""The rows of `aliases` one by one, as atmail's own API handles them, of all three types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from mailstore.address import alias_address, any_address, domain_name, domain_part
from mailstore.driver.rights import Operation
from mailstore.errors import AlreadyExists, InvalidValue, NotFound
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.expansions import DELIVER, DOMAIN, LOCAL, Expansions, alias_row
from mailstore.sql.atmail.names import DOMAIN_NAMES, NameSpace
from mailstore.sql.atmail.schema.units import from_local
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["AliasRow", "AliasRows"]

_PAGE = 500
_TYPES = {LOCAL.lower(): LOCAL, DELIVER.lower(): DELIVER, DOMAIN.lower(): DOMAIN}


@dataclass(frozen=True)
class AliasRow:
    """One row: ``type`` is ``Local``, ``Deliver`` or ``Domain``."""

    id: int
    name: str
    target: str
    type: str
    domain: str = ""
    created: datetime | None = None


class AliasRows:
    """Rows of `aliases`. `store.aliases`, forwardings and alias domains are other views of the same rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._expansions = Expansions(context)
        self._names = NameSpace(context)
        self._columns = self._expansions.columns

    def create(self, name: str, target: str, type_: str = LOCAL) -> int:
        """Add a row; return its number.

        Parameters
        ----------
        name: an address; for ``Domain`` a domain.
        target: where its mail goes: an address; for ``Domain`` a domain.
        type_: ``Local`` diverts an address; ``Deliver`` lets the account of that name have a copy, and needs one;
            ``Domain`` diverts a domain that is not served here itself to one that is.

        Raises AlreadyExists if this row is there, or a ``Domain`` row's name is in use; NotFound, InvalidValue.
        """
        kind = _TYPES.get(type_.lower())
        if kind is None:
            raise InvalidValue(f"alias type {type_!r}: it must be one of {', '.join(_TYPES.values())}")
        row = self._checked(name, target, kind)
        owner = domain_part(row["AliasTo"] if kind == DOMAIN else row["AliasName"])
        wanted = (Operation.WRITE_ALIASES, Operation.NEW_NAME) if kind == DOMAIN else (Operation.WRITE_ALIASES,)
        with self._context.writing(row["AliasName"], wanted) as tx:
            self._lock(tx, owner)
            self._refuse(tx, row)
            return self._context.insert_one(tx, "aliases", row)

    @staticmethod
    def _checked(name: str, target: str, kind: str) -> dict[str, Any]:
        if kind == DOMAIN:
            return alias_row(domain_name(name.removeprefix("@")), domain_name(target.removeprefix("@")), kind)
        return alias_row(alias_address(name), any_address(target), kind)

    def _lock(self, tx: Transaction, domain: str) -> None:
        """Lock the domain that owns an address. Raises NotFound if none of this store does."""
        owner = self._names.owners(tx.connection, [domain]).get(domain, domain)
        if self._context.actor:
            self._context.actor.require(tx.connection, Operation.WRITE_ALIASES, owner)
        self._names.lock_domain(tx, owner)

    def _refuse(self, tx: Transaction, row: Mapping[str, Any]) -> None:
        name, kind, columns = row["AliasName"], row["aliasType"], self._columns
        same = select(columns.id).where(columns.AliasName == name, columns.AliasTo == row["AliasTo"])
        if tx.execute(same).first():
            raise AlreadyExists(f"{name} leads to {row['AliasTo']} already", subject=name)
        if kind == DOMAIN:
            self._context.db.lock_name(tx, DOMAIN_NAMES)
            owner = self._names.owners(tx.connection, [name]).get(name)
            if owner is not None:
                raise AlreadyExists(f"{name} is a domain already, or leads to {owner}", subject=name)
            self._names.refuse_served(tx.connection, name)
            return
        if kind == DELIVER and not self._is_account(tx, name):
            raise NotFound(f"there is no account {name} to deliver to; use the type Local", subject=name)
        self._names.refuse_under_other_names(tx.connection, name)

    def _is_account(self, tx: Transaction, address: str) -> bool:
        accounts = self._context.table("accounts").c
        return tx.execute(select(accounts.accountId).where(accounts.username == address)).first() is not None

    def get(self, id: int) -> AliasRow:
        """Return one row by its number. Raises NotFound."""
        query = select(*labelled(self._context.table("aliases"))).where(self._columns.id == id, self._visible())
        with self._context.reading(Operation.SEE_ALIASES) as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no alias row {id}", subject=str(id))
        return _row(row)

    def list(
        self,
        *,
        filter: str | None = None,
        name: str | None = None,
        target: str | None = None,
        domain: str | None = None,
    ) -> Iterator[AliasRow]:
        """Iterate over rows by rising number; each parameter is a part of what is looked for, upper and lower case alike.

        Parameters
        ----------
        filter: a part of any of the other three.
        name, target: of that address. domain: of the domain of the name, or of what the column `Domain` holds.
        """
        query = select(*labelled(self._context.table("aliases"))).order_by(self._columns.id).limit(_PAGE)
        query = query.where(self._selected(filter, name, target, domain))

        def fetch(after: int) -> Sequence[AliasRow]:
            with self._context.reading(Operation.SEE_ALIASES) as connection:
                rows = connection.execute(query.where(self._columns.id > after)).mappings()
                return [_row(row) for row in rows]

        for page in pages(fetch, lambda row: row.id, start=0, size=_PAGE):
            yield from page

    def delete(self, *, name: str | None = None, target: str | None = None, id: int | None = None) -> int:
        """Delete the rows that have all of what is given; return how many there were. Nothing given is refused.

        An acting admin that selects a row of an alias domain needs the right to remove alias domains, as anywhere else.
        """
        conditions: Any = []
        if name is not None:
            conditions.append(self._columns.AliasName == name.strip().lower())
        if target is not None:
            conditions.append(self._columns.AliasTo == target.strip().lower())
        if id is not None:
            conditions.append(self._columns.id == id)
        if not conditions:
            raise InvalidValue("say which alias rows to delete: by name, target or id")
        with self._context.writing(name or target or f"row {id}", Operation.DELETE_ALIASES) as tx:
            selected = and_(self._visible(), *conditions)
            if self._context.actor:
                of_domains = select(self._columns.id).where(selected, self._columns.aliasType == DOMAIN).limit(1)
                if tx.execute(of_domains).first() is not None:
                    self._context.actor.require(tx.connection, Operation.DROP_ALIAS_DOMAIN)
            return self._expansions.remove(tx, selected)

    def _selected(
        self, filter_: str | None, name: str | None, target: str | None, domain: str | None
    ) -> ColumnElement[bool]:
        columns = self._columns
        of_domain = [columns.AliasName if "DomainPart" not in columns else columns.DomainPart]
        of_domain += [columns.Domain] if "Domain" in columns else []
        conditions: Any = [self._visible()]
        for text, searched in (
            (filter_, [columns.AliasName, columns.AliasTo, *of_domain]),
            (name, [columns.AliasName]), (target, [columns.AliasTo]), (domain, of_domain),
        ):  # fmt: skip
            if text:
                conditions.append(or_(*(column.icontains(text, autoescape=True) for column in searched)))
        return and_(*conditions)

    def _visible(self) -> ColumnElement[bool]:
        """Return the condition that a row is of a domain that the actor manages; an alias domain is of its target."""
        own = case((self._columns.aliasType == DOMAIN, self._columns.AliasTo), else_=self._columns.AliasName)
        return self._context.visible_name(func.substring_index(own, "@", -1))


def _row(row: Mapping[Any, Any]) -> AliasRow:
    return AliasRow(
        id=row["id"],
        name=row["AliasName"],
        target=row["AliasTo"],
        type=row["aliasType"],
        domain=row.get("Domain") or "",
        created=from_local(row.get("DateCreate")),
    )
