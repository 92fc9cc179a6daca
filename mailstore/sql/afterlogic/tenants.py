"""Tenants (Aurora only): who owns domains, may log in to the API, and how much its accounts may be."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, delete, func, insert, select, update

from mailstore.driver.values import Column, checked, flag, optional_address, text
from mailstore.errors import AlreadyExists, InvalidPassword, InvalidValue, LimitExceeded
from mailstore.fields import reject_unknown
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.rest_errors import TenantNotFound
from mailstore.sql.engine import Transaction

__all__ = ["Tenant", "TenantFields", "TenantLimits", "Tenants", "hashed"]

_LOGIN = re.compile(r"[A-Za-z0-9@_.-]{1,255}")
_LOCK = "afterlogic tenants"
_KB_PER_MB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant. ``max_accounts``, ``max_domains`` and ``quota_megabytes`` None mean no limit."""

    id: int
    login: str
    description: str = ""
    email: str = ""
    enabled: bool = True
    login_enabled: bool = False
    max_accounts: int | None = None
    max_domains: int | None = None
    quota_megabytes: int | None = None


class TenantFields(TypedDict, total=False):
    """Optional parameters of `Tenants.create` and `Tenants.update`."""

    description: str
    email: str
    enabled: bool
    login_enabled: bool
    max_accounts: int | None
    max_domains: int | None
    quota_megabytes: int | None


def hashed(password: str) -> str:
    """Return a tenant's password as the product stores it; no password is no hash. Raises InvalidPassword."""
    if not password:
        return ""
    try:
        inner = hashlib.md5(f"{password}Awm".encode(), usedforsecurity=False).hexdigest()
    except UnicodeEncodeError:
        raise InvalidPassword("the password has half a character in it, which cannot be stored") from None
    return hashlib.md5(f"Awm{inner}".encode(), usedforsecurity=False).hexdigest()


def _limit(name: str) -> Any:
    def check(value: Any) -> int:
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31):
            raise InvalidValue(f"{name}: a number from 1, or None for no limit, is wanted, not {value!r}", field=name)
        return value or 0

    return check


_COLUMNS: Mapping[str, Column] = {
    "description": ("description", text("description")),
    "email": ("email", optional_address),
    "enabled": ("disabled", lambda value: 1 - flag("enabled")(value)),
    "login_enabled": ("login_enabled", flag("login_enabled")),
    "max_accounts": ("user_count_limit", _limit("max_accounts")),
    "max_domains": ("domain_count_limit", _limit("max_domains")),
    "quota_megabytes": ("quota", _limit("quota_megabytes")),
}


class Tenants:
    """The tenants of an Aurora installation. Their domains are made and deleted as any others."""

    def __init__(self, context: Context) -> None:
        context.installation.require_tenants()
        self._context = context
        self._table = context.table("awm_tenants")

    def create(self, login: str, *, password: str = "", **fields: Unpack[TenantFields]) -> Tenant:
        """Create a tenant. Without a password it cannot log in. Raises AlreadyExists, InvalidValue."""
        reject_unknown(fields, TenantFields)
        name, columns = _login(login), checked(fields, _COLUMNS)
        # The texts are written as the product does; what NULL would mean there is not known.
        row = {"login": name, "password": hashed(password), "email": "", "description": "", "id_channel": 0, **columns}
        with self._context.db.writing(name) as tx:
            self._context.db.lock_name(tx, _LOCK)
            if self._row(tx.connection, name) is not None:
                raise AlreadyExists(f"there is a tenant {name} already", subject=name)
            tx.execute(insert(self._table).values(self._context.present("awm_tenants", row)))
            return self._get(tx.connection, name)

    def get(self, login: str) -> Tenant:
        """Return one tenant. Raises TenantNotFound."""
        with self._context.db.reading() as connection:
            return self._get(connection, _login(login))

    def require_enabled(self, tenant_id: int) -> None:
        """Raise TenantNotFound unless the tenant with a number is there, and enabled."""
        columns = self._table.c
        query = select(columns.id_tenant).where(columns.id_tenant == tenant_id, columns.disabled == 0)
        with self._context.db.reading() as connection:
            if connection.execute(query).first() is None:
                raise TenantNotFound(f"there is no enabled tenant number {tenant_id}", subject=str(tenant_id))

    def list(self) -> Iterator[Tenant]:
        """Iterate over all tenants, sorted by login."""
        with self._context.db.reading() as connection:
            rows = connection.execute(select(self._table).order_by(self._table.c.login)).mappings().all()
        yield from map(_tenant, rows)

    def exists(self, login: str) -> bool:
        """Tell whether there is such a tenant."""
        with self._context.db.reading() as connection:
            return self._row(connection, _login(login)) is not None

    def update(self, login: str, *, password: str | None = None, **fields: Unpack[TenantFields]) -> Tenant:
        """Change what is given. A tenant that is disabled takes its domains along, as in the product."""
        reject_unknown(fields, TenantFields)
        name, columns = _login(login), checked(fields, _COLUMNS)
        if password is not None:
            columns["password"] = hashed(password)
        with self._context.db.writing(name) as tx:
            number = self._get(tx.connection, name).id
            if columns:
                tx.execute(update(self._table).where(self._table.c.id_tenant == number).values(columns))
            if "disabled" in columns:
                domains = self._context.table("awm_domains")
                mine = update(domains).where(domains.c.id_tenant == number)
                tx.execute(mine.values(disabled=columns["disabled"]))
            return self._get(tx.connection, name)

    def delete(self, login: str) -> None:
        """Delete a tenant. Raises InvalidValue while it has domains: delete these first, with what is in them."""
        name = _login(login)
        domains = self._context.table("awm_domains").c
        with self._context.db.writing(name) as tx:
            number = self._get(tx.connection, name).id
            self._context.db.lock_name(tx, _LOCK)
            left = tx.execute(select(domains.name).where(domains.id_tenant == number).limit(1)).scalar()
            if left is not None:
                raise InvalidValue(f"{name} has the domain {left}; delete its domains first", subject=name)
            tx.execute(delete(self._table).where(self._table.c.id_tenant == number))
            for table in ("awm_tenant_socials", "awm_subscriptions", "ahd_fetcher"):  # numbers are given away again
                if self._context.schema.has(table):
                    rows = self._context.table(table)
                    tx.execute(delete(rows).where(rows.c.id_tenant == number))
            if self._context.schema.has("awm_tenant_quotas"):
                usage = self._context.table("awm_tenant_quotas")
                tx.execute(delete(usage).where(usage.c.name == name))

    def login(self, login: str, password: str) -> Tenant | None:
        """Return the tenant if login and password are right, and it is enabled and may log in; else None."""
        with self._context.db.reading() as connection:
            row = self._row(connection, login.lower() if _LOGIN.fullmatch(login) else "")
        # Compared always, so that the time taken does not tell which tenants there are.
        stored = (row["password"] if row is not None else "") or ""
        right = hmac.compare_digest(stored.encode(), hashed(password or "-").encode()) and bool(password)
        allowed = row is not None and not row["disabled"] and bool(row["login_enabled"])
        return _tenant(row) if row is not None and right and allowed else None

    def _get(self, connection: Connection, login: str) -> Tenant:
        row = self._row(connection, login)
        if row is None:
            raise TenantNotFound(f"there is no tenant {login}", subject=login)
        return _tenant(row)

    def _row(self, connection: Connection, login: str) -> Mapping[Any, Any] | None:
        query = select(self._table).where(self._context.same(self._table.c.login, login))
        return connection.execute(query.order_by(self._table.c.id_tenant)).mappings().first()


