"""Dovecot's and Postfix's configuration for an iRedMail database, on all engines.

The queries are written from the conditions that iRedMail's own readers apply, so that a
store means the same to a server set up with these files as to one that iRedMail set up. Where iRedMail's would end in a
temporary error, or log nobody in, these are kinder: a service without a column of its own is decided by that of its next
weaker variant, or refused; and an empty mail format or folder means the default. With Dovecot 2.4 a backup MX domain is
refused by the passdb already, not only by the userdb. Dovecot gets the user name as it is stored: to MySQL ``jose@`` equals
``josé@``, and usage would be counted under both.

The files for Dovecot 2.4 follow its documentation; **they are not run by our tests**, which have 2.3 only. Sharing of
mailboxes (``share_folder``) and master users are left to the administrator.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mailstore.driver.lookups import (
    LookupFile,
    PostfixTable,
    Reader,
    checked_directory,
    dovecot23_connect,
    dovecot24_connect,
    dovecot_delivery,
    fill_in_note,
    postfix_connect,
    postfix_main,
)
from mailstore.errors import ConfigurationError
from mailstore.sql.iredmail.schema.detection import Schema
from mailstore.sql.iredmail.schema.tables import ENABLE_COLUMNS

__all__ = ["DOVECOT_DIRECTORY", "POSTFIX_DIRECTORY", "dovecot", "postfix"]

DOVECOT_DIRECTORY = "/etc/dovecot"
POSTFIX_DIRECTORY = "/etc/postfix/mailstore"

_SECRET_MODE = 0o640
_PUBLIC_MODE = 0o644
_HOME = ("m.storagebasedirectory", "'/'", "m.storagenode", "'/'", "m.maildir")


@dataclass(frozen=True)
class _Dialect:
    """What SQL calls differently on each engine; everything else in the queries is understood by all three."""

    quote: str = '"'
    concat: tuple[str, str, str] = ("(", " || ", ")")
    # MySQL's upsert takes whatever unique key is hit; the others must be told exactly the columns of one.
    upsert_names_key: bool = True

    def joined(self, *parts: str) -> str:
        opening, between, closing = self.concat
        return opening + between.join(parts) + closing

    def name(self, column: str) -> str:
        return column if re.fullmatch("[a-z_0-9]+", column) else f"{self.quote}{column}{self.quote}"


_DIALECTS = {
    "mysql": _Dialect(quote="`", concat=("CONCAT(", ", ", ")"), upsert_names_key=False),
    "postgresql": _Dialect(),
    "sqlite": _Dialect(),
}

# --- Postfix ----------------------------------------------------------------------------------------------------------
# Postfix folds keys to lower case, quotes them, and does not ask at all where %u or %d would be empty. Several rows make
# one answer, separated by commas.

_HOSTED = "d.active = 1 AND d.backupmx = 0"


class _Map(NamedTuple):
    """A lookup: its file's name without suffix, the main.cf parameter that it serves, and its query."""

    name: str
    parameter: str
    query: str


_BCC_USER = """\
SELECT b.bcc_address FROM {direction}_bcc_user AS b JOIN domain AS d ON d.domain = b.domain
WHERE b.username = '%s' AND b.domain = '%d' AND b.active = 1 AND {hosted}"""
# iRedMail does not look at b.active here: such a row is switched off by deleting it.
_BCC_DOMAIN = """\
SELECT b.bcc_address FROM {direction}_bcc_domain AS b JOIN domain AS d ON d.domain = b.domain
WHERE b.domain = '%d' AND d.active = 1"""

