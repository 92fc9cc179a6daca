"""Whatever happens at whatever step of a purge, and whatever becomes of its commit: no mail goes that is somebody's.

A model check of the real code: each purge is stopped at one of its steps, where an account is restored, made, renamed, or
deleted again, or a record gets another day. What a lock forbids there is done at the first step where it is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from mailstore import MailstoreError
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from mailstore.sql.iredmail.accounts import collection
from tests.contract.hosting import credentials, host
from tests.faults.interleaving import Commit, Interleaving, found_below, interleaved, without_waiting
from tests.stores import StoreRig, empty_homes

BOB, EVE, NEW = "bob@example.com", "eve@example.com", "carol@example.com"
HASH = hash_password("secret")
BOBS, EVES = "bob's mail", "eve's mail"
UNKNOWN = (Commit.UNKNOWN_BUT_DONE, Commit.UNKNOWN_AND_UNDONE)


@dataclass
class World:
    """A purger and a neighbour that see the disk, a panel on another host that does not, and bob's mailbox, which is due."""

    rig: StoreRig
    panel: Any
    neighbour: Any
    record: int = 0
    home: str = ""

    def prepared(self, action: Callable[[World], object]) -> tuple[Any, Callable[[], object]]:
        """Begin anew: eve lives, bob was deleted and is due."""
        purger = self.rig.shared
        self.rig.clear()
        empty_homes(self.rig)
        host(purger, "example.com")
        for address, text in ((BOB, BOBS), (EVE, EVES)):
            home = Path(str(purger.accounts.create(address, **credentials(purger)).home))
            (next(home.rglob("new")) / "1").write_text(text)
        record = purger.accounts.delete(BOB, keep_mailbox_days=0)
        assert record is not None
        self.record, self.home = record.id, record.home
        return purger, partial(action, self)

    def lives(self) -> set[str]:
        """Return who lives in bob's former home, and whose record keeps it."""
        homes = [(address, home) for address, home in self.rig.shared.accounts.homes() if home == self.home]
        kept = [(place.address, place.home) for place in self.rig.shared.deleted.places()]
        return {address for address, home in (*homes, *kept) if home.rstrip("/") == self.home}


def nothing(_world: World) -> None:
    """Only the commit matters."""


def restore(world: World) -> None:
    world.panel.deleted.restore(world.record)


def restore_with_the_disk(world: World) -> None:
    world.neighbour.deleted.restore(world.record)


def restore_and_rename(world: World) -> None:
    with world.panel.transaction():
        world.panel.deleted.restore(world.record)
        world.panel.accounts.rename(BOB, NEW)


def restore_and_delete_again(world: World) -> None:
    with world.panel.transaction():
        world.panel.deleted.restore(world.record)
        world.panel.accounts.delete(BOB, keep_mailbox_days=9)


def create_anew(world: World) -> None:
    world.panel.accounts.create(BOB, **credentials(world.panel))


def keep_for_ever(world: World) -> None:
    world.panel.deleted.reschedule(world.record, keep_mailbox_days=None)


def bring_back_by_hand(world: World) -> None:
    """As another tool does that knows nothing of records."""
    context = world.panel._context
    base, node, maildir = world.home[1:].split("/", 2)
    row = {"username": BOB, "domain": "example.com", "password": HASH, "storagebasedirectory": f"/{base}"}
    with context.db.writing() as tx:
        tx.execute(insert(context.table("mailbox")).values(**row, storagenode=node, maildir=f"{maildir}/"))


@pytest.fixture
def world(rigs: Callable[[str], StoreRig], name: str) -> Iterator[World]:
    rig = rigs(name)
    options = {} if name == "mailinabox" else {"home_root": str(rig.root)}
    with (
        rig.open(homes=None, **options) as panel,
        rig.open() as neighbour,
        without_waiting(panel),
        without_waiting(neighbour),
    ):
        yield World(rig, panel, neighbour)
    rig.clear()
    empty_homes(rig)


