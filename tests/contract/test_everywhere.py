"""What stores promise whatever they lack; only few capabilities are needed here, and nothing of a domain is assumed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailstore import (
    AlreadyExists,
    BulkRefused,
    Capability,
    Edit,
    InvalidValue,
    NotFound,
    NotSupported,
    PermissionDenied,
    Store,
    purge_due,
)
from mailstore.fields import AccountFields, AliasFields, DomainFields
from mailstore.passwords import hash_password
from tests.contract.hosting import credentials, host
from tests.tables import in_turn

BOB, EVE, SALES = "bob@example.com", "eve@example.com", "sales@example.com"
READY = hash_password("secret")


@pytest.fixture(autouse=True)
def domains(store: Store) -> None:
    host(store, "example.com", "other.com")


@pytest.fixture
def bob(store: Store) -> str:
    store.accounts.create(BOB, password="secret")
    return BOB


class TestAccounts:
    @pytest.mark.backend
    def test_lists_by_domain_and_text(self, store: Store) -> None:
        for address in ("user2@example.com", "user1@example.com", "hans_@other.com"):
            store.accounts.create(address, **credentials(store))
        for query, found in (
            ({}, ["hans_@other.com", "user1@example.com", "user2@example.com"]),
            ({"domain": "Other.com"}, ["hans_@other.com"]),
            ({"domain": "her.com"}, []),
            ({"search": "SER1"}, ["user1@example.com"]),
            ({"search": "_"}, ["hans_@other.com"]),
            ({"search": "%"}, []),
            ({"enabled": True, "search": "user"}, ["user1@example.com", "user2@example.com"]),
            ({"enabled": False}, []),
        ):
            selection: Any = query
            listed = list(store.accounts.list(**selection))
            assert [account.address for account in listed] == found
            assert store.accounts.count(**selection) == len(found)
            assert listed == [store.accounts.get(address) for address in found]

    def test_many_at_once(self, store: Store) -> None:
        rows = [{"address": f"u{number}@example.com", **credentials(store)} for number in range(30)]
        assert store.accounts.create_many([*rows, {"address": "pw@other.com", "password": "secret"}]) == 31
        assert store.accounts.count(domain="example.com") == 30
        assert store.accounts.verify_password("pw@other.com", "secret")
        made = store.accounts.get("u29@example.com")
        assert made.home is not None
        assert Path(made.home, made.mailbox_folder, "cur").is_dir()

    @pytest.mark.usefixtures("bob")
    @pytest.mark.backend
    def test_many_at_once_or_none(self, store: Store) -> None:
        rows: list[dict[str, Any]] = [
            {"address": "good@example.com", "password": "x"},
            {"address": "bad", "password": "x"},
            {"address": "BOB@example.com", "password": "x"},
            {"address": "GOOD@example.com", "password": "x"},
            {"address": "nopass@example.com"},
        ]
        with pytest.raises(BulkRefused) as caught:
            store.accounts.create_many(rows)
        assert [index for index, _ in caught.value.rows] == [1, 2, 3, 4]
        assert store.accounts.count() == 1

    def test_password_for_all_of_a_domain(self, store: Store, bob: str) -> None:
        store.accounts.create(EVE, password="secret")
        store.accounts.create("bob@other.com", password="secret")
        assert store.accounts.update_all("example.com", password="both") == 2
        assert store.accounts.verify_password(bob, "both")
        assert store.accounts.password_hash(bob) != store.accounts.password_hash(EVE)
        assert store.accounts.verify_password("bob@other.com", "secret")

    @pytest.mark.needs(Capability.READY_HASHES)
    @pytest.mark.backend
    def test_ready_hash_for_all_of_a_domain(self, store: Store) -> None:
        store.accounts.create(BOB, password="both")
        store.accounts.create(EVE, password="both")
        assert store.accounts.update_all("example.com", password_hash=READY) == 2
        assert store.accounts.verify_password(EVE, "secret")

    @pytest.mark.needs(Capability.ACCOUNT_QUOTAS)
    def test_quota(self, store: Store, bob: str) -> None:
        for quota in ("500M", "2G", "1500M"):
            assert store.accounts.update(bob, quota=quota).quota.bytes == store.accounts.get(bob).quota.bytes
            assert str(store.accounts.get(bob).quota) == quota
        assert store.accounts.update(bob, quota="unlimited").quota.unlimited

    @pytest.mark.backend
    def test_one_of_two_racing_creators_wins(self, store: Store) -> None:
        results: list[str] = []
        start = threading.Barrier(4)

        def create() -> None:
            start.wait()
            try:
                store.accounts.create(BOB, **credentials(store))
                results.append("made")
            except AlreadyExists:
                results.append("refused")

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == ["made", "refused", "refused", "refused"]

    def test_what_the_store_lacks_is_refused_by_name(self, store: Store, bob: str) -> None:
        lacking: dict[Capability, Any] = {
            Capability.ACCOUNT_PROFILE: lambda: store.accounts.update(bob, sender_bcc="x@other.org"),
            Capability.ACCOUNT_QUOTAS: lambda: store.accounts.update(bob, quota="1G"),
            Capability.ACCOUNT_ALIASES: lambda: store.accounts.add_aliases(bob, ["b@example.com"]),
            Capability.DISABLING: lambda: store.accounts.update(bob, enabled=False),
            Capability.RENAMING: lambda: store.accounts.rename(bob, "robert@example.com"),
            Capability.HOME_PATHS: lambda: store.accounts.create(EVE, password="x", home="/var/vmail/x/eve"),
            Capability.STANDALONE_ADMINS: lambda: store.admins.create("root@admins.org", password="x"),
            Capability.DOMAIN_ADMINS: lambda: store.admins.add_to_domain("example.com", [bob]),
            Capability.DOMAINS: lambda: store.domains.create("new.com"),
            Capability.ARCHIVE: lambda: list(store.deleted.archived()),
            Capability.PERMITTED_SENDERS: lambda: store.aliases.create(SALES, members=[bob], permitted_senders=[bob]),
            Capability.RETENTION: lambda: list(store.deleted.list()),
            Capability.ALIASES: lambda: store.aliases.create(SALES, members=[bob]),
            Capability.READY_HASHES: lambda: store.accounts.update(bob, password_hash=READY),
        }
        before = store.accounts.get(bob)
        for capability in lacking.keys() - store.capabilities:
            with pytest.raises(NotSupported):
                lacking[capability]()
        assert list(store.accounts.list()) == [before]
        if Capability.ALIASES in store.capabilities:
            assert store.aliases.count() == 0

    def test_what_is_so_anyway_is_taken_whether_the_store_has_a_place_for_it_or_not(
        self, store: Store, bob: str
    ) -> None:
        """Whoever copies accounts between stores writes whole records, most of whose values say nothing."""
        before = store.accounts.get(bob)
        as_it_is: Any = {name: getattr(before, name) for name in AccountFields.__annotations__}
        assert replace(store.accounts.update(bob, **as_it_is), modified=before.modified) == before
        blank: Any = {"department": "", "keep_copy": True, "aliases": (), "forwarding": [], "quota": "unlimited"}
        store.accounts.create(EVE, **credentials(store), **blank)
        row = {"address": "ann@example.com", **credentials(store), **blank}
        assert store.accounts.create_many([row]) == 1
        assert store.accounts.update_all("example.com", language="", transport="") == 3
        if Capability.ACCOUNT_PROFILE not in store.capabilities:
            for bad in ({"department": "x"}, {"sender_bcc": "x@other.org"}, {"allow_nets": ["192.0.2.1"]}):
                given: Any = bad
                with pytest.raises(NotSupported, match=min(bad)):
                    store.accounts.update(bob, **given)

    @pytest.mark.needs(Capability.DOMAINS)
    def test_a_domain_is_written_back_as_it_was_read(self, store: Store) -> None:
        before = store.domains.get("example.com")
        as_it_is: Any = {name: getattr(before, name) for name in DomainFields.__annotations__}
        assert replace(store.domains.update("example.com", **as_it_is), modified=before.modified) == before

    @in_turn("field", ["aliases", "forwarding", "keep_copy"])
    def test_what_cannot_be_made_in_bulk_is_refused_by_row(self, store: Store, field: str) -> None:
        value: Any = False if field == "keep_copy" else ["x@example.com"]
        with pytest.raises(BulkRefused) as caught:
            store.accounts.create_many([{"address": BOB, **credentials(store), field: value}])
        assert isinstance(caught.value.rows[0][1], InvalidValue | NotSupported)
        assert store.accounts.count() == 0


@pytest.mark.needs(Capability.ALIASES)
class TestAliases:
    def test_an_alias_is_written_back_as_it_was_read(self, store: Store, bob: str) -> None:
        made = store.aliases.create(SALES, members=[bob])
        as_it_is: Any = {name: getattr(made, name) for name in AliasFields.__annotations__}
        assert replace(store.aliases.update(SALES, **as_it_is), modified=made.modified) == made

    def test_members(self, store: Store, bob: str) -> None:
        made = store.aliases.create("Sales@Example.com", members=["Eve@other.org", "eve@OTHER.org", bob])
        assert made == store.aliases.get(SALES)
        assert made.members == (bob, "eve@other.org")
        store.aliases.add_members(SALES, ["new@other.org", bob])
        store.aliases.remove_members(SALES, ["eve@other.org", "nobody@other.org"])
        assert store.aliases.get(SALES).members == (bob, "new@other.org")
        assert store.aliases.update(SALES, members=["only@other.org"]).members == ("only@other.org",)
        edited = store.aliases.update(SALES, members=Edit(add=[bob], remove=["only@other.org"]))
        assert edited.members == (bob,)

    @in_turn("members", [["x"], "a@b.org", ["a b@example.com"]])
    def test_bad_members(self, store: Store, members: Any) -> None:
        with pytest.raises(InvalidValue):
            store.aliases.create(SALES, members=members)
        assert not store.aliases.exists(SALES)

    def test_one_name_space_with_accounts(self, store: Store, bob: str) -> None:
        store.aliases.create(SALES, members=[bob])
        for taken in (bob, SALES, "SALES@example.com"):
            with pytest.raises(AlreadyExists):
                store.accounts.create(taken, password="x")
            with pytest.raises(AlreadyExists):
                store.aliases.create(taken, members=["x@other.org"])
        with pytest.raises(AlreadyExists):
            store.aliases.rename(SALES, bob)

    @pytest.mark.backend
    def test_rename(self, store: Store, bob: str) -> None:
        store.aliases.create(SALES, members=[bob])
        store.aliases.create("all@other.com", members=[SALES, "x@other.org"])
        renamed = store.aliases.rename(SALES, "shop@other.com")
        assert (renamed.address, renamed.members) == ("shop@other.com", (bob,))
        assert not store.aliases.exists(SALES)
        assert store.aliases.get("all@other.com").members == ("shop@other.com", "x@other.org")

    def test_delete(self, store: Store, bob: str) -> None:
        store.aliases.create(SALES, members=[bob])
        store.aliases.create("all@other.com", members=[SALES, "x@other.org"])
        store.aliases.delete(SALES)
        assert store.aliases.get("all@other.com").members == ("x@other.org",)
        assert store.accounts.exists(bob)
        for call in (store.aliases.delete, store.aliases.get, store.aliases.update):
            with pytest.raises(NotFound):
                call(SALES)

    def test_list(self, store: Store, bob: str) -> None:
        for address in (SALES, "all@example.com", "sales@other.com"):
            store.aliases.create(address, members=[bob])
        for query, found in (
            ({}, ["all@example.com", SALES, "sales@other.com"]),
            ({"domain": "other.com"}, ["sales@other.com"]),
            ({"search": "ALES"}, [SALES, "sales@other.com"]),
            ({"search": "%"}, []),
        ):
            selection: Any = query
            assert [alias.address for alias in store.aliases.list(**selection)] == found
            assert store.aliases.count(**selection) == len(found)

    @pytest.mark.needs(Capability.PERMITTED_SENDERS)
    def test_permitted_senders(self, store: Store, bob: str) -> None:
        store.accounts.create(EVE, password="x")
        made = store.aliases.create(SALES, members=["x@other.org"], permitted_senders=[EVE, bob])
        assert made == store.aliases.get(SALES)
        assert made.permitted_senders == (bob, EVE)
        assert store.aliases.update(SALES, permitted_senders=Edit(remove=[EVE])).permitted_senders == (bob,)
        assert store.aliases.update(SALES, members=[EVE]).permitted_senders == (bob,)
        with pytest.raises(NotFound):
            store.aliases.update(SALES, permitted_senders=["nobody@example.com"])
        assert store.aliases.update(SALES, permitted_senders=[]).permitted_senders == ()


@pytest.mark.needs(Capability.ACCOUNT_ADMINS)
class TestGlobalAdmins:
    def test_promote_login_demote(self, store: Store, bob: str) -> None:
        store.accounts.create(EVE, password="x")
        assert store.admins.login(bob, "secret") is None
        made = store.admins.promote(bob, global_admin=True)
        assert made == store.admins.get(bob)
        assert (made.kind, made.global_admin) == ("account", True)
        account = store.accounts.get(bob)
        assert (account.admin, account.global_admin) == (True, True)
        assert [admin.address for admin in store.admins.list()] == [bob]
        assert [found.address for found in store.accounts.list(admins=False)] == [EVE]
        assert store.admins.login("BOB@example.com", "secret") == made
        assert store.admins.login(bob, "wrong") is None
        store.admins.update(bob, password="changed")
        assert store.admins.verify_password(bob, "changed")
        store.admins.demote(bob)
        assert not store.accounts.get(bob).admin
        assert store.admins.count() == 0
        for call in (store.admins.get, store.admins.demote, store.acting_as):
            with pytest.raises(NotFound):
                call(bob)

    @pytest.mark.needs(Capability.RETENTION)
    def test_acting(self, store: Store, bob: str) -> None:
        store.admins.promote(bob, global_admin=True)
        acting = store.acting_as(bob)
        acting.accounts.create(EVE, password="x")
        record = acting.accounts.delete(EVE)
        assert record is not None
        assert record.deleted_by == bob
        store.admins.demote(bob)
        with pytest.raises(PermissionDenied):
            acting.accounts.create(EVE, password="x")


@pytest.mark.needs(Capability.TRANSACTIONS)
@pytest.mark.backend
def test_a_transaction_happens_wholly_or_not_at_all(store: Store, bob: str) -> None:
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
        store.accounts.create(EVE, password="x")
        with pytest.raises(AlreadyExists):
            store.accounts.create(bob, password="x")
        store.accounts.delete(bob, **({"keep_mailbox_days": 1} if Capability.RETENTION in store.capabilities else {}))
        raise RuntimeError
    assert [account.address for account in store.accounts.list()] == [bob]


@pytest.mark.needs(Capability.RETENTION)
class TestRetention:
    @pytest.mark.backend
    def test_restore_brings_account_and_memberships_back(self, store: Store, bob: str) -> None:
        if Capability.ALIASES in store.capabilities:
            store.aliases.create(SALES, members=[bob, "x@other.org"])
            store.aliases.create("gone@example.com", members=[bob, "x@other.org"])
        before = store.accounts.get(bob)
        message = Path(str(before.home), before.mailbox_folder, "new/1.test")
        message.write_text("hello")
        record = store.accounts.delete(bob, keep_mailbox_days=10)
        assert record is not None
        assert record.restorable
        if Capability.ALIASES in store.capabilities:
            assert store.aliases.get(SALES).members == ("x@other.org",)
            store.aliases.delete("gone@example.com")
        after = store.deleted.restore(record.id)
        assert (after.address, after.home, after.quota) == (before.address, before.home, before.quota)
        assert store.accounts.verify_password(bob, "secret")
        assert message.read_text() == "hello"
        if Capability.ALIASES in store.capabilities:
            assert store.aliases.get(SALES).members == (bob, "x@other.org")
            assert not store.aliases.exists("gone@example.com")
        assert store.deleted.count() == 0

    @pytest.mark.needs(Capability.ALIASES)
    def test_restore_is_refused_while_the_address_is_in_use(self, store: Store, bob: str) -> None:
        record = store.accounts.delete(bob, keep_mailbox_days=10)
        assert record is not None
        store.aliases.create(bob, members=["x@other.org"])
        with pytest.raises(AlreadyExists):
            store.deleted.restore(record.id)
        assert store.deleted.get(record.id) == record

    def test_restore_with_another_password(self, store: Store, bob: str) -> None:
        record = store.accounts.delete(bob, keep_mailbox_days=10)
        assert record is not None
        store.deleted.restore(record.id, password="other")
        assert store.accounts.verify_password(bob, "other")

    def test_an_address_that_is_made_again_is_not_purged(self, store: Store, bob: str) -> None:
        """Where the address decides the path, a store takes the mail over and calls the purge off, or refuses."""
        record = store.accounts.delete(bob, keep_mailbox_days=0)
        assert record is not None
        try:
            fresh = store.accounts.create(bob, password="new")
        except AlreadyExists:
            assert Capability.HOME_PATHS not in store.capabilities
            assert list(store.deleted.list()) == [record]
            return
        message = Path(str(fresh.home), fresh.mailbox_folder, "new/1.test")
        message.write_text("new mail")
        list(purge_due(store))
        assert message.read_text() == "new mail"
        if Capability.HOME_PATHS not in store.capabilities:
            assert fresh.home == record.home
            assert store.deleted.count() == 0
