"""What another tool has recorded above or below the home that the layout gives a new account, without making it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import BulkRefused, HomeRefused, Store
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.sql.ledger import LedgerMailboxes
from tests.contract.hosting import credentials, host
from tests.contract.test_kept_mail import TODAY, record
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from tests.atmail.rig import AtmailRig
    from tests.ldap.rig import LdapRig
    from tests.rigs import Rig

BOB, EVE = "bob@example.com", "eve@example.com"
PLAIN: Any = {"layout": {"timestamp": False}}


@pytest.fixture(params=["sqlite", "postgresql", "ldap", "atmail"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    rig = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    host(rig.shared, "example.com", "other.com")
    return rig


def opened(rig: StoreRig) -> Store:
    """Open a store whose layout of homes is known beforehand."""
    return rig.open(**({"atmail": {"home_rule": "prefix"}} if rig.name == "atmail" else PLAIN))


def first_home(rig: StoreRig, address: str) -> str:
    local, _, domain = address.partition("@")
    below = "/".join(local[:3])
    return f"{rig.root}/{below}/{address}" if rig.name == "atmail" else f"{rig.root}/{domain}/{below}/{local}"


def move(rig: StoreRig, address: str, home: str) -> None:
    """Give an account another home, as another tool would."""
    if rig.name == "atmail":
        cast("AtmailRig", rig).execute(
            "UPDATE accounts SET homeDir = :home WHERE username = :who", home=home, who=address
        )
    elif isinstance(rig.shared, IRedMailDirectory):
        with cast("LdapRig", rig).server.connect() as connection:
            dn = rig.shared._context.places.account(address)
            connection.modify(dn, {"homeDirectory": [("MODIFY_REPLACE", [home])]})
    else:
        base, node = str(rig.root.parent), rig.root.name
        cast("Rig", rig).execute(
            "UPDATE mailbox SET storagebasedirectory = :base, storagenode = :node, maildir = :rest WHERE username = :who",
            base=base, node=node, rest=home.removeprefix(f"{base}/{node}/"), who=address,
        )  # fmt: skip


def test_no_home_by_the_layout_in_one_that_another_tool_recorded(rig: StoreRig) -> None:
    with opened(rig) as store:
        store.accounts.create("eve@other.com", **credentials(store))
        above = first_home(rig, BOB).rpartition("/")[0]
        move(rig, "eve@other.com", f"{above}/")
        with pytest.raises(HomeRefused, match=r"in the home of the account eve@other\.com"):
            store.accounts.create(BOB, **credentials(store))
        with pytest.raises((HomeRefused, BulkRefused), match=r"in the home of the account eve@other\.com"):
            store.accounts.create_many([{"address": BOB, **credentials(store)}])
        assert not store.accounts.exists(BOB)
        store.accounts.create(EVE, **credentials(store))


@pytest.mark.parametrize("rig", ["sqlite", "postgresql", "atmail"], indirect=True)
def test_a_home_by_the_layout_around_one_that_is_recorded_or_kept_gets_a_stamp(rig: StoreRig) -> None:
    with opened(rig) as store:
        store.accounts.create("eve@other.com", **credentials(store))
        move(rig, "eve@other.com", f"{first_home(rig, BOB)}/archive/")
        assert isinstance(store.deleted, LedgerMailboxes)
        record(store, "old@example.com", f"{first_home(rig, EVE)}//Archive/", TODAY)
        for address in (BOB, EVE):
            home = str(store.accounts.create(address, **credentials(store)).home)
            assert home.startswith(f"{first_home(rig, address)}-"), home


def test_check_names_what_is_kept_within_the_home_of_another(rig: StoreRig) -> None:
    store = rig.shared
    home = str(store.accounts.create(EVE, **credentials(store)).home)
    record(store, "old@example.com", f"{home}/archive", TODAY)
    found = [finding for finding in store.check() if finding.code == "home-nested"]
    assert [(finding.subject, finding.severity) for finding in found] == [("old@example.com", "notice")]
    assert EVE in found[0].message
