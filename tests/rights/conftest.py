"""Stores that act for admins of domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores import FACTORIES, StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore import Store


@pytest.fixture(params=["sqlite", "ldap"])
def iredmail_rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    """iRedMail in a database and in a directory, emptied."""
    assert request.param in FACTORIES
    rig = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    return rig


@pytest.fixture
def store(iredmail_rig: StoreRig) -> Iterator[Store]:
    """A store with two domains, and an admin of the first: one@admins.org."""
    store = iredmail_rig.shared
    for domain in ("own.org", "foreign.org"):
        store.domains.create(domain)
        store.accounts.create(f"bob@{domain}", password="secret")
    store.admins.create("one@admins.org", password="secret", domains=["own.org"])
    yield store
    store.take_notices()
