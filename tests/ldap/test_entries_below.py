"""What other tools put below an account, an alias or a list goes, moves and comes back with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore.ldap import ldif
from mailstore.ldap.changes import Changes
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

COM = "domainName=example.com,o=domains,dc=mailstore,dc=test"
ANN = f"mail=ann@example.com,ou=Users,{COM}"
BOOK = f"ou=book,{ANN}"
CARD = f"cn=Bob,{BOOK}"
PHOTO = b"\xff\xd8\x00\xff"


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    found = cast("LdapRig", rigs("ldap"))
    found.clear()
    empty_homes(found)
    found.shared.domains.create("example.com")
    found.shared.accounts.create("ann@example.com", password="x")
    return found


@pytest.fixture
def store(rig: LdapRig) -> IRedMailDirectory:
    return rig.shared


def add_below(rig: LdapRig, above: str) -> None:
    with rig.server.connect() as client:
        assert client.add(f"ou=book,{above}", ["organizationalUnit"]), client.result
        card: dict[str, Any] = {"sn": "B", "jpegPhoto": PHOTO, "description": ["one", "two"]}
        assert client.add(f"cn=Bob,ou=book,{above}", ["inetOrgPerson"], card), client.result


def entries(rig: LdapRig) -> dict[str, Any]:
    """Return what the directory holds, by name, without what the server notes."""
    found = {}
    for dn, attributes in ldif.parse(rig.server.dump().splitlines()):
        kept = {name: sorted(values) for name, values in attributes.items() if "entry" not in name.lower()}
        found[dn] = {name: values for name, values in kept.items() if not name.lower().endswith(("timestamp", "name"))}
    return found


def test_an_account_goes_and_comes_back_with_them(rig: LdapRig, store: IRedMailDirectory) -> None:
    add_below(rig, ANN)
    before = entries(rig)
    record = store.accounts.delete("ann@example.com")
    assert record is not None
    assert not {ANN, BOOK, CARD} & entries(rig).keys()
    store.deleted.restore(record.id)
    after = entries(rig)
    assert {BOOK, CARD} <= after.keys()
    assert [after[dn] for dn in (BOOK, CARD)] == [before[dn] for dn in (BOOK, CARD)]


def test_they_move_with_a_rename(rig: LdapRig, store: IRedMailDirectory) -> None:
    store.domains.create("example.org")
    add_below(rig, ANN)
    store.accounts.rename("ann@example.com", "anna@example.org")
    moved = "mail=anna@example.org,ou=Users,domainName=example.org,o=domains,dc=mailstore,dc=test"
    assert f"cn=Bob,ou=book,{moved}" in entries(rig)
    record = store.accounts.delete("anna@example.org")
    assert record is not None
    store.deleted.restore(record.id)
    assert f"cn=Bob,ou=book,{moved}" in entries(rig)


def test_a_domain_keeps_them_in_the_records_of_its_accounts(rig: LdapRig, store: IRedMailDirectory) -> None:
    add_below(rig, ANN)
    store.domains.delete("example.com")
    (record,) = store.deleted.list()
    store.domains.create("example.com")
    store.deleted.restore(record.id)
    assert {BOOK, CARD} <= entries(rig).keys()


@pytest.mark.parametrize(("collection", "unit"), [("aliases", "Aliases"), ("lists", "Groups")])
def test_aliases_and_lists_go_with_them(rig: LdapRig, store: IRedMailDirectory, collection: str, unit: str) -> None:
    getattr(store, collection).create("all@example.com", members=["ann@example.com"])
    dn = f"mail=all@example.com,ou={unit},{COM}"
    add_below(rig, dn)
    getattr(store, collection).delete("all@example.com")
    assert not [name for name in entries(rig) if name.endswith(dn)]


def test_a_deletion_that_fails_in_between_puts_them_back(
    rig: LdapRig, store: IRedMailDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_below(rig, ANN)
    before = entries(rig)
    original, seen = Changes._delete, []

    def fail(self: Changes, entry: Any, only_if: Any) -> None:
        seen.append(entry.dn)
        if len(seen) == 3:  # the entry itself failed, the innermost is gone
            raise RuntimeError("interrupted")
        original(self, entry, only_if)

    monkeypatch.setattr(Changes, "_delete", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        store.accounts.delete("ann@example.com")
    assert entries(rig) == before
    assert store.deleted.count() == 0
