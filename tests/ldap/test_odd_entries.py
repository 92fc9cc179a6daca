"""Whatever value slapd lets somebody write, in whatever attribute: the rest is served, checked, exported and purged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from ldap3 import MODIFY_REPLACE

from mailstore.ldap import ldif
from mailstore.ldap.iredmail.export.exporter import text
from mailstore.ldap.iredmail.export.tree import TreeExport
from mailstore.purge import purge_due
from tests.ldap_schema_facts import ATTRIBUTES, CLASSES
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

TOP = "dc=mailstore,dc=test"
COM = f"domainName=example.com,o=domains,{TOP}"
ODD = {
    "user": f"mail=odd@example.com,ou=Users,{COM}",
    "alias": f"mail=all@example.com,ou=Aliases,{COM}",
    "list": f"mail=team@example.com,ou=Groups,{COM}",
    "domain": COM,
    "admin": f"mail=chief@admins.net,o=domainAdmins,{TOP}",
    "catch-all": f"mail=@example.com,ou=Users,{COM}",
}
CLASS_OF = {"user": 3, "alias": 4, "list": 5, "domain": 1, "admin": 2, "catch-all": 3}
MORE = {"user": "cn sn givenName shadowLastChange employeeNumber departmentNumber mobile", "admin": "shadowLastChange"}
NAMES = {"mail", "domainName", "objectClass", "uid"}
"""What an entry is found and named by."""
VALUES: dict[str, tuple[str, ...]] = {
    "15": ("\u200b", "\x01\x1b[31m", "x" * 5000),
    "24": ("00010101000000Z", "99991231235959.9Z"),
    "26": ("", " ", "@", "a@", "/x/../y", "no address", "9" * 5000, "a\x00b", "%s:%s:-1", "defaultQuota:" + "9" * 30),
    "27": ("-1", "99999999", "-99999999", "9" * 30, "9" * 5000),
}
OTHERS = {"shadowLastChange": "27", "homeDirectory": "26", "gidNumber": "27", "memberUid": "26"}
SYNTAX = {attribute.name: attribute.syntax.partition("{")[0] for attribute in ATTRIBUTES} | OTHERS


def poison(kind: str) -> Iterator[tuple[str, str]]:
    """Iterate over attributes that an entry of some kind may have, each with every odd value."""
    names = next(found for found in CLASSES if found.number == CLASS_OF[kind]).may.split() + MORE.get(kind, "").split()
    for name in sorted(set(names) - NAMES):
        for value in VALUES.get(SYNTAX.get(name, "15"), ()):
            yield name, value


@pytest.fixture(scope="module")
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    """A directory with some of every kind, and a mailbox that is due."""
    found = cast("LdapRig", rigs("ldap"))
    found.clear()
    empty_homes(found)
    store = found.shared
    store.domains.create("example.com", catch_all=["fine@example.com"])
    store.domains.create("example.org")
    for address in ("odd@example.com", "fine@example.com", "gone@example.com"):
        store.accounts.create(address, password="x")
    store.aliases.create("all@example.com", members=["fine@example.com"])
    store.aliases.create("any@example.com", members=["fine@example.com"])
    store.lists.create("team@example.com", members=["fine@example.com", "far@elsewhere.net"])
    store.lists.create("crew@example.com", members=["fine@example.com"])
    store.admins.create("chief@admins.net", password="x", domains=["example.com"])
    store.admins.create("chef@admins.net", password="x", domains=["example.org"])
    store.accounts.delete("gone@example.com", keep_mailbox_days=0)
    return found


def read_everything(store: IRedMailDirectory) -> None:
    """Do all that reads more than one entry, and see that the others are there."""
    accounts = {account.address: account for account in store.accounts.list()}
    assert set(accounts) == {"odd@example.com", "fine@example.com"}
    assert store.accounts.count() == 2
    assert store.accounts.get("odd@example.com") == accounts["odd@example.com"]
    assert {domain.domain for domain in store.domains.list()} == {"example.com", "example.org"}
    store.domains.get("example.com")
    assert {alias.address for alias in store.aliases.list()} == {"all@example.com", "any@example.com"}
    store.aliases.get("all@example.com")
    assert {"team@example.com", "crew@example.com"} == {found.address for found in store.lists.list()}
    store.lists.get("team@example.com")
    assert {"chief@admins.net", "chef@admins.net"} <= {admin.address for admin in store.admins.list()}
    store.admins.get("chief@admins.net")
    assert "fine@example.com" in dict(store.accounts.homes())
    list(store.check())
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    (outcome,) = purge_due(store, today=tomorrow, dry_run=True)
    assert outcome.action == "would purge", outcome.reason
    names = {dn for dn, _ in ldif.parse("".join(text(TreeExport(store.context).everything())).splitlines())}
    assert set(ODD.values()) <= names


def changed(client: Any, dn: str, name: str, value: str) -> bool:
    """Write a value; return whether the server took it."""
    return bool(client.modify(dn, {name: [(MODIFY_REPLACE, [value.encode()])]}))


@pytest.mark.parametrize("kind", sorted(ODD))
def test_no_value_stops_the_rest(rig: LdapRig, kind: str) -> None:
    """All attributes at once, for each row of values; and one by one those that the driver computes with."""
    store, dn = rig.shared, ODD[kind]
    cases = [*poison(kind)]
    with rig.server.connect() as client:
        assert client.search(dn, "(objectClass=*)", "BASE", attributes=["*"])
        before = dict(client.response[0]["raw_attributes"])
        taken = 0
        for turn in range(max(map(len, VALUES.values()))):
            together = [case for index, case in enumerate(cases) if _turn(cases, index) == turn]
            taken += sum(changed(client, dn, *case) for case in together)
            read_everything(store)
            _put_back(client, dn, before)
        assert taken > len(cases) / 3


def _turn(cases: list[tuple[str, str]], index: int) -> int:
    return index - next(first for first, case in enumerate(cases) if case[0] == cases[index][0])


def _put_back(client: Any, dn: str, before: dict[str, list[bytes]]) -> None:
    client.search(dn, "(objectClass=*)", "BASE", attributes=["*"])
    now = client.response[0]["raw_attributes"]
    wanted = {
        name: [(MODIFY_REPLACE, before.get(name, []))] for name in {*now, *before} if now.get(name) != before.get(name)
    }
    assert not wanted or client.modify(dn, wanted), client.result


@pytest.mark.parametrize(
    ("attribute", "value", "field", "served"),
    [
        ("shadowLastChange", "99999999", "password_changed", None),
        ("homeDirectory", "/x/../y", "home", "/y"),
        ("mailQuota", "9" * 30, "quota", None),
        ("mailboxFolder", "../..", "mailbox_folder", "Maildir"),
        ("mailboxFormat", "mbox:/", "mailbox_format", "maildir"),
    ],
)
def test_a_neutral_value_is_served_and_marked(
    rig: LdapRig, attribute: str, value: str, field: str, served: str | None
) -> None:
    store = rig.shared
    with rig.server.connect() as client:
        assert client.search(ODD["user"], "(objectClass=*)", "BASE", attributes=["*"])
        before = dict(client.response[0]["raw_attributes"])
        assert changed(client, ODD["user"], attribute, value)
        found = store.accounts.get("odd@example.com")
        problems = [(finding.code, finding.subject) for finding in store.check() if attribute in finding.message]
        _put_back(client, ODD["user"], before)
    shown = getattr(found, field)
    assert (getattr(shown, "bytes", shown) if field == "quota" else shown) == served
    assert [problem.partition(" ")[0] for problem in found.problems] == [attribute]
    unsafe = attribute.startswith("mailbox")
    assert problems == [("unsafe-mailbox" if unsafe else "unreadable-value", "odd@example.com")]
    assert store.accounts.get("odd@example.com").problems == ()
