"""The contract suite runs on every kind of store; where a store declares that it lacks something, its tests are skipped.

A driver's code is the same on each engine, and over each way to a server. So all tests run on one engine of a driver, or on
two, and on the others those that are marked ``backend``: what an engine does by itself, as locks, text, dates, and what
becomes of an error, and each kind of write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stores import FACTORIES, StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore import Store

OTHER_BACKENDS = frozenset(
    {"postgresql", "ldap-starttls", "ldapi", "afterlogic-mysql", "afterlogic-postgresql"},
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what need not run on each backend; tests that name their stores run on all that they name."""
    left_out = [item for item in items if item.path.parent == Path(__file__).parent and not _runs(item)]
    items[:] = [item for item in items if item not in set(left_out)]
    config.hook.pytest_deselected(items=left_out)


def _runs(item: pytest.Item) -> bool:
    names = (mark.args[0] for mark in item.iter_markers("parametrize"))
    if item.get_closest_marker("backend") or "store_rig" in names:
        return True
    return getattr(item, "callspec", None) is None or item.callspec.params.get("store_rig") not in OTHER_BACKENDS


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
