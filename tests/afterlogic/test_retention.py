"""Homes, deletion and what comes back: what the next holder of a name gets, and what a purge must not touch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists, HomeError, InvalidValue, purge_due
from mailstore.sql.afterlogic.settings import AccountSettings
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

BOB, EVE = "bob@example.com", "eve@example.com"


@pytest.fixture(autouse=True)
def domain(store: AfterLogicStore) -> None:
    store.domains.create("example.com")


class TestLeftovers:
    """The product's own deletion leaves calendars and counts behind; they must not reach the next holder of a name."""

    @pytest.mark.parametrize("way", ["one", "many"])
    def test_a_new_account_inherits_nothing(self, rig: Rig, store: AfterLogicStore, way: str) -> None:
        store.accounts.create(EVE, password="x")
        for address in (BOB, EVE):
            calendar = rig.insert("adav_calendars", principaluri=f"principals/{address}")
            rig.insert("adav_calendarobjects", calendarid=calendar)
            rig.insert("adav_principals", uri=f"principals/{address}")
            rig.insert("awm_account_quotas", name=address)
        if way == "one":
            store.accounts.create(BOB, password="x")
        else:
            store.accounts.create_many([{"address": BOB, "password": "x"}])
        assert [row["principaluri"] for row in rig.rows("adav_calendars")] == [f"principals/{EVE}"]
        assert len(rig.rows("adav_calendarobjects")) == len(rig.rows("adav_principals")) == 1
        assert [row["name"] for row in rig.rows("awm_account_quotas")] == [EVE]


class TestHomes:
    def test_mail_of_somebody_is_not_taken_over_and_an_empty_home_is(
        self, rig: Rig, store: AfterLogicStore, vmail_owner: tuple[int, int]
    ) -> None:
        for name in ("bob", "eve"):
            home = rig.root / "example.com" / name
            home.mkdir(parents=True, exist_ok=True)
            for path in (home.parent, home):
                os.chown(path, *vmail_owner)
        (rig.root / "example.com" / "bob" / "message").write_text("somebody's")
        before = rig.everything()
        with pytest.raises(HomeError):
            store.accounts.create(BOB, password="x")
        assert rig.everything() == before
        assert (rig.root / "example.com" / "bob" / "message").read_text() == "somebody's"
        home = store.accounts.create(EVE, password="x").home
        assert Path(str(home), "new").is_dir()

    def test_a_refused_creation_leaves_no_home(self, rig: Rig, store: AfterLogicStore) -> None:
        with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
            store.accounts.create(BOB, password="x")
            raise RuntimeError
        assert not (rig.root / "example.com" / "bob").exists()


class TestPurge:
    def test_nothing_that_the_mail_server_delivers_to_is_purged(self, rig: Rig, store: AfterLogicStore) -> None:
        """A linked account in an internal domain is a mailbox to the server."""
        home = store.accounts.create(BOB, password="x").home
        store.accounts.delete(BOB, keep_mailbox_days=0)
        domain = rig.row("awm_domains")["id_domain"]
        user = rig.insert("a_users")
        rig.insert("awm_accounts", id_user=user, id_domain=domain, def_acct=0, email="Bob@example.com")
        assert list(store.accounts.homes()) == [(BOB, home)]
        assert [outcome.action for outcome in purge_due(store)] == ["kept"]
        assert Path(str(home)).is_dir()
        rig.clear()


