"""The nested set of admin users stays well-formed, whatever is done to it and by however many at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstore import AlreadyExists
from mailstore.passwords import hash_password
from mailstore.sql.atmail.admins.changes import AdminSettings
from mailstore.sql.atmail.admins.tree import Node, faults, parent_of
from tests.faults.children import race, refusals, successes

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

READY = hash_password("x")


def nodes(rig: AtmailRig) -> dict[str, Node]:
    columns = ("userId", "leftEdge", "rightEdge", "createdByUserId")
    return {row["username"]: Node(*(row[name] for name in columns)) for row in rig.rows("users")}


def check(rig: AtmailRig) -> None:
    """The edges are a nested set without gaps, and it says the same as the column of creators."""
    found = nodes(rig)
    assert faults(found.values()) == []
    for node in found.values():
        above = parent_of(found.values(), node)
        assert node.created_by == (above.user_id if above else None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=25))
def test_random_inserts_and_deletes(rig: AtmailRig, steps: list[tuple[bool, int]]) -> None:
    rig.clear()
    store = rig.shared
    store.admins.create("root", password_hash=READY)
    names = ["root"]
    for number, (inserts, choice) in enumerate(steps):
        chosen = names[choice % len(names)]
        if inserts or chosen == "root":
            parent = AdminSettings(parent=chosen)
            names.append(store.admins.create(f"u{number}", password_hash=READY, settings=parent).address)
        else:
            store.admins.delete(chosen)
            names.remove(chosen)
        check(rig)
    assert sorted(names) == [admin.address for admin in store.admins.list()]


def test_descendants_of_a_deleted_admin_move_up_in_their_order(rig: AtmailRig, store: AtmailStore) -> None:
    below = {"a": "root", "b": "a", "c": "b", "d": "a", "e": "root"}
    store.admins.create("root", password_hash=READY)
    for name, parent in below.items():
        store.admins.create(name, password_hash=READY, settings=AdminSettings(parent=parent))
    store.admins.delete("a")
    check(rig)
    found = nodes(rig)
    inside = {name for name, node in found.items() if found["root"].left < node.left < found["root"].right}
    assert inside == {"b", "c", "d", "e"}
    above = parent_of(found.values(), found["c"])
    assert above == found["b"]


def test_concurrent_creation(rig: AtmailRig, store: AtmailStore) -> None:
    store.admins.create("root", password_hash=READY)
    creations = [partial(create, store, f"u{number}") for number in range(12)]
    outcomes = race(cast("Any", rig), creations)
    assert refusals(outcomes) == []
    check(rig)
    assert store.admins.count() == 13


def test_concurrent_creation_of_one_name_and_deletion(rig: AtmailRig, store: AtmailStore) -> None:
    store.admins.create("root", password_hash=READY)
    for number in range(4):
        create(store, f"old{number}")
    outcomes = race(
        cast("Any", rig),
        [partial(create, store, "new")] * 6 + [partial(store.admins.delete, f"old{number}") for number in range(4)],
    )
    assert refusals(outcomes) == [AlreadyExists] * 5
    assert successes(outcomes).count("new") == 1
    check(rig)


def test_the_very_first_ones(rig: AtmailRig, store: AtmailStore) -> None:
    outcomes = race(cast("Any", rig), [partial(create, store, f"u{number}") for number in range(6)])
    assert refusals(outcomes) == []
    check(rig)


def create(store: AtmailStore, name: str) -> str:
    return store.admins.create(name, password_hash=READY).address


@pytest.mark.parametrize(
    "edges",
    [
        [(0, 3), (1, 2), (1, 2)],  # twice
        [(0, 5), (1, 2)],  # a gap
        [(0, 2), (1, 3)],  # overlapping
        [(1, 0)],  # the wrong way round
        [(1, 4), (2, 3)],  # not from 0 on
    ],
)
def test_faults_are_found(rig: AtmailRig, edges: list[tuple[int, int]]) -> None:
    assert faults([Node(number, *pair) for number, pair in enumerate(edges)])
    for number, (left, right) in enumerate(edges):
        rig.insert("users", username=f"u{number}", leftEdge=left, rightEdge=right)
    assert "admin-tree" in {finding.code for finding in rig.shared.check()}
