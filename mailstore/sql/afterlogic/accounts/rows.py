"""Accounts as rows: how they are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select

from mailstore.model import Account, Usage
from mailstore.sql.afterlogic.accounts.new import NewAccount, from_kilobytes
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.spelling import canonical
from mailstore.sql.paging import pages

__all__ = ["AccountRows"]

_PAGE = 500
_SERVERS = (
    "mail_inc_host", "mail_inc_port", "mail_inc_ssl", "mail_out_host", "mail_out_port", "mail_out_ssl", "mail_out_auth",
)  # fmt: skip
_OWN_LOGIN = 1
"""The SMTP authentication with a login of its own."""
_ACCOUNT = (
    "id_acct", "id_user", "id_domain", "deleted", "quota", "email", "friendly_nm", "mail_inc_login", "mail_out_login",
    "signature", "signature_type", "signature_opt", *_SERVERS,
)  # fmt: skip
_SETTINGS = ("created_time", "last_login", "def_lang", "capa")


class AccountRows:
    """Reads accounts, one or many, with a fixed number of statements per page."""

    def __init__(self, context: Context, server: MailServer) -> None:
        self._context = context
        self._server = server
        self.table = context.table("awm_accounts")
        self._domains = context.table("awm_domains")
        self._users = context.table("awm_settings")
        self._statement = self._build()

    @property
    def is_primary(self) -> ColumnElement[bool]:
        """The condition that an account is somebody's first one, and no mailing list."""
        return and_(self.table.c.def_acct == 1, self.table.c.mailing_list == 0)

    @property
    def is_readable(self) -> ColumnElement[bool]:
        """The condition that the product can read an account: its user has settings, and its domain exists."""
        account = self.table.c
        # Under names of their own, so that a query may have the tables, too.
        users, domains = self._users.alias("known_users").c, self._domains.alias("known_domains").c
        settings = exists().where(users.id_user == account.id_user)
        is_placed = (account.id_domain == 0) | exists().where(domains.id_domain == account.id_domain)
        return settings & is_placed & self._context.mine(account.id_domain)

    @property
    def order(self) -> Sequence[ColumnElement[Any]]:
        """The order in which the first of several accounts of one address is the one that is meant."""
        return self._context.served_first(self.table.c.email), self.table.c.id_acct

    def one(self, connection: Connection, address: str) -> Account | None:
        """Return one primary account, or None."""
        query = self._statement.where(self._context.same(self.table.c.email, address), self.is_primary)
        page = self._page(connection, query.order_by(*self.order).limit(1))
        return page[0] if page else None

    def linked(self, connection: Connection, user: int, address: str | None = None) -> Sequence[Account]:
        """Return the accounts linked to a user's primary one, all of them or the one of an address."""
        query = self._statement.where(self.table.c.id_user == user, self.table.c.def_acct == 0)
        if address is not None:
            query = query.where(self._context.same(self.table.c.email, address))
        return self._page(connection, query.order_by(self.table.c.email))

    def pages(self, condition: ColumnElement[bool], start: str) -> Iterator[Sequence[Account]]:
        """Iterate over the accounts that meet `condition`, sorted, behind `start`, in pages."""
        email = self._context.folded(self.table.c.email)
        query = self._statement.add_columns(email.label("place")).where(condition, self.is_primary)
        query = query.order_by(email).limit(_PAGE)

        def fetch(after: str) -> Sequence[tuple[str, Account]]:
            with self._context.db.reading() as connection:
                rows = connection.execute(query.where(email > after)).mappings().all()
                places = [row["place"] for row in rows]
                return list(zip(places, self._accounts(connection, rows), strict=True))

        for page in pages(fetch, lambda placed: placed[0], start=start, size=_PAGE):
            yield [account for _, account in page]

    def new_account(self, new: NewAccount) -> Account:
        """Return an account that was just created, as a read would give it."""
        row = {**new.rows["awm_settings"], **new.rows["awm_accounts"]}
        row |= {"is_internal": int(new.served), "used_bytes": None, "used_messages": None}
        return self._account(row, new.aliases, served=new.served)

    def _build(self) -> Select[Any]:
        """Return the query; where the product lets the domain's values count instead of the account's, it does so too."""
        account, domain, users = self.table, self._domains, self._users
        decides: ColumnElement[bool] = domain.c.id_domain.is_not(None)
        if "is_default_for_tenant" in domain.c:
            decides &= domain.c.is_default_for_tenant == 0
        columns: list[ColumnElement[Any]] = [
            account.c[name] for name in _ACCOUNT if name in account.c and name not in (*_SERVERS, "mail_out_login")
        ]
        columns += [_either(decides, domain.c[name], account.c[name]).label(name) for name in _SERVERS]
        own_login = decides & (domain.c.mail_out_auth == _OWN_LOGIN)
        columns.append(_either(own_login, domain.c.mail_out_login, account.c.mail_out_login).label("mail_out_login"))
        columns += [users.c[name] for name in _SETTINGS if name in users.c]
        columns += [domain.c.is_internal, *self._usage()]
        joined = account.join(users, users.c.id_user == account.c.id_user).outerjoin(
            domain, domain.c.id_domain == account.c.id_domain
        )
        is_placed = or_(account.c.id_domain == 0, domain.c.id_domain.is_not(None))
        return select(*columns).select_from(joined).where(is_placed, self._context.mine(account.c.id_domain))

    def _usage(self) -> list[ColumnElement[Any]]:
        table = self._server.usage
        if table is None:
            return []
        return [
            # The names are not unique there.
            select(func.max(table.c[column]))
            .where(table.c.name == func.lower(self.table.c.email))
            .scalar_subquery()
            .label(label)
            for column, label in (("quota_usage_bytes", "used_bytes"), ("quota_usage_messages", "used_messages"))
        ]

    def _page(self, connection: Connection, query: Select[Any]) -> list[Account]:
        return self._accounts(connection, connection.execute(query).mappings().all())

    def _accounts(self, connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> list[Account]:
        aliases: dict[int, list[str]] = defaultdict(list)
        columns = self._server.aliases.c
        numbers = [row["id_acct"] for row in rows if row["is_internal"]]
        if numbers:
            found = select(columns.id_acct, columns.alias_name, columns.alias_domain)
            for number, name, domain in connection.execute(found.where(columns.id_acct.in_(numbers))):
                aliases[number].append(canonical(f"{name}@{domain}"))
        return [self._account(row, aliases[row["id_acct"]], served=bool(row["is_internal"])) for row in rows]

    def _account(self, row: Mapping[Any, Any], aliases: Sequence[str], *, served: bool) -> Account:
        stored, used = row["email"].lower(), row.get("used_bytes")
        return Account(
            address=canonical(stored),
            name=row["friendly_nm"] or "",
            enabled=not row["deleted"],
            quota=from_kilobytes(row["quota"]),
            aliases=tuple(sorted(aliases)),
            mailbox_folder="",  # the home itself is the Maildir
            home=self._context.home_of(stored) if served else None,
            usage=None if used is None else Usage(int(used), int(row["used_messages"] or 0)),
            created=_moment(row.get("created_time")),
            settings=_settings(row),
        )


def _either(condition: ColumnElement[bool], yes: ColumnElement[Any], no: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((condition, yes), else_=no)


def _settings(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return what only this store keeps of an account, by the names of `AccountSettings` and some more."""
    last_login = _moment(row.get("last_login"))
    return {
        "incoming_login": row["mail_inc_login"] or "",
        "incoming_server": row["mail_inc_host"] or "",
        "incoming_port": str(row["mail_inc_port"]),
        "incoming_ssl": _shown(row["mail_inc_ssl"]),
        "outgoing_server": row["mail_out_host"] or "",
        "outgoing_port": str(row["mail_out_port"]),
        "outgoing_ssl": _shown(row["mail_out_ssl"]),
        "outgoing_auth": str(row["mail_out_auth"]),
        "outgoing_login": row["mail_out_login"] or "",
        "signature": row["signature"] or "",
        "signature_html": _shown(row["signature_type"]),
        "signature_use": str(row["signature_opt"]),
        "capabilities": row.get("capa") or "",
        "default_domain": _shown(not row["id_domain"]),
        "language": row.get("def_lang") or "",
        "last_login": "" if last_login is None else last_login.isoformat(),
    }


_NEVER_YEAR = 1999
"""A NULL reads as 1999 in the product, which writes that back."""


def _moment(value: datetime | None) -> datetime | None:
    return None if value is None or value.year <= _NEVER_YEAR else value


def _shown(value: Any) -> str:
    return "true" if value else "false"
