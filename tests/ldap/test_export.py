"""LDIF of a store: slapadd takes it, and the tree that comes of it is the same, or answers mail servers the same."""

from __future__ import annotations

import os
import stat
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import make_url

from mailstore import Capability, Store, open_store
from mailstore.config import StoreConfig
from mailstore.errors import InvalidValue, NotFound, PermissionDenied
from mailstore.ldap import ldif
from mailstore.ldap.iredmail.export.base import Export
from mailstore.ldap.iredmail.export.exporter import exporter, text
from mailstore.ldap.iredmail.export.records import RecordExport
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.ldap.names import comparable
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import create_schema as create_tables
from tests.ldap.lookup_rig import LdapMaps, reader_of
from tests.ldap.rig import LdapRig, counting, store_url
from tests.readers import PostfixMaps, postfix_for
from tests.servers.process import make_directory
from tests.servers.slapd import SUFFIX, Slapd
from tests.stores import empty_homes
from tests.test_cli_process import Terminal
from tests.test_cli_rig import Cli, run

if TYPE_CHECKING:
    from mailstore.model import Finding
    from tests.rigs import Rig
    from tests.stores import StoreRig

BASE = f"o=domains,{SUFFIX}"
PASSWORD = "pass wörd"
Tree = dict[str, dict[str, list[bytes]]]
_OPERATIONAL = {
    "createtimestamp", "creatorsname", "entrycsn", "entryuuid", "modifiersname", "modifytimestamp",
    "structuralobjectclass",
}  # fmt: skip


def hashed(scheme: str = "SSHA512") -> str:
    return hash_password(PASSWORD, scheme)


SHARED = hashed()


def populate(store: Store) -> None:
    """Fill a store with everything that the contract knows."""
    _domains(store)
    _accounts(store)
    _groups(store)
    _admins(store)
    store.domains.update("off.example", enabled=False)


def _domains(store: Store) -> None:
    store.domains.create(
        "example.com", name="Exämple", quota="10G", default_account_quota="1G", max_account_quota="2G", max_accounts=500,
        max_aliases=50, max_lists=0, default_language="de_DE", min_password_length=8, max_password_length=64,
        disclaimer="Grüße\nfrom us", sender_bcc="out@other.example", recipient_bcc="in@example.net",
        outbound_relay="[relay.example.net]:587", disabled_services=["pop3"], disabled_user_profiles=["bcc"],
        disabled_domain_profiles=["relay"], disabled_user_preferences=["forwarding"], services=["self-service"],
    )  # fmt: skip
    store.domains.update("example.com", max_lists=None)
    store.domains.create("other.example", transport="lmtp:unix:private/dovecot-lmtp")
    store.domains.create("backup.example", backup_mx=True, primary_mx="[192.0.2.1]:25")
    store.domains.create("off.example")
    store.domains.create("none.example", max_accounts=0)
    store.domains.add_alias_domains("example.com", ["alias.example", "alias2.example"])


def _accounts(store: Store) -> None:
    create = store.accounts.create
    create(
        "bob@example.com", password_hash=hashed(), name="Bob Üb", first_name="Bób", last_name="Bauer", quota="1G",
        language="fr_FR", employee_id="17", department="R&D", mobile="+49 1", telephone="+49 2",
        recovery_email="bob@example.net", timezone="Europe/Rome", transport="lmtp:inet:127.0.0.1:24",
        aliases=["robert@example.com", "bob@other.example"], forwarding=["bob@example.net", "ann@example.com"],
        sender_bcc="bob-out@example.net", recipient_bcc="bob-in@example.net", outbound_relay="[bob.example.net]",
        allow_nets=["10.0.0.0/8"], mailbox_folder="Mail",
    )  # fmt: skip
    create("ann@example.com", password_hash=hashed("BLF-CRYPT"), services=["smtp", "imaptls", "deliver", "lda", "lmtp"])
    create("kim@example.com", password_hash=hashed("SHA512-CRYPT"), forwarding=["kim@example.net"], keep_copy=False)
    create("cut@example.com", password_hash=hashed(), enabled=False)
    create("eve@other.example", password_hash=hashed(), name="  Eve: <x>, ")
    create("dan@off.example", password_hash=hashed())
    store.domains.update("example.com", catch_all=["ann@example.com", "all@example.net"])
    store.domains.update("off.example", catch_all=["ann@example.com"])


