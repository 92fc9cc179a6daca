"""The webmail's tables and columns, for all engines, as version 7.7.9 makes them.

A column with a default is NOT NULL, one without may be NULL. There are no foreign keys, and of all that ought to be unique
only ``awm_settings.id_user`` is. MySQL's tables hold three-byte characters only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)  # fmt: skip
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from mailstore.sql.afterlogic.user_data import DATA_KEYS
from mailstore.sql.columns import Live
from mailstore.sql.ledger import define_own_tables

__all__ = ["CONNECTOR", "LEDGER", "NEEDED", "WEBMAIL", "define", "define_connector"]

LEDGER = ("mailstore_deleted_mailboxes", "mailstore_deleted")
"""The two tables that are mailstore's own."""

_MYSQL = ("mysql", "mariadb")


def _type(plain: TypeEngine[Any], on_mysql: TypeEngine[Any], on_postgresql: TypeEngine[Any] | None = None) -> Any:
    wanted = plain.with_variant(on_mysql, *_MYSQL)
    return wanted if on_postgresql is None else wanted.with_variant(on_postgresql, "postgresql")


_INT = Integer()
_BIT = _type(Integer(), mysql.TINYINT(1), SmallInteger())
_SHORT = _type(Integer(), mysql.TINYINT(4), SmallInteger())
_SMALL = _type(Integer(), mysql.SMALLINT(6))
_UINT = _type(Integer(), mysql.INTEGER(unsigned=True), BigInteger())
_BIG = _type(Integer(), mysql.BIGINT(), BigInteger())
_UBIG = _type(Integer(), mysql.BIGINT(unsigned=True), BigInteger())
_MTEXT = _type(Text(), mysql.MEDIUMTEXT())

_Make = Callable[[str], Column[Any]]


def _id(type_: Any = _INT) -> _Make:
    return lambda name: Column(name, type_, primary_key=True, autoincrement=True, nullable=False)


def _number(type_: Any, default: int | None = 0) -> _Make:
    if default is None:
        return lambda name: Column(name, type_)
    return lambda name: Column(name, type_, nullable=False, server_default=text(str(default)))


def _text(length: int = 255, default: str | None = None) -> _Make:
    if default is None:
        return lambda name: Column(name, String(length))
    return lambda name: Column(name, String(length), nullable=False, server_default=default)


def _plain(type_: Any) -> _Make:
    return lambda name: Column(name, type_)


@dataclass(frozen=True)
class _Spec:
    """A table: its columns, what is indexed (several columns of one index as a tuple), and what is unique."""

    columns: Mapping[str, _Make]
    indexes: Sequence[str | tuple[str, ...]] = ()
    unique: str | None = None


def _each(names: str, make: _Make) -> dict[str, _Make]:
    return dict.fromkeys(names.split(), make)


_FLAG, _ON = _number(_BIT), _number(_BIT, 1)
_NAME, _EMPTY = _text(), _text(default="")
_QUOTAS = _Spec(
    {"name": _text(100, ""), "quota_usage_messages": _number(_UBIG), "quota_usage_bytes": _number(_UBIG)}, ["name"]
)

