"""A deleted domain comes back from a directory with all of its entries, wholly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import AlreadyExists, NotFound, PermissionDenied, StoreUnavailable, purge_due
from mailstore.errors import HomeError
from mailstore.ldap import ldif
from mailstore.ldap.connection import Directory
from mailstore.ldap.iredmail.names import locks
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.passwords import hash_password
from tests.ldap.rig import counting
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

READY = hash_password("x")
TODAY = datetime.now(UTC).date()
A = "domainName=a.test,o=domains,dc=mailstore,dc=test"
BOB = f"mail=bob@a.test,ou=Users,{A}"


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    """A domain with everything that there is, and another one that leads to it."""
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    empty_homes(rig)
    store: Any = rig.shared
    for domain in ("a.test", "b.test"):
        store.domains.create(domain)
    for address in ("bob@a.test", "eve@a.test", "f@b.test", "boss@b.test", "copy@b.test"):
        store.accounts.create(address, password="secret", name=f"The {address}")
    store.domains.add_alias_domains("a.test", ["aa.test"])
    store.domains.update(
        "a.test", name="A", max_accounts=9, default_language="de_DE", catch_all=["eve@a.test"], sender_bcc="copy@b.test",
        outbound_relay="[r.example.net]",
    )  # fmt: skip
    store.aliases.create("all@a.test", members=["bob@a.test", "eve@a.test", "x@other.org"], moderators=["bob@a.test"])
    store.aliases.create("none@a.test", members=["bob@aa.test"])
    store.aliases.create("board@b.test", members=["bob+x@aa.test"])
    store.lists.create("staff@a.test", members=["bob@a.test", "f@b.test", "x@other.org"], owners=["eve@a.test"])
    store.lists.create("crew@b.test", members=["eve@a.test", "none@a.test", "later@a.test"])
    store.accounts.update(
        "bob@a.test", aliases=["b@a.test", "b@b.test", "bobby@aa.test"], forwarding=["x@other.org"],
        recipient_bcc="copy@b.test",
    )  # fmt: skip
    store.accounts.update("f@b.test", forwarding=["bob@a.test"], keep_copy=False, aliases=["f@a.test"])
    store.accounts.update("copy@b.test", forwarding=["all@a.test"], keep_copy=False)
    store.admins.promote("eve@a.test", domains=["a.test", "b.test"])
    store.admins.promote("boss@b.test", domains=["a.test"])
    store.admins.create("root@admin.example", password="x", domains=["a.test"])
    with rig.server.connect() as client:
        for above in (A, BOB):
            card: dict[str, Any] = {"sn": "B", "jpegPhoto": b"\xff\xd8\x00\xff", "description": ["one", "two"]}
            assert client.add(f"ou=book,{above}", ["organizationalUnit"]), client.result
            assert client.add(f"cn=Bob,ou=book,{above}", ["inetOrgPerson"], card), client.result
    return rig


@pytest.fixture
def store(rig: LdapRig) -> IRedMailDirectory:
    return rig.shared


def entries(rig: LdapRig) -> dict[str, Any]:
    """Return what the directory holds, by name, without what the server notes."""
    found = {}
    for dn, attributes in ldif.parse(rig.server.dump().splitlines()):
        kept = {name: sorted(values) for name, values in attributes.items() if "entry" not in name.lower()}
        found[dn] = {name: values for name, values in kept.items() if not name.lower().endswith(("timestamp", "name"))}
    return found


def records(rig: LdapRig) -> list[Any]:
    companion = rig.shared._context.companion
    with companion.db.reading() as connection:
        return [row for table in companion.tables.values() for row in connection.execute(table.select()).all()]


def problems(store: IRedMailDirectory) -> list[str]:
    return [str(finding) for finding in store.check() if finding.severity == "error"]


def test_everything_comes_back(store: IRedMailDirectory, rig: LdapRig) -> None:
    before, found = entries(rig), problems(store)
    accounts = {address: store.accounts.get(address).home for address in ("bob@a.test", "eve@a.test")}
    assert store.domains.delete("a.test", keep_mailbox_days=7) == 2
    assert not [dn for dn in entries(rig) if dn.endswith(A)]
    (record,) = store.deleted.domains()
    assert (record.domain, record.accounts, record.due) == ("a.test", 2, TODAY + timedelta(days=7))
    assert {mailbox.domain_record for mailbox in store.deleted.list()} == {record.id}
    assert not store.accounts.get("boss@b.test").admin
    restored = store.deleted.restore_domain("a.test")
    assert (restored.name, restored.catch_all, restored.alias_domains) == ("A", ("eve@a.test",), ("aa.test",))
    assert entries(rig) == before
    assert {address: store.accounts.get(address).home for address in accounts} == accounts
    assert store.accounts.verify_password("bob@a.test", "secret")
    assert list(store.deleted.domains()) == []
    assert records(rig) == []
    assert problems(store) == found


def test_without_what_is_purged(store: IRedMailDirectory, rig: LdapRig) -> None:
    store.domains.delete("a.test", keep_mailbox_days=7)
    bob = next(record for record in store.deleted.list() if record.address == "bob@a.test")
    store.deleted.reschedule(bob.id, keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(store)] == ["purged"]
    store.deleted.restore_domain("a.test")
    assert [account.address for account in store.accounts.list(domain="a.test")] == ["eve@a.test"]
    assert store.aliases.get("all@a.test").members == ("eve@a.test", "x@other.org")
    assert store.aliases.get("none@a.test").members == ()
    assert set(store.lists.get("staff@a.test").members) == {"f@b.test", "x@other.org"}
    left = {dn: entry for dn, entry in entries(rig).items() if "bob" in repr((dn, entry)) and "ou=book" not in dn}
    assert left == {}
    assert problems(store) == []


@pytest.mark.parametrize("obstacle", ["domain", "alias domain", "alias", "mail"])
def test_wholly_or_not_at_all(store: IRedMailDirectory, rig: LdapRig, obstacle: str) -> None:
    store.domains.delete("a.test", keep_mailbox_days=7)
    if obstacle == "domain":
        store.domains.create("a.test")
    elif obstacle == "alias domain":
        store.domains.add_alias_domains("b.test", ["aa.test"])
    elif obstacle == "alias":
        store.accounts.create("b@b.test", password="x")
    else:
        home = Path(next(store.deleted.list()).home)
        home.rename(f"{home}-away")
    before = entries(rig), records(rig)
    with pytest.raises(HomeError if obstacle == "mail" else AlreadyExists):
        store.deleted.restore_domain("a.test")
    assert (entries(rig), records(rig)) == before


def test_the_record_ends_with_the_last_mailbox(store: IRedMailDirectory, rig: LdapRig) -> None:
    store.domains.delete("a.test", keep_mailbox_days=0)
    assert [outcome.action for outcome in purge_due(store)] == ["purged", "purged"]
    list(purge_due(store))
    assert records(rig) == []
    with pytest.raises(NotFound):
        store.deleted.restore_domain("a.test")


def test_what_is_gone_outside_stays_away(store: IRedMailDirectory) -> None:
    store.domains.delete("a.test", keep_mailbox_days=7)
    store.lists.delete("crew@b.test")
    store.admins.delete("root@admin.example")
    store.accounts.delete("boss@b.test")
    store.accounts.create("boss@b.test", password="x")
    assert store.deleted.restore_domain("a.test").admins == ("eve@a.test",)
    assert not store.accounts.get("boss@b.test").admin
    store.lists.create("crew@b.test")
    assert store.lists.get("crew@b.test").members == ()
    assert problems(store) == []


def test_mailboxes_restored_one_by_one(store: IRedMailDirectory, rig: LdapRig) -> None:
    store.domains.delete("a.test")
    store.domains.create("a.test")
    for record in list(store.deleted.list()):
        store.deleted.restore(record.id)
    assert records(rig) == []


def test_the_cost_does_not_grow_with_the_domain(rig: LdapRig) -> None:
    rig.clear()
    with rig.open_without_disk() as store:
        costs = []
        for number in (3, 60):
            store.domains.create("c.test")
            store.accounts.create_many({"address": f"u{n}@c.test", "password_hash": READY} for n in range(number))
            with counting(store) as deleting:
                store.domains.delete("c.test")
            with counting(store) as restoring:
                store.deleted.restore_domain("c.test")
            assert store.accounts.count(domain="c.test") == number
            costs.append((len(deleting) - number, len(restoring) - number))
            store.domains.delete("c.test", keep_mailbox_days=0)
            rig.clear()
        assert costs[0] == costs[1]


def test_who_may_restore_a_domain(store: IRedMailDirectory) -> None:
    store.admins.promote("f@b.test", global_admin=True)
    store.domains.delete("a.test")
    with pytest.raises(PermissionDenied):
        store.acting_as("root@admin.example").deleted.restore_domain("a.test")
    assert store.acting_as("f@b.test").deleted.restore_domain("a.test").domain == "a.test"


def without_ours(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out the setting that is left if nothing but its own removal was interrupted, and the locks of the dead."""
    ours = (b"mailstoreRestored:", b"mailstoreLock:")
    for entry in found.values():
        for name in ("accountSetting", "description"):
            if kept := [value for value in entry.pop(name, []) if not value.startswith(ours)]:
                entry[name] = kept
    return found


