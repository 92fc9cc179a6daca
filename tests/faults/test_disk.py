"""Disks that are full, not mounted, not readable or full of traps: nothing is lost, and what fails says why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Pool, event

from mailstore import DeletedMailbox, MailstoreError, Store, StoreError, open_store
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, HomeError
from mailstore.maildir import TRASH
from mailstore.passwords import hash_password
from mailstore.purge import purge_due, trash_key
from mailstore.sql.iredmail.store import IRedMailStore, create_schema
from tests.faults.children import become, fork
from tests.faults.mounts import Tmpfs, tmpfs
from tests.faults.states import errors, files, tree
from tests.rigs import Rig

BOB, EVE = "bob@example.com", "eve@example.com"
HASH = hash_password("secret")
STRANGER = (5001, 5001)
TODAY = datetime.now(UTC).date()

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change owners and to mount")


@pytest.fixture
def rig(sqlite_rig: Rig) -> Rig:
    """What happens on disk is the same for all kinds of databases, so one will do."""
    return sqlite_rig


@pytest.fixture
def store(rig: Rig) -> Iterator[IRedMailStore]:
    """A store with two accounts that have mail."""
    rig.shared.domains.create("example.com")
    for address in (BOB, EVE):
        add(rig.shared, address)
    yield rig.shared
    assert errors(rig) == []


@contextmanager
def connections_made() -> Iterator[list[object]]:
    """Collect the connections to databases that are made in this context."""
    made: list[object] = []

    def note(connection: object, _record: object) -> None:
        made.append(connection)

    event.listen(Pool, "connect", note)
    try:
        yield made
    finally:
        event.remove(Pool, "connect", note)


def add(store: IRedMailStore, address: str) -> Path:
    home = Path(str(store.accounts.create(address, password_hash=HASH).home))
    (home / "Maildir/new/1").write_text(address)
    return home


def delete(store: IRedMailStore, address: str) -> DeletedMailbox:
    record = store.accounts.delete(address, keep_mailbox_days=0)
    assert record is not None
    return record


def purge(store: IRedMailStore) -> list[tuple[str, str]]:
    return [(outcome.action, outcome.reason) for outcome in purge_due(store)]


def record(rig: Rig, home: str, **values: Any) -> None:
    """Write a record as another program would."""
    row = {"username": "x@example.com", "domain": "example.com", "maildir": home, "delete_date": TODAY, **values}
    rig.insert("deleted_mailboxes", timestamp=datetime.now(UTC).replace(tzinfo=None, microsecond=0), **row)


@needs_root
class TestFull:
    @pytest.fixture
    def disk(self, rig: Rig) -> Iterator[Tmpfs]:
        with tmpfs(rig.root, "size=256k,nr_inodes=40") as mounted:
            os.chown(rig.root, *rig.owner)
            yield mounted

    def test_no_inode_left_at_any_step_of_create(self, disk: Tmpfs, store: IRedMailStore, rig: Rig) -> None:
        for left in count(0):
            disk.leave_inodes(left)
            rows, homes = rig.everything(), tree(rig.root)
            try:
                store.accounts.create("new@example.com", password_hash=HASH)
                break
            except HomeError as error:
                assert "make room" in str(error)  # noqa: PT017
                assert error.state is None  # noqa: PT017
            assert rig.everything() == rows
            assert tree(rig.root) == homes
        assert left == 8  # three levels, the home, its Maildir with three directories; that of the domain is there
        disk.empty()

    def test_bulk_that_does_not_fit_is_undone(self, disk: Tmpfs, store: IRedMailStore, rig: Rig) -> None:
        disk.leave_inodes(20)
        rows, homes = rig.everything(), tree(rig.root)
        many = [{"address": f"m{number}@example.com", "password_hash": HASH} for number in range(5)]
        with pytest.raises(HomeError, match="make room"):
            store.accounts.create_many(many)
        assert rig.everything() == rows
        assert tree(rig.root) == homes
        disk.empty()

    @pytest.mark.parametrize("trash_exists", [True, False])
    def test_purge_makes_room(self, disk: Tmpfs, store: IRedMailStore, trash_exists: bool) -> None:
        if trash_exists:
            delete(store, EVE)
            purge(store)
        delete(store, BOB)
        disk.fill()
        assert purge(store) == [("purged", "")]
        disk.empty()

    def test_purge_without_an_inode_for_the_trash(self, disk: Tmpfs, store: IRedMailStore) -> None:
        kept = delete(store, BOB)
        disk.leave_inodes(0)
        ((action, reason),) = purge(store)
        assert action == "kept"
        assert "make room" in reason
        assert store.deleted.get(kept.id).error == reason
        disk.empty()
        assert purge(store) == [("purged", "")]


@needs_root
def test_database_file_on_a_full_disk(workdir: Path) -> None:
    with tmpfs(workdir / "db", "size=2m") as disk, ExitStack() as stack:
        url = f"iredmail+sqlite:///{disk.path}/vmail.db"
        create_schema(StoreConfig(url=url), None)
        store = stack.enter_context(open_store(url, home_root="/var/vmail/vmail1"))
        store.domains.create("example.com")
        disk.fill()
        with pytest.raises(StoreError, match=r"full|disk I/O error") as caught:
            create_many_one_by_one(store)
        assert caught.value.temporary
        done = store.accounts.count()
        assert [finding for finding in store.check() if finding.severity == "error"] == []
        disk.empty()
        store.accounts.create(f"u{done}@example.com", password_hash=HASH)
        assert store.accounts.count() == done + 1


def create_many_one_by_one(store: Store) -> None:
    for number in range(10_000):
        store.accounts.create(f"u{number}@example.com", password_hash=HASH)


class TestNotMounted:
    """What lies under a mount point that is not mounted, or on an empty disk, is not known to be gone."""

    def test_empty_root_forgets_nothing(self, store: IRedMailStore, rig: Rig) -> None:
        delete(store, BOB)
        disk = rig.root.rename(rig.root.with_name("disk"))
        rig.root.mkdir()
        ((action, reason),) = purge(store)
        assert action == "kept"
        assert "mounted?" in reason
        assert store.deleted.count() == 1
        rig.root.rmdir()
        disk.rename(rig.root)
        assert purge(store) == [("purged", "")]

    def test_missing_root_forgets_nothing(self, store: IRedMailStore, rig: Rig) -> None:
        delete(store, BOB)
        disk = rig.root.rename(rig.root.with_name("disk"))
        for action, reason in purge(store):
            assert action == "kept"
            assert "mounted?" in reason
        assert store.deleted.count() == 1
        disk.rename(rig.root)

    def test_restore_waits_for_the_disk(self, store: IRedMailStore, rig: Rig) -> None:
        kept = delete(store, BOB)
        disk = rig.root.rename(rig.root.with_name("disk"))
        with pytest.raises(HomeError, match="is its file system mounted"):
            store.deleted.restore(kept.id)
        assert not store.accounts.exists(BOB)
        disk.rename(rig.root)
        store.deleted.restore(kept.id)

    def test_one_missing_root_does_not_stop_the_others(self, store: IRedMailStore, rig: Rig) -> None:
        delete(store, BOB)
        absent = rig.root.with_name("absent")
        record(rig, f"{absent}/example.com/x")
        with rig.open(homes=[str(rig.root), str(absent)]) as both:
            outcomes = {outcome.home: (outcome.action, outcome.reason) for outcome in purge_due(both)}
        assert outcomes.pop(str(absent))[0] == "kept"
        assert outcomes.pop(f"{absent}/example.com/x")[0] == "kept"
        assert list(outcomes.values()) == [("purged", "")]
        rig.execute("DELETE FROM deleted_mailboxes")

    def test_create_on_a_missing_root(self, store: IRedMailStore, rig: Rig) -> None:
        disk = rig.root.rename(rig.root.with_name("disk"))
        rows = rig.everything()
        with pytest.raises(HomeError, match="is its file system mounted"):
            add(store, "new@example.com")
        assert rig.everything() == rows
        assert not rig.root.exists()
        disk.rename(rig.root)


@needs_root
class TestRightsOnDisk:
    """The purge as the owner of the mail, who is not root."""

    @staticmethod
    def purge_as_owner(rig: Rig) -> dict[str, tuple[str, str]]:
        def run() -> dict[str, tuple[str, str]]:
            become(rig.owner)
            outcomes = purge_due(rig.shared)
            return {outcome.record.address: (outcome.action, outcome.reason) for outcome in outcomes if outcome.record}

        outcomes: dict[str, tuple[str, str]] = fork(rig, run).wait()
        return outcomes

    @pytest.mark.parametrize("level", range(4))
    def test_unreadable_directory_above(self, store: IRedMailStore, rig: Rig, level: int) -> None:
        """Unreadable is not absent. Level 0 is the parent of the home, 3 the directory of the domain."""
        home = Path(delete(store, BOB).home)
        delete(store, EVE)
        blocked = home.parents[level]
        os.chown(blocked, 0, 0)
        blocked.chmod(0o700)
        outcomes = self.purge_as_owner(rig)
        action, reason = outcomes[BOB]
        assert action == "kept"
        assert "Permission denied" in reason
        assert str(home) in reason
        assert outcomes[EVE][0] == ("kept" if level == 3 else "purged")
        assert BOB in files(rig.root)
        os.chown(blocked, *rig.owner)
        assert self.purge_as_owner(rig)[BOB] == ("purged", "")

    def test_foreign_directory_inside(self, store: IRedMailStore, rig: Rig) -> None:
        """The home can be set aside; what cannot be removed from the trash is reported, and tried again."""
        home = Path(delete(store, BOB).home)
        foreign = home / "Maildir/.Foreign"
        foreign.mkdir()
        (foreign / "1").write_text("root's")
        action, reason = self.purge_as_owner(rig)[BOB]
        assert action == "trashed"
        assert "Permission denied" in reason or "not permitted" in reason
        assert [outcome.action for outcome in purge_due(store)] == ["purged"]
        assert files(rig.root).keys() == {EVE}

    def test_locked_directories_of_ones_own_are_opened(self, store: IRedMailStore, rig: Rig) -> None:
        home = Path(delete(store, BOB).home)
        (home / "Maildir/new").chmod(0)
        home.chmod(0)
        assert self.purge_as_owner(rig)[BOB] == ("purged", "")

    def test_home_of_somebody_else(self, store: IRedMailStore, rig: Rig) -> None:
        home = delete(store, BOB).home
        os.chown(home, *STRANGER)
        delete(store, EVE)
        (_, eve), (action, reason) = sorted(purge(store), reverse=True)
        assert (eve, action) == ("", "kept")
        assert "uid 5001 instead of uid 5000" in reason
        os.chown(home, *rig.owner)
        assert purge(store) == [("purged", "")]


class TestSymbolicLinks:
    @pytest.mark.parametrize("level", range(5))
    def test_at_any_level_of_the_path(self, store: IRedMailStore, rig: Rig, level: int) -> None:
        """Level 0 is the home, 4 the directory of the domain; eve's home hangs on the upper ones, too."""
        home = Path(delete(store, BOB).home)
        place = [home, *home.parents][level]
        outside = rig.root.with_name("outside")
        place.rename(outside)
        place.symlink_to(outside)
        ((action, reason),) = purge(store)
        assert action == "kept"
        assert "symbolic link" in reason
        assert place.is_symlink()
        assert BOB in files(outside)
        assert store.deleted.count() == 1
        place.unlink()
        outside.rename(place)
        assert purge(store) == [("purged", "")]

    def test_inside_the_home_only_the_link_goes(self, store: IRedMailStore, rig: Rig) -> None:
        home = Path(delete(store, BOB).home)
        outside = rig.root.with_name("outside")
        (outside / "cur").mkdir(parents=True)
        (outside / "cur/1").write_text("precious")
        (home / "Maildir/.Shared").symlink_to(outside)
        (home / "Maildir/cur/1").symlink_to(outside / "cur/1")
        assert purge(store) == [("purged", "")]
        assert (outside / "cur/1").read_text() == "precious"
        assert not home.exists()

    def test_trash_is_a_link(self, store: IRedMailStore, rig: Rig) -> None:
        delete(store, BOB)
        outside = rig.root.with_name("outside")
        outside.mkdir()
        (rig.root / TRASH).symlink_to(outside)
        for action, reason in purge(store):
            assert action == "kept"
            assert "symbolic link" in reason
        assert list(outside.iterdir()) == []
        assert store.deleted.count() == 1
        (rig.root / TRASH).unlink()

    def test_root_is_a_link(self, rig: Rig) -> None:
        link = rig.root.with_name("link")
        link.symlink_to(rig.root)
        with connections_made() as made, pytest.raises(ConfigurationError, match="symbolic link"):
            rig.open(homes=str(link))
        assert made == []

    def test_create_below_a_link(self, store: IRedMailStore, rig: Rig) -> None:
        outside = rig.root.with_name("outside")
        outside.mkdir()
        store.domains.create("new.com")
        (rig.root / "new.com").symlink_to(outside)
        rows = rig.everything()
        with pytest.raises(HomeError, match="symbolic link"):
            add(store, "bob@new.com")
        assert rig.everything() == rows
        assert list(outside.iterdir()) == []
        (rig.root / "new.com").unlink()


