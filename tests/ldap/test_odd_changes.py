"""An account whose entry holds what nobody can read is changed, deleted and brought back like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest
from ldap3 import MODIFY_REPLACE

from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from tests.ldap.rig import LdapRig

ODD = "odd@example.com"
DN = f"mail={ODD},ou=Users,domainName=example.com,o=domains,dc=mailstore,dc=test"
VALUES = {
    "shadowLastChange": "99999999",
    "mailQuota": "9" * 30,
    "mailboxFolder": "../..",
    "mailboxFormat": "maildir:/",
    "allowNets": "everywhere",
    "senderRelayHost": "a b",
    "accountSetting": "no colon",
    "mailForwardingAddress": "no address",
    "userManager": "@",
    "preferredLanguage": "\u200b",
}


@pytest.mark.parametrize("attribute", sorted(VALUES))
def test_it_is_changed_deleted_and_restored(rigs: Callable[[str], StoreRig], attribute: str) -> None:
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create("example.com")
    made = store.accounts.create(ODD, password="x")
    with rig.server.connect() as client:
        assert client.modify(DN, {attribute: [(MODIFY_REPLACE, [VALUES[attribute].encode()])]})
    store.accounts.create("other@example.com", password="x", home=f"{rig.root}/chosen/by/hand")
    assert store.accounts.update(ODD, name="Odd", quota="1G", password="y").name == "Odd"
    renamed = store.accounts.rename(ODD, "odder@example.com")
    assert renamed.home == made.home
    record = store.accounts.delete("odder@example.com")
    assert record is not None
    assert store.deleted.restore(record.id).home == made.home
    assert store.accounts.update("odder@example.com", mailbox_folder="Maildir", mailbox_format="maildir").name == "Odd"


def test_a_home_that_means_nothing_is_kept_in_the_record(rigs: Callable[[str], StoreRig]) -> None:
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create("example.com")
    store.accounts.create(ODD, password="x")
    with rig.server.connect() as client:
        assert client.modify(DN, {"homeDirectory": [(MODIFY_REPLACE, [f"{rig.root}/x/../y/".encode()])]})
    store.accounts.create("other@example.com", password="x", home=f"{rig.root}/chosen/by/hand")
    record = store.accounts.delete(ODD)
    assert record is not None
    assert record.home == f"{rig.root}/y".lower()