class TenantLimits:
    """Whether more domains or accounts fit into what a tenant may have. Locks the tenant, so that races cannot pass it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._used = not context.installation.lite and context.schema.has("awm_tenants")

    def check_domain(self, tx: Transaction, tenant: int) -> None:
        """Raise LimitExceeded unless one more domain fits."""
        row = self._lock(tx, tenant)
        if row is None or not row["domain_count_limit"]:
            return
        domains = self._context.table("awm_domains").c
        count = tx.execute(select(func.count()).where(domains.id_tenant == tenant)).scalar_one()
        if count >= row["domain_count_limit"]:
            raise LimitExceeded(f"the tenant {row['login']} has {count} domains and may have no more")

    def check_accounts(self, tx: Transaction, tenant: int, *, adding: int, kilobytes: int, without: int = 0) -> None:
        """Raise LimitExceeded unless so many more accounts with that much quota fit; `without` is an account not to count.

        An account without a limit counts as a hundred gigabytes, as it stands in its row.
        """
        row = self._lock(tx, tenant)
        if row is None or not (row["user_count_limit"] or row["quota"]):
            return
        accounts = self._context.table("awm_accounts").c
        mine = accounts.id_tenant == tenant, accounts.id_acct != without
        primary = func.sum(accounts.def_acct)
        count, allocated = tx.execute(select(primary, func.sum(accounts.quota)).where(*mine)).one()
        if adding and row["user_count_limit"] and int(count or 0) + adding > row["user_count_limit"]:
            raise LimitExceeded(
                f"the tenant {row['login']} may have {row['user_count_limit']} accounts, and has {count}"
            )
        if row["quota"] and int(allocated or 0) + kilobytes > row["quota"] * _KB_PER_MB:
            raise LimitExceeded(
                f"the tenant {row['login']} may allocate {row['quota']} MB; that quota does not fit beside the others"
            )

    def _lock(self, tx: Transaction, tenant: int) -> Mapping[Any, Any] | None:
        if not (self._used and tenant):
            return None
        table = self._context.table("awm_tenants")
        query = select(table).where(table.c.id_tenant == tenant).with_for_update()
        return tx.execute(query).mappings().first()


def _login(text: str) -> str:
    if not isinstance(text, str) or not _LOGIN.fullmatch(text):
        raise InvalidValue(f"{text!r} is no login of a tenant: it may hold A-Z a-z 0-9 @ - _ .")
    return text.lower()


def _tenant(row: Mapping[Any, Any]) -> Tenant:
    return Tenant(
        id=row["id_tenant"],
        login=(row["login"] or "").lower(),
        description=row["description"] or "",
        email=row["email"] or "",
        enabled=not row["disabled"],
        login_enabled=bool(row["login_enabled"]),
        max_accounts=row["user_count_limit"] or None,
        max_domains=row["domain_count_limit"] or None,
        quota_megabytes=row["quota"] or None,
    )
