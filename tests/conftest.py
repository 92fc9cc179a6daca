"""Private servers shared by the whole test run, each started when first asked for."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import Pool, event

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import is_root, make_directory
from tests.servers.slapd import Slapd
from tests.stores import FACTORIES, Place, StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig

_numbers = itertools.count(1)


@event.listens_for(Pool, "connect")
def _answer_backwards(connection: object, _record: object) -> None:
    """Let SQLite answer queries without ORDER BY backwards, so that whoever trusts their order is found every time.

    PostgreSQL puts rows into slots that became free, so its order differs from that of insertion now and then.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA reverse_unordered_selects = ON")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Tests wait for servers and disks about half of their time."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure() -> None:
    """Let children be interrupted, who inherit that SIGINT is ignored if a shell has put the run into the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell once for each capability which stores lack it; pytest has a line for each test, and hides failures in them."""
    stores: dict[str, set[str]] = {}
    for report in terminalreporter.stats.get("skipped", ()):
        store, _, lacking = report.longrepr[2].removeprefix("Skipped: ").rpartition(" has no ")
        stores.setdefault(lacking, set()).add(store)
    if stores:
        terminalreporter.section("skipped, for want of")
    for lacking in sorted(stores):
        terminalreporter.write_line(f"{lacking}: {', '.join(sorted(stores[lacking]))}")


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


@pytest.fixture(scope="session")
def directory_server(scratch_root: Path) -> Iterator[Slapd]:
    """The run's directory server."""
    with Slapd(scratch_root / "slapd") as server:
        yield server


@pytest.fixture(scope="session")
def rigs(
    request: pytest.FixtureRequest, scratch_root: Path, vmail_owner: tuple[int, int]
) -> Iterator[Callable[[str], StoreRig]]:
    """A function that returns the run's rig of a name in `tests.stores.FACTORIES`; each is built when first asked for.

    A rig of which others have used before is not empty, and the homes of the others' may be left: `clear`, `empty_homes`.
    """
    place = Place(scratch_root, vmail_owner, request.getfixturevalue)
    built: dict[str, StoreRig] = {}

    def get(name: str) -> StoreRig:
        if name not in built:
            built[name] = FACTORIES[name](place)
            empty_homes(built[name])
        return built[name]

    yield get
    for rig in built.values():
        rig.close()


@pytest.fixture(scope="session", params=["sqlite", "mysql", "postgresql"])
def shared_rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Rig:
    """A database with iRedMail's schema on each engine, for the whole run."""
    return cast("Rig", rigs(request.param))


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """The database and the homes of one engine, emptied."""
    shared_rig.clear()
    empty_homes(shared_rig)
    return shared_rig


@pytest.fixture
def store(rig: Rig) -> Iterator[IRedMailStore]:
    """A store on each engine, with homes on disk; afterwards nothing may be wrong in it, and no connection lost."""
    yield rig.shared
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []
    assert rig.busy_connections() == 0
