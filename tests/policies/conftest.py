"""Stores with databases of amavisd and iRedAPD beside them, on both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from mailstore.passwords import hash_password
from mailstore.sql import engine as engine_module
from tests.policies.rig import PolicyRig
from tests.rigs import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.stores import StoreRig

READY = hash_password("secret")
SERVERS = {"mysql": "mariadb", "postgresql": "postgresql"}
ON_DIRECTORIES = [f"{engine} beside ldap" for engine in SERVERS]
"""Parameters of `policy_rig` for accounts in a directory."""
EVERYWHERE = pytest.mark.parametrize("policy_rig", [*SERVERS, *ON_DIRECTORIES], indirect=True)
"""Runs tests beside each kind of store."""


@pytest.fixture(scope="session")
def policy_rigs(
    request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]
) -> Iterator[Callable[[str], PolicyRig]]:
    """A function that returns the run's databases of an engine; what is beside a directory has its own store."""
    built: dict[str, PolicyRig] = {}

    def get(name: str) -> PolicyRig:
        if name not in built:
            engine, _, accounts = name.partition(" beside ")
            server = request.getfixturevalue(SERVERS[engine])
            built[name] = PolicyRig(engine, cast("Rig", rigs(accounts or engine)), server)
        return built[name]

    yield get
    for rig in built.values():
        rig.close()


@pytest.fixture(params=sorted(SERVERS))
def policy_rig(request: pytest.FixtureRequest, policy_rigs: Callable[[str], PolicyRig]) -> PolicyRig:
    """The databases of one engine."""
    return policy_rigs(request.param)


@pytest.fixture
def prig(policy_rig: PolicyRig, monkeypatch: pytest.MonkeyPatch) -> PolicyRig:
    """The databases, emptied. Whichever test ran before, it may have killed the server."""
    monkeypatch.setattr(engine_module, "_IDLE_SECONDS", 0)  # else connections used just now would be taken for alive
    policy_rig.clear()
    return policy_rig


@pytest.fixture
def pstore(prig: PolicyRig) -> Iterator[IRedMailStore]:
    """A store with both databases and some accounts; afterwards nothing may be wrong, and no connection lost."""
    store = prig.shared
    store.domains.create("example.com")
    store.domains.create("example.org")
    for address in ("bob@example.com", "eve@example.com"):
        store.accounts.create(address, password_hash=READY)
    yield store
    assert [finding for finding in store.check() if finding.severity == "error"] == []
    assert prig.busy_connections() == 0
