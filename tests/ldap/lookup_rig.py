"""A directory with every kind of entry that a mail server looks up, written by hand, and real servers that read it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import bcrypt

from mailstore.driver.lookups import MAIN_CF, write
from mailstore.ldap import ldif
from mailstore.ldap.iredmail.lookups.dovecot import dovecot
from mailstore.ldap.iredmail.lookups.postfix import postfix
from mailstore.ldap.iredmail.lookups.reader import LdapReader
from mailstore.passwords import hash_password
from tests.readers import PostfixMaps
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import PostfixLookup
from tests.servers.process import make_directory
from tests.servers.slapd import SUFFIX, Slapd

PASSWORD = "pass wörd"
BASE = f"o=domains,{SUFFIX}"
UNITS = ("Users", "Groups", "Aliases", "Externals")

LOGIN_SERVICES = tuple(f"{name}{kind}" for name in ("smtp", "pop3", "imap", "sieve") for kind in ("", "secured", "tls"))
INNER_SERVICES = ("internal", "doveadm", "lib-storage", "indexer-worker", "dsync", "quota-status", "lda", "lmtp")
MAIL_SERVICES = ("mail", "deliver", "forward", "senderbcc", "recipientbcc", "shadowaddress")
SERVICES = (*LOGIN_SERVICES, *INNER_SERVICES, *MAIL_SERVICES, "displayedInGlobalAddressBook", "sogo")
ODD = "odd+#,x@example.com"
"""An address that has to be escaped in a name, and in some configuration files."""


@cache
def bcrypt_hash() -> str:
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@cache
def usual_hash() -> str:
    return hash_password(PASSWORD, "SSHA512", salt_bytes=8)


def stored_passwords() -> dict[str, str]:
    """What may be stored for `PASSWORD`, by the name of the account that has it."""
    return {
        "ssha512": usual_hash(),
        "cryptbcrypt": f"{{CRYPT}}{bcrypt_hash()}",
        "blfcrypt": f"{{BLF-CRYPT}}{bcrypt_hash()}",
        "sha512crypt": hash_password(PASSWORD, "SHA512-CRYPT"),
        "plain": PASSWORD,
    }


def escape(value: str) -> str:
    return re.sub(r'([,+"\\<>;=])', r"\\\1", value)


def domain_dn(domain: str) -> str:
    return f"domainName={domain},{BASE}"


def entry_dn(address: str, unit: str = "Users", key: str = "mail") -> str:
    return f"{key}={escape(address)},ou={unit},{domain_dn(address.partition('@')[2])}"


class Tree:
    """Collects entries as iRedMail's tools would write them; a keyword adds an attribute, None leaves one out."""

    def __init__(self, mail_root: Path) -> None:
        self._records: list[str] = []
        self._mail_root = mail_root

    def __str__(self) -> str:
        return "".join(ldif.document(self._records, version=False))

    def _add(self, dn: str, values: dict[str, Any]) -> None:
        lists = {name: [value] if isinstance(value, str) else list(value) for name, value in values.items() if value}
        self._records.append(ldif.record(dn, lists))

    def domain(self, name: str, **values: Any) -> None:
        defaults = {"mtaTransport": "dovecot", "enabledService": ["mail"], "accountStatus": "active", "cn": name}
        self._add(domain_dn(name), {"objectClass": "mailDomain", "domainName": name, **defaults, **values})
        for unit in UNITS:
            self._add(f"ou={unit},{domain_dn(name)}", {"objectClass": "organizationalUnit", "ou": unit})

    def user(self, address: str, *, without: str = "", **values: Any) -> None:
        """Add a mail user, `without` one of the services."""
        local, _, domain = address.partition("@")
        defaults = {
            "objectClass": ["inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"],
            "mail": address,
            "uid": local,
            "cn": local,
            "sn": local,
            "userPassword": usual_hash(),
            "homeDirectory": f"{self._mail_root}/{domain}/{local}-Stamp/",
            "accountStatus": "active",
            "enabledService": [name for name in SERVICES if name != without],
            "preferredLanguage": "en_US",
            "shadowLastChange": "20000",
            "amavisLocal": "TRUE",
            "mailboxFormat": "maildir",
            "mailboxFolder": "Maildir",
        }
        self._add(entry_dn(address), {**defaults, **values})

    def catch_all(self, domain: str, *targets: str, **values: Any) -> None:
        names = {"mail": f"@{domain}", "cn": "catch-all", "sn": "catch-all", "uid": "catch-all"}
        status = {"objectClass": ["inetOrgPerson", "mailUser"], "accountStatus": "active"}
        self._add(entry_dn(f"@{domain}"), {**names, **status, "mailForwardingAddress": targets, **values})

    def alias(self, address: str, *members: str, **values: Any) -> None:
        defaults = {"objectClass": "mailAlias", "mail": address, "accountStatus": "active"}
        services = {"enabledService": ["mail", "deliver"]}
        self._add(entry_dn(address, "Aliases"), {**defaults, **services, "mailForwardingAddress": members, **values})

    def list(self, address: str, **values: Any) -> None:
        defaults = {"objectClass": "mailList", "mail": address, "accountStatus": "active"}
        self._add(entry_dn(address, "Groups"), {**defaults, "enabledService": ["mail", "deliver"], **values})

    def mlmmj(self, address: str, **values: Any) -> None:
        local, _, domain = address.partition("@")
        transport = {"mtaTransport": f"mlmmj:{domain}/{local}", "mailingListID": "0-0"}
        self.list(address, **{"enabledService": ["mail", "deliver", "mlmmj"], **transport, **values})

    def externals(self, group: str, *members: str, **values: Any) -> None:
        defaults = {"objectClass": "mailExternalUser", "memberOfGroup": group, "accountStatus": "active"}
        services = {"enabledService": ["mail", "deliver"]}
        dn = entry_dn(group, "Externals", "memberOfGroup")
        self._add(dn, {**defaults, **services, "mail": members, **values})


