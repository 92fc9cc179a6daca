"""Admins, aliases and lists that could not be created: other tools made them, and each of our operations works on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from ldap3 import MODIFY_REPLACE
from ldap3.utils.dn import escape_rdn

from mailstore import Edit
from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes
from tests.test_odd_names import FEW, make_home, misspell, put_account

if TYPE_CHECKING:
    from tests.atmail.rig import AtmailRig
    from tests.ldap.rig import LdapRig
    from tests.rigs import Rig

HOLDERS = [*FEW, "Capital@example.com"]
ADMINS = ["-lead@far.org", f"{'x' * 70}@far.org", "a..b@far.org", "a b@far.org", "o'neil@far.org", "boss@localhost",
          "boss@192.0.2.7", "Capital@far.org", "boss@my_host.org"]  # fmt: skip


def opened(rigs: Callable[[str], StoreRig], name: str) -> Any:
    rig = rigs(name)
    rig.clear()
    empty_homes(rig)
    host(rig.shared, "example.com")
    return rig


def rename_entry(rig: LdapRig, unit: str, old: str, new: str, **values: Any) -> None:
    """Give an entry another name, as somebody with a client of the directory would."""
    place = unit if unit.startswith("o=") else f"ou={unit},domainName=example.com,o=domains"
    dn = f"mail={escape_rdn(new)},{place},{rig.server.suffix}"
    with rig.server.connect() as connection:
        assert connection.modify_dn(f"mail={old},{place},{rig.server.suffix}", f"mail={escape_rdn(new)}")
        assert not values or connection.modify(dn, {key: [(MODIFY_REPLACE, some)] for key, some in values.items()})


def misname_admin(rig: StoreRig, old: str, new: str) -> None:
    if rig.name == "ldap":
        rename_entry(cast("LdapRig", rig), "o=domainAdmins", old, new)
        with cast("LdapRig", rig).server.connect() as connection:
            dn = f"domainName=example.com,o=domains,{cast('LdapRig', rig).server.suffix}"
            assert connection.modify(dn, {"domainAdmin": [(MODIFY_REPLACE, [new])]})
    elif rig.name == "atmail":
        cast("AtmailRig", rig).execute("UPDATE users SET username = :new WHERE username = :old", old=old, new=new)
    else:
        for table in ("admin", "domain_admins"):
            statement = f"UPDATE {table} SET username = :new WHERE username = :old"  # noqa: S608
            cast("Rig", rig).execute(statement, old=old, new=new)


@pytest.mark.parametrize("name", ["sqlite", "ldap", "atmail"])
def test_admins(name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = opened(rigs, name)
    store, admins = rig.shared, rig.shared.admins
    admins.create("first@admins.net", password="secret-1", global_admin=True)
    for odd in ADMINS:
        admins.create("tmp@far.org", password="secret-1", domains=["example.com"])
        misname_admin(rig, "tmp@far.org", odd)
        (address,) = {admin.address for admin in admins.list()} - {"first@admins.net"}
        assert address.lower() == odd.lower()
        for named in (odd, address):
            assert admins.exists(named), named
            assert admins.get(named).domains == ("example.com",), named
            assert admins.verify_password(named, "secret-1"), named
            assert store.acting_as(named).domains.get("example.com").domain == "example.com"
        assert admins.password_hash(address)
        logged_in = admins.login(address, "secret-1")
        assert logged_in is not None
        assert logged_in.address == address
        assert admins.update(address, name="Odd", password="secret-2").name == "Odd"
        assert admins.verify_password(address, "secret-2")
        admins.remove_from_domain("example.com", [address])
        assert admins.get(address).domains == ()
        admins.add_to_domain("example.com", [address])
        assert [admin.address for admin in admins.list(domain="example.com") if not admin.global_admin] == [address]
        assert admins.update(address, domains=Edit(remove=["example.com"])).domains == ()
        list(store.check())
        admins.delete(odd)
        assert not admins.exists(address)
        assert [admin.address for admin in admins.list()] == ["first@admins.net"]


@pytest.mark.parametrize("name", ["postgresql", "ldap", "atmail"])
def test_aliases(name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = opened(rigs, name)
    store, aliases = rig.shared, rig.shared.aliases
    for odd in HOLDERS:
        aliases.create("tmp@example.com", members=["x@far.org"])
        if name == "ldap":
            rename_entry(rig, "Aliases", "tmp@example.com", odd)
        elif name == "atmail":
            rig.execute("UPDATE aliases SET AliasName = :new", new=odd)
        else:
            rig.execute("UPDATE alias SET address = :new", new=odd)
            rig.execute("UPDATE forwardings SET address = :new", new=odd)
        (address,) = (alias.address for alias in aliases.list())
        assert address.lower() == odd.lower()
        assert aliases.exists(odd)
        assert aliases.exists(address)
        assert aliases.get(odd).members == ("x@far.org",)
        assert aliases.update(address, members=Edit(add=["y@far.org"])).members == ("x@far.org", "y@far.org")
        list(store.check())
        aliases.rename(odd, "good@example.com")
        assert not aliases.exists(odd)
        assert aliases.get("good@example.com").members == ("x@far.org", "y@far.org")
        aliases.delete("good@example.com")
        assert not list(aliases.list())


def test_lists(rigs: Callable[[str], StoreRig]) -> None:
    rig = opened(rigs, "ldap")
    store, lists = rig.shared, rig.shared.lists
    store.accounts.create("ann@example.com", password="secret-1")
    for odd in HOLDERS:
        lists.create("tmp@example.com", members=["x@far.org"])
        rename_entry(rig, "Groups", "tmp@example.com", odd)
        with rig.server.connect() as connection:
            base = f"ou=Externals,domainName=example.com,o=domains,{rig.server.suffix}"
            old = f"memberOfGroup=tmp@example.com,{base}"
            assert connection.modify_dn(old, f"memberOfGroup={escape_rdn(odd)}"), connection.result
        (address,) = (found.address for found in lists.list())
        assert lists.exists(odd)
        assert lists.get(odd).members == ("x@far.org",)
        assert lists.update(odd, members=Edit(add=["ann@example.com"]), name="Odd").members == (
            "ann@example.com",
            "x@far.org",
        )
        assert lists.update(address, owners=["ann@example.com"]).owners == ("ann@example.com",)
        list(store.check())
        lists.rename(odd, "good@example.com")
        assert lists.get("good@example.com").members == ("ann@example.com", "x@far.org")
        lists.delete("good@example.com")
        assert not list(lists.list())


@pytest.mark.parametrize("name", ["sqlite", "ldap", "mailinabox", "atmail", "afterlogic-sqlite"])
def test_a_record_without_what_was_kept(name: str, rigs: Callable[[str], StoreRig]) -> None:
    """Only where the mail lies is known, and the address could not be created: a password brings the account back."""
    rig = opened(rigs, name)
    store = rig.shared
    for odd in FEW:
        if name in ("sqlite", "mailinabox"):
            put_account(rig, odd)
        else:
            store.accounts.create("tmp@example.com", password="secret-1")
            misspell(rig, "tmp@example.com", odd)
        store.accounts.delete(odd, keep_mailbox_days=9)
        records = list(store.deleted.list(address=odd))
        if not records:
            continue
        ledger = store.deleted._ledger
        with ledger.db.writing() as tx:
            if ledger.beside is not None:
                tx.execute(ledger.beside.delete())
        (record,) = store.deleted.list(address=odd)
        assert not record.restorable
        make_home(rig, record.home)
        restored = store.deleted.restore(record.id, password="secret-2")
        assert restored.address == odd
        assert store.accounts.verify_password(odd, "secret-2")
        store.accounts.delete(odd, keep_mailbox_days=0)
        with ledger.db.writing() as tx:
            tx.execute(ledger.records.delete())