# In the order in which Postfix tries the maps of one parameter for the same key.
_MAPS = (
    _Map("virtual_mailbox_domains", "virtual_mailbox_domains", """\
SELECT d.domain FROM domain AS d WHERE d.domain = '%s' AND {hosted}
UNION
SELECT a.alias_domain FROM alias_domain AS a JOIN domain AS d ON d.domain = a.target_domain
WHERE a.alias_domain = '%s' AND a.active = 1 AND {hosted}"""),
    _Map("relay_domains", "relay_domains", """\
SELECT domain FROM domain WHERE domain = '%s' AND backupmx = 1 AND active = 1"""),
    _Map("transport_user", "transport_maps", """\
SELECT m.transport FROM mailbox AS m JOIN domain AS d ON d.domain = m.domain
WHERE m.username = '%s' AND m.domain = '%d' AND m.transport <> ''
AND m.active = 1 AND m.enabledeliver = 1 AND {hosted}"""),
    _Map("transport_list", "transport_maps", """\
SELECT l.transport FROM maillists AS l JOIN domain AS d ON d.domain = l.domain
WHERE l.address = '%s' AND l.active = 1 AND d.active = 1"""),
    _Map("transport_domain", "transport_maps", """\
SELECT transport FROM domain WHERE domain = '%s' AND active = 1"""),
    # Only that there is an answer matters: the mail itself goes where the transport and its userdb say.
    _Map("virtual_mailbox", "virtual_mailbox_maps", """\
SELECT {mailbox_path} FROM mailbox AS m JOIN domain AS d ON d.domain = m.domain
WHERE m.username = '%s' AND m.active = 1 AND m.enabledeliver = 1 AND d.active = 1"""),
    _Map("virtual_alias", "virtual_alias_maps", """\
SELECT f.forwarding FROM forwardings AS f JOIN domain AS d ON d.domain = f.domain
WHERE f.address = '%s' AND f.active = 1 AND {hosted}"""),
    _Map("virtual_alias_alias_domain", "virtual_alias_maps", """\
SELECT f.forwarding FROM alias_domain AS a JOIN domain AS d ON d.domain = a.target_domain
JOIN forwardings AS f ON f.address = {same_at_target}
WHERE a.alias_domain = '%d' AND a.active = 1 AND f.active = 1 AND d.backupmx = 0"""),
    # Postfix asks for user+extension@ first; a catch-all that answered that would hide the address without extension.
    _Map("catchall", "virtual_alias_maps", """\
SELECT f.forwarding FROM forwardings AS f JOIN domain AS d ON d.domain = f.address
WHERE f.address = '%d' AND '%u' NOT LIKE '%%+%%' AND f.active = 1 AND {hosted}"""),
    _Map("catchall_alias_domain", "virtual_alias_maps", """\
SELECT f.forwarding FROM alias_domain AS a JOIN forwardings AS f ON f.address = a.target_domain
WHERE a.alias_domain = '%d' AND a.active = 1 AND f.active = 1"""),
    _Map("sender_bcc_user", "sender_bcc_maps", _BCC_USER.replace("{direction}", "sender")),
    _Map("sender_bcc_domain", "sender_bcc_maps", _BCC_DOMAIN.replace("{direction}", "sender")),
    _Map("recipient_bcc_user", "recipient_bcc_maps", _BCC_USER.replace("{direction}", "recipient")),
    _Map("recipient_bcc_domain", "recipient_bcc_maps", _BCC_DOMAIN.replace("{direction}", "recipient")),
    # Postfix asks for the sender, then for @domain.
    _Map("relayhost", "sender_dependent_relayhost_maps", """\
SELECT relayhost FROM sender_relayhost WHERE account = '%s'"""),
    _Map("sender_login", "smtpd_sender_login_maps", """\
SELECT m.username FROM mailbox AS m JOIN domain AS d ON d.domain = m.domain
WHERE m.username = '%s' AND m.domain = '%d' AND m.enablesmtp = 1 AND m.active = 1 AND {hosted}"""),
)  # fmt: skip


def postfix(
    reader: Reader,
    *,
    directory: str | os.PathLike[str] = POSTFIX_DIRECTORY,
    uid: int | str = "vmail",
    gid: int | str = "vmail",
) -> list[LookupFile]:
    """Return Postfix's map files, and those with the lines of main.cf and master.cf that use them.

    Parameters
    ----------
    reader: the database account that Postfix connects with; SELECT is all it needs.
    directory: where the files will lie.
    uid, gid: who owns the mail, by name.

    Raises ConfigurationError for a reader or a directory that Postfix's syntax cannot express.
    """
    place = checked_directory(directory)
    dialect = _DIALECTS[reader.engine]
    head = fill_in_note(reader) + postfix_connect(reader)
    words = {
        "hosted": _HOSTED,
        "mailbox_path": dialect.joined("m.storagenode", "'/'", "m.maildir", "'/Maildir/'"),
        "same_at_target": dialect.joined("'%u@'", "a.target_domain"),
    }
    texts = {entry.name: f"{head}query = {_indented(entry.query.format(**words), '  ')}\n" for entry in _MAPS}
    files = [_private(reader, f"{name}.cf", text, "postfix") for name, text in texts.items()]
    # Through proxymap: it is not chrooted, so that it sees sockets and SQLite's files, and it shares connections.
    tables = (PostfixTable(entry.parameter, f"proxy:{reader.driver}:{place}/{entry.name}.cf") for entry in _MAPS)
    return [*files, *postfix_main(tables, uid, gid)]


def _private(account: Reader, name: str, text: str, group: str) -> LookupFile:
    """Return a file that holds an account: the server's group has to read it, and nobody else may read a password."""
    return LookupFile(name, text, _SECRET_MODE if account.secret else _PUBLIC_MODE, group)


