"""Mail domains in `domain` and `alias_domain`, with what belongs to a domain in other tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeAlias, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, true, update

from mailstore import store
from mailstore.address import domain_name, held_domain
from mailstore.driver.companions import levels
from mailstore.driver.holders import in_use
from mailstore.driver.iredmail.stamps import outlive_stamp
from mailstore.driver.rights import DOMAIN_FIELDS, Operation, asked, deletion
from mailstore.driver.values import due_date, either, flag, now, sought
from mailstore.errors import AlreadyExists, NotFound
from mailstore.fields import DomainFields, plain, reject_unknown
from mailstore.model import Domain
from mailstore.sql.cluster import repeating
from mailstore.sql.driver import as_stored
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.admins.rows import demote_idle
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.domains.changes import DomainChange
from mailstore.sql.iredmail.domains.renaming import rename_domain
from mailstore.sql.iredmail.domains.rows import DomainRows
from mailstore.sql.iredmail.homes import home_of
from mailstore.sql.iredmail.names.name_space import DOMAIN_NAMES, NameSpace
from mailstore.sql.iredmail.names.references import Cleanup
from mailstore.sql.iredmail.records import Retention
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.routing.forwardings import Forwardings

__all__ = ["Domains"]

Conditions: TypeAlias = "list[ColumnElement[bool]]"  # `list` is the name of a method below
_LIMIT_COLUMNS = frozenset({"mailboxes", "aliases", "maillists", "maxquota"})


@repeating
class Domains(store.Domains):
    """See `mailstore.store.Domains`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._rows = DomainRows(context)
        self._forwardings = Forwardings(context)
        self._table = context.table("domain")
        self._alias_domains = context.table("alias_domain")

    def create(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        reject_unknown(fields, DomainFields)
        name = domain_name(domain)
        change = DomainChange(self._context, name, fields)
        with self._context.db.writing(name) as tx:
            row = change.new_row()
            if self._context.actor:
                wanted = {Operation.NEW_NAME, *asked(fields, DOMAIN_FIELDS, new=True)}
                self._context.actor.allow_new_domain(tx, row, wanted)
            self._claim(tx, name)
            self._refuse_admin_domain(tx, name)
            self._remove_leftovers(tx, name)
            tx.execute(insert(self._table).values(row))
            if self._context.actor and not self._context.actor.is_global(tx.connection):
                self._let_actor_manage(tx, name)
            change.write_beside(tx, self._forwardings)
            self._context.companions.claiming(levels(domains=[name]))
            return self._get(tx.connection, name)

    def get(self, domain: str) -> Domain:
        name = self._named(domain)
        with self._context.reading(name) as connection:
            return self._get(connection, name)

    def list(self, *, search: str | None = None, enabled: bool | None = None, after: str = "") -> Iterator[Domain]:
        for page in self._rows.pages(self._condition(search, enabled), sought(after, "after")):
            yield from page

    def count(self, *, search: str | None = None, enabled: bool | None = None) -> int:
        query = select(func.count()).select_from(self._table).where(self._condition(search, enabled))
        with self._context.reading() as connection:
            return connection.execute(query).scalar_one()

    def exists(self, domain: str) -> bool:
        name = self._named(domain)
        with self._context.reading() as connection:
            owner = self._names.owners(connection, [name]).get(name)
            if owner is None or self._context.actor is None:
                return owner is not None
            visible = self._context.actor.visible(self._table.c.domain)
            query = select(self._table.c.domain).where(self._table.c.domain == owner, visible)
            return connection.execute(query).first() is not None

    def update(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        reject_unknown(fields, DomainFields)
        name = self._named(domain)
        change = DomainChange(self._context, name, fields)
        wanted = {*asked(fields, DOMAIN_FIELDS)} | (
            {Operation.DESCRIBE_DOMAIN} if fields.keys() - DOMAIN_FIELDS else set()
        )
        with self._context.writing(name, *wanted) as tx:
            if self._context.actor and Operation.COPY_DOMAIN in wanted:
                self._context.actor.refuse_stronger_in(tx.connection, name)
            if self._context.actor and change.columns.keys() & _LIMIT_COLUMNS:
                self._context.actor.allow_limits(tx, name, change.columns)
            row = self._names.lock_domain(tx, name)
            tx.execute(update(self._table).where(self._table.c.domain == name).values(change.changed_row(row)))
            change.write_beside(tx, self._forwardings)
            return self._get(tx.connection, name)

    def add_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        target, wanted = self._named(domain), _new_names(names)
        with self._context.writing(target, Operation.NEW_NAME) as tx:
            self._names.lock_domain(tx, target)
            present = self._alias_domains_of(tx.connection, target)
            new = [name for name in wanted if name not in present]
            for name in new:
                self._claim(tx, name)
                self._refuse_admin_domain(tx, name)
                self._refuse_served(tx, name)
            row = {"target_domain": target, "created": now(), "active": 1}
            self._context.insert(tx, "alias_domain", [{"alias_domain": name, **row} for name in new])
            self._context.companions.claiming(levels(domains=new))

    def remove_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        target, wanted = self._named(domain), self._held_names(names)
        with self._context.writing(target, Operation.DROP_ALIAS_DOMAIN) as tx:
            self._names.lock_domain(tx, target)
            present = self._alias_domains_of(tx.connection, target)
            for name in wanted:
                if name not in present:
                    raise NotFound(f"{name} is no alias domain of {target}", subject=name)
            tx.afterwards(self._context.companions.removing(levels(domains=wanted)))
            self._remove_alias_domains(tx, target, wanted)

    def delete(self, domain: str, *, keep_mailbox_days: int | None = None) -> int:
        name, due = self._named(domain), due_date(keep_mailbox_days)
        with (
            self._context.companions.finishing(levels(domains=[name])),
            self._context.writing(name, *deletion(Operation.DELETE_DOMAIN, keep_mailbox_days)) as tx,
        ):
            self._names.lock_domain(tx, name)
            if self._context.actor:
                self._context.actor.refuse_stronger_in(tx.connection, name)
            gone = [name, *sorted(self._alias_domains_of(tx.connection, name))]
            aliases = self._aliases_elsewhere(tx, gone) if self._context.companions.capabilities else ()
            tx.afterwards(self._context.companions.removing(levels(aliases, gone)))
            count = Retention(self._context).record_domain(tx, gone, due)
            self._delete_rows(tx, name, gone)
            return count

    def rename(self, domain: str, new_domain: str, *, keep_alias: bool = False) -> Domain:
        name, new = self._named(domain), domain_name(new_domain)
        with (
            self._context.companions.finishing(levels(domains=[name])),
            self._context.writing(name, Operation.NEW_NAME, Operation.DELETE_DOMAIN) as tx,
        ):
            self._names.lock_domain(tx, name)
            if name != new:
                if self._context.actor:
                    self._context.actor.refuse_stronger_in(tx.connection, name)
                if new not in self._alias_domains_of(tx.connection, name):
                    self._claim(tx, new)
                    self._refuse_admin_domain(tx, new)
                    self._refuse_served(tx, new)
                    self._remove_leftovers(tx, new)
                finish = self._context.companions.renaming_domain(name, new)
                rename_domain(self._context, tx, name, new, keep_alias=keep_alias)
                tx.afterwards(finish)
            renamed = self._get(tx.connection, new)
            newest = self._newest_home(tx.connection, new)
        outlive_stamp(newest, self._context.homes)
        return renamed

    def _newest_home(self, connection: Connection, domain: str) -> str | None:
        columns = self._context.table("mailbox").c
        parts = (columns[part] for part in ("storagebasedirectory", "storagenode", "maildir"))
        query = select(*parts).where(columns.domain == domain).order_by(columns.created.desc()).limit(1)
        row = connection.execute(query).mappings().first()
        return home_of(row) if row else None

    def claim_back(self, tx: Transaction, names: Sequence[str]) -> None:
        """Take the names of a domain that comes back, its own first. Raises AlreadyExists if one is in use."""
        for name in names:
            self._claim(tx, name)
            self._refuse_admin_domain(tx, name)
            self._refuse_served(tx, name)
        self._remove_leftovers(tx, names[0])

    def _delete_rows(self, tx: Transaction, name: str, names: Collection[str]) -> None:
        table = self._context.table
        admins = self._admins_of(tx.connection, name)
        Cleanup(self._context).remove_domain(tx, name, names)
        for mail_table in ("mailbox", "alias", "maillists", "sender_bcc_domain", "recipient_bcc_domain"):
            tx.execute(delete(table(mail_table)).where(table(mail_table).c.domain == name))
        tx.execute(delete(self._alias_domains).where(self._alias_domains.c.target_domain == name))
        tx.execute(delete(table("domain_admins")).where(table("domain_admins").c.domain == name))
        demote_idle(self._context, tx, admins)
        tx.execute(delete(self._table).where(self._table.c.domain == name))

    def _aliases_elsewhere(self, tx: Transaction, names: Sequence[str]) -> Sequence[str]:
        """Return the aliases in other domains of accounts in a domain, whose `names` are given, its own first."""
        rows = self._forwardings.columns
        query = select(rows.address).where(rows.dest_domain == names[0], rows.is_alias == 1, rows.domain.not_in(names))
        return sorted(set(tx.execute(query).scalars()))

    def _named(self, domain: str) -> str:
        return as_stored(self._context.db, domain, held_domain(domain), self._table.c.domain)

    def _held_names(self, names: Iterable[str]) -> Sequence[str]:
        column = self._alias_domains.c.alias_domain
        return sorted({as_stored(self._context.db, name, held_domain(name), column) for name in plain(names)})

    def _get(self, connection: Connection, name: str) -> Domain:
        found = self._rows.one(connection, name)
        if found is None:
            raise self._names.no_such_domain(connection, name)
        return found

    def _claim(self, tx: Transaction, name: str) -> None:
        """Make sure that nobody else takes a domain name meanwhile. Raises AlreadyExists if it is in use."""
        self._context.db.lock_name(tx, DOMAIN_NAMES)
        owner = self._names.owners(tx.connection, [name]).get(name)
        if owner is not None:
            what = "a domain" if owner == name else f"an alias domain of {owner}"
            raise AlreadyExists(f"{name} is {what} already", subject=name)

    def _refuse_admin_domain(self, tx: Transaction, name: str) -> None:
        """Raise AlreadyExists if a standalone admin has an address in the domain: it could then be an account too."""
        admin = self._context.table("admin")
        query = select(admin.c.username).where(admin.c.username.endswith(f"@{name}", autoescape=True))
        found = tx.execute(query).scalar()
        if found:
            raise AlreadyExists(
                f"{found} is a standalone admin; delete it before {name} becomes a domain", subject=name
            )

    def _refuse_served(self, tx: Transaction, name: str) -> None:
        """Raise AlreadyExists if addresses under a future alias domain are expanded already."""
        rows = self._forwardings.columns
        query = select(rows.address).where(rows.is_alias == 1, rows.address.endswith(f"@{name}", autoescape=True))
        found = tx.execute(query).scalar()
        if found:
            raise in_use(found, found, "a per-account alias")

    def _remove_leftovers(self, tx: Transaction, name: str) -> None:
        """Remove what a former domain of this name left behind and the new one would inherit."""
        table = self._context.table
        owned = (
            ("sender_bcc_domain", table("sender_bcc_domain").c.domain == name),
            ("recipient_bcc_domain", table("recipient_bcc_domain").c.domain == name),
            ("sender_relayhost", table("sender_relayhost").c.account == f"@{name}"),
            ("domain_admins", table("domain_admins").c.domain == name),
            ("forwardings", table("forwardings").c.address == name),
        )
        for table_name, condition in owned:
            tx.execute(delete(table(table_name)).where(condition))

    def _let_actor_manage(self, tx: Transaction, name: str) -> None:
        if self._context.actor:
            row = {"username": self._context.actor.address, "domain": name, "created": now(), "active": 1}
            self._context.insert(tx, "domain_admins", row)

    def _alias_domains_of(self, connection: Connection, target: str) -> set[str]:
        columns = self._alias_domains.c
        return set(connection.execute(select(columns.alias_domain).where(columns.target_domain == target)).scalars())

    def _remove_alias_domains(self, tx: Transaction, target: str, names: Collection[str]) -> None:
        rows, columns = self._forwardings.columns, self._alias_domains.c
        under = or_(*(rows.address.endswith(f"@{name}", autoescape=True) for name in names))
        if names:
            aliases = (rows.domain == target, rows.is_alias == 1, under)
            leading = tx.execute(select(rows.address, rows.forwarding).where(*aliases)).all()
            tx.execute(delete(self._context.table("forwardings")).where(*aliases))
            Cleanup(self._context).leave_alias_domains(
                tx, target, names, {row.address: row.forwarding for row in leading}
            )
            tx.execute(delete(self._alias_domains).where(columns.alias_domain.in_(names)))

    def _admins_of(self, connection: Connection, name: str) -> Sequence[str]:
        columns = self._context.table("domain_admins").c
        query = select(columns.username).where(columns.domain == name, columns.domain != GLOBAL)
        return connection.execute(query).scalars().all()

    def _condition(self, search: str | None, enabled: bool | None) -> ColumnElement[bool]:
        columns = self._table.c
        conditions: Conditions = [true()]
        if search and sought(search):
            found = columns.domain.contains(search.lower(), autoescape=True)
            conditions.append(found | columns.description.icontains(search, autoescape=True))
        if either(enabled) is not None:
            conditions.append(columns.active == flag("enabled")(enabled))
        if self._context.actor:
            conditions.append(self._context.actor.visible(columns.domain))
        return and_(*conditions)


def _new_names(names: Iterable[str]) -> list[str]:
    return sorted({domain_name(name) for name in plain(names)})
