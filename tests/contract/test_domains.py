"""Domains and alias domains, as `mailstore.store.Domains` promises them."""

from __future__ import annotations

from typing import Any

import pytest

from mailstore import (
    AlreadyExists,
    Capability,
    Edit,
    InvalidAddress,
    InvalidQuota,
    InvalidValue,
    NotFound,
    Quota,
    Store,
)
from tests.contract.hosting import settled
from tests.tables import in_turn

FULL: dict[str, Any] = {
    "name": "Example & Söhne",
    "quota": "100G",
    "default_account_quota": "1G",
    "max_account_quota": "10G",
    "max_accounts": 200,
    "max_aliases": 0,
    "max_lists": 3,
    "default_language": "de_DE",
    "transport": "lmtp:unix:private/dovecot-lmtp",
    "min_password_length": 8,
    "max_password_length": 20,
    "disclaimer": "Confidential.\nReally.",
    "sender_bcc": "archive@example.net",
    "recipient_bcc": "audit@example.net",
    "outbound_relay": "[relay.example.net]:587",
    "catch_all": ("a@example.net", "b@example.net"),
    "services": ("self-service",),
    "disabled_services": ("pop3", "smtp"),
    "disabled_domain_profiles": ("bcc", "relay"),
    "disabled_user_profiles": ("forwarding",),
    "disabled_user_preferences": ("personal_info", "wblist"),
}
QUOTAS = {"quota", "default_account_quota", "max_account_quota"}

PROFILE = pytest.mark.needs(Capability.DOMAIN_LIMITS, Capability.DOMAIN_PROFILE)
ALIAS_DOMAINS = pytest.mark.needs(Capability.ALIAS_DOMAINS)


def expected(name: str) -> Any:
    return Quota.parse(FULL[name]) if name in QUOTAS else FULL[name]


@pytest.mark.needs(Capability.DOMAINS)
class TestCreate:
    @PROFILE
    @pytest.mark.backend
    def test_every_parameter(self, store: Store) -> None:
        made = store.domains.create("Example.COM", **FULL)
        assert made == store.domains.get("example.com")
        assert made.domain == "example.com"
        assert made.enabled
        for name in FULL:
            assert getattr(made, name) == expected(name), name

    def test_defaults(self, store: Store) -> None:
        made = store.domains.create("example.com")
        assert made == store.domains.get("example.com")
        assert (made.max_accounts, made.quota.unlimited, made.backup_mx) == (None, True, False)
        assert (made.alias_domains, made.catch_all, made.admins) == ((), (), ())

    @PROFILE
    def test_default_transport(self, store: Store) -> None:
        assert store.domains.create("example.com").transport == "dovecot"

    @pytest.mark.backend
    def test_exists_already(self, store: Store) -> None:
        store.domains.create("example.com")
        for name in ("example.com", "EXAMPLE.com"):
            with pytest.raises(AlreadyExists):
                store.domains.create(name)

    @ALIAS_DOMAINS
    def test_exists_already_as_an_alias_domain(self, store: Store) -> None:
        store.domains.create("example.com")
        store.domains.add_alias_domains("example.com", ["alias.com"])
        with pytest.raises(AlreadyExists):
            store.domains.create("alias.com")

    @pytest.mark.needs(Capability.ACCOUNT_ADMINS)
    def test_holds_a_standalone_admin(self, store: Store) -> None:
        store.admins.create("root@admins.org", password="x")
        with pytest.raises(AlreadyExists, match="standalone admin"):
            store.domains.create("admins.org")

    @in_turn("name", ["", "com", "ex ample.com", "a@b.com", "-x.com", "x..com", "192.0.2.1", "a" * 64 + ".com"])
    def test_bad_name(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidAddress):
            store.domains.create(name)
        assert store.domains.count() == 0

    @PROFILE
    @in_turn(
        "fields",
        [
            {"max_accounts": -1}, {"max_accounts": 1.5}, {"max_accounts": True}, {"default_language": "german"},
            {"transport": "x y"}, {"services": ["a;b"]}, {"services": ["a:b"]}, {"disabled_user_profiles": ["a,b"]},
            {"services": "self-service"}, {"catch_all": ["nobody"]}, {"outbound_relay": "a b"}, {"sender_bcc": "x"},
            {"backup_mx": True, "transport": "dovecot"}, {"primary_mx": "mx.example.net"}, {"enabled": 1},
            {"name": "a\nb"}, {"max_accounts": 1 << 31},
        ],
    )  # fmt: skip
    def test_bad_value(self, store: Store, fields: Any) -> None:
        with pytest.raises(InvalidValue):
            store.domains.create("example.com", **fields)
        assert store.domains.count() == 0

    @PROFILE
    @in_turn("field", sorted(QUOTAS))
    def test_bad_quota(self, store: Store, field: str) -> None:
        bad: Any = {field: "-5M"}
        with pytest.raises(InvalidQuota):
            store.domains.create("example.com", **bad)


