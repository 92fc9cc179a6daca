"""What `mailstore lookups` asks this driver for: see `mailstore.driver.lookups.LookupOptions`.

A box has these files already, under these names; here they serve to see what its mail servers ask, and to set up a server
that reads the file of users in the same way. Conditions and priorities are those of the box's own queries, written for
the stage of the file's history that is there.
"""

from __future__ import annotations

from mailstore.driver.lookups import (
    MAIN_CF,
    LookupFile,
    LookupOptions,
    Reader,
    checked_directory,
    dovecot23_connect,
    dovecot23_plugins,
    postfix_connect,
)
from mailstore.errors import NotSupported
from mailstore.sql.mailinabox.schema.detection import Schema
from mailstore.sql.mailinabox.store import MailInABoxStore

__all__ = ["DOVECOT_DIRECTORY", "MAIL_OWNER", "POSTFIX_DIRECTORY", "dovecot", "postfix"]

DOVECOT_DIRECTORY = "/etc/dovecot"
POSTFIX_DIRECTORY = "/etc/postfix"
MAIL_OWNER = "mail"
"""User and group of the mail on a box."""

_PARAMETERS = {
    "virtual_mailbox_domains": "virtual-mailbox-domains",
    "virtual_mailbox_maps": "virtual-mailbox-maps",
    "virtual_alias_maps": "virtual-alias-maps",
    "local_recipient_maps": "virtual-mailbox-maps",
    "smtpd_sender_login_maps": "sender-login-maps",
}
"""The maps by the parameters of main.cf that they serve."""


def postfix(store: MailInABoxStore, options: LookupOptions) -> list[LookupFile]:
    """Return Postfix's map files, and the lines of main.cf that use them."""
    place = checked_directory(options.directory or POSTFIX_DIRECTORY)
    head = postfix_connect(_reader(store))
    files = [LookupFile(f"{name}.cf", f"{head}query = {query}\n") for name, query in _queries(store.schema_report())]
    lines = "".join(f"{parameter} = sqlite:{place}/{name}.cf\n" for parameter, name in _PARAMETERS.items())
    return [*files, LookupFile(MAIN_CF, f"# For main.cf.\n{lines}")]


def dovecot(store: MailInABoxStore, options: LookupOptions) -> list[LookupFile]:
    """Return the file to include at the end of dovecot.conf, and the one with the queries that it names."""
    if options.version != "2.3":
        raise NotSupported("a box runs Dovecot 2.3; there are no lookups of it for other versions")
    place = checked_directory(options.directory or DOVECOT_DIRECTORY)
    has_quota = store.schema_report().has("users", "quota")
    queries = _dovecot_queries(store.box.mailboxes, options, has_quota=has_quota)
    connect = f"driver = sqlite\nconnect = {dovecot23_connect(_reader(store))}\ndefault_pass_scheme = SHA512-CRYPT\n"
    quota = dovecot23_plugins("quota", imap=["imap_quota"]) + _QUOTA if has_quota else ""
    main = _MAIN.format(place=place, mailboxes=store.box.mailboxes, quota=quota)
    return [
        LookupFile("mailstore.conf", main),
        LookupFile("dovecot-sql.conf.ext", connect + "".join(f"{name} = {query}\n" for name, query in queries.items())),
    ]


_MAIN = """\
# Users of a box, for Dovecot 2.3. Include this at the end of dovecot.conf.
mail_location = maildir:{mailboxes}/%d/%n
first_valid_uid = 0

passdb {{
  driver = sql
  args = {place}/dovecot-sql.conf.ext
}}
userdb {{
  driver = sql
  args = {place}/dovecot-sql.conf.ext
}}
{quota}"""
_QUOTA = """\
plugin {
  quota = maildir:User quota
  quota_grace = 10%
}
"""


def _reader(store: MailInABoxStore) -> Reader:
    return Reader(engine="sqlite", database=str(store.box.database))


def _dovecot_queries(mailboxes: str, options: LookupOptions, *, has_quota: bool) -> dict[str, str]:
    rule = ", '*:bytes=' || quota AS quota_rule" if has_quota else ""
    fields = f"'{options.uid}' AS uid, '{options.gid}' AS gid, '{mailboxes}/%d/%n' AS home{rule}"
    return {
        "password_query": "SELECT email AS user, password FROM users WHERE email = '%u'",
        "user_query": f"SELECT email AS user, {fields} FROM users WHERE email = '%u'",  # noqa: S608
        "iterate_query": "SELECT email AS user FROM users",
    }


def _queries(schema: Schema) -> list[tuple[str, str]]:
    """Return the queries of Postfix by the names of their files."""
    return [
        ("virtual-mailbox-domains", _domains(schema)),
        ("virtual-mailbox-maps", "SELECT 1 FROM users WHERE email = '%s'"),
        ("virtual-alias-maps", _aliases(schema)),
        ("sender-login-maps", _senders(schema)),
    ]


def _domains(schema: Schema) -> str:
    places = [("users", "email"), ("aliases", "source")]
    places += [("auto_aliases", "source")] if schema.has("auto_aliases") else []
    return " UNION ".join(f"SELECT 1 FROM {table} WHERE {column} LIKE '%%@%s'" for table, column in places)  # noqa: S608


def _aliases(schema: Schema) -> str:
    """A user is the alias of itself, so that a catch-all does not take its mail; what the box makes by itself comes last."""
    parts = [
        "SELECT destination, 0 AS priority FROM aliases WHERE source = '%s' AND destination <> ''",
        "SELECT email AS destination, 1 AS priority FROM users WHERE email = '%s'",
    ]
    if schema.has("auto_aliases"):
        parts.append("SELECT destination, 2 AS priority FROM auto_aliases WHERE source = '%s' AND destination <> ''")
    return _first("destination", parts)


def _senders(schema: Schema) -> str:
    """An alias with permitted senders is theirs, one without belongs to its destinations; automatic ones are nobody's."""
    parts = ["SELECT email AS login, 2 AS priority FROM users WHERE email = '%s'"]
    without = ""
    if schema.has("aliases", "permitted_senders"):
        without = " AND permitted_senders IS NULL"
        parts.append(
            "SELECT permitted_senders AS login, 0 AS priority FROM aliases "
            "WHERE source = '%s' AND permitted_senders IS NOT NULL"
        )
    parts.append(f"SELECT destination AS login, 1 AS priority FROM aliases WHERE source = '%s'{without}")  # noqa: S608
    return _first("login", parts)


def _first(column: str, parts: list[str]) -> str:
    return f"SELECT {column} FROM ({' UNION '.join(parts)}) ORDER BY priority LIMIT 1"  # noqa: S608
