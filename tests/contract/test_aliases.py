"""Standalone alias accounts, as `mailstore.store.Aliases` promises them."""

from __future__ import annotations

from typing import Any

import pytest

from mailstore import AlreadyExists, Capability, Edit, InvalidAddress, InvalidValue, LimitExceeded, NotFound, Store
from tests.contract.hosting import host
from tests.tables import in_turn

pytestmark = pytest.mark.needs(Capability.ALIASES)

POLICIES = ["public", "domain", "subdomain", "membersonly", "moderatorsonly", "membersandmoderatorsonly"]


@pytest.fixture(autouse=True)
def domain(store: Store) -> str:
    host(store, "example.com")
    return "example.com"


@pytest.fixture
def sales(store: Store) -> str:
    profile: Any = {
        "name": "Sales",
        "moderators": ["*@example.com", "boss@other.org"],
        "access_policy": "domain",
    }
    store.aliases.create(
        "sales@example.com",
        members=["eve@other.org", "bob@example.com"],
        **(profile if Capability.ACCESS_POLICY in store.capabilities else {}),
    )
    return "sales@example.com"


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.EMPTY_ALIASES)
@pytest.mark.backend
def test_create_returns_what_a_read_gives(store: Store) -> None:
    made = store.aliases.create("Sales@Example.com", members=["Eve@other.org", "eve@OTHER.org"])
    assert made == store.aliases.get("sales@example.com")
    assert made.members == ("eve@other.org",)


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.EMPTY_ALIASES)
def test_create_with_a_profile(store: Store) -> None:
    made = store.aliases.create(
        "sales@example.com", name="Verkauf", members=["eve@other.org"], access_policy="MembersOnly"
    )
    assert made == store.aliases.get("sales@example.com")
    assert (made.name, made.access_policy, made.moderators) == ("Verkauf", "membersonly", ())
    assert store.aliases.create("empty@example.com") == store.aliases.get("empty@example.com")


@pytest.mark.needs(Capability.ACCESS_POLICY)
@in_turn("policy", POLICIES)
def test_policies(store: Store, sales: str, policy: str) -> None:
    assert store.aliases.update(sales, access_policy=policy).access_policy == policy


@in_turn("fields", [{"members": ["x"]}, {"members": "a@b.org"}])
def test_bad_value(store: Store, fields: Any) -> None:
    with pytest.raises(InvalidValue):
        store.aliases.create("sales@example.com", **fields)
    assert not store.aliases.exists("sales@example.com")


@pytest.mark.needs(Capability.ACCESS_POLICY)
@in_turn("fields", [{"access_policy": "everyone"}, {"moderators": ["*@"]}, {"name": "a\x07"}])
def test_bad_value_of_the_profile(store: Store, fields: Any) -> None:
    with pytest.raises(InvalidValue):
        store.aliases.create("sales@example.com", **fields)
    assert not store.aliases.exists("sales@example.com")


@pytest.mark.needs(Capability.DOMAINS)
def test_bad_address_and_domain(store: Store) -> None:
    with pytest.raises(InvalidAddress):
        store.aliases.create("sales+x@example.com", members=["x@other.org"])
    with pytest.raises(NotFound):
        store.aliases.create("sales@nowhere.com", members=["x@other.org"])
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
    assert store.aliases.update(sales, members=["only@other.org"]).members == ("only@other.org",)


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.EMPTY_ALIASES)
def test_moderators_and_no_members(store: Store, sales: str) -> None:
    after = store.aliases.update(sales, moderators=Edit(remove=["boss@other.org"]))
    assert after.moderators == ("*@example.com",)
    assert store.aliases.update(sales, members=[]).members == ()


@pytest.mark.needs(Capability.DISABLING)
@pytest.mark.needs(Capability.DISABLING, Capability.ACCESS_POLICY)
def test_disable_and_enable(store: Store, sales: str) -> None:
    assert not store.aliases.update(sales, enabled=False).enabled
    store.aliases.add_members(sales, ["while-disabled@other.org"])
    assert [alias.address for alias in store.aliases.list(enabled=False)] == [sales]
    assert store.aliases.update(sales, enabled=True).enabled


