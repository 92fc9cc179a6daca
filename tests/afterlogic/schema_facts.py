"""What the product itself says about its tables, version by version, as far as 7.5; nothing here is made from the driver.

A line is a table: ``column:KIND=default``, its primary key, indexes and unique keys. A kind without a default may be NULL,
with ``!`` it may not; a number after ``VC`` is the length, 255 if there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["KINDS", "NAMES", "VERSIONS", "Fact", "TableFacts", "facts_of", "statements"]

Engine: TypeAlias = Literal["mysql", "postgresql", "sqlite"]

KINDS: dict[str, tuple[str, str, str]] = {
    "AI": ("int", "integer", "INTEGER"), "AIB": ("bigint", "bigint", "INTEGER"),
    "AIU": ("int unsigned", "integer", "INTEGER"),
    "BIT": ("tinyint", "smallint", "INTEGER"), "TINY": ("tinyint", "smallint", "INTEGER"),
    "SHORT": ("tinyint", "smallint", "INTEGER"), "SMALL": ("smallint", "integer", "INTEGER"),
    "INT": ("int", "integer", "INTEGER"), "UINT": ("int unsigned", "bigint", "INTEGER"),
    "BIG": ("bigint", "bigint", "INTEGER"), "UBIG": ("bigint unsigned", "bigint", "INTEGER"),
    "VC": ("varchar", "character varying", "TEXT"), "TEXT": ("text", "text", "TEXT"),
    "MTEXT": ("mediumtext", "text", "TEXT"), "LTEXT": ("longtext", "text", "TEXT"), "LBLOB": ("longblob", "bytea", "BLOB"),
    "DT": ("datetime", "timestamp without time zone", "DATETIME"),
}  # fmt: skip
"""What each kind is on MySQL, PostgreSQL and SQLite, in the engine's own words."""
_NUMBERED = ("AI", "AIB", "AIU")


class Fact(NamedTuple):
    """A column: its kind, how long a text may be, its default if it has one, and whether it may be NULL."""

    kind: str
    length: int | None
    default: str | None
    nullable: bool


@dataclass(frozen=True)
class TableFacts:
    """A table of the product."""

    columns: dict[str, Fact]
    primary: tuple[str, ...]
    indexes: frozenset[tuple[str, ...]]
    unique: frozenset[tuple[str, ...]]


