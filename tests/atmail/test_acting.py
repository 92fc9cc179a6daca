"""A store that acts for an admin: what its permissions, its domains and its place in the tree let it do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import LimitExceeded, NotFound, PermissionDenied
from mailstore.passwords import hash_password
from mailstore.sql.atmail.admins.changes import AdminSettings
from tests.faults.children import race, refusals, successes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

READY = hash_password("x")
BOB = "bob@example.com"

CALLS: dict[str, Callable[[AtmailStore], object]] = {
    "account.add": lambda store: store.accounts.create("new@example.com", password_hash=READY),
    "account.edit": lambda store: store.accounts.update(BOB, quota="1M"),
    "account.view": lambda store: store.accounts.get(BOB),
    "account.list": lambda store: list(store.accounts.list()),
    "account.delete": lambda store: store.accounts.delete(BOB),
    "domain.add": lambda store: store.domains.create("new.com"),
    "domain.view": lambda store: store.domains.get("example.com"),
    "domain.edit": lambda store: store.domains.remove_alias_domains("example.com", ["second.com"]),
    "domain.delete": lambda store: store.domains.delete("example.com"),
    "service.mailaliases.add": lambda store: store.alias_rows.create("a@example.com", "x@else.org"),
    "service.mailaliases.list": lambda store: list(store.alias_rows.list()),
    "service.mailaliases.delete": lambda store: store.alias_rows.delete(name="sales@example.com"),
}
"""What one permission alone is enough for."""


@pytest.fixture(autouse=True)
def scene(store: AtmailStore) -> None:
    store.domains.create("example.com")
    store.domains.create("other.com")
    store.domains.add_alias_domains("example.com", ["second.com"])
    store.accounts.create(BOB, password_hash=READY)
    store.accounts.create("eve@other.com", password_hash=READY)
    store.aliases.create("sales@example.com", members=[BOB])
    store.aliases.create("sales@other.com", members=["eve@other.com"])
    store.admins.create("root", password_hash=READY, settings=AdminSettings(role="god"))


def actor(store: AtmailStore, *permissions: str, role: str | None = None, **fields: Any) -> AtmailStore:
    """Return the store as an admin of example.com with just these rights sees it."""
    settings = AdminSettings(permissions=permissions, **({"role": role} if role else {}))
    store.admins.create("kim", password_hash=READY, domains=["example.com"], settings=settings, **fields)
    return store.acting_as("kim")


@pytest.mark.parametrize("permission", CALLS)
def test_each_call_takes_its_permission(store: AtmailStore, permission: str) -> None:
    unrelated = "service.imap.view"
    acting = actor(store, unrelated)
    with pytest.raises(PermissionDenied, match=permission):
        CALLS[permission](acting)
    store.admins.update("kim", settings=AdminSettings(permissions=[permission]))
    CALLS[permission](acting)


@pytest.mark.parametrize("wider", ["account.all", "all"])
def test_a_wider_permission_contains_it(store: AtmailStore, wider: str) -> None:
    CALLS["account.delete"](actor(store, wider))


def test_a_role_gives_its_permissions_while_it_is_enabled(store: AtmailStore) -> None:
    store.roles.create("helpers", permissions=["account.view"])
    acting = actor(store, "domain.view", role="helpers")
    assert acting.accounts.get(BOB).address == BOB
    store.roles.update("helpers", enabled=False)
    with pytest.raises(PermissionDenied):
        acting.accounts.get(BOB)
    store.roles.update("helpers", enabled=True, permissions=["account.list"])
    with pytest.raises(PermissionDenied):
        acting.accounts.get(BOB)
    assert acting.accounts.count() == 1


def test_other_domains_do_not_exist(store: AtmailStore) -> None:
    acting = actor(store, "account.all", "domain.all", "service.all")
    assert [alias.address for alias in acting.aliases.list()] == ["sales@example.com"]
    assert [row.name for row in acting.alias_rows.list()] == ["second.com", "sales@example.com"]
    assert acting.alias_rows.delete(name="sales@other.com") == 0
    number = int(store.domains.get("other.com").settings["domainId"])
    eve = int(store.accounts.get("eve@other.com").settings["accountId"])
    for call in (
        lambda: acting.alias_rows.create("new@other.com", "x@else.org"),
        lambda: acting.alias_rows.create("old.com", "other.com", "Domain"),
        lambda: acting.domains.name_of(number),
        lambda: acting.accounts.address_of(eve),
        lambda: acting.domains.delete("other.com"),
        lambda: acting.aliases.rename("sales@example.com", "verkauf@other.com"),
        lambda: acting.accounts.create_many([{"address": "new@other.com", "password_hash": READY}]),
        lambda: acting.provisioning.provision("eve@other.com"),
    ):
        with pytest.raises(NotFound):
            call()
    assert acting.accounts.page(0, 10) == [acting.accounts.get(BOB)]
    new = acting.domains.create("new.com")
    assert new.admins == ("kim",)
    assert [found.domain for found in acting.domains.list()] == ["example.com", "new.com"]


def test_an_earlier_purge_takes_the_right_to_delete(store: AtmailStore) -> None:
    record = store.accounts.delete(BOB, keep_mailbox_days=30)
    assert record is not None
    acting = actor(store, "account.view", "account.add")
    with pytest.raises(PermissionDenied):
        acting.deleted.reschedule(record.id, keep_mailbox_days=0)
    assert store.deleted.get(record.id) == record
    assert acting.deleted.restore(record.id).address == BOB


class TestAdmins:
    def test_nobody_hands_out_what_he_lacks(self, store: AtmailStore, rig: AtmailRig) -> None:
        rig.insert("permissions", permissionId=90, permissionName="user.add")
        store.roles.create("strong", permissions=["account.all"])
        acting = actor(store, "user.add", "account.view", "account.edit")
        for settings in (
            AdminSettings(permissions=["account.add"]),
            AdminSettings(permissions=["all"]),
            AdminSettings(role="strong"),
            AdminSettings(role="god"),
        ):
            with pytest.raises(PermissionDenied, match="hand out"):
                acting.admins.create("sub", password_hash=READY, settings=settings)
        with pytest.raises(PermissionDenied):
            acting.admins.create("sub", password_hash=READY, global_admin=True)
        with pytest.raises(NotFound):
            acting.admins.create(
                "sub", password_hash=READY, domains=["other.com"], settings=AdminSettings(permissions=["account.view"])
            )
        made = acting.admins.create(
            "sub", password_hash=READY, domains=["example.com"], settings=AdminSettings(permissions=["account.view"])
        )
        assert made.settings["createdByUserId"] == store.admins.get("kim").settings["userId"]

    def test_only_those_below(self, store: AtmailStore) -> None:
        store.admins.create("peer", password_hash=READY)
        acting = actor(store, "all")
        below = acting.admins.create("below", password_hash=READY).address
        acting.admins.update(below, name="Below", max_accounts=3)
        for call in (
            lambda: acting.admins.update("peer", name="x"),
            lambda: acting.admins.update("root", password="mine"),
            lambda: acting.admins.delete("peer"),
            lambda: acting.admins.delete("kim"),
            lambda: acting.admins.add_to_domain("example.com", ["peer"]),
            lambda: acting.admins.update("kim", max_accounts=7),
            lambda: acting.admins.create("x", password_hash=READY, settings=AdminSettings(parent="root")),
        ):
            with pytest.raises(PermissionDenied):
                call()
        acting.admins.update("kim", name="Myself", password="new")
        assert store.admins.login("kim", "new") is not None
        acting.admins.delete(below)
        assert not store.admins.exists(below)

    def test_sees_itself_and_those_below(self, store: AtmailStore) -> None:
        acting = actor(store, "account.view")
        store.admins.create("below", password_hash=READY, settings=AdminSettings(parent="kim"))
        assert [admin.address for admin in acting.admins.list()] == ["below", "kim"]
        assert (acting.admins.count(), acting.admins.exists("root")) == (2, False)
        for call in (lambda: acting.admins.get("root"), lambda: acting.admins.rights("root")):
            with pytest.raises(NotFound):
                call()
        with pytest.raises(PermissionDenied):
            acting.admins.password_hash("below")
        with pytest.raises(PermissionDenied):
            acting.roles.create("mine", permissions=["account.view"])

    def test_limits_are_not_exceeded_by_those_below(self, store: AtmailStore) -> None:
        acting = actor(store, "all", max_accounts=5, max_quota="10G")
        wide: Any
        for wide in ({}, {"max_accounts": 6, "max_quota": "1G"}, {"max_accounts": 5, "max_quota": "11G"}):
            with pytest.raises(LimitExceeded):
                acting.admins.create("sub", password_hash=READY, **wide)
        acting.admins.create("sub", password_hash=READY, max_accounts=5, max_quota="10G")
        with pytest.raises(LimitExceeded):
            acting.admins.update("sub", max_quota="unlimited")


def test_limits_hold_in_a_race(rig: AtmailRig, store: AtmailStore) -> None:
    acting = actor(store, "account.all", max_accounts=3)
    creations = [
        partial(acting.accounts.create, f"u{number}@example.com", password_hash=READY, quota="1M")
        for number in range(8)
    ]
    outcomes = race(cast("Any", rig), creations)
    assert len(successes(outcomes)) == 3
    assert refusals(outcomes) == [LimitExceeded] * 5


def test_quota_holds_in_a_race_over_two_domains(rig: AtmailRig, store: AtmailStore) -> None:
    acting = actor(store, "account.all", max_quota="1030M")
    store.admins.update("kim", domains=["example.com", "other.com"])
    store.accounts.update("eve@other.com", quota="1M")
    store.accounts.update(BOB, quota="1M")
    creations = [
        partial(acting.accounts.create, f"u@{domain}", password_hash=READY, quota="1000M")
        for domain in ("example.com", "other.com")
    ]
    outcomes = race(cast("Any", rig), creations * 2)
    assert len(successes(outcomes)) == 1


def test_admins_and_their_accounts_are_made_at_once(rig: AtmailRig, store: AtmailStore) -> None:
    """Both need the domain and the row of the admin; nobody may end in a deadlock."""
    acting = actor(store, "account.all", max_accounts=50)
    work: list[Callable[[], object]] = []
    for number in range(5):
        work.append(partial(acting.accounts.create, f"u{number}@example.com", password_hash=READY, quota="1M"))
        work.append(partial(store.admins.create, f"a{number}", password_hash=READY, domains=["example.com"]))
        work.append(partial(store.admins.update, "kim", domains=["example.com", "other.com"], max_accounts=50 + number))
    assert refusals(race(cast("Any", rig), work)) == []


def test_bulk_creation_keeps_limits(store: AtmailStore) -> None:
    acting = actor(store, "account.all", max_accounts=2, max_quota="2G")
    rows = [{"address": f"u{number}@example.com", "password_hash": READY, "quota": "1M"} for number in range(3)]
    for bad in (rows, [{**rows[0], "quota": "unlimited"}]):
        with pytest.raises(LimitExceeded):
            raise_first(lambda bad=bad: acting.accounts.create_many(bad))  # type: ignore[misc]
    assert acting.accounts.create_many(rows[:2]) == 2


def raise_first(call: Callable[[], object]) -> None:
    """Raise the first refusal of a bulk call."""
    from mailstore import BulkRefused

    try:
        call()
    except BulkRefused as error:
        raise error.rows[0][1] from error
