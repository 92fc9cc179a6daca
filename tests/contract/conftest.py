"""The contract suite runs on every kind of store; where a store declares that it lacks something, its tests are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores import FACTORIES, StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore import Store


@pytest.fixture(params=sorted(FACTORIES))
def store_rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    """Each kind of store, emptied."""
    rig = rigs(request.param)
    for mark in request.node.iter_markers("needs"):
        for capability in mark.args:
            if capability not in rig.shared.capabilities:
                pytest.skip(f"{rig.name} has no {capability.value}")
    rig.clear()
    empty_homes(rig)
    return rig


@pytest.fixture
def store(store_rig: StoreRig) -> Iterator[Store]:
    """A store of each kind, with homes on disk; afterwards nothing may be wrong in it, and no connection lost."""
    yield store_rig.shared
    assert [finding for finding in store_rig.shared.check() if finding.severity == "error"] == []
    assert store_rig.busy_connections() == 0
