"""A purge that fails, is interrupted, or is somebody else's: what may still be wanted is put back, and nothing more goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailstore import DeletedMailbox, MailstoreError
from mailstore.errors import HomeRefused
from mailstore.maildir import TRASH
from mailstore.passwords import hash_password
from mailstore.purge import Outcome, purge_due, trash_key
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.states import files
from tests.rigs import Rig

BOB, EVE = "bob@example.com", "eve@other.com"
HASH = hash_password("secret")


@pytest.fixture
def rig(sqlite_rig: Rig) -> Rig:
    """What happens on disk is the same for all kinds of databases, so one will do."""
    return sqlite_rig


@pytest.fixture
def store(rig: Rig) -> Iterator[IRedMailStore]:
    """A store with an account in each of two domains, both with mail, both deleted and due."""
    for address in (BOB, EVE):
        rig.shared.domains.create(address.partition("@")[2])
        home = Path(str(rig.shared.accounts.create(address, password_hash=HASH).home))
        (home / "Maildir/new/1").write_text(address)
        rig.shared.accounts.delete(address, keep_mailbox_days=0)
    yield rig.shared
    assert rig.busy_connections() == 0


def record_of(store: IRedMailStore, address: str) -> DeletedMailbox:
    (record,) = store.deleted.list(address=address)
    return record


def interrupt(store: IRedMailStore, address: str) -> None:
    """Leave a home in the trash, as a purge does that is killed between the rename and the commit."""
    record = record_of(store, address)
    assert store.homes is not None
    assert store.homes.set_aside(record.home, trash_key(store.key, record))


def test_an_admin_that_does_not_see_the_record_does_not_remove_its_mail(store: IRedMailStore, rig: Rig) -> None:
    store.admins.create("boss@admins.org", password_hash=HASH, domains=["example.com"])
    interrupt(store, EVE)
    outcomes = list(purge_due(store.acting_as("boss@admins.org")))
    assert [(outcome.record and outcome.record.address, outcome.action) for outcome in outcomes] == [(BOB, "purged")]
    assert files(rig.root).keys() == {EVE}
    store.deleted.restore(record_of(store, EVE).id)
    assert files(Path(str(store.accounts.get(EVE).home))).keys() == {EVE}


def test_an_admin_does_not_remove_what_others_keep_or_live_in(store: IRedMailStore, rig: Rig) -> None:
    store.admins.create("boss@admins.org", password_hash=HASH, domains=["example.com"])
    above = record_of(store, EVE).home.rpartition("/")[0]
    rig.execute("UPDATE deleted_mailboxes SET maildir = :home WHERE username = :bob", home=above, bob=BOB)
    acting = store.acting_as("boss@admins.org")
    (outcome,) = purge_due(acting)
    assert (outcome.action, EVE in outcome.reason) == ("kept", True)
    rig.execute("UPDATE deleted_mailboxes SET maildir = '' WHERE username = :bob", bob=BOB)
    store.deleted.restore(record_of(store, EVE).id)
    rig.execute("UPDATE deleted_mailboxes SET maildir = :home WHERE username = :bob", home=above, bob=BOB)
    (outcome,) = purge_due(acting)
    assert (outcome.action, EVE in outcome.reason) == ("kept", True)
    assert EVE in files(rig.root)


def test_homes_are_back_in_place_when_the_claim_fails(store: IRedMailStore, rig: Rig) -> None:
    before = files(rig.root)
    rig.execute(
        "CREATE TRIGGER refuse BEFORE DELETE ON deleted_mailboxes WHEN OLD.username LIKE 'bob%' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    try:
        with pytest.raises(MailstoreError):
            list(purge_due(store))
    finally:
        rig.execute("DROP TRIGGER refuse")
    assert files(rig.root) == before
    assert store.homes is not None
    assert list(store.homes.trashed()) == []
    assert {outcome.action for outcome in purge_due(store)} == {"purged"}


def test_mail_goes_back_to_an_account_that_was_restored_elsewhere(store: IRedMailStore, rig: Rig) -> None:
    """A host without the disk restores an account while its home lies in the trash; the record, too, is gone then."""
    interrupt(store, BOB)
    with rig.open_without_disk() as panel:
        panel.deleted.restore(record_of(store, BOB).id)
    (dry, *_), (real, *_) = list(purge_due(store, dry_run=True)), list(purge_due(store))
    assert (dry.action, real.action) == ("kept", "kept")
    assert BOB in dry.reason
    assert BOB in real.reason
    assert files(Path(str(store.accounts.get(BOB).home))).keys() == {BOB}


def test_mail_of_a_restored_account_that_got_new_mail_is_kept_apart(store: IRedMailStore, rig: Rig) -> None:
    interrupt(store, BOB)
    with rig.open_without_disk() as panel:
        home = Path(str(panel.deleted.restore(record_of(store, BOB).id).home))
    home.mkdir()
    for _ in range(2):
        outcomes = list(purge_due(store))
        assert any(outcome.action == "kept" and TRASH in outcome.reason for outcome in outcomes)
    assert BOB in files(rig.root)


@pytest.mark.parametrize("spelling", ["{above}/./{name}", "{above}/x/../{name}", "{above}/x//..//{name}/"])
def test_a_live_home_is_recognised_by_any_spelling(store: IRedMailStore, rig: Rig, spelling: str) -> None:
    home = record_of(store, BOB).home
    above, _, name = home.rpartition("/")
    _, base, node, rest = spelling.format(above=above, name=name.upper()).split("/", 3)
    row = {"username": "live@example.com", "domain": "example.com", "password": HASH}
    rig.insert("mailbox", **row, storagebasedirectory=f"/{base}", storagenode=node, maildir=rest)
    found = {outcome.home: outcome for outcome in purge_due(store)}
    assert found[home].action == "kept"
    assert "live@example.com" in found[home].reason
    assert BOB in files(rig.root)


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o720])
def test_a_trash_that_others_write_to_is_refused(store: IRedMailStore, rig: Rig, mode: int) -> None:
    trash = rig.root / TRASH
    trash.mkdir()
    os.chown(trash, *rig.owner)
    trash.chmod(mode)
    for dry_run in (True, False):
        outcomes = list(purge_due(store, dry_run=dry_run))
        assert {outcome.action for outcome in outcomes} == {"kept"}
        assert all("chmod" in outcome.reason for outcome in outcomes)
    assert files(rig.root).keys() == {BOB, EVE}
    assert store.homes is not None
    with pytest.raises(HomeRefused):
        next(store.homes.trashed())


def facts(outcomes: list[Outcome]) -> list[tuple[str, str, int, int]]:
    """Return what a dry run and a real one must agree on."""
    return sorted(
        (outcome.home, outcome.action.replace("would purge", "purged"), outcome.files, outcome.bytes)
        for outcome in outcomes
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change owners")
def test_a_dry_run_tells_what_the_real_one_does(store: IRedMailStore, rig: Rig) -> None:
    interrupt(store, EVE)
    home = Path(record_of(store, BOB).home)
    (home / "dovecot.index").write_bytes(bytes(1000))
    (home / "link").symlink_to("/etc/passwd")
    for number, name in enumerate(("foreign", "missing", "linked", "elsewhere", "dotted")):
        store.accounts.create(f"{name}@example.com", password_hash=HASH)
        store.accounts.delete(f"{name}@example.com", keep_mailbox_days=0)
        place = Path(record_of(store, f"{name}@example.com").home)
        if name == "foreign":
            os.chown(place, 5001, 5001)
        elif name in ("missing", "linked"):
            place.rename(place.with_name(f"moved{number}"))
        if name == "linked":
            place.symlink_to(place.with_name(f"moved{number}"))
        if name in ("elsewhere", "dotted"):
            spelt = "/srv/other/x" if name == "elsewhere" else f"{place}/../x"
            rig.execute("UPDATE deleted_mailboxes SET maildir = :h WHERE username LIKE :n", h=spelt, n=f"{name}@%")
    dry = facts(list(purge_due(store, dry_run=True)))
    assert {action for _, action, _, _ in dry} == {"purged", "kept", "absent", "elsewhere"}
    assert (str(home), "purged", 3, 1000 + len(BOB)) in dry
    assert facts(list(purge_due(store))) == dry