class Died(BaseException):
    """Ends an operation so that nothing is taken back."""


@pytest.fixture
def dying(store: IRedMailDirectory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let the process seem dead from a number of writes on: it writes nothing more, to take something back neither."""
    monkeypatch.setattr(locks, "LIFETIME_SECONDS", -1)
    originals = {name: getattr(Directory, name) for name in ("add", "modify", "delete", "rename")}

    def die_after(writes: int) -> None:
        left = [writes]

        def dying(name: str) -> Callable[..., Any]:
            def write(self: Directory, *args: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Died
                return originals[name](self, *args, **options)

            return write

        for name in originals:
            monkeypatch.setattr(Directory, name, dying(name) if writes >= 0 else originals[name])

    yield die_after
    die_after(-1)
    with NameSpace(store._context).lock_domain_names():
        pass  # the lock of the last of the dead is free at once only here


def test_an_interrupted_restore_is_finished_by_the_same_call(
    store: IRedMailDirectory, rig: LdapRig, dying: Callable[[int], None]
) -> None:
    before = entries(rig)
    store.domains.delete("a.test", keep_mailbox_days=7)
    with counting(store) as seen:
        store.deleted.restore_domain("a.test")
    writes = sum(kind != "search" for kind in seen.kinds)
    for step in range(2, writes, 4):
        store.domains.delete("a.test", keep_mailbox_days=7)
        dying(step)
        with pytest.raises(Died):
            store.deleted.restore_domain("a.test")
        dying(-1)
        if step % 8 == 2 and store.deleted.count():  # or by deleting it once more
            with suppress(NotFound):
                store.domains.delete("a.test", keep_mailbox_days=7)
        if list(store.deleted.domains()):
            store.deleted.restore_domain("a.test")
        assert without_ours(entries(rig)) == before, step
        assert records(rig) == []


def test_an_interrupted_deletion_is_finished_and_undone(
    store: IRedMailDirectory, rig: LdapRig, dying: Callable[[int], None]
) -> None:
    before = entries(rig)
    with counting(store) as seen:
        store.domains.delete("a.test", keep_mailbox_days=7)
    store.deleted.restore_domain("a.test")
    for step in range(2, sum(kind != "search" for kind in seen.kinds), 6):
        dying(step)
        with pytest.raises(Died):
            store.domains.delete("a.test", keep_mailbox_days=7)
        dying(-1)
        store.domains.delete("a.test", keep_mailbox_days=7)
        store.deleted.restore_domain("a.test")
        assert without_ours(entries(rig)) == before, step
        assert records(rig) == []


def test_unavailable(store: IRedMailDirectory, rig: LdapRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in between takes everything back."""
    store.domains.delete("a.test", keep_mailbox_days=7)
    before, original, seen = (entries(rig), records(rig)), Directory.add, []

    def fail(self: Directory, dn: Any, *args: Any, **options: Any) -> Any:
        seen.append(dn)
        if len(seen) == 9:
            raise StoreUnavailable("away")
        return original(self, dn, *args, **options)

    monkeypatch.setattr(Directory, "add", fail)
    with pytest.raises(StoreUnavailable):
        store.deleted.restore_domain("a.test")
    assert (entries(rig), records(rig)) == before
