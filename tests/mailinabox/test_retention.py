"""Deleted users and their mailboxes: kept, listed, brought back by making the address again, purged, never by mistake."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore import (
    AlreadyExists,
    Capability,
    ConfigurationError,
    HomeRefused,
    InvalidValue,
    NotSupported,
    StoreError,
    open_store,
    purge_due,
)
from mailstore.config import StoreConfig
from mailstore.errors import HomeError
from mailstore.passwords import hash_password
from mailstore.sql.mailinabox.store import create_own_table
from tests.mailinabox.rig import HOSTNAME, BoxRig

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore import DeletedMailbox
    from mailstore.sql.mailinabox.store import MailInABoxStore

BOB, EVE = "bob@example.com", "eve@example.com"
READY = hash_password("secret")
TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def users(request: pytest.FixtureRequest) -> None:
    if "store" in request.fixturenames:
        store: MailInABoxStore = request.getfixturevalue("store")
        store.accounts.create(BOB, password_hash=READY)
        store.accounts.create(EVE, password_hash=READY)


def deliver(store: MailInABoxStore, address: str, text: str = "hello") -> Path:
    message = Path(str(store.accounts.get(address).home), "new/1.test")
    message.write_text(text)
    return message


def delete(store: MailInABoxStore, address: str, days: int) -> DeletedMailbox:
    record = store.accounts.delete(address, keep_mailbox_days=days)
    assert record is not None
    return record


def purge(store: MailInABoxStore, on: date = TODAY) -> list[tuple[str, str]]:
    return [(outcome.home.rpartition("/")[2], outcome.action) for outcome in purge_due(store, today=on)]


class TestMadeAgain:
    """On a box an address that is made again finds its old mail, and the purge that was to come is off."""

    def test_through_the_library(self, store: MailInABoxStore) -> None:
        message = deliver(store, BOB)
        delete(store, BOB, 0)
        again = store.accounts.create(BOB, password="other")
        assert store.deleted.count() == 0
        assert purge(store) == []
        assert message.read_text() == "hello"
        assert again.home == str(message.parent.parent)

    def test_by_many_at_once(self, store: MailInABoxStore) -> None:
        message = deliver(store, BOB)
        delete(store, BOB, 0)
        delete(store, EVE, 0)
        store.accounts.create_many([{"address": BOB, "password": "other"}])
        assert [record.address for record in store.deleted.list()] == [EVE]
        assert purge(store) == [("eve", "purged")]
        assert message.exists()

    def test_by_the_panel(self, store: MailInABoxStore, box: BoxRig) -> None:
        message = deliver(store, BOB)
        delete(store, BOB, 0)
        delete(store, EVE, 0)
        box.insert("users", email=BOB, password=READY)
        assert [(o.home.rpartition("/")[2], o.action) for o in purge_due(store, dry_run=True)] == [
            ("bob", "kept"),
            ("eve", "would purge"),
        ]
        assert purge(store) == [("eve", "purged")]
        assert message.exists()
        # The record is gone for good: when the panel archives the mailbox again, it is kept.
        box.execute("DELETE FROM users WHERE email = ?", BOB)
        assert purge(store, TODAY + timedelta(days=50_000)) == []
        assert message.exists()

    def test_between_verifying_and_moving(self, store: MailInABoxStore, box: BoxRig) -> None:
        """A writer cannot come between: the purge holds the write lock from the claim to the commit."""
        deliver(store, BOB)
        delete(store, BOB, 0)
        with store.deleted.claim(TODAY, limit=10) as claim:
            assert [record.address for record in claim.records] == [BOB]
            with pytest.raises(Exception, match="locked"):
                box.execute("INSERT INTO users (email, password) VALUES (?, ?)", BOB, READY)

    def test_takes_its_mail_out_of_the_trash(self, store: MailInABoxStore) -> None:
        """A purge that was killed between moving and committing has left the mail in the trash, and the record."""
        message = deliver(store, BOB)
        delete(store, BOB, 0)
        self._interrupted(store)
        assert not message.exists()
        store.accounts.create(BOB, password="other")
        assert message.read_text() == "hello"
        assert purge(store) == []
        assert message.exists()

    def test_restored_out_of_the_trash(self, store: MailInABoxStore) -> None:
        message = deliver(store, BOB)
        record = delete(store, BOB, 0)
        self._interrupted(store)
        store.deleted.restore(record.id)
        assert message.read_text() == "hello"

    @staticmethod
    def _interrupted(store: MailInABoxStore) -> None:
        from mailstore.purge import trash_key

        assert store.homes is not None
        with pytest.raises(KeyboardInterrupt), store.deleted.claim(TODAY, limit=1) as claim:  # noqa: PT012
            (record,) = claim.records
            store.homes.set_aside(record.home, trash_key(store.key, record))
            claim.forget(record)
            raise KeyboardInterrupt

    def test_mailbox_of_a_foreign_owner_is_not_taken_over(self, store: MailInABoxStore, box: BoxRig) -> None:
        home = box.root / "example.com" / "new"
        home.mkdir()  # root's
        with pytest.raises(HomeRefused):
            store.accounts.create("new@example.com", password_hash=READY)
        assert box.rows("users", email="new@example.com") == []
        home.rmdir()


class TestArchive:
    def test_lists_what_the_panel_would(self, store: MailInABoxStore, box: BoxRig) -> None:
        message = deliver(store, BOB)
        (message.parent.parent / "maildirsize").write_text("0S\n0 0\n1000 1\n500 1\n-200 -1\n")
        record = delete(store, BOB, 10)
        box.execute("DELETE FROM users WHERE email = ?", EVE)  # as the panel does
        (box.root / "stray").write_text("no directory")
        (box.root / "other.com").mkdir()
        (box.root / "other.com" / "file").write_text("no mailbox")
        (box.root / ".mailstore-trash").mkdir(exist_ok=True)
        found = list(store.deleted.archived())
        assert found == [store.deleted.get(record.id), found[1]]
        assert (found[0].usage.bytes, found[0].usage.messages) == (1300, 1)
        assert (found[1].id, found[1].address, found[1].due, found[1].restorable) == (0, EVE, None, False)
        assert list(store.deleted.archived(domain="other.com")) == []
        assert [item.address for item in store.deleted.archived(domain="example.com")] == [BOB, EVE]

    def test_needs_the_disk(self, box: BoxRig) -> None:
        with box.open(homes=[]) as store, pytest.raises(ConfigurationError, match="without homes"):
            list(store.deleted.archived())


class TestRestore:
    def test_refused(self, store: MailInABoxStore, box: BoxRig) -> None:
        record = delete(store, BOB, 10)
        box.insert("users", email="Bob@example.com", password=READY)
        with pytest.raises(AlreadyExists):
            store.deleted.restore(record.id)
        box.execute("DELETE FROM users WHERE email LIKE 'bob%'")
        shutil.move(record.home, f"{record.home}-moved")
        with pytest.raises(HomeError, match="is gone"):
            store.deleted.restore(record.id)
        assert box.rows("users", email=BOB) == []
        assert store.deleted.get(record.id) == record

    def test_without_a_snapshot_it_takes_a_password(self, store: MailInABoxStore, box: BoxRig) -> None:
        record = delete(store, BOB, 10)
        box.execute("DELETE FROM mailstore_deleted")
        assert not store.deleted.get(record.id).restorable
        with pytest.raises(InvalidValue):
            store.deleted.restore(record.id)
        assert str(store.deleted.restore(record.id, password="new", quota="2G").quota) == "2G"
        assert store.accounts.verify_password(BOB, "new")

    def test_the_domain_is_there_again(self, store: MailInABoxStore) -> None:
        record = delete(store, BOB, 10)
        delete(store, EVE, 10)
        store.take_notices()
        assert not store.domains.exists("example.com")
        store.deleted.restore(record.id)
        assert store.domains.exists("example.com")
        assert "new: example.com" in store.take_notices()[0].message


class TestPurge:
    def test_a_mailbox_in_use_is_kept(self, store: MailInABoxStore, box: BoxRig) -> None:
        """A record that somebody tampered with, whose home is that of another account or the directory of all."""
        message = deliver(store, EVE)
        record = delete(store, BOB, 0)
        for home in (f"{box.root}/example.com/eve", f"{box.root}/example.com"):
            box.execute("UPDATE mailstore_deleted_mailboxes SET maildir = ?", home)
            assert [action for _, action in purge(store)] == ["kept"]
        assert message.exists()
        assert "eve@example.com" in store.deleted.get(record.id).error

    def test_with_a_root_above_the_mailboxes(self, box: BoxRig) -> None:
        """So the trash lies where the panel does not take it for a domain."""
        with box.open(homes=str(box.file.parent), home_owner="") as store:
            store.accounts.create(BOB, password_hash=READY)
            store.accounts.create(EVE, password_hash=READY)
            assert Path(str(store.accounts.get(BOB).home)).stat().st_uid == box.owner[0]
            delete(store, BOB, 0)
            assert purge(store) == [("bob", "purged")]
            assert sorted(path.name for path in box.root.iterdir()) == ["example.com"]
            assert [finding for finding in store.check() if finding.severity == "error"] == []
        shutil.rmtree(box.file.parent / ".mailstore-trash")


class TestWithoutOurTables:
    def test_deletes_as_the_panel_does(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box()
        with box.open() as store:
            assert Capability.RETENTION not in store.capabilities
            store.accounts.create(BOB, password_hash=READY)
            message = deliver(store, BOB)
            with pytest.raises(NotSupported, match="add-retention-table"):
                store.accounts.delete(BOB, keep_mailbox_days=30)
            assert store.accounts.exists(BOB)
            record = store.accounts.delete(BOB)
            assert record is not None
            assert (record.id, record.due, record.restorable, record.address) == (0, None, False, BOB)
            assert [item.address for item in store.deleted.archived()] == [BOB]
            for call in (
                lambda: list(store.deleted.list()),
                lambda: store.deleted.get(1),
                lambda: store.deleted.restore(1),
                lambda: store.deleted.reschedule(1, keep_mailbox_days=1),
                lambda: list(purge_due(store)),
            ):
                with pytest.raises(NotSupported, match="add-retention-table"):
                    call()
            with pytest.raises(InvalidValue):
                store.accounts.delete(BOB, keep_mailbox_days=-1)
            assert [finding for finding in store.check() if finding.severity == "error"] == []
            store.accounts.create(BOB, password_hash=READY)
            assert message.exists()

    def test_added_once_and_nothing_else_is_touched(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box(9)
        before = {row["name"] for row in box.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
        inode = box.file.stat().st_ino
        config = StoreConfig(url=box.url, primary_hostname=HOSTNAME)
        assert create_own_table(config, None)
        assert not create_own_table(config, None)
        after = {row["name"] for row in box.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert after - before == {"mailstore_deleted_mailboxes", "mailstore_deleted"}
        assert box.file.stat().st_ino == inode
        assert box.query("PRAGMA journal_mode") == [{"journal_mode": "delete"}]

    def test_is_not_added_to_another_kind_of_file(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box()
        box.execute("DROP TABLE users")
        with pytest.raises(StoreError):
            create_own_table(StoreConfig(url=box.url, primary_hostname=HOSTNAME), None)

    def test_is_not_used_before_it_is_there(self, new_box: Callable[..., BoxRig]) -> None:
        """A store that was opened before does not see it; the next one does."""
        box = new_box()
        with open_store(box.url, primary_hostname=HOSTNAME) as store:
            create_own_table(StoreConfig(url=box.url, primary_hostname=HOSTNAME), None)
            assert Capability.RETENTION not in store.capabilities
        with open_store(box.url, primary_hostname=HOSTNAME) as store:
            assert Capability.RETENTION in store.capabilities