WEBMAIL: Mapping[str, _Spec] = {
    "a_users": _Spec({"id_user": _id(), "deleted": _FLAG}),
    "awm_accounts": _Spec(
        {
            "id_acct": _id(), **_each("id_user id_domain id_tenant", _number(_INT)), **_each("def_acct deleted", _FLAG),
            "quota": _number(_UINT), "email": _EMPTY, "friendly_nm": _NAME, "mail_protocol": _number(_SHORT, 1),
            "mail_inc_host": _NAME, "mail_inc_port": _number(_INT, 143), **_each("mail_inc_login mail_inc_pass", _NAME),
            "mail_inc_ssl": _FLAG, "mail_out_host": _NAME, "mail_out_port": _number(_INT, 25),
            **_each("mail_out_login mail_out_pass", _NAME), "mail_out_auth": _number(_SHORT), "mail_out_ssl": _FLAG,
            "signature": _plain(_MTEXT), "signature_type": _number(_SHORT, 1), "signature_opt": _number(_SHORT),
            "mailbox_size": _number(_BIG), **_each("mailing_list hide_in_gab", _FLAG), "custom_fields": _plain(Text()),
            **_each("is_password_specified allow_mail", _ON),
        },
        ["id_user", ("id_acct", "id_user"), "mail_inc_login", "email"],
    ),
    "awm_settings": _Spec(
        {
            "id_setting": _id(), **_each("id_user id_subscription id_helpdesk_user", _number(_INT)),
            **_each("msgs_per_page contacts_per_page", _number(_SMALL, 20)), "auto_checkmail_interval": _number(_INT),
            **_each("created_time last_login last_login_now", _plain(DateTime())), "logins_count": _number(_INT),
            **_each("last_login_ip last_login_ip_now last_login_ua last_login_ua_now", _NAME),
            "def_skin": _text(default="Default"), "def_editor": _ON, **_each("layout save_mail", _number(_SHORT)),
            "def_timezone": _number(_SMALL), **_each("def_time_fmt def_lang", _NAME),
            "def_date_fmt": _text(100, "MM/DD/YYYY"), "incoming_charset": _text(30, "iso-8859-1"),
            "client_timezone": _text(100, ""), **_each("question_1 answer_1 question_2 answer_2 capa", _NAME),
            "custom_fields": _plain(Text()), "mailbox_limit": _number(_BIG), "sip_enable": _ON,
            **_each("sip_impi sip_password twilio_number", _EMPTY), "twilio_enable": _ON, "twilio_default_number": _FLAG,
            "files_enable": _ON, "helpdesk_signature": _EMPTY, "helpdesk_signature_enable": _FLAG,
            **_each("use_threads allow_autosave_in_drafts", _ON),
            **_each(
                "save_replied_messages_to_current_folder compose_plain_text_default desktop_notifications "
                "allow_change_input_direction allow_helpdesk_notifications enable_open_pgp autosign_outgoing_emails",
                _FLAG,
            ),
            **_each("email_notification password_reset_hash", _EMPTY),
        },
        unique="id_user",
    ),
    "awm_domains": _Spec(
        {
            "id_domain": _id(), "id_tenant": _number(_INT), **_each("name url", _NAME), "user_quota": _number(_INT),
            "override_settings": _FLAG, "mail_protocol": _number(_SHORT, 1), "mail_inc_host": _NAME,
            "mail_inc_port": _number(_INT, 143), "mail_inc_ssl": _FLAG, "mail_out_host": _NAME,
            "mail_out_port": _number(_INT, 25), "mail_out_auth": _number(_SHORT, 1),
            **_each("mail_out_login mail_out_pass", _NAME), "mail_out_ssl": _FLAG, "mail_out_method": _number(_SHORT, 1),
            "quota_mbytes_limit": _number(_UINT), **_each("quota_usage_bytes quota_usage_messages", _number(_UBIG)),
            "allow_webmail": _ON, "site_name": _NAME,
            **_each("allow_change_interface_settings allow_users_add_acounts allow_change_account_settings", _FLAG),
            "allow_new_users_register": _ON, "allow_open_pgp": _FLAG, "def_user_timezone": _number(_INT),
            "def_user_timeformat": _number(_SHORT), "def_user_dateformat": _text(100, "MM/DD/YYYY"),
            "msgs_per_page": _number(_SMALL, 20), **_each("skin lang", _NAME),
            **_each("ext_imap_host ext_smtp_host ext_dav_host", _EMPTY), "allow_contacts": _ON,
            "contacts_per_page": _number(_SMALL, 20), "allow_calendar": _ON, "cal_week_starts_on": _number(_SHORT),
            "cal_show_weekends": _FLAG, "cal_workday_starts": _number(_SHORT, 9), "cal_workday_ends": _number(_SHORT, 18),
            "cal_show_workday": _FLAG, "cal_default_tab": _number(_SHORT, 2), "layout": _number(_SHORT), "xlist": _ON,
            "global_addr_book": _number(_SHORT), "check_interval": _number(_INT),
            **_each("allow_registration allow_pass_reset", _FLAG), **_each("allow_files allow_helpdesk use_threads", _ON),
            **_each("is_internal disabled", _FLAG), "default_tab": _text(default="mailbox"),
            "is_default_for_tenant": _FLAG, "collaboration": _ON,
        }
    ),
    "awm_tenants": _Spec(
        {
            "id_tenant": _id(), "id_channel": _number(_INT), **_each("disabled login_enabled", _FLAG),
            **_each("login email password description", _NAME), "quota": _number(_INT),
            "files_usage_bytes": _number(_UBIG), **_each("user_count_limit domain_count_limit", _number(_INT)),
            "capa": _EMPTY, **_each("allow_change_email allow_change_password", _ON), "expared_timestamp": _number(_UINT),
            "pay_url": _EMPTY, "is_trial": _FLAG,
            "hd_admin_email_account": _EMPTY,
        }
    ),
    "awm_mailaliases": _Spec(
        {"id": _id(), "id_acct": _number(_INT, None), **_each("alias_name alias_domain alias_to", _EMPTY)}, ["id_acct"]
    ),
    "awm_mailforwards": _Spec(
        {"id": _id(), "id_acct": _number(_INT, None), **_each("forward_name forward_domain forward_to", _EMPTY)},
        ["id_acct"],
    ),
    "awm_mailinglists": _Spec(
        {"id": _id(), "id_acct": _number(_INT, None), **_each("list_name list_to", _EMPTY)}, ["id_acct"]
    ),
    "awm_account_quotas": _QUOTAS,
    "awm_domain_quotas": _QUOTAS,
    "awm_tenant_quotas": _QUOTAS,
    "awm_addr_book": _Spec(
        {
            "id_addr": _id(_BIG), **_each("id_user id_domain id_tenant", _number(_INT)), "str_id": _NAME,
            "type": _number(_SHORT), "type_id": _text(100, ""), "deleted": _FLAG,
            **_each("date_created date_modified", _plain(DateTime())), "fullname": _NAME, "view_email": _EMPTY,
            "use_friendly_nm": _ON, **_each("firstname surname nickname skype", _text(100, "")), "facebook": _EMPTY,
            **_each("h_email h_street h_web b_email b_street b_web other_email notes", _NAME),
            **_each("h_city h_state h_country b_company b_city b_state b_country b_department b_office", _text(200)),
            **_each("h_zip b_zip", _text(10)), **_each("h_phone h_fax h_mobile b_phone b_fax", _text(50)),
            "b_job_title": _text(100), "primary_email": _number(_SHORT, None),
            **_each("birthday_day birthday_month", _number(_SHORT)), "birthday_year": _number(_SMALL),
            "id_addr_prev": _number(_BIG, None), "tmp": _FLAG, "use_frequency": _number(_INT, 11), "auto_create": _FLAG,
            "etag": _text(100, ""), **_each("shared_to_all hide_in_gab", _FLAG),
        },
        ["id_user", ("id_user", "deleted"), "use_frequency", "view_email"],
    ),
}  # fmt: skip

