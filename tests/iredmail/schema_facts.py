"""What iRedMail's own SQL files say about its tables, by engine and version; nothing here is made from the driver.

`tests.schema_words` tells how a line is read.
"""

from __future__ import annotations

from tests.schema_words import ENGINES, Engine, Fact, Kinds, Table, parsed

__all__ = ["ENGINES", "SINCE", "VERSIONS", "Engine", "Fact", "facts_of", "lacking"]

_MOMENT = "timestamp without time zone"
_KINDS: Kinds = {
    "F0": (Fact("tinyint", "0", False), Fact("smallint", "0", False)),
    "F1": (Fact("tinyint", "1", False), Fact("smallint", "1", False)),
    "CNT": (Fact("int", "0", False), Fact("bigint", "0", False)),
    "BIG": (Fact("bigint", "0", False), Fact("bigint", "0", False)),
    "ID": (Fact("bigint unsigned", None, False), Fact("integer", None, False)),
    "TXT": (Fact("text", None, True), Fact("text", "", False)),
    "NUL": (Fact("text", None, True), Fact("text", None, True)),
    "NAME": (Fact("varchar(255)", "", False), Fact("character varying(255)", None, False)),
    "T0": (Fact("datetime", "1970-01-01 01:01:01", False), Fact(_MOMENT, "now", False)),
    "TX": (Fact("datetime", "9999-12-31 00:00:00", False), Fact(_MOMENT, "9999-12-31 01:01:01", False)),
    "STAMP": (Fact("timestamp", "now", False), Fact(_MOMENT, "now", False)),
    "DATE": (Fact("date", None, True), Fact("date", None, True)),
    "BIRTHDAY": (Fact("date", "0001-01-01", False), Fact("date", "0001-01-01", False)),
    "YN": (Fact("char(1)", "y", False), Fact("character varying(1)", "y", False)),
    "CHR": (Fact("char(1)", None, True), Fact("character(1)", None, True)),
    "ONE": (Fact("char(1)", "1", True), Fact("character(1)", None, True)),
    "SECONDS": (Fact("int", None, True), Fact("bigint", None, True)),
}