_CURRENT = """
a_users id_user:AI deleted:BIT=0 primary(id_user)
awm_accounts id_acct:AI id_user:INT=0 id_domain:INT=0 id_tenant:INT=0 def_acct:BIT=0 deleted:BIT=0 quota:UINT=0
    email:VC= friendly_nm:VC mail_protocol:SHORT=1 mail_inc_host:VC mail_inc_port:INT=143 mail_inc_login:VC
    mail_inc_pass:VC mail_inc_ssl:BIT=0 mail_out_host:VC mail_out_port:INT=25 mail_out_login:VC mail_out_pass:VC
    mail_out_auth:SHORT=0 mail_out_ssl:BIT=0 signature:MTEXT signature_type:SHORT=1 signature_opt:SHORT=0
    mailbox_size:BIG=0 mailing_list:BIT=0 hide_in_gab:BIT=0 custom_fields:TEXT is_password_specified:BIT=1
    allow_mail:BIT=1 primary(id_acct) index(id_user) index(id_acct,id_user) index(mail_inc_login) index(email)
awm_settings id_setting:AI id_user:INT=0 id_subscription:INT=0 id_helpdesk_user:INT=0 msgs_per_page:SMALL=20
    contacts_per_page:SMALL=20 created_time:DT last_login:DT last_login_now:DT logins_count:INT=0 last_login_ip:VC
    last_login_ip_now:VC last_login_ua:VC last_login_ua_now:VC auto_checkmail_interval:INT=0 def_skin:VC=Default
    def_editor:BIT=1 layout:SHORT=0 save_mail:SHORT=0 def_timezone:SMALL=0 def_time_fmt:VC def_lang:VC
    def_date_fmt:VC100=MM/DD/YYYY mailbox_limit:BIG=0 incoming_charset:VC30=iso-8859-1 question_1:VC answer_1:VC
    question_2:VC answer_2:VC sip_enable:BIT=1 sip_impi:VC= sip_password:VC= twilio_number:VC= twilio_enable:BIT=1
    twilio_default_number:BIT=0 files_enable:BIT=1 helpdesk_signature:VC= helpdesk_signature_enable:BIT=0
    use_threads:BIT=1 save_replied_messages_to_current_folder:BIT=0 compose_plain_text_default:BIT=0
    desktop_notifications:BIT=0 allow_change_input_direction:BIT=0 allow_helpdesk_notifications:BIT=0
    enable_open_pgp:BIT=0 allow_autosave_in_drafts:BIT=1 autosign_outgoing_emails:BIT=0 capa:VC client_timezone:VC100=
    custom_fields:TEXT email_notification:VC= password_reset_hash:VC= primary(id_setting) unique(id_user)
awm_filters id_filter:AI id_acct:INT=0 field:SHORT=0 condition:SHORT=0 filter:VC action:SHORT=0 id_folder:BIG=0
    applied:BIT=1 primary(id_filter) index(id_acct,id_folder)
awm_folders id_folder:AIB id_parent:BIG=0 id_acct:INT=0 type:SMALL=0 name:VC full_path:VC sync_type:SHORT=0 hide:BIT=0
    fld_order:SMALL=1 flags:VC= primary(id_folder) index(id_acct,id_folder) index(id_acct,id_parent)
awm_folders_tree id:AI id_folder:BIG=0 id_parent:BIG=0 folder_level:SHORT=0 primary(id) index(id_folder)
    index(id_folder,id_parent)
awm_system_folders id:AI id_acct:INT=0 id_user:INT=0 folder_full_name:VC system_type:SHORT=0 primary(id) index(id_acct)
awm_folders_order id:AI id_acct:INT=0 folders_order:TEXT primary(id) index(id_acct)
awm_folders_order_names id_acct:INT=0 real_name:VC= order_name:VC= index(id_acct)
awm_messages id:AIB id_msg:BIG=0 id_acct:INT=0 id_folder_srv:BIG=0 id_folder_db:BIG=0 str_uid:VC int_uid:BIG=0
    from_msg:VC to_msg:VC cc_msg:VC bcc_msg:VC subject:VC msg_date:DT attachments:BIT=0 size:BIG=0 seen:BIT=0
    flagged:BIT=0 priority:SHORT=0 downloaded:BIT=0 x_spam:BIT=0 rtl:BIT=0 deleted:BIT=0 is_full:BIT=1 replied:BIT
    forwarded:BIT flags:INT body_text:LTEXT grayed:BIT=0 charset:INT=-1 sensitivity:SHORT=0 primary(id)
    index(id_acct,id_folder_db) index(id_acct,id_folder_db,seen)
awm_messages_body id:AIB id_msg:BIG=0 id_acct:INT=0 msg:LBLOB primary(id) unique(id_acct,id_msg)
awm_columns id:AI id_column:INT=0 id_user:INT=0 column_value:INT=0 primary(id) index(id_user)
awm_reads id_read:AIB id_acct:INT=0 str_uid:VC tmp:BIT=0 primary(id_read) index(id_acct)
awm_senders id:AI id_user:INT=0 email:VC safety:SHORT=0 primary(id) index(id_user)
awm_tenants id_tenant:AI id_channel:INT=0 disabled:BIT=0 login_enabled:BIT=0 login:VC email:VC password:VC
    description:VC quota:INT=0 files_usage_bytes:UBIG=0 user_count_limit:INT=0 domain_count_limit:INT=0 capa:VC=
    allow_change_email:BIT=1 allow_change_password:BIT=1 expared_timestamp:UINT=0 pay_url:VC= is_trial:BIT=0
    hd_admin_email_account:VC= hd_client_iframe_url:VC= hd_agent_iframe_url:VC= hd_site_name:VC= hd_style_allow:BIT=0
    hd_style_image:VC= hd_style_text:TEXT login_style_image:VC= app_style_image:VC= hd_facebook_allow:BIT=0
    hd_facebook_id:VC= hd_facebook_secret:VC= hd_google_allow:BIT=0 hd_google_id:VC= hd_google_secret:VC=
    hd_twitter_allow:BIT=0 hd_twitter_id:VC= hd_twitter_secret:VC= hd_allow_fetcher:BIT=0 hd_fetcher_type:INT=0
    hd_fetcher_timer:INT=0 social_facebook_allow:BIT=0 social_facebook_id:VC= social_facebook_secret:VC=
    social_google_allow:BIT=0 social_google_id:VC= social_google_secret:VC= social_google_api_key:VC=
    social_twitter_allow:BIT=0 social_twitter_id:VC= social_twitter_secret:VC= social_dropbox_allow:BIT=0
    social_dropbox_secret:VC= social_dropbox_key:VC= sip_allow:BIT=0 sip_allow_configuration:BIT=0 sip_realm:VC=
    sip_websocket_proxy_url:VC= sip_outbound_proxy_url:VC= sip_caller_id:VC= twilio_allow:BIT=0
    twilio_allow_configuration:BIT=0 twilio_phone_number:VC= twilio_account_sid:VC= twilio_auth_token:VC=
    twilio_app_sid:VC= calendar_notification_email_account:VC= invite_notification_email_account:VC= primary(id_tenant)
awm_tenant_socials id:AI id_tenant:INT social_allow:BIT=0 social_name:VC social_id:VC social_secret:VC social_api_key:VC
    social_scopes:VC primary(id)
awm_channels id_channel:AI login:VC password:VC description:VC primary(id_channel)
awm_fetchers id_fetcher:AI id_acct:INT=0 id_user:INT=0 id_domain:INT=0 id_tenant:INT=0 enabled:BIT=1 locked:BIT=0
    mail_check_interval:INT=0 mail_check_lasttime:INT=0 leave_messages:BIT=1 frienly_name:VC= email:VC= signature:MTEXT
    signature_type:SHORT=1 signature_opt:SHORT=0 inc_host:VC= inc_port:INT=110 inc_login:VC= inc_password:VC=
    inc_security:SHORT=0 out_enabled:BIT=1 out_host:VC= out_port:INT=110 out_auth:BIT=1 out_security:SHORT=0
    dest_folder:VC= primary(id_fetcher)
awm_subscriptions id_subscription:AI id_tenant:INT=0 name:VC= description:VC= capa:VC= limit:INT=0
    primary(id_subscription)
awm_identities id_identity:AI id_user:INT=0 id_acct:INT=0 def_identity:BIT=0 enabled:BIT=1 email:VC= friendly_nm:VC=
    signature:MTEXT signature_type:SHORT=1 use_signature:BIT=0 primary(id_identity)
awm_mailaliases id:AI id_acct:INT alias_name:VC= alias_domain:VC= alias_to:VC= primary(id) index(id_acct)
awm_min hash_id:VC32= hash:VC20= data:TEXT index(hash)
awm_mailinglists id:AI id_acct:INT list_name:VC= list_to:VC= primary(id) index(id_acct)
awm_mailforwards id:AI id_acct:INT forward_name:VC= forward_domain:VC= forward_to:VC= primary(id) index(id_acct)
awm_account_quotas name:VC100= quota_usage_messages:UBIG=0 quota_usage_bytes:UBIG=0 index(name)
awm_domain_quotas name:VC100= quota_usage_messages:UBIG=0 quota_usage_bytes:UBIG=0 index(name)
awm_tenant_quotas name:VC100= quota_usage_messages:UBIG=0 quota_usage_bytes:UBIG=0 index(name)
awm_domains id_domain:AI id_tenant:INT=0 name:VC url:VC user_quota:INT=0 override_settings:BIT=0 mail_protocol:SHORT=1
    mail_inc_host:VC mail_inc_port:INT=143 mail_inc_ssl:BIT=0 mail_out_host:VC mail_out_port:INT=25
    mail_out_auth:SHORT=1 mail_out_login:VC mail_out_pass:VC mail_out_ssl:BIT=0 mail_out_method:SHORT=1
    quota_mbytes_limit:UINT=0 quota_usage_bytes:UBIG=0 quota_usage_messages:UBIG=0 allow_webmail:BIT=1 site_name:VC
    allow_change_interface_settings:BIT=0 allow_users_add_acounts:BIT=0 allow_change_account_settings:BIT=0
    allow_new_users_register:BIT=1 allow_open_pgp:BIT=0 def_user_timezone:INT=0 def_user_timeformat:SHORT=0
    def_user_dateformat:VC100=MM/DD/YYYY msgs_per_page:SMALL=20 skin:VC lang:VC ext_imap_host:VC= ext_smtp_host:VC=
    ext_dav_host:VC= allow_contacts:BIT=1 contacts_per_page:SMALL=20 allow_calendar:BIT=1 cal_week_starts_on:SHORT=0
    cal_show_weekends:BIT=0 cal_workday_starts:SHORT=9 cal_workday_ends:SHORT=18 cal_show_workday:BIT=0
    cal_default_tab:SHORT=2 layout:SHORT=0 xlist:BIT=1 global_addr_book:SHORT=0 check_interval:INT=0
    allow_registration:BIT=0 allow_pass_reset:BIT=0 allow_files:BIT=1 allow_helpdesk:BIT=1 use_threads:BIT=1
    is_internal:BIT=0 disabled:BIT=0 default_tab:VC=mailbox is_default_for_tenant:BIT=0 collaboration:BIT=1
    primary(id_domain)
awm_addr_book id_addr:AIB id_user:INT=0 id_domain:INT=0 id_tenant:INT=0 str_id:VC type:SHORT=0 type_id:VC100=
    deleted:BIT=0 date_created:DT date_modified:DT fullname:VC view_email:VC= use_friendly_nm:BIT=1 firstname:VC100=
    surname:VC100= nickname:VC100= skype:VC100= facebook:VC= h_email:VC h_street:VC h_city:VC200 h_state:VC200
    h_zip:VC10 h_country:VC200 h_phone:VC50 h_fax:VC50 h_mobile:VC50 h_web:VC b_email:VC b_company:VC200 b_street:VC
    b_city:VC200 b_state:VC200 b_zip:VC10 b_country:VC200 b_job_title:VC100 b_department:VC200 b_office:VC200
    b_phone:VC50 b_fax:VC50 b_web:VC other_email:VC primary_email:SHORT birthday_day:SHORT=0 birthday_month:SHORT=0
    birthday_year:SMALL=0 id_addr_prev:BIG tmp:BIT=0 use_frequency:INT=1 auto_create:BIT=0 notes:VC etag:VC100=
    shared_to_all:BIT=0 hide_in_gab:BIT=0 primary(id_addr) index(id_user) index(id_user,deleted) index(use_frequency)
    index(view_email)
awm_addr_groups id_group:AI id_user:INT=0 group_nm:VC group_str_id:VC100 use_frequency:INT=0 email:VC company:VC200
    street:VC city:VC200 state:VC200 zip:VC10 country:VC200 phone:VC50 fax:VC50 web:VC organization:BIT=0
    primary(id_group) index(id_user) index(use_frequency)
awm_addr_groups_contacts id_addr:BIG=0 id_group:INT=0
awm_addr_groups_events id:BIG=0 id_group:INT=0 id_calendar:VC250 id_event:VC250
acal_appointments id_appointment:AI id_event:INT=0 id_user:INT=0 email:VC access_type:SHORT=0 status:SHORT=0 hash:VC32
    primary(id_appointment)
acal_awm_fnbl_runs id_run:AI run_date:DT primary(id_run)
acal_calendars calendar_id:AI calendar_str_id:VC user_id:INT=0 calendar_name:VC100= calendar_description:TEXT
    calendar_color:INT=0 calendar_active:BIT=1 primary(calendar_id)
acal_cron_runs id_run:AIB run_date:DT latest_date:DT primary(id_run)
acal_eventrepeats id_repeat:AI id_event:INT repeat_period:BIT=0 repeat_order:BIT=1 repeat_num:INT=0 repeat_until:DT
    sun:BIT=0 mon:BIT=0 tue:BIT=0 wed:BIT=0 thu:BIT=0 fri:BIT=0 sat:BIT=0 week_number:BIT repeat_end:BIT=0
    excluded:BIT=0 primary(id_repeat)
acal_events event_id:AI event_str_id:VC calendar_id:INT event_timefrom:DT event_timetill:DT event_allday:BIT=0
    event_name:VC100= event_text:TEXT event_priority:SHORT event_repeats:BIT=0 event_last_modified:DT
    event_owner_email:VC= event_appointment_access:SHORT=0 event_deleted:BIT=0 primary(event_id)
acal_exclusions id_exclusion:AI id_event:INT id_calendar:INT id_repeat:INT id_recurrence_date:DT event_timefrom:DT
    event_timetill:DT event_name:VC100 event_text:TEXT event_allday:BIT=0 event_last_modified:DT is_deleted:BIT=0
    primary(id_exclusion)
acal_publications id_publication:AI id_user:INT id_calendar:INT str_md5:VC32 int_access_level:SHORT=1
    access_type:SHORT=0 primary(id_publication)
acal_reminders id_reminder:AI id_event:INT id_user:INT notice_type:SHORT=0 remind_offset:INT=0 sent:INT=0
    primary(id_reminder)
acal_sharing id_share:AI id_user:INT id_calendar:INT id_to_user:INT str_to_email:VC= int_access_level:SHORT=2
    calendar_active:BIT=1 primary(id_share)
acal_users_data settings_id:AI user_id:INT=0 showweekends:BIT=0 workdaystarts:SHORT=9 workdayends:SHORT=17
    showworkday:BIT=0 weekstartson:SHORT=0 defaulttab:SHORT=2 primary(settings_id) index(user_id)
adav_addressbooks id:AIU principaluri:VC displayname:VC uri:VC200 description:TEXT ctag:UINT=1 primary(id)
adav_calendars id:AIU principaluri:VC displayname:VC100 uri:VC ctag:UINT=0 description:TEXT calendarorder:UINT=0
    calendarcolor:VC10 timezone:TEXT components:VC20 transparent:BIT=0 primary(id)
adav_cache id:AI user:VC calendaruri:VC type:SHORT time:INT starttime:INT eventid:VC primary(id)
adav_calendarobjects id:AIU calendardata:MTEXT uri:VC calendarid:UINT! lastmodified:INT etag:VC32= size:UINT=0
    componenttype:VC8= firstoccurence:UINT lastoccurence:UINT primary(id)
adav_cards id:AIU addressbookid:UINT! carddata:MTEXT uri:VC lastmodified:UINT primary(id) index(addressbookid)
adav_calendarshares id:AIU calendarid:UINT member:UINT status:TINY readonly:BIT=0 summary:VC150 displayname:VC100
    color:VC10 principaluri:VC primary(id)
adav_locks id:AIU owner:VC100 timeout:UINT created:INT token:VC100 scope:SHORT depth:SHORT uri:TEXT primary(id)
adav_groupmembers id:AIU principal_id:UINT! member_id:UINT! primary(id) unique(principal_id,member_id)
adav_principals id:AIU uri:VC! email:VC80 vcardurl:VC80 displayname:VC80 primary(id) unique(uri)
adav_reminders id:AIU user:VC100! calendaruri:VC eventid:VC time:INT starttime:INT allday:BIT=0 primary(id)
ahd_users id_helpdesk_user:AIU id_system_user:INT=0 id_tenant:INT=0 is_agent:BIT=0 activated:BIT=0 activate_hash:VC=
    blocked:BIT=0 email:VC= notification_email:VC= name:VC= social_id:VC= social_type:VC= language:VC100=English
    date_format:VC50= time_format:SMALL=0 password_hash:VC= password_salt:VC= mail_notifications:BIT=0 created:DT
    signature:VC= signature_enable:BIT=0 primary(id_helpdesk_user)
ahd_fetcher id_tenant:INT=0 email:VC= last_uid:INT=0
ahd_threads id_helpdesk_thread:AIU str_helpdesk_hash:VC50= id_tenant:INT=0 id_owner:INT=0 post_count:INT=0
    last_post_id:INT=0 last_post_owner_id:INT=0 type:SMALL=0 has_attachments:BIT=0 archived:BIT=0 notificated:BIT=0
    subject:VC= created:DT updated:DT primary(id_helpdesk_thread)
ahd_attachments id_helpdesk_attachment:AIU id_helpdesk_post:INT id_helpdesk_thread:INT id_tenant:INT id_owner:INT
    created:DT size_in_bytes:UINT file_name:VC hash:TEXT primary(id_helpdesk_attachment)
ahd_posts id_helpdesk_post:AIU id_helpdesk_thread:INT id_tenant:INT id_owner:INT type:SMALL=0 system_type:SMALL=0
    text:TEXT deleted:BIT=0 created:DT primary(id_helpdesk_post)
ahd_reads id_tenant:INT=0 id_owner:INT id_helpdesk_thread:INT last_post_id:INT
ahd_online id_helpdesk_thread:INT=0 id_helpdesk_user:INT=0 id_tenant:INT=0 name:VC= email:VC= ping_time:INT=0
awm_social id:AI id_acct:INT=0 id_social:VC type:INT=0 type_str:VC name:VC email:VC access_token:TEXT refresh_token:VC
    scopes:VC disabled:BIT=0 primary(id) index(id_acct)
twofa_accounts id:AI account_id:INT auth_type:VC=authy data_type:INT=1 data_value:VC primary(id)
"""

