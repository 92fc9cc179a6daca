"""How long a login takes tells nothing: not who is an admin, nor who is switched off, nor which hash somebody has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import bcrypt
import pytest

from mailstore import Capability, Store
from mailstore.driver.logins import kind_of
from mailstore.passwords import hash_password
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stores import StoreRig

SLOW = "{BLF-CRYPT}" + bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
CHEAP = hash_password("secret", "SSHA512")


@pytest.fixture(params=["sqlite", "ldap", "atmail", "mailinabox"])
def store(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Store:
    """A store of each kind that has admins, with a slow hash, a cheap one, and one of who may not log in."""
    rig = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    found = rig.shared
    if Capability.DOMAIN_ADMINS in found.capabilities:
        found.admins.create("slow@admins.org", password_hash=SLOW)
        found.admins.create("cheap@admins.org", password_hash=CHEAP)
    else:
        for name, stored in (("slow", SLOW), ("cheap", CHEAP)):
            found.accounts.create(f"{name}@admins.org", password_hash=stored)
            found.admins.promote(f"{name}@admins.org", global_admin=True)
    return found


def cost(store: Store, address: str, password: str) -> float:
    """Return the processor time of a login in seconds, the least of a few."""
    times = []
    for _ in range(3):
        start = time.process_time()
        store.admins.login(address, password)
        times.append(time.process_time() - start)
    return min(times)


def test_a_login_takes_the_same_time_for_everybody(store: Store) -> None:
    costs = {
        (name, password): cost(store, f"{name}@admins.org", password)
        for name in ("slow", "cheap", "nobody")
        for password in ("secret", "wrong")
    }
    assert max(costs.values()) < 1.8 * min(costs.values()), costs
    assert min(costs.values()) > 0.01, costs


def test_who_is_right_is_let_in(store: Store) -> None:
    for name in ("slow", "cheap"):
        admin = store.admins.login(f"{name}@admins.org", "secret")
        assert admin is not None
        assert admin.address == f"{name}@admins.org"
        assert store.admins.login(f"{name}@admins.org", "wrong") is None
    assert store.admins.login("nobody@admins.org", "secret") is None


def test_what_a_hash_costs_stands_before_its_salt() -> None:
    assert kind_of(SLOW) != kind_of(SLOW.replace("$10$", "$11$"))
    for scheme in ("SSHA256", "SSHA512", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2ID"):
        one, other = (hash_password("x", scheme) for _ in range(2))
        assert kind_of(one) == kind_of(other), scheme
