"""Rows of aliases are found under every spelling that leads to an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

BOB, KIM = "bob@a.test", "kim@a.test"


@pytest.fixture
def board(store: AtmailStore, rig: AtmailRig) -> AtmailStore:
    store.domains.create("a.test")
    store.domains.create("b.test")
    store.domains.add_alias_domains("a.test", ["aa.test"])
    for address in (BOB, KIM):
        store.accounts.create(address, password="secret")
    store.aliases.create("board@a.test", members=[KIM, "ext@other.org"])
    for target in ("Bob@A.test", "bob@aa.test", "bob+x@a.test"):
        rig.insert("aliases", AliasName="board@a.test", AliasTo=target, aliasType="Local")
    return store


def members(store: AtmailStore) -> set[str]:
    return {name.lower() for name in store.aliases.get("board@a.test").members}


def test_deleted_and_restored(board: AtmailStore) -> None:
    before = members(board)
    record = board.accounts.delete(BOB, keep_mailbox_days=1)
    assert record is not None
    assert members(board) == {KIM, "ext@other.org"}
    board.deleted.restore(record.id)
    assert members(board) == before


def test_a_rename_takes_them_along(board: AtmailStore) -> None:
    board.accounts.rename(BOB, "rob@a.test")
    assert members(board) == {KIM, "ext@other.org", "rob@a.test", "rob@aa.test", "rob+x@a.test"}
    board.accounts.rename("rob@a.test", "rob@b.test")
    assert members(board) == {KIM, "ext@other.org", "rob@b.test", "rob+x@b.test"}


def test_an_alias_domain_that_goes_leaves_nothing_to_strangers(board: AtmailStore) -> None:
    record = board.accounts.delete(KIM, keep_mailbox_days=1)
    assert record is not None
    board.domains.remove_alias_domains("a.test", ["aa.test"])
    assert members(board) == {BOB, "bob+x@a.test", "ext@other.org"}
    board.deleted.restore(record.id)
    assert members(board) == {BOB, "bob+x@a.test", "ext@other.org", KIM}


def test_what_is_removed_is_gone_however_it_was_spelt(board: AtmailStore) -> None:
    board.aliases.remove_members("board@a.test", [BOB])
    assert members(board) == {KIM, "ext@other.org"}
