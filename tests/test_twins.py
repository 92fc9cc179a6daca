"""One address in two spellings, which tables that tell capitals apart can hold: nobody's rows go with the other's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import InvalidAddress
from tests.stores import StoreRig, empty_homes
from tests.test_odd_names import put_account, put_alias

if TYPE_CHECKING:
    from tests.rigs import Rig


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mailinabox"])
def test_twins(name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig: Any = rigs(name)
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    for number, address in enumerate(("Bob@example.com", "bob@example.com")):
        put_account(rig, address, f"home-{number}")
    for address in ("Sales@example.com", "sales@example.com"):
        put_alias(rig, address, "bob@example.com", "x@ext.org")
    assert [account.address for account in store.accounts.list()] == ["Bob@example.com", "bob@example.com"]
    for address in ("Bob@example.com", "bob@example.com"):
        assert store.accounts.get(address).address == address
    assert store.accounts.get("BOB@example.com").address == "bob@example.com"
    before = rig.everything()
    calls: list[Callable[[], object]] = [
        lambda: store.accounts.delete("Bob@example.com"),
        lambda: store.aliases.delete("Sales@example.com"),
        lambda: store.aliases.rename("Sales@example.com", "new@example.com"),
    ]
    if name != "mailinabox":
        calls.append(lambda: store.accounts.rename("Bob@example.com", "new@example.com"))
    for call in calls:
        with pytest.raises(InvalidAddress, match="is there too"):
            call()
    assert rig.everything() == before
    found = {finding.subject for finding in store.check() if finding.code == "two-holders"}
    assert {"Bob@example.com", "Sales@example.com"} <= found
    if name == "mailinabox":
        rig.execute("UPDATE users SET email = 'other@example.com' WHERE email = 'Bob@example.com'")
    else:
        cast("Rig", rig).execute("UPDATE mailbox SET username = 'other@example.com' WHERE username = 'Bob@example.com'")
    store.accounts.delete("other@example.com")
    assert store.accounts.get("bob@example.com").address == "bob@example.com"
    assert "bob@example.com" in store.aliases.get("sales@example.com").members
    rig.clear()


@pytest.mark.parametrize("call", ["delete", "rename"])
@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_what_the_one_with_capitals_has_stays_its_own(name: str, call: str, rigs: Callable[[str], StoreRig]) -> None:
    """Somebody sets it right with a client of the database some day, and then it is served."""
    rig = cast("Rig", rigs(name))
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    twin, address = "Bob@example.com", "bob@example.com"
    for number, spelling in enumerate((twin, address)):
        put_account(rig, spelling, f"home-{number}")
    rig.insert("forwardings", address=twin, forwarding="far@x.org", domain="example.com", is_forwarding=1)
    rig.insert("used_quota", username=twin, bytes=5, messages=1, domain="example.com")
    tables = {"mailbox": "username", "forwardings": "address", "used_quota": "username"}
    before = {table: rig.rows(table, **{column: twin}) for table, column in tables.items()}
    assert all(before.values())
    if call == "delete":
        store.accounts.delete(address)
    else:
        store.accounts.rename(address, "robert@example.com")
    assert {table: rig.rows(table, **{column: twin}) for table, column in tables.items()} == before
    assert ("upper-case", twin) in {(finding.code, finding.subject) for finding in store.check()}
    rig.clear()


@pytest.mark.parametrize("name", ["afterlogic-sqlite", "afterlogic-postgresql"])
def test_a_name_means_the_account_that_the_product_finds(name: str, rigs: Callable[[str], StoreRig]) -> None:
    """It keeps capitals, does not find them there, and makes another account at the next login."""
    rig: Any = rigs(name)
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create("example.com")
    store.accounts.create("former@example.com", password="secret-1")
    rig.execute("UPDATE awm_accounts SET email = 'Bob@example.com'")
    store.accounts.create("later@example.com", password="secret-1")
    rig.execute("UPDATE awm_accounts SET email = 'bob@example.com' WHERE email LIKE 'later@%'")
    store.accounts.update("bob@example.com", quota="5M")
    assert store.accounts.get("bob@example.com").quota.bytes == 5 * 2**20
    assert {row["email"]: row["quota"] for row in rig.rows("awm_accounts")}["bob@example.com"] == 5 * 1024
    assert "address-twice" in {finding.code for finding in store.check()}
    store.accounts.delete("bob@example.com")
    assert [row["email"] for row in rig.rows("awm_accounts")] == ["Bob@example.com"]
    rig.clear()
