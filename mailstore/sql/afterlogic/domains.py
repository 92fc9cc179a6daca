"""Domains in `awm_domains`, and what of the default domain they live by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from mailstore import store
from mailstore.address import domain_name, held_domain
from mailstore.driver.values import checked, due_date, either, flag, sought
from mailstore.errors import AlreadyExists, InvalidValue, NotSupported
from mailstore.fields import DomainFields, reject_unknown, reject_unsupported
from mailstore.model import Capability, Domain
from mailstore.sql.afterlogic import codec
from mailstore.sql.afterlogic.accounts.pages import offset
from mailstore.sql.afterlogic.belongings import Belongings, Owners
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.deletion import Deletion
from mailstore.sql.afterlogic.domain_records import keep_domain
from mailstore.sql.afterlogic.effective import effective, has_own_settings, overridable
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.rest_errors import TenantNotFound
from mailstore.sql.afterlogic.settings import DOMAIN_COLUMNS, DomainSettings, columns_of
from mailstore.sql.afterlogic.spelling import as_typed, canonical, spellings
from mailstore.sql.afterlogic.tenants import TenantLimits, Tenants
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["DomainEntry", "Domains"]

_PAGE = 500
_COLUMNS = {"enabled": ("disabled", lambda value: 1 - flag("enabled")(value))}
_OWN_SERVER = {"mail_inc_host": "127.0.0.1", "mail_inc_port": 143, "mail_inc_ssl": 0}
"""Where the product's own mail server is found."""
_MODULES = {
    "contacts": "allow_contacts",
    "calendar": "allow_calendar",
    "files": "allow_files",
    "helpdesk": "allow_helpdesk",
}
"""The default tabs that have a module, which must be allowed."""


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """A domain in a list of the REST API."""

    id: int
    is_internal: bool
    name: str


