"""Tenants of an Aurora installation: their rows, logins, and the limits of what is in their domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists, BulkRefused, InvalidValue, LimitExceeded, NotFound, NotSupported, PermissionDenied
from mailstore.sql.afterlogic.rest_errors import TenantNotFound
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

pytestmark = only("mysql")


@pytest.fixture
def acme(store: AfterLogicStore) -> str:
    store.tenants.create("acme", password="tpw", login_enabled=True, quota_megabytes=150_000)
    store.domains.create("acme.com", settings=DomainSettings(tenant="acme"))
    return "acme"


def test_rows(rig: Rig, store: AfterLogicStore) -> None:
    made = store.tenants.create("Acme-1@x.y", password="tpw", description="Acme", email="boss@acme.com", max_domains=2)
    assert made == store.tenants.get("ACME-1@X.Y")
    row = rig.row("awm_tenants")
    assert (row["login"], row["password"]) == ("acme-1@x.y", "fec43dd73edd07d3ec525e54e0143917")
    assert [row[name] for name in ("id_channel", "disabled", "login_enabled", "quota", "user_count_limit")] == [0] * 5
    assert (row["domain_count_limit"], row["description"], row["email"]) == (2, "Acme", "boss@acme.com")
    after = store.tenants.update("acme-1@x.y", password="", max_domains=None, login_enabled=True)
    assert (after.max_domains, after.login_enabled, rig.row("awm_tenants")["password"]) == (None, True, "")
    assert store.tenants.login("acme-1@x.y", "") is None
    store.tenants.delete("acme-1@x.y")
    assert rig.rows("awm_tenants") == []


def test_refused(store: AfterLogicStore, acme: str) -> None:
    with pytest.raises(AlreadyExists):
        store.tenants.create("ACME")
    for login in ("", "a b", "x" * 256, "ä"):
        with pytest.raises(InvalidValue):
            store.tenants.create(login)
    bad: list[Any] = [{"max_accounts": 0}, {"max_accounts": True}, {"quota_megabytes": -1}, {"email": "nobody"}]
    for fields in bad:
        with pytest.raises(InvalidValue):
            store.tenants.update(acme, **fields)
    unknown: Any = {"nmae": "x"}
    with pytest.raises(TypeError):
        store.tenants.create("other", **unknown)
    for call in (store.tenants.get, store.tenants.update, store.tenants.delete):
        with pytest.raises(TenantNotFound):
            call("nobody")
    assert not store.tenants.exists("nobody")
    with pytest.raises(InvalidValue, match=r"acme\.com"):
        store.tenants.delete(acme)
    assert [tenant.login for tenant in store.tenants.list()] == [acme]


def test_login(store: AfterLogicStore, acme: str) -> None:
    assert store.tenants.login("ACME", "tpw") is not None
    for login, password in ((acme, "wrong"), (acme, ""), ("nobody", "tpw"), ("a b", "tpw")):
        assert store.tenants.login(login, password) is None


def test_accounts_belong_to_the_tenant_of_their_domain(rig: Rig, store: AfterLogicStore, acme: str) -> None:
    store.accounts.create("bob@acme.com", password="x")
    number = store.tenants.get(acme).id
    for table in ("awm_accounts", "awm_domains", "awm_addr_book"):
        assert rig.row(table)["id_tenant"] == number


def test_limit_of_domains(store: AfterLogicStore, acme: str) -> None:
    store.tenants.update(acme, max_domains=1)
    with pytest.raises(LimitExceeded):
        store.domains.create("more.com", settings=DomainSettings(tenant=acme))
    store.domains.create("elsewhere.com")
    store.tenants.update(acme, max_domains=2)
    store.domains.create("more.com", settings=DomainSettings(tenant=acme))


def test_limit_of_accounts(store: AfterLogicStore, acme: str) -> None:
    store.tenants.update(acme, max_accounts=2, quota_megabytes=None)
    store.accounts.create("a@acme.com", password="x")
    rows = [{"address": f"{name}@acme.com", "password": "x"} for name in ("b", "c")]
    with pytest.raises(BulkRefused) as caught:
        store.accounts.create_many(rows)
    assert isinstance(caught.value.rows[0][1], LimitExceeded)
    assert store.accounts.create_many(rows[:1]) == 1
    with pytest.raises(LimitExceeded):
        store.accounts.create("c@acme.com", password="x")
    record = store.accounts.delete("a@acme.com")
    assert record is not None
    store.accounts.create("c@acme.com", password="x")
    with pytest.raises(LimitExceeded):
        store.deleted.restore(record.id)


def test_quota_of_all_accounts(store: AfterLogicStore, acme: str) -> None:
    store.accounts.create("a@acme.com", password="x")  # without a limit: counts as 102400 MB
    store.accounts.create("b@acme.com", password="x", quota="40G")
    with pytest.raises(LimitExceeded):
        store.accounts.create("c@acme.com", password="x", quota="7G")
    with pytest.raises(LimitExceeded):
        store.accounts.update("b@acme.com", quota="50G")
    store.accounts.update("b@acme.com", quota="30G")
    store.accounts.create("c@acme.com", password="x", quota="7G")


def test_a_tenant_has_its_domains_and_nothing_else(rig: Rig, store: AfterLogicStore, acme: str) -> None:
    store.domains.create("elsewhere.com")
    for address in ("bob@acme.com", "eve@elsewhere.com"):
        store.accounts.create(address, password="x")
    mine = store.acting_as_tenant(store.tenants.get(acme).id)
    assert [domain.domain for domain in mine.domains.list()] == ["acme.com"]
    assert [account.address for account in mine.accounts.list()] == ["bob@acme.com"]
    assert (mine.accounts.count(), mine.domains.count(), mine.domains.exists("elsewhere.com")) == (1, 1, False)
    assert [address for address, _ in mine.accounts.homes()] == ["bob@acme.com"]
    before = rig.everything()
    changes: list[Callable[[], Any]] = [
        lambda: mine.accounts.get("eve@elsewhere.com"),
        lambda: mine.accounts.update("eve@elsewhere.com", name="x"),
        lambda: mine.accounts.update_all("elsewhere.com", enabled=False),
        lambda: mine.accounts.verify_password("eve@elsewhere.com", "x"),
        lambda: mine.accounts.delete("eve@elsewhere.com"),
        lambda: mine.accounts.create("new@elsewhere.com", password="x"),
        lambda: mine.accounts.create("new@far.com", password="x", settings=AccountSettings(default_domain=True)),
        lambda: mine.accounts.create("b@acme.com", password="x", settings=AccountSettings(parent="eve@elsewhere.com")),
        lambda: mine.domains.get("elsewhere.com"),
        lambda: mine.domains.update("elsewhere.com", settings=DomainSettings(site_name="x")),
        lambda: mine.domains.delete("elsewhere.com"),
        lambda: mine.domains.create("new.com", settings=DomainSettings(tenant="nobody")),
    ]
    for change in changes:
        with pytest.raises((NotFound, NotSupported)):
            change()
    for forbidden in (lambda: mine.deleted, lambda: mine.tenants, lambda: list(mine.check())):
        with pytest.raises(PermissionDenied):
            forbidden()
    assert rig.everything() == before
    mine.domains.create("own.com")
    assert rig.row("awm_domains", name="own.com")["id_tenant"] == rig.row("awm_tenants")["id_tenant"]
    assert mine.unrestricted().domains.exists("elsewhere.com")
    store.tenants.update(acme, enabled=False)
    with pytest.raises(TenantNotFound):
        store.acting_as_tenant(rig.row("awm_tenants")["id_tenant"])