def _groups(store: Store) -> None:
    members = ["bob@example.com", "eve@other.example", "x@example.net"]
    policy = {"access_policy": "membersonly", "moderators": ["bob@example.com", "*@example.net"]}
    store.aliases.create("sales@example.com", name="Verkäufe", members=members, **cast("Any", policy))
    store.aliases.create("empty@example.com")
    store.aliases.create("off@other.example", members=members, enabled=False)
    store.aliases.create("any@off.example", members=members)
    if Capability.LISTS in store.capabilities:
        more = [*members, "dan@off.example", "sales@example.com"]
        store.lists.create(
            "team@example.com", name="Téam", members=more, owners=["eve@other.example"], **cast("Any", policy)
        )
        store.lists.create("crew@other.example", members=["team@example.com", "y@example.net"])
        store.lists.create("gone@off.example", members=["bob@example.com", "z@example.net"])
        store.lists.create("nobody@example.com", enabled=False)


def _admins(store: Store) -> None:
    limits = {"max_domains": 3, "max_quota": "5G", "max_accounts": 10, "max_aliases": 0}
    settings = {"may_view_mail_log": False, "timezone": "Europe/Rome", "language": "it_IT", "name": "Ädmin"}
    store.admins.create(
        "boss@panel.example", password_hash=hashed(), domains=["example.com", "off.example"],
        **cast("Any", {**limits, **settings}),
    )  # fmt: skip
    store.admins.create("root@panel.example", password_hash=hashed(), global_admin=True)
    store.admins.create("idle@panel.example", password_hash=hashed(), enabled=False)
    store.admins.promote("ann@example.com", domains=["example.com", "other.example"])
    store.admins.promote("eve@other.example", global_admin=True)


def tree_of(server: Slapd) -> Tree:
    """What stands below the entries that every tree starts with."""
    tops = tuple(f",{comparable(dn)}" for dn in (BASE, f"o=domainAdmins,{SUFFIX}"))
    return {name: attributes for name, attributes in parsed(server.dump()).items() if name.endswith(tops)}


def parsed(document: str) -> Tree:
    return {comparable(dn): plain(attributes) for dn, attributes in ldif.parse(document.splitlines())}


