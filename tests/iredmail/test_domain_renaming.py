"""A domain gets another name with everything in it and everything that refers to it, by a fixed number of statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import MetaData, select

from mailstore import AlreadyExists, Edit, LimitExceeded, NotFound, PermissionDenied
from mailstore.passwords import hash_password
from mailstore.transfer import dump
from mailstore.transfer.entries import INFORMATION
from tests.rigs import counting

if TYPE_CHECKING:
    from mailstore import Store
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig

READY = hash_password("x")
OLD, NEW, ALSO, ELSE = "before.test", "after.example", "also.test", "else.test"


@pytest.fixture
def people(store: IRedMailStore) -> IRedMailStore:
    """A domain with one of everything, and another one whose people refer to it."""
    store.domains.create(OLD, catch_all=[f"bob@{OLD}"], sender_bcc=f"log@{OLD}", outbound_relay="[mx.test]:25")
    store.domains.add_alias_domains(OLD, [ALSO])
    store.domains.create(ELSE, recipient_bcc=f"log@{OLD}", catch_all=[f"kim@{OLD}"])
    for name in ("bob", "kim", "log"):
        store.accounts.create(f"{name}@{OLD}", password_hash=READY)
    store.accounts.update(
        f"bob@{OLD}", aliases=[f"robert@{OLD}", f"bobby@{ALSO}"], forwarding=[f"kim@{OLD}", "x@far.test"],
        sender_bcc=f"log@{OLD}", outbound_relay="[own.test]:25",
    )  # fmt: skip
    store.accounts.update(f"kim@{OLD}", enabled=False)
    store.accounts.create(f"eve@{ELSE}", password_hash=READY, forwarding=[f"bob+x@{OLD}", f"KIM@{OLD.upper()}"])
    store.aliases.create(
        f"all@{OLD}", members=[f"bob@{OLD}", f"kim@{ALSO}", f"eve@{ELSE}"], access_policy="moderatorsonly",
        moderators=[f"*@{OLD}", f"eve@{ELSE}"],
    )  # fmt: skip
    store.aliases.create(f"board@{ELSE}", members=[f"bob@{OLD}", f"all@{OLD}"])
    store.admins.promote(f"bob@{OLD}", domains=[OLD, ELSE])
    store.admins.create("boss@admin.test", password_hash=READY, domains=[OLD])
    return store


def content(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """Return all that a store holds, without what it only tells; homes are compared apart."""
    told = {*INFORMATION, "home"}
    return {
        (entry.kind, entry.key): {name: value for name, value in entry.to_dict().items() if name not in told}
        for entry in dump(store)
    }


def moved(value: Any) -> Any:
    """Return content as it is to be under the new name."""
    match value:
        case dict():
            return {moved(key): moved(one) for key, one in value.items()}
        case tuple():
            return tuple(map(moved, value))
        case list():
            return sorted(map(moved, value)) if all(isinstance(one, str) for one in value) else list(map(moved, value))
        case str():
            return value.lower().replace(OLD, NEW) if OLD in value.lower() else value
    return value


def mentions(store: IRedMailStore, name: str) -> set[tuple[str, str]]:
    """Return the columns in which a name stands, but for the paths of homes."""
    engine, found = store._context.db.engine, set()
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                found |= {(table.name, column) for column, value in row.items() if name in str(value).lower()}
    return {one for one in found if one[1] not in {"maildir", "home"}}


def test_everything_follows(people: IRedMailStore) -> None:
    before, homes = moved(content(people)), dict(people.accounts.homes())
    findings = [finding.code for finding in people.check()]
    assert people.domains.rename(OLD, NEW).domain == NEW
    assert moved(content(people)) == before
    assert dict(people.accounts.homes()) == {moved(address): home for address, home in homes.items()}
    assert mentions(people, OLD) == set()
    assert [finding.code for finding in people.check()] == findings
    assert not people.domains.exists(OLD)
    assert people.accounts.verify_password(f"bob@{NEW}", "x")
    with pytest.raises(NotFound):
        people.domains.rename(OLD, NEW)
    people.domains.create(OLD)
    people.accounts.create(f"bob@{OLD}", password_hash=READY)
    assert people.accounts.get(f"bob@{OLD}").forwarding == ()


def test_the_old_name_stays_as_an_alias_domain(people: IRedMailStore) -> None:
    domain = people.domains.rename(OLD, NEW, keep_alias=True)
    assert domain.alias_domains == (ALSO, OLD)
    assert people.domains.exists(OLD)
    with pytest.raises(AlreadyExists):
        people.aliases.create(f"new@{NEW}", members=["a@b.test"]) and people.accounts.create(
            f"all@{NEW}", password_hash=READY
        )


def test_an_alias_domain_of_its_own_becomes_its_name(people: IRedMailStore) -> None:
    domain = people.domains.rename(OLD, ALSO)
    assert domain.alias_domains == ()
    assert people.accounts.get(f"bob@{ALSO}").aliases == (f"bobby@{ALSO}", f"robert@{ALSO}")
    assert people.aliases.get(f"all@{ALSO}").members == (f"bob@{ALSO}", f"eve@{ELSE}", f"kim@{ALSO}")
    assert mentions(people, OLD) == set()


def test_who_is_a_member_under_both_names_is_one_once(people: IRedMailStore) -> None:
    people.aliases.update(f"board@{ELSE}", members=Edit(add=[f"bob@{NEW}", f"all@{NEW}", f"new@{NEW}"]))
    people.domains.rename(OLD, NEW)
    assert people.aliases.get(f"board@{ELSE}").members == (f"all@{NEW}", f"bob@{NEW}", f"new@{NEW}")


def test_a_name_in_use_is_refused(people: IRedMailStore) -> None:
    people.domains.add_alias_domains(ELSE, ["third.test"])
    before = content(people)
    for taken in (ELSE, "third.test", "admin.test"):
        with pytest.raises(AlreadyExists):
            people.domains.rename(OLD, taken)
    assert content(people) == before
    assert people.domains.rename(OLD, OLD).domain == OLD


def test_an_admin_of_the_domain_may_not(people: IRedMailStore) -> None:
    with pytest.raises((PermissionDenied, LimitExceeded)):
        people.acting_as("boss@admin.test").domains.rename(OLD, NEW)


def test_the_number_of_statements_does_not_grow(people: IRedMailStore) -> None:
    with counting(people) as few:
        people.domains.rename(OLD, NEW)
    people.accounts.create_many({"address": f"n{number}@{NEW}", "password_hash": READY} for number in range(30))
    people.aliases.create(f"many@{ELSE}", members=[f"n{number}@{NEW}" for number in range(30)])
    with counting(people) as many:
        people.domains.rename(NEW, OLD)
    assert len(many) == len(few) < 60


def test_an_account_keeps_its_old_address_as_an_alias(people: IRedMailStore) -> None:
    renamed = people.accounts.rename(f"bob@{OLD}", f"rob@{OLD}", keep_alias=True)
    assert f"bob@{OLD}" in renamed.aliases
    elsewhere = people.accounts.rename(f"rob@{OLD}", f"rob@{ELSE}", keep_alias=True)
    assert {f"bob@{OLD}", f"rob@{OLD}"} <= {*elsewhere.aliases}
    assert people.aliases.get(f"board@{ELSE}").members == (f"all@{OLD}", f"rob@{ELSE}")
    back = people.accounts.rename(f"rob@{ELSE}", f"rob@{OLD}", keep_alias=True)
    assert f"rob@{OLD}" not in back.aliases
    people.check()


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("forwardings", {"address": f"bob@{NEW}", "forwarding": "spy@far.test", "domain": NEW, "is_forwarding": 1}),
        ("forwardings", {"address": f"all@{NEW}", "forwarding": "spy@far.test", "domain": NEW, "is_list": 1}),
        ("alias", {"address": f"all@{NEW}", "domain": NEW}),
        ("mailbox", {"username": f"bob@{NEW}", "domain": NEW, "password": READY, "maildir": "old/"}),
    ],
    ids=["forwarding", "member", "alias", "account"],
)
def test_nobody_gets_the_forwarding_of_a_former_holder_of_the_new_name(
    people: IRedMailStore, rig: Rig, table: str, row: dict[str, Any]
) -> None:
    """Another tool left it behind when it removed a domain of that name."""
    rig.insert(table, **row)
    before = rig.everything()
    with pytest.raises(AlreadyExists, match="left over"):
        people.domains.rename(OLD, NEW)
    assert rig.everything() == before
    rig.clear()


def test_what_is_left_over_under_an_alias_domain_is_nobodys_either(people: IRedMailStore, rig: Rig) -> None:
    rig.insert("forwardings", address=f"bob@{ALSO}", forwarding="spy@far.test", domain=ALSO, is_forwarding=1)
    with pytest.raises(AlreadyExists, match="left over"):
        people.domains.rename(OLD, ALSO)
    rig.clear()
