"""A dry run on a directory, which has no transactions to roll back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailstore import AlreadyExists, BulkRefused, NotFound, NotSupported, Store
from tests.ldap.rig import LdapRig
from tests.stores import StoreRig, empty_homes

BOB = "bob@example.com"


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    """A directory with a little of everything."""
    rig = rigs("ldap")
    assert isinstance(rig, LdapRig)
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create("example.com")
    store.domains.add_alias_domains("example.com", ["alias.com"])
    store.accounts.create(BOB, password="x", aliases=["b@example.com"])
    store.aliases.create("all@example.com", members=[BOB])
    store.lists.create("crew@example.com", members=[BOB, "x@other.org"])
    store.admins.create("root@admins.org", password="x", domains=["example.com"])
    return rig


@pytest.fixture
def store(rig: LdapRig) -> Iterator[Store]:
    """The store without access to the disk."""
    with rig.open_without_disk() as store:
        yield store


ROWS: list[dict[str, Any]] = [{"address": f"new{number}@example.com", "password": "x"} for number in range(3)]
OPERATIONS: dict[str, Callable[[Store], object]] = {
    "account deleted": lambda store: store.accounts.delete(BOB),
    "alias deleted": lambda store: store.aliases.delete("all@example.com"),
    "list deleted": lambda store: store.lists.delete("crew@example.com"),
    "admin deleted": lambda store: store.admins.delete("root@admins.org"),
    "domain deleted": lambda store: store.domains.delete("example.com"),
    "alias domain removed": lambda store: store.domains.remove_alias_domains("example.com", ["alias.com"]),
    "all changed": lambda store: store.accounts.update_all("example.com", enabled=False, password="new"),
    "many created": lambda store: store.accounts.create_many(ROWS),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_left(rig: LdapRig, store: Store, name: str) -> None:
    before = rig.server.dump(), store.deleted.count()
    with store.rehearsal() as rehearsed:
        OPERATIONS[name](rehearsed)
    assert (rig.server.dump(), store.deleted.count()) == before
    with rig.open_without_disk() as again:
        OPERATIONS[name](again)  # nothing was locked, and it would indeed have been done
    assert rig.server.dump() != before[0]


def test_what_would_be_refused_is(store: Store) -> None:
    with pytest.raises(NotFound), store.rehearsal() as rehearsed:
        rehearsed.accounts.delete("nobody@example.com")
    with pytest.raises(BulkRefused) as refused, store.rehearsal() as rehearsed:
        rehearsed.accounts.create_many([*ROWS, {"address": BOB, "password": "x"}])
    assert isinstance(refused.value.rows[0][1], AlreadyExists)


def test_results_are_those_of_the_real_thing(store: Store) -> None:
    with store.rehearsal() as rehearsed:
        record = rehearsed.accounts.delete(BOB, keep_mailbox_days=3)
        assert record is not None
        assert record.address == BOB
        assert rehearsed.accounts.create_many(ROWS) == 3
    assert store.accounts.exists(BOB)


def test_not_with_the_disk(rig: LdapRig) -> None:
    with pytest.raises(NotSupported, match="without homes"), rig.shared.rehearsal():
        pass
