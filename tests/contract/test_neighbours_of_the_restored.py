"""Whoever forwards to a deleted account is as before after its restore, without a copy that was not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore import Store

FROM, TO, ALSO = "f@example.com", "t@example.com", "also@example.com"


@pytest.fixture(params=["sqlite", "mysql", "postgresql", "ldap", "atmail"])
def store(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Store:
    rig = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    host(rig.shared, "example.com")
    for address in (FROM, TO, ALSO):
        rig.shared.accounts.create(address, password="secret")
    return rig.shared


def delete(store: Store, address: str) -> int:
    record = store.accounts.delete(address)
    assert record is not None
    return record.id


def forwards(store: Store) -> tuple[tuple[str, ...], bool]:
    account = store.accounts.get(FROM)
    return account.forwarding, account.keep_copy


def test_no_copy_is_left(store: Store) -> None:
    store.accounts.update(FROM, forwarding=[TO], keep_copy=False)
    number = delete(store, TO)
    assert forwards(store) == ((), True)
    store.deleted.restore(number)
    assert forwards(store) == ((TO,), False)


def test_a_copy_that_was_there_stays(store: Store) -> None:
    store.accounts.update(FROM, forwarding=[TO], keep_copy=True)
    store.deleted.restore(delete(store, TO))
    assert forwards(store) == ((TO,), True)


@pytest.mark.parametrize("first", [0, 1])
def test_one_after_the_other(store: Store, first: int) -> None:
    store.accounts.update(FROM, forwarding=[TO, ALSO], keep_copy=False)
    numbers = [delete(store, TO), delete(store, ALSO)]
    assert forwards(store) == ((), True)
    store.deleted.restore(numbers[first])
    store.deleted.restore(numbers[1 - first])
    assert sorted(forwards(store)[0]) == sorted([TO, ALSO])
    assert not forwards(store)[1]


def test_what_was_set_meanwhile_stays(store: Store) -> None:
    store.accounts.update(FROM, forwarding=[TO], keep_copy=False)
    number = delete(store, TO)
    store.accounts.update(FROM, forwarding=[ALSO], keep_copy=True)
    store.deleted.restore(number)
    assert forwards(store)[1]
    assert ALSO in forwards(store)[0]


def test_another_account_of_that_name_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.accounts.update(FROM, forwarding=[TO], keep_copy=False)
    if "ldap" in store.name:
        pytest.skip("a directory notes by itself when an entry was made, in whole seconds")
    number = delete(store, TO)
    store.accounts.delete(FROM)
    for module in ("mailstore.sql.iredmail.accounts.new", "mailstore.sql.atmail.schema.units"):
        monkeypatch.setattr(f"{module}.now", lambda: datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=2))
    store.accounts.create(FROM, password="secret")
    store.deleted.restore(number)
    assert forwards(store)[1]


@pytest.mark.backend
def test_a_whole_domain_of_destinations(store: Store) -> None:
    host(store, "other.example")
    store.accounts.create("t@other.example", password="secret")
    store.accounts.update(FROM, forwarding=["t@other.example"], keep_copy=False)
    store.domains.delete("other.example")
    host(store, "other.example")
    (record,) = store.deleted.list(domain="other.example")
    store.deleted.restore(record.id)
    assert forwards(store) == (("t@other.example",), False)
