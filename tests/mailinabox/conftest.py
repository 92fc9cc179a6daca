"""Boxes for tests of their own store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import pytest

from tests.mailinabox.rig import CURRENT, BoxRig, make_box
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore.sql.mailinabox.store import MailInABoxStore
    from tests.stores import StoreRig


@pytest.fixture
def box(rigs: Callable[[str], StoreRig]) -> BoxRig:
    """The box of this run, emptied."""
    rig = cast("BoxRig", rigs("mailinabox"))
    rig.clear()
    empty_homes(rig)
    return rig


@pytest.fixture
def store(box: BoxRig) -> Iterator[MailInABoxStore]:
    """The store of this run's box; afterwards nothing may be wrong in it, and no connection lost."""
    yield box.shared
    assert [finding for finding in box.shared.check() if finding.severity == "error"] == []
    assert box.busy_connections() == 0


@pytest.fixture
def new_box(workdir: Path, vmail_owner: tuple[int, int]) -> Iterator[Callable[..., BoxRig]]:
    """A function that makes boxes of other stages, with or without the tables for deleted mailboxes."""
    made: list[BoxRig] = []

    def make(stage: int = CURRENT, *, own_table: bool = False) -> BoxRig:
        root = workdir / f"box{len(made)}"
        rig = BoxRig(f"box{stage}", make_box(root, vmail_owner, stage=stage), vmail_owner, own_table)
        os.chown(rig.root, *vmail_owner)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.close()
