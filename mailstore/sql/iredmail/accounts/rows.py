"""Accounts as rows: how a mailbox and its neighbours are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, null, select, union_all

from mailstore.disk.layout import normal_home
from mailstore.driver.iredmail.admin_settings import ADMIN_KEYS
from mailstore.driver.iredmail.units import from_megabytes, from_seconds
from mailstore.driver.readings import Readings
from mailstore.model import Account, LastLogin, Usage
from mailstore.quota import UNLIMITED
from mailstore.sql.iredmail.accounts.new import NewAccount
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.homes import home_of
from mailstore.sql.iredmail.routing.forwardings import split_forwarding
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.schema.settings import Settings
from mailstore.sql.iredmail.schema.tables import ENABLE_COLUMNS, LETTER_COLUMNS
from mailstore.sql.paging import pages

__all__ = ["AccountRows"]

_UNREAD = frozenset({"password", "disclaimer", "birthday", "rank", "expired", *ENABLE_COLUMNS, *LETTER_COLUMNS})
_KNOWN_SETTINGS = ("timezone", *ADMIN_KEYS)
_PAGE = 500
_NEVER = LastLogin()


def _checked_home(home: str | None) -> str | None:
    """Return a home if it is one. Raises InvalidValue; nearly all are told by their look."""
    return normal_home(home) if home and ("/." in home or not home.isprintable()) else home


class AccountRows:
    """Reads accounts, one or many, with a fixed number of statements per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = Services(context.schema)
        self._statement, self._labels = self._build()
        name = self._username == bindparam("name")
        self._one = self._statement.where(name), self._expansions(name)

    def one(self, connection: Connection, address: str) -> Account | None:
        """Return one account, or None."""
        query, expansions = self._one
        rows = self._fetch(connection, query, {"name": address})
        return self._accounts(connection, rows, expansions, {"name": address})[0] if rows else None

    def pages(self, condition: ColumnElement[bool], start: str) -> Iterator[Sequence[Account]]:
        """Iterate over the accounts that meet `condition`, sorted, behind `start`, in pages."""
        after = and_(condition, self._username > bindparam("after"))
        query = self._statement.where(after).order_by(self._username).limit(_PAGE)
        expansions = self._expansions(and_(after, self._username <= bindparam("end")))

        def fetch(last: str) -> list[Account]:
            with self._context.reading() as connection:
                rows = self._fetch(connection, query, {"after": last})
                end = rows[-1]["username"] if rows else ""
                return self._accounts(connection, rows, expansions, {"after": last, "end": end}) if rows else []

        return pages(fetch, lambda account: account.address, start=start, size=_PAGE)

    def new_account(self, new: NewAccount) -> Account:
        """Return an account that was just created, as a read would give it."""
        beside = {name: new.pointers.get(name) for name in ("sender_bcc", "recipient_bcc")}
        row = new.mailbox | beside | {"relayhost": new.pointers.get("outbound_relay")}
        row["services"] = self._services.flags(new.mailbox)
        if self._context.schema.has("last_login", "imap"):
            row |= dict.fromkeys(("login_imap", "login_pop3", "login_lda"))
        return self.account(row, new.destinations, new.aliases)

    def account(self, row: Mapping[str, Any], destinations: Collection[str], aliases: Iterable[str]) -> Account:
        """Return the account that rows describe. Columns not in `row` have their default."""
        address = row["username"]
        settings = Settings(row.get("settings"))
        forwarding, keep_copy = split_forwarding(address, destinations)
        get, home, readings = row.get, home_of(row), Readings()
        return Account(
            address=address,
            name=get("name", ""),
            first_name=get("first_name", ""),
            last_name=get("last_name", ""),
            enabled=row["active"] == 1,
            quota=readings.read("quota", row["quota"], from_megabytes, UNLIMITED),
            language=get("language", ""),
            employee_id=get("employeeid", ""),
            department=get("department", ""),
            mobile=get("mobile", ""),
            telephone=get("telephone", ""),
            recovery_email=get("recovery_email", ""),
            timezone=settings.text("timezone"),
            transport=get("transport", ""),
            forwarding=forwarding,
            keep_copy=keep_copy,
            aliases=tuple(sorted(aliases)),
            services=self._services.names(row["services"]),
            sender_bcc=get("sender_bcc") or "",
            recipient_bcc=get("recipient_bcc") or "",
            outbound_relay=get("relayhost") or "",
            allow_nets=tuple(filter(None, (get("allow_nets") or "").split(","))),
            mailbox_format=get("mailboxformat", "maildir"),
            mailbox_folder=get("mailboxfolder", "Maildir"),
            home=readings.read("maildir", home, _checked_home, home),
            admin=bool(get("isadmin", 0) or get("isglobaladmin", 0)),
            global_admin=bool(get("isglobaladmin", 0)),
            usage=_usage(row),
            last_login=_last_login(row),
            created=get("created"),
            modified=get("modified"),
            password_changed=get("passwordlastchange"),
            settings=settings.others(_KNOWN_SETTINGS),
            problems=readings.problems,
        )

    @property
    def _username(self) -> ColumnElement[str]:
        return self._context.table("mailbox").c.username

    def _build(self) -> tuple[Select[Any], Sequence[str]]:
        table = self._context.table
        mailbox, used = table("mailbox"), table("used_quota")
        sender, recipient, relay = table("sender_bcc_user"), table("recipient_bcc_user"), table("sender_relayhost")
        columns: list[ColumnElement[Any]] = [column for column in mailbox.c if column.name not in _UNREAD]
        columns += [
            self._services.selected(mailbox).label("services"),
            sender.c.bcc_address.label("sender_bcc"), recipient.c.bcc_address.label("recipient_bcc"), relay.c.relayhost,
            used.c.bytes.label("used_bytes"), used.c.messages.label("used_messages"),
        ]  # fmt: skip
        name = mailbox.c.username
        joined = (
            mailbox.outerjoin(sender, sender.c.username == name)
            .outerjoin(recipient, recipient.c.username == name)
            .outerjoin(relay, relay.c.account == name)
            .outerjoin(used, used.c.username == name)
        )
        if self._context.schema.has("last_login", "imap"):
            login = table("last_login")
            # On PostgreSQL the key is (username, domain).
            joined = joined.outerjoin(login, and_(login.c.username == name, login.c.domain == mailbox.c.domain))
            columns += [login.c[protocol].label(f"login_{protocol}") for protocol in ("imap", "pop3", "lda")]
        query = select(*columns).select_from(joined)
        return query, [column.name for column in query.selected_columns]

    def _fetch(self, connection: Connection, query: Select[Any], parameters: dict[str, str]) -> list[dict[str, Any]]:
        return [dict(zip(self._labels, row, strict=True)) for row in connection.execute(query, parameters).all()]

    def _accounts(
        self, connection: Connection, rows: list[dict[str, Any]], expansions: Any, parameters: dict[str, str]
    ) -> list[Account]:
        forwardings: dict[str, list[str]] = defaultdict(list)
        aliases: dict[str, list[str]] = defaultdict(list)
        for account, other, is_alias in connection.execute(expansions, parameters).all():
            (aliases if is_alias else forwardings)[account].append(other)
        return [self.account(row, forwardings[row["username"]], aliases[row["username"]]) for row in rows]

    def _expansions(self, accounts: ColumnElement[bool]) -> Any:
        """Return the query for the forwardings and aliases of the `accounts` that meet a condition.

        The condition is repeated, since naming every account of a page would cost more than reading it; and there are two
        queries in one, since an OR over both columns would read the whole table.
        """
        rows = self._context.table("forwardings").c
        return union_all(
            select(rows.address, rows.forwarding, null()).where(
                accounts, rows.address == self._username, rows.is_forwarding == 1
            ),
            select(rows.forwarding, rows.address, rows.is_alias).where(
                accounts, rows.forwarding == self._username, rows.is_alias == 1
            ),
        )


def _usage(row: Mapping[str, Any]) -> Usage | None:
    used = row.get("used_bytes")
    return None if used is None else Usage(used, row["used_messages"])


def _last_login(row: Mapping[str, Any]) -> LastLogin | None:
    if "login_imap" not in row:
        return None
    times = (row["login_imap"], row["login_pop3"], row["login_lda"])
    if not any(times):
        return _NEVER
    return LastLogin(*map(from_seconds, times))
