"""A deleted domain comes back with its accounts, aliases and admins, wholly or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import AlreadyExists, NotFound, purge_due
from mailstore.errors import HomeError
from mailstore.passwords import hash_password
from tests.rigs import counting

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

READY = hash_password("x")
NUMBERS = {"id", "accountId", "domainId"}


@pytest.fixture
def full(store: AtmailStore) -> AtmailStore:
    """A domain with everything that there is, and another one that leads to it."""
    for domain in ("a.test", "b.test", "c.test"):
        store.domains.create(domain)
    for address in ("bob@a.test", "eve@a.test", "f@b.test", "copy@b.test"):
        store.accounts.create(address, password="secret")
    store.domains.add_alias_domains("a.test", ["aa.test"])
    store.aliases.create("all@a.test", members=["bob@a.test", "eve@a.test", "x@other.org"])
    store.aliases.create("board@b.test", members=["bob@aa.test", "f@b.test"])
    store.aliases.create("team@b.test", members=["bob@a.test", "eve@a.test"])
    store.accounts.update("bob@a.test", aliases=["b@a.test", "b@b.test", "b@c.test"], forwarding=["x@other.org"])
    store.accounts.update("f@b.test", forwarding=["bob@a.test"], keep_copy=False)
    store.accounts.update("copy@b.test", forwarding=["all@a.test"], keep_copy=False)
    store.admins.create("ann", password="x", domains=["a.test", "b.test"])
    return store


def content(rig: AtmailRig) -> dict[str, list[dict[str, Any]]]:
    """Return what the tables of mail hold, without numbers."""
    names = ("accounts", "domains", "aliases")
    return {
        name: sorted(({key: row[key] for key in row.keys() - NUMBERS} for row in rig.rows(name)), key=repr)
        for name in names
    }


def everything(rig: AtmailRig) -> dict[str, list[dict[str, Any]]]:
    return {name: rig.rows(name) for name in rig.tables}


def test_everything_comes_back(full: AtmailStore, rig: AtmailRig) -> None:
    before, admins = content(rig), full.admins.get("ann")
    assert full.domains.delete("a.test", keep_mailbox_days=7) == 2
    (record,) = full.deleted.domains()
    assert (record.domain, record.accounts) == ("a.test", 2)
    assert {mailbox.domain_record for mailbox in full.deleted.list()} == {record.id}
    full.domains.create("d.test")  # may get its number
    restored = full.deleted.restore_domain("a.test")
    full.domains.delete("d.test", keep_mailbox_days=0)
    assert (restored.alias_domains, restored.admins) == (("aa.test",), ("ann",))
    assert content(rig) == before
    assert full.admins.get("ann") == admins
    assert full.accounts.verify_password("bob@a.test", "secret")
    assert [record.domain for record in full.deleted.domains()] == ["d.test"]
    assert rig.rows("mailstore_deleted_mailboxes") == []


def test_without_what_is_purged(full: AtmailStore, rig: AtmailRig) -> None:
    full.domains.delete("a.test", keep_mailbox_days=7)
    bob = next(record for record in full.deleted.list() if record.address == "bob@a.test")
    full.deleted.reschedule(bob.id, keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(full)] == ["purged"]
    full.domains.delete("c.test")
    full.deleted.restore_domain("a.test")
    assert [account.address for account in full.accounts.list(domain="a.test")] == ["eve@a.test"]
    assert full.aliases.get("all@a.test").members == ("eve@a.test", "x@other.org")
    assert full.aliases.get("board@b.test").members == ("f@b.test",)
    left = [
        row for name in ("accounts", "aliases") for row in rig.rows(name) if "bob" in repr(row) or "b@" in repr(row)
    ]
    assert left == [row for row in left if "f@b.test" in repr(row) or "copy@b" in repr(row)]


@pytest.mark.parametrize("obstacle", ["domain", "alias domain", "alias", "mail"])
def test_wholly_or_not_at_all(full: AtmailStore, rig: AtmailRig, obstacle: str) -> None:
    full.domains.delete("a.test", keep_mailbox_days=7)
    if obstacle == "domain":
        full.domains.create("a.test")
    elif obstacle == "alias domain":
        full.domains.add_alias_domains("b.test", ["aa.test"])
    elif obstacle == "alias":
        full.accounts.create("b@b.test", password="x")
    else:
        home = Path(next(full.deleted.list()).home)
        home.rename(f"{home}-away")
    before = everything(rig)
    with pytest.raises(HomeError if obstacle == "mail" else AlreadyExists):
        full.deleted.restore_domain("a.test")
    assert everything(rig) == before


def test_the_record_ends_with_the_last_mailbox(full: AtmailStore, rig: AtmailRig) -> None:
    full.domains.delete("a.test", keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(full)] == ["purged", "purged"]
    list(purge_due(full))
    assert rig.rows("mailstore_deleted") == []
    with pytest.raises(NotFound):
        full.deleted.restore_domain("a.test")


def test_the_cost_does_not_grow_with_the_domain(rig: AtmailRig) -> None:
    with rig.open_without_disk() as store:
        costs = []
        for number in (3, 60):
            store.domains.create("a.test")
            store.accounts.create_many({"address": f"u{n}@a.test", "password_hash": READY} for n in range(number))
            with counting(cast("Any", store)) as deleting:
                store.domains.delete("a.test")
            with counting(cast("Any", store)) as restoring:
                store.deleted.restore_domain("a.test")
            assert store.accounts.count(domain="a.test") == number
            costs.append((len(deleting), len(restoring)))
            rig.clear()
        assert costs[0] == costs[1]
