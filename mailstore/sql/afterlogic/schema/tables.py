"""The webmail's tables and columns, for all engines, as version 7.7.9 makes them.

There are no foreign keys, and of all that ought to be unique among accounts only ``awm_settings.id_user`` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Index, MetaData, Table, UniqueConstraint

from mailstore.sql.afterlogic.schema.columns import (
    BIG,
    EMPTY,
    FLAG,
    INT,
    MOMENT,
    MTEXT,
    MYSQL,
    NAME,
    NUMBERED,
    NUMBERED_BIG,
    ON,
    SHORT,
    SMALL,
    TEXT,
    UBIG,
    UINT,
    Spec,
    each,
    number,
    plain,
    varchar,
)  # fmt: skip
from mailstore.sql.afterlogic.schema.data_tables import DATA
from mailstore.sql.live import Live
from mailstore.sql.own_tables import BESIDE, RECORDS, define_own_tables

__all__ = ["ALL", "LEDGER", "NEEDED", "WEBMAIL", "define"]

LEDGER = (RECORDS, BESIDE)
"""The two tables that are mailstore's own."""

_QUOTAS = Spec(
    {"name": varchar(100, ""), "quota_usage_messages": number(UBIG), "quota_usage_bytes": number(UBIG)}, ["name"]
)

WEBMAIL: Mapping[str, Spec] = {
    "a_users": Spec({"id_user": NUMBERED, "deleted": FLAG}),
    "awm_accounts": Spec(
        {
            "id_acct": NUMBERED, **each("id_user id_domain id_tenant", number(INT)), **each("def_acct deleted", FLAG),
            "quota": number(UINT), "email": EMPTY, "friendly_nm": NAME, "mail_protocol": number(SHORT, 1),
            "mail_inc_host": NAME, "mail_inc_port": number(INT, 143), **each("mail_inc_login mail_inc_pass", NAME),
            "mail_inc_ssl": FLAG, "mail_out_host": NAME, "mail_out_port": number(INT, 25),
            **each("mail_out_login mail_out_pass", NAME), "mail_out_auth": number(SHORT), "mail_out_ssl": FLAG,
            "signature": plain(MTEXT), "signature_type": number(SHORT, 1), "signature_opt": number(SHORT),
            "mailbox_size": number(BIG), **each("mailing_list hide_in_gab", FLAG), "custom_fields": plain(TEXT),
            **each("is_password_specified allow_mail", ON),
        },
        ["id_user", ("id_acct", "id_user"), "mail_inc_login", "email"],
    ),
    "awm_settings": Spec(
        {
            "id_setting": NUMBERED, **each("id_user id_subscription id_helpdesk_user", number(INT)),
            **each("msgs_per_page contacts_per_page", number(SMALL, 20)), "auto_checkmail_interval": number(INT),
            **each("created_time last_login last_login_now", MOMENT), "logins_count": number(INT),
            **each("last_login_ip last_login_ip_now last_login_ua last_login_ua_now", NAME),
            "def_skin": varchar(default="Default"), "def_editor": ON, **each("layout save_mail", number(SHORT)),
            "def_timezone": number(SMALL), **each("def_time_fmt def_lang", NAME),
            "def_date_fmt": varchar(100, "MM/DD/YYYY"), "incoming_charset": varchar(30, "iso-8859-1"),
            "client_timezone": varchar(100, ""), **each("question_1 answer_1 question_2 answer_2 capa", NAME),
            "custom_fields": plain(TEXT), "mailbox_limit": number(BIG), "sip_enable": ON,
            **each("sip_impi sip_password twilio_number", EMPTY), "twilio_enable": ON, "twilio_default_number": FLAG,
            "files_enable": ON, "helpdesk_signature": EMPTY, "helpdesk_signature_enable": FLAG,
            **each("use_threads allow_autosave_in_drafts", ON),
            **each(
                "save_replied_messages_to_current_folder compose_plain_text_default desktop_notifications "
                "allow_change_input_direction allow_helpdesk_notifications enable_open_pgp autosign_outgoing_emails",
                FLAG,
            ),
            **each("email_notification password_reset_hash", EMPTY),
        },
        unique=("id_user",),
    ),
    "awm_domains": Spec(
        {
            "id_domain": NUMBERED, "id_tenant": number(INT), **each("name url", NAME), "user_quota": number(INT),
            "override_settings": FLAG, "mail_protocol": number(SHORT, 1), "mail_inc_host": NAME,
            "mail_inc_port": number(INT, 143), "mail_inc_ssl": FLAG, "mail_out_host": NAME,
            "mail_out_port": number(INT, 25), "mail_out_auth": number(SHORT, 1),
            **each("mail_out_login mail_out_pass", NAME), "mail_out_ssl": FLAG, "mail_out_method": number(SHORT, 1),
            "quota_mbytes_limit": number(UINT), **each("quota_usage_bytes quota_usage_messages", number(UBIG)),
            "allow_webmail": ON, "site_name": NAME,
            **each("allow_change_interface_settings allow_users_add_acounts allow_change_account_settings", FLAG),
            "allow_new_users_register": ON, "allow_open_pgp": FLAG, "def_user_timezone": number(INT),
            "def_user_timeformat": number(SHORT), "def_user_dateformat": varchar(100, "MM/DD/YYYY"),
            "msgs_per_page": number(SMALL, 20), **each("skin lang", NAME),
            **each("ext_imap_host ext_smtp_host ext_dav_host", EMPTY), "allow_contacts": ON,
            "contacts_per_page": number(SMALL, 20), "allow_calendar": ON, "cal_week_starts_on": number(SHORT),
            "cal_show_weekends": FLAG, "cal_workday_starts": number(SHORT, 9), "cal_workday_ends": number(SHORT, 18),
            "cal_show_workday": FLAG, "cal_default_tab": number(SHORT, 2), "layout": number(SHORT), "xlist": ON,
            "global_addr_book": number(SHORT), "check_interval": number(INT),
            **each("allow_registration allow_pass_reset", FLAG), **each("allow_files allow_helpdesk use_threads", ON),
            **each("is_internal disabled", FLAG), "default_tab": varchar(default="mailbox"),
            "is_default_for_tenant": FLAG, "collaboration": ON,
        }
    ),
    "awm_tenants": Spec(
        {
            "id_tenant": NUMBERED, "id_channel": number(INT), **each("disabled login_enabled", FLAG),
            **each("login email password description", NAME), "quota": number(INT), "files_usage_bytes": number(UBIG),
            **each("user_count_limit domain_count_limit", number(INT)), "capa": EMPTY,
            **each("allow_change_email allow_change_password", ON), "expared_timestamp": number(UINT),
            "pay_url": EMPTY, "is_trial": FLAG,
            **each("hd_admin_email_account hd_client_iframe_url hd_agent_iframe_url hd_site_name", EMPTY),
            "hd_style_allow": FLAG, "hd_style_image": EMPTY, "hd_style_text": plain(TEXT),
            **each("login_style_image app_style_image", EMPTY), "hd_facebook_allow": FLAG,
            **each("hd_facebook_id hd_facebook_secret", EMPTY), "hd_google_allow": FLAG,
            **each("hd_google_id hd_google_secret", EMPTY), "hd_twitter_allow": FLAG,
            **each("hd_twitter_id hd_twitter_secret", EMPTY), "hd_allow_fetcher": FLAG,
            **each("hd_fetcher_type hd_fetcher_timer", number(INT)), "social_facebook_allow": FLAG,
            **each("social_facebook_id social_facebook_secret", EMPTY), "social_google_allow": FLAG,
            **each("social_google_id social_google_secret social_google_api_key", EMPTY),
            "social_twitter_allow": FLAG, **each("social_twitter_id social_twitter_secret", EMPTY),
            "social_dropbox_allow": FLAG, **each("social_dropbox_secret social_dropbox_key", EMPTY),
            **each("sip_allow sip_allow_configuration", FLAG),
            **each("sip_realm sip_websocket_proxy_url sip_outbound_proxy_url sip_caller_id", EMPTY),
            **each("twilio_allow twilio_allow_configuration", FLAG),
            **each("twilio_phone_number twilio_account_sid twilio_auth_token twilio_app_sid", EMPTY),
            **each("calendar_notification_email_account invite_notification_email_account", EMPTY),
        }
    ),
    "awm_mailaliases": Spec(
        {"id": NUMBERED, "id_acct": number(INT, None), **each("alias_name alias_domain alias_to", EMPTY)}, ["id_acct"]
    ),
    "awm_mailforwards": Spec(
        {"id": NUMBERED, "id_acct": number(INT, None), **each("forward_name forward_domain forward_to", EMPTY)},
        ["id_acct"],
    ),
    "awm_mailinglists": Spec(
        {"id": NUMBERED, "id_acct": number(INT, None), **each("list_name list_to", EMPTY)}, ["id_acct"]
    ),
    "awm_account_quotas": _QUOTAS,
    "awm_domain_quotas": _QUOTAS,
    "awm_tenant_quotas": _QUOTAS,
    "awm_addr_book": Spec(
        {
            "id_addr": NUMBERED_BIG, **each("id_user id_domain id_tenant", number(INT)), "str_id": NAME,
            "type": number(SHORT), "type_id": varchar(100, ""), "deleted": FLAG,
            **each("date_created date_modified", MOMENT), "fullname": NAME, "view_email": EMPTY,
            "use_friendly_nm": ON, **each("firstname surname nickname skype", varchar(100, "")), "facebook": EMPTY,
            **each("h_email h_street h_web b_email b_street b_web other_email notes", NAME),
            **each("h_city h_state h_country b_company b_city b_state b_country b_department b_office", varchar(200)),
            **each("h_zip b_zip", varchar(10)), **each("h_phone h_fax h_mobile b_phone b_fax", varchar(50)),
            "b_job_title": varchar(100), "primary_email": number(SHORT, None),
            **each("birthday_day birthday_month", number(SHORT)), "birthday_year": number(SMALL),
            "id_addr_prev": number(BIG, None), "tmp": FLAG, "use_frequency": number(INT, 1), "auto_create": FLAG,
            "etag": varchar(100, ""), **each("shared_to_all hide_in_gab", FLAG),
        },
        ["id_user", ("id_user", "deleted"), "use_frequency", "view_email"],
    ),
}  # fmt: skip

