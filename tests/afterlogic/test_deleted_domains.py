"""A deleted domain comes back with its accounts, aliases, lists and links, wholly or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import AlreadyExists, NotFound, purge_due
from mailstore.errors import HomeError
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only
from tests.rigs import counting

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

BOB, EVE = "bob@a.test", "eve@a.test"
NUMBERS = {
    "id",
    "id_acct",
    "id_user",
    "user_id",
    "id_domain",
    "id_addr",
    "id_setting",
    "id_identity",
    "type_id",
    "account_id",
}
MOMENTS = {"date_created", "date_modified"}


@pytest.fixture
def full(store: AfterLogicStore, rig: Rig) -> AfterLogicStore:
    """A served domain with everything that there is, and others that lead to it."""
    for domain in ("a.test", "b.test"):
        store.domains.create(domain)
    store.domains.update("a.test", settings=DomainSettings(default_language="German"))
    for address in (BOB, EVE, "f@b.test"):
        store.accounts.create(address, password="secret", name=address[0])
    store.accounts.update(BOB, aliases=["b@a.test", "b@b.test"])
    store.accounts.update("f@b.test", aliases=["f@a.test"])
    store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent=BOB))
    bob, eve, other = (rig.row("awm_accounts", email=email) for email in (BOB, EVE, "f@b.test"))
    for address, domain in (("all@a.test", eve["id_domain"]), ("board@b.test", other["id_domain"])):
        made = rig.insert("awm_accounts", id_domain=domain, def_acct=1, mailing_list=1, email=address)
        rig.insert("awm_addr_book", type=3, type_id=str(made), view_email=address)
        for member in (BOB, EVE, "x@other.org"):
            rig.insert("awm_mailinglists", id_acct=made, list_name=address, list_to=member)
    forwards = ((bob, "x@other.org"), (bob, EVE), (other, BOB), (other, "all@a.test"), (other, "f@a.test"))
    for row, target in forwards:
        name, domain = row["email"].split("@")
        rig.insert(
            "awm_mailforwards", id_acct=row["id_acct"], forward_name=name, forward_domain=domain, forward_to=target
        )
    rig.insert("awm_identities", id_acct=bob["id_acct"], id_user=bob["id_user"], email="other@example.com")
    rig.insert("awm_addr_book", id_user=bob["id_user"], fullname="A friend", notes="née")
    rig.insert("awm_accounts", id_user=other["id_user"], id_domain=eve["id_domain"], def_acct=0, email="old@a.test")
    return store


def content(rig: Rig) -> dict[str, list[dict[str, Any]]]:
    """Return what the tables hold, without numbers and moments."""
    return {
        name: sorted(({k: v for k, v in row.items() if k not in NUMBERS | MOMENTS} for row in rig.rows(name)), key=repr)
        for name in rig.tables
        if not name.startswith("mailstore_")
    }


def test_everything_comes_back(full: AfterLogicStore, rig: Rig) -> None:
    before, domain, bob = content(rig), full.domains.get("a.test"), full.accounts.get(BOB)
    linked = full.accounts.linked(BOB)
    assert full.domains.delete("a.test", keep_mailbox_days=7) == 2
    (record,) = full.deleted.domains()
    assert (record.domain, record.accounts) == ("a.test", 2)
    assert {mailbox.domain_record for mailbox in full.deleted.list()} == {record.id}
    full.domains.create("d.test")  # may get its number, and its accounts those of the others
    full.accounts.create("d@d.test", password="x")
    assert full.deleted.restore_domain("a.test") == domain
    full.domains.delete("d.test", keep_mailbox_days=0)
    assert content(rig) == before
    assert (full.accounts.get(BOB), full.accounts.linked(BOB)) == (bob, linked)
    assert full.accounts.verify_password(BOB, "secret")
    assert [record.domain for record in full.deleted.domains()] == ["d.test"]
    assert [record.address for record in full.deleted.list()] == ["d@d.test"]
    new = rig.row("awm_accounts", email=BOB)
    assert new["id_domain"] == rig.row("awm_domains", name="a.test")["id_domain"]
    for table in ("awm_identities", "awm_addr_book", "awm_settings"):
        users = {row["id_user"] for row in rig.rows("a_users")} | {0}
        assert {row["id_user"] for row in rig.rows(table)} <= users
    accounts = {row["id_acct"] for row in rig.rows("awm_accounts")}
    for table in ("awm_mailaliases", "awm_mailforwards", "awm_mailinglists"):
        assert {row["id_acct"] for row in rig.rows(table)} <= accounts


@only("sqlite")
def test_without_what_is_purged(full: AfterLogicStore, rig: Rig) -> None:
    full.domains.delete("a.test", keep_mailbox_days=7)
    bob = next(record for record in full.deleted.list() if record.address == BOB)
    full.deleted.reschedule(bob.id, keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(full)] == ["purged"]
    full.deleted.restore_domain("a.test")
    assert [account.address for account in full.accounts.list(domain="a.test")] == [EVE]
    assert BOB not in repr(content(rig))
    members = {row["list_to"] for row in rig.rows("awm_mailinglists")}
    assert members == {EVE, "x@other.org"}


@only("sqlite")
@pytest.mark.parametrize("obstacle", ["domain", "alias", "address", "mail"])
def test_wholly_or_not_at_all(full: AfterLogicStore, rig: Rig, obstacle: str) -> None:
    full.domains.delete("a.test", keep_mailbox_days=7)
    if obstacle == "domain":
        full.domains.create("a.test")
    elif obstacle == "alias":
        full.accounts.create("b@b.test", password="x")
    elif obstacle == "address":
        rig.insert("awm_accounts", id_user=1, def_acct=1, email=EVE)  # outside of all domains
    else:
        home = Path(next(full.deleted.list()).home)
        home.rename(f"{home}-away")
    before = rig.everything()
    with pytest.raises(HomeError if obstacle == "mail" else AlreadyExists):
        full.deleted.restore_domain("a.test")
    assert rig.everything() == before
    rig.clear()


@only("sqlite")
def test_the_record_ends_with_the_last_mailbox(full: AfterLogicStore, rig: Rig) -> None:
    full.domains.delete("a.test", keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(full)] == ["purged", "purged"]
    list(purge_due(full))
    assert rig.rows("mailstore_deleted") == []
    with pytest.raises(NotFound):
        full.deleted.restore_domain("a.test")


@only("mysql", "postgresql")
def test_accounts_of_another_mail_server_come_back(store: AfterLogicStore, rig: Rig) -> None:
    """They have no mailbox that a record could stand for."""
    store.domains.create("ext.test", settings=DomainSettings(internal=False))
    store.accounts.create("ann@ext.test", password="secret", name="Ann")
    before, ann = content(rig), store.accounts.get("ann@ext.test")
    store.domains.delete("ext.test", keep_mailbox_days=7)
    assert list(store.deleted.list()) == []
    store.deleted.restore_domain("ext.test")
    assert (content(rig), store.accounts.get("ann@ext.test")) == (before, ann)
    store.domains.delete("ext.test", keep_mailbox_days=0)
    list(purge_due(store))
    assert list(store.deleted.domains()) == []


@only("postgresql")
def test_the_cost_does_not_grow_with_the_domain(rig: Rig) -> None:
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        costs = []
        for number in (3, 60):
            store.domains.create("a.test")
            store.accounts.create_many({"address": f"u{n}@a.test", "password": "x"} for n in range(number))
            with counting(cast("Any", store)) as deleting:
                store.domains.delete("a.test")
            with counting(cast("Any", store)) as restoring:
                store.deleted.restore_domain("a.test")
            assert store.accounts.count(domain="a.test") == number
            costs.append((len(deleting), len(restoring), restoring.commits))
            rig.clear()
        assert costs[0] == costs[1]
        assert costs[0][2] == 1
