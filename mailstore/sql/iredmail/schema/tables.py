"""iRedMail's `vmail` database: the tables and columns of its current schema, for all engines.

`define` gives the complete tables, from which `schema create` makes a database. `detection` beside it leaves out of them
what a live server does not have, so that no statement ever names a column that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import (
    CHAR,
    TIMESTAMP,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)  # fmt: skip
from sqlalchemy.types import TypeEngine

from mailstore.sql.live import Live, LiveColumn
from mailstore.sql.moments import Day, Moment
from mailstore.sql.mysql_types import Flag, Identity
from mailstore.sql.own_tables import BESIDE, BESIDE_LATER, beside_columns

__all__ = ["ENABLE_COLUMNS", "LETTER_COLUMNS", "OPTIONAL", "OWN_TABLE", "define"]

OWN_TABLE = BESIDE
"""The one table that is not iRedMail's: what a `deleted_mailboxes` record cannot hold. Optional."""

ENABLE_COLUMNS = (
    "enablesmtp", "enablesmtpsecured", "enablepop3", "enablepop3secured", "enablepop3tls", "enableimap",
    "enableimapsecured", "enableimaptls", "enablemanagesieve", "enablemanagesievesecured", "enablesieve",
    "enablesievesecured", "enablesievetls", "enabledeliver", "enablelda", "enablelmtp", "enableinternal",
    "enabledoveadm", "enabledsync", "enablesogo", "enablelib-storage", "enablequota-status", "enableindexer-worker",
)  # fmt: skip
LETTER_COLUMNS = ("enablesogowebmail", "enablesogocalendar", "enablesogoactivesync")
"""SOGo's three flags hold the letters y and n, never 0 and 1."""

OPTIONAL: dict[str, frozenset[str]] = {
    "mailbox": frozenset(
        {*ENABLE_COLUMNS, *LETTER_COLUMNS, "first_name", "last_name", "mobile", "telephone", "birthday"}
        | {"recovery_email", "mailboxformat", "mailboxfolder", "allow_nets", "disclaimer", "department", "rank"}
    )
    - {"enablesmtp", "enablepop3", "enableimap", "enabledeliver"},
    "domain": frozenset({"disclaimer", "quota"}),
    "deleted_mailboxes": frozenset({"bytes", "messages"}),
    "last_login": frozenset({"*", "imap", "pop3", "lda"}),  # 1.0 and 1.1 had one time for all protocols
    "maillist_owners": frozenset({"*"}),
    OWN_TABLE: BESIDE_LATER | {"*"},
}
"""Columns (`*`: the whole table) that servers from 0.9.8 on may lack; every other one must be there."""

# On PostgreSQL every flag is an INT2 and refuses booleans; integers are right for all engines.
_FLAG, _ID = Flag(), Identity()
_COUNT = BigInteger().with_variant(Integer(), "mysql", "mariadb")
_LETTER = String(1).with_variant(CHAR(1), "mysql", "mariadb")
_AUDITED = "expired active"
_INDEXES = {
    "admin": f"passwordlastchange {_AUDITED}",
    "alias": f"domain {_AUDITED}",
    "alias_domain": "target_domain active",
    "deleted_mailboxes": "timestamp username domain admin delete_date",
    "domain": f"backupmx {_AUDITED}",
    "domain_admins": "username domain active",
    "forwardings": "forwarding domain dest_domain is_maillist is_list is_alias",
    "last_login": "domain imap pop3 lda",
    "mailbox": f"domain department employeeid isadmin isglobaladmin passwordlastchange {_AUDITED} "
    + " ".join(ENABLE_COLUMNS),
    "maillist_owners": "owner domain dest_domain",
    "maillists": "is_newsletter domain active",
    "moderators": "domain dest_domain",
    "recipient_bcc_domain": f"bcc_address {_AUDITED}",
    "recipient_bcc_user": f"bcc_address {_AUDITED}",
    "sender_bcc_domain": f"bcc_address {_AUDITED}",
    "sender_bcc_user": f"bcc_address domain {_AUDITED}",
    "share_folder": "from_user to_user",
    "used_quota": "domain",
}
_NOT_ON_MYSQL = {"forwardings": " address is_forwarding", "moderators": " address moderator"}
"""Indexes of single columns, as upstream makes them."""


def define(engine: str, live: Live | None = None) -> MetaData:
    """Return the tables for `engine`: ``mysql`` (MariaDB too), ``postgresql`` or ``sqlite``.

    With `live`, only the tables and columns that the server has, plus those of its own that no insert may leave out;
    without, the complete current schema with its indexes.
    """
    metadata = MetaData()
    kinds = _Kinds(engine)
    for make in (_people, _addresses, _bcc_and_relay, _dovecot, _deleted):
        make(partial(_table, metadata, live, engine), kinds)
    return metadata


