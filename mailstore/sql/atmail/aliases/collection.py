"""Alias accounts: the names in `aliases` that are neither accounts nor domains, with their targets as members.

An alias is its rows: without members there is none, and nothing else is kept of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, Select, and_, func, null, select

from mailstore import store
from mailstore.address import alias_address, any_address, domain_part, held_address, held_domain
from mailstore.driver.names import Wanted, settled, wanted
from mailstore.driver.rights import Operation
from mailstore.driver.values import either, sought
from mailstore.errors import InvalidValue, NotFound
from mailstore.fields import AliasFields, reject_unknown, reject_unsupported
from mailstore.model import Alias, Edit, Names
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.expansions import Expansions, alias_row
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.schema.units import from_local
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["Aliases"]

_PAGE = 500


@repeating
class Aliases(store.Aliases):
    """See `mailstore.store.Aliases`."""

    fields = frozenset({"members"})

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._expansions = Expansions(context)
        self._columns = self._expansions.columns

    def create(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        address, members = alias_address(address), _members(fields)
        targets = settled(members, ())
        if not targets:
            raise _no_members(address)
        with self._context.writing(address, Operation.WRITE_ALIASES, domain_part(address)) as tx:
            self._names.lock_domain(tx, domain_part(address))
            self._names.refuse_taken(tx.connection, address)
            self._expansions.add(tx, [alias_row(address, target) for target in targets])
            return self._get(tx.connection, address)

    def get(self, address: str) -> Alias:
        address = held_address(address)
        with self._context.reading(Operation.SEE_ALIASES, domain_part(address)) as connection:
            return self._get(connection, address)

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[Alias]:
        name = self._columns.AliasName
        query = select(name).where(self._condition(domain, search, enabled)).distinct().order_by(name).limit(_PAGE)

        def fetch(last: str) -> Sequence[Alias]:
            with self._context.reading(Operation.SEE_ALIASES) as connection:
                return self._page(connection, query.where(name > last))

        for page in pages(fetch, lambda alias: alias.address, start=sought(after, "after"), size=_PAGE):
            yield from page

    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        query = select(func.count(self._columns.AliasName.distinct())).where(self._condition(domain, search, enabled))
        with self._context.reading(Operation.SEE_ALIASES) as connection:
            return connection.execute(query).scalar_one()

    def exists(self, address: str) -> bool:
        of_name = self._columns.AliasName == held_address(address)
        query = select(self._columns.id).where(of_name, self._condition(None, None, None)).limit(1)
        with self._context.reading(Operation.SEE_ALIASES) as connection:
            return connection.execute(query).first() is not None

    def update(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        address, members = held_address(address), _members(fields)
        with self._context.writing(address, Operation.WRITE_ALIASES, domain_part(address)) as tx:
            present = self._lock(tx, address)
            owners = partial(self._names.owners, tx.connection)
            targets = settled(members, present, owners)
            if not targets:
                raise _no_members(address)
            gone = set(present) - set(targets)
            if gone:
                self._require_deletion(tx, address)
                of_name = self._expansions.named(address)
                self._expansions.remove(tx, and_(of_name, self._columns.AliasTo.in_(gone)))
            self._expansions.add(tx, [alias_row(address, name) for name in targets if name not in present])
            return self._get(tx.connection, address)

    def rename(self, address: str, new_address: str) -> Alias:
        old, new = held_address(address), alias_address(new_address)
        with self._context.writing(old, Operation.WRITE_ALIASES, domain_part(old)) as tx:
            self._names.lock_owners(tx, {old, new}, operation=Operation.WRITE_ALIASES)
            self._lock(tx, old)
            if old != new:
                self._require_deletion(tx, old)
                self._names.lock_domain(tx, domain_part(new))
                self._names.refuse_taken(tx.connection, new)
                spellings = self._names.spellings(tx.connection, [old], with_aliases=False, also=domain_part(new))
                self._expansions.rename(tx, spellings, new)
            return self._get(tx.connection, new)

    def delete(self, address: str) -> None:
        address = held_address(address)
        with self._context.writing(address, Operation.DELETE_ALIASES, domain_part(address)) as tx:
            self._lock(tx, address)
            spellings = self._names.spellings(tx.connection, [address], with_aliases=False)
            self._expansions.remove_references(tx, spellings)

    def _require_deletion(self, tx: Transaction, address: str) -> None:
        if self._context.actor:
            self._context.actor.require(tx.connection, Operation.DELETE_ALIASES, domain_part(address))

    def _get(self, connection: Connection, address: str) -> Alias:
        query = select(self._columns.AliasName).where(self._columns.AliasName == address, self._expansions.is_address())
        found = self._page(connection, query.distinct())
        if not found:
            raise NotFound(f"there is no alias {address}", subject=address)
        return found[0]

    def _lock(self, tx: Transaction, address: str) -> tuple[str, ...]:
        """Lock an alias with the domain that owns it; return its members. Raises NotFound."""
        owner = self._names.owners(tx.connection, [domain_part(address)]).get(domain_part(address))
        if owner is not None:
            self._names.lock_domain(tx, owner)
        of_name = (self._columns.AliasName == address, self._expansions.is_address())
        members = tx.execute(select(self._columns.AliasTo).where(*of_name).order_by(self._columns.id)).scalars().all()
        if not members:
            raise NotFound(f"there is no alias {address}", subject=address)
        return tuple(members)

    def _page(self, connection: Connection, names: Select[Any]) -> Sequence[Alias]:
        found = connection.execute(names).scalars().all()
        rows = self._rows(connection, found) if found else {}
        return [
            Alias(
                address=name.lower(),
                members=tuple(sorted({target for target, _ in rows[name.lower()]})),
                created=from_local(min((moment for _, moment in rows[name.lower()] if moment), default=None)),
            )
            for name in found
        ]

    def _rows(
        self, connection: Connection, names: Sequence[str]
    ) -> Mapping[str, Sequence[tuple[str, datetime | None]]]:
        columns = self._columns
        moment: Any = columns.DateCreate if "DateCreate" in columns else null()
        query = select(columns.AliasName, columns.AliasTo, moment).where(
            columns.AliasName.in_(names), self._expansions.is_address()
        )
        rows: dict[str, Any] = defaultdict(list)
        for name, target, created in connection.execute(query).all():
            rows[name.lower()].append((target, created))
        return rows

    def _condition(self, domain: str | None, search: str | None, enabled: bool | None) -> ColumnElement[bool]:
        name = self._columns.AliasName
        conditions: Any = [self._expansions.is_address()]
        conditions.append(self._context.visible_name(func.substring_index(name, "@", -1)))
        if domain is not None:
            conditions.append(name.endswith(f"@{held_domain(domain)}", autoescape=True))
        if search and sought(search):
            conditions.append(name.contains(search.lower(), autoescape=True))
        if either(enabled) is False:
            conditions.append(self._columns.id < 0)  # there are no disabled aliases
        return and_(*conditions)


def _members(fields: Mapping[str, Any]) -> Wanted:
    """Return the members that parameters name. Raises NotSupported for what atmail keeps nothing of."""
    reject_unknown(fields, AliasFields)
    reject_unsupported(fields, Aliases.fields, Alias(address=""), "atmail")
    names: Names = fields.get("members", Edit())
    return wanted(names, any_address)


def _no_members(address: str) -> InvalidValue:
    return InvalidValue(
        f"{address}: in atmail an alias is its members, and has one at least; delete it instead", subject=address
    )
