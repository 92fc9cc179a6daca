"""The calls of the REST API that concern more than the webmail's accounts: its mail server, and tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import NotSupported
from mailstore.sql.afterlogic.rest_errors import BadLogin, TenantNotFound, code_of
from mailstore.sql.afterlogic.settings import DomainSettings
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig


@only("mysql")
def test_d01_token_of_a_tenant(store: AfterLogicStore) -> None:
    tenant = store.tenants.create("acme", password="tpw", login_enabled=True)
    grant = store.rest.check(store.rest.token("ACME", "tpw"))
    assert grant.tenant_id == tenant.id
    for change in ({"enabled": False}, {"enabled": True, "login_enabled": False}):
        changes: Any = change
        store.tenants.update("acme", **changes)
        with pytest.raises(BadLogin):
            store.rest.token("acme", "tpw")


def test_d02_created_on_the_mail_server_as_well(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("hosted.com")
    made = store.accounts.create("bob@hosted.com", password="secret", quota="1G")
    assert made.home == f"{rig.root}/hosted.com/bob"
    assert rig.row("awm_domains")["is_internal"] == 1


def test_d04_deleted_on_the_mail_server_as_well(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("hosted.com")
    store.accounts.create("bob@hosted.com", password="secret", aliases=["b@hosted.com"])
    record = store.accounts.delete("bob@hosted.com", keep_mailbox_days=5)
    assert record is not None
    assert record.home == f"{rig.root}/hosted.com/bob"
    left = [name for name, rows in rig.everything().items() if rows]
    assert set(left) <= {"awm_domains", "mailstore_deleted", "mailstore_deleted_mailboxes"}


@only("mysql")
def test_d11_domain_of_a_tenant(rig: Rig, store: AfterLogicStore) -> None:
    tenant = store.tenants.create("acme")
    store.domains.create("example.com", settings=DomainSettings(tenant="ACME"))
    assert rig.row("awm_domains")["id_tenant"] == tenant.id
    with pytest.raises(TenantNotFound) as caught:
        store.domains.create("other.com", settings=DomainSettings(tenant="nobody"))
    assert code_of(caught.value, "POST /domain") == 719


@only("sqlite")
def test_d11_lite_has_no_tenants(store: AfterLogicStore) -> None:
    with pytest.raises(NotSupported, match="aurora"):
        store.domains.create("example.com", settings=DomainSettings(tenant="acme"))


@only("mysql")
def test_d14_list_of_a_tenant(store: AfterLogicStore) -> None:
    store.tenants.create("acme")
    store.domains.create("a.com", settings=DomainSettings(tenant="acme"))
    store.domains.create("b.com")
    assert [entry.name for entry in store.domains.page(tenant="acme")] == ["a.com"]
    with pytest.raises(TenantNotFound):
        store.domains.page(tenant="nobody")
