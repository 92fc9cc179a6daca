"""The panel's numbers in a domain's entry: right after bulk calls, and set right where other tools left them wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest
from ldap3 import MODIFY_REPLACE

from mailstore.errors import BulkRefused
from tests.stores import StoreRig, empty_homes
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from tests.ldap.rig import LdapRig

DOMAIN = "domainName={},o=domains,dc=mailstore,dc=test"


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    found = cast("LdapRig", rigs("ldap"))
    found.clear()
    empty_homes(found)
    for name in ("example.com", "example.org"):
        found.shared.domains.create(name)
    return found


def kept(rig: LdapRig, domain: str = "example.com") -> tuple[str, str, str]:
    names = [f"domainCurrent{kind}Number" for kind in ("User", "Alias", "List")]
    with rig.server.connect() as client:
        assert client.search(DOMAIN.format(domain), "(objectClass=*)", "BASE", attributes=names)
        found = client.response[0]["raw_attributes"]
    users, aliases, lists = (found[name][0].decode() for name in names)
    return users, aliases, lists


def rows(*addresses: str) -> list[dict[str, str]]:
    return [{"address": address, "password": "x"} for address in addresses]


def test_bulk_creation_counts_every_account(rig: LdapRig) -> None:
    store = rig.shared
    store.accounts.create_many(rows("a@example.com", "b@example.com", "c@example.org", "d@example.com"))
    assert (kept(rig)[0], kept(rig, "example.org")[0]) == ("3", "1")
    with pytest.raises(BulkRefused):
        store.accounts.create_many(rows("e@example.com", "a@example.com"))
    assert kept(rig)[0] == "3"
    store.accounts.delete("a@example.com")
    store.accounts.rename("b@example.com", "b@example.org")
    assert (kept(rig)[0], kept(rig, "example.org")[0]) == ("1", "2")


def test_counters_of_other_tools_are_set_right(rig: LdapRig) -> None:
    rig.shared.accounts.create("a@example.com", password="x")
    rig.shared.domains.update("example.com", catch_all=["a@example.com"])
    rig.shared.aliases.create("all@example.com", members=["a@example.com"])
    wrong = {"domainCurrentUserNumber": "7", "domainCurrentAliasNumber": "0", "domainCurrentListNumber": "-2"}
    with rig.server.connect() as client:
        changes = {name: [(MODIFY_REPLACE, [value])] for name, value in wrong.items()}
        assert client.modify(DOMAIN.format("example.com"), changes)
    assert {finding.code for finding in rig.shared.check()} >= {"wrong-counter"}
    result = run("--url", rig.cli_url, "check", "--repair-counters")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("3 counters")
    assert kept(rig) == ("1", "1", "0")
    assert rig.shared.repair_counters() == 0