@repeating
class Domains(store.Domains):
    """See `mailstore.store.Domains`; ``settings`` is this store's own parameter."""

    fields = frozenset(_COLUMNS)
    no_renaming = "AfterLogic knows accounts by their address, and so do their homes"

    Settings = DomainSettings

    def __init__(self, context: Context, names: NameSpace, server: MailServer) -> None:
        self._context = context
        self._names = names
        self._server = server
        self._table = context.table("awm_domains")
        self._accounts = context.table("awm_accounts")

    def create(self, domain: str, *, settings: DomainSettings | None = None, **fields: Unpack[DomainFields]) -> Domain:
        name, wanted = domain_name(domain), settings or DomainSettings()
        columns = self._columns(wanted, fields)
        row = self._new_row(name, wanted, columns)
        self._check_tab(row, columns)
        with self._context.db.writing(name) as tx:
            self._names.lock_new(tx)
            if self._row(tx.connection, name) is not None:
                raise AlreadyExists(f"{name} is a domain already", subject=name)
            row["id_tenant"] = self._tenant(tx, wanted)
            tx.execute(insert(self._table).values(self._context.present("awm_domains", row)))
            return self._get(tx.connection, name)

    def get(self, domain: str) -> Domain:
        with self._context.db.reading() as connection:
            return self._get(connection, held_domain(domain))

    def list(self, *, search: str | None = None, enabled: bool | None = None, after: str = "") -> Iterator[Domain]:
        name = self._context.folded(self._table.c.name)
        query = select(self._table, name.label("place")).where(self._condition(search, enabled))
        query = query.order_by(name).limit(_PAGE)

        def fetch(last: str) -> Sequence[tuple[str, Domain]]:
            with self._context.db.reading() as connection:
                rows = connection.execute(query.where(name > last)).mappings()
                return [(row["place"], self._domain(row)) for row in rows]

        for page in pages(fetch, lambda placed: placed[0], start=sought(after, "after"), size=_PAGE):
            yield from (domain for _, domain in page)

    def count(self, *, search: str | None = None, enabled: bool | None = None) -> int:
        query = select(func.count()).select_from(self._table).where(self._condition(search, enabled))
        with self._context.db.reading() as connection:
            return connection.execute(query).scalar_one()

    def page(
        self, number: int = 1, *, size: int = 100, descending: bool = False, search: str = "", tenant: str | None = None
    ) -> Sequence[DomainEntry]:
        """Return one page of a list as the REST API gives it, by name; of one tenant, or of all. Raises TenantNotFound."""
        start = offset(number, size)
        columns = self._table.c
        order = columns.name.desc() if descending else columns.name
        query = select(columns.id_domain, columns.is_internal, columns.name).where(self._condition(search, None))
        if tenant is not None:
            query = query.where(columns.id_tenant == self._visible_tenant(tenant))
        query = query.order_by(order, columns.id_domain).limit(size).offset(start)
        with self._context.db.reading() as connection:
            return [DomainEntry(row[0], bool(row[1]), (row[2] or "").lower()) for row in connection.execute(query)]

    def exists(self, domain: str) -> bool:
        with self._context.db.reading() as connection:
            return self._visible(connection, held_domain(domain)) is not None

    def update(self, domain: str, *, settings: DomainSettings | None = None, **fields: Unpack[DomainFields]) -> Domain:
        name, wanted = held_domain(domain), settings or DomainSettings()
        columns = self._columns(wanted, fields)
        self._context.require("awm_domains", columns)
        if wanted.tenant is not None or wanted.internal is not None:
            raise InvalidValue(f"{name}: tenant and internal are decided when the domain is created", subject=name)
        with self._context.db.writing(name) as tx:
            row = self._names.lock_domain(tx, name)
            self._refuse_overridden(row, columns)
            self._check_tab({**effective(row, self._context.installation.default_domain), **columns}, columns)
            if columns:
                tx.execute(update(self._table).where(self._table.c.id_domain == row["id_domain"]).values(columns))
            return self._get(tx.connection, name)

    def add_alias_domains(self, domain: str, names: Iterable[str]) -> None:  # noqa: ARG002 whatever they are
        raise NotSupported(f"AfterLogic has no {Capability.ALIAS_DOMAINS.value}")

    def remove_alias_domains(self, domain: str, names: Iterable[str]) -> None:  # noqa: ARG002 whatever they are
        raise NotSupported(f"AfterLogic has no {Capability.ALIAS_DOMAINS.value}")

    def delete(self, domain: str, *, keep_mailbox_days: int | None = None, only_empty: bool = False) -> int:
        """See the contract. With `only_empty` a domain with accounts raises InvalidValue, as the REST API wants it."""
        name, due = held_domain(domain), due_date(keep_mailbox_days)
        deletion = Deletion(self._context, self._server)
        with self._context.db.writing(name) as tx:
            row = self._names.lock_domain(tx, name)
            number = row["id_domain"]
            if only_empty:
                self._refuse_accounts(tx, number, name)
            served, primary = self._server.serves(row), self._primary(tx, number)
            records = self._context.domain_records
            record = None if records is None else records.new_number(tx)
            if records is not None and record is not None:
                kept = keep_domain(self._context, self._server, tx, row, primary)
                records.add(tx, record, name, due, "", len(primary) if served else 0, kept)
            deletion.users(tx, primary, due, served=served, domain_record=record)
            self._delete_linked(tx, deletion, number)
            deletion.lists(tx, number)
            if served:
                here = self._server.remove_aliases_under(tx, name)
                Belongings(self._context).remove(tx, Owners([], named=spellings(here)))
            self._forget_usage(tx, name)
            tx.execute(delete(self._table).where(self._table.c.id_domain == number))
            return len(primary)

    def _primary(self, tx: Transaction, number: int) -> Sequence[Mapping[Any, Any]]:
        accounts = self._accounts.c
        mine = accounts.id_domain == number, accounts.def_acct == 1, accounts.mailing_list == 0
        return (
            tx.execute(select(self._accounts).where(*mine).order_by(accounts.id_acct).with_for_update())
            .mappings()
            .all()
        )

    def _delete_linked(self, tx: Transaction, deletion: Deletion, number: int) -> None:
        """Delete accounts that are linked to users elsewhere: without their domain nobody could read them."""
        accounts = self._accounts.c
        query = select(accounts.id_acct).where(accounts.id_domain == number, accounts.def_acct == 0)
        deletion.linked(tx, tx.execute(query).scalars().all())

    def _refuse_accounts(self, tx: Transaction, number: int, name: str) -> None:
        accounts = self._accounts.c
        query = select(accounts.email).where(accounts.id_domain == number, accounts.def_acct == 1).limit(1)
        found = tx.execute(query).scalar()
        if found:
            raise InvalidValue(f"{name} has accounts, {found} among them; delete these first", subject=name)

    def _forget_usage(self, tx: Transaction, name: str) -> None:
        if self._context.schema.has("awm_domain_quotas"):
            usage = self._context.table("awm_domain_quotas")
            tx.execute(delete(usage).where(self._context.same(usage.c.name, name)))

    def _columns(self, settings: DomainSettings, fields: Mapping[str, Any]) -> dict[str, Any]:
        reject_unknown(fields, DomainFields)
        reject_unsupported(
            fields, self.fields, Domain(domain=""), "AfterLogic", instead="see DomainSettings for what it keeps"
        )
        return checked(fields, _COLUMNS) | columns_of(settings, DOMAIN_COLUMNS)

    def _new_row(self, name: str, wanted: DomainSettings, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new domain: a copy of the default one as it is now, with what the caller wants."""
        default = dict(self._context.installation.default_domain)
        default["mail_out_pass"] = codec.encode(str(default["mail_out_pass"]).encode())
        internal = self._server.serves_new_domains if wanted.internal is None else wanted.internal
        if internal and not self._server.serves_new_domains:
            raise NotSupported("no mail server of the product is configured: set mta to bundle")
        return {
            # SMTP knows domains with A-labels only; whoever logs in to the webmail types the other form.
            **default, "id_tenant": 0, "name": name if internal else as_typed(name), "override_settings": 1, "url": "",
            "site_name": "",  # sic: the one setting that is not taken from the default domain
            "is_internal": int(internal), "disabled": 0, "is_default_for_tenant": 0, "collaboration": 1,
            **(_OWN_SERVER if internal else {}), **columns,
        }  # fmt: skip

    def _tenant(self, tx: Transaction, wanted: DomainSettings) -> int:
        named = None if wanted.tenant is None else self._visible_tenant(wanted.tenant)
        number = named or self._context.tenant or 0
        TenantLimits(self._context).check_domain(tx, number)
        return number

    def _visible_tenant(self, login: str) -> int:
        """Return the number of a tenant; to a tenant there are no others. Raises TenantNotFound."""
        tenant = Tenants(self._context).get(login)
        if self._context.tenant not in {None, tenant.id}:
            raise TenantNotFound(f"there is no tenant {login}", subject=login)
        return tenant.id

    def _refuse_overridden(self, row: Mapping[Any, Any], columns: Mapping[str, Any]) -> None:
        """Raise InvalidValue for what the domain takes from the default domain: the product would overwrite it."""
        if has_own_settings(row) or columns.get("override_settings"):
            return
        default = self._context.installation.default_domain
        lost = sorted(column for column in columns if column in default and overridable(column))
        if lost:
            raise InvalidValue(
                f"{row['name']} lives by the settings of the default domain; set override=True to give it its own",
                subject=row["name"],
            )

    @staticmethod
    def _check_tab(row: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        """Raise InvalidValue if the first tab to be shown is one of a module that is switched off."""
        needed = _MODULES.get(columns.get("default_tab", ""))
        if needed and not row[needed]:
            raise InvalidValue(f"default_tab: {columns['default_tab']} is not allowed in this domain; allow it first")

    def _get(self, connection: Connection, name: str) -> Domain:
        row = self._visible(connection, name)
        if row is None:
            raise self._names.no_such_domain(name)
        return self._domain(row)

    def _visible(self, connection: Connection, name: str) -> Mapping[Any, Any] | None:
        row = self._row(connection, name)
        is_mine = row is not None and self._context.tenant in {None, row.get("id_tenant")}
        return row if is_mine else None

    def _row(self, connection: Connection, name: str) -> Mapping[Any, Any] | None:
        query = select(self._table).where(self._context.same(self._table.c.name, name))
        return connection.execute(query.order_by(self._table.c.id_domain)).mappings().first()

    def _domain(self, row: Mapping[Any, Any]) -> Domain:
        values = effective(row, self._context.installation.default_domain)
        shown = {
            name: _shown(name, values[column])
            for name, (column, _check) in DOMAIN_COLUMNS.items()
            if name not in {"override", "outgoing_password"} and column in values
        }
        shown |= {"override": _flag(has_own_settings(row)), "internal": _flag(row["is_internal"])}
        shown["tenant_id"] = str(row["id_tenant"])
        return Domain(domain=canonical(row["name"] or ""), enabled=not row["disabled"], settings=shown)

    def _condition(self, search: str | None, enabled: bool | None) -> ColumnElement[bool]:
        columns = self._table.c
        conditions: Any = [self._context.mine(columns.id_domain)]
        if search and sought(search):
            conditions.append(func.lower(columns.name).contains(search.lower(), autoescape=True))
        if either(enabled) is not None:
            conditions.append(columns.disabled == int(not enabled))
        return and_(*conditions)


def _flag(value: Any) -> str:
    return "true" if value else "false"


_BOOLEAN = frozenset(name for name, kind in DomainSettings.__annotations__.items() if "bool" in str(kind))


def _shown(name: str, value: Any) -> str:
    if name in _BOOLEAN:
        return _flag(value)
    return "" if value is None else str(value)
