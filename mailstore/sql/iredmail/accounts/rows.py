"""Accounts as rows: how a mailbox and its neighbours are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, FromClause, and_, bindparam, null, select, union_all

from mailstore.disk.layout import normal_home
from mailstore.driver.iredmail.admin_settings import ADMIN_KEYS
from mailstore.driver.iredmail.units import from_megabytes, from_seconds
from mailstore.driver.readings import UNREADABLE_ERRORS, Readings
from mailstore.model import Account, LastLogin, Usage
from mailstore.quota import UNLIMITED, Quota
from mailstore.sql.iredmail.accounts.new import NewAccount
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.homes import joined_home
from mailstore.sql.iredmail.routing.forwardings import split_forwarding
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.schema.settings import Settings
from mailstore.sql.iredmail.schema.tables import ENABLE_COLUMNS, LETTER_COLUMNS
from mailstore.sql.paging import pages
from mailstore.sql.raw import RawQuery, RawRows

__all__ = ["AccountRows"]

_UNREAD = frozenset({"password", "disclaimer", "birthday", "rank", "expired", *ENABLE_COLUMNS, *LETTER_COLUMNS})
_KNOWN_SETTINGS = ("timezone", *ADMIN_KEYS)
_PAGE = 500
_NEVER = LastLogin()
_NONE: tuple[str, ...] = ()
_ABSENT: Mapping[str, Any] = {
    "username": "", "active": 0, "quota": 0, "services": "",
    **dict.fromkeys(("storagebasedirectory", "storagenode", "maildir")),
    **dict.fromkeys(("name", "first_name", "last_name", "language", "employeeid", "department", "mobile"), ""),
    **dict.fromkeys(("telephone", "recovery_email", "transport", "sender_bcc", "recipient_bcc", "relayhost"), ""),
    "allow_nets": "", "mailboxformat": "maildir", "mailboxfolder": "Maildir", "settings": "",
    "isadmin": 0, "isglobaladmin": 0, "used_bytes": None, "used_messages": 0,
    **dict.fromkeys(("login_imap", "login_pop3", "login_lda", "created", "modified", "passwordlastchange")),
}  # fmt: skip
"""The columns that `AccountRows` reads, in its order, with what stands for one that a server lacks."""
_Picked: TypeAlias = tuple[Any, ...]
"""The values of `_ABSENT` for one account."""


def _checked_home(home: str | None) -> str | None:
    """Return a home if it is one. Raises InvalidValue; nearly all are told by their look."""
    return normal_home(home) if home and ("/." in home or not home.isprintable()) else home


@lru_cache(maxsize=1024)
def _read_settings(text: str | None) -> tuple[str, Mapping[str, str]]:
    """Return the time zone of a settings text, and what is in it besides what this library knows."""
    settings = Settings(text)
    return settings.text("timezone"), settings.others(_KNOWN_SETTINGS)


class AccountRows:
    """Reads accounts, one or many, with a fixed number of statements per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = Services(context.schema)
        self._knows_logins = context.schema.has("last_login", "imap")
        columns, source = self._build()
        self._statement = RawQuery(columns, source)
        labels = [column.name for column in columns]
        absent = [name for name in _ABSENT if name not in labels]
        self._absent = tuple(_ABSENT[name] for name in absent)
        self._pick = itemgetter(*(([*labels, *absent]).index(name) for name in _ABSENT))
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
        query = self._statement.where(after, order=self._username, limit=_PAGE)
        expansions = self._expansions(and_(after, self._username <= bindparam("end")))

        def fetch(last: str) -> list[Account]:
            with self._context.reading() as connection:
                rows = self._fetch(connection, query, {"after": last})
                end = rows[-1][0] if rows else ""
                return self._accounts(connection, rows, expansions, {"after": last, "end": end}) if rows else []

        return pages(fetch, lambda account: account.address, start=start, size=_PAGE)

    def new_account(self, new: NewAccount) -> Account:
        """Return an account that was just created, as a read would give it."""
        pointers = new.pointers.get
        row = new.mailbox | {
            "sender_bcc": pointers("sender_bcc"), "recipient_bcc": pointers("recipient_bcc"),
            "relayhost": pointers("outbound_relay"), "services": self._services.flags(new.mailbox),
        }  # fmt: skip
        picked = tuple(row.get(name, absent) for name, absent in _ABSENT.items())
        return self._account(picked, new.destinations, new.aliases)

    def _account(self, picked: _Picked, destinations: Collection[str], aliases: Iterable[str]) -> Account:
        """Return the account that the values of a row describe. One call for a hundred thousand of them is dear."""
        (
            address, active, quota, services, base, node, maildir, name, first_name, last_name, language, employee_id,
            department, mobile, telephone, recovery_email, transport, sender_bcc, recipient_bcc, relay, allow_nets,
            mailbox_format, mailbox_folder, settings, is_admin, is_global, used_bytes, used_messages,
            imap, pop3, delivery, created, modified, password_changed,
        ) = picked  # fmt: skip
        timezone, others = _read_settings(settings)
        forwarding, keep_copy = split_forwarding(address, destinations) if destinations != [address] else ((), True)
        home, problems = joined_home(base, node, maildir), _NONE
        try:
            size, home = from_megabytes(quota), _checked_home(home)
        except UNREADABLE_ERRORS:
            size, home, problems = _readings(quota, home)
        last_login: LastLogin | None = None
        if self._knows_logins:
            last_login = LastLogin(*map(from_seconds, (imap, pop3, delivery))) if imap or pop3 or delivery else _NEVER
        return Account(
            address=address,
            name=name,
            first_name=first_name,
            last_name=last_name,
            enabled=active == 1,
            quota=size,
            language=language,
            employee_id=employee_id,
            department=department,
            mobile=mobile,
            telephone=telephone,
            recovery_email=recovery_email,
            timezone=timezone,
            transport=transport,
            forwarding=forwarding,
            keep_copy=keep_copy,
            aliases=tuple(sorted(aliases)) if aliases else (),
            services=self._services.names(services),
            sender_bcc=sender_bcc or "",
            recipient_bcc=recipient_bcc or "",
            outbound_relay=relay or "",
            allow_nets=tuple(filter(None, allow_nets.split(","))) if allow_nets else (),
            mailbox_format=mailbox_format,
            mailbox_folder=mailbox_folder,
            home=home,
            admin=bool(is_admin or is_global),
            global_admin=bool(is_global),
            usage=None if used_bytes is None else Usage(used_bytes, used_messages),
            last_login=last_login,
            created=created,
            modified=modified,
            password_changed=password_changed,
            settings=dict(others),
            problems=problems,
        )

    @property
    def _username(self) -> ColumnElement[str]:
        return self._context.table("mailbox").c.username

    def _build(self) -> tuple[Sequence[ColumnElement[Any]], FromClause]:
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
        if self._knows_logins:
            login = table("last_login")
            # On PostgreSQL the key is (username, domain).
            joined = joined.outerjoin(login, and_(login.c.username == name, login.c.domain == mailbox.c.domain))
            columns += [login.c[protocol].label(f"login_{protocol}") for protocol in ("imap", "pop3", "lda")]
        return columns, joined

    def _fetch(self, connection: Connection, query: RawRows, parameters: dict[str, str]) -> list[_Picked]:
        pick, absent = self._pick, self._absent
        return [pick((*row, *absent)) for row in query.fetch(connection, parameters)]

    def _accounts(
        self, connection: Connection, rows: Sequence[_Picked], expansions: Any, parameters: dict[str, str]
    ) -> list[Account]:
        forwardings: dict[str, list[str]] = defaultdict(list)
        aliases: dict[str, list[str]] = defaultdict(list)
        for account, other, is_alias in connection.execute(expansions, parameters).all():
            (aliases if is_alias else forwardings)[account].append(other)
        to, names, account_of = forwardings.get, aliases.get, self._account
        return [account_of(row, to(row[0], ()), names(row[0], ())) for row in rows]

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


def _readings(quota: Any, home: str | None) -> tuple[Quota, str | None, tuple[str, ...]]:
    readings = Readings()
    size = readings.read("quota", quota, from_megabytes, UNLIMITED)
    return size, readings.read("maildir", home, _checked_home, home), readings.problems
