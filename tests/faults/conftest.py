"""Fixtures of the fault tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs import Rig
from tests.servers.database import DatabaseServer


@pytest.fixture
def server(rig: Rig, request: pytest.FixtureRequest) -> DatabaseServer:
    """The server behind the rig; for tests that run on servers only."""
    found: DatabaseServer = request.getfixturevalue({"mysql": "mariadb", "postgresql": "postgresql"}[rig.name])
    return found


@pytest.fixture
def sqlite_rig(workdir: Path, vmail_owner: tuple[int, int]) -> Iterator[Rig]:
    """A new SQLite database that belongs to the owner of the mail, in a directory of its own."""
    file = workdir / "sqlite" / "vmail.db"
    file.parent.mkdir()
    rig = Rig("sqlite", f"iredmail+sqlite:///{file}", f"sqlite+pysqlite:///{file}", workdir / "homes", vmail_owner)
    rig.root.mkdir()
    for path in (file, file.parent, rig.root):
        os.chown(path, *vmail_owner)
    yield rig
    rig.close()
