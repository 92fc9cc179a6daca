"""Admins, and stores that act for one, as `mailstore.store` promises them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from mailstore import (
    AlreadyExists,
    Capability,
    Edit,
    InvalidPassword,
    InvalidValue,
    LimitExceeded,
    NotFound,
    NotSupported,
    PermissionDenied,
    Quota,
    Store,
)
from tests.contract.hosting import host, named

Limited: TypeAlias = Callable[..., str]

LIMITS: dict[str, Any] = {
    "max_domains": 3,
    "max_quota": "2T",
    "max_accounts": 100,
    "max_aliases": 0,
    "max_lists": None,
    "may_view_mail_log": False,
    "may_manage_quarantine": False,
    "timezone": "Europe/Rome",
}

LIMITED = pytest.mark.needs(Capability.ADMIN_LIMITS)
ACCOUNTS = pytest.mark.needs(Capability.ACCOUNT_ADMINS)
pytestmark = pytest.mark.needs(Capability.ADMINS, Capability.DOMAIN_ADMINS)


def shown(name: str) -> Any:
    return Quota.parse(LIMITS[name]) if name == "max_quota" else LIMITS[name]


@pytest.fixture(autouse=True)
def domains(store: Store) -> None:
    host(store, "example.com")
    host(store, "other.com")


@pytest.fixture
def ann(store: Store) -> str:
    store.accounts.create("ann@example.com", password="secret", **named(store, "Ann"))
    return "ann@example.com"


@pytest.fixture
def boss(store: Store, ann: str) -> str:
    """The admin of example.com: an account where accounts may be admins, else a standalone one."""
    if Capability.ACCOUNT_ADMINS in store.capabilities:
        store.admins.promote(ann)
        return ann
    return store.admins.create("boss@admins.org", password="secret", domains=["example.com"]).address


@pytest.mark.needs(Capability.STANDALONE_ADMINS)
class TestStandalone:
    @pytest.mark.backend
    def test_create(self, store: Store) -> None:
        made = store.admins.create(
            "Root@Admins.org", password="secret", name="Root", language="en_US", domains=["example.com"]
        )
        assert made == store.admins.get("root@admins.org")
        assert (made.kind, made.name, made.language, made.domains) == ("standalone", "Root", "en_US", ("example.com",))
        assert (made.global_admin, made.max_quota.unlimited, made.max_accounts) == (False, True, None)
        assert store.admins.create("chief@admins.org", password="x", global_admin=True).global_admin

    @LIMITED
    def test_create_with_limits(self, store: Store) -> None:
        made = store.admins.create("root@admins.org", password="secret", **LIMITS)
        assert made == store.admins.get("root@admins.org")
        for name in LIMITS:
            assert getattr(made, name) == shown(name), name

    @LIMITED
    def test_global_admin_has_no_limits(self, store: Store) -> None:
        made = store.admins.create("root@admins.org", password="x", global_admin=True, **LIMITS)
        assert made.global_admin
        assert (made.max_domains, made.max_quota.unlimited, made.max_accounts) == (0, True, None)

    @ACCOUNTS
    def test_local_address_is_refused(self, store: Store) -> None:
        store.domains.add_alias_domains("example.com", ["alias.com"])
        for local in ("root@example.com", "root@alias.com"):
            with pytest.raises(InvalidValue, match="promote"):
                store.admins.create(local, password="x")

    def test_refused(self, store: Store) -> None:
        with pytest.raises(InvalidPassword):
            store.admins.create("root@admins.org")
        with pytest.raises(NotFound):
            store.admins.create("root@admins.org", password="x", domains=["nowhere.com"])
        assert not store.admins.exists("root@admins.org")
        store.admins.create("root@admins.org", password="x")
        with pytest.raises(AlreadyExists):
            store.admins.create("root@admins.org", password="x")

    def test_update(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="old")
        after = store.admins.update("root@admins.org", password="new", name="N", domains=Edit(add=["other.com"]))
        assert after == store.admins.get("root@admins.org")
        assert (after.name, after.domains) == ("N", ("other.com",))
        assert store.admins.verify_password("root@admins.org", "new")
        assert store.admins.update("root@admins.org", global_admin=True).global_admin
        assert not store.admins.update("root@admins.org", global_admin=False).global_admin

    @LIMITED
    def test_global_rights_end_limits(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="old")
        assert store.admins.update("root@admins.org", **LIMITS).max_domains == LIMITS["max_domains"]
        assert store.admins.update("root@admins.org", global_admin=True).max_domains == 0

    def test_login(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="secret", global_admin=True)
        found = store.admins.login("ROOT@admins.org", "secret")
        assert found is not None
        assert found.address == "root@admins.org"
        assert store.admins.login("root@admins.org", "wrong") is None
        assert store.admins.login("nobody@admins.org", "secret") is None

    @LIMITED
    def test_disabled_admin(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="secret", global_admin=True)
        store.admins.update("root@admins.org", enabled=False)
        assert store.admins.login("root@admins.org", "secret") is None
        assert not store.admins.verify_password("root@admins.org", "secret")

    def test_delete(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True)
        store.admins.delete("root@admins.org")
        with pytest.raises(NotFound):
            store.admins.get("root@admins.org")
        assert not store.admins.create("root@admins.org", password="x").global_admin

    @ACCOUNTS
    def test_account_is_not_deleted_as_an_admin(self, store: Store, ann: str) -> None:
        store.admins.promote(ann)
        with pytest.raises(NotFound):
            store.admins.delete(ann)


@pytest.mark.needs(Capability.ACCOUNT_ADMINS, Capability.DOMAIN_ADMINS)
@ACCOUNTS
class TestAccounts:
    @pytest.mark.backend
    def test_promote_and_demote(self, store: Store, ann: str) -> None:
        made = store.admins.promote(ann, timezone="Europe/Rome")
        assert made == store.admins.get(ann)
        assert (made.kind, made.name, made.domains) == ("account", "Ann", ("example.com",))
        assert (made.timezone, made.max_domains) == ("Europe/Rome", 0)
        assert store.accounts.get(ann).admin
        store.admins.demote(ann)
        assert not store.accounts.get(ann).admin
        assert not store.admins.exists(ann)
        with pytest.raises(NotFound):
            store.admins.demote(ann)
        assert store.accounts.get(ann).timezone == "Europe/Rome"

    @pytest.mark.needs(Capability.ACCOUNT_ADMIN_LIMITS)
    def test_limits(self, store: Store, ann: str) -> None:
        made = store.admins.promote(ann, **LIMITS)
        for name in LIMITS:
            assert getattr(made, name) == shown(name), name
        store.admins.demote(ann)
        assert store.admins.promote(ann).max_domains == 0

    def test_limits_are_refused_where_accounts_have_none(self, store: Store, ann: str) -> None:
        if Capability.ACCOUNT_ADMIN_LIMITS in store.capabilities:
            pytest.skip("accounts have limits here")
        for name in LIMITS.keys() - {"timezone"}:
            with pytest.raises(NotSupported, match=name):
                store.admins.promote(ann, **{name: LIMITS[name]})
        assert not store.admins.exists(ann)
        store.admins.promote(ann)
        with pytest.raises(NotSupported, match="max_domains"):
            store.admins.update(ann, max_domains=3)

    def test_global(self, store: Store, ann: str) -> None:
        assert store.admins.promote(ann, global_admin=True).global_admin
        assert store.accounts.get(ann).global_admin
        store.admins.update(ann, global_admin=False, domains=["other.com"])
        assert store.admins.get(ann).domains == ("other.com",)

    def test_password_is_that_of_the_account(self, store: Store, ann: str) -> None:
        store.admins.promote(ann)
        assert store.admins.login(ann, "secret") is not None
        store.admins.update(ann, password="new", name="Anna")
        assert store.accounts.verify_password(ann, "new")
        assert store.accounts.get(ann).name == "Anna"
        store.accounts.update(ann, enabled=False)
        assert store.admins.login(ann, "new") is None

    def test_passwords_of_admins_are_such_that_the_panel_can_verify(self, store: Store, ann: str) -> None:
        store.admins.create("root@admins.org", password="x")
        store.admins.promote(ann)
        store.accounts.update(ann, password="new")
        assert store.accounts.password_hash(ann).startswith("{SSHA512}")
        store.accounts.update_all("example.com", password="all")
        assert store.accounts.password_hash(ann).startswith("{SSHA512}")

    def test_rights_follow_a_rename_and_end_with_the_account(self, store: Store, ann: str) -> None:
        store.admins.promote(ann, domains=["example.com", "other.com"])
        store.accounts.rename(ann, "anna@example.com")
        assert store.admins.get("anna@example.com").domains == ("example.com", "other.com")
        store.accounts.delete("anna@example.com")
        assert store.admins.count() == 0
        store.accounts.create("anna@example.com", password="x")
        assert not store.admins.exists("anna@example.com")


@pytest.mark.needs(Capability.DOMAIN_ADMINS, Capability.STANDALONE_ADMINS)
class TestDomains:
    def test_standalone_admins(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True)
        store.admins.create("one@admins.org", password="x")
        store.admins.add_to_domain("other.com", ["one@admins.org"])
        store.admins.add_to_domain("other.com", ["one@admins.org"])
        assert store.domains.get("other.com").admins == ("one@admins.org",)
        assert [admin.address for admin in store.admins.list(domain="other.com")] == ["one@admins.org"]
        store.admins.remove_from_domain("other.com", ["one@admins.org"])
        assert store.domains.get("other.com").admins == ()
        store.admins.add_to_domain("other.com", ["one@admins.org"])
        store.admins.remove_from_domain("other.com")
        assert store.domains.get("other.com").admins == ()
        assert store.admins.get("root@admins.org").global_admin
        for domain, admin in (("other.com", "nobody@example.com"), ("nowhere.com", "one@admins.org")):
            with pytest.raises(NotFound):
                store.admins.add_to_domain(domain, [admin])

    @ACCOUNTS
    def test_add_and_remove(self, store: Store, ann: str) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True)
        store.admins.create("one@admins.org", password="x")
        store.admins.add_to_domain("other.com", [ann, "one@admins.org"])
        store.admins.add_to_domain("other.com", [ann])
        assert store.domains.get("other.com").admins == (ann, "one@admins.org")
        assert [admin.address for admin in store.admins.list(domain="other.com")] == [ann, "one@admins.org"]
        store.admins.remove_from_domain("other.com", ["one@admins.org"])
        assert store.domains.get("other.com").admins == (ann,)
        store.admins.remove_from_domain("other.com")
        assert store.domains.get("other.com").admins == ()
        assert not store.accounts.get(ann).admin
        assert store.admins.get("root@admins.org").global_admin
        with pytest.raises(NotFound):
            store.admins.add_to_domain("other.com", ["nobody@example.com"])
        with pytest.raises(NotFound):
            store.admins.add_to_domain("nowhere.com", [ann])

    @pytest.mark.backend
    def test_list_and_count(self, store: Store, boss: str) -> None:
        store.admins.create("root@admins.org", password="x", name="Chief", global_admin=True)
        assert [admin.address for admin in store.admins.list()] == [boss, "root@admins.org"]
        assert [store.admins.get(admin.address) for admin in store.admins.list()] == list(store.admins.list())
        assert [admin.address for admin in store.admins.list(search="CHIEF")] == ["root@admins.org"]
        assert (store.admins.count(), store.admins.count(domain="example.com")) == (2, 1)


@pytest.mark.needs(Capability.DOMAIN_ADMINS)
class TestActing:
    @pytest.fixture
    def acting(self, store: Store, boss: str) -> Store:
        store.accounts.create("bob@other.com", password="x")
        return store.acting_as(boss)

    @pytest.fixture(
        params=[
            "standalone",
            pytest.param("account", marks=pytest.mark.needs(Capability.ACCOUNT_ADMIN_LIMITS)),
        ]
    )
    def limited(self, request: pytest.FixtureRequest, store: Store, ann: str) -> Limited:
        """A function that makes an admin of example.com with limits, of either kind."""

        def make(**limits: Any) -> str:
            if request.param == "account":
                return store.admins.promote(ann, **limits).address
            return store.admins.create("one@admins.org", password="x", domains=["example.com"], **limits).address

        return make

    def test_other_domains_do_not_exist(self, acting: Store) -> None:
        assert [domain.domain for domain in acting.domains.list()] == ["example.com"]
        assert [account.address for account in acting.accounts.list()] == ["ann@example.com"]
        assert (acting.domains.count(), acting.accounts.count(), acting.aliases.count()) == (1, 1, 0)
        assert not acting.domains.exists("other.com")
        assert not acting.accounts.exists("bob@other.com")
        for call in (
            lambda: acting.domains.get("other.com"),
            lambda: acting.accounts.get("bob@other.com"),
            lambda: acting.accounts.update("bob@other.com", name="x"),
            lambda: acting.accounts.delete("bob@other.com"),
            lambda: acting.accounts.create("eve@other.com", password="x"),
            lambda: acting.accounts.rename("ann@example.com", "ann@other.com"),
            lambda: acting.accounts.password_hash("bob@other.com"),
            lambda: acting.accounts.add_aliases("ann@example.com", ["ann@other.com"]),
            lambda: acting.aliases.create("all@other.com", members=["x@else.org"]),
            lambda: acting.domains.update("other.com"),
            lambda: acting.accounts.update_all("other.com", enabled=False),
        ):
            with pytest.raises(NotFound):
                call()

    @ACCOUNTS
    def test_makes_nobody_admin_of_other_domains(self, acting: Store) -> None:
        for domain, account in (("other.com", "ann@example.com"), ("example.com", "bob@other.com")):
            with pytest.raises(NotFound):
                acting.admins.add_to_domain(domain, [account])

    @pytest.mark.backend
    def test_may_do_its_work(self, acting: Store, boss: str) -> None:
        acting.accounts.create("eve@example.com", password="x")
        acting.accounts.rename("eve@example.com", "eva@example.com")
        acting.aliases.create("all@example.com", members=["eva@example.com", "x@else.org"])
        assert acting.accounts.create_many([{"address": "x@example.com", "password": "x"}]) == 1
        record = acting.accounts.delete("eva@example.com", keep_mailbox_days=1)
        assert record is not None
        assert record.deleted_by == boss
        assert [item.address for item in acting.deleted.list()] == ["eva@example.com"]
        assert acting.deleted.restore(record.id).address == "eva@example.com"

    @ACCOUNTS
    def test_may_describe_its_domain_and_share_it(self, acting: Store) -> None:
        acting.accounts.create("eva@example.com", password="x")
        acting.domains.update("example.com", name="Mine")
        acting.admins.add_to_domain("example.com", ["eva@example.com"])

    def test_may_not_do_what_takes_more(self, acting: Store, boss: str) -> None:
        for call in (
            lambda: acting.domains.create("new.com"),
            lambda: acting.domains.delete("example.com"),
            lambda: acting.admins.create("x@admins.org", password="x"),
            lambda: acting.admins.update(boss, global_admin=True),
        ):
            with pytest.raises(PermissionDenied):
                call()

    @ACCOUNTS
    @LIMITED
    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    def test_may_not_raise_limits(self, acting: Store) -> None:
        for call in (
            lambda: acting.domains.update("example.com", max_accounts=10),
            lambda: acting.admins.promote("ann@example.com", global_admin=True),
            lambda: acting.admins.update("ann@example.com", max_domains=None),
        ):
            with pytest.raises(PermissionDenied):
                call()

    @ACCOUNTS
    def test_may_not_touch_global_admins(self, store: Store, acting: Store) -> None:
        store.accounts.create("chief@example.com", password="secret")
        store.admins.promote("chief@example.com", global_admin=True)
        for call in (
            lambda: acting.accounts.update("chief@example.com", password="mine"),
            lambda: acting.accounts.rename("chief@example.com", "x@example.com"),
            lambda: acting.accounts.delete("chief@example.com"),
            lambda: acting.accounts.password_hash("chief@example.com"),
            lambda: acting.accounts.update_all("example.com", password="mine"),
            lambda: acting.admins.promote("chief@example.com", name="x"),
            lambda: acting.admins.demote("chief@example.com"),
        ):
            with pytest.raises(PermissionDenied):
                call()
        with pytest.raises(NotFound):
            acting.admins.update("chief@example.com", password="mine")
        record = store.accounts.delete("chief@example.com")
        assert record is not None
        with pytest.raises(PermissionDenied):
            acting.deleted.restore(record.id, password="mine")
        store.deleted.restore(record.id)
        assert store.admins.login("chief@example.com", "secret") is not None

    @ACCOUNTS
    @LIMITED
    def test_may_not_delete_domains_with_global_admins(self, store: Store, limited: Limited) -> None:
        store.accounts.create("chief@example.com", password="secret")
        store.admins.promote("chief@example.com", global_admin=True)
        acting = store.acting_as(limited(max_domains=5))
        with pytest.raises(PermissionDenied):
            acting.domains.delete("example.com")
        assert store.admins.login("chief@example.com", "secret") is not None

    def test_ends_with_the_rights(self, store: Store, acting: Store, boss: str) -> None:
        if Capability.ACCOUNT_ADMINS in store.capabilities:
            store.admins.demote(boss)
        else:
            store.admins.delete(boss)
        with pytest.raises(PermissionDenied):
            acting.accounts.create("eve@example.com", password="x")
        with pytest.raises(NotFound):
            store.acting_as(boss)

    def test_global_admin_may_do_everything(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True)
        acting = store.acting_as("root@admins.org")
        acting.domains.create("new.com")
        acting.accounts.create("x@other.com", password="x")
        acting.admins.create("x@admins.org", password="x")
        assert acting.domains.delete("new.com") == 0

    @LIMITED
    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    def test_limits(self, store: Store, limited: Limited) -> None:
        store.domains.update("example.com", max_accounts=10, quota="10G", max_aliases=5)
        admin = limited(max_domains=3, max_accounts=30, max_quota="30G", max_aliases=10)
        acting = store.acting_as(admin)
        fits: dict[str, Any] = {"max_accounts": 10, "quota": "10G", "max_aliases": 5}
        for change in (
            {"max_accounts": 21},
            {"max_accounts": None},
            {"quota": "21G"},
            {"quota": "unlimited"},
            {"max_aliases": 6},
        ):
            with pytest.raises(LimitExceeded):
                acting.domains.create("new.com", **{**fits, **change})
        acting.domains.create("new.com", **fits)
        assert store.domains.get("new.com").admins == (admin,)
        with pytest.raises(LimitExceeded):
            acting.domains.update("new.com", max_accounts=21)
        acting.domains.update("new.com", max_accounts=20)
        with pytest.raises(LimitExceeded):
            acting.domains.create("more.com", max_accounts=1, quota="1G", max_aliases=0)
        acting.domains.delete("new.com")
        assert not store.domains.exists("new.com")