def _indented(text: str, margin: str, newline: str = "\n") -> str:
    return f"{newline}{margin}".join(text.splitlines())


# --- Dovecot ----------------------------------------------------------------------------------------------------------


class _Syntax(NamedTuple):
    """What a Dovecot version writes differently: variables, userdb fields, and blocks of settings."""

    user: str
    domain: str
    service: str
    user_fields: str
    internal_group: str
    dict_map: str
    key_column: str
    key: str
    protocol: str
    plugin: str
    login_key: str
    main: str


_SYNTAX_23 = _Syntax(
    user="%Lu",
    domain="%Ld",
    service="%Ls%Lc",
    user_fields="{home} AS home,\n{location} AS mail,\n{rule} AS quota_rule",
    internal_group="$default_internal_group",
    dict_map="map {{\n  pattern = {pattern}\n  table = {table}\n{key}  value_field = {value}\n  value_type = uint\n}}\n",
    key_column="    {name} = ${name}\n",
    key="  fields {{\n{columns}  }}\n",
    protocol="protocol {protocol} {{\n  mail_plugins = $mail_plugins{plugins}\n{settings}}}\n",
    plugin=" {plugin}",
    login_key="  plugin {{\n    last_login_key = {key}\n  }}\n",
    main="""\
# Accounts of an iRedMail schema, for Dovecot 2.3. Include this at the end of dovecot.conf:
# lists of mail_plugins that come later have to name the plugins below again.
mail_uid = {uid}
mail_gid = {gid}
mail_plugins = $mail_plugins quota quota_clone

passdb {{
{sql}}}
userdb {{
{sql}}}
{dict_service}dict {{
{dicts}}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_clone_dict = proxy::mailstore_used_quota
  last_login_dict = proxy::mailstore_last_login
}}
{protocols}""",
)
_SYNTAX_24 = _Syntax(
    user="%{user | lower}",
    domain="%{user | domain | lower}",
    service="%{protocol | lower}%{secured | lower}",
    user_fields="{home} AS home,\n{format} AS mail_driver, {path} AS mail_path,\n{size} AS quota_storage_size",
    internal_group="$SET:default_internal_group",
    dict_map="dict_map {pattern} {{\n  sql_table = {table}\n{key}  value_field {value} {{\n    type = uint\n  }}\n}}\n",
    key_column="  key_field {name} {{\n    value = ${name}\n  }}\n",
    key="{columns}",
    protocol="protocol {protocol} {{\n  mail_plugins {{\n{plugins}  }}\n{settings}}}\n",
    plugin="    {plugin} = yes\n",
    login_key="  last_login_key = {key}\n",
    main="""\
# Accounts of an iRedMail schema, for Dovecot 2.4. Include this at the end of dovecot.conf.
{note}mail_uid = {uid}
mail_gid = {gid}
mail_plugins {{
  quota = yes
  quota_clone = yes
}}

{connect}passdb sql {{
  query = {password_query}
}}
userdb sql {{
  query = {user_query}
  iterate_query = {iterate_query}
}}
{dict_service}dict_server {{
{dicts}}}
quota "User quota" {{
}}
quota_clone {{
  dict proxy {{
    name = mailstore_used_quota
  }}
}}
last_login {{
  dict proxy {{
    name = mailstore_last_login
  }}
}}
{protocols}""",
)
_SYNTAX = {"2.3": _SYNTAX_23, "2.4": _SYNTAX_24}

_FROM = """\
FROM mailbox AS m JOIN domain AS d ON d.domain = m.domain
WHERE m.username = '{user}' AND m.active = 1 AND {hosted}
AND CASE
{services}
ELSE 0 END = 1"""
_PASSWORD_QUERY = "SELECT m.username AS user, m.password{allow_nets}\n{source}"  # noqa: S105
_USER_QUERY = "SELECT m.username AS user, {fields}\n{source}"
_ITERATE_QUERY = "SELECT username AS user FROM mailbox"

# The protocols whose use is noted, and the column where; LMTP is a delivery like any other.
_LAST_LOGIN = {"imap": "imap", "pop3": "pop3", "lda": "lda", "lmtp": "lda"}