_LATER: dict[str, str] = {
    "7.7.7": """
        awm_settings last_login_ip last_login_ip_now last_login_ua last_login_ua_now
        awm_domains collaboration""",
    "7.7.6": """
        awm_settings compose_plain_text_default
        awm_fetchers signature_type""",
    "7.6.0": """
        ahd_users signature signature_enable
        awm_accounts allow_mail is_password_specified
        awm_settings email_notification helpdesk_signature helpdesk_signature_enable password_reset_hash
        awm_social disabled email
        awm_tenants calendar_notification_email_account invite_notification_email_account""",
}
"""What each release brought."""
_GONE = {"7.6.0": "awm_accounts social_email:VC"}
"""What each release no longer makes; an installation that was upgraded has it still."""
_BEFORE = {
    "7.6.9": "adav_cache eventid:VC45 awm_fetchers signature:TEXT",
    "7.6.0": "awm_addr_book use_frequency:INT=11",
}
"""What columns were before a release changed them."""
VERSIONS = ("7.5", "7.6.0", "7.6.9", "7.7.6", "7.7.9")
"""One release for each state of the schema; of 7.7.6, what came up to 7.7.6."""

NAMES: dict[str, str] = dict(
    line.split(maxsplit=1)
    for line in """\
account awm_accounts.id_acct awm_filters.id_acct awm_folders.id_acct awm_system_folders.id_acct awm_folders_order.id_acct \
awm_folders_order_names.id_acct awm_messages.id_acct awm_messages_body.id_acct awm_reads.id_acct awm_fetchers.id_acct \
awm_identities.id_acct awm_mailaliases.id_acct awm_mailforwards.id_acct awm_social.id_acct twofa_accounts.account_id
user a_users.id_user awm_accounts.id_user awm_settings.id_user awm_system_folders.id_user awm_columns.id_user \
awm_senders.id_user awm_fetchers.id_user awm_identities.id_user awm_addr_book.id_user awm_addr_groups.id_user \
acal_appointments.id_user acal_calendars.user_id acal_publications.id_user acal_reminders.id_user acal_sharing.id_user \
acal_sharing.id_to_user acal_users_data.user_id ahd_users.id_system_user
principal adav_addressbooks.principaluri adav_calendars.principaluri adav_calendarshares.principaluri adav_principals.uri
address awm_mailaliases.alias_to awm_mailforwards.forward_to awm_mailinglists.list_to awm_account_quotas.name \
acal_appointments.email acal_sharing.str_to_email adav_cache.user adav_reminders.user
awm_folders.id_folder awm_folders_tree.id_folder
awm_addr_groups.id_group awm_addr_groups_contacts.id_group awm_addr_groups_events.id_group
awm_addr_book.id_addr awm_addr_groups_contacts.id_addr
acal_calendars.calendar_id acal_events.calendar_id acal_publications.id_calendar acal_sharing.id_calendar
acal_events.event_id acal_appointments.id_event acal_eventrepeats.id_event acal_exclusions.id_event acal_reminders.id_event
adav_addressbooks.id adav_cards.addressbookid
adav_calendars.id adav_calendarobjects.calendarid adav_calendarshares.calendarid
adav_principals.id adav_calendarshares.member adav_groupmembers.principal_id adav_groupmembers.member_id
ahd_users.id_helpdesk_user ahd_threads.id_owner ahd_threads.last_post_owner_id ahd_posts.id_owner ahd_attachments.id_owner \
ahd_reads.id_owner ahd_online.id_helpdesk_user""".replace("\\\n", "").splitlines()
)
"""Which columns name the same thing: an account, a user, what a user has, or an address, in the product's own queries."""


