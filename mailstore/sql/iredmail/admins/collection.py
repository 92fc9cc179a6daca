"""Admins of both kinds: rows of `admin`, and marked rows of `mailbox`; what they manage stands in `domain_admins`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, true, update

from mailstore import passwords, store
from mailstore.address import any_address, domain_part, held_address, held_domain
from mailstore.driver.iredmail.admin_settings import change_admin_settings, clear_admin_settings
from mailstore.driver.iredmail.panel import panel_hash, panel_notice, panel_scheme, panel_verifies
from mailstore.driver.logins import is_right
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.driver.values import checked, flag, language, now, sought, text
from mailstore.errors import AlreadyExists, InvalidPassword, InvalidValue, NotFound
from mailstore.fields import AdminFields, plain, reject_unknown
from mailstore.model import Admin, Edit, Names
from mailstore.sql.cluster import repeating
from mailstore.sql.driver import as_stored
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts.collection import Accounts
from mailstore.sql.iredmail.accounts.new import secret
from mailstore.sql.iredmail.admins.rows import AdminRows, demote_idle, mark_admins
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.name_space import DOMAIN_NAMES, NameSpace
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.schema.settings import Settings

__all__ = ["Admins"]

_COLUMNS = {
    "name": ("name", text("name")),
    "language": ("language", language),
    "enabled": ("active", flag("enabled")),
}
_OF_THE_ACCOUNT = frozenset(_COLUMNS)
_RIGHTS = frozenset(AdminFields.__annotations__) - {"name", "language", "timezone", "enabled", "domains"}
Conditions: TypeAlias = "list[ColumnElement[bool]]"  # `list` is the name of a method below
_SEARCHED = ("username", "name")


@repeating
class Admins(store.Admins):
    """See `mailstore.store.Admins`."""

    def __init__(self, context: Context, accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts
        self._names = NameSpace(context)
        self._rows = AdminRows(context)
        self._admin = context.table("admin")
        self._mailbox = context.table("mailbox")
        self._listed = context.table("domain_admins")

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        reject_unknown(fields, AdminFields)
        address, columns = any_address(address), checked(fields, _COLUMNS)
        hashed = self._secret(password, password_hash)
        if hashed is None:
            raise InvalidPassword(f"{address}: a new admin needs a password, or a ready hash", subject=address)
        moment, stored = now(), panel_hash(hashed)
        row = {"username": address, "password": stored, "created": moment, "modified": moment}
        with self._writing(address) as tx:
            self._require(tx.connection, Operation.CREATE_ADMIN, address)
            self._refuse_local(tx, address)
            row |= {"passwordlastchange": moment, "active": 1, "settings": self._context.settings_text("")}
            self._context.insert(tx, "admin", {**row, **columns})
            self._write_rights(tx, address, "admin", fields)
            self._tell_panel(tx, address, stored)
            return self._get(tx.connection, address)

    def promote(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        reject_unknown(fields, AdminFields)
        address, hashed = self._named(address), self._secret(password, password_hash)
        rights: dict[str, Any] = {**fields}
        if not (rights.get("global_admin") or "domains" in rights):
            rights["domains"] = Edit(add=[domain_part(address)])
        with self._context.writing(address, Operation.SHARE_DOMAIN) as tx:
            row = self._lock(tx, "mailbox", address)
            if not row:
                raise NotFound(f"there is no account {address} to make an admin", subject=address)
            if self._context.actor:
                self._context.actor.refuse_stronger(tx.connection, row)
            self._require_right_to_change(tx.connection, Admin(address=address, kind="account"), fields)
            mark_admins(self._context, tx, [address])
            self._update_account(address, hashed, rights)
            self._write_rights(tx, address, "mailbox", rights)
            if hashed is None:
                self._tell_panel(tx, address, row["password"])
            return self._get(tx.connection, address)

    def demote(self, address: str) -> None:
        address = self._named(address)
        with self._context.writing(address, Operation.SHARE_DOMAIN) as tx:
            row = self._lock(tx, "mailbox", address)
            if not row or not (row["isadmin"] or row["isglobaladmin"]):
                raise NotFound(f"{address} is no account with admin rights", subject=address)
            if self._context.actor:
                self._context.actor.refuse_stronger(tx.connection, row)
            tx.execute(delete(self._listed).where(self._listed.c.username == address))
            settings = Settings(row["settings"])
            clear_admin_settings(settings, rights_too=True)
            values = {"isadmin": 0, "isglobaladmin": 0, "settings": self._context.settings_text(str(settings))}
            tx.execute(update(self._mailbox).where(self._mailbox.c.username == address).values(values))

    def get(self, address: str) -> Admin:
        address = self._named(address)
        with self._context.reading() as connection:
            return self._get(connection, address)

    def list(self, *, domain: str | None = None, search: str | None = None, after: str = "") -> Iterator[Admin]:
        for page in self._rows.pages(self._condition(domain, search), sought(after, "after")):
            yield from page

    def count(self, *, domain: str | None = None, search: str | None = None) -> int:
        condition = and_(self._condition(domain, search), self._rows.visible())
        query = select(func.count()).select_from(self._rows.all).where(condition)
        with self._context.reading() as connection:
            return connection.execute(query).scalar_one()

    def exists(self, address: str) -> bool:
        address = self._named(address)
        with self._context.reading() as connection:
            return self._rows.one(connection, address) is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        reject_unknown(fields, AdminFields)
        address, columns = self._named(address), checked(fields, _COLUMNS)
        hashed = self._secret(password, password_hash)
        with self._writing(address) as tx:
            admin = self._get(tx.connection, address)
            self._require_right_to_change(tx.connection, admin, fields)
            if admin.kind == "standalone":
                if hashed:
                    self._tell_panel(tx, address, panel_hash(hashed))
                values = {**columns, **self._password_columns(hashed), "modified": now()}
                tx.execute(update(self._admin).where(self._admin.c.username == address).values(values))
            else:
                self._update_account(address, hashed, fields)
            self._write_rights(tx, address, "admin" if admin.kind == "standalone" else "mailbox", fields)
            return self._get(tx.connection, address)

    def delete(self, address: str) -> None:
        address = self._named(address)
        with self._writing(address) as tx:
            self._require(tx.connection, Operation.DELETE_ADMIN, address)
            if not self._lock(tx, "admin", address):
                raise NotFound(f"there is no standalone admin {address}", subject=address)
            tx.execute(delete(self._admin).where(self._admin.c.username == address))
            tx.execute(delete(self._listed).where(self._listed.c.username == address))
            values = {"isadmin": 0, "isglobaladmin": 0}
            tx.execute(update(self._mailbox).where(self._mailbox.c.username == address).values(values))

    def add_to_domain(self, domain: str, admins: Iterable[str]) -> None:
        name, wanted = self._named_domain(domain), sorted({self._named(admin) for admin in plain(admins)})
        with self._context.writing(name, Operation.SHARE_DOMAIN) as tx:
            self._names.lock_domain(tx, name)
            hashes = [self._require_person(tx, address) for address in wanted]
            mark_admins(self._context, tx, wanted)
            for address, stored in zip(wanted, hashes, strict=True):
                self._list(tx, address, [name])
                self._tell_panel(tx, address, stored)

    def remove_from_domain(self, domain: str, admins: Iterable[str] | None = None) -> None:
        name = self._named_domain(domain)
        condition = [self._listed.c.domain == name]
        if admins is not None:
            condition.append(self._listed.c.username.in_([self._named(admin) for admin in plain(admins)]))
        with self._context.writing(name, Operation.SHARE_DOMAIN) as tx:
            self._names.lock_domain(tx, name)
            gone = tx.execute(select(self._listed.c.username).where(*condition)).scalars().all()
            if self._context.actor:
                self._context.actor.refuse_stronger_admins(tx.connection, gone)
            tx.execute(delete(self._listed).where(*condition))
            demote_idle(self._context, tx, gone)

    def verify_password(self, address: str, password: str) -> bool:
        address = self._named(address)
        with self._context.reading() as connection:
            admin = self._get(connection, address)
            if self._context.actor and address != self._context.actor.address:
                self._context.actor.require_anywhere(connection, address, Operation.VERIFY_ACCOUNT)
            stored = self._stored(connection, admin)
        return passwords.verify_password(password, stored) and admin.enabled

    def password_hash(self, address: str) -> str:
        address = self._named(address)
        with self._context.reading() as connection:
            self._require(connection, Operation.READ_HASHES, address)
            return self._stored(connection, self._get(connection, address))

    def login(self, address: str, password: str) -> Admin | None:
        address = self._named(address)
        with self._context.reading() as connection:
            admin = self._rows.one(connection, address)
            hashes = self._rows.hashes(connection)
        stored = [hashes[admin.kind, admin.address]] if admin else None
        right = is_right(password, stored, hashes.values(), panel_scheme(self._context.config.password_scheme))
        return admin if right and admin and admin.enabled else None

    def _stored(self, connection: Connection, admin: Admin) -> str:
        table = self._admin if admin.kind == "standalone" else self._mailbox
        return str(connection.execute(select(table.c.password).where(table.c.username == admin.address)).scalar_one())

    def _named(self, address: str) -> str:
        columns = (self._admin.c.username, self._mailbox.c.username)
        return as_stored(self._context.db, address, held_address(address), *columns)

    def _named_domain(self, domain: str) -> str:
        columns = (self._context.table("domain").c.domain, self._listed.c.domain)
        return as_stored(self._context.db, domain, held_domain(domain), *columns)

    def _get(self, connection: Connection, address: str) -> Admin:
        found = self._rows.one(connection, address)
        if found is None:
            raise NotFound(f"there is no admin {address}", subject=address)
        return found

    def _condition(self, domain: str | None, search: str | None) -> Any:
        columns = self._rows.all.c
        conditions: Conditions = [true()]
        if domain is not None:
            conditions.append(self._rows.manages(self._named_domain(domain)))
        if search and sought(search):
            username, name = (columns[column] for column in _SEARCHED)
            conditions.append(username.icontains(search, autoescape=True) | name.icontains(search, autoescape=True))
        return and_(*conditions)

    def _writing(self, address: str) -> Any:
        """Open a transaction without asking whether the actor manages the admin's own domain, which may be foreign."""
        return self._context.db.writing(address)

    def _require(self, connection: Connection, operation: Operation, address: str) -> None:
        if self._context.actor:
            self._context.actor.require_anywhere(connection, address, operation)

    def _require_right_to_change(self, connection: Connection, admin: Admin, fields: Mapping[str, Any]) -> None:
        """Raise PermissionDenied if the actor may not change this admin in this way.

        One that is not global changes no limits and rights, not even its own, and no standalone admins but itself.
        """
        actor = self._context.actor
        if actor is None or actor.is_global(connection):
            return
        if fields.keys() & _RIGHTS or (admin.kind == "standalone" and admin.address != actor.address):
            actor.require_anywhere(connection, admin.address, Operation.CHANGE_ADMIN)
        if admin.kind == "account":
            actor.require(connection, admin.address, Operation.CHANGE_ACCOUNT)

    def _refuse_local(self, tx: Transaction, address: str) -> None:
        self._context.db.lock_name(tx, DOMAIN_NAMES)  # a domain of that name could come up meanwhile
        if self._names.owners(tx.connection, [domain_part(address)]):
            raise InvalidValue(
                f"{address} lies in a domain of this store; create it as an account and promote that", subject=address
            )
        if self._lock(tx, "admin", address):
            raise AlreadyExists(f"{address} is an admin already", subject=address)
        tx.execute(delete(self._listed).where(self._listed.c.username == address))  # of a former admin of that name

    def _require_person(self, tx: Transaction, address: str) -> str:
        """Return the password hash of an account or admin. Raises NotFound."""
        actor = self._context.actor
        if actor:
            actor.require(tx.connection, address)  # it may promote only accounts that it manages
        found = self._lock(tx, "mailbox", address) or self._lock(tx, "admin", address)
        if not found:
            raise NotFound(f"{address} is neither an admin nor an account", subject=address)
        return str(found["password"])

    def _lock(self, tx: Transaction, table: str, address: str) -> Mapping[Any, Any] | None:
        rows = self._context.table(table)
        return tx.execute(select(rows).where(rows.c.username == address).with_for_update()).mappings().first()

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        return secret(self._context, password, password_hash)

    @staticmethod
    def _password_columns(hashed: Secret | None) -> dict[str, Any]:
        return {"password": panel_hash(hashed), "passwordlastchange": now()} if hashed else {}

    def _update_account(self, address: str, hashed: Secret | None, fields: Mapping[str, Any]) -> None:
        own: Any = {name: fields[name] for name in _OF_THE_ACCOUNT & fields.keys()}
        if own or hashed is not None:
            self._accounts.change(address, hashed, own)

    def _tell_panel(self, tx: Transaction, address: str, stored: str) -> None:
        """Leave a notice if the panel cannot verify the password of an admin."""
        if not panel_verifies(stored):
            self._context.notify(tx, panel_notice(address))

    def _write_rights(self, tx: Transaction, address: str, table: str, fields: Mapping[str, Any]) -> None:
        row = self._lock(tx, table, address)
        settings = Settings(row["settings"] if row else "")
        change_admin_settings(settings, fields)
        if "global_admin" in fields:
            self._set_global(tx, address, table, bool(fields["global_admin"]))
        if self._is_global(tx, address):
            clear_admin_settings(settings, rights_too=False)
        elif "domains" in fields:
            self._set_domains(tx, address, fields["domains"])
        rows = self._context.table(table)
        values = {"settings": self._context.settings_text(str(settings))}
        tx.execute(update(rows).where(rows.c.username == address).values(values))

    def _is_global(self, tx: Transaction, address: str) -> bool:
        listed = self._listed.c
        query = select(exists().where(listed.username == address, listed.domain == GLOBAL))
        return bool(tx.execute(query).scalar())

    def _set_global(self, tx: Transaction, address: str, table: str, wanted: bool) -> None:
        if wanted != self._is_global(tx, address):
            self._require(tx.connection, Operation.CHANGE_ADMIN, address)
        tx.execute(delete(self._listed).where(self._listed.c.username == address, self._listed.c.domain == GLOBAL))
        if wanted:
            self._list(tx, address, [GLOBAL])
        if table == "mailbox":
            # Readers ask only for isglobaladmin; upstream's own tools disagree on isadmin.
            tx.execute(
                update(self._mailbox).where(self._mailbox.c.username == address).values(isglobaladmin=int(wanted))
            )

    def _set_domains(self, tx: Transaction, address: str, names: Names) -> None:
        listed = self._listed.c
        present = set(
            tx.execute(select(listed.domain).where(listed.username == address, listed.domain != GLOBAL)).scalars()
        )
        if isinstance(names, Edit):
            edit = Edit(
                add=[self._named_domain(name) for name in names.add],
                remove=[self._named_domain(name) for name in names.remove],
            )
            wanted = set(edit.apply(present))
        else:
            wanted = {self._named_domain(name) for name in plain(names)}
        for name in sorted(wanted ^ present):
            if self._context.actor:
                self._context.actor.require(tx.connection, name, Operation.SHARE_DOMAIN)
        for name in sorted(wanted - present):
            self._names.lock_domain(tx, name)
        tx.execute(delete(self._listed).where(listed.username == address, listed.domain.in_(present - wanted)))
        self._list(tx, address, sorted(wanted - present))

    def _list(self, tx: Transaction, address: str, domains: Collection[str]) -> None:
        """Insert the rows of `domain_admins` that are not there yet."""
        listed = self._listed.c
        query = select(listed.domain).where(listed.username == address, listed.domain.in_(domains))
        present = set(tx.execute(query).scalars())
        rows = [
            {"username": address, "domain": name, "created": now(), "active": 1}
            for name in domains
            if name not in present
        ]
        self._context.insert(tx, "domain_admins", rows)