@pytest.fixture
def domain(store: Store) -> str:
    settled(store, "example.com")
    return "example.com"


@pytest.mark.needs(Capability.DOMAINS)
class TestUpdate:
    @PROFILE
    @pytest.mark.backend
    def test_every_parameter_and_back(self, store: Store, domain: str) -> None:
        updated = store.domains.update(domain, **FULL)
        assert updated == store.domains.get(domain)
        for name in FULL:
            assert getattr(updated, name) == expected(name), name
        cleared: dict[str, Any] = {
            name: ()
            if isinstance(value, tuple)
            else "unlimited"
            if name in QUOTAS
            else ""
            if isinstance(value, str)
            else None
            for name, value in FULL.items()
        }
        after = store.domains.update(domain, **cleared)
        plain = {name: getattr(after, name) for name in FULL if name not in QUOTAS}
        assert plain == {name: value for name, value in cleared.items() if name not in QUOTAS} | {
            "transport": "dovecot"
        }
        assert after.quota.unlimited
        assert after.max_account_quota.unlimited

    @PROFILE
    def test_what_is_not_given_stays(self, store: Store, domain: str) -> None:
        store.domains.update(domain, **FULL)
        after = store.domains.update(domain, name="Other")
        for name in FULL.keys() - {"name"}:
            assert getattr(after, name) == expected(name), name

    @PROFILE
    def test_edits(self, store: Store, domain: str) -> None:
        store.domains.update(domain, **FULL)
        after = store.domains.update(
            domain,
            services=Edit(remove=["self-service"]),
            disabled_domain_profiles=Edit(add=["aliases"], remove=["bcc"]),
            catch_all=Edit(add=["c@example.net"], remove=["a@example.net"]),
        )
        assert after.services == ()
        assert after.disabled_domain_profiles == ("aliases", "relay")
        assert after.catch_all == ("b@example.net", "c@example.net")

    @PROFILE
    def test_backup_mx(self, store: Store, domain: str) -> None:
        on = store.domains.update(domain, backup_mx=True, primary_mx="192.0.2.1")
        assert (on.backup_mx, on.primary_mx, on.transport) == (True, "[192.0.2.1]", "relay:[192.0.2.1]")
        other = store.domains.update(domain, primary_mx="mx.example.net:25")
        assert (other.backup_mx, other.transport) == (True, "relay:mx.example.net:25")
        with pytest.raises(InvalidValue):
            store.domains.update(domain, transport="dovecot")
        off = store.domains.update(domain, backup_mx=False)
        assert (off.backup_mx, off.primary_mx, off.transport) == (False, "", "dovecot")
        assert store.domains.update(domain, backup_mx=True).transport == "relay:"

    @PROFILE
    def test_relay_without_the_prefix_that_kills_postfix(self, store: Store, domain: str) -> None:
        assert store.domains.update(domain, outbound_relay="smtp:[192.168.1.2]:25").outbound_relay == "[192.168.1.2]:25"

    @PROFILE
    def test_enable_and_disable(self, store: Store, domain: str) -> None:
        assert not store.domains.update(domain, enabled=False).enabled
        assert [item.domain for item in store.domains.list(enabled=False)] == [domain]
        assert store.domains.update(domain, enabled=True).enabled

    def test_unknown(self, store: Store) -> None:
        for call in (
            lambda: store.domains.get("nowhere.com"),
            lambda: store.domains.update("nowhere.com"),
            lambda: store.domains.delete("nowhere.com"),
        ):
            with pytest.raises(NotFound):
                call()
        assert not store.domains.exists("nowhere.com")


