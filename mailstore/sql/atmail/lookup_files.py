"""What `mailstore lookups` asks this driver for: see `mailstore.driver.lookups.LookupOptions`.

atmail brings an Exim and a Dovecot that read its tables already. These files are for a Dovecot of one's own, 2.2 or 2.3,
beside them or in their place. The user name is returned as it is stored: to MySQL ``jose@`` equals ``josé@``.
"""

from __future__ import annotations

import re

from mailstore.driver.lookups import (
    LookupFile,
    LookupOptions,
    Reader,
    checked_directory,
    dovecot23_connect,
    dovecot23_plugins,
    fill_in_note,
)
from mailstore.errors import ConfigurationError, NotSupported
from mailstore.sql.atmail.schema.detection import Schema
from mailstore.sql.atmail.store import AtmailStore

__all__ = ["dovecot", "postfix"]

_DIRECTORY = "/etc/dovecot"
_MAIN = """\
# Written by "mailstore lookups dovecot"; include it at the end of dovecot.conf.
{plugins}plugin {{
  quota = maildir:User quota
}}
passdb {{
  driver = sql
  args = {directory}/dovecot-sql.conf.ext
}}
userdb {{
  driver = sql
  args = {directory}/dovecot-sql.conf.ext
}}
"""
# `userStatus` is 1 for a disabled account. A quota of 0 means no limit to Dovecot as it does in the column.
_QUERIES = """\
password_query = SELECT {username} AS user, {password} AS password \\
  FROM {accounts} WHERE {username} = '%u' AND {userStatus} = 0
user_query = SELECT {username} AS user, TRIM(TRAILING '/' FROM {homeDir}) AS home, \\
  'maildir:~/Maildir' AS mail, '{uid}' AS uid, '{gid}' AS gid, CONCAT('*:storage=', {quota}, 'M') AS quota_rule \\
  FROM {accounts} WHERE {username} = '%u' AND {userStatus} = 0
iterate_query = SELECT {username} AS user FROM {accounts} WHERE {userStatus} = 0
"""


def postfix(store: AtmailStore, options: LookupOptions) -> list[LookupFile]:  # noqa: ARG001
    """Raise NotSupported: the mail server of atmail is Exim."""
    raise NotSupported("atmail delivers with Exim, which reads its tables already; there are no maps for Postfix")


def dovecot(store: AtmailStore, options: LookupOptions) -> list[LookupFile]:
    """Return the file to include at the end of dovecot.conf, and the one that it names."""
    if options.version != "2.3":
        raise NotSupported("for atmail there are files for Dovecot 2.2 and 2.3 only")
    for name in (options.uid, options.gid):
        if not re.fullmatch(r"[\w.-]+", str(name), re.ASCII):
            raise ConfigurationError(f"{name!r} cannot be the owner of mail")
    reader = Reader.from_config(store.config, options.user, options.password)
    directory = checked_directory(options.directory or _DIRECTORY)
    connect = f"driver = {reader.driver}\nconnect = {dovecot23_connect(reader)}\n"
    queries = _QUERIES.format(**_names(store.schema_report()), uid=options.uid, gid=options.gid)
    plugins = dovecot23_plugins("quota", imap=["imap_quota"])
    return [
        LookupFile("mailstore.conf", _MAIN.format(directory=directory, plugins=plugins)),
        LookupFile("dovecot-sql.conf.ext", f"{fill_in_note(reader)}{connect}{queries}", 0o640, "dovecot"),
    ]


def _names(schema: Schema) -> dict[str, str]:
    """Return what the table and its columns are called on this server, quoted."""
    table = schema["accounts"]
    columns = ("username", "password", "userStatus", "homeDir", "quota")
    named = {"accounts": table.name, **{name: table.c[name].name for name in columns}}
    return {key: f"`{name}`" for key, name in named.items()}
