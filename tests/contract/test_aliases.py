"""Standalone alias accounts, as `mailstore.store.Aliases` promises them."""

from __future__ import annotations

from typing import Any

import pytest

from mailstore import AlreadyExists, Capability, Edit, InvalidAddress, InvalidValue, LimitExceeded, NotFound, Store
from tests.contract.hosting import host

pytestmark = pytest.mark.needs(Capability.ALIASES)

POLICIES = ["public", "domain", "subdomain", "membersonly", "moderatorsonly", "membersandmoderatorsonly"]


@pytest.fixture(autouse=True)
def domain(store: Store) -> str:
    host(store, "example.com")
    return "example.com"


@pytest.fixture
def sales(store: Store) -> str:
    store.aliases.create(
        "sales@example.com",
        name="Sales",
        members=["eve@other.org", "bob@example.com"],
        moderators=["*@example.com", "boss@other.org"],
        access_policy="domain",
    )
    return "sales@example.com"


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.EMPTY_ALIASES)
def test_create_returns_what_a_read_gives(store: Store) -> None:
    made = store.aliases.create(
        "Sales@Example.com", name="Verkauf", members=["Eve@other.org", "eve@OTHER.org"], access_policy="MembersOnly"
    )
    assert made == store.aliases.get("sales@example.com")
    assert (made.name, made.members, made.access_policy, made.moderators) == (
        "Verkauf",
        ("eve@other.org",),
        "membersonly",
        (),
    )
    assert store.aliases.create("empty@example.com") == store.aliases.get("empty@example.com")


@pytest.mark.needs(Capability.ACCESS_POLICY)
@pytest.mark.parametrize("policy", POLICIES)
def test_policies(store: Store, sales: str, policy: str) -> None:
    assert store.aliases.update(sales, access_policy=policy).access_policy == policy


@pytest.mark.needs(Capability.ACCESS_POLICY)
@pytest.mark.parametrize(
    "fields",
    [
        {"access_policy": "everyone"},
        {"members": ["x"]},
        {"members": "a@b.org"},
        {"moderators": ["*@"]},
        {"name": "a\x07"},
    ],
)
def test_bad_value(store: Store, fields: Any) -> None:
    with pytest.raises(InvalidValue):
        store.aliases.create("sales@example.com", **fields)
    assert not store.aliases.exists("sales@example.com")


@pytest.mark.needs(Capability.DOMAINS)
def test_bad_address_and_domain(store: Store) -> None:
    with pytest.raises(InvalidAddress):
        store.aliases.create("sales+x@example.com")
    with pytest.raises(NotFound):
        store.aliases.create("sales@nowhere.com")
    unknown: Any = {"goto": "x"}
    with pytest.raises(TypeError):
        store.aliases.create("sales@example.com", **unknown)


@pytest.mark.needs(Capability.ACCESS_POLICY)
def test_update_leaves_the_rest(store: Store, sales: str) -> None:
    before = store.aliases.get(sales)
    after = store.aliases.update(sales, name="New")
    assert after.name == "New"
    assert (after.members, after.moderators, after.access_policy) == (
        before.members,
        before.moderators,
        before.access_policy,
    )


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.EMPTY_ALIASES)
def test_members(store: Store, sales: str) -> None:
    store.aliases.add_members(sales, ["new@other.org", "bob@example.com"])
    store.aliases.remove_members(sales, ["eve@other.org", "nobody@other.org"])
    assert store.aliases.get(sales).members == ("bob@example.com", "new@other.org")
    store.aliases.update(sales, members=["only@other.org"], moderators=Edit(remove=["boss@other.org"]))
    alias = store.aliases.get(sales)
    assert (alias.members, alias.moderators) == (("only@other.org",), ("*@example.com",))
    assert store.aliases.update(sales, members=[]).members == ()


@pytest.mark.needs(Capability.DISABLING)
def test_disable_and_enable(store: Store, sales: str) -> None:
    assert not store.aliases.update(sales, enabled=False).enabled
    store.aliases.add_members(sales, ["while-disabled@other.org"])
    assert [alias.address for alias in store.aliases.list(enabled=False)] == [sales]
    assert store.aliases.update(sales, enabled=True).enabled


@pytest.mark.needs(Capability.DOMAINS, Capability.ACCOUNT_ALIASES)
def test_rename(store: Store, sales: str) -> None:
    store.aliases.create("all@example.com", members=[sales])
    store.accounts.create("ann@example.com", password="x", aliases=["taken@example.com"])
    before = store.aliases.get(sales)
    after = store.aliases.rename(sales, "verkauf@example.com")
    assert (after.members, after.moderators, after.name) == (before.members, before.moderators, before.name)
    assert not store.aliases.exists(sales)
    assert store.aliases.get("all@example.com").members == ("verkauf@example.com",)
    with pytest.raises(AlreadyExists):
        store.aliases.rename("verkauf@example.com", "taken@example.com")
    with pytest.raises(NotFound):
        store.aliases.rename("verkauf@example.com", "x@nowhere.com")
    host(store, "other.com")
    assert store.aliases.rename("verkauf@example.com", "sales@other.com").members == before.members


@pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.EMPTY_ALIASES)
def test_delete(store: Store, sales: str) -> None:
    store.aliases.create("all@example.com", members=[sales, "x@other.org"])
    store.accounts.create("ann@example.com", password="x", forwarding=[sales], keep_copy=False)
    store.aliases.delete(sales)
    assert store.aliases.get("all@example.com").members == ("x@other.org",)
    ann = store.accounts.get("ann@example.com")
    assert (ann.forwarding, ann.keep_copy) == ((), True)
    with pytest.raises(NotFound):
        store.aliases.delete(sales)
    fresh = store.aliases.create(sales)
    assert (fresh.members, fresh.moderators) == ((), ())


@pytest.mark.needs(Capability.DOMAIN_LIMITS)
def test_limit(store: Store, domain: str, sales: str) -> None:
    store.domains.update(domain, max_aliases=1)
    with pytest.raises(LimitExceeded):
        store.aliases.create("more@example.com")
    store.accounts.create("ann@example.com", password="x", aliases=["a@example.com"])
    store.domains.update(domain, max_aliases=2)
    store.aliases.create("more@example.com")
    store.domains.create("none.com", max_aliases=0)
    with pytest.raises(LimitExceeded):
        store.aliases.rename(sales, "sales@none.com")


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.DISABLING)
def test_list_and_count(store: Store, sales: str) -> None:
    store.aliases.create("all@example.com", name="Everybody", enabled=False)
    for query, found in (
        ({}, ["all@example.com", sales]),
        ({"search": "ales"}, [sales]),
        ({"search": "everyb"}, ["all@example.com"]),
        ({"enabled": True}, [sales]),
        ({"domain": "nowhere.com"}, []),
    ):
        selection: Any = query
        assert [alias.address for alias in store.aliases.list(**selection)] == found
        assert store.aliases.count(**selection) == len(found)
    assert [store.aliases.get(alias.address) for alias in store.aliases.list()] == list(store.aliases.list())
