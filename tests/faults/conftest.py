"""Fixtures of the fault tests."""

from __future__ import annotations

import os
import shutil
import tempfile
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


@pytest.fixture(scope="module")
def _sqlite_rig(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Rig]:
    directory = Path(tempfile.mkdtemp(prefix="faults", dir=scratch_root))
    directory.chmod(0o755)
    file = directory / "sqlite" / "vmail.db"
    file.parent.mkdir()
    rig = Rig("sqlite", f"iredmail+sqlite:///{file}", f"sqlite+pysqlite:///{file}", directory / "homes", vmail_owner)
    yield rig
    rig.close()


@pytest.fixture
def sqlite_rig(_sqlite_rig: Rig) -> Rig:
    """An SQLite database that belongs to the owner of the mail; it and the directory of its homes are empty."""
    rig = _sqlite_rig
    for path in rig.root.parent.iterdir():
        if path.is_symlink():
            path.unlink()
        elif path.name != "sqlite":
            shutil.rmtree(path)
    rig.root.mkdir()
    file = rig.root.parent / "sqlite" / "vmail.db"
    file.chmod(0o644)
    for path in (file, file.parent, rig.root):
        os.chown(path, *rig.owner)
    rig.clear()
    return rig
