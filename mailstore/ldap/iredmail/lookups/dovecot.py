"""Dovecot's configuration for an iRedMail directory: see `mailstore.ldap.iredmail.lookups.reader`.

One thing is kinder than with iRedMail's own file for 2.3: an account without a quota is unlimited, as the panel says,
whatever default Dovecot was given elsewhere. What is an error there is one here, since a directory cannot decide anything
in a query: two entries that answer to one login, no home (the mail waits), a negative quota.

Under iRedMail's access rules users may write ``mailboxFormat``, ``mailboxFolder`` and ``allowNets`` of their own entry. The
first two become parts of a path, so only what stays within the home counts; anything else is as if it was not there.
``allowNets`` can but restrict: who removes it gains what everybody has who never had it.

The files for Dovecot 2.4 follow its documentation; **they are not run by our tests**, which have 2.3 only. iRedMail notes
usage and logins in a SQL database; these files do not: usage is counted in the mailboxes. Sharing of mailboxes and master
users are left to the administrator.
"""

from __future__ import annotations

import os
import re
from typing import Literal

from mailstore.driver.lookups import LookupFile, checked_directory, dovecot23_plugins, dovecot_delivery
from mailstore.errors import ConfigurationError
from mailstore.ldap.iredmail.lookups.reader import FILE_MODE, LdapReader, has, kind, lines, live, serves
from mailstore.ldap.names import Filter, all_of, any_of

__all__ = ["DOVECOT_DIRECTORY", "dovecot"]

DOVECOT_DIRECTORY = "/etc/dovecot"

_MAIN_23 = """\
# Accounts of an iRedMail directory, for Dovecot 2.3. Include this at the end of dovecot.conf:
# lists of mail_plugins that come later have to name the plugins below again.
mail_uid = {uid}
mail_gid = {gid}
{services}
passdb {{
  driver = ldap
  args = {directory}/dovecot-ldap.conf.ext
}}
userdb {{
  driver = ldap
  args = {directory}/dovecot-ldap-userdb.conf.ext
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
{plugins}"""

# A field whose attribute is missing and has no default is an error: such mail waits.
_MAIN_24 = """\
# Accounts of an iRedMail directory, for Dovecot 2.4. Include this at the end of dovecot.conf.
{note}mail_uid = {uid}
mail_gid = {gid}
mail_plugins {{
  quota = yes
}}

{connect}passdb ldap {{
{tls}{verify}  filter = {login}
  fields {{
    user = %{{ldap:mail}}
    allow_nets = %{{ldap:allowNets | default('0.0.0.0/0,::/0,local')}}
{password}  }}
}}
userdb ldap {{
{tls}  ldap_connection_group = userdb
  filter = {login}
  fields {{
    user = %{{ldap:mail}}
    home = %{{ldap:homeDirectory | lower}}
    mail_driver = %{{ldap:mailboxFormat | default('maildir') | regexp('{not_a_word}', 'maildir')}}
    mail_path = ~/%{{ldap:mailboxFolder | default('Maildir') | regexp('{not_a_word}', 'Maildir')}}
    quota_storage_size = %{{ldap:mailQuota | default('0')}}B
  }}
  iterate_filter = {everybody}
  iterate_fields {{
    user = %{{ldap:mail}}
  }}
}}
quota "User quota" {{
}}
protocol imap {{
  mail_plugins {{
    imap_quota = yes
  }}
}}
"""

_WORD = "^[A-Za-z0-9]+$"
"""What iRedMail takes for the folder of a mailbox: no slash, no dots, no colon (options), no percent sign (variables)."""
_NOT_A_WORD_24 = "^[A-Za-z0-9]*[^A-Za-z0-9](.|[^.])*$"
"""The contrary, for the whole value: there a pattern is replaced, not chosen by. A dot may not stand for a line feed."""
_FORMATS = "^(maildir|mdbox|sdbox)$"


def _if_23(attribute: str, pattern: str, default: str) -> str:
    """Return an attribute if it is like a pattern, else a default. Commas would end the field."""
    value = f"%{{ldap:{attribute}:{default}}}"
    return f"%{{if;{value};~;{pattern};{value};{default}}}"


def _login(user: str, service: str) -> Filter:
    """Match the account that logs in or is delivered to, by its address or, if it may, by an alias address."""
    by_alias = all_of(has("shadowAddress", user), *serves("shadowaddress"))
    return all_of(kind("mailUser"), *live(service), any_of(has("mail", user), by_alias))


# A service is called by its protocol followed by nothing, "secured" (the connection needs no TLS) or "tls".
_LOGIN_23 = _login("%Lu", "%Ls%Lc")
_LOGIN_24 = _login("%{user | lower}", "%{protocol | lower}%{secured | lower}")
_EVERYBODY = all_of(kind("mailUser"), *live())