def dovecot(
    reader: Reader,
    schema: Schema,
    *,
    version: Literal["2.3", "2.4"],
    uid: int | str = "vmail",
    gid: int | str = "vmail",
    writer: Reader | None = None,
    directory: str | os.PathLike[str] = DOVECOT_DIRECTORY,
) -> list[LookupFile]:
    """Return Dovecot's files: ``mailstore.conf``, to be included at the end of dovecot.conf, and those that it names.

    Parameters
    ----------
    reader: the database account that looks accounts up; SELECT is all it needs.
    schema: of the live database: services, mail location and last login are asked only of columns that are there.
    version: 2.3 has four files, 2.4 a single one. The latter is not run by our tests.
    uid, gid: who owns the mail, by name or number. By name, processes of this user may count usage as well (LDA).
    writer: the account that notes usage and last logins, if the reader may not write ``used_quota`` and ``last_login``.
        With SQLite, the file and its directory must be writable for the user dovecot.
    directory: where the files will lie.

    Raises ConfigurationError for values that Dovecot's syntax cannot express.
    """
    if version not in _SYNTAX:
        raise ConfigurationError(f"no Dovecot version {version!r}; known are {', '.join(_SYNTAX)}")
    for name in (uid, gid):
        if not re.fullmatch(r"[\w.-]+", str(name), re.ASCII):
            raise ConfigurationError(f"{name!r} cannot be the owner of mail")
    site = _Site(reader, writer or reader, schema, checked_directory(directory), uid, gid, _SYNTAX[version])
    return _files23(site) if version == "2.3" else [_file24(site)]


@dataclass(frozen=True)
class _Site:
    """What the files are made for."""

    reader: Reader
    writer: Reader
    schema: Schema
    directory: str
    uid: int | str
    gid: int | str
    syntax: _Syntax

    @property
    def dialect(self) -> _Dialect:
        return _DIALECTS[self.reader.engine]

    @property
    def login_key(self) -> tuple[str, ...]:
        """The columns by which a row of last_login is written."""
        if not self.dialect.upsert_names_key:
            return "username", "domain"
        return tuple(column.name for column in self.schema["last_login"].primary_key)


def _files23(site: _Site) -> list[LookupFile]:
    driver = site.writer.driver
    dicts = _dicts(site)
    names = {name: name.replace("mailstore", "dovecot").replace("_", "-") + ".conf.ext" for name in dicts}
    paths = "".join(f"  {name} = {driver}:{site.directory}/{file}\n" for name, file in names.items())
    connect = f"{fill_in_note(site.writer)}connect = {dovecot23_connect(site.writer)}\n"
    # The dict processes run as dovecot, and read their files themselves.
    sql = f"  driver = sql\n  args = {site.directory}/dovecot-sql.conf.ext\n"
    return [
        LookupFile("mailstore.conf", _main(site, dicts=paths, sql=sql)),
        _private(site.reader, "dovecot-sql.conf.ext", _accounts23(site), "dovecot"),
        *(_private(site.writer, names[name], connect + maps, "dovecot") for name, maps in dicts.items()),
    ]


def _accounts23(site: _Site) -> str:
    queries = "".join(f"{name} = {_continued(query, 2)}\n" for name, query in _queries(site).items())
    connect = f"driver = {site.reader.driver}\nconnect = {dovecot23_connect(site.reader)}\n"
    return f"{fill_in_note(site.reader)}{connect}{queries}"


def _file24(site: _Site) -> LookupFile:
    connect = f"  driver = sql\n{_block(dovecot24_connect(site.writer))}"
    dicts = (f"dict {name} {{\n{connect}{_block(maps)}}}\n" for name, maps in _dicts(site).items())
    text = _main(
        site,
        dicts="".join(_block(text) for text in dicts),
        note="".join(dict.fromkeys([fill_in_note(site.reader), fill_in_note(site.writer)])),
        connect=dovecot24_connect(site.reader),
        **{name: _continued(query, 4) for name, query in _queries(site).items()},
    )
    return _private(site.reader, "mailstore.conf", text, "dovecot")


def _continued(query: str, margin: int) -> str:
    return _indented(query, " " * margin, " \\\n")