BCC = {
    "userSenderBccAddress": "sender-{}@log.example",
    "userRecipientBccAddress": "recipient-{}@log.example",
}


def bcc(name: str) -> dict[str, str]:
    return {attribute: value.format(name) for attribute, value in BCC.items()}


def fill(tree: Tree) -> None:
    """Add every kind of entry that a mail server looks up, and its disabled sisters."""
    _domains(tree)
    _users(tree)
    _aliases_and_lists(tree)
    _without_one_service(tree)


def _domains(tree: Tree) -> None:
    everything = ["mail", "domainalias", "senderbcc", "recipientbcc"]
    bccs = {name.replace("user", "domain"): value.format("all") for name, value in BCC.items()}
    extras = {**bccs, "senderRelayHost": "[all.relay.example]:587"}
    tree.domain("example.com", enabledService=everything, domainAliasName="alias.example", **extras)
    off = {"accountStatus": "disabled", "domainAliasName": "ofoff.example"}
    tree.domain("off.example", enabledService=everything, **off, **extras)
    tree.domain("offmx.example", accountStatus="disabled", domainBackupMX="yes")
    relay = {"domainBackupMX": "yes", "mtaTransport": "relay:[mx.example.net]", "domainAliasName": "ofmx.example"}
    tree.domain("mx.example", enabledService=everything, **relay)
    tree.domain("mx2.example", **{**relay, "domainAliasName": "unprovedmx.example"})
    tree.domain("other.example", domainBackupMX="no", domainAliasName="unproved.example", **extras)
    tree.domain("nomail.example", enabledService=[name for name in everything if name != "mail"], **extras)
    tree.domain("nomailmx.example", enabledService=["domainalias"], domainBackupMX="yes")


def _users(tree: Tree) -> None:
    for name, stored in stored_passwords().items():
        tree.user(f"{name}@example.com", userPassword=stored)
    groups = ["team@example.com", "team@alias.example"]
    aliases = ["robert@example.com", "bob@alias.example", "robert@alias.example"]
    bob = {**bcc("bob"), "senderRelayHost": "[bob.relay.example]:587"}
    tree.user("bob@example.com", mailQuota="1048576", shadowAddress=aliases, memberOfGroup=groups, **bob)
    tree.user("kim@example.com", mailForwardingAddress=["kim@example.com", "kim@other.org"])
    tree.user("eve@example.com", mailForwardingAddress="eve@other.org", memberOfGroup="crew@example.com")
    tree.user("cut@example.com", accountStatus="disabled", mtaTransport="smtp:[x.example.net]", **bob)
    tree.user("nostatus@example.com", accountStatus=None)
    tree.user("moved@example.com", mtaTransport="smtp:[other.example.net]")
    tree.user("net@example.com", allowNets="10.0.0.0/8,192.0.2.7")
    tree.user("homeless@example.com", homeDirectory=None)
    tree.user(ODD)
    for name in ("star*", "paren(", "back\\slash"):
        tree.user(f"{name}@example.com")
    tree.user("zoe@other.example", memberOfGroup=["team@example.com"])
    # What disabling a domain leaves on its accounts.
    member = {"memberOfGroup": "team@example.com", "mtaTransport": "smtp:[x.example.net]"}
    tree.user("dan@off.example", domainStatus="disabled", **member, **bob)
    tree.user("mia@mx.example", memberOfGroup="oldcrew@example.com")


