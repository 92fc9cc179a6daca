"""Lists can be gone on with behind what an earlier one ended with, in every collection of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability
from tests.contract.hosting import credentials, host, settled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailstore import Store


def goes_on(collection: Any, key: str, filters: Iterable[dict[str, Any]] = ({},)) -> None:
    """Ask behind each item of a list, and expect the rest of it."""
    for wanted in filters:
        whole = list(collection.list(**wanted))
        assert len(whole) > 1
        for number, item in enumerate(whole):
            assert list(collection.list(**wanted, after=getattr(item, key))) == whole[number + 1 :]


@pytest.mark.backend
def test_every_list_goes_on_behind_an_item(store: Store) -> None:
    settled(store, "a.example", "b.example", "c.example")
    for name in ("x_y@a.example", "x.y@a.example", "xy@b.example", "0@c.example"):
        store.accounts.create(name, **credentials(store))
    goes_on(store.domains, "domain")
    goes_on(store.accounts, "address", ({}, {"domain": "a.example"}, {"search": "x"}))
    have = store.capabilities
    if Capability.ALIASES in have:
        for name in ("s@a.example", "t@b.example", "s-t@a.example"):
            store.aliases.create(name, members=["x@elsewhere.example"])
        goes_on(store.aliases, "address", ({}, {"domain": "a.example"}))
    if Capability.LISTS in have:
        for name in ("l@a.example", "m@b.example"):
            store.lists.create(name, members=["x@elsewhere.example"])
        goes_on(store.lists, "address")
    if Capability.STANDALONE_ADMINS in have:
        for name in ("one@admin.example", "two@admin.example"):
            store.admins.create(name, **credentials(store), global_admin=True)
        goes_on(store.admins, "address")
    elif Capability.ACCOUNT_ADMINS in have:
        for name in ("xy@b.example", "0@c.example"):
            store.admins.promote(name, global_admin=True)
        goes_on(store.admins, "address")


@pytest.mark.needs(Capability.RETENTION)
def test_records_go_on_behind_a_number(store: Store) -> None:
    host(store, "a.example")
    for name in ("x@a.example", "y@a.example", "z@a.example"):
        store.accounts.create(name, **credentials(store))
        store.accounts.delete(name, keep_mailbox_days=9)
    goes_on(store.deleted, "id", ({}, {"domain": "a.example"}))
