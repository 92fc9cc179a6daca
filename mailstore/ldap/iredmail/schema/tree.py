"""What somebody needs who sets up a directory for mail: schema files, a configuration of slapd, and the tree to start with.

All of it is text; nothing here writes files or talks to a server. Our own tests run on a server with exactly this
configuration and this tree.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mailstore.errors import InvalidValue
from mailstore.ldap import ldif
from mailstore.ldap.names import DN, dn, parse_dn, rdn, rdn_value, same_dn

__all__ = [
    "ADMINS",
    "DOMAINS",
    "MANAGER",
    "READER",
    "WRITER",
    "Tls",
    "empty_tree",
    "schema_files",
    "server_configuration",
]

DOMAINS = "o=domains"
ADMINS = "o=domainAdmins"
MANAGER = "cn=Manager"
READER = "cn=vmail"
WRITER = "cn=vmailadmin"

_GIB = 1 << 30
_STANDARD_SCHEMAS = ("core", "cosine", "inetorgperson", "nis")
_SCHEMAS = ("amavis", "iredmail")

_INDEXES = {
    "eq": "objectClass entryCSN entryUUID listModerator listOwner userManager",
    "eq,pres": (
        "uid uidNumber gidNumber memberUid member uniqueMember loginShell homeDirectory mailMessageStore "
        "shadowLastChange domainMaxUserNumber"
    ),
    "eq,pres,sub": (
        "ou cn sn givenName displayName mail telephoneNumber mobile departmentNumber employeeNumber nisMapName nisMapEntry "
        "domainName domainAliasName domainAdmin domainGlobalAdmin domainBackupMX domainSenderBccAddress "
        "domainRecipientBccAddress accountStatus enabledService disabledService mtaTransport accessPolicy hasMember "
        "listAllowedUser mailingListID mailForwardingAddress shadowAddress backupMailAddress memberOfGroup "
        "userSenderBccAddress userRecipientBccAddress"
    ),
}
"""Those of iRedMail, and under "eq" also the attributes that are searched for what refers to a deleted address."""

_HIDDEN = "domainAdmin domainGlobalAdmin mailForwardingAddress employeeNumber recoveryEmail accountSetting"
_PATHS = "homeDirectory storageBaseDirectory mailMessageStore mailboxFormat mailboxFolder"
_OWN = "cn sn givenName telephoneNumber shadowLastChange"
"""All that users may write, besides their passwords: how they are called, and when they changed their password, which
whatever changes it for them notes. Mail servers and panels believe all the rest."""

_CONFIGURATION = """\
{includes}

pidfile {pid_file}
argsfile {arguments_file}
{modules}
{tls}
# Everybody who reads has to say who he is.
disallow bind_anon
require LDAPv3
sizelimit {size_limit}

database mdb
suffix {suffix}
rootdn {manager}
{password}
directory {directory}
maxsize {max_size}
checkpoint 128 3
{sync}
{indexes}

{access}
database monitor
access to *
    by dn.exact={manager} read
    by * none
"""

# The first rule that names an entry and an attribute decides, and in it the first "by" that names the user.
# In rules for a domain, $2 is its name. The parts of a DN are compared by slapd; a pattern made from the name would take
# the users of a-b.example for those of a.b.example.
_ACCESS = """\
# Passwords: for their owner, not for others of the domain.
access to dn.regex={in_domain} attrs=userPassword
    by dn.exact={writer} write
    by dn.exact={reader} read
    by anonymous auth
    by self write
    by dn.onelevel={admins} set.expand={domain_admins} write
    by * none

# Where mail lies is for mail servers only: a path that is known can be guessed at, one that is written leads elsewhere.
access to dn.regex={in_domain} attrs={paths}
    by dn.exact={writer} write
    by dn.exact={reader} read
    by * none

# Private, and who is an admin.
access to dn.regex={in_domain} attrs={hidden}
    by dn.exact={writer} write
    by dn.exact={reader} read
    by self read
    by dn.onelevel={admins} set.expand={domain_admins} write
    by * none

