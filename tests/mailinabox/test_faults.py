"""The file of users in the hands of others: locked, read-only, not there; and what an operation costs."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore import HomeError, StoreDenied, StoreError, StoreUnavailable, open_store, purge_due
from mailstore.passwords import hash_password
from tests.faults.children import become, fork
from tests.mailinabox.rig import HOSTNAME, BoxRig
from tests.rigs import counting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.mailinabox.store import MailInABoxStore

BOB, EVE = "bob@example.com", "eve@example.com"
READY = hash_password("secret")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.fixture
def writer(box: BoxRig) -> Iterator[sqlite3.Connection]:
    """Another program that writes, as the panel does."""
    with closing(sqlite3.connect(box.file, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


class TestLockedByAnotherWriter:
    def test_for_seconds(self, store: MailInABoxStore, writer: sqlite3.Connection) -> None:
        writer.execute("BEGIN IMMEDIATE")
        release = threading.Timer(3, writer.execute, ["COMMIT"])
        release.start()
        started = time.monotonic()
        store.accounts.create(BOB, password_hash=READY)
        assert time.monotonic() - started > 2
        release.join()
        assert store.accounts.exists(BOB)

    def test_for_good(self, box: BoxRig, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mailstore.sql.mailinabox.store.BUSY_SECONDS", 0.2)
        with box.open() as store:
            store.accounts.create(BOB, password_hash=READY)
            before = box.everything()
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as caught:
                store.accounts.create(EVE, password_hash=READY)
            assert caught.value.temporary
            assert store.accounts.get(BOB).address == BOB  # readers are not held up
            writer.execute("ROLLBACK")
            assert box.everything() == before
            assert not Path(f"{box.root}/example.com/eve").exists()
            store.accounts.create(EVE, password_hash=READY)

    def test_while_it_commits(self, box: BoxRig, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader in the middle of its work keeps the commit from happening; then nothing has."""
        monkeypatch.setattr("mailstore.sql.mailinabox.store.BUSY_SECONDS", 0.2)
        box.insert("users", email=BOB, password=READY)
        with box.open() as store:
            writer.execute("BEGIN")
            writer.execute("SELECT * FROM users").fetchone()
            with pytest.raises(StoreUnavailable):
                store.accounts.create(EVE, password_hash=READY)
            writer.execute("COMMIT")
            assert [row["email"] for row in box.rows("users")] == [BOB]
            assert not Path(f"{box.root}/example.com/eve").exists()
            store.accounts.create(EVE, password_hash=READY)


@needs_root
def test_read_only(new_box: Callable[..., BoxRig]) -> None:
    box = new_box(own_table=True)
    box.insert("users", email=BOB, password=READY)

    def use() -> None:
        become((5000, 5000))
        with open_store(box.url, primary_hostname=HOSTNAME) as store:
            assert store.accounts.get(BOB).address == BOB
            for call in (
                lambda: store.accounts.create(EVE, password_hash=READY),
                lambda: store.accounts.update(BOB, quota="1G"),
                lambda: store.accounts.delete(BOB),
                lambda: store.aliases.create("sales@example.com", members=[BOB]),
            ):
                with pytest.raises(StoreDenied) as caught:
                    call()
                assert not caught.value.temporary
                assert READY not in str(caught.value)

    before = box.everything()
    assert fork(box, use).wait() is None
    assert box.everything() == before


@needs_root
def test_the_documented_rights_are_enough(new_box: Callable[..., BoxRig]) -> None:
    """The group of the file may write it; the owner of the mail in that group may purge as well."""
    box, group = new_box(own_table=True), 5001
    for path, mode in ((box.file, 0o664), (box.file.parent, 0o775)):
        os.chown(path, 0, group)
        path.chmod(mode)

    def as_the_group() -> None:
        become((5002, group))
        with open_store(box.url, primary_hostname=HOSTNAME) as store:
            store.accounts.create(BOB, password_hash=READY)
            store.accounts.create(EVE, password_hash=READY)
            store.accounts.delete(EVE)

    def as_mail_in_the_group() -> list[str]:
        os.setgroups([group])
        os.setgid(5000)
        os.setuid(5000)
        with open_store(box.url, primary_hostname=HOSTNAME, homes=str(box.root)) as store:
            store.accounts.create("ann@example.com", password_hash=READY)
            store.accounts.delete("ann@example.com", keep_mailbox_days=0)
            return [outcome.action for outcome in purge_due(store)]

    assert fork(box, as_the_group).wait() is None
    assert fork(box, as_mail_in_the_group).wait() == ["purged"]
    assert [row["email"] for row in box.rows("users")] == [BOB]
    status = box.file.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, group, 0o664)


def test_no_database_at_all(new_box: Callable[..., BoxRig]) -> None:
    box = new_box()
    box.file.write_text("this is no database, but longer than the header of one" * 10)
    with pytest.raises(StoreError):
        box.open()


def test_a_mailbox_that_cannot_be_made_stops_the_creation(new_box: Callable[..., BoxRig]) -> None:
    box = new_box()
    (box.root / "example.com").write_text("a file in the way")
    with box.open() as store:
        with pytest.raises(HomeError):
            store.accounts.create(BOB, password_hash=READY)
        assert box.rows("users") == []
        assert store.take_notices() == ()


def test_killed_before_the_commit(new_box: Callable[..., BoxRig]) -> None:
    """What is left is a mailbox without a user, which the box calls archived; the next attempt takes it over."""
    box = new_box(own_table=True)

    def die() -> None:
        with box.open() as store, store.transaction():
            store.accounts.create(BOB, password_hash=READY)
            os.kill(os.getpid(), signal.SIGKILL)

    child = fork(box, die)
    child.wait()
    assert child.killed
    assert box.rows("users") == box.rows("auto_aliases") == []
    with box.open() as store:
        assert [(item.id, item.address) for item in store.deleted.archived()] == [(0, BOB)]
        store.accounts.create(BOB, password_hash=READY)
        assert list(store.deleted.archived()) == []
        assert [finding for finding in store.check() if finding.severity == "error"] == []


def costs(store: MailInABoxStore, name: str) -> dict[str, tuple[int, int]]:
    """Return the statements and commits of each operation on an account of this name."""
    address = f"{name}@example.com"
    operations: dict[str, Callable[[], object]] = {
        "create": lambda: store.accounts.create(address, password_hash=READY),
        "get": lambda: store.accounts.get(address),
        "update": lambda: store.accounts.update(address, quota="1G"),
        "alias": lambda: store.aliases.create(f"{name}-alias@example.com", members=[address]),
        "delete": lambda: store.accounts.delete(address, keep_mailbox_days=1),
    }
    seen = {}
    for operation, call in operations.items():
        with counting(store) as statements:
            call()
        seen[operation] = (len(statements), statements.commits)
    return seen


def test_the_number_of_statements_does_not_grow_with_the_box(new_box: Callable[..., BoxRig]) -> None:
    with new_box(own_table=True).open(homes=[]) as store:
        store.accounts.create("stays@example.com", password_hash=READY)
        on_empty = costs(store, "first")
        rows = ({"address": f"u{n}@d{n % 50}.com", "password_hash": READY} for n in range(2000))
        with counting(store) as statements:
            assert store.accounts.create_many(rows) == 2000
        assert len(statements) <= 25
        assert costs(store, "second") == on_empty
        assert on_empty["create"][0] <= 8
        assert on_empty["get"] == (1, 0)
        assert on_empty["update"] == (2, 1)
        assert on_empty["delete"][0] <= 15
