"""One service for a module, on iRedMail's tables in SQLite, with a global admin who is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from mailstore.passwords import hash_password
from tests.http.rig import Client, Service, serving, toml
from tests.servers.process import make_directory
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore import Store
    from tests.rigs import Rig
    from tests.stores import StoreRig

ROOT, PASSWORD = "root@admin.example", "the password of root"
READY = hash_password(PASSWORD)
PANEL = '[http.dialects.panel]\napi = "iredadmin"\n'


@pytest.fixture(scope="module")
def sqlite_rig(rigs: Callable[[str], StoreRig]) -> Rig:
    return cast("Rig", rigs("sqlite"))


@pytest.fixture(scope="module")
def service(sqlite_rig: Rig, scratch_root: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service; its log is looked through for secrets in the end."""
    directory = make_directory(scratch_root / f"http-{request.module.__name__.rpartition('.')[2]}")
    text = toml(f'url = "{sqlite_rig.url}"', directory / "state", PANEL, 'trusted_proxies = ["127.0.0.1"]')
    with serving(directory, text) as running:
        yield running
        running.terminate()
        assert running.wait() == 0
    told = [*running.lines, *(directory / "audit.log").read_text().splitlines()]
    assert [line for line in told if PASSWORD in line or "AsTr0ng" in line or "internal error" in line] == []


@pytest.fixture
def accounts(sqlite_rig: Rig) -> Store:
    """The store that the service works on, emptied but for a global admin."""
    sqlite_rig.clear()
    empty_homes(sqlite_rig)
    sqlite_rig.shared.admins.create(ROOT, password_hash=READY, global_admin=True)
    return sqlite_rig.shared


@pytest.fixture
def panel(service: Service, accounts: Store) -> Client:
    """A client that is logged in as the global admin."""
    client = service.client()
    assert client.login(ROOT, PASSWORD) == {"_success": True}
    return client
