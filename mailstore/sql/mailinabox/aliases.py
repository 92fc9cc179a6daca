"""Aliases that somebody made: the table `aliases`. A source ``@domain`` is a catch-all, or the name of an alias domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, insert, select, true, update

from mailstore import store
from mailstore.address import domain_part, held_domain
from mailstore.driver.names import Given, Wanted, newcomers, wanted
from mailstore.driver.readings import Readings
from mailstore.driver.values import either, sought
from mailstore.errors import InvalidValue, NotFound
from mailstore.fields import AliasFields, reject_unknown, reject_unsupported
from mailstore.model import Alias, Edit
from mailstore.sql.driver import as_stored, refuse_twin
from mailstore.sql.engine import Transaction
from mailstore.sql.lenient import is_text, note_replaced
from mailstore.sql.mailinabox import rights
from mailstore.sql.mailinabox.accounts import rules
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.names import name_space
from mailstore.sql.mailinabox.names.references import References
from mailstore.sql.mailinabox.schema import address_lists
from mailstore.sql.paging import pages

__all__ = ["Aliases"]

Conditions: TypeAlias = "list[ColumnElement[bool]]"  # `list` is the name of a method below
_SUPPORTED = frozenset({"members", "permitted_senders"})
_PAGE = 500


class Aliases(store.Aliases):
    """See `mailstore.store.Aliases`."""

    fields = _SUPPORTED

    def __init__(self, context: Context) -> None:
        self._context = context
        self._references = References(context.schema)
        self._table = context.table("aliases")
        columns = ("id", "source", "destination", "permitted_senders")
        self._query = select(*(self._table.c[name] for name in columns if name in self._table.c))

    def create(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        change, source = self._change(fields), rules.new_source(address)
        with self._context.changing(source) as tx:
            name_space.refuse_taken(self._context.schema, tx, source)
            row = {"source": source, "destination": "", **self._columns(tx, source, {}, change)}
            tx.execute(insert(self._table).values(row))
            return self._get(tx.connection, source)

    def automatic(self) -> Sequence[tuple[str, str]]:
        """Return sources and destinations of the aliases that the box makes by itself, sorted; none before release 55."""
        if not self._context.schema.has("auto_aliases"):
            return []
        columns = self._context.table("auto_aliases").c
        query = select(columns.source, columns.destination).order_by(columns.source, columns.destination)
        with self._context.reading() as connection:
            return [(str(source), str(destination or "")) for source, destination in connection.execute(query)]

    def get(self, address: str) -> Alias:
        source = self._named(address)
        with self._context.reading() as connection:
            return self._get(connection, source)

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[Alias]:
        source = self._table.c.source
        query = self._query.where(self._condition(domain, search, enabled)).order_by(source).limit(_PAGE)

        def fetch(last: str) -> Sequence[Alias]:
            with self._context.reading() as connection:
                return [_alias(row) for row in connection.execute(query.where(source > last)).mappings()]

        for page in pages(fetch, lambda alias: alias.address, start=sought(after, "after"), size=_PAGE):
            yield from page

    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        query = select(func.count()).select_from(self._table).where(self._condition(domain, search, enabled))
        with self._context.reading() as connection:
            return connection.execute(query).scalar_one()

    def exists(self, address: str) -> bool:
        source = self._named(address)
        with self._context.reading() as connection:
            return self._row(connection, source) is not None

    def update(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        change, source = self._change(fields), self._named(address)
        with self._context.changing(source) as tx:
            row = self._require(tx.connection, source)
            columns = self._columns(tx, source, row, change)
            if columns:
                tx.execute(update(self._table).where(self._table.c.id == row["id"]).values(columns))
            return self._get(tx.connection, source)

    def rename(self, address: str, new_address: str) -> Alias:
        old, new = self._named(address), rules.new_source(new_address)
        with self._context.changing(old) as tx:
            row = self._require(tx.connection, old)
            refuse_twin(tx.connection, old, self._table.c.source)
            if old != new:
                name_space.refuse_taken(self._context.schema, tx, new)
                self._check_destinations(tx, new, address_lists.split(row["destination"]))
                tx.execute(update(self._table).where(self._table.c.id == row["id"]).values(source=new))
                self._references.rename(tx, old, new)
            return self._get(tx.connection, new)

    def delete(self, address: str) -> None:
        source = self._named(address)
        with self._context.changing(source) as tx:
            row = self._require(tx.connection, source)
            refuse_twin(tx.connection, source, self._table.c.source)
            tx.execute(delete(self._table).where(self._table.c.id == row["id"]))
            if not source.startswith("@"):  # a destination @domain means its users, not its catch-all
                self._references.remove(tx, self._references.find(tx, source))

    def _named(self, address: str) -> str:
        return as_stored(self._context.db, address, rules.known_source(address), self._table.c.source)

    def _change(self, fields: Mapping[str, Any]) -> dict[str, Wanted]:
        """Return the parameters that an alias of a box has, checked as far as that goes without the file."""
        reject_unknown(fields, AliasFields)
        reject_unsupported(fields, _SUPPORTED, Alias(address=""), self._context.name)
        change = {
            name: wanted(fields[name], rules.new_destination, rules.known_source)
            for name in _SUPPORTED
            if name in fields
        }
        senders = change.get("permitted_senders")
        if senders if isinstance(senders, Given) else newcomers(senders):
            self._context.require("aliases", "permitted_senders", "permitted senders")
        return change

    def _columns(
        self, tx: Transaction, source: str, row: Mapping[Any, Any], change: Mapping[str, Wanted]
    ) -> dict[str, Any]:
        """Return the columns that a change sets, checked as the box checks them."""
        columns: dict[str, Any] = {}
        owners = partial(name_space.owners, self._context.schema, tx.connection)
        if "members" in change:
            members = address_lists.edited(row.get("destination"), change["members"], owners)
            self._check_destinations(tx, source, members)
            if row.get("destination") and not members:
                self._refuse_to_catch_all(tx, source)
            columns["destination"] = address_lists.joined(members)
        if "permitted_senders" in change and "permitted_senders" in self._table.c:
            senders = address_lists.edited(row.get("permitted_senders"), change["permitted_senders"], owners)
            self._check_senders(tx, newcomers(change["permitted_senders"]))
            if row.get("permitted_senders") and not senders and isinstance(change["permitted_senders"], Edit):
                _refuse_senders_to_members(source)
            # NULL lets the destinations send; an empty list would let nobody.
            columns["permitted_senders"] = address_lists.joined(senders) or None
        result = {**row, **columns}
        if (columns or not row) and not (result.get("destination") or result.get("permitted_senders")):
            raise InvalidValue(f"{source}: an alias needs a member or a permitted sender", subject=source)
        return columns

    def _refuse_to_catch_all(self, tx: Transaction, source: str) -> None:
        """Raise InvalidValue if somebody else would get the mail of an alias that is to have no member any more."""
        domain = domain_part(source)
        if name_space.has_catch_all(self._context.schema, tx.connection, domain):
            raise InvalidValue(
                f"{source} would have no member, and its mail would go to the catch-all of {domain}: nothing was changed;"
                " name another member, or delete the alias",
                subject=source,
            )

    def _check_destinations(self, tx: Transaction, source: str, members: Sequence[str]) -> None:
        domains = [member for member in members if member.startswith("@")]
        if domains and (len(members) > 1 or rules.is_for_domain_control(source)):
            raise InvalidValue(
                f"{source}: {domains[0]} has to be the only member, and not of such a name", subject=source
            )
        if not rules.is_for_domain_control(source):
            return
        others = {rules.without_tag(name) for name in members if not rules.is_for_domain_control(name)}
        users = self._context.table("users").c
        query = select(users.email).where(users.email.in_(others), rights.is_admin(self._context.schema))
        refused = sorted(others - set(tx.execute(query).scalars()))
        if refused:
            raise InvalidValue(
                f"{source} proves the ownership of its domain and may only lead to admins of the box: not to {refused[0]}",
                subject=source,
            )

    def _check_senders(self, tx: Transaction, senders: Sequence[str]) -> None:
        users = self._context.table("users").c
        known = set(tx.execute(select(users.email).where(users.email.in_(senders))).scalars())
        for unknown in sorted(set(senders) - known):
            raise NotFound(f"{unknown} cannot be a permitted sender: there is no such account", subject=unknown)

    def _get(self, connection: Connection, source: str) -> Alias:
        return _alias(self._require(connection, source))

    def _require(self, connection: Connection, source: str) -> Mapping[Any, Any]:
        row = self._row(connection, source)
        if row is None:
            raise NotFound(f"there is no alias {source}", subject=source)
        return row

    def _row(self, connection: Connection, source: str) -> Mapping[Any, Any] | None:
        return connection.execute(self._query.where(self._table.c.source == source)).mappings().first()

    def _condition(self, domain: str | None, search: str | None, enabled: bool | None) -> ColumnElement[bool]:
        source = self._table.c.source
        conditions: Conditions = [is_text(source)]
        conditions += [true() if either(enabled) is not False else false()]  # aliases are never switched off
        if domain is not None:
            conditions.append(source.endswith(f"@{held_domain(domain)}", autoescape=True))
        if search and sought(search):
            conditions.append(source.icontains(search, autoescape=True))
        return and_(*conditions)


def _alias(row: Mapping[Any, Any]) -> Alias:
    readings = Readings()
    note_replaced(readings, row)
    return Alias(
        address=row["source"],
        members=address_lists.shown(row["destination"]),
        permitted_senders=address_lists.shown(row.get("permitted_senders")),
        problems=readings.problems,
    )


def _refuse_senders_to_members(source: str) -> None:
    raise InvalidValue(
        f"{source} would have no permitted sender, and its members could send as it: nothing was changed; name another"
        " sender, or give an empty set to let the members send",
        subject=source,
    )
