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