class _Stamp(Moment):
    """The one column that is a TIMESTAMP on MySQL, which the server converts from and to the session's zone."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own = TIMESTAMP() if dialect.name in {"mysql", "mariadb"} else DateTime()
        return dialect.type_descriptor(own)


class _Kinds:
    """The kinds of columns that differ between the engines."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        moment = "'1970-01-01 01:01:01'" if engine == "mysql" else "CURRENT_TIMESTAMP"
        self.moment = text(moment)
        self.never = text("'9999-12-31 00:00:00'" if engine == "mysql" else "'9999-12-31 01:01:01'")

    @staticmethod
    def text(name: str, length: int = 255, default: str = "", **options: Any) -> Column[str]:
        return Column(name, String(length), nullable=False, server_default=text(f"'{default}'"), **options)

    @staticmethod
    def key(name: str, length: int = 255, *, default: bool = True) -> Column[str]:
        given = text("''") if default else None
        return Column(name, String(length), nullable=False, server_default=given, primary_key=True)

    def id(self, *, primary: bool = True) -> Column[int]:
        return Column("id", _ID, primary_key=primary, autoincrement=True, nullable=False)

    @staticmethod
    def flag(name: str, default: int = 0) -> Column[int]:
        return Column(name, _FLAG, nullable=False, server_default=text(str(default)))

    @staticmethod
    def number(name: str, type_: TypeEngine[int] = BigInteger()) -> Column[int]:  # noqa: B008 types do not change
        return Column(name, type_, nullable=False, server_default=text("0"))

    def long_text(self, name: str) -> Column[str]:
        # NULL in MySQL, NOT NULL with a default in PostgreSQL: omitted columns work in both, NULL only in MySQL.
        if self.engine == "mysql":
            return Column(name, Text)
        return Column(name, Text, nullable=False, server_default=text("''"))

    def time(self, name: str) -> Column[Any]:
        return Column(name, Moment, nullable=False, server_default=self.moment)

    def audit(self) -> tuple[Column[Any], ...]:
        expired = Column("expired", Moment, nullable=False, server_default=self.never)
        return self.time("created"), self.time("modified"), expired, self.flag("active", 1)


_Maker = Callable[..., None]
_MYSQL = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_general_ci", "row_format": "DYNAMIC"}


def _table(
    metadata: MetaData, live: Live | None, engine: str, name: str, *parts: Column[Any] | UniqueConstraint
) -> None:
    if live is not None:
        _live_table(metadata, live.get(name, {}), name, [part for part in parts if isinstance(part, Column)])
        return
    # Elsewhere SQLAlchemy would import the dialect to look whether it knows them.
    dialects = ("mysql", "mariadb") if engine == "mysql" else ()
    options: dict[str, Any] = {f"{prefix}_{key}": value for prefix in dialects for key, value in _MYSQL.items()}
    table = Table(name, metadata, *parts, **options)
    wanted = _INDEXES.get(name, "") + (_NOT_ON_MYSQL.get(name, "") if engine != "mysql" else "")
    for column in wanted.split():
        Index(f"{name}_{column}_idx", table.c[column])


def _live_table(metadata: MetaData, live: Mapping[str, LiveColumn], name: str, known: list[Column[Any]]) -> None:
    if not live:
        return
    # Relics like alias.goto or mailbox.local_part may be NOT NULL without a default: give them an empty value.
    names = {column.name for column in known}
    relics = [
        Column(column, String, default="") if _is_text(found.type) else Column(column, Integer, default=0)
        for column, found in live.items()
        if column not in names and found.required
    ]
    Table(name, metadata, *(column for column in known if column.name in live), *relics)


def _is_text(type_: str) -> bool:
    return "char" in type_ or "text" in type_


def _people(table: _Maker, kind: _Kinds) -> None:
    table(
        "admin", kind.key("username"), kind.text("password"), kind.text("name"), kind.text("language", 5),
        kind.time("passwordlastchange"), kind.long_text("settings"), *kind.audit(),
    )  # fmt: skip
    table(
        "domain", kind.key("domain"), kind.long_text("description"), kind.long_text("disclaimer"),
        *(kind.number(name, _COUNT) for name in ("aliases", "mailboxes", "maillists")),
        kind.number("maxquota"), kind.number("quota"), kind.text("transport", default="dovecot"),
        kind.flag("backupmx"), kind.long_text("settings"), *kind.audit(),
    )  # fmt: skip
    table(
        "alias_domain", Column("alias_domain", String(255), primary_key=True),
        Column("target_domain", String(255), nullable=False), kind.time("created"), kind.time("modified"),
        kind.flag("active", 1),
    )  # fmt: skip
    table("domain_admins", kind.key("username"), kind.key("domain"), *kind.audit())
    _mailbox(table, kind)


