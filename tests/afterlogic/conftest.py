"""Fixtures of the AfterLogic tests: its rigs, emptied, and an installation's data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.afterlogic.rig import KNOWN_HASH, data_folder_in
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig
    from tests.stores import StoreRig

KINDS = ("sqlite", "mysql", "postgresql")


@pytest.fixture(scope="session", params=KINDS)
def shared_rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Rig:
    """A database with AfterLogic's schema on each engine; on MySQL it is Aurora's, elsewhere WebMail Lite's."""
    return cast("Rig", rigs(f"afterlogic-{request.param}"))


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """The database and the homes of one kind, emptied."""
    shared_rig.clear()
    empty_homes(shared_rig)
    return shared_rig


@pytest.fixture
def store(rig: Rig) -> Iterator[AfterLogicStore]:
    """A store of each kind, with homes on disk; afterwards nothing may be wrong in it, and no connection lost."""
    yield rig.shared
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []
    assert rig.busy_connections() == 0


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """The data folder of an installation whose administrator has the password 12345."""
    return data_folder_in(tmp_path, KNOWN_HASH)


def only(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on these kinds of rig."""
    return pytest.mark.parametrize("shared_rig", kinds, indirect=True)