def plain(attributes: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
    """An entry in a form that can be compared, without what the server sets."""
    return {key.lower(): sorted(values) for key, values in attributes.items() if key.lower() not in _OPERATIONAL}


def written(records: Iterator[Any]) -> str:
    return "".join(text(records))


@pytest.fixture(scope="module")
def directory(rigs: Callable[[str], StoreRig]) -> LdapRig:
    """A directory with everything in it."""
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    empty_homes(rig)
    populate(rig.shared)
    return rig


@pytest.fixture(scope="module")
def database(rigs: Callable[[str], StoreRig]) -> Rig:
    """A database with everything in it."""
    return filled(rigs("sqlite"))


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgresql"])
def any_database(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Rig:
    """Such a database on each engine."""
    return filled(rigs(request.param))


def filled(rig: StoreRig) -> Rig:
    rig.clear()
    empty_homes(rig)
    populate(rig.shared)
    return cast("Rig", rig)


@pytest.fixture(scope="module")
def target(scratch_root: Path) -> Iterator[Slapd]:
    """Another directory, to load what was exported."""
    with Slapd(scratch_root / "exporttarget") as server:
        yield server


@pytest.fixture
def export(directory: LdapRig) -> Export:
    return exporter(directory.shared)


def notes_of(store: Store, **options: Any) -> tuple[Export, list[Finding]]:
    notes: list[Finding] = []
    return exporter(store, suffix=SUFFIX, report=notes.append, **options), notes


# --- From a directory -------------------------------------------------------------------------------------------------


def test_the_tree_is_the_same_after_slapadd(directory: LdapRig, export: Export, target: Slapd) -> None:
    document = written(export.everything())
    target.load(document)
    before = tree_of(directory.server)
    assert len(before) > 35
    assert tree_of(target) == before


def test_ldapadd_takes_it_in_this_order(export: Export, target: Slapd) -> None:
    target.load("")
    with target.connect() as connection:
        for dn, attributes in ldif.parse(written(export.everything()).splitlines()):
            assert connection.add(dn, attributes=attributes), (dn, connection.result)


def test_a_lock_that_somebody_holds_is_not_exported(directory: LdapRig, export: Export) -> None:
    dn = f"domainName=none.example,{BASE}"
    with directory.server.connect() as connection:
        lock = "mailstoreLock:20261120000000:x"
        assert connection.modify(dn, {"accountSetting": [("MODIFY_ADD", [lock])]})
        try:
            assert "mailstorelock" not in str(parsed(written(export.domain("none.example")))).lower()
        finally:
            assert connection.modify(dn, {"accountSetting": [("MODIFY_DELETE", [lock])]})


def test_entries_that_the_library_does_not_know_are_exported_with_the_domain(
    directory: LdapRig, export: Export
) -> None:
    dn = f"ou=Old,ou=Users,domainName=none.example,{BASE}"
    with directory.server.connect() as connection:
        assert connection.add(dn, "organizationalUnit", {"description": "x"})
        try:
            assert comparable(dn) in parsed(written(export.whole_domain("none.example")))
        finally:
            assert connection.delete(dn)


def test_a_domain_is_its_entry_and_its_units(export: Export) -> None:
    found = parsed(written(export.domain("example.com")))
    assert len(found) == 5
    entry = found[comparable(f"domainName=example.com,{BASE}")]
    assert entry["domainaliasname"] == [b"alias.example", b"alias2.example"]
    assert entry["cn"] == ["Exämple".encode()]
    assert entry["domainadmin"] == [b"ann@example.com", b"boss@panel.example"]


@pytest.mark.parametrize(
    ("kind", "name", "first", "count"),
    [
        ("catch_all", "example.com", f"mail=@example.com,ou=Users,domainName=example.com,{BASE}", 1),
        ("admin", "boss@panel.example", f"mail=boss@panel.example,o=domainAdmins,{SUFFIX}", 1),
        ("admin", "ann@example.com", f"mail=ann@example.com,ou=Users,domainName=example.com,{BASE}", 1),
        ("account", "bob@example.com", f"mail=bob@example.com,ou=Users,domainName=example.com,{BASE}", 1),
        ("mailing_list", "team@example.com", f"mail=team@example.com,ou=Groups,domainName=example.com,{BASE}", 2),
        ("mailing_list", "nobody@example.com", f"mail=nobody@example.com,ou=Groups,domainName=example.com,{BASE}", 1),
        ("alias", "sales@example.com", f"mail=sales@example.com,ou=Aliases,domainName=example.com,{BASE}", 1),
    ],
)
def test_one_thing(directory: LdapRig, export: Export, kind: str, name: str, first: str, count: int) -> None:
    found = parsed(written(getattr(export, kind)(name)))
    assert len(found) == count
    assert next(iter(found)) == comparable(first)
    whole = tree_of(directory.server)
    assert all(whole[dn] == entry for dn, entry in found.items())


def test_no_catch_all_is_nothing(export: Export) -> None:
    assert list(export.catch_all("other.example")) == []


_NAMED = ("domain", "whole_domain", "catch_all", "admin", "account", "alias")


@pytest.mark.parametrize(
    ("source", "kind"),
    [*(("ldap", kind) for kind in (*_NAMED, "mailing_list")), *(("sqlite", kind) for kind in _NAMED)],
)
def test_what_is_not_there_is_an_error(kind: str, source: str, directory: LdapRig, database: Rig) -> None:
    store: Store = directory.shared if source == "ldap" else database.shared
    name = "nobody.example" if kind in {"domain", "whole_domain", "catch_all"} else "ghost@example.com"
    with pytest.raises(NotFound):
        list(getattr(exporter(store, suffix=SUFFIX), kind)(name))


def test_a_large_domain_is_read_page_by_page(directory: LdapRig) -> None:
    store = directory.shared
    with counting(store) as seen:
        records = exporter(store).whole_domain("example.com")
        count = sum(1 for _ in records)
    assert count >= 15
    # The domain; below it; what is in each unit that holds something.
    assert seen.kinds == ["search"] * 6


def test_without_passwords(directory: LdapRig, database: Rig) -> None:
    for store in (directory.shared, database.shared):
        found = parsed(written(exporter(store, suffix=SUFFIX, passwords=False).everything()))
        assert len(found) > 30
        assert not [dn for dn, entry in found.items() if "userpassword" in entry]


def test_an_acting_admin_cannot_export_a_directory(directory: LdapRig) -> None:
    with pytest.raises(PermissionDenied):
        exporter(directory.shared.acting_as("boss@panel.example"))


def test_a_directory_has_a_suffix_of_its_own(directory: LdapRig) -> None:
    with pytest.raises(InvalidValue, match="as they are"):
        exporter(directory.shared, suffix="dc=other")


# --- From records -----------------------------------------------------------------------------------------------------


def test_entries_made_from_records_are_those_of_the_driver(directory: LdapRig) -> None:
    store = directory.shared
    notes: list[Finding] = []
    made = RecordExport(store, store.context.places, StoreConfig(url=store.name), report=notes.append)
    found = parsed(written(made.everything()))
    expected = tree_of(directory.server)
    assert found.keys() == expected.keys()
    for dn, entry in expected.items():
        assert compared(found[dn]) == compared(entry), dn
    assert notes == []


def compared(entry: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """An entry without what records do not say: when an admin's password was changed, who is in the address book."""
    without = {"shadowlastchange"} if b"mailAdmin" in entry["objectclass"] else set()
    found = {key: values for key, values in entry.items() if key not in without}
    services = [value for value in found.get("enabledservice", []) if value != b"displayedInGlobalAddressBook"]
    return {**found, "enabledservice": services}


def test_a_database_becomes_a_directory_by_a_file(any_database: Rig, target: Slapd) -> None:
    export, notes = notes_of(any_database.shared)
    target.load(written(export.everything()))
    assert {note.code for note in notes} == {"lists-left-out"}
    source = any_database.shared
    with cast(
        "IRedMailDirectory", open_store(store_url(target), retention=f"sqlite:///{target.directory}/deleted.db")
    ) as store:
        assert [*map(neutral, store.domains.list())] == [*map(neutral, source.domains.list())]
        assert [*map(neutral, store.accounts.list())] == [*map(neutral, source.accounts.list())]
        assert [*map(neutral, store.aliases.list())] == [*map(neutral, source.aliases.list())]
        assert [*map(neutral, store.admins.list())] == [*map(neutral, source.admins.list())]
        for name in ("bob@example.com", "ann@example.com", "kim@example.com", "dan@off.example"):
            assert store.accounts.verify_password(name, PASSWORD)
            assert store.context.directory.verify(store.context.places.account(name), PASSWORD)
        assert [finding for finding in store.check() if finding.severity == "error"] == []


def neutral(record: Any) -> Any:
    """A record without times, and without what only one kind of store has."""
    others: dict[str, Any] = {"created": None, "modified": None}
    if hasattr(record, "settings"):
        others["settings"] = {}
    if hasattr(record, "password_changed"):
        others |= {"password_changed": None, "usage": None, "last_login": None}
        others["services"] = tuple(name for name in record.services if name != "displayedInGlobalAddressBook")
    return replace(record, **others)


DOMAINS = ("example.com", "other.example", "off.example", "backup.example", "alias.example", "nobody.example")
ADDRESSES = (
    *("bob@example.com", "robert@example.com", "bob@other.example", "ann@example.com", "kim@example.com"),
    *("cut@example.com", "eve@other.example", "dan@off.example", "x@off.example", "x@nobody.example"),
    *("bob@alias.example", "robert@alias2.example", "sales@alias.example", "sales@example.com", "empty@example.com"),
    *("off@other.example", "any@off.example", "unknown@example.com", "unknown@alias.example", "unknown@other.example"),
)

# iRedMail's maps for SQL do not know alias addresses as senders; those for LDAP do.
PRIMARY = (
    "bob@example.com", "ann@example.com", "kim@example.com", "cut@example.com", "eve@other.example", "dan@off.example",
)  # fmt: skip


@pytest.fixture(scope="module")
def maps(any_database: Rig, target: Slapd, scratch_root: Path) -> tuple[PostfixMaps, PostfixMaps]:
    """What Postfix reads in a database, and in the directory that it became."""
    target.load(written(notes_of(any_database.shared)[0].everything()))
    directory = make_directory(scratch_root / f"exportmaps{any_database.name}")
    from_ldap = LdapMaps(make_directory(directory / "ldap"), reader_of(target), account_relays=True)
    return postfix_for(directory / "sql", make_url(any_database.native)), from_ldap


@pytest.mark.parametrize("parameter", ["virtual_mailbox_domains", "relay_domains"])
def test_postfix_is_responsible_for_the_same_domains(maps: tuple[PostfixMaps, PostfixMaps], parameter: str) -> None:
    before, after = (some.resolve(parameter, DOMAINS) for some in maps)
    assert after.keys() == before.keys()


@pytest.mark.parametrize(
    "parameter",
    ["sender_bcc_maps", "recipient_bcc_maps", "smtpd_sender_login_maps", "sender_dependent_relayhost_maps"],
)
def test_postfix_hears_the_same(maps: tuple[PostfixMaps, PostfixMaps], parameter: str) -> None:
    domains = {address: f"@{address.rpartition('@')[2]}" for address in PRIMARY}
    answers = (some.resolve(parameter, [*PRIMARY, *domains.values()]) for some in maps)
    # Where nobody knows a sender, Postfix asks for its domain.
    before, after = ({name: some.get(name) or some.get(domains[name]) for name in PRIMARY} for some in answers)
    assert after == before
    assert any(after.values())


def test_mail_ends_in_the_same_places(maps: tuple[PostfixMaps, PostfixMaps]) -> None:
    before, after = (destinations(some) for some in maps)
    assert before["cut@example.com"] == {("cut@example.com", None, "dovecot")}, "not the catch-all's"
    assert after == before
    bob = ("bob@example.com", HERE, "lmtp:inet:127.0.0.1:24")
    assert after["bob@alias.example"] == {("bob@example.net", None, None), bob, ("ann@example.com", HERE, "dovecot")}


HERE = "a mailbox"
Destination = tuple[str, str | None, str | None]


def destinations(maps: PostfixMaps) -> dict[str, set[Destination]]:
    """Where mail for each address goes when all aliases are followed: addresses, whether they have a mailbox, transports."""
    followed = expansions(maps)
    ends = {address: closure(followed, address) for address in ADDRESSES}
    everywhere = sorted(set().union(*ends.values()))
    mailboxes = maps.resolve("virtual_mailbox_maps", everywhere)
    domains = [address.rpartition("@")[2] for address in everywhere]
    transports = maps.resolve("transport_maps", [*everywhere, *domains])

    def described(address: str) -> Destination:
        chosen = transports.get(address) or transports.get(address.rpartition("@")[2])
        return address, HERE if address in mailboxes else None, min(chosen) if chosen else None

    return {address: {described(end) for end in found} for address, found in ends.items()}


def expansions(maps: PostfixMaps) -> dict[str, frozenset[str]]:
    """What each address stands for, one step at a time; Postfix asks for the whole domain if nobody knows the address."""
    known: dict[str, frozenset[str]] = {}
    todo = set(ADDRESSES)
    while todo:
        domains = {address: f"@{address.rpartition('@')[2]}" for address in todo}
        answers = maps.resolve("virtual_alias_maps", sorted({*todo, *domains.values()}))
        known |= {
            address: answers.get(address) or answers.get(domain) or frozenset([address])
            for address, domain in domains.items()
        }
        # A domain that is the alias of another one stands for the same address there.
        known = {address: frozenset(rewritten(address, value) for value in found) for address, found in known.items()}
        todo = set().union(*known.values()) - known.keys()
    return known


def rewritten(address: str, found: str) -> str:
    return address.rpartition("@")[0] + found if found.startswith("@") else found


def closure(followed: Mapping[str, frozenset[str]], start: str) -> set[str]:
    """The addresses that an address ends in."""
    seen, ends, todo = {start}, set(), [start]
    while todo:
        address = todo.pop()
        found = followed[address]
        ends |= {address} & found
        new = found - seen
        seen |= new
        todo += new
    return ends


def test_one_thing_of_a_database(database: Rig) -> None:
    export, notes = notes_of(database.shared)
    assert [dn for dn, _ in export.domain("example.com")][1:] == [
        f"ou={unit},domainName=example.com,{BASE}" for unit in ("Users", "Groups", "Aliases", "Externals")
    ]
    ((_, catch_all),) = export.catch_all("example.com")
    assert catch_all["shadowAddress"] == ["@alias.example", "@alias2.example"]
    assert list(export.catch_all("other.example")) == []
    ((_, admin),) = export.admin("boss@panel.example")
    assert admin["disabledService"] == ["view_mail_log"]
    ((dn, _),) = export.admin("ann@example.com")
    assert dn == f"mail=ann@example.com,ou=Users,domainName=example.com,{BASE}"
    ((_, account),) = export.account("bob@example.com")
    assert account["homeDirectory"] == [f"{database.shared.accounts.get('bob@example.com').home}/"]
    assert len(list(export.alias("sales@example.com"))) == 1
    assert notes == []


def test_what_a_directory_cannot_hold_is_named(database: Rig) -> None:
    store = database.open()
    store.domains.create("odd.example")
    try:
        store.accounts.create("argon@odd.example", password_hash=hashed("ARGON2ID"), telephone="١٢٣")
        store.admins.promote("argon@odd.example", max_accounts=3)
        store.accounts.create("weird@odd.example", password_hash=hashed())
        database.execute("UPDATE mailbox SET username = 'we ird@odd.example' WHERE username = 'weird@odd.example'")
        settings = "strange:x;timezone:Asia/Tokyo;default_groups:ü@odd.example;"
        database.execute("UPDATE domain SET settings = :value WHERE domain = 'odd.example'", value=settings)
        export, notes = notes_of(store)
        found = {comparable(dn): attributes for dn, attributes in export.whole_domain("odd.example")}
        entry = found[comparable(f"mail=argon@odd.example,ou=Users,domainName=odd.example,{BASE}")]
        assert "userPassword" not in entry
        assert "telephoneNumber" not in entry
        assert found[comparable(f"domainName=odd.example,{BASE}")]["accountSetting"] == ["timezone:Asia/Tokyo"]
        told = {(note.code, note.subject): note for note in notes}
        assert told["password-left-out", "argon@odd.example"].severity == "error"
        assert told["not-exported", "we ird@odd.example"].severity == "error"
        messages = " ".join(note.message for note in notes)
        assert "telephone" in messages
        assert "max_accounts" in messages
        assert "strange" in messages
        assert "defaultList" in messages
        assert "$argon2" not in messages
    finally:
        store.domains.delete("odd.example")
        store.close()


@pytest.mark.parametrize(
    ("login_by", "scheme", "expected"),
    [
        ("bind", "SSHA512", "{SSHA512}"),
        ("bind-without-sha2", "SSHA512", None),
        ("bind-without-sha2", "SHA512-CRYPT", "{CRYPT}$6$"),
        ("bind", "BLF-CRYPT", "{CRYPT}$2b$"),
        ("lookup", "ARGON2ID", "{ARGON2ID}$argon2id$"),
        ("lookup", "BLF-CRYPT", "{BLF-CRYPT}$2b$"),
    ],
)
def test_hashes_are_written_for_those_who_verify_them(
    database: Rig, login_by: str, scheme: str, expected: str | None
) -> None:
    store = database.open()
    try:
        store.accounts.create("hash@other.example", password_hash=hashed(scheme))
        ((_, entry),) = notes_of(store, login_by=login_by)[0].account("hash@other.example")
        values = [str(value) for value in entry.get("userPassword", [])]
        assert values == [] if expected is None else values[0].startswith(expected)
    finally:
        store.accounts.delete("hash@other.example")
        store.close()


def test_a_hash_without_a_prefix_is_one_of_crypt(database: Rig) -> None:
    store = database.open()
    try:
        store.accounts.create("crypt@other.example", password_hash=hashed("SHA512-CRYPT"))
        bare = store.accounts.password_hash("crypt@other.example").partition("}")[2]
        database.execute("UPDATE mailbox SET password = :bare WHERE username = 'crypt@other.example'", bare=bare)
        ((_, entry),) = notes_of(store)[0].account("crypt@other.example")
        assert entry["userPassword"] == [f"{{CRYPT}}{bare}"]
    finally:
        store.accounts.delete("crypt@other.example")
        store.close()


def test_memory_does_not_depend_on_how_much_it_is(workdir: Path) -> None:
    url = f"iredmail+sqlite:///{workdir}/large.db"
    create_tables(StoreConfig(url=url), None)
    peaks = []
    with open_store(url) as store:
        store.domains.create("example.com")
        for block in range(3):
            rows = [{"address": f"a{block}-{number}@example.com", "password_hash": SHARED} for number in range(600)]
            store.accounts.create_many(rows)
            tracemalloc.start()
            assert sum(1 for _ in exporter(store, suffix=SUFFIX).everything()) == 5 + 600 * (block + 1)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]


def test_a_database_needs_a_suffix(database: Rig) -> None:
    with pytest.raises(InvalidValue, match="suffix"):
        exporter(database.shared)


def test_it_is_written_as_it_is_read(database: Rig, directory: LdapRig) -> None:
    for store in (directory.shared, database.shared):
        records = exporter(store, suffix=SUFFIX).everything()
        assert next(records)[0].startswith("domainName=")
        cast("Any", records).close()


# --- The command ------------------------------------------------------------------------------------------------------


def source_of(rig: Rig) -> tuple[str, ...]:
    return ("--url", rig.url)


def test_the_command_writes_the_whole_store(database: Rig, directory: LdapRig) -> None:
    from_sql = run(*source_of(database), "export", "--ldif", "--suffix", SUFFIX)
    assert from_sql.exit_code == 0, from_sql.stderr
    assert parsed(from_sql.stdout) == parsed(written(notes_of(database.shared)[0].everything()))
    assert "mailing lists" in from_sql.stderr
    from_ldap = run("--url", directory.url, "export", "--ldif")
    assert from_ldap.exit_code == 0, from_ldap.stderr
    assert parsed(from_ldap.stdout) == tree_of(directory.server)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        # The documented API calls A51-A56.
        pytest.param(("domain", "example.com"), 5, id="A51"),
        pytest.param(("catch-all", "example.com"), 1, id="A52"),
        pytest.param(("admin", "boss@panel.example"), 1, id="A53"),
        pytest.param(("account", "bob@example.com"), 1, id="A54"),
        pytest.param(("list", "team@example.com"), 2, id="A55"),
        pytest.param(("alias", "sales@example.com"), 1, id="A56"),
        pytest.param(("--domain", "backup.example"), 5, id="domain"),
    ],
)
@pytest.mark.parametrize("source", ["sqlite", "ldap"])
def test_the_command_writes_a_part(
    database: Rig, directory: LdapRig, source: str, arguments: tuple[str, ...], count: int
) -> None:
    options = (*source_of(database), "export", "--ldif", "--suffix", SUFFIX)
    if source == "ldap":
        options = ("--url", directory.url, "export", "--ldif")
    result = run(*options, *arguments)
    if (source, arguments[0]) == ("sqlite", "list"):
        assert result.exit_code == 9
        assert "mailing lists" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    assert len(parsed(result.stdout)) == count


