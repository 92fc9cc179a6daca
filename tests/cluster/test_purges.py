"""Restores and purges on different nodes: one of them wins, and no mail is lost; what two purges want, one removes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailstore import MailstoreError
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from tests.cluster.conftest import ROUNDS, Product
from tests.faults.interleaving import Commit, found_below, interleaved, without_waiting
from tests.faults.test_purge_interleavings import BOBS, World, require_nothing_lost, restore, restore_with_the_disk

HASH = hash_password("secret")
_ALL_STEPS = 50


@pytest.fixture
def world(product: Product) -> Iterator[World]:
    """The purger on one node, its neighbours on the others."""
    options = {"homes": str(product.rig.root), "home_owner": ":".join(map(str, product.rig.owner))}
    with (
        product.open(1, home_root=str(product.rig.root)) as panel,
        product.open(2, **options) as neighbour,
        without_waiting(panel),
        without_waiting(neighbour),
    ):
        yield World(product.rig, panel, neighbour)


@pytest.mark.parametrize("action", [restore, restore_with_the_disk])
def test_a_restore_at_each_step_of_a_purge(world: World, action: object) -> None:
    steps = 1 if ROUNDS >= _ALL_STEPS else 4
    for purge in interleaved(lambda: world.prepared(action), commit=Commit.DONE, stride=steps):  # type: ignore[arg-type]
        require_nothing_lost(world, purge)


def test_a_restore_beside_a_purge(product: Product) -> None:
    rig, panel = product.rig, product.stores[1]
    rig.shared.domains.create("example.com")
    for number in range(ROUNDS):
        address = f"bob{number}@example.com"
        home = Path(str(rig.shared.accounts.create(address, password_hash=HASH).home))
        (home / "Maildir/new/1").write_text(f"{BOBS} {number}")
        record = rig.shared.accounts.delete(address, keep_mailbox_days=0)
        purging = threading.Thread(target=lambda: list(purge_due(rig.shared)))
        purging.start()
        try:
            panel.deleted.restore(record.id)
        except MailstoreError:
            restored = False
        else:
            restored = True
        purging.join()
        list(purge_due(rig.shared))
        assert restored == rig.shared.accounts.exists(address)
        assert restored == (f"{BOBS} {number}" in found_below(home))
    assert not list(rig.shared.homes.trashed())


def test_three_purges(product: Product) -> None:
    rig, many = product.rig, 30
    rig.shared.domains.create("example.com")
    for number in range(many):
        home = Path(str(rig.shared.accounts.create(f"u{number}@example.com", password_hash=HASH).home))
        (home / "Maildir/new/1").write_text(str(number))
    rig.shared.domains.delete("example.com", keep_mailbox_days=0)
    options = {"homes": str(rig.root), "home_owner": ":".join(map(str, rig.owner))}
    purgers = [product.open(node, **options) for node in range(3)]
    with ThreadPoolExecutor(3) as pool:
        outcomes = [outcome for found in pool.map(lambda store: list(purge_due(store)), purgers) for outcome in found]
    for store in purgers:
        store.close()
    assert {outcome.action for outcome in outcomes} <= {"purged", "absent"}
    assert found_below(rig.root) == set()
    assert sum(outcome.files for outcome in outcomes) == many
    assert list(rig.shared.deleted.list()) == []
