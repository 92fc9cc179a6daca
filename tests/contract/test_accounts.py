"""Accounts, as `mailstore.store.Accounts` promises them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mailstore import (
    AlreadyExists,
    BulkRefused,
    Capability,
    Edit,
    InvalidAddress,
    InvalidPassword,
    InvalidQuota,
    InvalidValue,
    LimitExceeded,
    NotFound,
    Quota,
    Store,
)
from mailstore.errors import HomeError
from mailstore.passwords import WRITABLE_SCHEMES, hash_password, scheme_of
from tests.contract.hosting import host, named
from tests.tables import in_turn

FULL: dict[str, Any] = {
    "name": "Bob Söderström",
    "first_name": "Bob",
    "last_name": "Söderström",
    "quota": "2G",
    "language": "de_DE",
    "employee_id": "E-17",
    "department": "Sales",
    "mobile": "+49 1",
    "telephone": "+49 2",
    "recovery_email": "bob@home.org",
    "timezone": "Europe/Rome",
    "transport": "lmtp:inet:127.0.0.1:24",
    "sender_bcc": "archive@example.com",
    "recipient_bcc": "audit@other.org",
    "outbound_relay": "[relay.example.net]:587",
    "mailbox_format": "maildir",
    "mailbox_folder": "Mail",
}


@pytest.fixture
def domain(store: Store) -> str:
    host(store, "example.com")
    return "example.com"


@pytest.mark.usefixtures("domain")
class TestCreate:
    @pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.ACCOUNT_ALIASES)
    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    @pytest.mark.backend
    def test_returns_what_a_read_gives(self, store: Store) -> None:
        made = store.accounts.create(
            "bob@example.com",
            password="secret",
            forwarding=["eve@other.org"],
            aliases=["robert@example.com"],
            allow_nets=["192.0.2.0/24", "2001:db8::1"],
            services=["imap", "smtp", "deliver"],
            **FULL,
        )
        assert made == store.accounts.get("bob@example.com")
        for name, value in FULL.items():
            assert getattr(made, name) == (Quota.parse(value) if name == "quota" else value)
        assert made.forwarding == ("eve@other.org",)
        assert made.keep_copy
        assert made.aliases == ("robert@example.com",)
        assert made.allow_nets == ("192.0.2.0/24", "2001:db8::1")
        assert made.services == ("deliver", "imap", "smtp")
        assert made.created is not None
        assert made.password_changed is not None
        # Some stores know only the day of a change of password.
        assert made.created.date() == made.password_changed.date()

    def test_minimal_account_matches_a_read(self, store: Store) -> None:
        assert store.accounts.create("bob@example.com", password="x") == store.accounts.get("bob@example.com")

    def test_address_is_normalised(self, store: Store) -> None:
        assert store.accounts.create(" Bob@EXAMPLE.com", password="x").address == "bob@example.com"
        assert store.accounts.exists("BOB@example.com")
        with pytest.raises(AlreadyExists):
            store.accounts.create("bOb@example.com", password="x")

    @pytest.mark.backend
    def test_idn_domain_is_stored_in_punycode(self, store: Store) -> None:
        host(store, "bücher.example")
        made = store.accounts.create("info@BÜCHER.example", password="x")
        assert made.address == "info@xn--bcher-kva.example"
        assert store.accounts.get("info@bücher.example") == made

    @in_turn(
        "address",
        [
            "bob", "@example.com", "bob@", "bob@@example.com", "a b@example.com", "bob@exa mple.com", "bob+x@example.com",
            ".bob@example.com", "bob.@example.com", "b..b@example.com", "-bob@example.com", "jösé@example.com",
            "bob/../x@example.com", "bob'@example.com", "'; DROP TABLE mailbox; --@example.com", "$(id)@example.com",
            "bob@example.com\nx", "bob\x00@example.com", "a" * 65 + "@example.com", "b@" + "c" * 64 + ".com",
            "x@" + ".".join(["d" * 60] * 5), "bob@[192.0.2.1]", "bob@192.0.2.1", '"bob"@example.com', "",
        ],
    )  # fmt: skip
    def test_bad_address_is_refused(self, store: Store, address: str) -> None:
        with pytest.raises(InvalidAddress):
            store.accounts.create(address, password="x")
        assert list(store.accounts.list()) == []

    @pytest.mark.needs(Capability.DOMAINS)
    @pytest.mark.backend
    def test_unknown_domain(self, store: Store) -> None:
        with pytest.raises(NotFound, match=r"no domain nowhere\.com"):
            store.accounts.create("bob@nowhere.com", password="x")

    @pytest.mark.needs(Capability.DOMAINS, Capability.ALIAS_DOMAINS)
    @pytest.mark.needs(Capability.ALIAS_DOMAINS)
    def test_alias_domain_is_no_account_domain(self, store: Store) -> None:
        store.domains.add_alias_domains("example.com", ["alias.com"])
        with pytest.raises(NotFound, match=r"use example\.com"):
            store.accounts.create("bob@alias.com", password="x")

    def test_needs_exactly_one_of_password_and_hash(self, store: Store) -> None:
        ready = hash_password("x")
        for given in ({}, {"password": "x", "password_hash": ready}, {"password": ""}):
            with pytest.raises(InvalidPassword):
                store.accounts.create("bob@example.com", **given)

    @in_turn(
        "ready", ["x", "{PLAIN}x", "{NOPE}abc", "{BCRYPT}$2a$12$x", "{SSHA256}!", "{SSHA256}QUFB", "{CRYPT}$6$salt"]
    )
    def test_bad_hash_is_refused(self, store: Store, ready: str) -> None:
        with pytest.raises(InvalidPassword):
            store.accounts.create("bob@example.com", password_hash=ready)

    def test_password_that_looks_like_a_hash_is_a_password(self, store: Store) -> None:
        store.accounts.create("bob@example.com", password="{PLAIN}x")
        assert store.accounts.verify_password("bob@example.com", "{PLAIN}x")
        assert not store.accounts.verify_password("bob@example.com", "x")

    @pytest.mark.needs(Capability.ACCOUNT_QUOTAS)
    @in_turn("quota", [-1, 0, "-1M", "x", "", "1.5G", "99999999T", 1 << 70, True, 1000])
    def test_bad_quota(self, store: Store, quota: Any) -> None:
        with pytest.raises(InvalidQuota):
            store.accounts.create("bob@example.com", password="x", quota=quota)

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    @in_turn(
        "fields",
        [
            {"name": "a\nb"}, {"name": "a\x00b"}, {"name": "x" * 256}, {"enabled": "yes"},
            {"forwarding": "eve@other.org"}, {"forwarding": ["eve"]}, {"aliases": "a@example.com"},
        ],
    )  # fmt: skip
    def test_bad_value(self, store: Store, fields: Any) -> None:
        with pytest.raises(InvalidValue):
            store.accounts.create("bob@example.com", password="x", **fields)
        assert not store.accounts.exists("bob@example.com")

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    @in_turn(
        "fields",
        [
            {"language": "deutsch"}, {"language": "de_DEU"}, {"timezone": "GMT+1:00"}, {"timezone": "a;b"},
            {"transport": "a b"}, {"allow_nets": ["not a net"]}, {"allow_nets": "192.0.2.1"}, {"mailbox_format": "mbox"},
            {"mailbox_folder": ""}, {"mailbox_folder": "../x"}, {"outbound_relay": "a b"}, {"sender_bcc": "nobody"},
            {"services": ["imap", "nope"]},
        ],
    )  # fmt: skip
    def test_bad_value_of_the_profile(self, store: Store, fields: Any) -> None:
        with pytest.raises(InvalidValue):
            store.accounts.create("bob@example.com", password="x", **fields)
        assert not store.accounts.exists("bob@example.com")

    def test_unknown_parameter(self, store: Store) -> None:
        unknown: Any = {"nmae": "Bob"}
        with pytest.raises(TypeError, match="nmae"):
            store.accounts.create("bob@example.com", password="x", **unknown)

    def test_home_is_made_with_owner_and_mode(self, store: Store, vmail_owner: tuple[int, int]) -> None:
        home = store.accounts.create("bob@example.com", password="x").home
        assert home is not None
        folder = store.accounts.get("bob@example.com").mailbox_folder
        for part in ("", folder, *(Path(folder, name) for name in ("cur", "new", "tmp"))):
            status = Path(home, part).stat()
            assert (status.st_uid, status.st_gid) == vmail_owner
            assert stat.S_IMODE(status.st_mode) == 0o700

    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    def test_domain_defaults(self, store: Store) -> None:
        store.domains.create("defaults.com", default_account_quota="500M", default_language="it_IT")
        made = store.accounts.create("bob@defaults.com", password="x")
        assert (str(made.quota), made.language) == ("500M", "it_IT")
        other = store.accounts.create("eve@defaults.com", password="x", quota="1G", language="")
        assert (str(other.quota), other.language) == ("1G", "")

    @pytest.mark.needs(Capability.DOMAIN_PROFILE)
    def test_disabled_services_of_the_domain(self, store: Store) -> None:
        store.domains.create("noimap.com", disabled_services=["imap", "imapsecured", "sogo"])
        services = store.accounts.create("bob@noimap.com", password="x").services
        assert not any("imap" in name for name in services)
        assert "sogo" not in services
        assert "pop3" in services

    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    def test_password_length_of_the_domain(self, store: Store) -> None:
        store.domains.update("example.com", min_password_length=4, max_password_length=6)
        for password in ("abc", "abcdefg"):
            with pytest.raises(InvalidPassword):
                store.accounts.create("bob@example.com", password=password)
        store.accounts.create("bob@example.com", password="abcd")


@pytest.mark.needs(Capability.HOME_PATHS)
@pytest.mark.usefixtures("domain")
class TestChosenHome:
    @pytest.fixture
    def root(self, store: Store) -> str:
        assert store.homes is not None
        return str(store.homes.roots[0])

    def test_is_used_as_given(self, store: Store, root: str) -> None:
        made = store.accounts.create("bob@example.com", password="x", home=f"{root}/Special//bob/")
        assert made.home == f"{root}/special/bob"
        assert made == store.accounts.get("bob@example.com")
        assert Path(made.home, "Maildir/new").is_dir()

    def test_of_somebody_else_is_refused(self, store: Store, root: str) -> None:
        store.accounts.create("bob@example.com", password="x", home=f"{root}/a/bob")
        for taken in (f"{root}/a/bob", f"{root}/a", f"{root}/a/bob/inner", f"{root}/A/Bob"):
            with pytest.raises(AlreadyExists):
                store.accounts.create("eve@example.com", password="x", home=taken)
        store.accounts.delete("bob@example.com")
        with pytest.raises(AlreadyExists, match="restore"):
            store.accounts.create("eve@example.com", password="x", home=f"{root}/a/bob")
        assert store.accounts.count() == 0

    def test_with_mail_in_it_is_refused_and_empty_is_adopted(
        self, store: Store, root: str, vmail_owner: tuple[int, int]
    ) -> None:
        for name in ("full", "empty"):
            for path in (Path(root, name), Path(root, name, "Maildir")):
                path.mkdir()
                os.chown(path, *vmail_owner)
        Path(root, "full/Maildir/message").write_text("somebody's")
        with pytest.raises(HomeError):
            store.accounts.create("bob@example.com", password="x", home=f"{root}/full")
        assert Path(root, "full/Maildir/message").read_text() == "somebody's"
        store.accounts.create("bob@example.com", password="x", home=f"{root}/empty")
        assert Path(root, "empty/Maildir/cur").is_dir()

    @in_turn("home", ["relative/path", "/etc/mail/bob", "/", "/tmp", "{root}/../x/y", "{root}", "{root}/a\nb"])
    def test_outside_or_malformed_is_refused(self, store: Store, root: str, home: str) -> None:
        with pytest.raises((HomeError, InvalidValue)):
            store.accounts.create("bob@example.com", password="x", home=home.replace("{root}", root))
        assert store.accounts.count() == 0


@pytest.fixture
def bob(store: Store, domain: str) -> str:
    store.accounts.create("bob@example.com", password="secret", **named(store, "Bob"))
    return "bob@example.com"


class TestUpdate:
    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    @pytest.mark.backend
    def test_everything(self, store: Store, bob: str) -> None:
        updated = store.accounts.update(bob, **FULL)
        assert updated == store.accounts.get(bob)
        for name, value in FULL.items():
            assert getattr(updated, name) == (Quota.parse(value) if name == "quota" else value)
        cleared = store.accounts.update(
            bob,
            name="",
            sender_bcc="",
            recipient_bcc="",
            outbound_relay="",
            quota="unlimited",
            timezone="",
            allow_nets=[],
        )
        assert (cleared.name, cleared.sender_bcc, cleared.recipient_bcc, cleared.outbound_relay) == ("", "", "", "")
        assert cleared.quota.unlimited
        assert cleared.employee_id == "E-17"

    def test_nothing_given_changes_nothing_but_the_time(self, store: Store, bob: str) -> None:
        before = store.accounts.get(bob)
        after = store.accounts.update(bob)
        assert (after.modified is None) == (before.modified is None)
        assert before.name == after.name

    def test_password(self, store: Store, bob: str) -> None:
        store.accounts.update(bob, password="new")
        assert store.accounts.verify_password(bob, "new")
        assert not store.accounts.verify_password(bob, "secret")

    @pytest.mark.needs(Capability.READY_HASHES)
    def test_ready_hash(self, store: Store, bob: str) -> None:
        store.accounts.update(bob, password_hash=hash_password("ready", "SSHA512"))
        assert store.accounts.verify_password(bob, "ready")

    @pytest.mark.needs(Capability.READY_HASHES)
    def test_rehash(self, store: Store, bob: str) -> None:
        self.rehash(store, bob, "SSHA512")

    @pytest.mark.parametrize("store_rig", ["sqlite"], indirect=True)
    @pytest.mark.parametrize("scheme", WRITABLE_SCHEMES)
    def test_rehash_of_each_scheme(self, store: Store, bob: str, scheme: str) -> None:
        self.rehash(store, bob, scheme)

    def rehash(self, store: Store, bob: str, scheme: str) -> None:
        store.accounts.update(bob, password_hash=hash_password("pw", scheme))
        assert not store.accounts.verify_password(bob, "wrong", rehash=True)
        assert scheme_of(store.accounts.password_hash(bob)) == scheme
        assert store.accounts.verify_password(bob, "pw", rehash=True)
        assert scheme_of(store.accounts.password_hash(bob)) == "SSHA256"
        assert store.accounts.verify_password(bob, "pw")

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    def test_forwarding_with_and_without_copy(self, store: Store, bob: str) -> None:
        def state() -> tuple[tuple[str, ...], bool]:
            account = store.accounts.get(bob)
            return account.forwarding, account.keep_copy

        store.accounts.update(bob, forwarding=["b@other.org", "a@other.org"])
        assert state() == (("a@other.org", "b@other.org"), True)
        store.accounts.update(bob, keep_copy=False)
        assert state() == (("a@other.org", "b@other.org"), False)
        store.accounts.update(bob, forwarding=Edit(add=["c@other.org"], remove=["a@other.org", "nobody@x.org"]))
        assert state() == (("b@other.org", "c@other.org"), False)
        store.accounts.update(bob, forwarding=["d@other.org", bob])
        assert state() == (("d@other.org",), True)
        store.accounts.update(bob, forwarding=["d@other.org"], keep_copy=False)
        store.accounts.update(bob, forwarding=[])
        assert state() == ((), True)

    @pytest.mark.needs(Capability.ACCOUNT_ALIASES, Capability.ALIAS_DOMAINS)
    @pytest.mark.needs(Capability.ALIAS_DOMAINS)
    def test_aliases(self, store: Store, bob: str) -> None:
        store.domains.add_alias_domains("example.com", ["alias.com"])
        store.accounts.update(bob, aliases=["b1@example.com", "b2@example.com", "b3@alias.com"])
        store.accounts.add_aliases(bob, ["b4@example.com", "b1@example.com"])
        store.accounts.remove_aliases(bob, ["b2@example.com", "nobody@example.com"])
        assert store.accounts.get(bob).aliases == ("b1@example.com", "b3@alias.com", "b4@example.com")
        store.accounts.update(bob, aliases=[])
        assert store.accounts.get(bob).aliases == ()

    @pytest.mark.needs(Capability.ACCOUNT_ALIASES, Capability.DOMAINS)
    def test_alias_in_a_foreign_domain(self, store: Store, bob: str) -> None:
        with pytest.raises(NotFound):
            store.accounts.add_aliases(bob, ["bob@nowhere.com"])

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    def test_services(self, store: Store, bob: str) -> None:
        store.accounts.update(bob, services=Edit(remove=["imap", "pop3tls"]))
        services = store.accounts.get(bob).services
        assert not any("imap" in name for name in services)
        assert {"pop3plain", "pop3secured"} <= set(services)
        assert "pop3" not in services
        store.accounts.update(bob, services=Edit(add=["imap", "pop3"]))
        assert {"imap", "pop3"} <= set(store.accounts.get(bob).services)
        before = store.accounts.update(bob, services=["smtp", "imapsecured"]).services
        assert before == ("imapsecured", "smtp")
        assert store.accounts.update(bob, services=before).services == before

    @pytest.mark.needs(Capability.DISABLING, Capability.ACCOUNT_PROFILE, Capability.ACCOUNT_ALIASES)
    def test_disable_and_enable(self, store: Store, bob: str) -> None:
        store.accounts.update(bob, aliases=["b1@example.com"], forwarding=["x@other.org"])
        assert not store.accounts.update(bob, enabled=False).enabled
        assert [account.address for account in store.accounts.list(enabled=False)] == [bob]
        assert store.accounts.verify_password(bob, "secret")
        assert store.accounts.update(bob, enabled=True).enabled

    @pytest.mark.usefixtures("domain")
    @pytest.mark.backend
    def test_unknown_account(self, store: Store) -> None:
        for call in (
            lambda: store.accounts.get("nobody@example.com"),
            lambda: store.accounts.update("nobody@example.com", password="x"),
            lambda: store.accounts.delete("nobody@example.com"),
            lambda: store.accounts.verify_password("nobody@example.com", "x"),
            lambda: store.accounts.get("nobody@nowhere.org"),
        ):
            with pytest.raises(NotFound):
                call()
        assert not store.accounts.exists("nobody@example.com")

    @pytest.mark.needs(Capability.ACCOUNT_ALIASES)
    def test_alias_is_no_account(self, store: Store, bob: str) -> None:
        store.accounts.add_aliases(bob, ["b1@example.com"])
        with pytest.raises(NotFound):
            store.accounts.get("b1@example.com")

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.DISABLING)
    @pytest.mark.backend
    def test_update_all(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="secret")
        host(store, "other.com")
        store.accounts.create("bob@other.com", password="secret")
        assert store.accounts.update_all("example.com", password="both", enabled=False) == 2
        for address in (bob, "eve@example.com"):
            assert not store.accounts.get(address).enabled
            assert store.accounts.verify_password(address, "both")
        assert store.accounts.password_hash(bob) != store.accounts.password_hash("eve@example.com")
        assert store.accounts.get("bob@other.com").enabled
        assert store.accounts.verify_password("bob@other.com", "secret")
        store.accounts.update_all("example.com", enabled=True)
        assert store.accounts.get(bob).enabled

    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    @pytest.mark.usefixtures("bob")
    def test_update_all_of_the_profile(self, store: Store) -> None:
        store.accounts.create("eve@example.com", password="secret")
        assert store.accounts.update_all("example.com", language="fr_FR", transport="lmtp:x") == 2
        for account in store.accounts.list():
            assert (account.language, account.transport) == ("fr_FR", "lmtp:x")


@pytest.mark.needs(Capability.RENAMING)
class TestRename:
    @pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.DOMAIN_PROFILE, Capability.ACCESS_POLICY)
    @pytest.mark.backend
    def test_everything_follows(self, store: Store, bob: str) -> None:
        store.accounts.update(bob, aliases=["b1@example.com"], forwarding=["x@other.org"], **FULL)
        store.aliases.create("sales@example.com", members=[bob], moderators=[bob])
        store.accounts.create("eve@example.com", password="x", forwarding=[bob], sender_bcc=bob)
        store.domains.update("example.com", catch_all=[bob])
        before = store.accounts.get(bob)
        after = store.accounts.rename(bob, "bob.smith@example.com")
        assert after == store.accounts.get("bob.smith@example.com")
        assert (after.home, after.aliases, after.forwarding) == (before.home, before.aliases, before.forwarding)
        assert after.sender_bcc == before.sender_bcc
        assert store.accounts.verify_password("bob.smith@example.com", "secret")
        assert not store.accounts.exists(bob)
        assert store.aliases.get("sales@example.com").members == ("bob.smith@example.com",)
        assert store.aliases.get("sales@example.com").moderators == ("bob.smith@example.com",)
        eve = store.accounts.get("eve@example.com")
        assert (eve.forwarding, eve.sender_bcc) == (("bob.smith@example.com",), "bob.smith@example.com")
        assert store.domains.get("example.com").catch_all == ("bob.smith@example.com",)

    def test_to_another_domain(self, store: Store, bob: str) -> None:
        host(store, "other.com")
        store.accounts.add_aliases(bob, ["b1@example.com"])
        after = store.accounts.rename(bob, "bob@other.com")
        assert after.aliases == ("b1@example.com",)
        assert [account.address for account in store.accounts.list(domain="other.com")] == ["bob@other.com"]

    def test_onto_its_own_alias(self, store: Store, bob: str) -> None:
        store.accounts.add_aliases(bob, ["robert@example.com", "rob@example.com"])
        after = store.accounts.rename(bob, "robert@example.com")
        assert (after.aliases, after.forwarding, after.keep_copy) == (("rob@example.com",), (), True)

    @pytest.mark.backend
    def test_where_both_names_stand_in_one_alias(self, store: Store, bob: str) -> None:
        store.aliases.create("sales@example.com", members=[bob, "new@example.com"])
        store.accounts.create("eve@example.com", password="x", forwarding=[bob, "new@example.com"])
        store.accounts.rename(bob, "new@example.com")
        assert store.aliases.get("sales@example.com").members == ("new@example.com",)
        assert store.accounts.get("eve@example.com").forwarding == ("new@example.com",)

    def test_to_itself_and_back(self, store: Store, bob: str) -> None:
        assert store.accounts.rename(bob, bob).address == bob
        store.accounts.rename(bob, "new@example.com")
        assert store.accounts.rename("new@example.com", bob).address == bob

    def test_refused(self, store: Store, bob: str) -> None:
        store.accounts.create("eve@example.com", password="x", aliases=["ev@example.com"])
        store.aliases.create("sales@example.com", members=["x@other.org"])
        if Capability.ALIAS_DOMAINS in store.capabilities:
            store.domains.add_alias_domains("example.com", ["alias.com"])
        for taken in ("eve@example.com", "ev@example.com", "sales@example.com"):
            with pytest.raises(AlreadyExists):
                store.accounts.rename(bob, taken)
        for missing in ("bob@nowhere.com", "bob@alias.com"):
            with pytest.raises(NotFound):
                store.accounts.rename(bob, missing)
        with pytest.raises(NotFound):
            store.accounts.rename("nobody@example.com", "x@example.com")
        assert store.accounts.exists(bob)

    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    def test_limits_of_the_new_domain(self, store: Store, bob: str) -> None:
        store.domains.create("full.com", max_accounts=0)
        store.domains.create("small.com", quota="10M")
        for domain in ("full.com", "small.com"):
            with pytest.raises(LimitExceeded):
                store.accounts.rename(bob, f"bob@{domain}")

    def test_a_new_account_of_the_old_name_gets_another_home(self, store: Store, bob: str) -> None:
        home = store.accounts.rename(bob, "robert@example.com").home
        assert store.accounts.create(bob, password="x").home != home


@pytest.mark.needs(Capability.ACCOUNT_PROFILE, Capability.DISABLING, Capability.DOMAIN_ADMINS)
class TestList:
    @pytest.fixture(autouse=True)
    def accounts(self, store: Store) -> None:
        host(store, "example.com")
        host(store, "other.com")
        for number in range(3):
            store.accounts.create(f"user{number}@example.com", password="x", name=f"Name {number}", enabled=number != 1)
        store.accounts.create("hans@other.com", password="x", name="100% Käse_")
        if Capability.ACCOUNT_ADMINS in store.capabilities:
            store.admins.promote("user2@example.com")

    @in_turn(
        ("query", "expected"),
        [
            ({}, ["hans@other.com", "user0@example.com", "user1@example.com", "user2@example.com"]),
            ({"domain": "other.com"}, ["hans@other.com"]),
            ({"search": "SER1"}, ["user1@example.com"]),
            ({"search": "name 2"}, ["user2@example.com"]),
            ({"search": "100%"}, ["hans@other.com"]),
            ({"search": "%"}, ["hans@other.com"]),
            ({"search": "_"}, ["hans@other.com"]),
            ({"search": "' OR 1=1"}, []),
            ({"enabled": False}, ["user1@example.com"]),
            ({"domain": "nowhere.com"}, []),
        ],
    )
    @pytest.mark.backend
    def test_selection_and_count(self, store: Store, query: Any, expected: list[str]) -> None:
        assert [account.address for account in store.accounts.list(**query)] == expected
        assert store.accounts.count(**query) == len(expected)

    @pytest.mark.needs(Capability.ACCOUNT_ADMINS)
    @in_turn(
        ("query", "expected"),
        [
            ({"admins": True}, ["user2@example.com"]),
            ({"admins": False, "domain": "example.com"}, ["user0@example.com", "user1@example.com"]),
        ],
    )
    def test_selection_by_admin_rights(self, store: Store, query: Any, expected: list[str]) -> None:
        assert [account.address for account in store.accounts.list(**query)] == expected
        assert store.accounts.count(**query) == len(expected)

    def test_list_gives_what_get_gives(self, store: Store) -> None:
        store.accounts.update("user0@example.com", forwarding=["x@other.org"], aliases=["u0@example.com"])
        if Capability.ACCOUNT_PROFILE in store.capabilities:
            store.accounts.update("user1@example.com", sender_bcc="a@b.org")
        assert [store.accounts.get(account.address) for account in store.accounts.list()] == list(store.accounts.list())


class TestBulk:
    @pytest.mark.needs(Capability.ACCOUNT_PROFILE)
    @pytest.mark.usefixtures("domain")
    @pytest.mark.backend
    def test_create_many(self, store: Store) -> None:
        ready = hash_password("x")
        rows = [
            {"address": f"u{number}@example.com", "password_hash": ready, "name": str(number)} for number in range(30)
        ]
        has_profile = Capability.ACCOUNT_PROFILE in store.capabilities
        rows[3] |= {"quota": "1G", **({"sender_bcc": "a@b.org", "services": ["imap"]} if has_profile else {})}
        assert store.accounts.create_many([*rows, {"address": "pw@example.com", "password": "secret"}]) == 31
        assert store.accounts.count() == 31
        assert store.accounts.verify_password("pw@example.com", "secret")
        third = store.accounts.get("u3@example.com")
        assert str(third.quota) == "1G"
        if has_profile:
            assert (third.sender_bcc, third.services) == ("a@b.org", ("imap",))
        assert third.home is not None
        assert Path(third.home, "Maildir/cur").is_dir()

    @pytest.mark.needs(Capability.DOMAINS, Capability.DOMAIN_LIMITS)
    @pytest.mark.backend
    def test_all_refused_rows_are_named_and_nothing_is_written(self, store: Store, bob: str) -> None:
        rows: list[dict[str, Any]] = [
            {"address": "good@example.com", "password": "x"},
            {"address": "bad", "password": "x"},
            {"address": bob, "password": "x"},
            {"address": "x@nowhere.com", "password": "x"},
            {"address": "GOOD@example.com", "password": "x"},
            {"address": "nopass@example.com"},
            {"address": "q@example.com", "password": "x", "quota": "x"},
        ]
        with pytest.raises(BulkRefused) as caught:
            store.accounts.create_many(rows)
        assert [index for index, _ in caught.value.rows] == [1, 2, 3, 4, 5, 6]
        kinds = [type(error) for _, error in caught.value.rows]
        assert kinds == [InvalidAddress, AlreadyExists, NotFound, AlreadyExists, InvalidPassword, InvalidQuota]
        assert store.accounts.count() == 1

    @pytest.mark.needs(Capability.DOMAIN_LIMITS)
    @pytest.mark.usefixtures("bob")
    def test_rows_beyond_a_limit_are_named(self, store: Store) -> None:
        store.domains.create("full.com", max_accounts=1)
        rows = [{"address": f"{name}@full.com", "password": "x"} for name in ("a", "b")]
        with pytest.raises(BulkRefused) as caught:
            store.accounts.create_many([{"address": "good@example.com", "password": "x"}, *rows])
        assert [(index, type(error)) for index, error in caught.value.rows] == [(2, LimitExceeded)]
        assert store.accounts.count() == 1

    def test_none(self, store: Store) -> None:
        assert store.accounts.create_many([]) == 0
