"""Mailing lists, as `mailstore.store.MailingLists` promises them."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest

from mailstore import (
    AlreadyExists,
    Capability,
    Edit,
    InvalidAddress,
    InvalidValue,
    LimitExceeded,
    MailstoreError,
    NotFound,
    Store,
)
from tests.contract.hosting import host
from tests.tables import in_turn

pytestmark = pytest.mark.needs(Capability.LISTS)

POLICIES = ["public", "domain", "subdomain", "membersonly", "moderatorsonly", "membersandmoderatorsonly"]


@pytest.fixture(autouse=True)
def domain(store: Store) -> str:
    host(store, "example.com")
    return "example.com"


@pytest.fixture
def bob(store: Store) -> str:
    return store.accounts.create("bob@example.com", password="x").address


@pytest.fixture
def team(store: Store, bob: str) -> str:
    """A list with members of every kind: an account, an alias, a list, an address elsewhere, and one of nobody."""
    store.aliases.create("sales@example.com", members=["eve@other.org"])
    store.lists.create("crew@example.com", members=["mate@other.org"])
    store.lists.create(
        "team@example.com",
        name="Team",
        members=MEMBERS,
        moderators=["*@example.com", "boss@other.org"],
        owners=["boss@other.org"],
        access_policy="domain",
    )
    return "team@example.com"


MEMBERS = ("bob@example.com", "crew@example.com", "eve@other.org", "later@example.com", "sales@example.com")


@pytest.mark.backend
def test_create_returns_what_a_read_gives(store: Store, bob: str) -> None:
    made = store.lists.create(
        "Team@Example.com",
        name="Größe",
        members=["Eve@other.org", "eve@OTHER.org", "BOB@example.com"],
        access_policy="MembersOnly",
        owners=["Bob@example.com"],
    )
    assert made == store.lists.get("team@example.com")
    assert (made.name, made.members, made.access_policy, made.moderators, made.owners, made.kind, made.enabled) == (
        "Größe",
        (bob, "eve@other.org"),
        "membersonly",
        (),
        (bob,),
        "plain",
        True,
    )
    assert made.created is not None
    assert store.lists.create("empty@example.com") == store.lists.get("empty@example.com")
    off = store.lists.create("off@example.com", enabled=False, members=[bob])
    assert (off, off.enabled) == (store.lists.get("off@example.com"), False)


def test_members_of_every_kind(store: Store, team: str) -> None:
    assert store.lists.get(team).members == MEMBERS


@in_turn("policy", POLICIES)
def test_policies(store: Store, team: str, policy: str) -> None:
    assert store.lists.update(team, access_policy=policy).access_policy == policy


@in_turn(
    "fields",
    [
        {"access_policy": "everyone"},
        {"members": ["x"]},
        {"members": "a@b.org"},
        {"members": ["good@other.org", "new@example.com"]},
        {"moderators": ["*@"]},
        {"owners": ["*@example.com"]},
        {"name": "a\x07"},
        {"enabled": "yes"},
    ],
)
def test_bad_value(store: Store, fields: Any) -> None:
    with pytest.raises(InvalidValue):
        store.lists.create("new@example.com", **fields)
    assert not store.lists.exists("new@example.com")
    assert store.lists.create("new@example.com").members == ()
    store.lists.delete("new@example.com")


def test_bad_address_and_domain(store: Store) -> None:
    with pytest.raises(InvalidAddress):
        store.lists.create("team+x@example.com")
    with pytest.raises(NotFound):
        store.lists.create("team@nowhere.com")
    unknown: Any = {"goto": "x"}
    with pytest.raises(TypeError):
        store.lists.create("team@example.com", **unknown)


def test_one_that_is_not_there(store: Store) -> None:
    absent = "none@example.com"
    for call in (
        lambda: store.lists.get(absent),
        lambda: store.lists.update(absent, name="x"),
        lambda: store.lists.update(absent, members=["a@b.org"]),
        lambda: store.lists.add_members(absent, ["a@b.org"]),
        lambda: store.lists.remove_members(absent, ["a@b.org"]),
        lambda: store.lists.rename(absent, "x@example.com"),
        lambda: store.lists.delete(absent),
    ):
        with pytest.raises(NotFound, match=r"there is no mailing list none@example\.com"):
            call()
    assert not store.lists.exists(absent)
    assert not store.lists.exists("x@nowhere.com")


def test_addresses_are_taken_once(store: Store, team: str) -> None:
    store.accounts.add_aliases("bob@example.com", ["rob@example.com"])
    for taken in ("bob@example.com", "rob@example.com", "sales@example.com", "crew@example.com"):
        with pytest.raises(AlreadyExists):
            store.lists.create(taken)
        with pytest.raises(AlreadyExists):
            store.lists.rename(team, taken)


def test_others_cannot_take_the_address_of_a_list(store: Store, team: str) -> None:
    with pytest.raises(AlreadyExists):
        store.accounts.create(team, password="x")
    with pytest.raises(AlreadyExists):
        store.accounts.add_aliases("bob@example.com", [team])
    with pytest.raises(AlreadyExists):
        store.aliases.create(team)
    with pytest.raises(AlreadyExists):
        store.aliases.rename("sales@example.com", team)


@pytest.mark.backend
def test_only_one_of_racing_creators_wins(store: Store) -> None:
    barrier, errors = Barrier(4), []

    def create(number: int) -> None:
        barrier.wait()
        try:
            store.lists.create("race@example.com", name=f"{number}", members=[f"m{number}@other.org"])
        except MailstoreError as error:
            errors.append(type(error))

    threads = [Thread(target=create, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [AlreadyExists] * 3
    made = store.lists.get("race@example.com")
    assert made.members == (f"m{made.name}@other.org",)


def test_update_leaves_the_rest(store: Store, team: str) -> None:
    before = store.lists.get(team)
    after = store.lists.update(team, name="New")
    assert replace(after, modified=None) == replace(before, name="New", modified=None)
    assert store.lists.update(team, name="").name == ""


def test_members(store: Store, team: str) -> None:
    store.lists.add_members(team, ["new@other.org", "bob@example.com", "postmaster@example.com"])
    store.lists.remove_members(team, ["Eve@other.org", "nobody@other.org", "crew@example.com", "sales@example.com"])
    assert store.lists.get(team).members == (
        "bob@example.com",
        "later@example.com",
        "new@other.org",
        "postmaster@example.com",
    )
    assert store.lists.update(team, members=["only@other.org", "crew@example.com"]).members == (
        "crew@example.com",
        "only@other.org",
    )
    edited = store.lists.update(team, members=Edit(add=["bob@example.com"], remove=["only@other.org"]), name="Both")
    assert (edited.members, edited.name) == (("bob@example.com", "crew@example.com"), "Both")
    assert store.lists.update(team, members=[]).members == ()
    store.lists.add_members(team, [])
    assert store.lists.get(team).members == ()


def test_a_failed_change_of_members_changes_nothing(store: Store, team: str) -> None:
    with pytest.raises(InvalidAddress):
        store.lists.add_members(team, ["fine@other.org", "not an address"])
    with pytest.raises(InvalidValue):
        store.lists.update(team, members=["fine@other.org", team], name="New")
    assert (store.lists.get(team).members, store.lists.get(team).name) == (MEMBERS, "Team")


def test_moderators_and_owners(store: Store, team: str) -> None:
    changed = store.lists.update(team, moderators=Edit(add=["Eve@other.org"], remove=["*@example.com"]))
    assert (changed.moderators, changed.owners) == (("boss@other.org", "eve@other.org"), ("boss@other.org",))
    changed = store.lists.update(team, moderators=[], owners=Edit(add=["bob@example.com"]))
    assert (changed.moderators, changed.owners) == ((), ("bob@example.com", "boss@other.org"))


@pytest.mark.backend
def test_members_added_at_once_are_all_there(store: Store, team: str) -> None:
    added = [f"m{number}@other.org" for number in range(6)]
    threads = [Thread(target=store.lists.add_members, args=(team, [member])) for member in added]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.lists.get(team).members == tuple(sorted((*MEMBERS, *added)))


def test_a_member_that_comes_to_exist_stays_one(store: Store, team: str) -> None:
    store.accounts.create("later@example.com", password="x")
    store.lists.add_members(team, ["later@example.com"])
    assert store.lists.get(team).members == MEMBERS
    store.lists.remove_members(team, ["later@example.com"])
    assert "later@example.com" not in store.lists.get(team).members


def test_members_follow_their_owners(store: Store, team: str) -> None:
    store.accounts.rename("bob@example.com", "robert@example.com")
    store.aliases.rename("sales@example.com", "verkauf@example.com")
    store.lists.rename("crew@example.com", "staff@example.com")
    renamed = ("eve@other.org", "later@example.com", "robert@example.com", "staff@example.com", "verkauf@example.com")
    assert store.lists.get(team).members == renamed
    store.accounts.delete("robert@example.com")
    store.aliases.delete("verkauf@example.com")
    store.lists.delete("staff@example.com")
    assert store.lists.get(team).members == ("eve@other.org", "later@example.com")


def test_members_in_other_domains(store: Store, team: str) -> None:
    host(store, "other.com")
    store.accounts.create("zoe@other.com", password="x")
    store.lists.add_members(team, ["zoe@other.com"])
    assert store.lists.get(team).members == (*MEMBERS, "zoe@other.com")
    store.lists.rename(team, "all@example.com")
    assert store.lists.get("all@example.com").members == (*MEMBERS, "zoe@other.com")
    store.lists.delete("all@example.com")
    assert store.lists.create(team).members == ()


def test_mail_does_not_go_round(store: Store, team: str) -> None:
    with pytest.raises(InvalidValue, match="member of itself"):
        store.lists.add_members(team, [team])
    with pytest.raises(InvalidValue, match="go round"):
        store.lists.add_members("crew@example.com", [team])
    store.lists.create("inner@example.com")
    store.lists.add_members("crew@example.com", ["inner@example.com"])
    with pytest.raises(InvalidValue, match="go round"):
        store.lists.update("inner@example.com", members=["bob@example.com", team])
    assert store.lists.get("inner@example.com").members == ()
    store.lists.add_members("inner@example.com", ["bob@example.com"])


def test_disable_and_enable(store: Store, team: str) -> None:
    assert not store.lists.update(team, enabled=False).enabled
    store.lists.add_members(team, ["while-disabled@other.org"])
    assert [found.address for found in store.lists.list(enabled=False)] == [team]
    assert store.lists.update(team, enabled=True).enabled


def test_lists_of_a_disabled_domain(store: Store, team: str, domain: str) -> None:
    store.domains.update(domain, enabled=False)
    assert store.lists.get(team).enabled
    store.lists.create("new@example.com", members=["eve@other.org", "bob@example.com"])
    store.domains.update(domain, enabled=True)
    assert store.lists.get("new@example.com").members == ("bob@example.com", "eve@other.org")


def test_rename(store: Store, team: str) -> None:
    store.lists.create("all@example.com", members=[team], moderators=[team])
    store.accounts.update("bob@example.com", forwarding=[team])
    before = store.lists.get(team)
    after = store.lists.rename(team, "verein@example.com")
    assert replace(after, modified=None) == replace(before, address="verein@example.com", modified=None)
    assert not store.lists.exists(team)
    everybody = store.lists.get("all@example.com")
    assert (everybody.members, everybody.moderators) == (("verein@example.com",), ("verein@example.com",))
    assert store.accounts.get("bob@example.com").forwarding == ("verein@example.com",)
    assert store.lists.rename("verein@example.com", "verein@example.com") == store.lists.get("verein@example.com")
    with pytest.raises(NotFound):
        store.lists.rename("verein@example.com", "x@nowhere.com")
    assert store.lists.create(team).members == ()


def test_rename_to_another_domain(store: Store, team: str) -> None:
    host(store, "other.com")
    before = store.lists.get(team)
    after = store.lists.rename(team, "team@other.com")
    assert (after.members, after.moderators, after.owners) == (before.members, before.moderators, before.owners)
    assert [found.address for found in store.lists.list(domain="other.com")] == ["team@other.com"]
    store.lists.remove_members("team@other.com", MEMBERS)
    assert store.lists.get("team@other.com").members == ()


@pytest.mark.backend
def test_delete(store: Store, team: str) -> None:
    store.lists.create("all@example.com", members=[team, "x@other.org"], owners=[team, "boss@other.org"])
    store.accounts.update("bob@example.com", forwarding=[team, "y@other.org"])
    store.lists.delete(team)
    everybody = store.lists.get("all@example.com")
    assert (everybody.members, everybody.owners) == (("x@other.org",), ("boss@other.org",))
    assert store.accounts.get("bob@example.com").forwarding == ("y@other.org",)
    assert store.aliases.exists("sales@example.com")
    assert store.lists.get("crew@example.com").members == ("mate@other.org",)
    with pytest.raises(NotFound):
        store.lists.delete(team)
    fresh = store.lists.create(team)
    assert (fresh.members, fresh.moderators, fresh.owners, fresh.access_policy) == ((), (), (), "public")


def test_limit(store: Store, domain: str, team: str) -> None:
    store.domains.update(domain, max_lists=2)
    with pytest.raises(LimitExceeded):
        store.lists.create("more@example.com")
    store.aliases.create("no-list@example.com")
    store.domains.update(domain, max_lists=3)
    store.lists.create("more@example.com")
    store.lists.rename("more@example.com", "still@example.com")
    store.domains.create("none.com", max_lists=0)
    with pytest.raises(LimitExceeded):
        store.lists.rename(team, "team@none.com")
    with pytest.raises(LimitExceeded):
        store.lists.create("team@none.com")


@pytest.mark.needs(Capability.ALIAS_DOMAINS)
def test_alias_domains(store: Store, domain: str, team: str) -> None:
    store.domains.add_alias_domains(domain, ["example.net"])
    assert store.lists.get(team).members == MEMBERS
    store.lists.create("new@example.com", members=["bob@example.com", "eve@other.org"])
    with pytest.raises(NotFound, match="alias domain"):
        store.lists.create("x@example.net")
    with pytest.raises(NotFound, match="alias domain"):
        store.lists.rename(team, "x@example.net")
    with pytest.raises(AlreadyExists):
        store.accounts.add_aliases("bob@example.com", ["new@example.net"])
    with pytest.raises(InvalidValue):
        store.lists.add_members("new@example.com", ["new@example.net"])
    store.lists.rename("new@example.com", "newer@example.com")
    store.lists.remove_members("newer@example.com", ["bob@example.com"])
    assert store.lists.get("newer@example.com").members == ("eve@other.org",)
    store.domains.remove_alias_domains(domain, ["example.net"])
    assert store.lists.get(team).members == MEMBERS


def test_deleting_the_domain_takes_its_lists(store: Store, team: str, domain: str) -> None:
    host(store, "other.com")
    store.accounts.create("zoe@other.com", password="x")
    store.lists.create("others@other.com", members=[team, "bob@example.com", "zoe@other.com"])
    store.lists.add_members(team, ["zoe@other.com"])
    store.domains.delete(domain)
    assert store.lists.get("others@other.com").members == ("zoe@other.com",)
    host(store, domain)
    assert store.lists.create(team).members == ()


@pytest.mark.needs(Capability.ADMINS)
def test_acting_admin(store: Store, team: str) -> None:
    host(store, "other.com")
    store.accounts.create("zoe@other.com", password="x")
    store.lists.create("others@other.com", members=["zoe@other.com"])
    store.admins.create("admin@elsewhere.org", password="x", domains=["example.com"])
    acting = store.acting_as("admin@elsewhere.org")
    assert [found.address for found in acting.lists.list()] == ["crew@example.com", team]
    assert acting.lists.count() == 2
    assert not acting.lists.exists("others@other.com")
    for call in (
        lambda: acting.lists.get("others@other.com"),
        lambda: acting.lists.create("more@other.com"),
        lambda: acting.lists.update("others@other.com", name="x"),
        lambda: acting.lists.add_members("others@other.com", ["bob@example.com"]),
        lambda: acting.lists.rename(team, "team@other.com"),
        lambda: acting.lists.delete("others@other.com"),
    ):
        with pytest.raises(NotFound):
            call()
    # Members anywhere, also in domains that it does not see.
    acting.lists.add_members(team, ["zoe@other.com"])
    assert acting.lists.get(team).members == store.lists.get(team).members == (*MEMBERS, "zoe@other.com")
    store.lists.add_members(team, ["zoe@other.com"])
    acting.lists.rename(team, "ours@example.com")
    acting.lists.remove_members("ours@example.com", ["zoe@other.com", "bob@example.com"])
    assert "zoe@other.com" not in store.lists.get("ours@example.com").members
    acting.lists.delete("ours@example.com")
    assert store.lists.get("others@other.com").members == ("zoe@other.com",)


def test_list_and_count(store: Store, team: str) -> None:
    store.lists.create("all@example.com", name="Everybody", enabled=False)
    for query, found in (
        ({}, ["all@example.com", "crew@example.com", team]),
        ({"search": "EAM"}, [team]),
        ({"search": "everyb"}, ["all@example.com"]),
        ({"enabled": True}, ["crew@example.com", team]),
        ({"domain": "Example.com", "enabled": False}, ["all@example.com"]),
        ({"domain": "nowhere.com"}, []),
    ):
        selection: Any = query
        assert [each.address for each in store.lists.list(**selection)] == found
        assert store.lists.count(**selection) == len(found)
    assert [store.lists.get(each.address) for each in store.lists.list()] == list(store.lists.list())


@pytest.mark.backend
def test_long_lists_are_read_in_pages(store: Store, bob: str) -> None:
    addresses = [f"list{number:03}@example.com" for number in range(120)]
    for address in addresses:
        store.lists.create(address, members=[bob])
    assert [(found.address, found.members) for found in store.lists.list()] == [(each, (bob,)) for each in addresses]
    members = [f"m{number:03}@other.org" for number in range(120)]
    assert store.lists.update(addresses[0], members=[*members, bob]).members == (bob, *members)
    store.lists.remove_members(addresses[0], members)
    assert store.lists.get(addresses[0]).members == (bob,)
