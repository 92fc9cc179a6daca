"""A domain of atmail gets another name, with accounts, aliases and all that leads to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

READY = hash_password("x", "SSHA256")
OLD, NEW, ALSO, ELSE = "before.test", "after.example", "also.test", "else.test"


@pytest.fixture
def people(store: AtmailStore) -> AtmailStore:
    store.domains.create(OLD)
    store.domains.add_alias_domains(OLD, [ALSO])
    store.domains.create(ELSE)
    for name in ("bob", "kim"):
        store.accounts.create(f"{name}@{OLD}", password_hash=READY)
    store.accounts.update(f"bob@{OLD}", aliases=[f"robert@{OLD}"], forwarding=[f"kim@{OLD}", "x@far.test"])
    store.accounts.create(f"eve@{ELSE}", password_hash=READY, forwarding=[f"bob@{OLD}"])
    store.aliases.create(f"all@{OLD}", members=[f"bob@{OLD}", f"eve@{ELSE}"])
    store.aliases.create(f"board@{ELSE}", members=[f"bob@{OLD}", f"all@{OLD}", f"all@{NEW}"])
    return store


def mentions(rig: AtmailRig, name: str) -> list[str]:
    return [table for table in ("domains", "accounts", "aliases") if name in str(rig.rows(table)).lower()]


def test_everything_follows(people: AtmailStore, rig: AtmailRig) -> None:
    homes = dict(people.accounts.homes())
    domain = people.domains.rename(OLD, NEW)
    assert (domain.domain, domain.alias_domains) == (NEW, (ALSO,))
    assert dict(people.accounts.homes()) == {name.replace(OLD, NEW): home for name, home in homes.items()}
    bob = people.accounts.get(f"bob@{NEW}")
    assert (bob.aliases, bob.forwarding) == ((f"robert@{NEW}",), (f"kim@{NEW}", "x@far.test"))
    assert people.accounts.get(f"eve@{ELSE}").forwarding == (f"bob@{NEW}",)
    assert people.aliases.get(f"all@{NEW}").members == (f"bob@{NEW}", f"eve@{ELSE}")
    assert people.aliases.get(f"board@{ELSE}").members == (f"all@{NEW}", f"bob@{NEW}")
    assert "aliases" not in mentions(rig, OLD)
    assert not people.domains.exists(OLD)
    assert [finding for finding in people.check() if finding.severity == "error"] == []


def test_the_old_name_stays_or_an_alias_domain_becomes_the_name(people: AtmailStore) -> None:
    with pytest.raises(AlreadyExists):
        people.domains.rename(OLD, ELSE)
    assert people.domains.rename(OLD, ALSO, keep_alias=True).alias_domains == (OLD,)
    assert people.accounts.get(f"bob@{ALSO}").aliases == (f"robert@{ALSO}",)


def test_an_account_keeps_its_old_address(people: AtmailStore) -> None:
    renamed = people.accounts.rename(f"bob@{OLD}", f"rob@{OLD}", keep_alias=True)
    assert renamed.aliases == (f"bob@{OLD}", f"robert@{OLD}")


def test_a_name_under_which_others_have_addresses_is_refused(people: AtmailStore, rig: AtmailRig) -> None:
    """Another tool left them behind; mail for Bob would go where Bob of the former domain had it."""
    rig.insert("aliases", AliasName=f"bob@{NEW}", AliasTo="spy@far.test", aliasType="Local")
    with pytest.raises(AlreadyExists):
        people.domains.rename(OLD, NEW)
    rig.execute("UPDATE aliases SET AliasName = 'bob@elsewhere.test' WHERE AliasTo = 'spy@far.test'")
    rig.execute("UPDATE accounts SET username = :name WHERE username = :old", name=f"bob@{NEW}", old=f"eve@{ELSE}")
    with pytest.raises(AlreadyExists, match="left over"):
        people.domains.rename(OLD, NEW)
    rig.clear()