class TestRestore:
    def test_everything_that_the_record_knows_comes_back(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(
            BOB, password="secret", name="Bob", quota="1G", aliases=["b@example.com"],
            settings=AccountSettings(signature="regards", capabilities="FILES"),
        )  # fmt: skip
        store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent=BOB))
        account = rig.row("awm_accounts", email=BOB)
        rig.insert("awm_identities", id_acct=account["id_acct"], id_user=account["id_user"], email="other@example.com")
        rig.insert("awm_addr_book", id_user=account["id_user"], fullname="A friend", notes="née")
        rig.insert("awm_mailforwards", id_acct=account["id_acct"], forward_name="bob", forward_domain="example.com")
        before, linked = store.accounts.get(BOB), store.accounts.linked(BOB)
        record = store.accounts.delete(BOB)
        assert record is not None
        store.accounts.create(EVE, password="x")  # takes numbers that were free again
        after = store.deleted.restore(record.id)
        assert after == before
        assert store.accounts.linked(BOB) == linked
        assert store.accounts.verify_password(BOB, "secret")
        new = rig.row("awm_accounts", email=BOB)
        assert rig.row("awm_identities")["id_acct"] == new["id_acct"]
        assert rig.row("awm_identities")["id_user"] == new["id_user"]
        assert rig.row("awm_addr_book", fullname="A friend")["id_user"] == new["id_user"]
        assert rig.row("awm_addr_book", fullname="A friend")["notes"] == "née"
        assert rig.row("awm_addr_book", view_email=BOB)["type_id"] == str(new["id_user"])
        assert rig.row("awm_mailforwards")["id_acct"] == new["id_acct"]
        ignored = {"id_acct", "id_user"}
        assert {k: v for k, v in new.items() if k not in ignored} == {
            k: v for k, v in account.items() if k not in ignored
        }

    def test_aliases_that_were_taken_meanwhile_stay_with_the_new_owner(self, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x", aliases=["b@example.com", "c@example.com"])
        record = store.accounts.delete(BOB)
        assert record is not None
        store.accounts.create("b@example.com", password="x")
        assert store.deleted.restore(record.id).aliases == ("c@example.com",)

    def test_a_record_that_knows_only_the_mailbox(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x")
        record = store.accounts.delete(BOB)
        assert record is not None
        rig.execute("DELETE FROM mailstore_deleted")
        assert not store.deleted.get(record.id).restorable
        with pytest.raises(InvalidValue, match="password"):
            store.deleted.restore(record.id)
        restored = store.deleted.restore(record.id, password="new", name="Bob")
        assert (restored.name, restored.home) == ("Bob", record.home)
        assert store.accounts.verify_password(BOB, "new")
        assert store.deleted.count() == 0

    def test_the_address_stays_taken_until_it_is_restored_or_purged(self, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x")
        record = store.accounts.delete(BOB)
        assert record is not None
        with pytest.raises(AlreadyExists, match="restore its record"):
            store.accounts.create(BOB, password="x")
        store.deleted.restore(record.id)

    @only("sqlite", "mysql", "postgresql")
    def test_columns_of_other_tools_come_back(self, rig: Rig) -> None:
        rig.execute("ALTER TABLE awm_accounts ADD COLUMN social_email VARCHAR(255)")
        try:
            with rig.open() as fresh:
                fresh.accounts.create(BOB, password="x")
                rig.execute("UPDATE awm_accounts SET social_email = 'bob@social.example'")
                fresh.accounts.update(BOB, name="Bob")
                record = fresh.accounts.delete(BOB)
                assert record is not None
                fresh.deleted.restore(record.id)
                with rig.engine.connect() as connection:
                    kept = connection.exec_driver_sql("SELECT social_email FROM awm_accounts").scalar()
                assert kept == "bob@social.example"
                fresh.accounts.delete(BOB)
        finally:
            rig.execute("ALTER TABLE awm_accounts DROP COLUMN social_email")

    def test_snapshots_hold_no_plain_password(self, rig: Rig, store: AfterLogicStore) -> None:
        """The stored form is no secret to whoever reads the table, but a search for the word should not find it."""
        store.accounts.create(BOB, password="correct horse")
        record = store.accounts.delete(BOB)
        kept = rig.row("mailstore_deleted")["snapshot"]
        assert "correct horse" not in kept
        assert "horse" not in repr(record)
        assert json.loads(kept)["awm_accounts"][0]["email"] == BOB
