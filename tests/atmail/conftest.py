"""Fixtures of the tests of the atmail store."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig
    from tests.stores import StoreRig


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> AtmailRig:
    """atmail's databases, emptied."""
    found = cast("AtmailRig", rigs("atmail"))
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def store(rig: AtmailRig) -> Iterator[AtmailStore]:
    """The store, with homes on disk; afterwards nothing may be wrong in it, and no connection lost."""
    yield rig.shared
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []
    assert rig.busy_connections() == 0