def test_the_command_writes_a_file_for_its_owner_only(database: Rig, workdir: Path) -> None:
    file = workdir / "all.ldif"
    command = (*source_of(database), "export", "--ldif", "--suffix", SUFFIX, "--output", str(file))
    old = os.umask(0)
    try:
        assert run(*command).exit_code == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(parsed(file.read_text())) > 30
    assert run(*command).exit_code == 2


def test_hashes_are_not_shown_on_a_terminal(workdir: Path) -> None:
    cli = Cli.with_store(workdir)
    terminal = Terminal(cli, "export", "--ldif", "--suffix", SUFFIX)
    assert terminal.end() == 2
    assert "--output" in terminal.seen
    terminal = Terminal(cli, "export", "--ldif", "--suffix", SUFFIX, "--without-passwords")
    assert terminal.end() == 0
    assert "domainName=example.com" in terminal.seen


def test_the_command_leaves_no_half_of_a_file(database: Rig, workdir: Path) -> None:
    file = workdir / "ghost.ldif"
    options = ("export", "--ldif", "--suffix", SUFFIX, "--output", str(file))
    assert run(*source_of(database), *options, "account", "ghost@example.com").exit_code == 5
    assert not file.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--ldif",),
        ("--ldif", "--suffix", SUFFIX, "account"),
        ("--ldif", "--suffix", SUFFIX, "--domain", "example.com", "alias", "sales@example.com"),
    ],
)
def test_the_command_refuses_what_it_does_not_understand(database: Rig, arguments: tuple[str, ...]) -> None:
    result = run(*source_of(database), "export", *arguments)
    assert result.exit_code in {2, 4}
    assert not result.stdout


def test_a_lost_password_makes_the_command_fail(database: Rig) -> None:
    store = database.open()
    try:
        store.accounts.create("argon@other.example", password_hash=hashed("ARGON2ID"))
        arguments = ("export", "--ldif", "--suffix", SUFFIX, "account", "argon@other.example")
        result = run(*source_of(database), *arguments)
        assert result.exit_code == 1
        assert "set a new password" in result.stderr
        assert run(*source_of(database), *arguments[:-2], "--login-by", "lookup", *arguments[-2:]).exit_code == 0
    finally:
        store.accounts.delete("argon@other.example")
        store.close()