def _block(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _main(site: _Site, **parts: str) -> str:
    """Return mailstore.conf; without a table last_login nothing in it speaks of last logins."""
    text = site.syntax.main
    if not site.schema.has("last_login", "imap"):
        text = re.sub(r"(?ms)^last_login \{\{$.*?^\}\}\n|^  last_login_dict = .*?\n", "", text)
    protocols = "".join(_protocol(site, protocol) for protocol in _LAST_LOGIN)
    return text.format(uid=site.uid, gid=site.gid, dict_service=_dict_service(site), protocols=protocols, **parts)


def _dict_service(site: _Site) -> str:
    """Return who may use the dict service: mail processes run as the owner of the mail."""
    rights, also = [f"user = {site.uid}", "mode = 0600"], ""
    if isinstance(site.uid, int):
        # A socket cannot be given to a number, but mail processes can be given the socket's group.
        group = site.syntax.internal_group
        rights, also = [f"group = {group}", "mode = 0660"], f"mail_access_groups = {group}\n"
    listener = f"unix_listener dict {{\n{_block(chr(10).join(rights))}}}\n"
    services = f"{also}service dict {{\n{_block(listener)}}}\n"
    return services + dovecot_delivery(site.uid)


def _protocol(site: _Site, protocol: str) -> str:
    """Return the plugins that a protocol needs besides those of all, and where it notes logins."""
    noted = site.schema.has("last_login", "imap")
    # A protocol that has a list of its own already does not follow what is said for all.
    plugins = ["quota", "quota_clone", *["imap_quota"] * (protocol == "imap"), *["last_login"] * noted]
    settings = site.syntax.login_key.format(key=_login_key(site, protocol)) if noted else ""
    listed = "".join(site.syntax.plugin.format(plugin=plugin) for plugin in plugins)
    return site.syntax.protocol.format(protocol=protocol, plugins=listed, settings=settings)


def _login_key(site: _Site, protocol: str) -> str:
    values = {"username": site.syntax.user, "domain": site.syntax.domain}
    return "/".join(["last-login", _LAST_LOGIN[protocol], *(values[column] for column in site.login_key)])


def _dicts(site: _Site) -> dict[str, str]:
    """Return the maps of each dictionary."""
    write = site.syntax.dict_map.format
    owner = "  username_field = username\n"
    quota = {"storage": "bytes", "messages": "messages"}
    dicts = {
        "mailstore_used_quota": "".join(
            write(pattern=f"priv/quota/{kind}", table="used_quota", key=owner, value=value)
            for kind, value in quota.items()
        )
    }
    if site.schema.has("last_login", "imap"):
        key = site.syntax.key.format(
            columns="".join(site.syntax.key_column.format(name=name) for name in site.login_key)
        )
        names = "/".join(f"${name}" for name in site.login_key)
        dicts["mailstore_last_login"] = "".join(
            write(pattern=f"shared/last-login/{value}/{names}", table="last_login", key=key, value=value)
            for value in dict.fromkeys(_LAST_LOGIN.values())
        )
    return dicts


def _queries(site: _Site) -> dict[str, str]:
    cases = "\n".join(f"WHEN '{site.syntax.service}' IN {names} THEN m.{column}" for names, column in _services(site))
    source = _FROM.format(user=site.syntax.user, hosted=_HOSTED, services=cases)
    fields = site.syntax.user_fields.format(**_user_words(site))
    user = _USER_QUERY.format(fields=fields, source=source)
    allow_nets = ", m.allow_nets" if site.schema.has("mailbox", "allow_nets") else ""
    password = _PASSWORD_QUERY.format(allow_nets=allow_nets, source=source)
    return {"password_query": password, "user_query": user, "iterate_query": _ITERATE_QUERY}


def _user_words(site: _Site) -> dict[str, str]:
    """Return the SQL of home, mail location and quota.

    An empty format or folder means the default, as for iRedMail with Dovecot 2.4; a quota of 0 means unlimited to Dovecot
    as it does in the column, which counts megabytes.
    """
    joined = site.dialect.joined
    format_, folder = (
        f"COALESCE(NULLIF(m.{column}, ''), '{default}')" if site.schema.has("mailbox", column) else f"'{default}'"
        for column, default in (("mailboxformat", "maildir"), ("mailboxfolder", "Maildir"))
    )
    return {
        "home": f"LOWER({joined(*_HOME)})",
        "location": joined(format_, "':~/'", folder),
        "format": format_,
        "path": joined("'~/'", folder),
        "rule": joined("'*:bytes='", "(m.quota * 1048576)"),
        "size": joined("m.quota", "'M'"),
    }


def _services(site: _Site) -> list[tuple[str, str]]:
    """Return which services, as a SQL list, each column of the live schema decides on.

    A service is called by its protocol followed by nothing, ``secured`` (the connection needs no TLS) or ``tls``. Where
    there is no column for a variant, as for smtptls, the next weaker one decides; a protocol without any is refused.
    """
    columns = {name.removeprefix("enable"): name for name in ENABLE_COLUMNS if site.schema.has("mailbox", name)}
    names: dict[str, list[str]] = {column: [] for column in columns.values()}
    for protocol in (name for name in columns if not name.endswith(("secured", "tls"))):
        column = columns[protocol]
        for service in (protocol, f"{protocol}secured", f"{protocol}tls"):
            column = columns.get(service, column)
            names[column].append(f"'{service}'")
    return [(f"({', '.join(some)})", site.dialect.name(column)) for column, some in names.items() if some]
