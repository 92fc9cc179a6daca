"""What the SQL files of iRedMail (for amavisd) and of iRedAPD say, by engine and version; nothing is made from the drivers.

`tests.schema_words` tells how a line is read. Plain indexes are left out: no statement depends on one.
"""

from __future__ import annotations

from tests.schema_words import Engine, Fact, Kinds, Table, parsed

__all__ = ["LATER", "facts_of"]

_BYTES = (Fact("varbinary(255)", None, False), Fact("bytea", None, False))
_KINDS: Kinds = {
    "ID": (Fact("int unsigned", None, False), Fact("integer", None, False)),
    "BIGID": (Fact("bigint unsigned", None, False), Fact("integer", None, False)),
    "RANK": (Fact("int", "7", False), Fact("integer", "7", False)),
    "POLICY": (Fact("int unsigned", "1", False), Fact("integer", "1", False)),
    "REF": (Fact("int unsigned", None, False), Fact("integer", None, False)),
    "KEY": _BYTES,
    "FULLNAME": (Fact("varchar(255)", None, True), Fact("character varying(255)", None, True)),
    "RULENAME": (Fact("varchar(255)", "", False), Fact("character varying(255)", None, True)),
    "FLAG": (Fact("char(1)", None, True), Fact("character(1)", None, True)),
    "TEXT": (Fact("varchar(64)", None, True), Fact("character varying(64)", None, True)),
    "SCORE": (Fact("float", None, True), Fact("real", None, True)),
    "SIZE": (Fact("int", None, True), Fact("integer", None, True)),
    "LIMIT": (Fact("bigint", "-1", False), Fact("bigint", "-1", False)),
    "COUNT": (Fact("bigint", "0", False), Fact("bigint", "0", False)),
    "TINY": (Fact("tinyint unsigned", "0", False), Fact("bigint", "0", False)),
    "SMALL": (Fact("tinyint", "0", False), Fact("smallint", "0", False)),
    "ON": (Fact("tinyint", "1", False), Fact("smallint", "1", False)),
    "SECONDS": (Fact("int unsigned", "0", False), Fact("bigint", "0", False)),
    "MSGS": (Fact("mediumint unsigned", "0", False), Fact("bigint", "0", False)),
    "TID": (Fact("bigint unsigned", "0", False), Fact("bigint", None, True)),
    "GREY": (Fact("varchar(100)", "", False), Fact("character varying(255)", "", False)),
}

_CURRENT: dict[str, str] = {
    "amavisd": """
users id:ID priority:RANK policy_id:POLICY email:KEY fullname:FULLNAME primary(id) unique(email)
mailaddr id:ID priority:RANK email:KEY primary(id) unique(email)
wblist rid:REF sid:REF wb:S10! primary(rid,sid)
outbound_wblist rid:REF sid:REF wb:S10! primary(rid,sid)
policy id:ID policy_name:RULENAME virus_lover:FLAG spam_lover:FLAG unchecked_lover:FLAG banned_files_lover:FLAG
    bad_header_lover:FLAG bypass_virus_checks:FLAG bypass_spam_checks:FLAG bypass_banned_checks:FLAG
    bypass_header_checks:FLAG virus_quarantine_to:TEXT spam_quarantine_to:TEXT banned_quarantine_to:TEXT
    unchecked_quarantine_to:TEXT bad_header_quarantine_to:TEXT clean_quarantine_to:TEXT archive_quarantine_to:TEXT
    spam_tag_level:SCORE spam_tag2_level:SCORE spam_tag3_level:SCORE spam_kill_level:SCORE spam_dsn_cutoff_level:SCORE
    spam_quarantine_cutoff_level:SCORE addr_extension_virus:TEXT addr_extension_spam:TEXT addr_extension_banned:TEXT
    addr_extension_bad_header:TEXT warnvirusrecip:FLAG warnbannedrecip:FLAG warnbadhrecip:FLAG newvirus_admin:TEXT
    virus_admin:TEXT banned_admin:TEXT bad_header_admin:TEXT spam_admin:TEXT spam_subject_tag:TEXT
    spam_subject_tag2:TEXT spam_subject_tag3:TEXT message_size_limit:SIZE banned_rulenames:TEXT disclaimer_options:TEXT
    forward_method:TEXT sa_userconf:TEXT sa_username:TEXT primary(id) unique(policy_name)
""",
    "iredapd": """
throttle id:BIGID account:S255! kind:S10=outbound priority:TINY period:SECONDS msg_size:LIMIT max_msgs:LIMIT
    max_quota:LIMIT max_rcpts:LIMIT primary(id) mysql-unique(account,kind)
throttle_tracking id:BIGID tid:TID account:S255 period:SECONDS cur_msgs:MSGS cur_quota:SECONDS init_time:SECONDS
    last_time:SECONDS last_notify_time:SECONDS primary(id) mysql-unique(tid,account)
greylisting id:BIGID account:GREY priority:SMALL sender:GREY sender_priority:SMALL comment:S255 active:ON primary(id)
    unique(account,sender)
greylisting_whitelists id:BIGID account:GREY sender:GREY comment:S255 primary(id) unique(account,sender)
greylisting_whitelist_domain_spf id:BIGID account:GREY sender:GREY comment:S255 primary(id) unique(account,sender)
greylisting_whitelist_domains id:BIGID domain:S255 primary(id) unique(domain)
greylisting_tracking id:BIGID sender:S255! recipient:S255! client_address:S40! sender_domain:S255 rcpt_domain:S255
    init_time:SECONDS block_expired:SECONDS record_expired:SECONDS blocked_count:COUNT passed:SMALL primary(id)
    unique(sender,recipient,client_address)
""",
}

LATER: dict[str, tuple[str, ...]] = {
    "amavisd": ("outbound_wblist",),  # iRedMail 0.9.3
    "iredapd": (
        "greylisting_whitelist_domains",  # 1.8
        "greylisting_whitelist_domain_spf",  # 2.1
        "throttle_tracking.last_notify_time",  # 2.3
        "throttle.max_rcpts",  # 5.0
    ),
}
"""What databases of earlier versions have not got: tables, and columns as ``table.column``."""


def facts_of(database: str, engine: Engine) -> dict[str, Table]:
    """Return the tables of the current version by name."""
    return parsed(_CURRENT[database], engine, _KINDS)