def facts_of(version: str) -> dict[str, TableFacts]:
    """Return the tables of a fresh installation of a release, by name."""
    found = {table: _table(words) for table, words in _lines(_CURRENT)}
    for release in filter(lambda release: _order(release) > _order(version), _LATER):
        for table, names in _lines(_LATER[release]):
            columns = {name: fact for name, fact in found[table].columns.items() if name not in names}
            found[table] = replace(found[table], columns=columns)
    for releases in (_GONE, _BEFORE):
        for release in filter(lambda release: _order(release) > _order(version), releases):
            words = releases[release].split()
            for table, word in zip(words[::2], words[1::2], strict=True):
                name, fact = _column(word)
                found[table] = replace(found[table], columns={**found[table].columns, name: fact})
    return found


def statements(version: str, engine: Engine) -> Iterator[str]:
    """Iterate over the statements with which a release makes its tables."""
    for name, table in facts_of(version).items():
        columns = [f"{_quoted(column, engine)} {_sql(fact, engine)}" for column, fact in table.columns.items()]
        if table.primary and engine != "sqlite":
            columns.append(f"PRIMARY KEY ({', '.join(table.primary)})")
        last = " DEFAULT CHARACTER SET utf8 COLLATE utf8_general_ci" if engine == "mysql" else ""
        yield f"CREATE TABLE {name} ({', '.join(columns)}){last}"
        for kind, keys in (("INDEX", table.indexes), ("UNIQUE INDEX", table.unique)):
            for some in sorted(keys):
                yield f"CREATE {kind} {name}_{'_'.join(some)} ON {name} ({', '.join(some)})"


