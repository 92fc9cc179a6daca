"""A store is the same by whatever way it is reached, and its copy is another one, which removes nothing of its."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailstore import open_store
from mailstore.disk.marks import Mark
from mailstore.driver.base import short
from mailstore.ldap.iredmail import records_database
from mailstore.passwords import hash_password
from mailstore.purge import purge_due, trash_key
from mailstore.roots import adopt_roots
from tests.ldap.rig import LdapRig, store_url
from tests.rigs import Rig
from tests.servers.database import PASSWORDS
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.stores import StoreRig

BOB = "bob@example.com"
HASH = hash_password("secret")


@pytest.fixture
def due(sqlite_rig: Rig) -> Path:
    """The home of an account that was deleted and is due, with mail in it."""
    store = sqlite_rig.shared
    store.domains.create("example.com")
    home = Path(str(store.accounts.create(BOB, password_hash=HASH).home))
    (home / "Maildir/new/1").write_text("mail")
    store.accounts.delete(BOB, keep_mailbox_days=0)
    return home


def copied(rig: Rig) -> Any:
    """Return a store on a copy of the database, with the same homes."""
    file = Path(rig.url.partition("///")[2])
    shutil.copy2(file, file.with_name("copy.db"))
    options = {"homes": str(rig.root), "home_owner": f"{rig.owner[0]}:{rig.owner[1]}"}
    return open_store(f"iredmail+sqlite:///{file.with_name('copy.db')}", **options)


def test_a_copy_removes_nothing_that_lives_in_the_original(due: Path, sqlite_rig: Rig) -> None:
    store = sqlite_rig.shared
    store.accounts.create("eve@example.com", password_hash=HASH)
    list(purge_due(store))
    assert not due.exists()
    home = Path(str(store.accounts.get("eve@example.com").home))
    with copied(sqlite_rig) as copy:
        copy.accounts.delete("eve@example.com", keep_mailbox_days=0)
        for dry_run in (True, False):
            outcomes = list(purge_due(copy, dry_run=dry_run))
            assert {outcome.action for outcome in outcomes} == {"kept"}
            assert "mailstore adopt" in outcomes[0].reason
        assert "root-of-another" in {finding.code for finding in copy.check()}
        assert home.exists()
        assert list(adopt_roots(copy)) == [str(sqlite_rig.root)]
        assert [outcome.action for outcome in purge_due(copy)] == ["purged"]
        assert list(adopt_roots(copy)) == []
    assert {outcome.action for outcome in purge_due(store)} == {"kept"}


def test_the_first_purge_marks_and_a_broken_mark_is_looked_at(due: Path, sqlite_rig: Rig) -> None:
    store, root = sqlite_rig.shared, str(sqlite_rig.root)
    assert store.homes is not None
    list(purge_due(store, dry_run=True))
    assert store.homes.mark(root) is None
    list(purge_due(store))
    assert store.homes.mark(root) == Mark(store.key, store.name)
    (sqlite_rig.root / ".mailstore-purged-by").unlink()
    (sqlite_rig.root / ".mailstore-purged-by").write_text("what is this?")
    assert {outcome.action for outcome in purge_due(store)} == {"kept"}


@pytest.mark.parametrize("same_url", [True, False])
def test_trash_of_an_early_version_is_found(due: Path, sqlite_rig: Rig, same_url: bool) -> None:
    """That named the store by its URL; another spelling's is found by a restore of its record."""
    store = sqlite_rig.shared
    (record,) = store.deleted.list()
    assert store.homes is not None
    early = hashlib.sha256((store.name if same_url else "another spelling").encode()).hexdigest()[:12]
    assert store.homes.set_aside(record.home, trash_key(early, record))
    assert not due.exists()
    store.deleted.restore(record.id)
    assert (due / "Maildir/new/1").read_text() == "mail"


def test_forgotten_trash_of_another_spelling_waits_to_be_adopted(due: Path, sqlite_rig: Rig) -> None:
    store = sqlite_rig.shared
    (record,) = store.deleted.list()
    assert store.homes is not None
    store.homes.set_aside(record.home, trash_key(short("another spelling"), record))
    sqlite_rig.execute("DELETE FROM deleted_mailboxes")
    assert list(purge_due(store)) == []
    assert list(store.homes.trashed())
    assert list(adopt_roots(store)) == [str(sqlite_rig.root)]
    assert [outcome.action for outcome in purge_due(store)] == ["purged"]


def test_a_name_of_ones_own_holds_for_a_moved_store(due: Path, sqlite_rig: Rig) -> None:
    with sqlite_rig.open(identity="mine") as before:
        list(purge_due(before))
    file = Path(sqlite_rig.url.partition("///")[2])
    shutil.copy2(file, file.with_name("moved.db"))
    with open_store(
        f"iredmail+sqlite:///{file.with_name('moved.db')}", homes=str(sqlite_rig.root), identity="mine"
    ) as after:
        assert list(purge_due(after)) == []


def test_ways_to_one_server(rigs: Callable[[str], StoreRig], mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    password = PASSWORDS["vmailadmin"]
    ways = {
        "mysql": (mariadb, f"iredmail+mysql://vmailadmin:{password}@localhost/vmail", str(mariadb.socket)),
        "postgresql": (
            postgresql, f"iredmail+postgresql://vmailadmin:{password}@/vmail", str(postgresql.socket.parent),
        ),
    }  # fmt: skip
    keys = set()
    for name, (server, url, socket) in ways.items():
        by_port = rigs(name).shared.key
        keys.add(by_port)
        if name == "mysql":
            with open_store(url, socket=socket) as by_socket:
                assert by_socket.key == by_port
        with open_store(server.url("vmail").replace("127.0.0.1", "localhost")) as by_name:
            assert by_name.key == by_port
    assert len(keys) == len(ways)


def test_ways_to_one_directory(rigs: Callable[[str], Any], workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig: LdapRig = rigs("ldap")
    monkeypatch.setattr(records_database, "_DIRECTORY", workdir)
    with open_store(store_url(rig.server)) as plain, open_store(store_url(rig.server, rig.server.ldapi_url)) as ldapi:
        assert plain.key == ldapi.key == rig.shared.key
        early = workdir / f"deleted-{short(plain.name)}.db"
        early.touch()
        assert list(plain.deleted.list()) == list(ldapi.deleted.list()) == []
        assert [path.name for path in workdir.glob("*.db")] == [f"deleted-{plain.key}.db"]