def require_nothing_lost(world: World, purge: Interleaving, *, by_hand: bool = False) -> None:
    """What is somebody's is where it belongs after the next purge, and what is nobody's is gone after it."""
    store = world.rig.shared
    about = f"step {purge.done_at} of {purge.steps}, commit {purge.commit.value}, refused: {purge.refusal}"
    assert EVES in found_below(world.rig.root), about
    in_time = not by_hand or (purge.done_at or 0) < purge.asked_at
    lived = world.lives() and in_time
    assert not lived or BOBS in found_below(world.rig.root), f"lost at {about}"
    for _ in range(2):
        list(purge_due(store))
    if world.lives() and in_time:
        assert BOBS in found_below(Path(world.home)), f"not put back at {about}"
    if not world.lives():
        assert BOBS not in found_below(world.rig.root), f"left behind at {about}"
    assert not list(store.homes.trashed()), about


def check(world: World, action: Callable[[World], object], commits: tuple[Commit, ...], **options: bool) -> None:
    for commit in commits:
        number = 0
        for purge in interleaved(partial(world.prepared, action), commit=commit):
            require_nothing_lost(world, purge, **options)
            number += 1
        assert number > 1, "the purge was stopped at no step"


@pytest.mark.parametrize("name", ["sqlite"])
@pytest.mark.parametrize("action", [restore_with_the_disk, restore_and_rename, restore_and_delete_again])
def test_no_step_loses_mail(world: World, action: Callable[[World], object]) -> None:
    check(world, action, (Commit.DONE,))


@pytest.mark.parametrize("name", ["sqlite"])
@pytest.mark.parametrize("action", [restore, keep_for_ever])
def test_no_step_loses_mail_when_the_commit_fails(world: World, action: Callable[[World], object]) -> None:
    check(world, action, (Commit.REFUSED, *UNKNOWN))


@pytest.mark.parametrize("name", ["sqlite"])
def test_who_was_brought_back_by_hand_gets_the_mail_back(world: World) -> None:
    check(world, bring_back_by_hand, (Commit.DONE, Commit.UNKNOWN_BUT_DONE), by_hand=True)


@pytest.mark.parametrize(("name", "action"), [("mailinabox", create_anew), ("afterlogic-sqlite", restore)])
def test_where_the_path_follows_from_the_address(world: World, action: Callable[[World], object]) -> None:
    check(world, action, (Commit.DONE,), by_hand=action is create_anew)


@pytest.mark.parametrize(
    ("name", "commit"), [("mysql", Commit.DONE), ("postgresql", Commit.DONE), ("ldap", Commit.REFUSED)]
)
def test_on_servers(world: World, commit: Commit) -> None:
    check(world, restore_with_the_disk, (commit,))


@pytest.mark.parametrize("name", ["sqlite"])
@pytest.mark.parametrize("commit", list(Commit))
def test_an_undisturbed_purge_ends_as_its_commit_does(world: World, commit: Commit) -> None:
    store, action = world.prepared(nothing)
    purge = Interleaving(store, 1, action, commit)
    purge.run()
    assert isinstance(purge.error, MailstoreError) == (commit is not Commit.DONE)
    if commit is Commit.REFUSED:
        assert BOBS in found_below(Path(world.home))
    require_nothing_lost(world, purge)


@pytest.mark.parametrize("name", ["mysql", "postgresql"])
def test_who_is_renamed_while_the_purge_looks_is_not_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account lives in the home of a record, and gets an address that the reader of all accounts has passed."""
    store, _ = world.prepared(nothing)
    bring_back_by_hand(world)
    world.panel.accounts.rename(BOB, "zoe@example.com")
    monkeypatch.setattr(collection, "_HOMES_PAGE", 1)
    found = store.accounts.homes(at_once=True)
    first = next(found)
    world.panel.accounts.rename("zoe@example.com", "aaron@example.com")
    assert world.home in dict([first, *found]).values()
