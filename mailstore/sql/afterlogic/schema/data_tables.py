"""What the webmail keeps for its users and beside them: tables of which this driver reads and writes little else than keys.

They are complete nevertheless, so that a schema made here is the product's, and what stands in them can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailstore.sql.afterlogic.schema.columns import (
    BIG,
    BIT,
    EMPTY,
    FLAG,
    INT,
    LBLOB,
    LTEXT,
    MOMENT,
    MTEXT,
    NAME,
    NUMBERED,
    NUMBERED_BIG,
    NUMBERED_UNSIGNED,
    ON,
    REQUIRED,
    SHORT,
    SMALL,
    TEXT,
    TINY,
    UINT,
    Spec,
    each,
    number,
    plain,
    varchar,
)  # fmt: skip

__all__ = ["DATA"]

DATA: Mapping[str, Spec] = {
    "awm_filters": Spec(
        {
            "id_filter": NUMBERED, "id_acct": number(INT), **each("field condition", number(SHORT)), "filter": NAME,
            "action": number(SHORT), "id_folder": number(BIG), "applied": ON,
        },
        [("id_acct", "id_folder")],
    ),
    "awm_folders": Spec(
        {
            "id_folder": NUMBERED_BIG, "id_parent": number(BIG), "id_acct": number(INT), "type": number(SMALL),
            **each("name full_path", NAME), "sync_type": number(SHORT), "hide": FLAG, "fld_order": number(SMALL, 1),
            "flags": EMPTY,
        },
        [("id_acct", "id_folder"), ("id_acct", "id_parent")],
    ),
    "awm_folders_tree": Spec(
        {
            "id": NUMBERED, **each("id_folder id_parent", number(BIG)), "folder_level": number(SHORT),
        },
        ["id_folder", ("id_folder", "id_parent")],
    ),
    "awm_system_folders": Spec(
        {
            "id": NUMBERED, **each("id_acct id_user", number(INT)), "folder_full_name": NAME,
            "system_type": number(SHORT),
        },
        ["id_acct"],
    ),
    "awm_folders_order": Spec(
        {
            "id": NUMBERED, "id_acct": number(INT), "folders_order": plain(TEXT),
        },
        ["id_acct"],
    ),
    "awm_folders_order_names": Spec(
        {
            "id_acct": number(INT), **each("real_name order_name", EMPTY),
        },
        ["id_acct"],
    ),
    "awm_messages": Spec(
        {
            "id": NUMBERED_BIG, "id_msg": number(BIG), "id_acct": number(INT),
            **each("id_folder_srv id_folder_db", number(BIG)), "str_uid": NAME, "int_uid": number(BIG),
            **each("from_msg to_msg cc_msg bcc_msg subject", NAME), "msg_date": MOMENT,
            "attachments": FLAG, "size": number(BIG), **each("seen flagged", FLAG), "priority": number(SHORT),
            **each("downloaded x_spam rtl deleted", FLAG), "is_full": ON,
            **each("replied forwarded", number(BIT, None)), "flags": number(INT, None), "body_text": plain(LTEXT),
            "grayed": FLAG, "charset": number(INT, -1), "sensitivity": number(SHORT),
        },
        [("id_acct", "id_folder_db"), ("id_acct", "id_folder_db", "seen")],
    ),
    "awm_messages_body": Spec(
        {
            "id": NUMBERED_BIG, "id_msg": number(BIG), "id_acct": number(INT), "msg": plain(LBLOB),
        },
        unique=("id_acct", "id_msg"),
    ),
    "awm_columns": Spec(
        {
            "id": NUMBERED, **each("id_column id_user column_value", number(INT)),
        },
        ["id_user"],
    ),
    "awm_reads": Spec(
        {
            "id_read": NUMBERED_BIG, "id_acct": number(INT), "str_uid": NAME, "tmp": FLAG,
        },
        ["id_acct"],
    ),
    "awm_senders": Spec(
        {
            "id": NUMBERED, "id_user": number(INT), "email": NAME, "safety": number(SHORT),
        },
        ["id_user"],
    ),
    "awm_tenant_socials": Spec(
        {
            "id": NUMBERED, "id_tenant": number(INT, None), "social_allow": FLAG,
            **each("social_name social_id social_secret social_api_key social_scopes", NAME),
        },
    ),
    "awm_channels": Spec({"id_channel": NUMBERED, **each("login password description", NAME)}),
    "awm_fetchers": Spec(
        {
            "id_fetcher": NUMBERED, **each("id_acct id_user id_domain id_tenant", number(INT)), "enabled": ON,
            "locked": FLAG, **each("mail_check_interval mail_check_lasttime", number(INT)), "leave_messages": ON,
            **each("frienly_name email", EMPTY), "signature": plain(MTEXT), "signature_type": number(SHORT, 1),
            "signature_opt": number(SHORT), "inc_host": EMPTY, "inc_port": number(INT, 110),
            **each("inc_login inc_password", EMPTY), "inc_security": number(SHORT), "out_enabled": ON,
            "out_host": EMPTY, "out_port": number(INT, 110), "out_auth": ON, "out_security": number(SHORT),
            "dest_folder": EMPTY,
        },
    ),
    "awm_subscriptions": Spec(
        {
            "id_subscription": NUMBERED, "id_tenant": number(INT), **each("name description capa", EMPTY),
            "limit": number(INT),
        },
    ),
    "awm_identities": Spec(
        {
            "id_identity": NUMBERED, **each("id_user id_acct", number(INT)), "def_identity": FLAG, "enabled": ON,
            **each("email friendly_nm", EMPTY), "signature": plain(MTEXT), "signature_type": number(SHORT, 1),
            "use_signature": FLAG,
        },
    ),
    "awm_min": Spec(
        {
            "hash_id": varchar(32, ""), "hash": varchar(20, ""), "data": plain(TEXT),
        },
        ["hash"],
    ),
    "awm_addr_groups": Spec(
        {
            "id_group": NUMBERED, "id_user": number(INT), "group_nm": NAME, "group_str_id": varchar(100),
            "use_frequency": number(INT), "email": NAME, "company": varchar(200), "street": NAME,
            **each("city state", varchar(200)), "zip": varchar(10), "country": varchar(200),
            **each("phone fax", varchar(50)), "web": NAME, "organization": FLAG,
        },
        ["id_user", "use_frequency"],
    ),
    "awm_addr_groups_contacts": Spec({"id_addr": number(BIG), "id_group": number(INT)}),
    "awm_addr_groups_events": Spec(
        {
            "id": number(BIG), "id_group": number(INT), **each("id_calendar id_event", varchar(250)),
        },
    ),
    "acal_appointments": Spec(
        {
            "id_appointment": NUMBERED, **each("id_event id_user", number(INT)), "email": NAME,
            **each("access_type status", number(SHORT)), "hash": varchar(32),
        },
    ),
    "acal_awm_fnbl_runs": Spec({"id_run": NUMBERED, "run_date": MOMENT}),
    "acal_calendars": Spec(
        {
            "calendar_id": NUMBERED, "calendar_str_id": NAME, "user_id": number(INT),
            "calendar_name": varchar(100, ""), "calendar_description": plain(TEXT), "calendar_color": number(INT),
            "calendar_active": ON,
        },
    ),
    "acal_cron_runs": Spec({"id_run": NUMBERED_BIG, **each("run_date latest_date", MOMENT)}),
    "acal_eventrepeats": Spec(
        {
            "id_repeat": NUMBERED, "id_event": number(INT, None), "repeat_period": FLAG, "repeat_order": ON,
            "repeat_num": number(INT), "repeat_until": MOMENT, **each("sun mon tue wed thu fri sat", FLAG),
            "week_number": number(BIT, None), **each("repeat_end excluded", FLAG),
        },
    ),
    "acal_events": Spec(
        {
            "event_id": NUMBERED, "event_str_id": NAME, "calendar_id": number(INT, None),
            **each("event_timefrom event_timetill", MOMENT), "event_allday": FLAG,
            "event_name": varchar(100, ""), "event_text": plain(TEXT), "event_priority": number(SHORT, None),
            "event_repeats": FLAG, "event_last_modified": MOMENT, "event_owner_email": EMPTY,
            "event_appointment_access": number(SHORT), "event_deleted": FLAG,
        },
    ),
    "acal_exclusions": Spec(
        {
            "id_exclusion": NUMBERED, **each("id_event id_calendar id_repeat", number(INT, None)),
            **each("id_recurrence_date event_timefrom event_timetill", MOMENT), "event_name": varchar(100),
            "event_text": plain(TEXT), "event_allday": FLAG, "event_last_modified": MOMENT,
            "is_deleted": FLAG,
        },
    ),
    "acal_publications": Spec(
        {
            "id_publication": NUMBERED, **each("id_user id_calendar", number(INT, None)), "str_md5": varchar(32),
            "int_access_level": number(SHORT, 1), "access_type": number(SHORT),
        },
    ),
    "acal_reminders": Spec(
        {
            "id_reminder": NUMBERED, **each("id_event id_user", number(INT, None)), "notice_type": number(SHORT),
            **each("remind_offset sent", number(INT)),
        },
    ),
    "acal_sharing": Spec(
        {
            "id_share": NUMBERED, **each("id_user id_calendar id_to_user", number(INT, None)), "str_to_email": EMPTY,
            "int_access_level": number(SHORT, 2), "calendar_active": ON,
        },
    ),
    "acal_users_data": Spec(
        {
            "settings_id": NUMBERED, "user_id": number(INT), "showweekends": FLAG, "workdaystarts": number(SHORT, 9),
            "workdayends": number(SHORT, 17), "showworkday": FLAG, "weekstartson": number(SHORT),
            "defaulttab": number(SHORT, 2),
        },
        ["user_id"],
    ),
    "adav_addressbooks": Spec(
        {
            "id": NUMBERED_UNSIGNED, **each("principaluri displayname", NAME), "uri": varchar(200),
            "description": plain(TEXT), "ctag": number(UINT, 1),
        },
    ),
    "adav_calendars": Spec(
        {
            "id": NUMBERED_UNSIGNED, "principaluri": NAME, "displayname": varchar(100), "uri": NAME,
            "ctag": number(UINT), "description": plain(TEXT), "calendarorder": number(UINT),
            "calendarcolor": varchar(10), "timezone": plain(TEXT), "components": varchar(20), "transparent": FLAG,
        },
    ),
    "adav_cache": Spec(
        {
            "id": NUMBERED, **each("user calendaruri", NAME), "type": number(SHORT, None),
            **each("time starttime", number(INT, None)), "eventid": NAME,
        },
    ),
    "adav_calendarobjects": Spec(
        {
            "id": NUMBERED_UNSIGNED, "calendardata": plain(MTEXT), "uri": NAME, "calendarid": number(UINT, REQUIRED),
            "lastmodified": number(INT, None), "etag": varchar(32, ""), "size": number(UINT),
            "componenttype": varchar(8, ""), **each("firstoccurence lastoccurence", number(UINT, None)),
        },
    ),
    "adav_cards": Spec(
        {
            "id": NUMBERED_UNSIGNED, "addressbookid": number(UINT, REQUIRED), "carddata": plain(MTEXT), "uri": NAME,
            "lastmodified": number(UINT, None),
        },
        ["addressbookid"],
    ),
    "adav_calendarshares": Spec(
        {
            "id": NUMBERED_UNSIGNED, **each("calendarid member", number(UINT, None)), "status": number(TINY, None),
            "readonly": FLAG, "summary": varchar(150), "displayname": varchar(100), "color": varchar(10),
            "principaluri": NAME,
        },
    ),
    "adav_locks": Spec(
        {
            "id": NUMBERED_UNSIGNED, "owner": varchar(100), "timeout": number(UINT, None),
            "created": number(INT, None), "token": varchar(100), **each("scope depth", number(SHORT, None)),
            "uri": plain(TEXT),
        },
    ),
    "adav_groupmembers": Spec(
        {
            "id": NUMBERED_UNSIGNED, **each("principal_id member_id", number(UINT, REQUIRED)),
        },
        unique=("principal_id", "member_id"),
    ),
    "adav_principals": Spec(
        {
            "id": NUMBERED_UNSIGNED, "uri": varchar(255, required=True), **each("email vcardurl displayname", varchar(80)),
        },
        unique=("uri",),
    ),
    "adav_reminders": Spec(
        {
            "id": NUMBERED_UNSIGNED, "user": varchar(100, required=True), **each("calendaruri eventid", NAME),
            **each("time starttime", number(INT, None)), "allday": FLAG,
        },
    ),
    "ahd_users": Spec(
        {
            "id_helpdesk_user": NUMBERED_UNSIGNED, **each("id_system_user id_tenant", number(INT)),
            **each("is_agent activated", FLAG), "activate_hash": EMPTY, "blocked": FLAG,
            **each("email notification_email name social_id social_type", EMPTY), "language": varchar(100, "English"),
            "date_format": varchar(50, ""), "time_format": number(SMALL),
            **each("password_hash password_salt", EMPTY), "mail_notifications": FLAG, "created": MOMENT,
            "signature": EMPTY, "signature_enable": FLAG,
        },
    ),
    "ahd_fetcher": Spec({"id_tenant": number(INT), "email": EMPTY, "last_uid": number(INT)}),
    "ahd_threads": Spec(
        {
            "id_helpdesk_thread": NUMBERED_UNSIGNED, "str_helpdesk_hash": varchar(50, ""),
            **each("id_tenant id_owner post_count last_post_id last_post_owner_id", number(INT)),
            "type": number(SMALL), **each("has_attachments archived notificated", FLAG), "subject": EMPTY,
            **each("created updated", MOMENT),
        },
    ),
    "ahd_attachments": Spec(
        {
            "id_helpdesk_attachment": NUMBERED_UNSIGNED,
            **each("id_helpdesk_post id_helpdesk_thread id_tenant id_owner", number(INT, None)),
            "created": MOMENT, "size_in_bytes": number(UINT, None), "file_name": NAME, "hash": plain(TEXT),
        },
    ),
    "ahd_posts": Spec(
        {
            "id_helpdesk_post": NUMBERED_UNSIGNED, **each("id_helpdesk_thread id_tenant id_owner", number(INT, None)),
            **each("type system_type", number(SMALL)), "text": plain(TEXT), "deleted": FLAG,
            "created": MOMENT,
        },
    ),
    "ahd_reads": Spec(
        {
            "id_tenant": number(INT), **each("id_owner id_helpdesk_thread last_post_id", number(INT, None)),
        },
    ),
    "ahd_online": Spec(
        {
            **each("id_helpdesk_thread id_helpdesk_user id_tenant", number(INT)), **each("name email", EMPTY),
            "ping_time": number(INT),
        },
    ),
    "awm_social": Spec(
        {
            "id": NUMBERED, "id_acct": number(INT), "id_social": NAME, "type": number(INT),
            **each("type_str name email", NAME), "access_token": plain(TEXT), **each("refresh_token scopes", NAME),
            "disabled": FLAG,
        },
        ["id_acct"],
    ),
    "twofa_accounts": Spec(
        {
            "id": NUMBERED, "account_id": number(INT, None), "auth_type": varchar(255, "authy"),
            "data_type": number(INT, 1), "data_value": NAME,
        },
    ),
}  # fmt: skip
