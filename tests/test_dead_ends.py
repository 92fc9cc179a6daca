"""What leads nowhere, or to itself, over more than one step, is named on stores that are not iRedMail's in SQL, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore import Store

BOB = "bob@a.example.net"
DEAD_ENDS = {"mail-loop", "catch-all-to-nowhere", "alias-to-nowhere"}


def opened(rigs: Callable[[str], StoreRig], name: str) -> Any:
    rig = rigs(name)
    rig.clear()
    empty_homes(rig)
    host(rig.shared, "a.example.net", "b.example.net")
    for address in (BOB, "ann@b.example.net"):
        rig.shared.accounts.create(address, password="secret-1")
    return rig


def found(store: Store) -> set[tuple[str, str]]:
    return {(finding.code, finding.subject) for finding in store.check() if finding.code in DEAD_ENDS}


@pytest.mark.parametrize("name", ["ldap", "mailinabox", "atmail"])
def test_circles_and_chains(name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = opened(rigs, name)
    store = rig.shared
    store.aliases.create("all@a.example.net", members=[BOB, "team@b.example.net"])
    store.aliases.create("team@b.example.net", members=["all+x@a.example.net", "far@gmail.com"])
    store.aliases.create("fine@a.example.net", members=["team2@b.example.net"])
    store.aliases.create("team2@b.example.net", members=[BOB])
    store.aliases.create("one@a.example.net", members=["two@a.example.net"])
    store.aliases.create("two@a.example.net", members=["gone@a.example.net"])
    seen = found(store)
    assert {subject for code, subject in seen if code == "mail-loop"} == {"all@a.example.net", "team@b.example.net"}
    assert ("alias-to-nowhere", "two@a.example.net") in seen  # where one leads, which has a destination
    assert not {"fine@a.example.net", "team2@b.example.net", BOB, "far@gmail.com"} & {subject for _, subject in seen}
    store.aliases.update("two@a.example.net", members=[BOB])
    store.aliases.update("team@b.example.net", members=["far@gmail.com"])
    assert found(store) == set()


def test_catch_alls_of_a_directory(rigs: Callable[[str], StoreRig]) -> None:
    store = opened(rigs, "ldap").shared
    store.domains.add_alias_domains("a.example.net", ["aa.example.net"])
    store.accounts.create("off@a.example.net", password="x", enabled=False)
    for target in ("bob@aa.example.net", "bob+x@a.example.net", "x@gmail.com"):
        store.domains.update("a.example.net", catch_all=[target])
        assert found(store) == set()
    for target in ("gone@b.example.net", "off@a.example.net", "off@aa.example.net", "x@unserved.a.example.net"):
        store.domains.update("a.example.net", catch_all=[target])
        assert ("catch-all-to-nowhere", "a.example.net") in found(store), target


def test_catch_alls_of_a_box(rigs: Callable[[str], StoreRig]) -> None:
    store = opened(rigs, "mailinabox").shared
    store.aliases.create("@a.example.net", members=[BOB])
    store.aliases.create("@aa.example.net", members=["@a.example.net"])
    assert found(store) == set()
    store.aliases.update("@a.example.net", members=["gone@b.example.net"])
    assert ("catch-all-to-nowhere", "a.example.net") in found(store)
    store.aliases.update("@a.example.net", members=["@aa.example.net"])
    assert {("mail-loop", "a.example.net"), ("mail-loop", "aa.example.net")} <= found(store)


def test_domains_of_atmail_that_stand_for_others(rigs: Callable[[str], StoreRig]) -> None:
    rig = opened(rigs, "atmail")
    rig.shared.domains.add_alias_domains("a.example.net", ["aa.example.net"])
    rig.shared.aliases.create("all@a.example.net", members=["bob@aa.example.net"])
    assert ("mail-loop", "all@a.example.net") not in found(rig.shared)
    rig.shared.accounts.update(BOB, forwarding=["all@aa.example.net"], keep_copy=False)
    assert {("mail-loop", "all@a.example.net"), ("mail-loop", BOB)} <= found(rig.shared)
    rig.shared.accounts.update(BOB, keep_copy=True)
    assert ("mail-loop", BOB) in found(rig.shared)  # Postfix expands until it sees an address of its own again
