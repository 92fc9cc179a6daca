"""`check` follows mail as Postfix does: what leads nowhere or in a circle has many forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from mailstore.driver.routes import End, Routes
from mailstore.passwords import hash_password
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig
    from tests.stores import StoreRig

BOB = "bob@a.test"


@pytest.fixture(params=["sqlite", "mysql"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Rig:
    found = cast("Rig", rigs(request.param))
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def tree(store: IRedMailStore) -> IRedMailStore:
    store.domains.create("a.test")
    store.domains.add_alias_domains("a.test", ["aa.test"])
    store.accounts.create(BOB, password_hash=hash_password("x"))
    return store


def found(store: IRedMailStore) -> set[tuple[str, str]]:
    return {(finding.code, finding.subject) for finding in store.check()}


def test_a_catch_all_that_leads_somewhere(tree: IRedMailStore) -> None:
    for catch_all in ([BOB], ["bob@aa.test"], ["bob+x@a.test"], ["x@gmail.example"], [BOB, "nobody@b.test"]):
        tree.domains.update("a.test", catch_all=catch_all)
        assert found(tree) == set()


@pytest.mark.parametrize(
    "target", ["gone@a.test", "gone@aa.test", "off@a.test", "off+x@aa.test", "empty@a.test", "x@unserved.a.test"]
)
def test_a_catch_all_that_leads_nowhere(tree: IRedMailStore, target: str) -> None:
    tree.accounts.create("off@a.test", password_hash=hash_password("x"), enabled=False)
    tree.aliases.create("empty@a.test")
    tree.domains.update("a.test", catch_all=[target])
    assert found(tree) == {("catch-all-to-nowhere", "a.test"), ("alias-to-nowhere", target)}


@pytest.mark.parametrize(
    "rows",
    [
        [("one@a.test", "two@a.test"), ("two@a.test", "one@a.test")],
        [("one@a.test", "two@aa.test"), ("two@a.test", "One+x@A.test")],
        [("one@a.test", "gone@a.test"), ("a.test", "one@a.test")],
    ],
)
def test_circles(tree: IRedMailStore, rig: Rig, rows: list[tuple[str, str]]) -> None:
    for address, target in rows:
        if "@" in address:
            tree.aliases.create(address)
        rig.execute("DELETE FROM forwardings WHERE address = :address", address=address)
        rig.insert(
            "forwardings", address=address, forwarding=target, domain="a.test", dest_domain="a.test",
            is_list=int("@" in address),
        )  # fmt: skip
    assert found(tree) == {("mail-loop", address) for address, _ in rows}


def test_members_that_are_followed_are_not_reported(tree: IRedMailStore, rig: Rig) -> None:
    tree.aliases.create("board@a.test", members=["bob+x@a.test", "bob@aa.test"])
    rig.insert(
        "forwardings", address="board@a.test", forwarding="BOB@a.test", domain="a.test", dest_domain="a.test", is_list=1
    )
    assert found(tree) == set()
    tree.aliases.add_members("board@a.test", ["gone@aa.test"])
    assert found(tree) == {("alias-to-nowhere", "gone@aa.test")}


def test_settings_that_stop_the_panel(tree: IRedMailStore, rig: Rig) -> None:
    for bad in ("default_user_quota:abc;", "timezone:UTC+01:00;", "min_passwd_length:8 ;max_passwd_length:x;"):
        rig.execute("UPDATE domain SET settings = :bad", bad=bad)
        assert [finding.code for finding in rig.shared.check()] == ["bad-settings"]
    rig.execute("UPDATE domain SET settings = 'default_user_quota:1024;unknown:abc;'")
    rig.execute("UPDATE mailbox SET settings = 'create_max_users:ten;'")
    assert found(tree) == {("bad-settings", BOB)}
    rig.execute("UPDATE mailbox SET settings = ''")


def test_long_chains_and_circles_end() -> None:
    chain = {f"a{number}@x.test": [f"a{number + 1}@x.test"] for number in range(20_000)}
    routes = Routes(lambda name: chain.get(name, ()), lambda name: name == "a20000@x.test")
    assert routes.end("a0@x.test") == End(arrives=True, circles=False)
    ring = {"a": ["b", "c"], "b": ["a"], "c": ["c", "d"]}
    routes = Routes(lambda name: ring.get(name, ()), lambda name: name == "d")
    assert routes.end("a") == End(arrives=True, circles=True)
    assert routes.end("c") == End(arrives=True, circles=False)
