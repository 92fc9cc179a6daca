"""Mail domains in `domains`, and alias domains, which are rows of `aliases` of the type ``Domain``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from mailstore import store
from mailstore.address import domain_name, held_domain
from mailstore.driver.holders import in_use
from mailstore.driver.rights import Operation, deletion
from mailstore.driver.values import due_date, either, sought
from mailstore.errors import AlreadyExists, NotFound
from mailstore.fields import DomainFields, plain, reject_unknown, reject_unsupported
from mailstore.model import Domain
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.domain_records import record_domain
from mailstore.sql.atmail.expansions import DOMAIN, Expansions, alias_row, in_domain
from mailstore.sql.atmail.names import DOMAIN_NAMES, NameSpace
from mailstore.sql.atmail.rights import has_permission
from mailstore.sql.atmail.schema.permissions import ALL
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages
from mailstore.sql.snapshots import Restored

__all__ = ["Domains"]

_PAGE = 500


@repeating
class Domains(store.Domains):
    """See `mailstore.store.Domains`."""

    fields = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._expansions = Expansions(context)
        self._table = context.table("domains")

    def create(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        _refuse_settings(fields)
        name = domain_name(domain)
        with self._context.writing(name, Operation.NEW_NAME) as tx:
            self._claim(tx, name)
            number = self._context.insert_one(tx, "domains", {"domainName": name})
            self._unlink(tx, number)  # numbers are given away again, and other tools may leave the links
            if self._context.actor:
                row = {"userId": self._context.actor.user_id, "domainId": number}
                self._context.insert(tx, "userDomains", row)
            return self._get(tx.connection, name)

    def get(self, domain: str) -> Domain:
        name = held_domain(domain)
        with self._context.reading(Operation.SEE_DOMAIN, name) as connection:
            return self._get(connection, name)

    def name_of(self, domain_id: int) -> str:
        """Return the name of the domain with this `domainId`. Raises NotFound."""
        columns = self._table.c
        query = select(columns.domainName).where(columns.domainId == domain_id)
        with self._context.reading(Operation.SEE_DOMAIN) as connection:
            name = connection.execute(query.where(self._context.visible(columns.domainId))).scalar()
        if name is None:
            raise NotFound(f"there is no domain number {domain_id}", subject=str(domain_id))
        return str(name)

    def list(self, *, search: str | None = None, enabled: bool | None = None, after: str = "") -> Iterator[Domain]:
        columns = self._table.c
        query = select(*labelled(self._table, "domainId", "domainName")).where(self._condition(search, enabled))
        query = query.order_by(columns.domainName).limit(_PAGE)

        def fetch(last: str) -> Sequence[Domain]:
            with self._context.reading(Operation.SEE_DOMAIN) as connection:
                rows = connection.execute(query.where(columns.domainName > last)).mappings().all()
                return self._domains(connection, rows)

        for page in pages(fetch, lambda found: found.domain, start=sought(after, "after"), size=_PAGE):
            yield from page

    def count(self, *, search: str | None = None, enabled: bool | None = None) -> int:
        query = select(func.count()).select_from(self._table).where(self._condition(search, enabled))
        with self._context.reading(Operation.SEE_DOMAIN) as connection:
            return connection.execute(query).scalar_one()

    def exists(self, domain: str) -> bool:
        name, columns = held_domain(domain), self._table.c
        with self._context.reading(Operation.SEE_DOMAIN) as connection:
            owner = self._names.owners(connection, [name]).get(name)
            query = select(columns.domainId).where(columns.domainName == owner)
            return connection.execute(query.where(self._context.visible(columns.domainId))).first() is not None

    def update(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        _refuse_settings(fields)
        return self.get(domain)

    def add_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        target, wanted = held_domain(domain), _new_names(names)
        with self._context.writing(target, (Operation.DESCRIBE_DOMAIN, Operation.NEW_NAME), target) as tx:
            self._names.lock_domain(tx, target)
            present = self._expansions.alias_domains(tx.connection, [target]).get(target, [])
            new = [name for name in wanted if name not in present]
            for name in new:
                self._claim(tx, name)
                self._names.refuse_served(tx.connection, name)
            self._expansions.add(tx, [alias_row(name, target, DOMAIN) for name in new])

    def remove_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        target, wanted = held_domain(domain), _held_names(names)
        with self._context.writing(target, Operation.DROP_ALIAS_DOMAIN, target) as tx:
            self._names.lock_domain(tx, target)
            present = self._expansions.alias_domains(tx.connection, [target]).get(target, [])
            for name in wanted:
                if name not in present:
                    raise NotFound(f"{name} is no alias domain of {target}", subject=name)
            for name in wanted:
                self._expansions.leave_alias_domain(tx, name, target)
                self._expansions.remove_domain(tx, name, [])

    def rename(self, domain: str, new_domain: str, *, keep_alias: bool = False) -> Domain:
        name, new = held_domain(domain), domain_name(new_domain)
        accounts = self._context.table("accounts")
        with self._context.writing(name, (Operation.NEW_NAME, Operation.DELETE_DOMAIN), name) as tx:
            number = self._names.lock_domain(tx, name)
            if name != new:
                if new not in self._expansions.alias_domains(tx.connection, [name]).get(name, []):
                    self._claim(tx, new)
                    self._names.refuse_served(tx.connection, new)
                self._refuse_left_over(tx, new)
                self._expansions.rename_domain(tx, name, new)
                moved = in_domain(accounts.c.username, name, new)
                tx.execute(update(accounts).where(accounts.c.domainId == number).values(username=moved))
                tx.execute(update(self._table).where(self._table.c.domainId == number).values(domainName=new))
                if keep_alias:
                    self._expansions.add(tx, [alias_row(name, new, DOMAIN)])
            return self._get(tx.connection, new)

    def _refuse_left_over(self, tx: Transaction, name: str) -> None:
        """Raise AlreadyExists if accounts are left under the future name of a domain, which has none of its own."""
        username = self._context.table("accounts").c.username
        query = select(username).where(username.endswith(f"@{name}", autoescape=True)).limit(1)
        found = tx.execute(query).scalar()
        if found is not None:
            raise in_use(found, found, "an account left over under the new name of the domain")

    def delete(self, domain: str, *, keep_mailbox_days: int | None = None) -> int:
        name, due = held_domain(domain), due_date(keep_mailbox_days)
        accounts = self._context.table("accounts")
        with self._context.writing(name, deletion(Operation.DELETE_DOMAIN, keep_mailbox_days), name) as tx:
            number = self._names.lock_domain(tx, name)
            of_domain = accounts.c.domainId == number
            query = select(accounts.c.username).where(of_domain).order_by(accounts.c.username)
            addresses = tx.execute(query).scalars().all()
            alias_domains = self._expansions.alias_domains(tx.connection, [name]).get(name, [])
            if addresses or self._context.schema.has_records:
                record_domain(self._context, tx, number, [name, *alias_domains], addresses, due)
            self._expansions.remove_domain(tx, name, alias_domains)
            tx.execute(delete(accounts).where(of_domain))
            self._unlink(tx, number)
            tx.execute(delete(self._table).where(self._table.c.domainId == number))
            return len(addresses)

    def bring_back(self, tx: Transaction, names: Sequence[str], row: Mapping[str, Any]) -> int:
        """Insert a deleted domain, after taking its names, its own first. Returns its number.

        Raises AlreadyExists if one of the names is in use.
        """
        for name in names:
            self._claim(tx, name)
            self._names.refuse_served(tx.connection, name)
        key = self._table.c.domainId.name  # numbers are given away again
        Restored(self._context.db, tx).insert(self._table, row, without=(key,))
        number = self._names.lock_domain(tx, names[0])
        self._unlink(tx, number)
        return number

    def _unlink(self, tx: Transaction, number: int) -> None:
        """Let nobody administer the domain with a number."""
        if self._context.schema.has_admins:
            links = self._context.table("userDomains")
            tx.execute(delete(links).where(links.c.domainId == number))

    def _get(self, connection: Connection, name: str) -> Domain:
        query = select(*labelled(self._table, "domainId", "domainName")).where(self._table.c.domainName == name)
        found = self._domains(connection, connection.execute(query).mappings().all())
        if not found:
            raise self._names.no_such_domain(connection, name)
        return found[0]

    def _domains(self, connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> Sequence[Domain]:
        if not rows:
            return []
        alias_domains = self._expansions.alias_domains(connection, [row["domainName"] for row in rows])
        admins = self._admins(connection, [row["domainId"] for row in rows])
        return [
            Domain(
                domain=row["domainName"],
                alias_domains=tuple(sorted(alias_domains.get(row["domainName"].lower(), ()))),
                admins=tuple(sorted(admins.get(row["domainId"], ()))),
                settings={"domainId": str(row["domainId"])},
            )
            for row in rows
        ]

    def _admins(self, connection: Connection, numbers: Collection[int]) -> Mapping[int, Sequence[str]]:
        """Return the names of the admins of domains; those who may do everything do not count as theirs."""
        if not self._context.schema.has_admins:
            return {}
        links, users = self._context.table("userDomains").c, self._context.table("users").c
        everything = has_permission(self._context.schema, users.userId, ALL)
        query = select(links.domainId, users.username).where(
            links.domainId.in_(numbers), users.userId == links.userId, ~everything
        )
        found: dict[int, Any] = defaultdict(list)
        for number, name in connection.execute(query).all():
            found[number].append(name)
        return found

    def _claim(self, tx: Transaction, name: str) -> None:
        """Make sure that nobody else takes a domain name meanwhile. Raises AlreadyExists if it is in use."""
        self._context.db.lock_name(tx, DOMAIN_NAMES)
        owner = self._names.owners(tx.connection, [name]).get(name)
        if owner is not None:
            what = "a domain" if owner == name else f"an alias domain of {owner}"
            raise AlreadyExists(f"{name} is {what} already", subject=name)

    def _condition(self, search: str | None, enabled: bool | None) -> ColumnElement[bool]:
        columns = self._table.c
        conditions: Any = [self._context.visible(columns.domainId)]
        if search and sought(search):
            conditions.append(columns.domainName.contains(search.lower(), autoescape=True))
        if either(enabled) is False:
            conditions.append(columns.domainId < 0)  # there are no disabled domains
        return and_(*conditions)


def _refuse_settings(fields: Mapping[str, Any]) -> None:
    reject_unknown(fields, DomainFields)
    reject_unsupported(fields, (), Domain(domain=""), "atmail")


def _new_names(names: Iterable[str]) -> Sequence[str]:
    return sorted({domain_name(name) for name in plain(names)})


def _held_names(names: Iterable[str]) -> Sequence[str]:
    return sorted({held_domain(name) for name in plain(names)})
