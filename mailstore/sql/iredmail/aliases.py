"""Standalone alias accounts: a profile in `alias`, members in `forwardings`, moderators in `moderators`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, Unpack

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, literal, select, true, union_all, update

from mailstore import store
from mailstore.address import alias_address, any_address, domain_part, held_address, held_domain, moderator
from mailstore.driver.companions import levels
from mailstore.driver.names import Wanted, settled, wanted_in
from mailstore.driver.rights import Operation
from mailstore.driver.values import access_policy, checked, either, flag, now, sought, text
from mailstore.errors import NotFound
from mailstore.fields import AliasFields, reject_unknown, reject_unsupported
from mailstore.model import Alias
from mailstore.sql.cluster import repeating
from mailstore.sql.driver import as_stored, refuse_twin
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.limits import check_aliases, policy_of
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import Cleanup
from mailstore.sql.iredmail.routing.forwardings import Forwardings, member_row
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.paging import pages

__all__ = ["Aliases"]

Conditions: TypeAlias = "list[ColumnElement[bool]]"  # `list` is the name of a method below
_COLUMNS = {
    "name": ("name", text("name")),
    "enabled": ("active", flag("enabled")),
    "access_policy": ("accesspolicy", access_policy),
}
_SUPPORTED = AliasFields.__annotations__.keys() - {"permitted_senders"}
_PAGE = 500


@repeating
class Aliases(store.Aliases):
    """See `mailstore.store.Aliases`."""

    fields = frozenset(_SUPPORTED)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._cleanup = Cleanup(context)
        self._forwardings = Forwardings(context)
        self._shields = Shields(context)
        self._table = context.table("alias")
        self._moderators = context.table("moderators")

    def create(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        address, change = alias_address(address), _Change(fields)
        row: dict[str, Any] = {
            "address": address,
            "domain": domain_part(address),
            "active": 1,
            "accesspolicy": "public",
            "name": "",
        }
        with self._context.writing(address, Operation.WRITE_ALIASES) as tx:
            policy = policy_of(self._names.lock_domain(tx, domain_part(address)))
            facts = self._names.facts(tx.connection, address)
            self._names.refuse_taken(facts, address)
            check_aliases(self._context, tx, policy)
            if facts["leftovers"]:
                self._cleanup.remove_leftovers(tx, address)
            row |= {"accesspolicy": "public", "created": now(), "modified": now(), **change.columns}
            self._context.insert(tx, "alias", row)
            self._write_lists(tx, address, change, row["active"])
            self._shields.renew(tx, [address])
            self._context.companions.claiming(levels([address]))
            return self._get(tx.connection, address)

    def get(self, address: str) -> Alias:
        address = self._named(address)
        with self._context.reading(domain_part(address)) as connection:
            return self._get(connection, address)

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[Alias]:
        address = self._table.c.address
        query = self._query().where(self._condition(domain, search, enabled)).order_by(address).limit(_PAGE)

        def fetch(last: str) -> Sequence[Alias]:
            with self._context.reading() as connection:
                return self._page(connection, query.where(address > last))

        for page in pages(fetch, lambda alias: alias.address, start=sought(after, "after"), size=_PAGE):
            yield from page

    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        query = select(func.count()).select_from(self._table).where(self._condition(domain, search, enabled))
        with self._context.reading() as connection:
            return connection.execute(query).scalar_one()

    def exists(self, address: str) -> bool:
        query = self._query().where(self._table.c.address == self._named(address), self._visible())
        with self._context.reading() as connection:
            return connection.execute(query).first() is not None

    def update(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        address, change = self._named(address), _Change(fields)
        with self._context.writing(address, Operation.WRITE_ALIASES) as tx:
            row = self._lock(tx, address)
            values: dict[str, Any] = {**change.columns, "modified": now()}
            tx.execute(update(self._table).where(self._table.c.address == address).values(values))
            active = values.get("active", row["active"])
            if active != row["active"]:
                # Postfix never looks at `alias`: what stops the mail are the member rows.
                self._forwardings.set_active(tx, self._forwardings.members_of(address), active)
            self._write_lists(tx, address, change, active)
            if active != row["active"] or change.members is not None:
                self._shields.renew(tx, [address])
            return self._get(tx.connection, address)

    def rename(self, address: str, new_address: str) -> Alias:
        old, new = self._named(address), alias_address(new_address)
        with (
            self._context.companions.finishing(levels([old])),
            self._context.writing(old, Operation.WRITE_ALIASES) as tx,
        ):
            self._names.lock_owners(tx, {old, new})
            self._lock(tx, old)
            refuse_twin(tx.connection, old, self._table.c.address)
            if old != new:
                self._rename(tx, old, new)
            return self._get(tx.connection, new)

    def _rename(self, tx: Transaction, old: str, new: str) -> None:
        policy = policy_of(self._names.lock_domain(tx, domain_part(new)))
        facts = self._names.facts(tx.connection, new)
        self._names.refuse_taken(facts, new)
        if domain_part(old) != domain_part(new):
            check_aliases(self._context, tx, policy)
        if facts["leftovers"]:
            self._cleanup.remove_leftovers(tx, new)
        values = {"address": new, "domain": domain_part(new), "modified": now()}
        tx.execute(update(self._table).where(self._table.c.address == old).values(values))
        spellings = self._names.spellings(tx.connection, [old], with_aliases=False, also=domain_part(new))
        self._cleanup.rename(tx, spellings, new)
        self._shields.renew(tx, [new])
        tx.afterwards(self._context.companions.renaming(old, new))

    def delete(self, address: str) -> None:
        address = self._named(address)
        with (
            self._context.companions.finishing(levels([address])),
            self._context.writing(address, Operation.DELETE_ALIASES) as tx,
        ):
            self._lock(tx, address)
            refuse_twin(tx.connection, address, self._table.c.address)
            tx.afterwards(self._context.companions.removing(levels([address])))
            self._cleanup.remove(tx, self._names.spellings(tx.connection, [address], with_aliases=False))
            tx.execute(delete(self._table).where(self._table.c.address == address))

    def _write_lists(self, tx: Transaction, address: str, change: _Change, active: int) -> None:
        if change.members is not None:
            condition = self._forwardings.members_of(address)
            self._shields.lift(tx, [address])
            members = self._result(tx, change.members, self._forwardings.destinations(tx, condition))
            self._forwardings.replace(tx, condition, [member_row(address, member, active) for member in members])
        if change.moderators is not None:
            self._write_moderators(tx, address, change.moderators)

    def _write_moderators(self, tx: Transaction, address: str, names: Wanted) -> None:
        columns = self._moderators.c
        present = tx.execute(select(columns.moderator).where(columns.address == address)).scalars().all()
        wanted = self._result(tx, names, present)
        gone, new = set(present) - set(wanted), [name for name in wanted if name not in present]
        if gone:
            tx.execute(delete(self._moderators).where(columns.address == address, columns.moderator.in_(gone)))
        row: dict[str, Any] = {"address": address, "domain": domain_part(address)}
        rows = [{**row, "moderator": name, "dest_domain": domain_part(name)} for name in new]
        self._context.insert(tx, "moderators", rows)

    def _result(self, tx: Transaction, names: Wanted, present: Iterable[str]) -> tuple[str, ...]:
        return settled(names, present, partial(self._names.owners, tx.connection))

    def _get(self, connection: Connection, address: str) -> Alias:
        page = self._page(connection, self._query().where(self._table.c.address == address))
        if not page:
            raise NotFound(f"there is no alias {address}", subject=address)
        return page[0]

    def _lock(self, tx: Transaction, address: str) -> Mapping[Any, Any]:
        query = select(self._table).where(self._table.c.address == address).with_for_update()
        row = tx.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no alias {address}", subject=address)
        return row

    def _query(self) -> Select[Any]:
        names = ("address", "name", "accesspolicy", "active", "created", "modified")
        return select(*(self._table.c[name] for name in names))

    def _page(self, connection: Connection, query: Select[Any]) -> Sequence[Alias]:
        rows = connection.execute(query).mappings().all()
        lists = self._lists(connection, [row["address"] for row in rows]) if rows else {}
        return [
            Alias(
                address=row["address"],
                name=row["name"],
                enabled=row["active"] == 1,
                access_policy=row["accesspolicy"] or "public",
                members=tuple(sorted(lists[row["address"], "members"])),
                moderators=tuple(sorted(lists[row["address"], "moderators"])),
                created=row["created"],
                modified=row["modified"],
            )
            for row in rows
        ]

    def _lists(self, connection: Connection, names: Sequence[str]) -> Mapping[tuple[str, str], Sequence[str]]:
        rows, moderators = self._forwardings.columns, self._moderators.c
        query = union_all(
            select(rows.address, literal("members"), rows.forwarding).where(rows.address.in_(names), rows.is_list == 1),
            select(moderators.address, literal("moderators"), moderators.moderator).where(
                moderators.address.in_(names)
            ),
        )
        lists: dict[tuple[str, str], Any] = defaultdict(list)
        for address, kind, value in connection.execute(query):
            lists[address, kind].append(value)
        return lists

    def _named(self, address: str) -> str:
        return as_stored(self._context.db, address, held_address(address), self._table.c.address)

    def _visible(self) -> ColumnElement[bool]:
        actor = self._context.actor
        return actor.visible(self._table.c.domain) if actor else true()

    def _condition(self, domain: str | None, search: str | None, enabled: bool | None) -> ColumnElement[bool]:
        columns = self._table.c
        conditions: Conditions = [self._visible()]
        if domain is not None:
            conditions.append(columns.domain == held_domain(domain))
        if search and sought(search):
            found = columns.address.contains(search.lower(), autoescape=True)
            conditions.append(found | columns.name.icontains(search, autoescape=True))
        if either(enabled) is not None:
            conditions.append(columns.active == flag("enabled")(enabled))
        return and_(*conditions)


class _Change:
    """The parameters of `Aliases.create` and `Aliases.update`, checked."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        reject_unknown(fields, AliasFields)
        reject_unsupported(fields, _SUPPORTED, Alias(address=""), "iRedMail's database")
        self.columns = checked(fields, _COLUMNS)
        self.members = wanted_in(fields, "members", any_address)
        self.moderators = wanted_in(fields, "moderators", moderator)
