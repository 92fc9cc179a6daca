"""In a directory, too, references are found under every spelling that Postfix follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ldap3 import MODIFY_ADD

from mailstore import Edit
from tests.ldap.lookup_rig import LdapMaps, reader_of
from tests.ldap.test_lists import COM, ORG, SALES, rig, store, tree

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

__all__ = ["rig", "store"]

BOB, ZOE = "bob@example.com", "zoe@example.org"
SPELT = ("Bob@Example.com", "bob@example.net", "bob+board@example.com")


@pytest.fixture
def board(store: IRedMailDirectory, rig: LdapRig) -> IRedMailDirectory:
    """An alias, a forwarding, a bcc and an external member that name Bob, written by another tool."""
    _write(rig, SALES, mailForwardingAddress=list(SPELT))
    zoe = f"mail=zoe@example.org,ou=Users,{ORG}"
    _write(rig, zoe, mailForwardingAddress=["zoe@example.org", "bob@example.net"])
    _write(rig, zoe, userRecipientBccAddress=["BOB+x@example.net"])
    _write(rig, f"memberOfGroup=crew@example.com,ou=Externals,{COM}", mail=["bob@example.net", "bob+x@example.com"])
    return store


def _write(rig: LdapRig, dn: str, **values: list[str]) -> None:
    with rig.server.connect() as connection:
        assert connection.modify(dn, {name: [(MODIFY_ADD, some)] for name, some in values.items()}), connection.result


def test_deleted_and_restored(board: IRedMailDirectory, rig: LdapRig) -> None:
    before = tree(rig)
    record = board.accounts.delete(BOB, keep_mailbox_days=1)
    assert record is not None
    assert board.aliases.get("sales@example.com").members == ("s@ext.org",)
    assert board.lists.get("crew@example.com").members == ("c@ext.org",)
    assert "bob" not in str(tree(rig)).lower()
    board.deleted.restore(record.id)
    assert tree(rig) == before


def test_restored_after_the_alias_domain_went(board: IRedMailDirectory) -> None:
    record = board.accounts.delete(BOB, keep_mailbox_days=1)
    assert record is not None
    board.domains.remove_alias_domains("example.com", ["example.net"])
    board.deleted.restore(record.id)
    assert board.aliases.get("sales@example.com").members == ("bob+board@example.com", BOB, "s@ext.org")


def test_a_rename_takes_them_along(board: IRedMailDirectory) -> None:
    board.accounts.rename(BOB, "rob@example.com")
    moved = ("rob+board@example.com", "rob@example.com", "rob@example.net", "s@ext.org")
    assert board.aliases.get("sales@example.com").members == moved
    assert board.accounts.get(ZOE).recipient_bcc == "rob+x@example.net"
    board.accounts.rename("rob@example.com", "rob@example.org")
    moved = ("rob+board@example.org", "rob@example.org", "s@ext.org")
    assert board.aliases.get("sales@example.com").members == moved
    assert board.lists.get("crew@example.com").members == ("c@ext.org", "rob+x@example.org", "rob@example.org")


def test_an_alias_domain_that_goes_leaves_nothing_to_strangers(board: IRedMailDirectory, rig: LdapRig) -> None:
    board.accounts.add_aliases(ZOE, ["queen@example.net"])
    _write(rig, SALES, mailForwardingAddress=["queen@example.net"])
    board.domains.remove_alias_domains("example.com", ["example.net"])
    assert board.aliases.get("sales@example.com").members == ("bob+board@example.com", BOB, "s@ext.org", ZOE)
    assert board.accounts.get(ZOE).recipient_bcc == "bob+x@example.com"
    assert "example.net" not in str(tree(rig))


def test_what_is_removed_is_gone_however_it_was_spelt(board: IRedMailDirectory) -> None:
    board.aliases.remove_members("sales@example.com", [BOB])
    assert board.aliases.get("sales@example.com").members == ("s@ext.org",)
    board.lists.remove_members("crew@example.com", [BOB])
    assert board.lists.get("crew@example.com").members == ("c@ext.org",)
    board.accounts.update(ZOE, forwarding=Edit(remove=[BOB]))
    assert board.accounts.get(ZOE).forwarding == ()


def test_aliases_of_an_account_go_with_it(board: IRedMailDirectory) -> None:
    board.accounts.add_aliases(BOB, ["chief@example.org"])
    board.aliases.add_members("sales@example.com", ["chief@example.org"])
    record = board.accounts.delete(BOB, keep_mailbox_days=1)
    assert record is not None
    board.accounts.add_aliases(ZOE, ["chief@example.org"])
    board.deleted.restore(record.id)
    members = ("bob+board@example.com", BOB, "bob@example.net", "s@ext.org")
    assert board.aliases.get("sales@example.com").members == members


def test_an_edit_of_the_services_of_a_new_account(store: IRedMailDirectory) -> None:
    usual = set(store.accounts.get(BOB).services)
    made = store.accounts.create("new@example.com", password="x", services=Edit(remove=["imap"]))
    assert set(made.services) == usual - {"imap"}


class TestCatchAll:
    """Asked of iRedMail's own searches: an alias that has no member leaves its mail to nobody."""

    @pytest.fixture
    def maps(self, rig: LdapRig, workdir: Path) -> LdapMaps:
        return LdapMaps(workdir, reader_of(rig.server))

    @pytest.mark.parametrize("way", ["deleted", "removed", "made", "catch-all later"])
    def test_aliases_without_members(self, store: IRedMailDirectory, maps: LdapMaps, way: str) -> None:
        if way != "catch-all later":
            store.domains.update("example.com", catch_all=[ZOE])
        store.accounts.create("kim@example.com", password="x")
        store.aliases.create("board@example.com", members=[] if way == "made" else ["kim@example.com"])
        if way == "deleted":
            store.accounts.delete("kim@example.com")
        else:
            store.aliases.update("board@example.com", members=[])
        store.domains.update("example.com", catch_all=[ZOE])
        assert maps.destinations("nobody@example.com") == {ZOE}
        for address in ("board@example.com", "board@example.net"):
            assert maps.destinations(address) == {"board@example.com"}
        assert store.aliases.get("board@example.com").members == ()
        store.aliases.rename("board@example.com", "crowd@example.com")
        assert maps.destinations("crowd@example.com") == {"crowd@example.com"}
        store.aliases.add_members("crowd@example.com", [BOB])
        assert maps.destinations("crowd@example.com") == {BOB}