@pytest.mark.needs(Capability.DOMAINS, Capability.ACCOUNT_ALIASES)
@pytest.mark.backend
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
@pytest.mark.backend
def test_delete(store: Store, sales: str) -> None:
    store.aliases.create("all@example.com", members=[sales, "x@other.org"])
    store.accounts.create("ann@example.com", password="x", forwarding=[sales], keep_copy=False)
    store.aliases.delete(sales)
    assert store.aliases.get("all@example.com").members == ("x@other.org",)
    ann = store.accounts.get("ann@example.com")
    assert (ann.forwarding, ann.keep_copy) == ((), True)
    with pytest.raises(NotFound):
        store.aliases.delete(sales)
    fresh = store.aliases.create(sales, members=["new@other.org"])
    assert (fresh.members, fresh.moderators) == (("new@other.org",), ())


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


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.ACCOUNT_ALIASES)
def test_addresses_are_taken_once(store: Store, sales: str) -> None:
    store.accounts.create("ann@example.com", password="x", aliases=["a@example.com"])
    store.aliases.create("other@example.com")
    for taken in ("ann@example.com", "a@example.com", "other@example.com"):
        with pytest.raises(AlreadyExists):
            store.aliases.create(taken)
        with pytest.raises(AlreadyExists):
            store.aliases.rename(sales, taken)
    assert store.aliases.count() == 2


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.ACCOUNT_ALIASES, Capability.ALIAS_DOMAINS)
@pytest.mark.backend
def test_alias_domains(store: Store, domain: str, sales: str) -> None:
    store.domains.add_alias_domains(domain, ["example.net"])
    before = store.aliases.get(sales)
    store.aliases.create("new@example.com", members=["eve@other.org"])
    for address in ("x@example.net", "sales@example.net"):
        with pytest.raises(NotFound, match="alias domain"):
            store.aliases.create(address)
    with pytest.raises(NotFound, match="alias domain"):
        store.aliases.rename(sales, "x@example.net")
    with pytest.raises(AlreadyExists):
        store.accounts.create("ann@example.com", password="x", aliases=["new@example.net"])
    store.aliases.rename("new@example.com", "newer@example.com")
    store.accounts.create("ann@example.com", password="x", aliases=["new@example.net"])
    store.domains.remove_alias_domains(domain, ["example.net"])
    assert store.aliases.get(sales).members == before.members


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.DISABLING)
def test_a_disabled_domain(store: Store, domain: str, sales: str) -> None:
    store.domains.update(domain, enabled=False)
    assert store.aliases.get(sales).enabled
    made = store.aliases.create("new@example.com", members=["eve@other.org"])
    store.domains.update(domain, enabled=True)
    assert (made.enabled, store.aliases.get("new@example.com").members) == (True, ("eve@other.org",))


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.STANDALONE_ADMINS)
def test_acting_admin(store: Store, sales: str) -> None:
    host(store, "other.com")
    store.aliases.create("theirs@other.com")
    store.admins.create("admin@elsewhere.org", password="x", domains=["example.com"])
    acting = store.acting_as("admin@elsewhere.org")
    assert [alias.address for alias in acting.aliases.list()] == [sales]
    assert (acting.aliases.count(), acting.aliases.exists("theirs@other.com")) == (1, False)
    for call in (
        lambda: acting.aliases.get("theirs@other.com"),
        lambda: acting.aliases.create("more@other.com"),
        lambda: acting.aliases.update("theirs@other.com", name="x"),
        lambda: acting.aliases.rename(sales, "sales@other.com"),
        lambda: acting.aliases.delete("theirs@other.com"),
    ):
        with pytest.raises(NotFound):
            call()
    acting.aliases.add_members(sales, ["theirs@other.com"])
    acting.aliases.rename(sales, "ours@example.com")
    assert "theirs@other.com" in store.aliases.get("ours@example.com").members
    acting.aliases.delete("ours@example.com")
    assert not store.aliases.exists("ours@example.com")


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.DISABLING)
def test_list_and_count(store: Store, sales: str) -> None:
    store.aliases.create("all@example.com", members=["x@other.org"])
    for query, found in (
        ({}, ["all@example.com", sales]),
        ({"search": "ales"}, [sales]),
        ({"enabled": True}, ["all@example.com", sales]),
        ({"enabled": False}, []),
        ({"domain": "nowhere.com"}, []),
    ):
        selection: Any = query
        assert [alias.address for alias in store.aliases.list(**selection)] == found
        assert store.aliases.count(**selection) == len(found)
    assert [store.aliases.get(alias.address) for alias in store.aliases.list()] == list(store.aliases.list())


@pytest.mark.needs(Capability.ACCESS_POLICY, Capability.DISABLING)
def test_selection_by_profile(store: Store, sales: str) -> None:
    store.aliases.create("all@example.com", name="Everybody", enabled=False)
    for query, found in (({"search": "everyb"}, ["all@example.com"]), ({"enabled": True}, [sales])):
        selection: Any = query
        assert [alias.address for alias in store.aliases.list(**selection)] == found
        assert store.aliases.count(**selection) == len(found)
