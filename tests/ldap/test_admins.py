"""Admins in the directory: what stands in their entries, and what a directory makes harder than a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest
from ldap3 import MODIFY_ADD, MODIFY_REPLACE

from mailstore import (
    AlreadyExists,
    Edit,
    InvalidPassword,
    InvalidValue,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Quota,
    StoreError,
    StoreUnavailable,
)
from tests.ldap.rig import counting
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

SUFFIX = "dc=mailstore,dc=test"
DOMAIN = f"domainName=example.com,o=domains,{SUFFIX}"
ANN = f"mail=ann@example.com,ou=Users,{DOMAIN}"
ROOT = f"mail=root@admins.org,o=domainAdmins,{SUFFIX}"


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    """The directory, emptied."""
    found = cast("LdapRig", rigs("ldap"))
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def store(rig: LdapRig) -> Iterator[IRedMailDirectory]:
    """A store with two domains and an account; afterwards nothing may be wrong in it."""
    rig.shared.domains.create("example.com")
    rig.shared.domains.create("other.com")
    rig.shared.accounts.create("ann@example.com", password="secret", name="Ann")
    yield rig.shared
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []


def attributes(rig: LdapRig, dn: str) -> dict[str, list[str]]:
    with rig.server.connect() as connection:
        connection.search(dn, "(objectClass=*)", "BASE", attributes=["*"])
        return {
            name: sorted(value.decode() for value in values)
            for name, values in connection.response[0]["raw_attributes"].items()
        }


def change(rig: LdapRig, dn: str, kind: str, attribute: str, *values: str) -> None:
    with rig.server.connect() as connection:
        assert connection.modify(dn, {attribute: [(kind, list(values))]}), connection.result


class TestStandalone:
    def test_entry(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.create(
            "Root@Admins.org", password="secret", name="Ährenfeld", language="en_US", max_domains=3, max_quota="2T",
            max_accounts=10, max_aliases=0, may_view_mail_log=False, timezone="Europe/Rome", domains=["example.com"],
        )  # fmt: skip
        entry = attributes(rig, ROOT)
        assert entry.pop("userPassword")[0].startswith("{SSHA512}")
        assert int(entry.pop("shadowLastChange")[0]) > 20_000
        assert entry == {
            "objectClass": ["mailAdmin"],
            "mail": ["root@admins.org"],
            "cn": ["Ährenfeld"],
            "preferredLanguage": ["en_US"],
            "accountStatus": ["active"],
            "accountSetting": [
                "create_max_aliases:-1", "create_max_domains:3", "create_max_quota:2", "create_max_users:10",
                "create_new_domains:yes", "create_quota_unit:TB", "timezone:Europe/Rome",
            ],
            "disabledService": ["view_mail_log"],
        }  # fmt: skip
        assert attributes(rig, DOMAIN)["domainAdmin"] == ["root@admins.org"]

    def test_global_admin(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True, max_accounts=5, may_view_mail_log=False)
        entry = attributes(rig, ROOT)
        assert entry["domainGlobalAdmin"] == ["yes"]
        assert entry["disabledService"] == ["view_mail_log"]
        assert "accountSetting" not in entry
        store.admins.update("root@admins.org", global_admin=False, may_view_mail_log=True)
        assert {"domainGlobalAdmin", "disabledService"}.isdisjoint(attributes(rig, ROOT))

    def test_what_others_wrote_stays(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.create("root@admins.org", password="x", max_accounts=5, max_quota="10G")
        change(rig, ROOT, MODIFY_ADD, "accountSetting", "favourite:blue:ish", "no colon")
        change(rig, ROOT, MODIFY_ADD, "disabledService", "tea")
        change(rig, ROOT, MODIFY_ADD, "description", "by hand")
        change(rig, ROOT, MODIFY_REPLACE, "domainGlobalAdmin", "no")
        admin = store.admins.update("root@admins.org", max_accounts=None, may_manage_quarantine=False)
        assert (admin.max_accounts, admin.max_quota, admin.global_admin) == (None, Quota.parse("10G"), False)
        assert admin.settings == {"favourite": "blue:ish"}
        entry = attributes(rig, ROOT)
        assert {"favourite:blue:ish", "no colon", "create_max_quota:10"} <= set(entry["accountSetting"])
        assert entry["disabledService"] == ["manage_quarantined_mails", "tea"]
        assert entry["description"] == ["by hand"]

    def test_a_later_admin_inherits_nothing(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.create("root@admins.org", password="x", domains=["example.com", "other.com"])
        store.admins.delete("root@admins.org")
        assert store.domains.get("example.com").admins == store.domains.get("other.com").admins == ()
        change(rig, DOMAIN, MODIFY_ADD, "domainAdmin", "Root@admins.org")
        assert store.admins.create("root@admins.org", password="x", domains=["other.com"]).domains == ("other.com",)
        assert "domainAdmin" not in attributes(rig, DOMAIN)

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"max_accounts": -1}, InvalidValue),
            ({"global_admin": "yes"}, InvalidValue),
            ({"may_view_mail_log": 1}, InvalidValue),
            ({"language": "English"}, InvalidValue),
            ({"domains": "example.com"}, InvalidValue),
            ({"domains": ["nowhere.com"]}, NotFound),
            ({"password_hash": "{PLAIN}x", "password": None}, InvalidPassword),
            ({"nonsense": 1}, TypeError),
        ],
    )
    def test_refused_without_a_trace(
        self, fields: dict[str, Any], error: type[Exception], store: IRedMailDirectory, rig: LdapRig
    ) -> None:
        before = rig.server.dump().count("dn: ")
        with pytest.raises(error):
            store.admins.create("root@admins.org", **{"password": "x", **fields})
        assert rig.server.dump().count("dn: ") == before
        store.admins.create("root@admins.org", password="x", domains=["example.com"])
        with pytest.raises(error):
            store.admins.update("root@admins.org", **fields)
        assert store.admins.get("root@admins.org").domains == ("example.com",)

    def test_its_domain_must_not_be_here(self, store: IRedMailDirectory) -> None:
        store.admins.create("root@admins.org", password="x")
        with pytest.raises(AlreadyExists, match="standalone admin"):
            store.domains.create("admins.org")
        with pytest.raises(AlreadyExists, match="standalone admin"):
            store.domains.add_alias_domains("example.com", ["admins.org"])

    def test_of_racing_creators_one_wins(self, store: IRedMailDirectory) -> None:
        def create(number: int) -> bool:
            try:
                store.admins.create("root@admins.org", password="x", name=str(number), domains=["example.com"])
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(create, range(8))) == 1
        assert store.admins.get("root@admins.org").domains == ("example.com",)

    def test_a_domain_and_an_admin_of_it_are_not_made_at_once(self, store: IRedMailDirectory) -> None:
        def attempt(action: Callable[[], object]) -> bool:
            try:
                action()
            except (AlreadyExists, InvalidValue):
                return False
            return True

        for number in range(5):
            name = f"new{number}.org"
            actions: list[Callable[[], object]] = [
                lambda name=name: store.domains.create(name),  # type: ignore[misc]
                lambda name=name: store.admins.create(f"root@{name}", password="x"),  # type: ignore[misc]
            ]
            with ThreadPoolExecutor(2) as pool:
                assert sum(pool.map(attempt, actions)) == 1

    def test_escaped_addresses(self, store: IRedMailDirectory) -> None:
        for address in ("a+b@admins.org", "o'hara@admins.org", "x=y@admins.org", "*@admins.org", "#x@admins.org"):
            store.admins.create(address, password="x", domains=["example.com"])
            assert store.admins.get(address).domains == ("example.com",)
            assert [admin.address for admin in store.admins.list(search=address)] == [address]
            assert store.admins.login(address, "x") is not None
            store.admins.delete(address)
        assert store.admins.count() == 0


class TestAccounts:
    def test_entry(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.promote("ann@example.com", domains=["other.com"])
        entry = attributes(rig, ANN)
        assert "domainadmin" in entry["enabledService"]
        assert "domainGlobalAdmin" not in entry
        store.admins.promote("ann@example.com", global_admin=True, name="Anna", timezone="Europe/Rome")
        entry = attributes(rig, ANN)
        assert (entry["domainGlobalAdmin"], entry["cn"]) == (["yes"], ["Anna"])
        assert entry["accountSetting"] == ["timezone:Europe/Rome"]
        store.admins.demote("ann@example.com")
        entry = attributes(rig, ANN)
        assert "domainadmin" not in entry["enabledService"]
        assert "domainGlobalAdmin" not in entry
        assert store.domains.get("other.com").admins == ()

    def test_limits_that_a_user_gave_itself_mean_nothing(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.promote("ann@example.com")
        change(rig, ANN, MODIFY_ADD, "accountSetting", "create_new_domains:yes", "create_max_domains:99")
        admin = store.admins.get("ann@example.com")
        assert (admin.max_domains, admin.settings) == (0, {})
        with pytest.raises(PermissionDenied):
            store.acting_as("ann@example.com").domains.create("new.com")

    def test_being_named_by_a_domain_is_not_enough(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        change(rig, DOMAIN, MODIFY_ADD, "domainAdmin", "ann@example.com")
        assert not store.admins.exists("ann@example.com")
        with pytest.raises(NotFound):
            store.acting_as("ann@example.com")
        store.admins.demote("ann@example.com")
        assert "domainAdmin" not in attributes(rig, DOMAIN)

    def test_the_password_follows_the_domain(self, store: IRedMailDirectory) -> None:
        store.admins.promote("ann@example.com")
        store.domains.update("example.com", min_password_length=8)
        with pytest.raises(InvalidPassword, match="8 characters"):
            store.admins.update("ann@example.com", password="short", name="Changed")
        assert store.admins.get("ann@example.com").name == "Ann"
        store.admins.update("ann@example.com", password="long enough")
        assert store.admins.login("ann@example.com", "long enough") is not None
        assert store.accounts.password_hash("ann@example.com").startswith("{SSHA512}")

    def test_promotion_races_with_deletion(self, store: IRedMailDirectory) -> None:
        def attempt(action: Callable[[], object]) -> None:
            with suppress(NotFound, StoreUnavailable):
                action()

        for number in range(6):
            address = f"x{number}@example.com"
            store.accounts.create(address, password="x")
            actions: list[Callable[[], object]] = [
                lambda address=address: store.admins.add_to_domain("other.com", [address]),  # type: ignore[misc]
                lambda address=address: store.accounts.delete(address),  # type: ignore[misc]
            ]
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(attempt, actions))
        assert store.domains.get("other.com").admins == ()

    def test_two_changes_of_the_domains_at_once(self, store: IRedMailDirectory) -> None:
        store.admins.promote("ann@example.com")
        names = [f"d{number}.com" for number in range(6)]
        for name in names:
            store.domains.create(name)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: store.admins.update("ann@example.com", domains=Edit(add=[name])), names))
        assert store.admins.get("ann@example.com").domains == (*names, "example.com")


class TestPasswords:
    def test_by_bind(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.admins.create("root@admins.org", password="secret")
        with rig.open(verify_by_bind=True) as by_bind:
            assert by_bind.admins.login("root@admins.org", "secret") is not None
            assert by_bind.admins.login("root@admins.org", "wrong") is None
            assert by_bind.admins.login("nobody@admins.org", "secret") is None

    @pytest.mark.usefixtures("store")
    def test_without_the_module_for_sha2(self, rig: LdapRig) -> None:
        with rig.open(login_by="bind-without-sha2", password_scheme="SHA512-CRYPT") as old:
            old.admins.create("root@admins.org", password="secret")
            assert attributes(rig, ROOT)["userPassword"][0].startswith("{CRYPT}$2b$")
            assert old.admins.login("root@admins.org", "secret") is not None
            assert old.admins.login("nobody@admins.org", "secret") is None

    def test_hash(self, store: IRedMailDirectory) -> None:
        store.admins.create("root@admins.org", password="secret")
        stored = store.admins.password_hash("root@admins.org")
        store.admins.create("copy@admins.org", password_hash=stored)
        assert store.admins.verify_password("copy@admins.org", "secret")
        store.admins.promote("ann@example.com")
        with pytest.raises(PermissionDenied):
            store.acting_as("ann@example.com").admins.password_hash("ann@example.com")

    def test_no_repr_shows_one(self, store: IRedMailDirectory) -> None:
        assert "{SSHA" not in repr(store.admins.create("root@admins.org", password="secret"))


class TestVisible:
    def test_admins_of_its_own_domains(self, store: IRedMailDirectory) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True)
        store.admins.create("one@admins.org", password="x", domains=["example.com", "other.com"], max_domains=1)
        store.admins.create("two@admins.org", password="x", domains=["other.com"])
        store.admins.promote("ann@example.com")
        acting = store.acting_as("ann@example.com").admins
        assert [admin.address for admin in acting.list()] == ["ann@example.com", "one@admins.org"]
        assert [admin.address for admin in acting.list(search="ONE")] == ["one@admins.org"]
        assert [admin.address for admin in acting.list(domain="other.com")] == ["one@admins.org"]
        assert (acting.count(), acting.count(domain="other.com"), acting.count(search="nobody")) == (2, 1, 0)
        assert acting.exists("one@admins.org")
        assert not acting.exists("two@admins.org")
        hidden: list[Callable[[], object]] = [
            lambda: acting.get("root@admins.org"),
            lambda: acting.update("two@admins.org", name="x"),
            lambda: acting.verify_password("root@admins.org", "x"),
        ]
        for call in hidden:
            with pytest.raises(NotFound):
                call()
        with pytest.raises(PermissionDenied):
            acting.update("one@admins.org", name="x")
        with pytest.raises(PermissionDenied):
            acting.delete("one@admins.org")

    def test_a_standalone_admin_changes_itself(self, store: IRedMailDirectory) -> None:
        store.admins.create("one@admins.org", password="x", domains=["example.com"], max_domains=1)
        acting = store.acting_as("one@admins.org")
        assert acting.admins.update("one@admins.org", password="new", name="One").name == "One"
        assert store.admins.login("one@admins.org", "new") is not None
        for fields in ({"max_domains": None}, {"global_admin": True}, {"may_view_mail_log": True}):
            with pytest.raises(PermissionDenied):
                acting.admins.update("one@admins.org", **cast("Any", fields))
        with pytest.raises(NotFound):
            acting.admins.update("one@admins.org", domains=["example.com", "other.com"])
        with pytest.raises(LimitExceeded):
            acting.domains.create("new.com")

    def test_many(self, store: IRedMailDirectory) -> None:
        for number in range(120):
            address, domains = f"a{number:03}@admins.org", ["example.com"] if number % 2 else []
            store.admins.create(address, password_hash="{SSHA}" + "a" * 32, domains=domains)
        store.admins.promote("ann@example.com")
        addresses = [admin.address for admin in store.admins.list()]
        assert len(addresses) == store.admins.count() == 121
        assert addresses == sorted(addresses)
        assert store.admins.count(domain="example.com") == 61
        listed = [admin.address for admin in store.admins.list(domain="example.com")]
        assert listed == [address for address in addresses if "example.com" in address or int(address[1:4]) % 2]
        with counting(store) as operations:
            list(store.admins.list())
        assert len(operations) == 2 + 3  # both kinds, and the domains of each page


class Died(BaseException):
    """The end of a process."""


def die_before_write(store: IRedMailDirectory, number: int, work: Callable[[IRedMailDirectory], object]) -> bool:
    """Do some work as a process that dies before a write, undoing nothing; tell whether it came to that."""
    writes = count()

    def observe(kind: str, _dn: str) -> None:
        if kind not in {"search", "bind"} and next(writes) >= number:
            raise Died

    store._context.directory.observers.append(observe)
    try:
        work(store)
    except Died:
        return True
    return False


def nothing(_store: IRedMailDirectory) -> None:
    """Prepare nothing."""


def add_to_both(store: IRedMailDirectory) -> None:
    """Two operations, each by itself."""
    for domain in BOTH:
        store.admins.add_to_domain(domain, ["ann@example.com"])


Work = Callable[["IRedMailDirectory"], object]
BOTH = ["example.com", "other.com"]
OPERATIONS: dict[str, tuple[Work, Work, tuple[str, ...]]] = {
    "create": (
        nothing,
        lambda store: store.admins.create("root@admins.org", password="x", domains=BOTH),
        ("root@admins.org",),
    ),
    "promote": (
        nothing,
        lambda store: store.admins.promote("ann@example.com", domains=BOTH),
        ("ann@example.com",),
    ),
    "update": (
        lambda store: store.admins.create("root@admins.org", password="x"),
        lambda store: store.admins.update("root@admins.org", password="y", domains=BOTH),
        ("root@admins.org",),
    ),
    "add": (
        nothing,
        add_to_both,
        ("ann@example.com",),
    ),
    "delete": (
        lambda store: store.admins.create("root@admins.org", password="x", domains=BOTH),
        lambda store: store.admins.delete("root@admins.org"),
        (),
    ),
    "demote": (
        lambda store: store.admins.promote("ann@example.com", domains=BOTH),
        lambda store: store.admins.demote("ann@example.com"),
        (),
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_interrupted_is_finished_by_doing_it_again(
    operation: str, store: IRedMailDirectory, rig: LdapRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mailstore.ldap.iredmail.names.locks.LIFETIME_SECONDS", -1
    )  # a dead process's lock is free at once
    prepare, work, admins = OPERATIONS[operation]
    for number in count():
        for address in [admin.address for admin in store.admins.list()]:
            store.admins.demote(address) if "ann" in address else store.admins.delete(address)
        prepare(store)
        with rig.open() as dying:
            if not die_before_write(dying, number, work):
                break
        try:
            work(store)
        except (AlreadyExists, NotFound):  # it was done, but for giving back the lock
            assert operation in {"create", "delete", "demote"}
        assert {store.domains.get(domain).admins for domain in BOTH} == {admins}
        assert tuple(admin.address for admin in store.admins.list()) == admins
    assert number >= 4


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_fails_is_taken_back(operation: str, store: IRedMailDirectory, rig: LdapRig) -> None:
    prepare, work, _ = OPERATIONS[operation]
    prepare(store)
    before = everything(rig)
    seen: list[str] = []

    def fail(kind: str, dn: str) -> None:
        named = dn in (ROOT, ANN) if operation != "demote" else dn.startswith("domainName=other.com,")
        if kind not in {"search", "bind"} and named and not seen:
            seen.append(dn)
            raise StoreError("the disk of the server is full")

    with rig.open() as failing:
        failing._context.directory.observers.append(fail)
        with pytest.raises(StoreError, match="full") as caught:
            work(failing)
    assert seen
    assert caught.value.state is None
    assert everything(rig) == before


def everything(rig: LdapRig) -> list[str]:
    """Return what the directory holds, but for what the server itself writes."""
    lines = rig.server.dump().splitlines()
    own = ("entryCSN", "modifyTimestamp", "modifiersName", "createTimestamp", "creatorsName", "entryUUID", "contextCSN")
    return sorted(line for line in lines if not line.startswith(own))
