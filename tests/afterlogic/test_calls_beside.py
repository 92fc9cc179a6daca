"""The calls of the REST API that concern more than the webmail's accounts: its mail server, and tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import NotSupported
from mailstore.sql.afterlogic.rest_errors import BadLogin, TenantNotFound, code_of
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig


@only("connector")
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
    if not rig.connector:
        assert rig.row("awm_domains")["is_internal"] == 1
        return
    webmail, mailbox = rig.row("awm_accounts"), rig.row("mta.awm_accounts")
    assert (mailbox["email"], mailbox["id_user"]) == ("bob@hosted.com", webmail["id_user"])
    assert (mailbox["mail_quota_kb"], mailbox["deleted"], mailbox["mailing_list"]) == (1 << 20, 0, 0)
    assert len(mailbox["password"]) == 80
    assert rig.row("mta.awm_domains")["id_domain"] == mailbox["id_domain"] == webmail["id_domain"]
    store.accounts.create("eve@other.net", password="x", settings=AccountSettings(parent="bob@hosted.com"))
    assert len(rig.rows("mta.awm_accounts")) == 1


def test_d04_deleted_on_the_mail_server_as_well(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("hosted.com")
    store.accounts.create("bob@hosted.com", password="secret", aliases=["b@hosted.com"])
    record = store.accounts.delete("bob@hosted.com", keep_mailbox_days=5)
    assert record is not None
    assert record.home == f"{rig.root}/hosted.com/bob"
    left = [name for name, rows in rig.everything().items() if rows]
    assert set(left) <= {"awm_domains", "mta.awm_domains", "mailstore_deleted", "mailstore_deleted_mailboxes"}


@only("connector")
def test_d06_disable_on_the_mail_server_as_well(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("hosted.com")
    for name in ("bob", "eve"):
        store.accounts.create(f"{name}@hosted.com", password="secret")
    store.accounts.update("bob@hosted.com", enabled=False)
    assert [row["deleted"] for row in rig.rows("mta.awm_accounts")] == [1, 0]
    store.accounts.update_all("hosted.com", enabled=False)
    assert [row["deleted"] for row in rig.rows("mta.awm_accounts")] == [1, 1]


@only("connector")
def test_d07_password_on_the_mail_server_as_well(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("hosted.com")
    store.accounts.create("bob@hosted.com", password="secret")
    before = rig.row("mta.awm_accounts")["password"]
    store.accounts.update("bob@hosted.com", password="new")
    assert rig.row("mta.awm_accounts")["password"] != before


@only("connector")
def test_d11_domain_of_a_tenant(rig: Rig, store: AfterLogicStore) -> None:
    tenant = store.tenants.create("acme")
    store.domains.create("example.com", settings=DomainSettings(tenant="ACME"))
    assert rig.row("awm_domains")["id_tenant"] == tenant.id == rig.row("mta.awm_domains")["id_tenant"]
    with pytest.raises(TenantNotFound) as caught:
        store.domains.create("other.com", settings=DomainSettings(tenant="nobody"))
    assert code_of(caught.value, "POST /domain") == 719


@only("sqlite")
def test_d11_lite_has_no_tenants(store: AfterLogicStore) -> None:
    with pytest.raises(NotSupported, match="aurora"):
        store.domains.create("example.com", settings=DomainSettings(tenant="acme"))


@only("connector")
def test_d14_list_of_a_tenant(store: AfterLogicStore) -> None:
    store.tenants.create("acme")
    store.domains.create("a.com", settings=DomainSettings(tenant="acme"))
    store.domains.create("b.com")
    assert [entry.name for entry in store.domains.page(tenant="acme")] == ["a.com"]
    with pytest.raises(TenantNotFound):
        store.domains.page(tenant="nobody")
