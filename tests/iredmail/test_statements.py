"""What operations cost: numbers of statements and commits, the same however large the store is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.rigs import Rig, counting

MANY = 4_000

Operation = Callable[[IRedMailStore, str], object]
OPERATIONS: Mapping[str, Operation] = {
    "create": lambda store, name: store.accounts.create(f"{name}@example.com", password_hash=READY, quota="1M"),
    "get": lambda store, name: store.accounts.get(f"{name}@example.com"),
    "update": lambda store, name: store.accounts.update(
        f"{name}@example.com", name="x", quota="2M", forwarding=["a@b.org"]
    ),
    "rename": lambda store, name: store.accounts.rename(f"{name}@example.com", f"{name}-new@example.com"),
    "delete": lambda store, name: store.accounts.delete(f"{name}-new@example.com"),
}
READY = hash_password("x")


def costs(store: IRedMailStore, name: str) -> dict[str, tuple[int, int]]:
    """Return the statements and commits of each operation."""
    found = {}
    for operation, run in OPERATIONS.items():
        with counting(store) as seen:
            run(store, name)
        found[operation] = (len(seen), seen.commits)
    return found


def test_the_cost_of_an_operation_does_not_grow_with_the_store(rig: Rig) -> None:
    with rig.open_without_disk() as store:
        store.domains.create("example.com", max_accounts=2 * MANY, quota="100G")
        on_empty = costs(store, "first")
        assert on_empty["create"][0] <= 5
        assert on_empty["get"][0] <= 2
        assert on_empty["update"][0] <= 10
        assert on_empty["rename"][0] <= 12
        assert on_empty["delete"][0] <= 10
        assert all(commits == (operation != "get") for operation, (_, commits) in on_empty.items())
        store.accounts.create_many(
            {"address": f"user{number}@example.com", "password_hash": READY, "quota": "1M"} for number in range(MANY)
        )
        assert costs(store, "second") == on_empty


def test_bulk_creation_is_set_based(rig: Rig) -> None:
    with rig.open_without_disk() as store:
        store.domains.create("example.com")
        for start, number in ((0, 1000), (1000, 3000)):
            accounts = [{"address": f"u{start + n}@example.com", "password_hash": READY} for n in range(number)]
            with counting(store) as seen:
                store.accounts.create_many(accounts)
            assert len(seen) <= 10 * (number // 1000) + 3
            assert seen.commits == 1


def test_listing_reads_pages(rig: Rig) -> None:
    with rig.open_without_disk() as store:
        store.domains.create("example.com")
        store.accounts.create_many({"address": f"u{n}@example.com", "password_hash": READY} for n in range(1600))
        with counting(store) as seen:
            assert sum(1 for _ in store.accounts.list()) == 1600
        assert len(seen) == 2 * 4


def test_a_domain_is_deleted_with_few_statements(rig: Rig) -> None:
    with rig.open_without_disk() as store:
        costs_by_size = []
        for number in (3, 300):
            store.domains.create("example.com")
            store.accounts.create_many({"address": f"u{n}@example.com", "password_hash": READY} for n in range(number))
            with counting(store) as seen:
                assert store.domains.delete("example.com") == number
            costs_by_size.append((len(seen), seen.commits))
        assert costs_by_size[0] == costs_by_size[1]
        assert costs_by_size[0][1] == 1