CONNECTOR: Mapping[str, _Spec] = {
    "awm_accounts": _Spec(
        {
            "id_acct": _id(), **_each("id_user id_domain", _number(_INT)), "deleted": _FLAG,
            "mail_quota_kb": _number(_UBIG), "email": _EMPTY, "password": _NAME, "mailing_list": _FLAG,
        },
        unique="email",
    ),
    "awm_domains": _Spec({"id_domain": _id(), "id_tenant": _number(_INT), "name": _NAME}),
    "awm_mailaliases": WEBMAIL["awm_mailaliases"],
    "awm_mailinglists": WEBMAIL["awm_mailinglists"],
    "awm_account_quotas": _Spec(
        {
            "id": _id(), "name": _text(100, ""), "mail_quota_usage_bytes": _number(_UBIG),
            "quota_usage_messages": _number(_UINT),
        }
    ),
}  # fmt: skip
"""The mail server's own tables in Aurora 8: other ones of the same names."""

NEEDED: Mapping[str, frozenset[str]] = {
    "a_users": frozenset({"id_user", "deleted"}),
    "awm_accounts": frozenset(WEBMAIL["awm_accounts"].columns)
    - {"is_password_specified", "allow_mail", "mailbox_size", "hide_in_gab", "custom_fields"},
    "awm_settings": frozenset({"id_user", "created_time", "last_login", "def_lang"}),
    "awm_domains": frozenset({"id_domain", "id_tenant", "name", "override_settings", "is_internal", "disabled"})
    | {name for name in WEBMAIL["awm_domains"].columns if name.startswith(("mail_inc", "mail_out"))},
    "awm_mailaliases": frozenset({"id_acct", "alias_name", "alias_domain", "alias_to"}),
    "awm_addr_book": frozenset({"id_addr", "id_user", "type", "type_id", "view_email"}),
}
"""Without these no account could be written as the product reads it; every other column and table may be absent."""


def define(prefix: str, live: Live | None = None) -> MetaData:
    """Return the webmail's tables, each named with the installation's `prefix`, and the ledger of deleted mailboxes.

    With `live`, only tables and columns that the server has; without, the complete schema with its indexes. Of the tables
    that hold nothing but the users' data, only the keys are known here.
    """
    metadata = MetaData()
    for name, spec in {**WEBMAIL, **_data_specs()}.items():
        _table(metadata, f"{prefix}{name}", spec, None if live is None else live.get(f"{prefix}{name}", {}))
    if live is None or all(name in live for name in LEDGER):
        define_own_tables(metadata)
    return metadata


def define_connector(schema: str | None, live: Live | None = None) -> MetaData:
    """Return the tables of Aurora 8's MTA connector in the database `schema` on the same server; None is the own one."""
    metadata = MetaData(schema=schema)
    for name, spec in CONNECTOR.items():
        _table(metadata, name, spec, None if live is None else live.get(name, {}))
    return metadata


def _data_specs() -> dict[str, _Spec]:
    kinds: dict[str, _Make] = {"id": _id(_BIG), "number": _number(_BIG, None), "text": _NAME}
    return {name: _Spec({key: kinds[kind] for key, kind in keys.items()}) for name, keys in DATA_KEYS.items()}


def _table(metadata: MetaData, name: str, spec: _Spec, live: Mapping[str, object] | None) -> None:
    if live is not None:
        present = [make(column) for column, make in spec.columns.items() if column in live]
        if present:
            Table(name, metadata, *present)
        return
    # Not utf8mb4: what the real tables cannot hold must not go into these either.
    options: dict[str, Any] = {f"{dialect}_{key}": value for dialect in _MYSQL for key, value in _MYSQL_OPTIONS.items()}
    parts: list[Any] = [make(column) for column, make in spec.columns.items()]
    if spec.unique:
        parts.append(UniqueConstraint(spec.unique))
    table = Table(name, metadata, *parts, **options)
    for columns in spec.indexes:
        some = (columns,) if isinstance(columns, str) else columns
        Index("_".join((name, *sorted(some), "INDEX")).upper(), *(table.c[column] for column in some))


_MYSQL_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb3", "collate": "utf8mb3_general_ci"}
