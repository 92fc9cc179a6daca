"""What operations cost: numbers of statements and commits, the same however large the store is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.rigs import counting

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig


def costs(store: AfterLogicStore, name: str) -> dict[str, tuple[int, int]]:
    """Return the statements and commits of each operation."""
    address = f"{name}@example.com"
    operations: dict[str, Any] = {
        "create": lambda: store.accounts.create(address, password="x", quota="1M"),
        "get": lambda: store.accounts.get(address),
        "update": lambda: store.accounts.update(address, name="x", quota="2M", password="y"),
        "delete": lambda: store.accounts.delete(address),
    }
    found = {}
    for operation, run in operations.items():
        with counting(store) as seen:
            run()
        found[operation] = (len(seen), seen.commits)
    return found


def test_the_cost_of_an_operation_does_not_grow_with_the_store(rig: Rig) -> None:
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        store.domains.create("example.com")
        on_empty = costs(store, "first")
        assert on_empty["create"][0] <= 8
        assert on_empty["get"][0] <= 2
        assert on_empty["update"][0] <= 7
        assert on_empty["delete"][0] <= 38
        assert all(commits == (operation != "get") for operation, (_, commits) in on_empty.items())
        store.accounts.create_many({"address": f"user{number}@example.com", "password": "x"} for number in range(3000))
        assert costs(store, "second") == on_empty


def test_bulk_creation_is_set_based(rig: Rig) -> None:
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        store.domains.create("example.com")
        for start, number in ((0, 1000), (1000, 3000)):
            accounts = [{"address": f"u{start + n}@example.com", "password": "x"} for n in range(number)]
            with counting(store) as seen:
                store.accounts.create_many(accounts)
            assert len(seen) <= 8 * (number // 1000) + 5
            assert seen.commits == 1


def test_listing_reads_pages(rig: Rig) -> None:
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        store.domains.create("example.com")
        store.accounts.create_many({"address": f"u{n}@example.com", "password": "x"} for n in range(1600))
        with counting(store) as seen:
            assert sum(1 for _ in store.accounts.list()) == 1600
        assert len(seen) == 2 * 4


def test_a_domain_is_deleted_with_few_statements(rig: Rig) -> None:
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        found = []
        for number in (3, 300):
            store.domains.create("example.com")
            store.accounts.create_many(
                {"address": f"u{n}-{number}@example.com", "password": "x"} for n in range(number)
            )
            with counting(store) as seen:
                assert store.domains.delete("example.com") == number
            found.append((len(seen), seen.commits))
        assert found[0] == found[1]
        assert found[0][1] == 1
