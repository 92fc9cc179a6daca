"""Deletion, retention, restore and purge, as `mailstore.store` and `mailstore.purge` promise them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailstore import AlreadyExists, Capability, DeletedMailbox, InvalidValue, LimitExceeded, NotFound, Store
from mailstore.errors import HomeError
from mailstore.purge import Outcome, purge_due
from tests.contract.hosting import host, named
from tests.tables import in_turn

pytestmark = pytest.mark.needs(Capability.RETENTION)

TODAY = datetime.now(UTC).date()
BY_THE_STORE = {"modified", "created"}
"""A directory itself notes when an entry was made; the other stores keep what a record says."""


def day(number: int) -> date:
    return TODAY + timedelta(days=number)


def deliver(store: Store, address: str, text: str) -> Path:
    """Put a message into the home of an account, as a delivery would."""
    account = store.accounts.get(address)
    message = Path(str(account.home), account.mailbox_folder, "new/1.test")
    message.write_text(text)
    return message


def purge(store: Store, on: date, **options: Any) -> list[tuple[str, str]]:
    outcomes: list[Outcome] = list(purge_due(store, today=on, **options))
    return [(outcome.record.address if outcome.record else "", outcome.action) for outcome in outcomes]


@pytest.fixture(autouse=True)
def bob(store: Store) -> str:
    host(store, "example.com")
    store.accounts.create("bob@example.com", password="secret", quota="1G", **named(store, "Bob"))
    return "bob@example.com"


def delete(store: Store, address: str, days: int | None) -> DeletedMailbox:
    record = store.accounts.delete(address, keep_mailbox_days=days)
    assert record is not None
    return record


class TestDelete:
    def test_records_the_mailbox_and_leaves_the_mail(self, store: Store, bob: str) -> None:
        message = deliver(store, bob, "hello")
        home = store.accounts.get(bob).home
        record = delete(store, bob, 30)
        assert not store.accounts.exists(bob)
        assert message.read_text() == "hello"
        assert (record.address, record.domain, record.home, record.due) == (bob, "example.com", home, day(30))
        assert [record] == list(store.deleted.list())
        assert store.deleted.get(record.id) == record

    @pytest.mark.backend
    def test_default_is_a_hundred_years(self, store: Store, bob: str) -> None:
        assert delete(store, bob, None).due == day(36500)

    @in_turn("days", [-1, -30, 10_000_000])
    def test_bad_retention(self, store: Store, bob: str, days: int) -> None:
        with pytest.raises(InvalidValue):
            store.accounts.delete(bob, keep_mailbox_days=days)
        assert store.accounts.exists(bob)

    @pytest.mark.needs(Capability.DOMAINS)
    def test_bad_retention_of_a_domain(self, store: Store, bob: str) -> None:
        with pytest.raises(InvalidValue):
            store.domains.delete("example.com", keep_mailbox_days=-1)
        assert store.accounts.exists(bob)

    @pytest.mark.needs(Capability.HOME_PATHS, Capability.ACCOUNT_PROFILE, Capability.ACCOUNT_ALIASES)
    def test_nothing_reaches_the_next_account_of_that_name(self, store: Store, bob: str) -> None:
        message = deliver(store, bob, "private")
        store.aliases.create("all@example.com", members=[bob, "x@other.org"])
        store.accounts.update(bob, aliases=["b@example.com"], forwarding=["x@other.org"])
        record = delete(store, bob, 10)
        fresh = store.accounts.create(bob, password="new")
        assert (fresh.aliases, fresh.forwarding) == ((), ())
        assert fresh.home != record.home
        assert message.read_text() == "private"
        assert store.aliases.get("all@example.com").members == ("x@other.org",)

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.ACCESS_POLICY, Capability.ACCOUNT_ADMINS)
    def test_no_profile_and_no_rights_reach_the_next_account(self, store: Store, bob: str) -> None:
        store.aliases.create("all@example.com", members=[bob], moderators=[bob])
        store.accounts.update(bob, sender_bcc="x@other.org", outbound_relay="[r.example.net]")
        store.admins.promote(bob, global_admin=True)
        delete(store, bob, 10)
        fresh = store.accounts.create(bob, password="new")
        assert (fresh.sender_bcc, fresh.outbound_relay, fresh.admin) == ("", "", False)
        alias = store.aliases.get("all@example.com")
        assert (alias.members, alias.moderators) == ((), ())

    @pytest.mark.needs(Capability.HOME_PATHS)
    @pytest.mark.backend
    def test_deleted_again_and_again_in_one_second(self, store: Store, bob: str) -> None:
        homes = {delete(store, bob, 1).home}
        for _ in range(3):
            store.accounts.create(bob, password="x")
            homes.add(delete(store, bob, 1).home)
        assert len(homes) == 4


class TestPurge:
    @pytest.mark.backend
    def test_on_the_day(self, store: Store, bob: str) -> None:
        message = deliver(store, bob, "old")
        record = delete(store, bob, 7)
        assert purge(store, day(6)) == []
        assert message.exists()
        assert purge(store, day(7), dry_run=True) == [(bob, "would purge")]
        assert message.exists()
        assert purge(store, day(7)) == [(bob, "purged")]
        assert not Path(record.home).exists()
        assert store.deleted.count() == 0
        assert purge(store, day(8)) == []

    def test_zero_days_means_now(self, store: Store, bob: str) -> None:
        delete(store, bob, 0)
        assert purge(store, TODAY) == [(bob, "purged")]

    def test_dry_run_measures(self, store: Store, bob: str) -> None:
        deliver(store, bob, "12345")
        delete(store, bob, 0)
        (outcome,) = purge_due(store, dry_run=True)
        assert outcome.usage is not None
        assert (outcome.usage.bytes, outcome.usage.messages) == (5, 1)

    @pytest.mark.backend
    def test_undated_is_never_due(self, store: Store, bob: str) -> None:
        record = delete(store, bob, 0)
        assert store.deleted.reschedule(record.id, keep_mailbox_days=None).due is None
        assert purge(store, date(9999, 1, 1)) == []
        assert store.deleted.reschedule(record.id, keep_mailbox_days=2).due == day(2)

    @pytest.mark.needs(Capability.HOME_PATHS)
    def test_re_created_address_is_untouched(self, store: Store, bob: str) -> None:
        delete(store, bob, 0)
        store.accounts.create(bob, password="new")
        message = deliver(store, bob, "new mail")
        assert purge(store, TODAY) == [(bob, "purged")]
        assert message.read_text() == "new mail"

    def test_absent_home(self, store: Store, bob: str) -> None:
        store.accounts.create("other@example.com", password="x")
        record = delete(store, bob, 0)
        Path(record.home).rename(record.home + "-moved")
        assert purge(store, TODAY) == [(bob, "absent")]
        assert store.deleted.count() == 0

    def test_one_failure_does_not_stop_the_others(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="x")
        bad, good = delete(store, bob, 0), delete(store, "eve@example.com", 0)
        Path(bad.home).rename(bad.home + "-moved")
        Path(bad.home).symlink_to(bad.home + "-moved")
        assert purge(store, TODAY) == [(bob, "kept"), ("eve@example.com", "purged")]
        assert Path(bad.home).is_symlink()
        assert not Path(good.home).exists()
        assert store.deleted.get(bad.id).error
        Path(bad.home).unlink()

    def test_stop(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="x")
        delete(store, bob, 0)
        delete(store, "eve@example.com", 0)
        done: list[Outcome] = []
        done.extend(purge_due(store, stop=lambda: bool(done)))
        done.extend(list(purge_due(store)))
        assert [outcome.action for outcome in done] == ["purged", "purged"]
        assert store.deleted.count() == 0

    @pytest.mark.needs(Capability.DOMAINS)
    def test_whole_domain(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="x")
        assert store.domains.delete("example.com", keep_mailbox_days=3) == 2
        assert purge(store, day(3)) == [(bob, "purged"), ("eve@example.com", "purged")]


class TestRestore:
    @pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.ACCOUNT_ALIASES)
    def test_account_aliases_and_memberships_come_back(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="x", forwarding=[bob])
        store.aliases.create("all@example.com", members=[bob, "x@other.org"])
        store.accounts.update(bob, aliases=["b@example.com"], forwarding=["x@other.org"], keep_copy=False)
        message = deliver(store, bob, "hello")
        before = store.accounts.get(bob)
        record = delete(store, bob, 10)
        assert record.restorable
        after = store.deleted.restore(record.id)
        for name in before.__dataclass_fields__.keys() - BY_THE_STORE:
            assert getattr(after, name) == getattr(before, name), name
        assert store.accounts.verify_password(bob, "secret")
        assert message.read_text() == "hello"
        assert store.accounts.get("eve@example.com").forwarding == (bob,)
        assert store.aliases.get("all@example.com").members == (bob, "x@other.org")
        assert store.deleted.count() == 0
        assert purge(store, day(4000)) == []

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.DOMAIN_PROFILE, Capability.ACCESS_POLICY)
    @pytest.mark.needs(Capability.ACCOUNT_ADMINS)
    @pytest.mark.needs(
        Capability.ACCOUNT_PROFILE, Capability.ACCOUNT_ALIASES, Capability.DOMAIN_PROFILE, Capability.DOMAIN_ADMINS
    )
    @pytest.mark.backend
    def test_everything_comes_back(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="x", forwarding=[bob])
        store.aliases.create("all@example.com", members=[bob], moderators=[bob])
        store.domains.update("example.com", catch_all=[bob])
        store.accounts.update(
            bob, aliases=["b@example.com"], forwarding=["x@other.org"], keep_copy=False, sender_bcc="a@b.org",
            outbound_relay="[r.example.net]", timezone="Europe/Rome", allow_nets=["192.0.2.0/24"],
        )  # fmt: skip
        limits: dict[str, Any] = {"max_domains": 2} if Capability.ACCOUNT_ADMIN_LIMITS in store.capabilities else {}
        store.admins.promote(bob, **limits)
        message = deliver(store, bob, "hello")
        before, admin = store.accounts.get(bob), store.admins.get(bob)
        record = delete(store, bob, 10)
        assert record.restorable
        after = store.deleted.restore(record.id)
        for name in before.__dataclass_fields__.keys() - BY_THE_STORE:
            assert getattr(after, name) == getattr(before, name), name
        assert store.admins.get(bob).domains == admin.domains
        assert store.accounts.verify_password(bob, "secret")
        assert message.read_text() == "hello"
        assert store.accounts.get("eve@example.com").forwarding == (bob,)
        alias = store.aliases.get("all@example.com")
        assert (alias.members, alias.moderators) == ((bob,), (bob,))
        assert store.domains.get("example.com").catch_all == (bob,)
        assert store.deleted.count() == 0
        assert purge(store, day(4000)) == []

    @pytest.mark.needs(Capability.ACCOUNT_ALIASES, Capability.ALIASES)
    @pytest.mark.backend
    def test_what_was_taken_meanwhile_stays_with_the_new_owner(self, store: Store, bob: str) -> None:
        store.accounts.update(bob, aliases=["b@example.com", "c@example.com"])
        store.aliases.create("all@example.com", members=[bob, "x@other.org"])
        record = delete(store, bob, 10)
        store.aliases.delete("all@example.com")
        store.accounts.create("b@example.com", password="x")
        assert store.deleted.restore(record.id).aliases == ("c@example.com",)
        assert not store.aliases.exists("all@example.com")

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    def test_new_password_and_profile(self, store: Store, bob: str) -> None:
        record = delete(store, bob, 10)
        after = store.deleted.restore(record.id, password="other", name="Robert")
        assert after.name == "Robert"
        assert store.accounts.verify_password(bob, "other")

    @pytest.mark.needs(Capability.HOME_PATHS, Capability.DOMAIN_LIMITS)
    def test_refused(self, store: Store, bob: str) -> None:
        record = delete(store, bob, 10)
        with pytest.raises(NotFound):
            store.deleted.restore(record.id + 1000)
        store.accounts.create(bob, password="x")
        with pytest.raises(AlreadyExists):
            store.deleted.restore(record.id)
        delete(store, bob, 10)
        Path(record.home).rename(record.home + "-moved")
        with pytest.raises(HomeError):
            store.deleted.restore(record.id)
        assert store.deleted.get(record.id) == record

    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    def test_refused_beyond_a_limit(self, store: Store, bob: str) -> None:
        record = delete(store, bob, 10)
        store.domains.update("example.com", max_accounts=0)
        with pytest.raises(LimitExceeded):
            store.deleted.restore(record.id)
        assert store.deleted.get(record.id) == record

    @pytest.mark.needs(Capability.DOMAINS)
    def test_after_the_domain_is_gone(self, store: Store, bob: str) -> None:
        store.domains.delete("example.com")
        (record,) = store.deleted.list()
        with pytest.raises(NotFound):
            store.deleted.restore(record.id)
        host(store, "example.com")
        restored = store.deleted.restore(record.id)
        assert restored.name == named(store, "Bob").get("name", "")
        assert store.accounts.verify_password(bob, "secret")


@pytest.mark.backend
def test_records_are_listed_by_selection(store: Store, bob: str) -> None:
    host(store, "other.com")
    store.accounts.create("eve@other.com", password="x")
    delete(store, bob, 5)
    delete(store, "eve@other.com", 10)
    for query, found in (
        ({}, [bob, "eve@other.com"]),
        ({"domain": "other.com"}, ["eve@other.com"]),
        ({"address": "BOB@example.com"}, [bob]),
        ({"due": day(5)}, [bob]),
        ({"due": day(4)}, []),
    ):
        selection: Any = query
        assert [record.address for record in store.deleted.list(**selection)] == found
        assert store.deleted.count(**selection) == len(found)
