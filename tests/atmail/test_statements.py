"""What operations cost: numbers of statements and commits, the same however large the store is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mailstore.passwords import hash_password
from tests.rigs import counting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

MANY = 5000
READY = hash_password("x")

OPERATIONS: Mapping[str, tuple[int, Callable[[AtmailStore, str], object]]] = {
    "create": (7, lambda store, name: store.accounts.create(f"{name}@example.com", password_hash=READY)),
    "get": (2, lambda store, name: store.accounts.get(f"{name}@example.com")),
    "update": (4, lambda store, name: store.accounts.update(f"{name}@example.com", first_name="x", quota="2M")),
    "forward": (8, lambda store, name: store.accounts.update(f"{name}@example.com", forwarding=["a@b.org"])),
    "rename": (15, lambda store, name: store.accounts.rename(f"{name}@example.com", f"{name}-new@example.com")),
    "delete": (12, lambda store, name: store.accounts.delete(f"{name}-new@example.com")),
    "alias": (6, lambda store, name: store.aliases.create(f"{name}.a@example.com", members=["a@b.org", "c@d.org"])),
}
"""The most statements of each operation, and what it is."""


def costs(store: AtmailStore, name: str) -> dict[str, tuple[int, int]]:
    """Return the statements and commits of each operation."""
    found = {}
    for operation, (_, run) in OPERATIONS.items():
        with counting(cast("Any", store)) as seen:
            run(store, name)
        found[operation] = (len(seen), seen.commits)
    return found


def test_the_cost_of_an_operation_does_not_grow_with_the_store(rig: AtmailRig) -> None:
    with rig.open_without_disk() as store:
        store.domains.create("example.com")
        on_empty = costs(store, "first")
        for operation, (most, _) in OPERATIONS.items():
            assert on_empty[operation][0] <= most, operation
            assert on_empty[operation][1] == (operation != "get")
        store.accounts.create_many(
            {"address": f"user{number}@example.com", "password_hash": READY} for number in range(MANY)
        )
        assert costs(store, "second") == on_empty


def test_bulk_creation_is_set_based(rig: AtmailRig) -> None:
    with rig.open_without_disk() as store:
        store.domains.create("example.com")
        for start, number in ((0, 1000), (1000, 3000)):
            accounts = [{"address": f"u{start + n}@example.com", "password_hash": READY} for n in range(number)]
            with counting(cast("Any", store)) as seen:
                store.accounts.create_many(accounts)
            assert len(seen) <= 8 * (number // 1000)
            assert seen.commits == 1


def test_listing_reads_pages(rig: AtmailRig) -> None:
    with rig.open_without_disk() as store:
        store.domains.create("example.com")
        store.accounts.create_many({"address": f"u{n}@example.com", "password_hash": READY} for n in range(1600))
        for number in range(600):
            rig.insert("aliases", AliasName=f"a{number}@example.com", AliasTo="x@y.org", aliasType="Local")
        with counting(cast("Any", store)) as seen:
            assert sum(1 for _ in store.accounts.list()) == 1600
        assert len(seen) == 2 * 4
        with counting(cast("Any", store)) as seen:
            assert sum(1 for _ in store.aliases.list()) == 600
        assert len(seen) == 2 * 2


def test_admins_are_read_in_pages(rig: AtmailRig) -> None:
    with rig.open_without_disk() as store:
        for number in range(40):
            store.admins.create(f"u{number}", password_hash=READY)
        with counting(cast("Any", store)) as seen:
            assert sum(1 for _ in store.admins.list()) == 40
        assert len(seen) == 3


def test_a_domain_is_deleted_with_few_statements(rig: AtmailRig) -> None:
    with rig.open_without_disk() as store:
        costs_by_size = []
        for number in (3, 300):
            store.domains.create("example.com")
            store.accounts.create_many({"address": f"u{n}@example.com", "password_hash": READY} for n in range(number))
            with counting(cast("Any", store)) as seen:
                assert store.domains.delete("example.com") == number
            costs_by_size.append((len(seen), seen.commits))
        assert costs_by_size[0] == costs_by_size[1]
        assert costs_by_size[0][1] == 1
