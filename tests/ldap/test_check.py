"""What `check` finds in a tree that another tool has damaged, and that it finds nothing in a healthy one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE
from sqlalchemy import create_engine

from mailstore.ldap.iredmail.names.locks import LIFETIME_SECONDS, new_lock_value
from mailstore.ldap.iredmail.settings import LOCK_KEY
from mailstore.sql.iredmail.schema.tables import define
from tests.ldap.faults import Image
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

SUFFIX = "dc=mailstore,dc=test"
DOMAINS = f"o=domains,{SUFFIX}"
COM = f"domainName=example.com,{DOMAINS}"
ORG = f"domainName=example.org,{DOMAINS}"
ANN = f"mail=ann@example.com,ou=Users,{COM}"
BOB = f"mail=bob@example.org,ou=Users,{ORG}"
ALL = f"mail=all@example.com,ou=Aliases,{COM}"
TEAM = f"mail=team@example.com,ou=Groups,{COM}"
EXTERNAL = f"memberOfGroup=team@example.com,ou=Externals,{COM}"
CATCH_ALL = f"mail=@example.org,ou=Users,{ORG}"
CHIEF = f"mail=chief@admins.net,o=domainAdmins,{SUFFIX}"
OLD = f"{LOCK_KEY}:{int(time.time()) - LIFETIME_SECONDS - 1}:abcd"
PERSON = {"objectClass": ["inetOrgPerson", "mailUser"], "cn": "x", "sn": "x", "uid": "x", "enabledService": ["mail"]}


@dataclass
class Tool:
    """Another program that writes to the directory, without a thought for the rest."""

    connection: Any

    def add(self, dn: str, attributes: dict[str, Any]) -> None:
        self._done(self.connection.add(dn, attributes=attributes))

    def delete(self, dn: str) -> None:
        self._done(self.connection.delete(dn))

    def give(self, dn: str, attribute: str, *values: str) -> None:
        self._done(self.connection.modify(dn, {attribute: [(MODIFY_ADD, list(values))]}))

    def take(self, dn: str, attribute: str, *values: str) -> None:
        self._done(self.connection.modify(dn, {attribute: [(MODIFY_DELETE, list(values))]}))

    def put(self, dn: str, attribute: str, *values: str) -> None:
        self._done(self.connection.modify(dn, {attribute: [(MODIFY_REPLACE, list(values))]}))

    def _done(self, well: bool) -> None:
        assert well, self.connection.result


@pytest.fixture(scope="module")
def image(rigs: Callable[[str], StoreRig]) -> Image:
    """A directory with something of every kind, in which nothing is wrong."""
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    empty_homes(rig)
    populate(rig.shared)
    assert list(rig.shared.check()) == []
    return Image.take(rig)


@pytest.fixture
def rig(image: Image) -> LdapRig:
    """The directory, as it was."""
    image.put_back()
    return image.rig


@pytest.fixture
def tree(rig: LdapRig) -> IRedMailDirectory:
    """A store with something of every kind."""
    return rig.shared


def populate(store: IRedMailDirectory) -> None:
    store.domains.create("example.com", recipient_bcc="bob@example.org", max_accounts=5, quota="9G")
    store.domains.create("example.org", catch_all=["bob@example.org"])
    store.domains.create("off.org", enabled=False)
    store.accounts.create("bob@example.org", password="x", quota="1G")
    store.accounts.create(
        "ann@example.com", password="x", quota="1G", aliases=["anna@example.com", "ann@example.org"],
        forwarding=["bob@example.org", "far@elsewhere.net"], sender_bcc="bob+x@example.org",
    )  # fmt: skip
    store.accounts.create("cut@off.org", password="x")
    store.aliases.create("all@example.com", members=["ann@example.com", "anyone@example.org"])
    store.lists.create("team@example.com", members=["bob@example.org", "ann@example.com", "far@elsewhere.net"])
    store.domains.add_alias_domains("example.com", ["alias.com"])
    store.admins.create("chief@admins.net", password="x", domains=["example.com"], max_accounts=50)
    store.admins.promote("ann@example.com")
    store.admins.update("ann@example.com", password="x")  # in a scheme that the panel can verify


@pytest.fixture
def tool(rig: LdapRig, tree: IRedMailDirectory) -> Iterator[Tool]:
    """Another program, beside the populated store."""
    with rig.server.connect() as connection:
        yield Tool(connection)


Findings = set[tuple[str, str, str]]


def found(store: IRedMailDirectory) -> Findings:
    return {(finding.code, finding.subject, finding.severity) for finding in store.check()}


def domain(name: str, **attributes: Any) -> tuple[str, dict[str, Any]]:
    given = {"objectClass": "mailDomain", "domainName": name, "accountStatus": "active", "enabledService": "mail"}
    return f"domainName={name},{DOMAINS}", {**given, **attributes}


def units_missing(name: str) -> Findings:
    return {("no-unit", name, "error")}


Damage = Callable[[Tool], None]
CASES: dict[str, tuple[Damage, Findings]] = {
    "an address twice": (
        lambda tool: tool.give(BOB, "shadowAddress", "Anna@example.com"),
        {("two-holders", "anna@example.com", "error"), ("no-alias-domain-form", "anna@alias.com", "error")},
    ),
    "two addresses in one entry": (
        lambda tool: tool.give(BOB, "mail", "rob@example.org"), {("several-addresses", "bob@example.org", "error")},
    ),
    "an account below another domain": (
        lambda tool: tool.add(f"mail=x@example.org,ou=Users,{COM}", {**PERSON, "mail": "x@example.org"}),
        {("account-domain", "x@example.org", "error"), ("wrong-counter", "example.com", "notice")},
    ),
    "an account among the aliases": (
        lambda tool: tool.add(f"mail=x@example.org,ou=Aliases,{ORG}", {**PERSON, "mail": "x@example.org"}),
        {("misplaced", "x@example.org", "error"), ("wrong-counter", "example.org", "notice")},
    ),
    "an account under another name": (
        lambda tool: tool.add(f"uid=x,ou=Users,{ORG}", {**PERSON, "mail": "x@example.org"}),
        {("misplaced", "x@example.org", "error"), ("wrong-counter", "example.org", "notice")},
    ),
    "an account in no domain": (
        lambda tool: tool.add(f"mail=x@example.org,{DOMAINS}", {**PERSON, "mail": "x@example.org"}),
        {("misplaced", "x@example.org", "error")},
    ),
    "no name under the alias domain": (
        lambda tool: tool.take(ANN, "shadowAddress", "ann@alias.com"),
        {("no-alias-domain-form", "ann@alias.com", "error")},
    ),
    "no membership under the alias domain": (
        lambda tool: tool.take(BOB, "memberOfGroup", "team@alias.com"),
        {("no-alias-domain-form", "team@alias.com", "error")},
    ),
    "external members without the alias domain": (
        lambda tool: tool.take(EXTERNAL, "shadowAddress", "team@alias.com"),
        {("no-alias-domain-form", "team@alias.com", "error")},
    ),
    "addresses of an alias domain that is gone": (
        lambda tool: tool.take(COM, "domainAliasName", "alias.com"),
        {
            ("left-over", f"{name}@alias.com", "error") for name in ("ann", "anna", "all", "team")
        },
    ),
    "an alias domain twice": (
        lambda tool: tool.give(ORG, "domainAliasName", "alias.com"), {("two-holders", "alias.com", "error")},
    ),
    "an alias domain that is a domain": (
        lambda tool: tool.add(*domain("alias.com")),
        {("two-holders", "alias.com", "error"), *units_missing("alias.com")},
    ),
    "an admin of a domain is gone": (
        lambda tool: tool.delete(CHIEF), {("left-over", "chief@admins.net", "error")},
    ),
    "an admin of a domain that is no account": (
        lambda tool: tool.give(ORG, "domainAdmin", "gone@example.com"), {("left-over", "gone@example.com", "error")},
    ),
    "an admin without the mark": (
        lambda tool: tool.take(ANN, "enabledService", "domainadmin"), {("unmarked-admin", "ann@example.com", "notice")},
    ),
    "a list is gone": (
        lambda tool: tool.delete(TEAM),
        {
            ("left-over", "team@example.com", "error"), ("left-over", "team@alias.com", "error"),
            ("wrong-counter", "example.com", "notice"),
        },
    ),
    "external members of no list": (
        lambda tool: tool.add(
            f"memberOfGroup=x@example.org,ou=Externals,{ORG}",
            {"objectClass": "mailExternalUser", "memberOfGroup": "x@example.org", "mail": "far@elsewhere.net",
             "enabledService": ["mail"]},
        ),
        {("left-over", "x@example.org", "error")},
    ),
    "external members that are none": (
        lambda tool: tool.put(EXTERNAL, "mail"), {("no-members", EXTERNAL, "notice")},
    ),
    "a member by name that is gone": (
        lambda tool: tool.put(TEAM, "member", ANN.replace("ann", "gone"), "cn=far,dc=elsewhere"),
        {("left-over", ANN.replace("ann", "gone").lower(), "error")},
    ),
    "a unique member that is gone": (
        lambda tool: tool.put(TEAM, "uniqueMember", ANN.replace("Users", "Aliases")),
        {("left-over", ANN.replace("Users", "Aliases").lower(), "error")},
    ),
    "a disabled account of an enabled domain": (
        lambda tool: tool.put(ANN, "domainStatus", "disabled"), {("half-disabled", "ann@example.com", "error")},
    ),
    "an enabled account of a disabled domain": (
        lambda tool: tool.put(f"mail=cut@off.org,ou=Users,domainName=off.org,{DOMAINS}", "domainStatus"),
        {("half-disabled", "cut@off.org", "error")},
    ),
    "a domain without its units": (lambda tool: tool.add(*domain("bare.org")), units_missing("bare.org")),
    "an unfinished domain": (
        lambda tool: tool.give(ORG, "accountSetting", f"{OLD}:unfinished"),
        {("unfinished-domain", "example.org", "error")},
    ),
    "an old lock": (
        lambda tool: tool.give(COM, "accountSetting", OLD), {("interrupted", "example.com", "notice")},
    ),
    "an old lock of all domains": (
        lambda tool: tool.put(DOMAINS, "description", OLD), {("interrupted", DOMAINS, "notice")},
    ),
    "a lock that is held": (lambda tool: tool.give(COM, "accountSetting", new_lock_value()), set()),
    "a standalone admin in a domain": (
        lambda tool: tool.add(
            f"mail=x@alias.com,o=domainAdmins,{SUFFIX}", {"objectClass": "mailAdmin", "mail": "x@alias.com"}
        ),
        {("admin-in-domain", "x@alias.com", "error")},
    ),
    "a catch-all with services": (
        lambda tool: tool.put(CATCH_ALL, "enabledService", "mail", "deliver"),
        {("catch-all-services", "@example.org", "error")},
    ),
    "an account without mail": (
        lambda tool: tool.take(ANN, "enabledService", "mail"), {("no-mail-service", "ann@example.com", "notice")},
    ),
    "a domain without mail": (
        lambda tool: tool.take(COM, "enabledService", "mail"), {("no-mail-service", "example.com", "notice")},
    ),
    "a wrong counter": (
        lambda tool: tool.put(COM, "domainCurrentAliasNumber", "7"), {("wrong-counter", "example.com", "notice")},
    ),
    "too many accounts": (
        lambda tool: tool.give(ORG, "accountSetting", "numberOfUsers:-1"), {("over-allocated", "example.org", "notice")},
    ),
    "too many lists": (
        lambda tool: tool.give(COM, "accountSetting", "numberOfLists:-1"), {("over-allocated", "example.com", "notice")},
    ),
    "too much quota": (
        lambda tool: tool.put(ANN, "mailQuota", str(10 << 30)), {("over-allocated", "example.com", "notice")},
    ),
    "a hash of Dovecot's own": (
        lambda tool: tool.put(BOB, "userPassword", "{PBKDF2}$1$abc$1$def"),
        {("unusable-password", "bob@example.org", "notice")},
    ),
    "a hash under Dovecot's name": (
        lambda tool: tool.put(BOB, "userPassword", "{BLF-CRYPT}$2b$05$" + "a" * 53),
        {("unusable-password", "bob@example.org", "notice")},
    ),
    "a hash without its scheme": (
        lambda tool: tool.put(BOB, "userPassword", "$6$salt$hash"), {("unusable-password", "bob@example.org", "notice")},
    ),
    "an admin's hash that the panel cannot read": (
        lambda tool: tool.put(CHIEF, "userPassword", "{SSHA256}" + "a" * 64),
        {("admin-password", "chief@admins.net", "notice")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_damage_is_found(case: str, tree: IRedMailDirectory, tool: Tool) -> None:
    damage, expected = CASES[case]
    damage(tool)
    assert found(tree) == expected


@pytest.mark.parametrize(
    ("dn", "attribute", "code"),
    [
        (COM, "domainSenderBccAddress", "alias-to-nowhere"),
        (COM, "domainRecipientBccAddress", "alias-to-nowhere"),
        (ALL, "mailForwardingAddress", "alias-to-nowhere"),
        (BOB, "mailForwardingAddress", "alias-to-nowhere"),
        (BOB, "userSenderBccAddress", "alias-to-nowhere"),
        (BOB, "userRecipientBccAddress", "alias-to-nowhere"),
        (EXTERNAL, "mail", "alias-to-nowhere"),
        (BOB, "userManager", "dangling-reference"),
        (TEAM, "listAllowedUser", "dangling-reference"),
        (TEAM, "listModerator", "dangling-reference"),
        (TEAM, "listOwner", "dangling-reference"),
    ],
)
def test_references_to_nobody(dn: str, attribute: str, code: str, tree: IRedMailDirectory, tool: Tool) -> None:
    tool.put(dn, attribute, "gone@example.com")
    expected = {(code, "gone@example.com", "notice")}
    if (dn, attribute) == (BOB, "mailForwardingAddress"):  # what leads to him leads nowhere then
        expected |= {
            ("alias-to-nowhere", "bob@example.org", "notice"),
            ("catch-all-to-nowhere", "example.org", "notice"),
        }
    assert found(tree) == expected
    tool.put(dn, attribute, "ann@alias.com")
    assert {finding for finding in found(tree) if finding[0] != "mail-loop"} == set()  # she forwards to him


@pytest.mark.parametrize("value", ["far@elsewhere.net", "example.com", ".example.com", "*@example.com"])
def test_what_is_no_address_of_this_store_is_left_alone(value: str, tree: IRedMailDirectory, tool: Tool) -> None:
    tool.put(TEAM, "listAllowedUser", value)
    assert found(tree) == set()


def test_hashes_that_somebody_can_verify(tree: IRedMailDirectory, rig: LdapRig, tool: Tool) -> None:
    for value in ("{ssha512}" + "a" * 96, "{CRYPT}$6$salt$" + "a" * 86, "{CRYPT}$2b$05$" + "a" * 53, "plain text"):
        tool.put(BOB, "userPassword", value)
        assert found(tree) == set(), value
    with rig.open(login_by="lookup") as by_lookup:
        assert found(by_lookup) == {("unusable-password", "bob@example.org", "notice")}
        tool.put(BOB, "userPassword", "{ARGON2ID}$argon2id$v=19$m=16,t=2,p=1$MTIzNDU2Nzg$7CJyaYvMW8hiM0AZ0brpRA")
        assert found(by_lookup) == set()


def test_no_message_shows_a_password(tree: IRedMailDirectory, tool: Tool) -> None:
    for value in ("$6$salt$s3cr3t", "{s3cr3t", "{BLF-CRYPT}$2b$05$s3cr3t", "{CRYPT}s3cr3t", "s3cr3t", "{SSHA}s3cr3t"):
        tool.put(BOB, "userPassword", value)
        tool.put(CHIEF, "userPassword", value)
        assert not [finding for finding in tree.check() if "s3cr3t" in finding.message], value


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("used_quota", {"username": "gone@example.com", "domain": "example.com", "bytes": 1, "messages": 1}),
        ("last_login", {"username": "gone@example.com", "domain": "example.com", "imap": 1}),
        ("share_folder", {"from_user": "ann@example.com", "to_user": "gone@example.com"}),
        ("anyone_shares", {"from_user": "gone@example.com"}),
    ],
)
def test_rows_of_nobody(table: str, row: dict[str, Any], rig: LdapRig, tree: IRedMailDirectory, workdir: Path) -> None:
    url = f"sqlite:///{workdir / 'iredadmin.db'}"
    metadata, engine = define("sqlite"), create_engine(url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(metadata.tables[table].insert().values(row))
    engine.dispose()
    with rig.open(retention=url) as store:
        assert found(store) == {("left-over", "gone@example.com", "notice")}


def test_what_is_only_there_for_a_moment_is_no_error(
    tree: IRedMailDirectory, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.put(ANN, "domainStatus", "disabled")
    directory, search, starts = tree._context.directory, tree._context.directory.search, []

    def note(*arguments: Any, **options: Any) -> Any:
        starts.append(arguments)
        if len(starts) == 4:  # the second look: domains, admins, entries each
            tool.put(ANN, "domainStatus")
        return search(*arguments, **options)

    monkeypatch.setattr(directory, "search", note)
    assert found(tree) == set()


def test_nothing_is_changed(tree: IRedMailDirectory, rig: LdapRig, tool: Tool) -> None:
    tool.put(ANN, "domainStatus", "disabled")
    before = rig.server.dump()
    assert found(tree)
    assert rig.server.dump() == before
