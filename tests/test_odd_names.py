"""What a store holds can be read, changed and removed, though it could not be created: rows by hand, by no rule of ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from ldap3 import MODIFY_REPLACE
from ldap3.utils.dn import escape_rdn
from sqlalchemy import make_url

from mailstore import Capability, Edit, InvalidAddress, NotFound
from mailstore.address import held_address, held_domain
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from tests.afterlogic.rig import Rig as AfterLogicRig
from tests.atmail.rig import AtmailRig
from tests.ldap.rig import LdapRig
from tests.mailinabox.rig import BoxRig
from tests.readers import dovecot_for
from tests.rigs import Rig
from tests.stores import StoreRig, empty_homes

HASH = hash_password("secret")
LONG = "x" * 70
LOCAL_PARTS = [
    "-lead",
    LONG,
    "a..b",
    "o'neil",
    "a+b",
    "a=b",
    "a/b",
    "r&d",
    "#lead",
    ".dot",
    "dot.",
    "a b",
    "müller",
    "Bob",
]
DOMAINS = ["example.com", "my_host.example", "localhost", "192.0.2.7", "bücher.example", "-x.example"]
ODD = [f"{local}@example.com" for local in LOCAL_PARTS] + [f"bob@{domain}" for domain in DOMAINS[1:]]


FEW = [f"{local}@example.com" for local in ("-lead", LONG, "a..b", "o'neil", "a+b", "a/b", "r&d", "#lead", "a b")]


@pytest.fixture(params=["sqlite", "mailinabox"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Iterator[StoreRig]:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    yield found
    found.clear()


def make_home(rig: StoreRig, home: str) -> None:
    path = Path(home)
    path.mkdir(parents=True, exist_ok=True)
    for made in (path, *path.parents):
        if made == rig.root:
            break
        os.chown(made, *rig.owner)


def make_domain(rig: StoreRig, domain: str) -> None:
    if not isinstance(rig, BoxRig) and not cast("Rig", rig).rows("domain", domain=domain):
        cast("Rig", rig).insert("domain", domain=domain)


def put_account(rig: StoreRig, address: str, home: str = "first") -> None:
    """Write an account as somebody with a client of the database would."""
    domain = address.rpartition("@")[2]
    if isinstance(rig, BoxRig):
        rig.insert("users", email=address, password=HASH)
        return
    make_domain(rig, domain)
    sql = cast("Rig", rig)
    home = {"storagebasedirectory": str(rig.root.parent), "storagenode": rig.root.name, "maildir": f"{home}/"}
    sql.insert("mailbox", username=address, password=HASH, domain=domain, **home)
    sql.insert("forwardings", address=address, forwarding=address, domain=domain, dest_domain=domain, is_forwarding=1)


def put_alias(rig: StoreRig, address: str, *members: str) -> None:
    domain = address.rpartition("@")[2]
    if isinstance(rig, BoxRig):
        rig.insert("aliases", source=address, destination=",".join(members))
        return
    make_domain(rig, domain)
    sql = cast("Rig", rig)
    sql.insert("alias", address=address, domain=domain)
    for member in members:
        sql.insert("forwardings", address=address, forwarding=member, domain=domain, is_list=1)


@pytest.mark.parametrize("address", ODD)
def test_an_account_that_could_not_be_created(rig: StoreRig, address: str) -> None:
    accounts, deleted = rig.shared.accounts, rig.shared.deleted
    assert not accounts.exists(address)
    with pytest.raises(NotFound):
        accounts.get(address)
    put_account(rig, address)
    assert [account.address for account in accounts.list()] == [address]
    assert accounts.exists(address)
    assert accounts.get(address).address == address
    assert accounts.verify_password(address, "secret", rehash=True)
    assert accounts.update(address, quota="1G", password="other").address == address
    assert accounts.verify_password(address, "other")
    assert str(accounts.get(address).quota) == "1G"
    list(rig.shared.check())
    accounts.delete(address, keep_mailbox_days=3)
    assert not accounts.exists(address)
    (record,) = (found for found in deleted.list(address=address) if found.id)
    assert record.address == address
    deleted.reschedule(record.id, keep_mailbox_days=9)
    make_home(rig, record.home)
    assert deleted.restore(record.id).address == address
    assert accounts.verify_password(address, "other")
    if not isinstance(rig, BoxRig):
        make_domain(rig, "example.com")
        accounts.rename(address, "good@example.com")
        assert accounts.get("good@example.com").home == record.home
        assert not rig.rows("forwardings", address=address)
        assert not accounts.exists(address)
        put_account(rig, address, "second")
    accounts.delete(address, keep_mailbox_days=0)
    for _ in purge_due(rig.shared):
        pass
    assert not [found for found in deleted.list(address=address) if found.id]


@pytest.mark.parametrize("address", ODD)
def test_an_alias_that_could_not_be_created(rig: StoreRig, address: str) -> None:
    aliases = rig.shared.aliases
    assert not aliases.exists(address)
    put_alias(rig, address, "odd name@elsewhere", "x@ext.org", "-y@ext.org")
    assert [alias.address for alias in aliases.list()] == [address]
    assert aliases.get(address).address == address
    kept = aliases.update(address, members=Edit(add=["new@ext.org"], remove=["odd name@elsewhere"])).members
    assert kept == ("-y@ext.org", "new@ext.org", "x@ext.org")
    assert aliases.update(address, members=Edit(remove=["-y@ext.org"])).members == ("new@ext.org", "x@ext.org")
    put_account(rig, "ann@example.com")
    aliases.rename(address, "good@example.com")
    assert aliases.get("good@example.com").members == ("new@ext.org", "x@ext.org")
    put_alias(rig, address, "x@ext.org")
    aliases.delete(address)
    assert not aliases.exists(address)
    assert isinstance(rig, BoxRig) or not cast("Rig", rig).rows("forwardings", address=address)


@pytest.mark.parametrize("domain", [*DOMAINS[1:], "Capital.Example"])
def test_a_domain_that_could_not_be_created(domain: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = cast("Rig", rigs("sqlite"))
    rig.clear()
    empty_homes(rig)
    store, bob = rig.shared, f"bob@{domain}"
    put_account(rig, bob, "bob")
    rig.insert("alias_domain", alias_domain=f"odd_{domain}", target_domain=domain)
    assert [found.domain for found in store.domains.list()] == [domain]
    assert store.domains.update(domain, name="Odd", max_accounts=9, catch_all=["x@ext.org"]).name == "Odd"
    store.domains.add_alias_domains(domain, ["alias.example"])
    store.domains.remove_alias_domains(domain, [f"odd_{domain}"])
    assert store.domains.get(domain).alias_domains == ("alias.example",)
    store.admins.create("boss@admins.org", password="secret", domains=[domain])
    assert store.acting_as("boss@admins.org").domains.get(domain).admins == ("boss@admins.org",)
    store.admins.remove_from_domain(domain, ["boss@admins.org"])
    store.admins.add_to_domain(domain, ["boss@admins.org"])
    assert [admin.address for admin in store.admins.list(domain=domain)] == ["boss@admins.org"]
    store.domains.delete(domain, keep_mailbox_days=3)
    assert not store.domains.exists(domain)
    (record,) = store.deleted.domains(domain=domain)
    assert record.domain == domain
    make_home(rig, next(iter(store.deleted.list(domain=domain))).home)
    assert store.deleted.restore_domain(domain).alias_domains == ("alias.example",)
    assert store.accounts.verify_password(bob, "secret")
    rig.clear()


def misspell(rig: StoreRig, old: str, new: str) -> None:
    """Give an account that could be created another address, as somebody with a client of the database would."""
    if isinstance(rig, LdapRig):
        users = f"ou=Users,domainName=example.com,o=domains,{rig.server.suffix}"
        with rig.server.connect() as connection:
            assert connection.modify_dn(f"mail={old},{users}", f"mail={escape_rdn(new)}")
            changes = {"mailForwardingAddress": [(MODIFY_REPLACE, [new])]}
            assert connection.modify(f"mail={escape_rdn(new)},{users}", changes)
    elif isinstance(rig, AtmailRig):
        rig.execute("UPDATE accounts SET username = :new WHERE username = :old", old=old, new=new)
    elif isinstance(rig, AfterLogicRig):
        rig.execute("UPDATE awm_accounts SET email = :new, mail_inc_login = :new WHERE email = :old", old=old, new=new)
        rig.execute("UPDATE awm_addr_book SET b_email = :new WHERE b_email = :old", old=old, new=new)
    else:
        for table, column in (("mailbox", "username"), ("forwardings", "address"), ("forwardings", "forwarding")):
            statement = f"UPDATE {table} SET {column} = :new WHERE {column} = :old"  # noqa: S608
            cast("Rig", rig).execute(statement, old=old, new=new)


@pytest.mark.parametrize("name", ["mysql", "postgresql", "ldap", "atmail", "afterlogic-sqlite"])
def test_accounts_of_other_stores(name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = rigs(name)
    rig.clear()
    empty_homes(rig)
    accounts, deleted = rig.shared.accounts, rig.shared.deleted
    rig.shared.domains.create("example.com")
    for address in FEW:
        accounts.create("tmp@example.com", password="secret")
        misspell(rig, "tmp@example.com", address)
        assert [account.address for account in accounts.list()] == [address]
        assert accounts.exists(address)
        assert accounts.get(address).address == address
        assert accounts.verify_password(address, "secret")
        assert accounts.update(address, quota="1G").address == address
        list(rig.shared.check())
        accounts.delete(address, keep_mailbox_days=3)
        assert not accounts.exists(address)
        for record in deleted.list(address=address):
            make_home(rig, record.home)
            assert deleted.restore(record.id).address == address
        if accounts.exists(address) and Capability.RENAMING in rig.shared.capabilities:
            accounts.rename(address, "good@example.com")
            accounts.delete("good@example.com", keep_mailbox_days=0)
        elif accounts.exists(address):
            accounts.delete(address, keep_mailbox_days=0)
        assert not list(accounts.list())
    rig.clear()


@pytest.mark.parametrize(
    "text", ["", "x", "@", "a@", "@b.org", "a\x00@b.org", "a\n@b.org", "a@b\udc80.org", "x" * 600 + "@b.org"]
)
def test_what_no_store_can_hold(text: str) -> None:
    with pytest.raises(InvalidAddress):
        held_address(text)


def test_names_are_folded_as_readers_do() -> None:
    assert held_address("Bob@Bücher.Example") == "bob@xn--bcher-kva.example"
    assert held_address("MÜLLER@My_Host") == "müller@my_host"
    assert held_domain("My_Host") == "my_host"
    for address in ODD[:-1]:
        assert held_address(held_address(address)) == held_address(address)


def test_what_dovecot_serves(rigs: Callable[[str], StoreRig], workdir: Path, vmail_owner: tuple[int, int]) -> None:
    """New accounts get only names that it knows as users; what others wrote is reported."""
    rig = cast("Rig", rigs("sqlite"))
    rig.clear()
    empty_homes(rig)
    odd = [f"a{character}x@example.com" for character in "&#+='/ "]
    make_domain(rig, "example.com")
    for address in ("a.b_c-d@example.com", *odd):
        put_account(rig, address)
    schema = rig.shared._context.schema
    with dovecot_for(workdir, make_url(rig.native), schema, vmail_owner) as dovecot:
        assert dovecot.user("a.b_c-d@example.com") is not None
        for address in odd:
            assert dovecot.user(address) is None
            with pytest.raises(InvalidAddress):
                rig.shared.accounts.create(address.replace("x@", "y@"), password="x")
    found = {finding.subject for finding in rig.shared.check() if finding.code == "not-served"}
    assert found == set(odd)
    rig.shared.aliases.create("r&d@example.com", members=["a.b_c-d@example.com"])  # Postfix serves that
    rig.clear()
