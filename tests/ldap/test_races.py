"""Racing writers, each a process of its own: one name space, limits that hold, nothing lost, locks that outlive nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailstore import AlreadyExists, Conflict, Edit, LimitExceeded, NotFound, StoreUnavailable
from mailstore.ldap.iredmail.names import locks
from mailstore.ldap.iredmail.names.locks import new_lock_value
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.ldap.names import DN
from mailstore.maildir import TRASH
from mailstore.purge import purge_due
from tests.faults.children import in_thread, race, refusals, successes
from tests.ldap.faults import HASH, make_rig, problems, watching
from tests.ldap.rig import LdapRig
from tests.servers.slapd import Slapd
from tests.stores import empty_homes

MANY = 8
BOB = "bob@example.com"


@pytest.fixture(scope="module")
def module_rig(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[LdapRig]:
    with Slapd(scratch_root / "races") as server:
        rig = make_rig(server, scratch_root / "races", vmail_owner)
        yield rig
        rig.close()


@pytest.fixture
def rig(module_rig: LdapRig) -> Iterator[LdapRig]:
    """A tree with three domains; whatever happens in it, nothing may be wrong afterwards."""
    module_rig.clear()
    empty_homes(module_rig)
    store = module_rig.shared
    for domain in ("example.com", "other.com"):
        store.domains.create(domain)
    store.domains.add_alias_domains("example.com", ["alias.com"])
    yield module_rig
    assert problems(store) == []


@pytest.fixture
def store(rig: LdapRig) -> IRedMailDirectory:
    return rig.shared


@pytest.fixture
def people(store: IRedMailDirectory) -> list[str]:
    addresses = [f"u{number}@example.com" for number in range(6)]
    for address in addresses:
        create(store, address, home=f"/var/vmail/{address}")
    return addresses


def create(store: IRedMailDirectory, address: str, **fields: Any) -> str:
    return store.accounts.create(address, password_hash=HASH, **fields).address


class TestOneName:
    def test_creators_in_processes(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        outcomes = race(rig, [partial(create, store, BOB)] * MANY)
        assert successes(outcomes) == [BOB]
        assert refusals(outcomes) == [AlreadyExists] * (MANY - 1)

    def test_creators_in_threads_of_one_store(self, store: IRedMailDirectory) -> None:
        def attempt(_number: int) -> Any:
            try:
                return create(store, BOB)
            except AlreadyExists as error:
                return error

        with ThreadPoolExecutor(MANY) as pool:
            outcomes = list(pool.map(attempt, range(MANY)))
        assert successes(outcomes) == [BOB]

    def test_every_kind_of_holder(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        name = "sales@example.com"
        outcomes = race(
            rig,
            [
                partial(create, store, name),
                partial(store.aliases.create, name, members=[people[0]]),
                partial(store.lists.create, name, members=[people[0]]),
                partial(store.accounts.add_aliases, people[1], [name]),
                partial(store.accounts.add_aliases, people[2], ["sales@alias.com"]),
                partial(store.accounts.rename, people[3], name),
                partial(create, store, "x@example.com", aliases=[name]),
            ],
        )
        assert len(successes(outcomes)) == 1
        assert set(refusals(outcomes)) == {AlreadyExists}

    def test_an_alias_domain_and_those_who_create(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        """Whoever is created gets an address under the new alias domain, whether it came before or after."""
        creators = [partial(create, store, f"n{number}@example.com") for number in range(4)]
        adding: Callable[[], object] = partial(store.domains.add_alias_domains, "example.com", ["second.com"])
        assert refusals(race(rig, [*creators[:2], adding, *creators[2:]])) == []
        for number in range(4):
            with pytest.raises(AlreadyExists):
                store.accounts.add_aliases(f"n{(number + 1) % 4}@example.com", [f"n{number}@second.com"])

    def test_domain_names(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        outcomes = race(
            rig,
            [
                partial(store.domains.create, "new.com"),
                partial(store.domains.add_alias_domains, "example.com", ["new.com"]),
                partial(store.domains.add_alias_domains, "other.com", ["new.com"]),
                partial(store.admins.create, "root@new.com", password_hash=HASH),
            ]
            * 2,
        )
        # Adding an alias domain that the same domain has already is no error.
        assert 1 <= len(successes(outcomes)) <= 2
        assert len(set(map(str, successes(outcomes)))) == 1

    def test_rename_and_delete(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        outcomes = race(
            rig, [partial(store.accounts.rename, people[0], BOB), partial(store.accounts.delete, people[0])] * 2
        )
        assert len(successes(outcomes)) == 1
        assert set(refusals(outcomes)) == {NotFound}

    def test_two_renames_to_one_name(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        outcomes = race(rig, [partial(store.accounts.rename, address, BOB) for address in people])
        assert len(successes(outcomes)) == 1
        assert refusals(outcomes) == [AlreadyExists] * (len(people) - 1)

    def test_moves_in_both_directions(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        """Both need the locks of both domains; nobody may wait for each other."""
        there = [create(store, f"v{number}@other.com", home=f"/var/vmail/v{number}") for number in range(3)]
        moves = [partial(store.accounts.rename, name, name.replace("example", "other")) for name in people[:3]]
        moves += [partial(store.accounts.rename, name, name.replace("other", "example")) for name in there]
        assert refusals(race(rig, moves)) == []

    def test_accounts_of_a_domain_that_goes(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        creators = [partial(create, store, f"n{number}@example.com") for number in range(4)]
        deleting: Callable[[], object] = partial(store.domains.delete, "example.com")
        outcomes = race(rig, [*creators[:2], deleting, *creators[2:]])
        assert set(refusals(outcomes)) <= {NotFound}
        assert store.accounts.count() == 0
        made = [outcome for outcome in successes(outcomes) if isinstance(outcome, str)]
        assert store.deleted.count() == len(people) + len(made)


class TestLimits:
    def test_accounts(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        store.domains.update("example.com", max_accounts=3)
        outcomes = race(rig, [partial(create, store, f"n{number}@example.com") for number in range(MANY)])
        assert len(successes(outcomes)) == store.accounts.count() == 3
        assert refusals(outcomes) == [LimitExceeded] * (MANY - 3)

    def test_quota(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        """Accounts are made, enlarged and moved here, all at once."""
        for address in people:
            store.accounts.update(address, quota="100M")
        create(store, "old@other.com", quota="100M")
        store.domains.update("other.com", quota="1000M")
        actions: list[Callable[[], object]] = [
            partial(create, store, f"n{number}@other.com", quota="300M") for number in range(4)
        ]
        actions += [partial(store.accounts.rename, name, name.replace("example", "other")) for name in people[:3]]
        actions += [partial(store.accounts.update, "old@other.com", quota="400M")]
        outcomes = race(rig, actions)
        assert set(refusals(outcomes)) == {LimitExceeded}
        quotas = [account.quota.bytes or 0 for account in store.accounts.list(domain="other.com")]
        assert 700 < sum(quotas) >> 20 <= 1000


class TestReadModifyWrite:
    def test_fields_of_one_account(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        bob = people[0]
        names = [f"x{number}@ext.org" for number in range(4)]
        outcomes = race(
            rig,
            [
                *[partial(store.accounts.update, bob, forwarding=Edit(add=[name])) for name in names],
                *[partial(store.accounts.add_aliases, bob, [f"b{number}@example.com"]) for number in range(3)],
                partial(store.accounts.update, bob, name="Bob", quota="1G"),
                partial(store.accounts.update, bob, timezone="Europe/Rome", services=Edit(remove=["imap"])),
            ],
        )
        assert refusals(outcomes) == []
        account = store.accounts.get(bob)
        assert account.forwarding == tuple(names)
        assert account.aliases == ("b0@example.com", "b1@example.com", "b2@example.com")
        assert (account.name, account.timezone, "imap" in account.services) == ("Bob", "Europe/Rome", False)
        assert account.quota.bytes == 1 << 30

    def test_one_field(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        names = [f"Name {number}" for number in range(MANY)]
        outcomes = race(rig, [partial(store.accounts.update, people[0], name=name) for name in names])
        assert set(refusals(outcomes)) <= {Conflict}
        assert store.accounts.get(people[0]).name in names

    def test_settings_of_a_domain(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        fields: dict[str, Any] = {
            "default_account_quota": "1G", "max_account_quota": "9G", "min_password_length": 8,
            "default_language": "de_DE", "disabled_services": ["pop3"], "disabled_user_profiles": ["bcc"],
        }  # fmt: skip
        outcomes = race(
            rig, [partial(store.domains.update, "example.com", **{name: value}) for name, value in fields.items()]
        )
        assert refusals(outcomes) == []
        one_by_one, together = store.domains.update("other.com", **fields), store.domains.get("example.com")
        for name in fields:
            assert getattr(together, name) == getattr(one_by_one, name), name

    def test_members(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        store.aliases.create("all@example.com", members=["a@ext.org"])
        store.lists.create("list@example.com", members=["a@ext.org"])
        names = [f"x{number}@ext.org" for number in range(4)]
        added = [partial(kind.add_members, f"{name}@example.com", [each]) for kind, name in
                 ((store.aliases, "all"), (store.lists, "list")) for each in names]  # fmt: skip
        assert refusals(race(rig, added)) == []
        assert store.aliases.get("all@example.com").members == ("a@ext.org", *names)
        assert store.lists.get("list@example.com").members == ("a@ext.org", *names)


OPERATIONS: dict[str, Callable[[IRedMailDirectory], object]] = {
    "update": lambda store: store.accounts.update(BOB, name="Bob", forwarding=Edit(add=["q@ext.org"])),
    "aliases": lambda store: store.accounts.add_aliases(BOB, ["b2@other.com"]),
    "rename": lambda store: store.accounts.rename(BOB, "robert@example.com"),
    "add-alias-domain": lambda store: store.domains.add_alias_domains("example.com", ["second.com"]),
    "remove-alias-domain": lambda store: store.domains.remove_alias_domains("example.com", ["alias.com"]),
    "disable-domain": lambda store: store.domains.update("example.com", enabled=False),
    "members": lambda store: store.aliases.add_members("all@example.com", ["q@ext.org"]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_change_by_another_tool_survives(rig: LdapRig, store: IRedMailDirectory, operation: str) -> None:
    """It happens right before each write, between our reading and our writing."""
    create(store, BOB, home="/var/vmail/bob", forwarding=["x@ext.org"])
    store.aliases.create("all@example.com", members=[BOB])
    counted = 0
    with rig.server.connect() as connection:

        def interfere(number: int, kind: str, dn: str) -> None:
            nonlocal counted
            if kind == "modify" and dn.startswith("mail="):
                counted += 1
                change = {"mailForwardingAddress": [("MODIFY_ADD", [f"f{number}@ext.org"])]}
                assert connection.modify(dn, change), connection.result
                change = {"shadowAddress": [("MODIFY_ADD", [f"s{number}@foreign.org"])]}
                assert connection.modify(dn, change), connection.result

        # Once for every write: what is tried again is not disturbed again.
        with watching(store, lambda number, kind, dn: interfere(number, kind, dn) if counted < 4 else None):
            OPERATIONS[operation](store)
        connection.search(rig.server.suffix, "(mail=*)", attributes=["mailForwardingAddress", "shadowAddress"])
        values = [value for entry in connection.response for each in entry["attributes"].values() for value in each]
    assert counted > 0
    assert len([value for value in values if value.endswith("@foreign.org")]) == counted
    assert len([value for value in values if value.startswith("f") and value.endswith("@ext.org")]) == counted
    with rig.server.connect() as connection:  # or the check of the fixture would complain about what this test wrote
        for entry in list(_holders(connection, rig.server.suffix)):
            wanted = [value for value in entry["attributes"]["shadowAddress"] if not value.endswith("@foreign.org")]
            assert connection.modify(entry["dn"], {"shadowAddress": [("MODIFY_REPLACE", wanted)]}), connection.result


def _holders(connection: Any, suffix: str) -> list[Any]:
    connection.search(suffix, "(shadowAddress=*@foreign.org)", attributes=["shadowAddress"])
    return list(connection.response)


def test_a_member_that_is_added_while_the_last_one_goes(rig: LdapRig, store: IRedMailDirectory) -> None:
    """The entry that holds the external members of a list goes with the last of them, unless there is a new one."""
    for interfered in (False, True):
        store.lists.create("list@example.com", members=["late@example.com"])
        create(store, "late@example.com", home=f"/var/vmail/late{interfered:d}")
        with rig.server.connect() as connection:

            def interfere(_number: int, kind: str, dn: str, interfered: bool = interfered) -> None:
                if interfered and kind == "delete" and dn.startswith("memberOfGroup="):
                    assert connection.modify(dn, {"mail": [("MODIFY_ADD", ["x@ext.org"])]}), connection.result

            with watching(store, interfere):
                record = store.accounts.delete("late@example.com")
        assert record is not None
        assert store.lists.get("list@example.com").members == (("x@ext.org",) if interfered else ())
        store.lists.delete("list@example.com")


class TestPurge:
    def test_purge_restore_and_create(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        """Each mailbox is either restored with its mail, or purged; who takes the name meanwhile keeps an own home."""
        on_disk = rig.open()
        ids = {}
        for number in range(6):
            address = f"p{number}@example.com"
            account = on_disk.accounts.create(address, password_hash=HASH)
            (Path(str(account.home)) / "Maildir/new/1").write_text(address)
            record = on_disk.accounts.delete(address, keep_mailbox_days=0)
            assert record is not None
            ids[address] = record.id
        on_disk.close()
        outcomes = race(
            rig,
            [
                *[partial(on_disk.deleted.restore, number) for number in ids.values()],
                *[partial(on_disk.accounts.create, address, password_hash=HASH) for address in list(ids)[:3]],
                lambda: [outcome.action for outcome in purge_due(on_disk)],
            ],
        )
        assert set(refusals(outcomes)) <= {NotFound, AlreadyExists}
        alive = {account.address: Path(str(account.home)) for account in store.accounts.list()}
        with_mail = {path.read_text() for path in rig.root.rglob("new/1") if TRASH not in path.parts}
        waiting = {record.address for record in store.deleted.list()}
        assert with_mail == {a for a, home in alive.items() if (home / "Maildir/new/1").exists()} | waiting
        on_disk.close()

    def test_restore_twice(self, rig: LdapRig, store: IRedMailDirectory, people: list[str]) -> None:
        record = store.accounts.delete(people[0])
        assert record is not None
        outcomes = race(rig, [partial(store.deleted.restore, record.id)] * 4)
        assert len(successes(outcomes)) == 1
        assert set(refusals(outcomes)) == {NotFound}

    def test_restores_and_deletions_of_one_domain(
        self, rig: LdapRig, store: IRedMailDirectory, people: list[str]
    ) -> None:
        """Both lock the domain and the records; nobody may wait for each other."""
        records = [store.accounts.delete(address) for address in people[:3]]
        actions: list[Callable[[], object]] = [
            partial(store.deleted.restore, record.id) for record in records if record is not None
        ]
        actions += [partial(store.accounts.delete, address) for address in people[3:]]
        started = time.monotonic()
        assert refusals(race(rig, actions)) == []
        assert time.monotonic() - started < 8


class TestLocks:
    @pytest.fixture
    def dn(self, store: IRedMailDirectory) -> DN:
        return store._context.places.domain("example.com")

    def hold(self, rig: LdapRig, dn: str, value: str) -> None:
        with rig.server.connect() as connection:
            assert connection.modify(dn, {"accountSetting": [("MODIFY_ADD", [value])]}), connection.result

    def free(self, rig: LdapRig, dn: str, value: str) -> None:
        with rig.server.connect() as connection:
            assert connection.modify(dn, {"accountSetting": [("MODIFY_DELETE", [value])]}), connection.result

    def test_a_living_lock_is_waited_for(self, rig: LdapRig, store: IRedMailDirectory, dn: DN) -> None:
        value = new_lock_value()
        self.hold(rig, dn, value)
        result = in_thread(lambda: create(store, BOB))
        time.sleep(0.3)
        assert not store.accounts.exists(BOB)
        self.free(rig, dn, value)
        assert result() == BOB

    def test_whoever_waits_too_long_is_told(
        self, rig: LdapRig, store: IRedMailDirectory, dn: DN, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(locks, "WAIT_SECONDS", 0.2)
        value = new_lock_value()
        self.hold(rig, dn, value)
        with pytest.raises(StoreUnavailable, match="somebody else has held the lock"):
            create(store, BOB)
        self.free(rig, dn, value)

    def test_a_stale_lock_is_taken_over_by_one(self, rig: LdapRig, store: IRedMailDirectory, dn: DN) -> None:
        self.hold(rig, dn, f"mailstoreLock:{int(time.time()) - locks.LIFETIME_SECONDS - 5}:dead")
        assert any(finding.code == "interrupted" for finding in store.check())
        outcomes = race(rig, [partial(create, store, BOB)] * 4)
        assert successes(outcomes) == [BOB]
        assert set(refusals(outcomes)) == {AlreadyExists}
        assert not any(finding.code == "interrupted" for finding in store.check())

    @pytest.mark.parametrize("moment", ["at the end", "in the middle"])
    def test_a_lock_that_was_lost_is_reported(
        self, rig: LdapRig, store: IRedMailDirectory, dn: DN, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        """Somebody took it over, because this took too long."""
        create(store, BOB)
        if moment == "in the middle":
            monkeypatch.setattr(locks, "_RENEW_SECONDS", -1)

        def steal(number: int, _kind: str, _dn: str) -> None:
            if number == 2:
                with rig.server.connect() as connection:
                    connection.search(dn, "(objectClass=mailDomain)", "BASE", attributes=["accountSetting"])
                    values = connection.response[0]["attributes"]["accountSetting"]
                    held = [value for value in values if value.startswith("mailstoreLock")]
                    assert connection.modify(dn, {"accountSetting": [("MODIFY_DELETE", held)]}), connection.result

        with watching(store, steal), pytest.raises(Conflict, match="somebody else took over the lock") as caught:
            store.domains.update("example.com", enabled=False)
        assert caught.value.temporary
        assert caught.value.state == ("the operation itself was done" if moment == "at the end" else None)
        assert store.domains.get("example.com").enabled is (moment == "in the middle")

    def test_a_domain_that_was_never_finished(self, rig: LdapRig, store: IRedMailDirectory) -> None:
        """Nothing is put into it; it can be created again, or deleted."""
        for finish in (store.domains.create, store.domains.delete):
            store.domains.create("half.com")
            half = store._context.places.domain("half.com")
            self.hold(rig, half, f"mailstoreLock:{int(time.time()) - 100}:dead:unfinished")
            with pytest.raises(NotFound, match="its creation was interrupted; create it again"):
                create(store, "bob@half.com")
            finish("half.com")
            assert store.domains.exists("half.com") is (finish == store.domains.create)
            if store.domains.exists("half.com"):
                store.domains.delete("half.com")