def _sql(fact: Fact, engine: Engine) -> str:
    kind = KINDS[fact.kind][("mysql", "postgresql", "sqlite").index(engine)]
    if fact.kind in _NUMBERED:
        return {"mysql": f"{kind} NOT NULL AUTO_INCREMENT", "sqlite": "INTEGER NOT NULL PRIMARY KEY"}.get(
            engine, "bigserial NOT NULL" if kind == "bigint" else "serial NOT NULL"
        )
    if fact.length is not None and engine != "sqlite":
        kind = f"{kind}({fact.length})"
    if fact.default is None:
        return kind if fact.nullable else f"{kind} NOT NULL"
    return f"{kind} NOT NULL DEFAULT " + (f"'{fact.default}'" if fact.kind == "VC" else fact.default)


def _quoted(name: str, engine: Engine) -> str:
    return f"`{name}`" if engine == "mysql" else f'"{name}"'


def _order(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in re.sub(r"\n    (?=\s*\S+[:(])", " ", text).splitlines():
        table, *words = line.split() or [""]
        if table:
            yield table, words


def _table(words: list[str]) -> TableFacts:
    keys: dict[str, list[tuple[str, ...]]] = {"primary": [], "index": [], "unique": []}
    columns = {}
    for word in words:
        if ":" in word:
            name, fact = _column(word)
            columns[name] = fact
        else:
            kind, _, names = word.removesuffix(")").partition("(")
            keys[kind].append(tuple(names.split(",")))
    primary = keys["primary"][0] if keys["primary"] else ()
    return TableFacts(columns, primary, frozenset(keys["index"]), frozenset(keys["unique"]))


def _column(word: str) -> tuple[str, Fact]:
    found = re.fullmatch(r"(\w+):([A-Z]+)(\d*)(!?)(?:(=)(.*))?", word)
    assert found is not None, word
    name, kind, length, required, given, default = found.groups()
    wide = int(length or 255) if kind == "VC" else None
    return name, Fact(kind, wide, default if given else None, not (required or given or kind in _NUMBERED))
