"""Names in sets that other tools wrote by other rules: they are repeated, kept and removed, and never brought in anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from ldap3 import MODIFY_ADD, MODIFY_REPLACE

from mailstore import Capability, Edit, InvalidAddress
from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from tests.atmail.rig import AtmailRig
    from tests.ldap.rig import LdapRig
    from tests.mailinabox.rig import BoxRig
    from tests.rigs import Rig

ODD = (
    "-lead@ext.org",
    f"{'x' * 70}@ext.org",
    "a..b@ext.org",
    "a b@ext.org",
    "bob@localhost",
    "bob@192.0.2.7",
    "müller@x.org",
)
"""They can be in nobody's set by our rules, but are in some."""
ASCII = ODD[:-1]
"""A directory's addresses hold nothing else."""
NEW = "new@ext.org"
DN = "ou={0},domainName=example.com,o=domains,{1}"


@pytest.fixture(params=["sqlite", "postgresql", "ldap", "mailinabox", "atmail"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    host(found.shared, "example.com")
    return found


def _set(rig: LdapRig, dn: str, **values: Any) -> None:
    with rig.server.connect() as connection:
        dn = f"mail={dn[0]},{DN.format(dn[1], rig.server.suffix)}"
        assert connection.modify(dn, {name: [(MODIFY_REPLACE, value)] for name, value in values.items()}), (
            connection.result
        )


def put_members(rig: StoreRig, address: str) -> None:
    """Give an alias these members as another tool would."""
    if rig.name == "ldap":
        _set(cast("LdapRig", rig), (address, "Aliases"), mailForwardingAddress=[*ASCII, "fine@ext.org"])
    elif rig.name == "mailinabox":
        members = ",".join([*ODD, "fine@ext.org"])
        cast("BoxRig", rig).execute("UPDATE aliases SET destination = ? WHERE source = ?", members, address)
    elif rig.name == "atmail":
        for name in ODD:
            values = {"AliasName": address, "AliasTo": name, "aliasType": "Local"}
            cast("AtmailRig", rig).insert("aliases", **values)
    else:
        for name in ODD:
            values = {"domain": "example.com", "dest_domain": name.rpartition("@")[2], "is_list": 1}
            cast("Rig", rig).insert("forwardings", address=address, forwarding=name, **values)


def exercise(read: Callable[[], tuple[str, ...]], write: Callable[[Any], Any]) -> None:
    """Do with a set what callers do."""
    before = read()
    assert set(ASCII) <= set(before)
    write([*before, NEW])
    assert set(read()) == {*before, NEW}
    write(Edit(remove=[NEW]))
    assert set(read()) == set(before)
    write([*before[1:], "fine2@ext.org"])
    assert set(read()) == {*before[1:], "fine2@ext.org"}
    with pytest.raises(InvalidAddress):
        write([*read(), "b..c@ext.org"])
    with pytest.raises(InvalidAddress):
        write(Edit(add=["b..c@ext.org"]))
    write([*read()])
    for name in set(before) & set(ODD):
        write(Edit(remove=[name]))
        assert name not in read()
    assert "fine2@ext.org" in read()


def test_members_of_an_alias(rig: StoreRig) -> None:
    aliases = rig.shared.aliases
    aliases.create("all@example.com", members=["fine@ext.org"])
    put_members(rig, "all@example.com")
    exercise(
        lambda: aliases.get("all@example.com").members, lambda names: aliases.update("all@example.com", members=names)
    )
    with pytest.raises(InvalidAddress):
        aliases.create("other@example.com", members=[ODD[2]])


def test_destinations_of_an_account(rig: StoreRig) -> None:
    if Capability.ACCOUNT_PROFILE not in rig.shared.capabilities and rig.name != "atmail":
        pytest.skip(f"{rig.name} has no forwarding of accounts")
    accounts, ann = rig.shared.accounts, "ann@example.com"
    accounts.create(ann, password="secret-1", forwarding=["fine@ext.org"], keep_copy=True)
    put_destinations(rig, ann)
    exercise(lambda: accounts.get(ann).forwarding, lambda names: accounts.update(ann, forwarding=names))
    with pytest.raises(InvalidAddress):
        accounts.create("eve@example.com", password="secret-1", forwarding=[ODD[2]])
    assert not accounts.exists("eve@example.com")


def put_destinations(rig: StoreRig, address: str) -> None:
    if rig.name == "ldap":
        _set(cast("LdapRig", rig), (address, "Users"), mailForwardingAddress=[address, *ASCII, "fine@ext.org"])
    elif rig.name == "atmail":
        for name in ODD:
            cast("AtmailRig", rig).insert("aliases", AliasName=address, AliasTo=name, aliasType="Deliver")
    else:
        for name in ODD:
            values = {"domain": "example.com", "dest_domain": name.rpartition("@")[2], "is_forwarding": 1}
            cast("Rig", rig).insert("forwardings", address=address, forwarding=name, **values)


def test_moderators_and_catch_alls(rig: StoreRig) -> None:
    store = rig.shared
    if Capability.DOMAIN_PROFILE not in store.capabilities:
        pytest.skip(f"{rig.name} has no domain profiles")
    store.domains.update("example.com", catch_all=["fine@ext.org"])
    store.aliases.create("all@example.com", members=["fine@ext.org"], moderators=["fine@ext.org"])
    if rig.name == "ldap":
        ldap = cast("LdapRig", rig)
        _set(ldap, ("@example.com", "Users"), mailForwardingAddress=[*ASCII, "fine@ext.org"])
        _set(ldap, ("all@example.com", "Aliases"), listModerator=[*ASCII, "*@my_host"])
    else:
        for name in ODD:
            sql, domains = cast("Rig", rig), {"domain": "example.com", "dest_domain": name.rpartition("@")[2]}
            sql.insert("forwardings", address="example.com", forwarding=name, **domains)
            sql.insert("moderators", address="all@example.com", moderator=name, **domains)
        sql.insert("moderators", address="all@example.com", moderator="*@my_host", domain="example.com")
    exercise(
        lambda: store.domains.get("example.com").catch_all,
        lambda names: store.domains.update("example.com", catch_all=names),
    )
    exercise(
        lambda: store.aliases.get("all@example.com").moderators,
        lambda names: store.aliases.update("all@example.com", moderators=names),
    )
    store.aliases.update("all@example.com", moderators=Edit(remove=["*@my_host"]))
    assert "*@my_host" not in store.aliases.get("all@example.com").moderators


@pytest.mark.parametrize("rigs_name", ["ldap"])
def test_members_and_owners_of_a_list(rigs_name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = cast("LdapRig", rigs(rigs_name))
    rig.clear()
    host(rig.shared, "example.com")
    lists = rig.shared.lists
    lists.create("team@example.com", members=["fine@ext.org"], owners=["fine@ext.org"], moderators=["fine@ext.org"])
    _set(
        rig,
        ("team@example.com", "Groups"),
        listOwner=[*ASCII],
        listModerator=[*ASCII],
        listAllowedUser=[*ASCII, "x@ext.org"],
    )
    with rig.server.connect() as connection:
        connection.search(
            f"domainName=example.com,o=domains,{rig.server.suffix}",
            "(objectClass=mailExternalUser)",
            attributes=["mail"],
        )
        (external,) = connection.response
        assert connection.modify(external["dn"], {"mail": [(MODIFY_ADD, [*ASCII])]}), connection.result
    for field in ("owners", "moderators", "members"):
        exercise(
            lambda field=field: getattr(lists.get("team@example.com"), field),
            lambda names, field=field: lists.update("team@example.com", **{field: names}),
        )