def _mailbox(table: _Maker, kind: _Kinds) -> None:
    names = ("name", "first_name", "last_name", "mobile", "telephone", "recovery_email")
    flags = [kind.flag(name, 1) for name in ENABLE_COLUMNS]
    username = kind.key("username", default=kind.engine != "postgresql")
    letters = [Column(name, _LETTER, nullable=False, server_default=text("'y'")) for name in LETTER_COLUMNS]
    table(
        "mailbox", username, kind.text("password"), *(kind.text(name) for name in names),
        kind.text("language", 5), Column("birthday", Day, nullable=False, server_default=text("'0001-01-01'")),
        kind.text("mailboxformat", 50, "maildir"), kind.text("mailboxfolder", 50, "Maildir"),
        kind.text("storagebasedirectory", default="/var/vmail"), kind.text("storagenode", default="vmail1"),
        kind.text("maildir"), kind.number("quota"), kind.text("domain"), kind.text("transport"),
        kind.text("department"), kind.text("employeeid"), kind.text("rank", default="normal"),
        kind.flag("isadmin"), kind.flag("isglobaladmin"), *flags, *letters, Column("allow_nets", Text),
        kind.long_text("disclaimer"), kind.long_text("settings"), kind.time("passwordlastchange"), *kind.audit(),
    )  # fmt: skip


def _addresses(table: _Maker, kind: _Kinds) -> None:
    table(
        "alias", kind.key("address"), kind.text("name"), kind.text("accesspolicy", 30), kind.text("domain"),
        *kind.audit(),
    )  # fmt: skip
    flags = ("is_maillist", "is_list", "is_forwarding", "is_alias")
    table(
        "forwardings", kind.id(), kind.text("address"), kind.text("forwarding"), kind.text("domain"),
        kind.text("dest_domain"), *(kind.flag(name) for name in flags), kind.flag("active", 1),
        UniqueConstraint("address", "forwarding"),
    )  # fmt: skip
    for name, person in (("moderators", "moderator"), ("maillist_owners", "owner")):
        table(
            name, kind.id(), kind.text("address"), kind.text(person), kind.text("domain"), kind.text("dest_domain"),
            UniqueConstraint("address", person),
        )  # fmt: skip
    table(
        "maillists", kind.id(), kind.text("address", unique=True), kind.text("domain"), kind.text("transport"),
        kind.text("accesspolicy", 30), kind.number("maxmsgsize"), kind.text("name"), Column("description", Text),
        kind.text("mlid", 36, unique=True), kind.flag("is_newsletter"), Column("settings", Text), *kind.audit(),
    )  # fmt: skip


def _bcc_and_relay(table: _Maker, kind: _Kinds) -> None:
    for direction in ("sender", "recipient"):
        table(f"{direction}_bcc_domain", kind.key("domain"), kind.text("bcc_address"), *kind.audit())
        table(
            f"{direction}_bcc_user", kind.key("username"), kind.text("bcc_address"), kind.text("domain"),
            *kind.audit(),
        )  # fmt: skip
    table("sender_relayhost", kind.id(), kind.text("account", unique=True), kind.text("relayhost"))


def _dovecot(table: _Maker, kind: _Kinds) -> None:
    table(
        "share_folder", Column("from_user", String(255), primary_key=True),
        Column("to_user", String(255), primary_key=True), Column("dummy", CHAR(1)),
    )  # fmt: skip
    shared = Column("dummy", CHAR(1), server_default="1" if kind.engine == "mysql" else None)
    table("anyone_shares", Column("from_user", String(255), primary_key=True), shared)
    table(
        "used_quota", Column("username", String(255), primary_key=True), kind.number("bytes"),
        kind.number("messages"), kind.text("domain"),
    )  # fmt: skip
    moments = [Column(name, Integer if kind.engine == "mysql" else BigInteger) for name in ("imap", "pop3", "lda")]
    username, domain = kind.key("username"), kind.text("domain")
    if kind.engine != "mysql":
        domain = kind.key("domain")
    table("last_login", username, domain, *moments)


def _deleted(table: _Maker, kind: _Kinds) -> None:
    # In MySQL `id` is a plain key upstream; a primary key differs in nothing that a reader could notice.
    table(
        "deleted_mailboxes", kind.id(),
        Column("timestamp", _Stamp(), nullable=False, server_default=text("CURRENT_TIMESTAMP")),
        kind.text("username"), kind.text("domain"), kind.text("maildir"), kind.number("bytes"),
        kind.number("messages"), kind.text("admin"), Column("delete_date", Day),
    )  # fmt: skip
    table(OWN_TABLE, *beside_columns())