class TestRecordsOfOthers:
    """Records as other programs, or their mistakes, may write them."""

    @pytest.mark.parametrize(
        "home",
        ["/etc", "{root}", "{root}/", "{root}/../other/x", "{root}/./x", "relative/x", "{root}2/x", "{root}/x/.."],
    )  # fmt: skip
    def test_outside_of_the_root(self, store: IRedMailStore, rig: Rig, home: str) -> None:
        before = files(rig.root)
        record(rig, home.format(root=rig.root))
        outcomes = list(purge_due(store))
        assert {outcome.action for outcome in outcomes} <= {"kept", "elsewhere"}
        assert files(rig.root) == before
        assert Path("/etc/passwd").exists()
        assert len(rig.rows("deleted_mailboxes")) == 1
        rig.execute("DELETE FROM deleted_mailboxes")

    @pytest.mark.parametrize(
        "spell",
        [
            str.upper,
            lambda home: home.replace("/", "//"),
            lambda home: home.replace("/", "////"),
            lambda home: home + "/",
            lambda home: home + "///",
        ],
    )
    def test_other_spellings_of_the_same_home(
        self, store: IRedMailStore, rig: Rig, spell: Callable[[str], str]
    ) -> None:
        home = delete(store, BOB).home
        (row,) = rig.rows("deleted_mailboxes")
        rig.execute("UPDATE deleted_mailboxes SET maildir = :home WHERE id = :id", home=spell(home), id=row["id"])
        assert purge(store) == [("purged", "")]
        assert files(rig.root).keys() == {EVE}

    def test_trash_as_a_home(self, store: IRedMailStore, rig: Rig) -> None:
        delete(store, BOB)
        purge(store)
        record(rig, f"{rig.root}/{TRASH}")
        ((action, _),) = purge(store)
        assert action == "kept"
        rig.execute("DELETE FROM deleted_mailboxes")

    def test_undated_is_never_due(self, store: IRedMailStore, rig: Rig) -> None:
        delete(store, BOB)
        rig.execute("UPDATE deleted_mailboxes SET delete_date = NULL")
        assert purge(store) == []
        assert files(rig.root).keys() == {BOB, EVE}

    @pytest.mark.parametrize("spelling", ["{home}", "{above}", "{home}/inside", "{home}/", "{above}/"])
    @pytest.mark.parametrize("upper_case", [False, True])
    def test_live_account_there_above_or_inside(
        self, store: IRedMailStore, rig: Rig, spelling: str, upper_case: bool
    ) -> None:
        home = Path(delete(store, BOB).home)
        live = spelling.format(home=home, above=home.parent)
        _, base, node, rest = (live.upper() if upper_case else live).split("/", 3)
        row = {"username": "live@example.com", "domain": "example.com", "password": HASH}
        rig.insert("mailbox", **row, storagebasedirectory=f"/{base}", storagenode=node, maildir=rest)
        ((action, reason),) = purge(store)
        assert action == "kept"
        assert "live@example.com" in reason
        assert BOB in files(rig.root)
        rig.execute("DELETE FROM mailbox WHERE username = 'live@example.com'")
        assert purge(store) == [("purged", "")]

    def test_two_records_of_one_home(self, store: IRedMailStore, rig: Rig) -> None:
        record(rig, delete(store, BOB).home)
        assert sorted(purge(store)) == [("absent", ""), ("purged", "")]
        assert store.deleted.count() == 0

    def test_home_of_a_record_inside_that_of_another(self, store: IRedMailStore, rig: Rig) -> None:
        record(rig, f"{delete(store, BOB).home}/Maildir")
        assert {action for action, _ in purge(store)} <= {"absent", "purged"}
        assert files(rig.root).keys() == {EVE}
        assert store.deleted.count() == 0


class TestNothingLost:
    def test_restore_takes_the_mail_from_the_trash(self, store: IRedMailStore) -> None:
        """An interrupted purge has moved the home, and somebody has made a directory in its place."""
        kept = delete(store, BOB)
        assert store.homes is not None
        store.homes.set_aside(kept.home, trash_key(store.key, kept))
        Path(kept.home).mkdir()
        with suppress(HomeError):  # to refuse it would do: the record, and the mail in the trash, are kept
            store.deleted.restore(kept.id)
            purge(store)
        assert BOB in files(Path(store.homes.roots[0]))

    def test_purge_in_a_transaction_that_fails(self, store: IRedMailStore) -> None:
        """The account is back afterwards, so its mail must not be gone."""

        def delete_and_purge() -> None:
            with store.transaction():
                delete(store, BOB)
                purge(store)
                raise LookupError

        with pytest.raises((LookupError, MailstoreError)):
            delete_and_purge()
        assert store.accounts.exists(BOB)
        assert BOB in files(Path(str(store.accounts.get(BOB).home)))
