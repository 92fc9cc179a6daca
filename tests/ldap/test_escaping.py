"""Special characters of names (RFC 4514) and filters (RFC 4515): they round-trip, or are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstore import AlreadyExists, Edit, InvalidValue, MailstoreError, NotFound, open_store
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.ldap.names import same_dn
from tests.ldap.faults import HASH, make_rig, problems
from tests.ldap.rig import LdapRig, store_url
from tests.servers.slapd import Slapd
from tests.tables import in_turn

BOB = "bob@example.com"
LOCAL_PARTS = ("a.b-c_d", "_")
"""What Dovecot serves; no other special character is."""
REFUSED = (
    "a*b",
    "a(b",
    "a)b",
    "a\\b",
    "a+b",
    "a=b",
    "a/b",
    "a,b",
    'a"b',
    "a;b",
    "a<b",
    "a>b",
    "a b",
    "a\x00b",
    "ä",
)
FOREIGN = ("a+b", "a=b", "a/b", "a&b", "a'b", "a*b", "a!b", "a#b", "a$b", "a%b", "{a}", "a|b", "a~b", "a?b", "^a", "`a")
UNQUOTED = ("a(b", "a)b", "a\\b", "a,b", "a;b", "a<b", "a b", "a\x00b")
"""Not without quotes, which the library refuses everywhere."""
NAMES = (
    "*", "(cn=*)", "a)(mail=*", "\\", "\\2a", "#hash", " inner  blanks ".strip(), '"quoted"', "a,b+c;d<e>f=g", "Zoë Müller",
    "日本語", "a\\,b", "x" * 200, "null \\00", ":colon", "<less", "é" * 50,
)  # fmt: skip
HARMLESS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def server(scratch_root: Path) -> Iterator[Slapd]:
    with Slapd(scratch_root / "escaping") as running:
        yield running


@pytest.fixture(scope="module")
def module_rig(server: Slapd, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[LdapRig]:
    rig = make_rig(server, scratch_root / "escaping", vmail_owner)
    yield rig
    rig.close()


@pytest.fixture
def store(module_rig: LdapRig) -> Iterator[IRedMailDirectory]:
    """Two domains and one account; afterwards nothing may be wrong."""
    module_rig.clear()
    store = module_rig.shared
    for domain in ("example.com", "other.com"):
        store.domains.create(domain)
    store.domains.add_alias_domains("example.com", ["alias.com"])
    create(store, BOB)
    yield store
    assert problems(store) == []


def create(store: IRedMailDirectory, address: str, **fields: Any) -> None:
    store.accounts.create(address, password_hash=HASH, home=f"/var/vmail/{abs(hash(address))}", **fields)


@pytest.mark.parametrize("local", LOCAL_PARTS)
def test_addresses_of_accounts(store: IRedMailDirectory, local: str) -> None:
    address, renamed = f"{local}@example.com", f"{local}.x@other.com"
    create(store, address, forwarding=["x@ext.org"], aliases=[f"{local}.y@other.com"])
    with pytest.raises(AlreadyExists):
        create(store, address)
    store.accounts.update(BOB, forwarding=[address])
    store.aliases.create(f"{local}.all@example.com", members=[address], moderators=[address])
    store.lists.create(f"{local}.list@example.com", members=[address, "x@ext.org"], moderators=[address])
    store.admins.promote(address, domains=["other.com"])
    assert store.accounts.get(address.upper()).aliases == (f"{local}.y@other.com",)
    assert [account.address for account in store.accounts.list(search=local)] == [address] or local in "_.b"
    assert store.accounts.verify_password(address, "secret")
    assert store.accounts.update(address, name=local).name in (local, "")
    assert store.accounts.rename(address, renamed).address == renamed
    assert store.accounts.get(BOB).forwarding == (renamed,)
    assert renamed in store.aliases.get(f"{local}.all@example.com").members
    assert renamed in store.lists.get(f"{local}.list@example.com").members
    assert store.domains.get("other.com").admins == (renamed,)
    record = store.accounts.delete(renamed)
    assert record is not None
    assert store.accounts.get(BOB).forwarding == ()
    assert store.lists.get(f"{local}.list@example.com").members == ("x@ext.org",)
    assert store.deleted.restore(record.id).address == renamed
    assert store.accounts.get(BOB).forwarding == (renamed,)
    store.lists.rename(f"{local}.list@example.com", f"{local}.list@other.com")
    store.lists.delete(f"{local}.list@other.com")
    store.aliases.rename(f"{local}.all@example.com", f"{local}.all@other.com")
    store.aliases.delete(f"{local}.all@other.com")


@pytest.mark.parametrize("local", LOCAL_PARTS)
def test_references_by_name_of_entry(module_rig: LdapRig, store: IRedMailDirectory, local: str) -> None:
    """Other tools write them; slapd spells some names otherwise than we do."""
    address, renamed, name = f"{local}@example.com", f"{local}.x@other.com", "list@other.com"
    create(store, address)
    store.lists.create(name, members=["x@ext.org"])
    places = store._context.places
    list_dn, spelled = places.mailing_list(name), places.account(address).replace("\\#", "\\23")
    with module_rig.server.connect() as connection:

        def members() -> list[str]:
            connection.search(list_dn, "(objectClass=*)", "BASE", attributes=["member"])
            return [value.decode() for value in connection.response[0]["raw_attributes"]["member"]]

        assert connection.modify(list_dn, {"member": [("MODIFY_ADD", [spelled])]}), connection.result
        store.accounts.rename(address, renamed)
        assert [same_dn(member, places.account(renamed)) for member in members()] == [True]
        record = store.accounts.delete(renamed)
        assert record is not None
        assert members() == []
        store.deleted.restore(record.id)
        assert [same_dn(member, places.account(renamed)) for member in members()] == [True]


@in_turn("local", REFUSED)
def test_addresses_that_no_account_may_have(store: IRedMailDirectory, local: str) -> None:
    address = f"{local}@example.com"
    held = "\0" not in local  # somebody else could have written it, and whoever asks for it gets an answer
    for kind in (store.accounts, store.aliases, store.lists):
        if held:
            assert not kind.exists(address)
        for refused in (kind.get, kind.delete):
            with pytest.raises(NotFound if held else InvalidValue):
                refused(address)
        with pytest.raises((InvalidValue, NotFound)):
            kind.rename(BOB, address)
    with pytest.raises(InvalidValue):
        create(store, address)
    with pytest.raises(InvalidValue):
        store.accounts.add_aliases(BOB, [address])
    assert [account.address for account in store.accounts.list()] == [BOB]


def test_foreign_addresses(store: IRedMailDirectory) -> None:
    foreign = [f"{local}@ext.org" for local in FOREIGN]
    store.accounts.update(BOB, forwarding=foreign)
    store.aliases.create("all@example.com", members=foreign)
    store.lists.create("list@example.com", members=[*foreign, BOB], moderators=foreign, owners=foreign)
    wanted = tuple(sorted(foreign))
    assert store.accounts.get(BOB).forwarding == wanted
    assert store.aliases.get("all@example.com").members == wanted
    assert store.lists.get("list@example.com").members == tuple(sorted([*foreign, BOB]))
    for address in foreign:
        store.accounts.update(BOB, forwarding=Edit(remove=[address]), sender_bcc=address, recipient_bcc=address)
        store.aliases.remove_members("all@example.com", [address])
        store.lists.remove_members("list@example.com", [address])
        store.domains.update("other.com", catch_all=[address], sender_bcc=address)
        assert store.domains.get("other.com").catch_all == (address,)
    assert store.accounts.get(BOB).forwarding == ()
    assert store.aliases.get("all@example.com").members == ()
    assert store.lists.get("list@example.com").members == (BOB,)


@pytest.mark.parametrize("local", UNQUOTED)
def test_foreign_addresses_that_are_none(store: IRedMailDirectory, local: str) -> None:
    with pytest.raises(InvalidValue):
        store.accounts.update(BOB, forwarding=[f"{local}@ext.org"])
    with pytest.raises(InvalidValue):
        store.aliases.create("all@example.com", members=[f"{local}@ext.org"])


@pytest.mark.parametrize("name", NAMES)
def test_names(store: IRedMailDirectory, name: str) -> None:
    create(store, "eve@example.com", name=name, last_name=name, first_name=name, department=name)
    eve = store.accounts.get("eve@example.com")
    assert (eve.name, eve.last_name, eve.first_name, eve.department) == (name,) * 4
    assert [account.address for account in store.accounts.list(search=name)] == ["eve@example.com"]
    assert store.accounts.update(BOB, name=name).name == name
    store.domains.update("other.com", name=name, disclaimer=name)
    assert store.domains.get("other.com").name == name
    assert [domain.domain for domain in store.domains.list(search=name)] == ["other.com"]
    store.aliases.create("all@example.com", name=name)
    assert store.aliases.get("all@example.com").name == name


@pytest.mark.parametrize(
    "search", ["*", "b*b", "(mail=*)", "bob)(cn=*", "\\", "\\2a", "*)(objectClass=*", "o*", "&", "|", "!"]
)
def test_searches_mean_what_they_say(store: IRedMailDirectory, search: str) -> None:
    """No character is a wildcard, or a piece of a filter."""
    assert list(store.accounts.list(search=search)) == []
    assert store.accounts.count(search=search) == 0
    assert list(store.domains.list(search=search)) == []
    assert list(store.aliases.list(search=search)) == []
    assert list(store.lists.list(search=search)) == []
    assert list(store.admins.list(search=search)) == []


PRINTABLE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=30)


@HARMLESS
@given(name=PRINTABLE)
def test_any_name(module_rig: LdapRig, name: str) -> None:
    """It is stored as it is, but for blanks around it, or refused."""
    store = with_bob(module_rig)
    try:
        account = store.accounts.update(BOB, name=name)
    except InvalidValue:
        return
    assert account.name in (name.strip(), "") or name.strip() == "bob"
    assert store.accounts.get(BOB).name == account.name


@HARMLESS
@given(text=st.text(max_size=12))
def test_any_text_for_an_address(module_rig: LdapRig, text: str) -> None:
    """It is never taken for something else than an address: a filter, a part of a name."""
    store = with_bob(module_rig)
    for address in (f"{text}@example.com", f"bob{text}@example.com", f"bob@example.com{text}", text):
        if address.strip().lower() == BOB:
            continue
        for ask in (store.accounts.get, store.lists.get, store.domains.get):
            try:
                found = ask(address)
            except (InvalidValue, NotFound):
                continue
            assert "example.com" in str(found)


def with_bob(rig: LdapRig) -> IRedMailDirectory:
    store = rig.shared
    if not store.domains.exists("example.com"):
        store.domains.create("example.com")
    if not store.accounts.exists(BOB):
        create(store, BOB)
    return store


@pytest.mark.parametrize(
    "suffix",
    [
        r"o=Example\, Inc.", r"o=a\+b \= \"c\"", r"o=\#1 (the *best*)", r"o=m\C3\BCller,c=DE", r"o=a\\b\;c",
        r"o=\ lead and trail\ ", r"o=100%$USER/x?y", "dc=mail,dc=example,dc=com",
    ],
)  # fmt: skip
def test_suffixes(scratch_root: Path, vmail_owner: tuple[int, int], workdir: Path, suffix: str) -> None:
    """The whole store below a suffix with special characters."""
    with Slapd(workdir / "slapd", suffix=suffix) as server:
        rig = make_rig(server, workdir, vmail_owner)
        store = rig.shared
        store.domains.create("example.com", catch_all=["c@ext.org"])
        store.domains.create("other.com")
        store.domains.add_alias_domains("example.com", ["alias.com"])
        create(store, "ab@example.com", aliases=["#b@other.com"])
        create(store, BOB, forwarding=["ab@example.com", "x+y@ext.org"])
        store.lists.create("list@example.com", members=[BOB, "x+y@ext.org"])
        store.aliases.create("a&b@example.com", members=["ab@example.com"])
        store.admins.promote(BOB)
        store.accounts.rename("ab@example.com", "c@other.com")
        assert store.accounts.get(BOB).forwarding == ("c@other.com", "x+y@ext.org")
        assert store.acting_as(BOB).accounts.count() == 1
        record = store.accounts.delete("c@other.com")
        assert record is not None
        assert store.deleted.restore(record.id).aliases == ("#b@other.com",)
        assert store.accounts.count() == 2
        assert store.domains.delete("example.com") == 1
        assert problems(store) == []
        rig.close()


def test_a_password_full_of_special_characters(server: Slapd, module_rig: LdapRig) -> None:
    password = "p:@/?#[]%25+ &='\"\\ü*()"
    login = server.bind("vmailadmin")
    url = store_url(server)
    with server.connect() as connection:
        assert connection.modify(login.dn, {"userPassword": [("MODIFY_REPLACE", [password])]}), connection.result
        special = url.replace(f":{quote(login.password)}@", f":{quote(password, safe='')}@")
        assert special != url
        store = cast("IRedMailDirectory", open_store(special, **module_rig.options))
        assert list(store.domains.list(search="nothing")) == []
        assert quote(password, safe="") not in store.name
        assert password not in repr(store) + repr(store.config)
        store.close()
        with pytest.raises(MailstoreError) as caught:
            open_store(special.replace(quote(password, safe=""), quote(f"{password}x", safe="")), **module_rig.options)
        assert password not in str(caught.value)
        restored = {"userPassword": [("MODIFY_REPLACE", [login.password])]}
        assert connection.modify(login.dn, restored), connection.result