ALL: Mapping[str, Spec] = {**WEBMAIL, **DATA}
"""Every table of the product."""

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

    With `live`, only tables and columns that the server has; without, the complete schema with its indexes.
    """
    metadata = MetaData()
    for name, spec in ALL.items():
        _table(metadata, f"{prefix}{name}", spec, None if live is None else live.get(f"{prefix}{name}", {}))
    if live is None or all(name in live for name in LEDGER):
        define_own_tables(metadata, live)
    return metadata


def _table(metadata: MetaData, name: str, spec: Spec, live: Mapping[str, object] | None) -> None:
    if live is not None:
        present = [make(column) for column, make in spec.columns.items() if column in live]
        if present:
            Table(name, metadata, *present)
        return
    # Not utf8mb4: what the real tables cannot hold must not go into these either.
    options: dict[str, Any] = {f"{dialect}_{key}": value for dialect in MYSQL for key, value in _OPTIONS.items()}
    parts: list[Any] = [make(column) for column, make in spec.columns.items()]
    if spec.unique:
        parts.append(UniqueConstraint(*spec.unique))
    table = Table(name, metadata, *parts, **options)
    for columns in spec.indexes:
        some = (columns,) if isinstance(columns, str) else columns
        Index("_".join((name, *sorted(some), "INDEX")).upper(), *(table.c[column] for column in some))


_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb3", "collate": "utf8mb3_general_ci"}
