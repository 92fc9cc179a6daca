"""Stores on both sides of a transfer: any two of the run's kinds, emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def emptied(rigs: Callable[[str], StoreRig]) -> Callable[[str], StoreRig]:
    """A function that returns the run's rig of a name, emptied."""

    def get(name: str) -> StoreRig:
        rig = rigs(name)
        rig.clear()
        empty_homes(rig)
        return rig

    return get
