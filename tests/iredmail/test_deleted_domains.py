"""A deleted domain comes back with all that it had, wholly or not at all, and its records end with its mailboxes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists, NotFound, PermissionDenied, purge_due
from mailstore.errors import HomeError
from mailstore.passwords import hash_password
from tests.rigs import Rig, counting
from tests.stores import empty_homes

if TYPE_CHECKING:
    from mailstore.sql.iredmail.store import IRedMailStore

READY = hash_password("x")
TODAY = datetime.now(UTC).date()
IGNORED = {"deleted_mailboxes", "mailstore_deleted"}


@pytest.fixture
def store(rig: Rig) -> IRedMailStore:
    """A domain with everything that there is, and another one that leads to it."""
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    for domain in ("a.test", "b.test"):
        store.domains.create(domain)
    for address in ("bob@a.test", "eve@a.test", "f@b.test", "boss@b.test", "copy@b.test"):
        store.accounts.create(address, password="secret", name=f"The {address}")
    store.domains.add_alias_domains("a.test", ["aa.test"])
    store.domains.update(
        "a.test", name="A", max_accounts=9, default_language="de_DE", catch_all=["eve@a.test"], sender_bcc="copy@b.test",
        outbound_relay="[r.example.net]",
    )  # fmt: skip
    store.aliases.create("all@a.test", members=["bob@a.test", "eve@a.test", "x@other.org"], moderators=["bob@a.test"])
    store.aliases.create("board@b.test", members=["bob@a.test", "boss@b.test"])
    store.accounts.update(
        "bob@a.test",
        aliases=["b@a.test", "b@b.test", "bobby@aa.test"],
        forwarding=["x@other.org"],
        recipient_bcc="copy@b.test",
    )
    store.accounts.update("f@b.test", forwarding=["bob@a.test"], keep_copy=False)
    store.accounts.update("copy@b.test", forwarding=["all@a.test"], keep_copy=False)
    store.admins.promote("eve@a.test", domains=["a.test", "b.test"])
    store.admins.promote("boss@b.test", domains=["a.test"])
    store.admins.create("root@admin.example", password="x", domains=["a.test"])
    return store


def content(rig: Rig) -> dict[str, list[dict[str, Any]]]:
    """Return all rows but records, without their numbers and the times of changes."""
    found = {}
    for name in rig.metadata.tables.keys() - IGNORED - {"used_quota", "last_login"}:
        rows = [{key: value for key, value in row.items() if key not in {"id", "modified"}} for row in rig.rows(name)]
        found[name] = sorted(rows, key=repr)
    return found


def test_everything_comes_back(store: IRedMailStore, rig: Rig) -> None:
    before = content(rig)
    accounts = {address: store.accounts.get(address).home for address in ("bob@a.test", "eve@a.test")}
    assert store.domains.delete("a.test", keep_mailbox_days=7) == 2
    (record,) = store.deleted.domains()
    assert (record.domain, record.accounts, record.due) == ("a.test", 2, TODAY + timedelta(days=7))
    assert {mailbox.domain_record for mailbox in store.deleted.list()} == {record.id}
    assert not store.accounts.get("boss@b.test").admin
    restored = store.deleted.restore_domain("a.test")
    assert (restored.name, restored.catch_all, restored.alias_domains) == ("A", ("eve@a.test",), ("aa.test",))
    assert content(rig) == before
    assert {address: store.accounts.get(address).home for address in accounts} == accounts
    assert store.accounts.verify_password("bob@a.test", "secret")
    assert list(store.deleted.domains()) == []
    assert rig.rows("mailstore_deleted") == []
    assert rig.rows("deleted_mailboxes") == []
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_without_what_is_purged(store: IRedMailStore, rig: Rig) -> None:
    store.domains.delete("a.test", keep_mailbox_days=7)
    bob = next(record for record in store.deleted.list() if record.address == "bob@a.test")
    store.deleted.reschedule(bob.id, keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(store)] == ["purged"]
    store.deleted.restore_domain("a.test")
    assert [account.address for account in store.accounts.list(domain="a.test")] == ["eve@a.test"]
    assert store.aliases.get("all@a.test").members == ("eve@a.test", "x@other.org")
    assert store.aliases.get("all@a.test").moderators == ()
    assert store.aliases.get("board@b.test").members == ("boss@b.test",)
    assert not any("bob" in repr(row) for rows in content(rig).values() for row in rows)
    assert [finding for finding in store.check() if finding.severity == "error"] == []


@pytest.mark.parametrize("obstacle", ["domain", "alias domain", "alias", "mail"])
def test_wholly_or_not_at_all(store: IRedMailStore, rig: Rig, obstacle: str) -> None:
    store.domains.delete("a.test", keep_mailbox_days=7)
    if obstacle == "domain":
        store.domains.create("a.test")
    elif obstacle == "alias domain":
        store.domains.add_alias_domains("b.test", ["aa.test"])
    elif obstacle == "alias":
        store.accounts.create("b@b.test", password="x")
    else:
        home = Path(next(store.deleted.list()).home)
        home.rename(f"{home}-away")
    before = rig.everything()
    with pytest.raises(HomeError if obstacle == "mail" else AlreadyExists):
        store.deleted.restore_domain("a.test")
    assert rig.everything() == before


def test_the_record_ends_with_the_last_mailbox(store: IRedMailStore, rig: Rig) -> None:
    store.domains.delete("a.test", keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(store)] == ["purged", "purged"]
    assert rig.rows("mailstore_deleted") == []
    with pytest.raises(NotFound):
        store.deleted.restore_domain("a.test")


def test_a_domain_without_mailboxes_is_kept_until_it_is_due(store: IRedMailStore, rig: Rig) -> None:
    store.domains.create("empty.test", name="Empty")
    store.domains.delete("empty.test", keep_mailbox_days=1)
    assert list(purge_due(store)) == []
    assert store.deleted.restore_domain("empty.test").name == "Empty"
    store.domains.delete("empty.test", keep_mailbox_days=0)
    assert list(purge_due(store)) == []
    assert rig.rows("mailstore_deleted") == []


def test_other_tools_drop_the_records_of_the_mailboxes(store: IRedMailStore, rig: Rig) -> None:
    store.domains.delete("a.test")
    rig.execute("DELETE FROM deleted_mailboxes")
    assert list(purge_due(store)) == []
    assert rig.rows("mailstore_deleted") == []


def test_mailboxes_restored_one_by_one(store: IRedMailStore, rig: Rig) -> None:
    store.domains.delete("a.test")
    store.domains.create("a.test")
    for record in list(store.deleted.list()):
        store.deleted.restore(record.id)
    assert list(store.deleted.domains()) == []
    assert rig.rows("mailstore_deleted") == []


def test_the_cost_does_not_grow_with_the_domain(rig: Rig) -> None:
    rig.clear()
    empty_homes(rig)
    with rig.open_without_disk() as store:
        costs = []
        for number in (3, 300):
            store.domains.create("a.test")
            store.accounts.create_many({"address": f"u{n}@a.test", "password_hash": READY} for n in range(number))
            store.domains.delete("a.test")
            with counting(store) as seen:
                store.deleted.restore_domain("a.test")
            assert store.accounts.count(domain="a.test") == number
            costs.append((len(seen), seen.commits))
            store.domains.delete("a.test", keep_mailbox_days=0)
            rig.execute("DELETE FROM deleted_mailboxes")
        assert costs[0] == costs[1]


def test_who_may_restore_a_domain(store: IRedMailStore) -> None:
    store.admins.promote("f@b.test", global_admin=True)
    store.domains.delete("a.test")
    with pytest.raises(PermissionDenied):
        store.acting_as("root@admin.example").deleted.restore_domain("a.test")
    assert store.acting_as("f@b.test").deleted.restore_domain("a.test").domain == "a.test"