def dovecot(
    reader: LdapReader,
    *,
    version: Literal["2.3", "2.4"],
    auth_bind: bool,
    uid: int | str = "vmail",
    gid: int | str = "vmail",
    directory: str | os.PathLike[str] = DOVECOT_DIRECTORY,
) -> list[LookupFile]:
    """Return Dovecot's files: ``mailstore.conf``, to be included at the end of dovecot.conf, and those that it names.

    Parameters
    ----------
    reader: the account that Dovecot searches with; iRedMail's ``cn=vmail`` may read all that is needed.
    version: 2.3 has three files, 2.4 a single one. The latter is not run by our tests.
    auth_bind: let the directory verify passwords, by a bind as the user; else Dovecot reads the hash and verifies it.
        The two know different schemes.
    uid, gid: who owns the mail, by name or number.
    directory: where the files will lie.

    Raises ConfigurationError for values that Dovecot's syntax cannot express.
    """
    if version not in ("2.3", "2.4"):
        raise ConfigurationError(f"no Dovecot version {version!r}; known are 2.3, 2.4")
    owner = {"uid": str(uid), "gid": str(gid)}
    for name in owner.values():
        if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
            raise ConfigurationError(f"{name!r} cannot be the owner of mail")
    place = checked_directory(directory)
    if version == "2.4":
        return [_private("mailstore.conf", _file24(reader, auth_bind, owner))]
    connect, services = _connect23(reader), dovecot_delivery(uid)
    plugins = dovecot23_plugins("quota", imap=["imap_quota"])
    return [
        LookupFile("mailstore.conf", _MAIN_23.format(directory=place, services=services, plugins=plugins, **owner)),
        # Two files are two connections: on a single one, lookups would wait while a user is bound.
        _private("dovecot-ldap.conf.ext", connect + lines(_passdb23(auth_bind))),
        _private("dovecot-ldap-userdb.conf.ext", connect + lines(_userdb23())),
    ]


def _private(name: str, text: str) -> LookupFile:
    return LookupFile(name, text, FILE_MODE, "dovecot")


def _connect23(reader: LdapReader) -> str:
    found = {
        "uris": reader.server,
        "dn": _quoted(reader.bind_dn),
        "dnpass": _quoted(reader.shown_password),
        "base": _quoted(reader.base.replace("%", "%%")),  # of these the only one in which variables are expanded
    }
    if reader.start_tls:
        found["tls"] = "yes"
    if reader.encrypted and reader.tls_ca:
        found["tls_ca_cert_file"] = reader.tls_ca
    if reader.encrypted:
        found["tls_require_cert"] = "hard" if reader.tls_verify else "never"
    return reader.note + lines(found)


def _passdb23(auth_bind: bool) -> dict[str, str]:
    fields = "mail=user, allowNets=allow_nets"
    if auth_bind:
        # A template for the DN would save the search, but know neither alias addresses nor who may log in where.
        return {"auth_bind": "yes", "pass_filter": _LOGIN_23, "pass_attrs": fields}
    return {"pass_filter": _LOGIN_23, "pass_attrs": f"{fields}, userPassword=password"}


def _userdb23() -> dict[str, str]:
    fields = (
        "mail=user",
        "=home=%L{ldap:homeDirectory}",
        f"=mail={_if_23('mailboxFormat', _FORMATS, 'maildir')}:~/{_if_23('mailboxFolder', _WORD, 'Maildir')}",
        "=quota_rule=*:bytes=%{ldap:mailQuota:0}",
    )
    return {
        "user_filter": _LOGIN_23,
        "user_attrs": ", ".join(fields),
        "iterate_filter": _EVERYBODY,
        "iterate_attrs": "mail=user",
    }


def _file24(reader: LdapReader, auth_bind: bool, owner: dict[str, str]) -> str:
    if re.search("[%$]", reader.shown_password + reader.bind_dn + reader.base):
        raise ConfigurationError("Dovecot 2.4 cannot hold a password or a DN with % or $")
    connect = {
        "ldap_uris": reader.server,
        "ldap_auth_dn": _quoted(reader.bind_dn),
        "ldap_auth_dn_password": _quoted(reader.shown_password),
        "ldap_base": _quoted(reader.base),
    }
    return _MAIN_24.format(
        note=reader.note,
        connect=lines(connect),
        tls="".join(f"  {line}\n" for line in lines(_tls24(reader)).splitlines()),
        verify="  bind = yes\n" if auth_bind else "",
        password="" if auth_bind else "    password = %{ldap:userPassword}\n",
        login=_LOGIN_24,
        everybody=_EVERYBODY,
        not_a_word=_NOT_A_WORD_24,
        **owner,
    )


def _tls24(reader: LdapReader) -> dict[str, str]:
    found = {"ldap_starttls": "yes"} if reader.start_tls else {}
    if reader.encrypted and reader.tls_ca:
        found["ssl_client_ca_file"] = reader.tls_ca
    if reader.encrypted:
        found["ssl_client_require_valid_cert"] = "yes" if reader.tls_verify else "no"
    return found


def _quoted(text: str) -> str:
    """Return a value in quotes: outside of them a ``#`` would begin a comment, and blanks at the ends be lost."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
