"""Many accounts in one call: changed or deleted all together, or not at all, with every refused one named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import BulkRefused, Capability, NotFound
from tests.contract.hosting import credentials, host

if TYPE_CHECKING:
    from mailstore import Store

A, B, C, GONE = (f"{name}@example.com" for name in ("a", "b", "c", "gone"))


@pytest.fixture
def people(store: Store) -> Store:
    host(store, "example.com")
    for address in (A, B, C):
        store.accounts.create(address, **credentials(store))
    return store


def test_all_of_them_are_deleted(people: Store) -> None:
    records = people.accounts.delete_many([C, A])
    assert [record.address if record else "" for record in records] in ([C, A], ["", ""])
    assert [account.address for account in people.accounts.list()] == [B]
    assert people.accounts.delete_many([]) == []


def test_a_refused_one_is_named_and_keeps_all_where_there_are_transactions(people: Store) -> None:
    with pytest.raises(BulkRefused) as refused:
        people.accounts.delete_many([A, GONE, B])
    ((index, error),) = refused.value.rows
    assert (index, isinstance(error, NotFound), error.subject) == (1, True, GONE)
    assert refused.value.written == (Capability.TRANSACTIONS not in people.capabilities)
    assert people.accounts.exists(A) != refused.value.written


@pytest.mark.needs(Capability.DISABLING)
def test_all_of_them_are_changed(people: Store) -> None:
    assert people.accounts.update_many([{"address": A, "enabled": False}, {"address": C, "enabled": False}]) == 2
    assert [account.enabled for account in people.accounts.list()] == [False, True, False]
    with pytest.raises(BulkRefused) as refused:
        people.accounts.update_many([{"address": GONE, "enabled": True}, {"address": A, "enabled": True}])
    assert [index for index, _ in refused.value.rows] == [0]
    assert people.accounts.get(A).enabled == refused.value.written
