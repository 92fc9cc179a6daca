"""No home lies in another's, and none is removed with what lives or is kept at, in or above it."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mailstore import AlreadyExists, Capability, DeletedMailbox, InvalidValue, Store
from mailstore import purge as purge_module
from mailstore.errors import BulkRefused
from mailstore.purge import purge_due
from mailstore.sql.ledger import LedgerMailboxes, NewRecord
from tests.contract.hosting import credentials, host

pytestmark = [
    pytest.mark.needs(Capability.RETENTION, Capability.HOME_PATHS),
    pytest.mark.parametrize("store_rig", ["sqlite", "postgresql", "ldap", "atmail"], indirect=True),
]

TODAY = datetime.now(UTC).date()
BOB, EVE, OLD = "bob@example.com", "eve@example.com", "old@example.com"


@pytest.fixture
def root(store: Store) -> str:
    host(store, "example.com")
    assert store.homes is not None
    return str(store.homes.roots[0])


def live(store: Store, address: str, home: str) -> Path:
    """Make an account, and return its only message."""
    account = store.accounts.create(address, home=home, **credentials(store))
    message = Path(str(account.home), account.mailbox_folder, "new/1")
    message.write_text(address)
    return message


def record(store: Store, address: str, home: str, due: date) -> DeletedMailbox:
    """Write a record as another tool would, whatever lies there."""
    assert isinstance(store.deleted, LedgerMailboxes)
    ledger = store.deleted._ledger
    with ledger.db.writing() as tx:
        (made,) = ledger.add(tx, [NewRecord(address, "example.com", home, due)])
    return made


def purge(store: Store, day: date = TODAY, *, dry_run: bool = False) -> dict[str, str]:
    return {
        outcome.record.address if outcome.record else outcome.home: outcome.action
        for outcome in purge_due(store, today=day, dry_run=dry_run)
    }


def test_mail_that_is_not_due_survives_the_purge_of_what_is_around_it(store: Store, root: str) -> None:
    inside, around = live(store, BOB, f"{root}/special/bob"), live(store, EVE, f"{root}/other")
    for address in (BOB, EVE):
        store.accounts.delete(address, keep_mailbox_days=30)
    record(store, OLD, f"{root}/special/", TODAY)
    record(store, "new@example.com", f"{root}/Other//Maildir", TODAY)
    both = {OLD: "kept", "new@example.com": "kept"}
    assert purge(store, dry_run=True) == both
    assert purge(store) == both
    assert (inside.read_text(), around.read_text()) == (BOB, EVE)
    assert set(purge(store, TODAY + timedelta(days=30)).values()) <= {"purged", "absent"}
    assert store.deleted.count() == 0
    assert not Path(root, "special").exists()


def test_those_that_are_due_together_go_in_whatever_batches(
    store: Store, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_module, "_BATCH", 1)
    record(store, OLD, f"{root}/special", TODAY)
    live(store, BOB, f"{root}/elsewhere")
    store.accounts.delete(BOB, keep_mailbox_days=0)
    record(store, "twin@example.com", f"{root}/special", TODAY)
    message = Path(root, "special/inner/Maildir/new/1")
    message.parent.mkdir(parents=True)
    for path in (Path(root, "special"), Path(root, "special/inner")):
        os.chown(path, Path(root).stat().st_uid, -1)
    message.write_text("old")
    record(store, EVE, f"{root}/special/inner", TODAY)
    assert set(purge(store).values()) <= {"purged", "absent"}
    assert not Path(root, "special").exists()
    assert store.deleted.count() == 0


@pytest.mark.parametrize("where", ["{home}", "{home}/inside", "{above}", "{above}/./BOB", "{above}//bob/Maildir"])
def test_no_home_in_or_around_one_that_is_kept(store: Store, root: str, where: str) -> None:
    live(store, BOB, f"{root}/special/bob")
    kept = store.accounts.delete(BOB, keep_mailbox_days=30)
    assert kept is not None
    home = where.format(home=kept.home, above=kept.home.rpartition("/")[0])
    with pytest.raises((AlreadyExists, InvalidValue), match=r"restore|'\.'"):
        store.accounts.create(EVE, home=home, **credentials(store))
    assert not store.accounts.exists(EVE)


def test_no_restore_into_or_around_a_home_of_others(store: Store, root: str) -> None:
    live(store, BOB, f"{root}/special/bob")
    old = record(store, OLD, f"{root}/special", TODAY)
    with pytest.raises(AlreadyExists, match=BOB):
        store.deleted.restore(old.id, **credentials(store))
    store.accounts.delete(BOB, keep_mailbox_days=30)
    with pytest.raises(AlreadyExists, match="record"):
        store.deleted.restore(old.id, **credentials(store))
    assert not store.accounts.exists(OLD)


@pytest.mark.parametrize("where", ["", "/example.com", "/example.com/b", "/a"])
def test_no_home_that_would_hold_those_of_new_accounts(store: Store, root: str, where: str) -> None:
    if where == "/a" and "atmail" not in store.name:
        pytest.skip(f"{store.name} has no homes that begin otherwise")
    if where.startswith("/example.com") and "atmail" in store.name:
        pytest.skip(f"{store.name} has no homes that begin with the domain")
    with pytest.raises(InvalidValue, match="homes of other accounts"):
        store.accounts.create(EVE, home=f"{root}{where}", **credentials(store))
    assert not store.accounts.exists(EVE)


def test_homes_of_one_bulk_call_do_not_touch(store: Store, root: str) -> None:
    given = [(BOB, f"{root}/special"), (EVE, f"{root}/Special//eve")]
    rows = [{"address": address, "home": home, **credentials(store)} for address, home in given]
    with pytest.raises((AlreadyExists, BulkRefused)):
        store.accounts.create_many(rows)
    assert store.accounts.count() == 0