@pytest.mark.needs(Capability.ALIAS_DOMAINS)
@ALIAS_DOMAINS
class TestAliasDomains:
    def test_add_and_remove(self, store: Store, domain: str) -> None:
        store.domains.add_alias_domains(domain, ["Alias.com", "other.org"])
        store.domains.add_alias_domains(domain, ["alias.com"])
        assert store.domains.get(domain).alias_domains == ("alias.com", "other.org")
        assert store.domains.exists("alias.com")
        with pytest.raises(NotFound, match=r"use example\.com"):
            store.domains.get("alias.com")
        store.domains.remove_alias_domains(domain, ["alias.com"])
        assert store.domains.get(domain).alias_domains == ("other.org",)
        with pytest.raises(NotFound):
            store.domains.remove_alias_domains(domain, ["alias.com"])

    @pytest.mark.needs(Capability.DOMAINS, Capability.ACCOUNT_ALIASES)
    def test_removal_takes_the_aliases_under_it(self, store: Store, domain: str) -> None:
        store.domains.add_alias_domains(domain, ["alias.com"])
        store.accounts.create("bob@example.com", password="x", aliases=["b@alias.com", "c@example.com"])
        store.domains.remove_alias_domains(domain, ["alias.com"])
        assert store.accounts.get("bob@example.com").aliases == ("c@example.com",)
        store.domains.create("alias.com")
        store.accounts.create("b@alias.com", password="x")

    def test_refused(self, store: Store, domain: str) -> None:
        with pytest.raises(NotFound):
            store.domains.add_alias_domains("nowhere.com", ["x.com"])
        settled(store, "other.com")
        store.domains.add_alias_domains("other.com", ["alias.com"])
        for name in ("other.com", "alias.com", domain):
            with pytest.raises(AlreadyExists):
                store.domains.add_alias_domains(domain, ["new.com", name])
        assert store.domains.get(domain).alias_domains == ()


@pytest.mark.needs(Capability.ALIAS_DOMAINS, Capability.ACCOUNT_ALIASES, Capability.EMPTY_ALIASES)
class TestNameSpace:
    """No address is ever served twice, under whatever name."""

    @ALIAS_DOMAINS
    def test_account_and_alias_under_the_alias_domain(self, store: Store, domain: str) -> None:
        store.domains.add_alias_domains(domain, ["alias.com"])
        store.accounts.create("bob@example.com", password="x", aliases=["eve@alias.com"])
        with pytest.raises(AlreadyExists):
            store.accounts.create("eve@example.com", password="x")
        with pytest.raises(AlreadyExists):
            store.aliases.create("eve@example.com", members=["x@else.org"])
        store.aliases.create("sales@example.com", members=["x@else.org"])
        with pytest.raises(AlreadyExists):
            store.accounts.add_aliases("bob@example.com", ["sales@alias.com"])
        with pytest.raises(AlreadyExists):
            store.accounts.add_aliases("bob@example.com", ["eve@example.com"])
        with pytest.raises(InvalidValue):
            store.accounts.add_aliases("bob@example.com", ["bob@example.com"])

    @pytest.mark.usefixtures("domain")
    @pytest.mark.backend
    def test_each_kind_against_each(self, store: Store) -> None:
        store.accounts.create("account@example.com", password="x", aliases=["extra@example.com"])
        store.aliases.create("alias@example.com", members=["x@else.org"])
        for taken in ("account@example.com", "extra@example.com", "alias@example.com"):
            with pytest.raises(AlreadyExists):
                store.accounts.create(taken, password="x")
            with pytest.raises(AlreadyExists):
                store.aliases.create(taken, members=["x@else.org"])
        store.accounts.create("eve@example.com", password="x")
        for taken in ("account@example.com", "extra@example.com", "alias@example.com"):
            with pytest.raises(AlreadyExists):
                store.accounts.add_aliases("eve@example.com", ["free@example.com", taken])
        assert store.accounts.get("eve@example.com").aliases == ()