# What users may change of their own entry, and the others of their domain may read.
access to dn.regex={in_domain} attrs={own}
    by dn.exact={writer} write
    by dn.exact={reader} read
    by self write
    by dn.onelevel,expand={users} read
    by dn.onelevel={admins} set.expand={domain_admins} write
    by * none

# All else in a domain.
access to dn.regex={in_domain}
    by dn.exact={writer} write
    by dn.exact={reader} read
    by dn.onelevel,expand={users} read
    by dn.onelevel={admins} set.expand={domain_admins} write
    by * none

# Admins without a mailbox may log in.
access to dn.subtree={admins} attrs=userPassword
    by dn.exact={writer} write
    by dn.exact={reader} read
    by anonymous auth
    by * none

access to dn.subtree={admins}
    by dn.exact={writer} write
    by dn.exact={reader} read
    by * none

access to dn.subtree={domains}
    by dn.exact={writer} write
    by dn.exact={reader} read
    by * none

# The two accounts of services may log in; nobody reads or changes them over LDAP but the manager.
access to dn.children={suffix} attrs=userPassword
    by anonymous auth
    by * none

access to dn.base={suffix}
    by dn.exact={writer} read
    by dn.exact={reader} read
    by * none

access to *
    by * none
"""


@dataclass(frozen=True)
class Tls:
    """The files that a server needs for StartTLS and ldaps."""

    authority: str
    certificate: str
    key: str


def schema_files() -> Mapping[str, str]:
    """Return the schema files for slapd.conf, by name; they follow core, cosine, inetorgperson and nis."""
    folder = importlib.resources.files("mailstore.ldap.iredmail") / "schema"
    return {f"{name}.schema": (folder / f"{name}.schema").read_text(encoding="utf-8") for name in _SCHEMAS}


def server_configuration(
    suffix: str,
    directory: str,
    *,
    schema_directory: str,
    standard_schemas: str = "/etc/ldap/schema",
    run_directory: str = "/run/slapd",
    module_directory: str = "/usr/lib/ldap",
    modules: Sequence[str] = ("back_mdb", "pw-sha2"),
    manager_hash: str | None = None,
    tls: Tls | None = None,
    max_size: int = 2 * _GIB,
    size_limit: int | None = None,
    sync: bool = True,
) -> str:
    """Return a slapd.conf for a directory of mail accounts.

    Parameters
    ----------
    suffix: the DN at the top.
    directory: where the database is kept.
    schema_directory: where the files of `schema_files` were put.
    standard_schemas: where slapd's own schema files are.
    run_directory: for the files that tell the running server's pid and arguments.
    module_directory: where slapd's modules are.
    modules: to load; pw-sha2 is what verifies {SSHA256} and {SSHA512}, and none are needed if slapd has them built in.
    manager_hash: password hash of the manager, who may do everything; without one nobody can log in as the manager.
    max_size: the most that the database file may grow to, in bytes.
    size_limit: the most entries that a search returns; None is no limit.
    sync: without it a crash of the machine, not of the server, may lose or damage the database.
    """
    top = parse_dn(suffix)
    files = [f"{standard_schemas}/{name}.schema" for name in _STANDARD_SCHEMAS]
    files += [f"{schema_directory}/{name}.schema" for name in _SCHEMAS]
    return _CONFIGURATION.format(
        includes="\n".join(f"include {_word(file)}" for file in files),
        pid_file=_word(f"{run_directory}/slapd.pid"),
        arguments_file=_word(f"{run_directory}/slapd.args"),
        modules=_module_lines(module_directory, modules) if modules else "",
        tls=_tls_lines(tls) if tls else "",
        size_limit="unlimited" if size_limit is None else size_limit,
        suffix=_word(top),
        manager=_word(_below(MANAGER, top)),
        password=f"rootpw {_word(manager_hash)}" if manager_hash else "# No rootpw: nobody can log in as the manager.",
        directory=_word(directory),
        max_size=max_size,
        sync="" if sync else "dbnosync\n",
        indexes="\n".join(f"index {','.join(names.split())} {kinds}" for kinds, names in _INDEXES.items()),
        access=_access(top),
    )


def _module_lines(directory: str, modules: Sequence[str]) -> str:
    loads = (f"moduleload {_word(module)}\n" for module in modules)
    return f"\nmodulepath {_word(directory)}\n{''.join(loads)}"


def _tls_lines(tls: Tls) -> str:
    files = {
        "TLSCACertificateFile": tls.authority,
        "TLSCertificateFile": tls.certificate,
        "TLSCertificateKeyFile": tls.key,
    }
    return "".join(f"{name} {_word(path)}\n" for name, path in files.items())


def _access(suffix: DN) -> str:
    admins = _below(ADMINS, suffix)
    return _ACCESS.format(
        suffix=_word(suffix),
        domains=_word(_below(DOMAINS, suffix)),
        admins=_word(admins),
        reader=_word(_below(READER, suffix)),
        writer=_word(_below(WRITER, suffix)),
        # The database has one suffix: what follows o=domains needs no comparing.
        in_domain=_word(f"^(.+,)?domainName=([^,]+),{DOMAINS},"),
        users=_word(f"ou=Users,domainName=$2,{DOMAINS},{suffix.replace('$', '$$')}"),
        domain_admins=_word(f"[ldap:///{quote(admins, safe='=,')}??one?(mail=*@$2)]/entryDN & user"),
        paths=_PATHS.replace(" ", ","),
        hidden=_HIDDEN.replace(" ", ","),
        own=_OWN.replace(" ", ","),
    )


def _word(text: str) -> str:
    """Quote a word of slapd.conf; there a backslash takes any meaning from what follows it, within quotes and without."""
    if not text.isprintable():
        raise InvalidValue(f"{text!r} cannot be written into slapd.conf")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped if re.fullmatch(r"[\w./-]+", escaped, re.ASCII) else f'"{escaped}"'


def empty_tree(suffix: str, *, reader_hash: str, writer_hash: str) -> str:
    """Return the entries that every directory starts with, as LDIF for slapadd.

    Parameters
    ----------
    suffix: a DN that starts with ``dc=`` or ``o=``.
    reader_hash: password hash of cn=vmail, with which mail servers read.
    writer_hash: password hash of cn=vmailadmin, with which mailstore and panels write.
    """
    top = parse_dn(suffix)
    entries = {
        top: _top(top),
        _below(READER, top): _service(READER, reader_hash),
        _below(WRITER, top): _service(WRITER, writer_hash),
        _below(DOMAINS, top): _organization(DOMAINS),
        _below(ADMINS, top): _organization(ADMINS),
    }
    records = (ldif.record(name, attributes) for name, attributes in entries.items())
    return "".join(ldif.document(records, version=False))


def _below(rdn_text: str, base: DN) -> DN:
    return DN(f"{rdn_text},{base}")


def _top(suffix: DN) -> Mapping[str, Sequence[str]]:
    value = rdn_value(suffix)
    if same_dn(rdn(suffix), dn(("o", value))):
        return {"objectClass": ["organization"], "o": [value]}
    if same_dn(rdn(suffix), dn(("dc", value))):
        return {"objectClass": ["dcObject", "organization"], "dc": [value], "o": [value]}
    raise InvalidValue(f"the suffix has to start with dc= or o=: {suffix}")


def _organization(rdn_text: str) -> Mapping[str, Sequence[str]]:
    return {"objectClass": ["organization"], "o": [rdn_text.partition("=")[2]]}


def _service(rdn_text: str, password_hash: str) -> Mapping[str, Sequence[str]]:
    name = rdn_text.partition("=")[2]
    return {
        "objectClass": ["person", "shadowAccount"],
        "cn": [name],
        "sn": [name],
        "uid": [name],
        "userPassword": [password_hash],
    }
