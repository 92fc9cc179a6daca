"""Many accounts at once leave what as many calls would, by a number of statements that does not grow with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import BulkRefused
from mailstore.passwords import hash_password
from tests.rigs import counting
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig

READY = hash_password("x")
OURS, ELSE = "a.test", "b.test"
TABLES = ("mailbox", "forwardings", "alias", "moderators", "domain_admins", "sender_bcc_user", "deleted_mailboxes")
BOB, KIM, EVE, ANN = (f"{name}@{OURS}" for name in ("bob", "kim", "eve", "ann"))


def fill(rig: Rig) -> IRedMailStore:
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create(OURS)
    store.domains.create(ELSE)
    for address in (BOB, KIM, EVE, ANN, f"far@{ELSE}"):
        store.accounts.create(address, password_hash=READY)
    store.domains.update(OURS, catch_all=[ANN])
    store.accounts.update(BOB, aliases=[f"robert@{OURS}"], forwarding=[KIM, EVE], sender_bcc=KIM)
    store.accounts.update(f"far@{ELSE}", forwarding=[BOB, KIM], keep_copy=False)
    store.accounts.update(EVE, enabled=False)
    store.aliases.create(f"all@{OURS}", members=[BOB, KIM, f"bob+x@{OURS}"], moderators=[KIM])
    store.aliases.create(f"pair@{ELSE}", members=[BOB, KIM])
    store.admins.promote(KIM)
    return store


def content(rig: Rig) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables, without numbers, times and paths."""
    told = {"id", "modified", "created", "timestamp", "passwordlastchange", "maildir"}
    return {
        table: sorted(
            ({name: value for name, value in row.items() if name not in told} for row in rig.rows(table)), key=repr
        )
        for table in TABLES
    }


@pytest.mark.parametrize(
    ("together", "apart"),
    [
        (
            lambda store: store.accounts.delete_many([BOB, KIM], keep_mailbox_days=3),
            lambda store: [store.accounts.delete(address, keep_mailbox_days=3) for address in (BOB, KIM)],
        ),
        (
            lambda store: store.accounts.update_many({"address": one, "enabled": False} for one in (BOB, KIM, EVE)),
            lambda store: [store.accounts.update(one, enabled=False) for one in (BOB, KIM, EVE)],
        ),
        (
            lambda store: store.accounts.update_many(
                [{"address": EVE, "enabled": True}, {"address": BOB, "name": "B"}]
            ),
            lambda store: [store.accounts.update(EVE, enabled=True), store.accounts.update(BOB, name="B")],
        ),
        (
            lambda store: store.accounts.update_many({"address": one, "forwarding": [ANN]} for one in (BOB, KIM)),
            lambda store: [store.accounts.update(one, forwarding=[ANN]) for one in (BOB, KIM)],
        ),
    ],
    ids=["delete", "disable", "mixed", "forward"],
)
def test_it_is_as_if_they_were_called_one_by_one(
    rig: Rig, together: Callable[[IRedMailStore], Any], apart: Callable[[IRedMailStore], Any]
) -> None:
    apart(fill(rig))
    wanted = content(rig)
    store = fill(rig)
    together(store)
    assert content(rig) == wanted
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_who_was_deleted_with_others_comes_back_whole(rig: Rig) -> None:
    store = fill(rig)
    before = store.accounts.get(BOB)
    records = store.accounts.delete_many([BOB, KIM, EVE])
    for record in records:
        assert record is not None
        store.deleted.restore(record.id)
    after = store.accounts.get(BOB)
    assert (after.aliases, after.sender_bcc, after.home) == (before.aliases, before.sender_bcc, before.home)
    assert store.aliases.get(f"pair@{ELSE}").members == (BOB, KIM)


def test_the_number_of_statements_does_not_grow(rig: Rig) -> None:
    store = fill(rig)

    def statements(count: int, prefix: str) -> tuple[int, int]:
        names = [f"{prefix}{number}@{OURS}" for number in range(count)]
        store.accounts.create_many({"address": name, "password_hash": READY} for name in names)
        with counting(store) as changed:
            store.accounts.update_many({"address": name, "enabled": False} for name in names)
        with counting(store) as deleted:
            store.accounts.delete_many(names)
        return len(changed), len(deleted)

    few, many = statements(3, "f"), statements(40, "m")
    assert many == few
    assert many[0] < 15
    assert many[1] < 60


def test_nobody_is_named_twice(rig: Rig) -> None:
    store = fill(rig)
    with pytest.raises(BulkRefused, match="stands twice"):
        store.accounts.delete_many([BOB, KIM, BOB])
    assert store.accounts.exists(BOB)
