"""Private servers shared by the whole test run, each started when first asked for."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import is_root, make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def scratch_root() -> Iterator[Path]:
    """A short directory that the servers' users may enter; pytest's own tmp_path they may not."""
    # Lower case, because Dovecot's %L lower-cases home paths.
    root = make_directory(Path("/tmp") / f"mailstore{secrets.token_hex(4)}")
    yield root
    shutil.rmtree(root)


@pytest.fixture
def workdir(scratch_root: Path) -> Path:
    """A fresh directory for one test."""
    return make_directory(scratch_root / f"work{next(_numbers)}")


@pytest.fixture(scope="session")
def vmail_owner() -> tuple[int, int]:
    """The uid and gid that own mail; they need no passwd entry."""
    return (5000, 5000) if is_root() else (os.getuid(), os.getgid())


@pytest.fixture(scope="session")
def mariadb(scratch_root: Path) -> Iterator[MariaDB]:
    """The run's MariaDB server."""
    with MariaDB(scratch_root / "mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(scratch_root: Path) -> Iterator[PostgreSQL]:
    """The run's PostgreSQL server."""
    with PostgreSQL(scratch_root / "postgresql") as server:
        yield server
