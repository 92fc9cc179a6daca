"""An admin of a domain who wants more: other domains, accounts of more powerful admins, secrets, and what binds it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import BulkRefused, Capability, InvalidPassword, LimitExceeded, PermissionDenied, purge_due
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore import Store
    from tests.stores import StoreRig

READY = hash_password("secret")
BOB = "bob@own.org"


@pytest.fixture
def acting(store: Store) -> Store:
    return store.acting_as("one@admins.org")


def test_an_alias_domain_brings_no_outside_domain_here(store: Store, acting: Store) -> None:
    with pytest.raises(PermissionDenied, match="bring a new domain name"):
        acting.domains.add_alias_domains("own.org", ["gmail.test"])
    assert not store.domains.exists("gmail.test")
    store.admins.update("one@admins.org", max_domains=3)
    acting.domains.add_alias_domains("own.org", ["gmail.test"])


class TestOfAStrongerAdmin:
    """bob@own.org manages foreign.org too: whoever takes over his account does."""

    @pytest.fixture(autouse=True)
    def rights(self, store: Store) -> None:
        store.admins.promote(BOB, domains=["own.org", "foreign.org"])

    def test_nothing_is_changed(self, store: Store, acting: Store) -> None:
        calls: list[Callable[[], object]] = [
            lambda: acting.accounts.update(BOB, password="mine"),
            lambda: acting.accounts.update(BOB, forwarding=["eve@own.org"]),
            lambda: acting.accounts.update(BOB, recovery_email="eve@own.org"),
            lambda: acting.accounts.update(BOB, sender_bcc="eve@own.org"),
            lambda: acting.accounts.update(BOB, enabled=False),
            lambda: acting.accounts.add_aliases(BOB, ["b@own.org"]),
            lambda: acting.accounts.rename(BOB, "robert@own.org"),
            lambda: acting.accounts.delete(BOB, keep_mailbox_days=30),
            lambda: acting.accounts.update_all("own.org", password="mine"),
            lambda: acting.domains.update("own.org", recipient_bcc="eve@own.org"),
            lambda: acting.admins.update(BOB, password="mine"),
            lambda: acting.admins.promote(BOB, password="mine"),
            lambda: acting.admins.demote(BOB),
            lambda: acting.admins.remove_from_domain("own.org", [BOB]),
            lambda: acting.admins.remove_from_domain("own.org"),
        ]
        for call in calls:
            with pytest.raises(PermissionDenied):
                call()
        assert store.accounts.verify_password(BOB, "secret")
        assert store.admins.get(BOB).domains == ("foreign.org", "own.org")
        assert store.domains.get("own.org").recipient_bcc == ""

    def test_a_restore_gives_nobody_what_the_restorer_has_not(self, store: Store, acting: Store) -> None:
        record = store.accounts.delete(BOB)
        assert record is not None
        with pytest.raises(PermissionDenied, match="may do more"):
            acting.deleted.restore(record.id, password="mine")
        assert not store.accounts.exists(BOB)
        for days in (1, None):  # nor is its mail purged early, or kept for ever
            with pytest.raises(PermissionDenied, match="may do more"):
                acting.deleted.reschedule(record.id, keep_mailbox_days=days)
        assert store.deleted.get(record.id) == record
        assert store.deleted.restore(record.id).admin
        assert store.admins.get(BOB).domains == ("foreign.org", "own.org")

    def test_a_restore_of_an_equal_is_no_such_thing(self, store: Store, acting: Store) -> None:
        store.admins.update(BOB, domains=["own.org"])
        record = acting.accounts.delete(BOB, keep_mailbox_days=30)
        assert record is not None
        assert acting.deleted.reschedule(record.id, keep_mailbox_days=60).due is not None
        assert acting.deleted.restore(record.id).admin

    def test_its_own_account_is_its_own(self, store: Store) -> None:
        store.acting_as(BOB).accounts.update(BOB, password="new", forwarding=["x@else.org"])
        assert store.accounts.verify_password(BOB, "new")

    def test_who_manages_both_is_not_weaker(self, store: Store, acting: Store) -> None:
        store.admins.update("one@admins.org", domains=["own.org", "foreign.org"])
        acting.accounts.update(BOB, password="new")
        assert store.accounts.verify_password(BOB, "new")


def test_an_admin_who_may_create_domains_is_stronger(store: Store, acting: Store) -> None:
    store.admins.create("maker@admins.org", password="x", domains=["own.org"], max_domains=3)
    for admins in (["maker@admins.org"], None):
        with pytest.raises(PermissionDenied, match=r"maker@admins\.org"):
            acting.admins.remove_from_domain("own.org", admins)
    assert "maker@admins.org" in store.domains.get("own.org").admins


class TestBound:
    """What the domain lays down holds for its admin, who may not change it."""

    def test_lengths_of_passwords(self, store: Store, acting: Store) -> None:
        store.domains.update("own.org", min_password_length=10)
        with pytest.raises(InvalidPassword):
            acting.accounts.update(BOB, password="short")
        calls: list[Callable[[], object]] = [
            lambda: acting.accounts.update(BOB, password_hash=READY),
            lambda: acting.accounts.create("new@own.org", password_hash=READY),
            lambda: acting.accounts.update_all("own.org", password_hash=READY),
            lambda: acting.domains.update("own.org", min_password_length=1),
        ]
        for call in calls:
            with pytest.raises(PermissionDenied):
                call()
        with pytest.raises(BulkRefused):
            acting.accounts.create_many([{"address": "new@own.org", "password_hash": READY}])
        acting.accounts.update(BOB, password="long enough for it")
        store.accounts.update(BOB, password_hash=READY)  # nobody acts: whoever can do this can change the rule

    def test_the_largest_quota(self, store: Store, acting: Store) -> None:
        store.domains.update("own.org", max_account_quota="1G")
        with pytest.raises(LimitExceeded):
            acting.accounts.update(BOB, quota="2G")
        with pytest.raises(PermissionDenied):
            acting.domains.update("own.org", max_account_quota="3G")

    def test_disabled_services(self, store: Store, acting: Store) -> None:
        store.accounts.update(BOB, services=["smtp"])
        store.domains.update("own.org", disabled_services=["imap", "imapsecured"])
        calls: list[Callable[[], object]] = [
            lambda: acting.accounts.update(BOB, services=["smtp", "imap"]),
            lambda: acting.accounts.create("new@own.org", password="x", services=["smtp", "imap"]),
            lambda: acting.domains.update("own.org", disabled_services=[]),
        ]
        for call in calls:
            with pytest.raises(PermissionDenied):
                call()
        acting.accounts.update(BOB, services=["smtp", "pop3"])
        acting.accounts.create("new@own.org", password="x")

    def test_disabled_profiles_hold_for_new_accounts_too(self, store: Store, acting: Store) -> None:
        store.domains.update("own.org", disabled_user_profiles=["forwarding", "aliases"])
        fields: Any
        for fields in ({"forwarding": ["x@else.org"]}, {"aliases": ["n@own.org"]}):
            with pytest.raises(PermissionDenied, match="disabled"):
                acting.accounts.create("new@own.org", password="x", **fields)
        acting.accounts.create("new@own.org", password="x", forwarding=[], keep_copy=True)

    def test_whoever_may_change_it_is_not_bound(self, store: Store, acting: Store) -> None:
        store.domains.update("own.org", min_password_length=10, disabled_user_profiles=["forwarding"])
        store.admins.update("one@admins.org", max_domains=3)
        acting.accounts.update(BOB, password_hash=READY, forwarding=["x@else.org"])


def test_bulk_creation_is_no_way_around(acting: Store) -> None:
    rows: list[dict[str, Any]] = [
        {"address": "a@own.org", "password": "x", "home": "/var/vmail/vmail1/own.org/any"},
        {"address": "b@own.org", "password": "x", "transport": "relay:[127.0.0.1]"},
        {"address": "c@own.org", "password": "x"},
    ]
    with pytest.raises(BulkRefused) as caught:
        acting.accounts.create_many(rows)
    assert [(index, type(error)) for index, error in caught.value.rows] == [
        (0, PermissionDenied),
        (1, PermissionDenied),
    ]


def test_restored_accounts_are_no_way_around(store: Store, acting: Store) -> None:
    record = store.accounts.delete(BOB)
    assert record is not None
    with pytest.raises(PermissionDenied):
        acting.deleted.restore(record.id, transport="pipe:anything")
    assert not store.accounts.exists(BOB)
    assert [left.id for left in store.deleted.list()] == [record.id]


def test_mail_is_kept_until_it_is_due(store: Store, acting: Store) -> None:
    record = acting.accounts.delete(BOB, keep_mailbox_days=1)
    assert record is not None
    with pytest.raises(PermissionDenied):
        acting.deleted.reschedule(record.id, keep_mailbox_days=0)
    with pytest.raises(PermissionDenied, match="due"):
        list(purge_due(acting, today=date.today() + timedelta(days=9)))  # noqa: DTZ011 later in every zone
    assert list(purge_due(acting)) == []
    assert store.deleted.count() == 1


def test_homes_and_findings_of_others_are_not_shown(store: Store, acting: Store, iredmail_rig: StoreRig) -> None:
    for part in ("cur", "new", "tmp"):
        (iredmail_rig.root / "nobody" / "Maildir" / part).mkdir(parents=True)
    assert [address for address, _ in acting.accounts.homes()] == [BOB]
    store.accounts.update(BOB, forwarding=["gone@foreign.org"])
    store.accounts.update("bob@foreign.org", forwarding=["gone@own.org"])
    everything, seen = list(store.check()), list(acting.check())
    assert {finding.code for finding in everything} >= {"home-unclaimed", "alias-to-nowhere"}
    assert any(finding.subject == "gone@own.org" for finding in seen)
    for finding in seen:
        assert finding.subject.endswith("own.org"), finding
        assert "foreign.org" not in finding.message, finding
    assert list(store.acting_as(root_of(store)).check()) == everything


def test_of_other_admins_own_domains_are_shown_only(store: Store, acting: Store) -> None:
    store.admins.create("two@admins.org", password="x", domains=["own.org", "foreign.org"])
    assert acting.admins.get("two@admins.org").domains == ("own.org",)
    assert {admin.address: admin.domains for admin in acting.admins.list()} == {
        "one@admins.org": ("own.org",),
        "two@admins.org": ("own.org",),
    }
    assert store.admins.get("two@admins.org").domains == ("foreign.org", "own.org")


def root_of(store: Store) -> str:
    """Return a global admin."""
    return store.admins.create("root@admins.org", password="x", global_admin=True).address


def test_no_export_gives_hashes_away(store: Store, acting: Store) -> None:
    from mailstore.ldap.iredmail.export.exporter import exporter, text

    def exported(store: Store, *, passwords: bool = True) -> str:
        given = {} if Capability.TRANSACTIONS not in store.capabilities else {"suffix": "dc=example"}
        return "".join(text(exporter(store, passwords=passwords, **given).everything()))

    with pytest.raises(PermissionDenied):
        exported(acting)
    root = store.acting_as(root_of(store))
    assert "userPassword" in exported(root)
