"""Dovecot's configuration for the mail server of version 7; see `mailstore.driver.lookups.LookupOptions`.

A product's own mail server needs none of this: it comes with its configuration. These files are for a Dovecot 2.3 set up by
hand. They ask what the product's ask, and besides refuse accounts of disabled domains and linked accounts, of which the
product's query for the bundle says nothing.
"""

from __future__ import annotations

from mailstore.driver.lookups import (
    LookupFile,
    LookupOptions,
    Reader,
    checked_directory,
    dovecot23_connect,
    dovecot23_plugins,
    fill_in_note,
)
from mailstore.errors import NotSupported
from mailstore.sql.afterlogic.store import AfterLogicStore

__all__ = ["dovecot", "postfix"]

_DIRECTORY = "/etc/dovecot"
_SECRET_MODE = 0o640
_UNLIMITED_KB = 104_857_600

# DP1 is the function with which the product decodes passwords in SQL. An empty one must not become an empty password.
_QUERIES = {
    "password_query": """\
SELECT LOWER(a.email) AS user, CONCAT('{{PLAIN}}', DP1(a.mail_inc_pass)) AS password
{source} AND a.mail_inc_pass <> ''""",
    "user_query": """\
SELECT {home} AS home, 'maildir:~/' AS mail,
CONCAT('*:storage=', IF(a.quota < {unlimited}, a.quota, 0), 'K') AS quota_rule
{source}""",
    "source": """\
FROM {prefix}awm_accounts AS a JOIN {prefix}awm_domains AS d ON d.id_domain = a.id_domain
WHERE a.email = '%Lu' AND d.name = '%Ld' AND d.is_internal = 1 AND d.disabled = 0
AND a.deleted = 0 AND a.mailing_list = 0 AND a.def_acct = 1""",
    "iterate_query": """\
SELECT LOWER(a.email) AS user FROM {prefix}awm_accounts AS a JOIN {prefix}awm_domains AS d ON d.id_domain = a.id_domain
WHERE d.is_internal = 1 AND a.deleted = 0 AND a.mailing_list = 0 AND a.def_acct = 1""",
}
_MAIN = """\
# Accounts of AfterLogic's mail server, for Dovecot 2.3. Include this at the end of dovecot.conf.
mail_uid = {uid}
mail_gid = {gid}
mail_location = maildir:~/

passdb {{
  driver = sql
  args = {directory}/dovecot-sql.conf.ext
}}
userdb {{
  driver = sql
  args = {directory}/dovecot-sql.conf.ext
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
{plugins}"""


def postfix(store: AfterLogicStore, options: LookupOptions) -> list[LookupFile]:  # noqa: ARG001 whatever they are
    """Raise NotSupported: the product's mail server is Exim, with rules of its own for lists and forwards."""
    raise NotSupported(f"{store.name}: there are no lookups for Postfix; the product's mail server is Exim")


def dovecot(store: AfterLogicStore, options: LookupOptions) -> list[LookupFile]:
    """Return the file to include at the end of dovecot.conf, and the one with the queries.

    Raises NotSupported but for MySQL, where the product's mail server keeps its accounts, and Dovecot 2.3.
    """
    if not store.config.url.startswith("afterlogic+mysql:"):
        raise NotSupported(f"{store.name}: the product's mail server reads MySQL only")
    if options.version != "2.3":
        raise NotSupported(f"there are no files for Dovecot {options.version}; those for 2.3 are the only ones")
    reader = Reader.from_config(store.config, options.user, options.password)
    words = {"prefix": store.config.table_prefix, "unlimited": str(_UNLIMITED_KB)}
    words["home"] = _home(store.config.new_home_root().lower())
    words["source"] = _QUERIES["source"].format(**words)
    texts = {name: _QUERIES[name].format(**words) for name in ("password_query", "user_query", "iterate_query")}
    lines = "".join(f"{name} = {_continued(query)}\n" for name, query in texts.items())
    head = f"{fill_in_note(reader)}driver = {reader.driver}\nconnect = {dovecot23_connect(reader)}\n"
    place = checked_directory(options.directory or _DIRECTORY)
    plugins = dovecot23_plugins("quota", imap=["imap_quota"])
    main = _MAIN.format(uid=options.uid, gid=options.gid, directory=place, plugins=plugins)
    return [
        LookupFile("mailstore.conf", main),
        LookupFile("dovecot-sql.conf.ext", head + lines, _SECRET_MODE, "dovecot"),
    ]


def _home(root: str) -> str:
    """Return the SQL of a home: below the root a directory for the domain, in it one for the local part."""
    return f"CONCAT('{checked_directory(root)}/', LOWER(d.name), '/', LOWER(SUBSTRING_INDEX(a.email, '@', 1)))"


def _continued(query: str) -> str:
    return " \\\n  ".join(query.splitlines())
