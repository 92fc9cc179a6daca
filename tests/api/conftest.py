"""The API on each kind of store that differs for it, within the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.rig import Api, OpenStores, serve
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def sqlite(rigs: Callable[[str], StoreRig]) -> StoreRig:
    """iRedMail's tables in SQLite, emptied."""
    rig = rigs("sqlite")
    rig.clear()
    empty_homes(rig)
    return rig


@pytest.fixture
def api(sqlite: StoreRig, workdir: Path) -> Iterator[Api]:
    """The API on iRedMail's tables in SQLite, for a token that may do everything."""
    stores = OpenStores(main=sqlite)
    yield serve(stores, workdir)
    stores.close()