_CURRENT = """
admin username:S255 password:S255 name:S255 language:S5 passwordlastchange:T0 settings:TXT created:T0 modified:T0
    expired:TX active:F1 index(active) index(expired) index(passwordlastchange) primary(username)
alias address:S255 name:S255 accesspolicy:S30 domain:S255 created:T0 modified:T0 expired:TX active:F1 index(active)
    index(domain) index(expired) primary(address)
moderators id:ID address:S255 moderator:S255 domain:S255 dest_domain:S255 postgresql-index(address) index(dest_domain)
    index(domain) postgresql-index(moderator) primary(id) unique(address,moderator)
maillist_owners id:ID address:S255 owner:S255 domain:S255 dest_domain:S255 index(dest_domain) index(domain) index(owner)
    primary(id) unique(address,owner)
forwardings id:ID address:S255 forwarding:S255 domain:S255 dest_domain:S255 is_maillist:F0 is_list:F0 is_forwarding:F0
    is_alias:F0 active:F1 postgresql-index(address) index(dest_domain) index(domain) index(forwarding) index(is_alias)
    postgresql-index(is_forwarding) index(is_list) index(is_maillist) primary(id) unique(address,forwarding)
domain domain:S255 description:TXT disclaimer:TXT aliases:CNT mailboxes:CNT maillists:CNT maxquota:BIG quota:BIG
    transport:S255=dovecot backupmx:F0 settings:TXT created:T0 modified:T0 expired:TX active:F1 index(active)
    index(backupmx) index(expired) primary(domain)
alias_domain alias_domain:S255! target_domain:S255! created:T0 modified:T0 active:F1 index(active) index(target_domain)
    primary(alias_domain)
domain_admins username:S255 domain:S255 created:T0 modified:T0 expired:TX active:F1 index(active) index(domain)
    index(username) primary(username,domain)
mailbox username:NAME password:S255 name:S255 language:S5 first_name:S255 last_name:S255 mobile:S255 telephone:S255
    recovery_email:S255 birthday:BIRTHDAY mailboxformat:S50=maildir mailboxfolder:S50=Maildir storagebasedirectory:S255
    storagenode:S255 maildir:S255 quota:BIG domain:S255 transport:S255 department:S255 rank:S255=normal employeeid:S255
    isadmin:F0 isglobaladmin:F0 enablesmtp:F1 enablesmtpsecured:F1 enablepop3:F1 enablepop3secured:F1 enablepop3tls:F1
    enableimap:F1 enableimapsecured:F1 enableimaptls:F1 enabledeliver:F1 enablelda:F1 enablemanagesieve:F1
    enablemanagesievesecured:F1 enablesieve:F1 enablesievesecured:F1 enablesievetls:F1 enableinternal:F1
    enabledoveadm:F1 enablelib-storage:F1 enablequota-status:F1 enableindexer-worker:F1 enablelmtp:F1 enabledsync:F1
    enablesogo:F1 enablesogowebmail:YN enablesogocalendar:YN enablesogoactivesync:YN allow_nets:NUL disclaimer:TXT
    settings:TXT passwordlastchange:T0 created:T0 modified:T0 expired:TX active:F1 index(active) index(department)
    index(domain) index(employeeid) index(enabledeliver) index(enabledoveadm) index(enabledsync) index(enableimap)
    index(enableimapsecured) index(enableimaptls) index(enableindexer-worker) index(enableinternal) index(enablelda)
    index(enablelib-storage) index(enablelmtp) index(enablemanagesieve) index(enablemanagesievesecured)
    index(enablepop3) index(enablepop3secured) index(enablepop3tls) index(enablequota-status) index(enablesieve)
    index(enablesievesecured) index(enablesievetls) index(enablesmtp) index(enablesmtpsecured) index(enablesogo)
    index(expired) index(isadmin) index(isglobaladmin) index(passwordlastchange) primary(username)
maillists id:ID address:S255 domain:S255 transport:S255 accesspolicy:S30 maxmsgsize:BIG name:S255 description:NUL
    mlid:S36 is_newsletter:F0 settings:NUL created:T0 modified:T0 expired:TX active:F1 index(active) index(domain)
    index(is_newsletter) primary(id) unique(address) unique(mlid)
sender_bcc_domain domain:S255 bcc_address:S255 created:T0 modified:T0 expired:TX active:F1 index(active)
    index(bcc_address) index(expired) primary(domain)
recipient_bcc_domain domain:S255 bcc_address:S255 created:T0 modified:T0 expired:TX active:F1 index(active)
    index(bcc_address) index(expired) primary(domain)
sender_bcc_user username:S255 bcc_address:S255 domain:S255 created:T0 modified:T0 expired:TX active:F1 index(active)
    index(bcc_address) index(domain) index(expired) primary(username)
recipient_bcc_user username:S255 bcc_address:S255 domain:S255 created:T0 modified:T0 expired:TX active:F1 index(active)
    index(bcc_address) index(expired) primary(username)
sender_relayhost id:ID account:S255 relayhost:S255 primary(id) unique(account)
deleted_mailboxes id:ID timestamp:STAMP username:S255 domain:S255 maildir:S255 bytes:BIG messages:BIG admin:S255
    delete_date:DATE index(admin) index(delete_date) index(domain) mysql-index(id) index(timestamp) index(username)
    postgresql-primary(id)
share_folder from_user:S255! to_user:S255! dummy:CHR index(from_user) index(to_user) primary(from_user,to_user)
anyone_shares from_user:S255! dummy:ONE primary(from_user)
used_quota username:S255! bytes:BIG messages:BIG domain:S255 index(domain) primary(username)
last_login username:S255 domain:S255 imap:SECONDS pop3:SECONDS lda:SECONDS index(domain) index(imap) index(lda)
    index(pop3) mysql-primary(username) postgresql-primary(username,domain)
"""

SINCE: dict[str, dict[Engine, str]] = {
    "0.9.9": dict.fromkeys(ENGINES, "mailbox.mailboxformat mailbox.mailboxfolder"),
    "1.0": {"mysql": "mailbox.enablequota-status", "postgresql": "mailbox.enablequota-status"},
    "1.2": {"mysql": "last_login.imap last_login.pop3 last_login.lda", "postgresql": ""},
    "1.4.0": {"mysql": "maillist_owners", "postgresql": "maillist_owners"},
    "1.4.1": {
        "mysql": "mailbox.enablesogowebmail mailbox.enablesogocalendar mailbox.enablesogoactivesync",
        "postgresql": "mailbox.enablesogowebmail mailbox.enablesogocalendar mailbox.enablesogoactivesync",
    },
    "1.7.0": {"mysql": "", "postgresql": "last_login"},
    "1.7.3": dict.fromkeys(
        ENGINES,
        "mailbox.first_name mailbox.last_name mailbox.mobile mailbox.telephone mailbox.recovery_email mailbox.birthday "
        "deleted_mailboxes.bytes deleted_mailboxes.messages",
    ),
}
"""What each release brought. On MySQL the table last_login came with 1.0, in another shape."""
VERSIONS = ("0.9.8", "0.9.9", "1.0", "1.2", "1.4.0", "1.4.1", "1.7.0", "1.7.3", "1.8.1")


def facts_of(engine: Engine) -> dict[str, Table]:
    """Return the tables of the current release by name."""
    return parsed(_CURRENT, engine, _KINDS)


def lacking(version: str, engine: Engine) -> set[str]:
    """Return the tables and columns that a release has not got, as ``table`` or ``table.column``."""
    later = [names[engine] for release, names in SINCE.items() if _order(release) > _order(version)]
    found = {name for names in later for name in names.split()}
    return found | ({"last_login"} if engine == "mysql" and _order(version) < _order("1.0") else set())


def _order(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