@pytest.mark.needs(Capability.DOMAINS, Capability.DOMAIN_PROFILE, Capability.ALIAS_DOMAINS)
class TestDelete:
    @pytest.mark.backend
    def test_everything_goes(self, store: Store, domain: str) -> None:
        store.domains.create("other.com")
        store.accounts.create("bob@example.com", password="x", aliases=["b@other.com"])
        store.accounts.create("eve@example.com", password="x")
        store.aliases.create("sales@example.com", members=["bob@example.com"])
        store.aliases.create("all@other.com", members=["bob@example.com", "x@else.org"])
        store.accounts.create("ann@other.com", password="x", forwarding=["bob@example.com"], keep_copy=False)
        assert store.domains.delete(domain, keep_mailbox_days=7) == 2
        assert not store.domains.exists(domain)
        assert [account.address for account in store.accounts.list()] == ["ann@other.com"]
        ann = store.accounts.get("ann@other.com")
        assert (ann.forwarding, ann.keep_copy) == ((), True)
        assert store.aliases.get("all@other.com").members == ("x@else.org",)
        assert not store.aliases.exists("b@other.com")
        assert [record.address for record in store.deleted.list(domain=domain)] == [
            "bob@example.com",
            "eve@example.com",
        ]

    @ALIAS_DOMAINS
    def test_alias_domains_go(self, store: Store, domain: str) -> None:
        store.domains.add_alias_domains(domain, ["alias.com"])
        store.accounts.create("bob@example.com", password="x", aliases=["b@alias.com"])
        assert store.domains.delete(domain) == 1
        assert not store.domains.exists("alias.com")
        store.domains.create("alias.com")
        store.accounts.create("b@alias.com", password="x")

    @pytest.mark.needs(Capability.ACCESS_POLICY, Capability.ACCOUNT_ADMINS)
    def test_moderators_and_admins_go(self, store: Store, domain: str) -> None:
        store.domains.create("other.com")
        store.aliases.create("all@other.com", members=["x@else.org"], moderators=["*@example.com"])
        store.accounts.create("ann@other.com", password="x")
        store.admins.add_to_domain("example.com", ["ann@other.com"])
        store.domains.delete(domain)
        assert not store.accounts.get("ann@other.com").admin
        assert store.aliases.get("all@other.com").moderators == ()

    @PROFILE
    def test_a_new_domain_of_that_name_is_empty(self, store: Store, domain: str) -> None:
        store.domains.update(domain, **FULL)
        store.accounts.create("bob@example.com", password="long enough", quota="1G")
        store.domains.delete(domain)
        fresh = store.domains.create(domain)
        assert (fresh.catch_all, fresh.sender_bcc, fresh.outbound_relay) == ((), "", "")
        assert store.accounts.count() == 0


@pytest.mark.needs(Capability.DOMAINS)
class TestList:
    @pytest.mark.backend
    def test_selection_and_count(self, store: Store) -> None:
        for name in ("b.com", "a.com", "c.org"):
            store.domains.create(name)
        for query, found in (
            ({}, ["a.com", "b.com", "c.org"]),
            ({"search": ".COM"}, ["a.com", "b.com"]),
            ({"search": "%"}, []),
            ({"enabled": True}, ["a.com", "b.com", "c.org"]),
            ({"enabled": False}, []),
        ):
            selection: Any = query
            assert [item.domain for item in store.domains.list(**selection)] == found
            assert store.domains.count(**selection) == len(found)

    @PROFILE
    def test_selection_by_profile(self, store: Store) -> None:
        for name, title in (("b.com", "Bravo"), ("a.com", "Alpha 100%"), ("c.org", "Charly")):
            store.domains.create(name, name=title, enabled=name != "b.com")
        for query, found in (
            ({"search": "alpha"}, ["a.com"]),
            ({"search": "%"}, ["a.com"]),
            ({"enabled": True}, ["a.com", "c.org"]),
        ):
            selection: Any = query
            assert [item.domain for item in store.domains.list(**selection)] == found
            assert store.domains.count(**selection) == len(found)

    def test_list_gives_what_get_gives(self, store: Store, domain: str) -> None:
        if PROFILE.args[0] in store.capabilities:
            store.domains.update(domain, **FULL)
        if Capability.ALIAS_DOMAINS in store.capabilities:
            store.domains.add_alias_domains(domain, ["alias.com"])
        assert list(store.domains.list()) == [store.domains.get(domain)]