def _aliases_and_lists(tree: Tree) -> None:
    members = ["bob@example.com", "ann@other.org"]
    # The second group is itself: what old versions left behind.
    groups = ["team@example.com", "sales@alias.example"]
    tree.alias("sales@example.com", *members, shadowAddress="sales@alias.example", memberOfGroup=groups)
    tree.alias("oldsales@example.com", *members, accountStatus="disabled")
    tree.alias("sales@off.example", *members, domainStatus="disabled")
    tree.catch_all("example.com", "kim@example.com", shadowAddress="@alias.example")
    tree.catch_all("off.example", "kim@example.com", domainStatus="disabled")
    tree.catch_all("other.example", "kim@example.com", accountStatus="disabled")
    tree.list("team@example.com", shadowAddress="team@alias.example", mtaTransport="smtp:[x.example.net]")
    tree.externals("team@example.com", "x@other.org", "y@other.org", shadowAddress="team@alias.example")
    tree.list("crew@example.com", memberOfGroup="team@example.com")
    tree.externals("crew@example.com", "z@other.org", accountStatus="disabled")
    tree.list("oldcrew@example.com", memberOfGroup="team@example.com", accountStatus="disabled")
    tree.list("empty@example.com")
    tree.mlmmj("list@example.com", shadowAddress="list@alias.example")
    tree.mlmmj("oldlist@example.com", accountStatus="disabled")


def lacking(service: str) -> str:
    """Return the address of the account that has all services but one; `alias-` before it is its alias address."""
    return f"no-{service}@example.com"


def _without_one_service(tree: Tree) -> None:
    everything = {**bcc("no"), "mtaTransport": "no:no", "senderRelayHost": "no"}
    for service in SERVICES:
        address = lacking(service)
        forwarding = {"mailForwardingAddress": [address, "no@other.org"], "shadowAddress": f"alias-{address}"}
        tree.user(address, without=service, **forwarding, **everything)


def reader_of(slapd: Slapd, **values: Any) -> LdapReader:
    """Return the account of a slapd that mail servers read with; `values` are other ones of `LdapReader`."""
    login = slapd.bind("vmail")
    base = f"o=domains,{slapd.suffix}"
    usual = {"server": slapd.url, "bind_dn": login.dn, "password": login.password, "base": base}
    return LdapReader(**{**usual, **values})


@dataclass(frozen=True)
class Site:
    """A directory with all of these entries."""

    slapd: Slapd
    directory: Path
    owner: tuple[int, int]

    @property
    def mail_root(self) -> Path:
        return self.directory / "mail"

    def reader(self, **values: Any) -> LdapReader:
        """Return the account that mail servers read with."""
        return reader_of(self.slapd, **values)

    @contextmanager
    def changed(self, dn: str, **values: str | None) -> Iterator[None]:
        """Change an entry for a moment; None removes the attribute."""
        with self.slapd.connect() as connection:
            assert connection.search(dn, "(objectClass=*)", "BASE", attributes=list(values))
            before = connection.response[0]["raw_attributes"]
            self._replace(connection, dn, {name: [value] if value else [] for name, value in values.items()})
            try:
                yield
            finally:
                self._replace(connection, dn, {name: before.get(name, []) for name in values})

    def _replace(self, connection: Any, dn: str, values: dict[str, list[Any]]) -> None:
        assert connection.modify(dn, {name: [("MODIFY_REPLACE", new)] for name, new in values.items()}), dn


@contextmanager
def site_in(directory: Path, owner: tuple[int, int]) -> Iterator[Site]:
    """Run a slapd with the entries above."""
    tree = Tree(make_directory(directory / "mail", *owner))
    fill(tree)
    with Slapd(directory / "slapd") as slapd:
        slapd.load(str(tree))
        yield Site(slapd, directory, owner)


class LdapMaps(PostfixMaps):
    """The maps that `lookups postfix` writes for a directory, in the order of its main.cf."""

    def __init__(self, directory: Path, reader: LdapReader, *, account_relays: bool = False) -> None:
        """`account_relays` switches on what an administrator has to."""
        files = postfix(reader, directory=directory)
        self._type = "ldap"
        self._texts = {Path(file.name).stem: file.text for file in files if file.name.endswith(".cf")}
        self._postmap = PostfixLookup(directory / "postmap")
        self._directory = make_directory(directory / "main")
        main_cf = self._directory / "main.cf"
        text = next(file.text for file in files if file.name == MAIN_CF)
        main_cf.write_text(text.replace("\n#  ", "\n  ") if account_relays else text)
        past = time.time() - 10
        os.utime(main_cf, (past, past))  # Postfix would reread a fresh file for two seconds

    @property
    def names(self) -> list[str]:
        """The names of all maps."""
        return list(self._texts)


def dovecot_for(directory: Path, reader: LdapReader, owner: tuple[int, int], *, auth_bind: bool) -> Dovecot:
    """Return a Dovecot that reads a directory; it is not started yet.

    Parameters
    ----------
    directory: of this server, below `scratch_root`; ``mail_root`` in it may take the homes.
    reader: the account to search with.
    owner: uid and gid of the mail.
    auth_bind: let slapd verify passwords.
    """
    uid, gid = owner
    confdir = directory / "conf"
    files = dovecot(reader, version="2.3", auth_bind=auth_bind, uid=uid, gid=gid, directory=confdir)
    texts = {file.name: file.text for file in files}
    rig = Dovecot(directory, include="!include mailstore.conf\n", files=texts, vmail_uid=uid, vmail_gid=gid)
    write(files, confdir, force=True)  # once more, now with the modes that a real installation has
    return rig
