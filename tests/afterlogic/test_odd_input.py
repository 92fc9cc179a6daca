"""Odd input at the parts that only this store has ends in errors of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import InvalidPassword, InvalidValue
from mailstore.sql.afterlogic.rest_errors import BadLogin, InvalidToken
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

HALF = "pass\ud800word"


@only("sqlite")
@pytest.mark.parametrize("token", [None, 5, b"x", HALF, "ü" * 9, "x" * 70_000, "AAAA", "."])
def test_tokens(store: AfterLogicStore, token: Any) -> None:
    with pytest.raises(InvalidToken):
        store.rest.check(token)


@only("sqlite")
@pytest.mark.parametrize(("login", "password"), [("mailadm", HALF), (HALF, "x"), (5, "x"), ("mailadm", b"x")])
def test_logins(store: AfterLogicStore, login: Any, password: Any) -> None:
    with pytest.raises(BadLogin):
        store.rest.token(login, password)


@only("sqlite")
def test_passwords_with_half_a_character(store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password="x")
    assert not store.accounts.verify_password("bob@example.com", HALF)


@only("mysql")
def test_what_belongs_to_a_tenant_goes_with_it(rig: Rig, store: AfterLogicStore) -> None:
    with pytest.raises(InvalidPassword):
        store.tenants.create("acme", password=HALF)
    tenant = store.tenants.create("acme")
    for table in ("awm_tenant_socials", "awm_subscriptions", "ahd_fetcher"):
        rig.insert(table, id_tenant=tenant.id)
        rig.insert(table, id_tenant=tenant.id + 1)
    store.tenants.delete("acme")
    for table in ("awm_tenant_socials", "awm_subscriptions", "ahd_fetcher"):
        assert [row["id_tenant"] for row in rig.rows(table)] == [tenant.id + 1]


@only("sqlite")
@pytest.mark.parametrize(("number", "size"), [("1", 10), (1, "10"), (True, 10), (1, 0), (1, 10**9), (None, 10)])
def test_pages(store: AfterLogicStore, number: Any, size: Any) -> None:
    with pytest.raises(InvalidValue):
        store.accounts.page(number, size=size)
    with pytest.raises(InvalidValue):
        store.domains.page(number, size=size)


@only("sqlite")
def test_far_pages_are_empty(store: AfterLogicStore) -> None:
    assert store.accounts.page(10**30) == store.domains.page(10**30) == []
