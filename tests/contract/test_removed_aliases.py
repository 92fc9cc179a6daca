"""An alias that is taken from an account leaves nothing that leads to it, for whoever has the name next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

BOB, ALIAS, EVE = "bob@example.com", "b@example.com", "eve@example.com"


def emptied(rigs: Callable[[str], StoreRig], name: str) -> Any:
    rig = rigs(name)
    rig.clear()
    empty_homes(rig)
    rig.shared.domains.create("example.com")
    rig.shared.accounts.create(BOB, password="secret", aliases=[ALIAS, "c@example.com"])
    rig.shared.accounts.create(EVE, password="secret")
    return rig


@pytest.mark.parametrize("name", ["sqlite", "mysql", "ldap", "atmail"])
def test_nothing_leads_to_it(rigs: Callable[[str], StoreRig], name: str) -> None:
    store = emptied(rigs, name).shared
    store.domains.add_alias_domains("example.com", ["alias.example"])
    store.aliases.create("board@example.com", members=[ALIAS, "b@alias.example", "c@example.com", "x@other.org"])
    store.accounts.update(EVE, forwarding=[ALIAS, "x@other.org"], keep_copy=False)
    store.accounts.remove_aliases(BOB, [ALIAS])
    assert set(store.aliases.get("board@example.com").members) == {"c@example.com", "x@other.org"}
    assert store.accounts.get(EVE).forwarding == ("x@other.org",)
    assert store.accounts.get(BOB).aliases == ("c@example.com",)
    store.accounts.update(BOB, aliases=[])
    assert store.aliases.get("board@example.com").members == ("x@other.org",)
    assert [finding for finding in store.check() if finding.severity == "error"] == []


@pytest.mark.parametrize("name", ["afterlogic-sqlite", "afterlogic-mysql", "afterlogic-postgresql"])
def test_nothing_leads_to_it_in_a_webmail(rigs: Callable[[str], StoreRig], name: str) -> None:
    rig = emptied(rigs, name)
    store, eve = rig.shared, rig.row("awm_accounts", email=EVE)
    domain = rig.row("awm_domains")["id_domain"]
    made = rig.insert("awm_accounts", id_domain=domain, def_acct=1, mailing_list=1, email="all@example.com")
    for member in (ALIAS, "c@example.com", "nobody@example.com"):
        rig.insert("awm_mailinglists", id_acct=made, list_name="all@example.com", list_to=member)
    rig.insert(
        "awm_mailforwards", id_acct=eve["id_acct"], forward_name="eve", forward_domain="example.com", forward_to=ALIAS
    )
    found = {(finding.code, finding.subject) for finding in store.check()} - {("home-missing", BOB)}
    assert ("leads-nowhere", "all@example.com") in found
    store.accounts.remove_aliases(BOB, [ALIAS])
    assert {row["list_to"] for row in rig.rows("awm_mailinglists")} == {"c@example.com", "nobody@example.com"}
    assert rig.rows("awm_mailforwards") == []
    rig.insert("awm_mailinglists", id_acct=99_999, list_name="old@example.com", list_to=BOB)
    left = [finding for finding in store.check() if finding.code == "left-over"]
    assert [(finding.subject, BOB in finding.message) for finding in left] == [("old@example.com", True)]
    rig.clear()
