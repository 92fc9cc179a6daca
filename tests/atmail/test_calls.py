"""Every call of atmail's two documented APIs, one by one: the rows that it writes, its result, and how it fails."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import (
    AlreadyExists,
    Edit,
    InvalidPassword,
    InvalidValue,
    LimitExceeded,
    NotFound,
    NotSupported,
    PermissionDenied,
)
from mailstore.passwords import verify_password
from mailstore.sql.atmail.admins.changes import AdminSettings
from mailstore.sql.atmail.provisioning import Service

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

DOMAIN = "yourdomain.com"
ACCOUNT = "account1@yourdomain.com"


@pytest.fixture(autouse=True)
def domain(store: AtmailStore) -> str:
    store.domains.create(DOMAIN)
    return DOMAIN


@pytest.fixture
def admin(store: AtmailStore) -> str:
    """The first admin, who may do everything."""
    return store.admins.create("admin", password="changeme", settings=AdminSettings(role="god")).address


@pytest.fixture
def subadmin(store: AtmailStore, admin: str) -> str:
    return store.admins.create("subadmin", password="changeme", domains=[DOMAIN]).address


@pytest.fixture
def account(store: AtmailStore) -> str:
    return store.accounts.create(ACCOUNT, password="changeme").address


# --- admin users ------------------------------------------------------------------------------------------------------


def test_b01_users_authenticate(store: AtmailStore, admin: str) -> None:
    found = store.admins.login("admin", "changeme")
    assert found is not None
    assert (found.address, found.global_admin) == (admin, True)
    assert store.admins.login("admin", "wrong") is None
    assert store.admins.login("nobody", "changeme") is None
    assert store.admins.verify_password("ADMIN", "changeme")
    with pytest.raises(NotFound):
        store.admins.verify_password("nobody", "changeme")


def test_b02_users_permissionlist(store: AtmailStore) -> None:
    store.roles.create("support", permissions=["account.view", "account.list"], parent="god")
    found = {permission.name: permission for permission in store.permissions.list()}
    assert (found["all"].id, found["all"].description, found["all"].roles) == (1, "Access to everything", ("god",))
    assert (found["account.add"].id, found["account.add"].description) == (2, "Right to add accounts")
    assert found["account.view"].roles == ("support",)
    assert [permission.id for permission in store.permissions.list()] == sorted(p.id for p in found.values())


def test_b03_users_rolelist(rig: AtmailRig, store: AtmailStore) -> None:
    (god,) = store.roles.tree()
    assert (god.id, god.name, god.description, god.enabled) == (
        1,
        "god",
        "Special role with rights to everything",
        True,
    )
    assert (god.ancestors, god.created_by, god.permissions) == ((), None, ("all",))
    (subadmin,) = god.children
    assert (subadmin.id, subadmin.name, subadmin.ancestors, subadmin.created_by) == (2, "subadmin", (1,), 1)
    support = store.roles.create("support", permissions=["account.view"], parent=2, description="Helpers")
    assert support.ancestors == (1, 2)
    row = rig.row("roles", roleId=support.id)
    assert (row["roleHierarchy"], row["roleEnabled"], row["roleDescription"]) == ("|1|2|", 1, "Helpers")
    assert store.roles.tree()[0].children[0].children == (support,)
    changed = store.roles.update("support", permissions=["account.list"], enabled=False)
    assert (changed.permissions, changed.enabled) == (("account.list",), False)
    with pytest.raises(AlreadyExists):
        store.roles.create("Support", permissions=[])
    with pytest.raises(InvalidValue, match="below"):
        store.roles.delete("subadmin")
    with pytest.raises(InvalidValue, match="no permission"):
        store.roles.update("support", permissions=["account.fly"])
    store.roles.delete("support")
    assert rig.rows("rolePermissions", roleId=support.id) == []
    with pytest.raises(NotFound):
        store.roles.get("support")


class TestB04:
    def test_b04_users_create(self, rig: AtmailRig, store: AtmailStore, admin: str) -> None:
        made = store.admins.create(
            "user1", password="changeme", name="Full Name", domains=[DOMAIN], max_accounts=500, max_quota="1G",
            settings=AdminSettings(
                company="Company", email_address="User1@yourdomain.com", role="subadmin", permissions=["account.add"]
            ),
        )  # fmt: skip
        assert made == store.admins.get("user1")
        row, root = rig.row("users", username="user1"), rig.row("users", username=admin)
        assert made.settings["userId"] == str(row["userId"])
        assert (row["numUsers"], row["quota"], row["company"], row["fullname"]) == (500, 1024, "Company", "Full Name")
        assert (row["emailAddress"], row["language"], row["cssColorTheme"]) == (
            "user1@yourdomain.com",
            "en",
            "darkblue",
        )
        assert row["createdByUserId"] == root["userId"]
        assert (root["leftEdge"], root["rightEdge"], row["leftEdge"], row["rightEdge"]) == (0, 3, 1, 2)
        assert verify_password("changeme", row["password"])
        (link,) = rig.rows("userDomains")
        assert (link["userId"], link["domainId"]) == (row["userId"], rig.row("domains")["domainId"])
        assert rig.rows("userRoles", userId=row["userId"]) == [{"userId": row["userId"], "roleId": 2}]
        assert rig.rows("userPermissions", userId=row["userId"]) == [{"userId": row["userId"], "permissionId": 2}]

    def test_b04_unlimited_is_written_as_documented(self, rig: AtmailRig, store: AtmailStore, subadmin: str) -> None:
        row = rig.row("users", username=subadmin)
        assert (row["numUsers"], row["quota"]) == (16777215, 0)
        made = store.admins.get(subadmin)
        assert (made.max_accounts, made.max_quota.unlimited) == (None, True)

    def test_b04_the_first_admin_of_a_server_has_null_limits(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.insert("users", username="first", password="x", leftEdge=0, rightEdge=1)
        made = store.admins.get("first")
        assert (made.max_accounts, made.max_quota.unlimited) == (None, True)

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({}, InvalidPassword),
            ({"password": ""}, InvalidPassword),
            ({"password": "x", "domains": ["nowhere.com"]}, NotFound),
            ({"password": "x", "max_accounts": -1}, InvalidValue),
            ({"password": "x", "max_accounts": 16777215}, InvalidValue),
            ({"password": "x", "max_domains": 3}, NotSupported),
            ({"password": "x", "settings": AdminSettings(role="nobody")}, NotFound),
            ({"password": "x", "settings": AdminSettings(role=0)}, InvalidValue),
            ({"password": "x", "settings": AdminSettings(permissions=["account.fly"])}, InvalidValue),
            ({"password": "x", "settings": AdminSettings(parent="nobody")}, NotFound),
        ],
    )
    @pytest.mark.usefixtures("admin")
    def test_b04_refused(self, rig: AtmailRig, store: AtmailStore, fields: Any, error: type) -> None:
        before = rig.everything()
        with pytest.raises(error):
            store.admins.create("user1", **fields)
        with pytest.raises(AlreadyExists):
            store.admins.create("Admin", password="x")
        assert rig.everything() == before

    @pytest.mark.parametrize("name", ["", " ", "two words", "bad@", "x" * 256])
    def test_b04_bad_name(self, store: AtmailStore, name: str) -> None:
        with pytest.raises(InvalidValue):
            store.admins.create(name, password="x")


class TestB05:
    def test_b05_users_update(self, rig: AtmailRig, store: AtmailStore, subadmin: str) -> None:
        store.domains.create("other.com")
        before = rig.row("users", username=subadmin)
        made = store.admins.update(
            subadmin, password="new", name="New Name", max_accounts=7, max_quota="2G", domains=["other.com"],
            settings=AdminSettings(company="Other", role="subadmin", permissions=Edit(add=["account.export"])),
        )  # fmt: skip
        row = rig.row("users", username=subadmin)
        assert (row["numUsers"], row["quota"], row["company"], row["fullname"]) == (7, 2048, "Other", "New Name")
        assert row["modified"] is not None
        assert made.domains == ("other.com",)
        assert verify_password("new", row["password"])
        rights = store.admins.rights(subadmin)
        assert rights.roles == ("subadmin",)
        assert "account.export" in rights.permissions
        unchanged = ("userId", "leftEdge", "rightEdge", "createdByUserId", "dateCreate", "language")
        assert {name: row[name] for name in unchanged} == {name: before[name] for name in unchanged}
        store.admins.update(subadmin, settings=AdminSettings(role=0))
        assert store.admins.rights(subadmin).roles == ()

    def test_b05_user_does_not_exist(self, store: AtmailStore) -> None:
        with pytest.raises(NotFound):
            store.admins.update("nobody", name="x")

    def test_b05_everything_can_be_given_and_taken(self, store: AtmailStore, admin: str, subadmin: str) -> None:
        assert store.admins.update(subadmin, global_admin=True).global_admin
        assert store.admins.rights(subadmin).may("users.fly")
        assert not store.admins.update(subadmin, global_admin=False).global_admin
        with pytest.raises(InvalidValue, match="role"):
            store.admins.update(admin, global_admin=False)
        assert store.admins.get(admin).global_admin


def test_b06_users_list(store: AtmailStore, admin: str, subadmin: str) -> None:
    found = list(store.admins.list())
    assert [user.address for user in found] == ["admin", "subadmin"]
    assert {"userId", "leftEdge", "rightEdge", "welcomeDisplayed"} <= found[0].settings.keys()
    assert "createdByUserId" not in found[0].settings  # NULL for the first
    assert not any("password" in user.settings for user in found)
    assert store.admins.count() == 2


def test_b07_users_view(rig: AtmailRig, store: AtmailStore, subadmin: str) -> None:
    rig.execute("UPDATE users SET lastLogin = 1498177834, ipAddress = '192.168.10.1' WHERE username = 'subadmin'")
    found = store.admins.get(subadmin)
    assert found.domains == (DOMAIN,)
    assert (found.settings["lastLogin"], found.settings["ipAddress"]) == ("1498177834", "192.168.10.1")
    assert store.admins.name_of(int(found.settings["userId"])) == subadmin
    for missing in (lambda: store.admins.get("nobody"), lambda: store.admins.name_of(4711)):
        with pytest.raises(NotFound):
            missing()


class TestB08:
    def test_b08_users_userpermissionrole(self, store: AtmailStore, admin: str, subadmin: str) -> None:
        rights = store.admins.rights(admin)
        assert (rights.permissions, rights.roles, rights.effective) == ((), ("god",), ("all",))
        rights = store.admins.rights(subadmin)
        assert rights.roles == ()
        assert rights.permissions == rights.effective
        assert "account.all" in rights.permissions
        with pytest.raises(NotFound):
            store.admins.rights("nobody")

    def test_b08_effective_rights(self, store: AtmailStore, admin: str) -> None:
        store.roles.create("mail", permissions=["service.all"])
        settings = AdminSettings(role="mail", permissions=["account.view"])
        store.admins.create("kim", password="x", domains=[DOMAIN], settings=settings)
        may = store.admins.may
        assert may("kim", "service.mailaliases.add")
        assert may("kim", "account.view", domain=DOMAIN)
        assert not may("kim", "account.view", domain="other.com")
        assert not may("kim", "account.add")
        assert not may("kim", "services.imap.view")
        assert may(admin, "account.add", domain="other.com")
        store.roles.update("mail", enabled=False)
        assert not may("kim", "service.mailaliases.add")


class TestB09:
    def test_b09_users_delete(self, rig: AtmailRig, store: AtmailStore, admin: str, subadmin: str) -> None:
        below = store.admins.create("below", password="x", settings=AdminSettings(parent=subadmin))
        store.acting_as(subadmin).accounts.create("made@yourdomain.com", password="x")
        store.admins.delete(subadmin)
        root, moved = rig.row("users", username=admin), rig.row("users", username=below.address)
        assert (root["leftEdge"], root["rightEdge"], moved["leftEdge"], moved["rightEdge"]) == (0, 3, 1, 2)
        assert moved["createdByUserId"] == root["userId"]
        assert rig.row("accounts")["createdByUserId"] == root["userId"]
        for links in ("userDomains", "userRoles", "userPermissions"):
            assert {row["userId"] for row in rig.rows(links)} <= {root["userId"], moved["userId"]}
        assert store.domains.get(DOMAIN).admins == ()

    def test_b09_no_users_selected(self, store: AtmailStore, admin: str, subadmin: str) -> None:
        with pytest.raises(NotFound):
            store.admins.delete("nobody")
        with pytest.raises(InvalidValue, match="first admin"):
            store.admins.delete(admin)
        store.admins.delete(subadmin)
        store.admins.delete(admin)
        assert store.admins.count() == 0


# --- accounts ---------------------------------------------------------------------------------------------------------


class TestB10:
    def test_b10_accounts_create(self, rig: AtmailRig, store: AtmailStore) -> None:
        made = store.accounts.create(ACCOUNT, password="changeme", first_name="First", last_name="Last")
        row = rig.row("accounts")
        assert made.settings["accountId"] == str(row["accountId"])
        assert row["createdByUserId"] == 1
        assert (row["username"], row["domainId"]) == (ACCOUNT, rig.row("domains")["domainId"])
        assert (row["userStatus"], row["quota"]) == (0, 1024)
        assert (row["mboxServer"], row["mboxType"], row["groupId"]) == (1, "Maildir", 1)
        assert (row["forward"], row["autoReply"], row["lastLogin"], row["autoReplyEnabled"]) == (None, None, None, 0)
        assert (row["firstName"], row["lastName"]) == ("First", "Last")
        assert row["dateCreate"] == row["dateModified"]
        assert abs(row["dateCreate"] - datetime.now()) < timedelta(minutes=1)  # noqa: DTZ005 local, as atmail keeps it
        assert row["homeDir"] == f"{rig.root}/1/a/4/{ACCOUNT}/"
        assert re.fullmatch(r"\{SSHA256\}[A-Za-z0-9+/]{86}==", row["password"])
        assert Path(row["homeDir"], "Maildir/new").is_dir()

    def test_b10_quota_is_in_megabytes(self, rig: AtmailRig, store: AtmailStore) -> None:
        store.accounts.create("a@yourdomain.com", password="x", quota="2G")
        store.accounts.create("b@yourdomain.com", password="x", quota="unlimited")
        assert [row["quota"] for row in rig.rows("accounts")] == [2048, 0]

    def test_b10_an_empty_password_is_generated_and_told(self, store: AtmailStore) -> None:
        made = store.accounts.create_generated(ACCOUNT, first_name="First")
        assert len(made.password) >= 16
        assert made.password not in repr(made)
        assert store.accounts.verify_password(ACCOUNT, made.password)
        assert made.account == store.accounts.get(ACCOUNT)

    def test_b10_local_domain_does_not_exist(self, store: AtmailStore) -> None:
        with pytest.raises(NotFound):
            store.accounts.create("account1@nowhere.com", password="changeme")
        with pytest.raises(InvalidPassword):
            store.accounts.create(ACCOUNT)
        store.accounts.create(ACCOUNT, password="x")
        with pytest.raises(AlreadyExists):
            store.accounts.create(ACCOUNT, password="x")

    def test_b10_the_creator_is_the_acting_admin(self, rig: AtmailRig, store: AtmailStore, subadmin: str) -> None:
        store.acting_as(subadmin).accounts.create(ACCOUNT, password="x")
        assert rig.row("accounts")["createdByUserId"] == rig.row("users", username=subadmin)["userId"]

    def test_b10_limits_of_the_acting_admin(self, store: AtmailStore, subadmin: str) -> None:
        store.admins.update(subadmin, max_accounts=2, max_quota="2G")
        acting = store.acting_as(subadmin)
        acting.accounts.create("a@yourdomain.com", password="x")
        with pytest.raises(LimitExceeded):
            acting.accounts.create("b@yourdomain.com", password="x", quota="2G")
        with pytest.raises(LimitExceeded):
            acting.accounts.create("b@yourdomain.com", password="x", quota="unlimited")
        with pytest.raises(LimitExceeded):
            acting.accounts.update("a@yourdomain.com", quota="3G")
        acting.accounts.update("a@yourdomain.com", quota="1G")
        acting.accounts.create("b@yourdomain.com", password="x", quota="1G")
        with pytest.raises(LimitExceeded):
            acting.accounts.create("c@yourdomain.com", password="x", quota="1M")
        store.admins.update(subadmin, max_quota="unlimited")
        with pytest.raises(LimitExceeded, match="may create 2"):
            acting.accounts.create("c@yourdomain.com", password="x", quota="1M")


class TestB11:
    def test_b11_accounts_update(self, rig: AtmailRig, store: AtmailStore, account: str) -> None:
        before = rig.row("accounts")
        made = store.accounts.update(account, password="new", first_name="F", last_name="L", quota="5G", enabled=False)
        row = rig.row("accounts")
        assert (row["firstName"], row["lastName"], row["quota"], row["userStatus"]) == ("F", "L", 5120, 1)
        assert verify_password("new", row["password"])
        assert not made.enabled
        changed = {"firstName", "lastName", "quota", "userStatus", "password", "dateModified"}
        assert {name: row[name] for name in row.keys() - changed} == {
            name: before[name] for name in row.keys() - changed
        }
        assert store.accounts.update(account, enabled=True).enabled
        assert rig.row("accounts")["userStatus"] == 0

    def test_b11_by_account_id(self, rig: AtmailRig, store: AtmailStore, account: str) -> None:
        number = rig.row("accounts")["accountId"]
        assert store.accounts.update(store.accounts.address_of(number), quota="1M").address == account

    def test_b11_user_does_not_exist(self, store: AtmailStore) -> None:
        with pytest.raises(NotFound):
            store.accounts.update("nobody@yourdomain.com", quota="1M")
        with pytest.raises(NotFound):
            store.accounts.address_of(4711)


def test_b12_accounts_view(store: AtmailStore, account: str) -> None:
    assert store.accounts.view(account).usage is not None
    message = Path(str(store.accounts.get(account).home), "Maildir/cur/1.a,S=8192:2,S")
    message.write_bytes(b"x" * 8192)
    usage = store.accounts.view(account).usage
    assert usage is not None
    assert (usage.bytes / 2**20, usage.messages) == (0.0078125, 1)  # UsedQuota and TotalMessages of the documentation
    with pytest.raises(NotFound):
        store.accounts.view("nobody@yourdomain.com")


def test_b13_accounts_delete(rig: AtmailRig, store: AtmailStore, account: str) -> None:
    store.alias_rows.create("test@yourdomain.com", account)
    record = store.accounts.delete(account, keep_mailbox_days=3)
    assert record is not None
    assert (rig.rows("accounts"), rig.rows("aliases")) == ([], [])
    (kept,) = rig.rows("mailstore_deleted_mailboxes")
    assert kept["maildir"] == f"{record.home}/"
    assert Path(record.home).is_dir()
    with pytest.raises(NotFound):
        store.accounts.delete(account)


def test_b14_accounts_list(store: AtmailStore, account: str) -> None:
    store.domains.create("other.com")
    for number in range(5):
        store.accounts.create(f"u{number}@other.com", password="x")
    assert next(store.accounts.list()).address == ACCOUNT
    number = int(store.domains.get("other.com").settings["domainId"])
    name = store.domains.name_of(number)
    assert [found.address for found in store.accounts.page(1, 2, domain=name)] == ["u2@other.com", "u3@other.com"]
    assert store.accounts.page(9, 2) == []
    for start, volume in ((-1, 2), (0, 0)):
        with pytest.raises(InvalidValue):
            store.accounts.page(start, volume)
    assert [found.address for found in store.accounts.list(domain=name)] == [f"u{n}@other.com" for n in range(5)]


# --- aliases ----------------------------------------------------------------------------------------------------------


class TestB15:
    def test_b15_aliases_create(self, rig: AtmailRig, store: AtmailStore) -> None:
        number = store.alias_rows.create("Test1@yourdomain.com", "test2@yourdomain.com", "Local")
        row = rig.row("aliases")
        assert (row["id"], row["AliasName"], row["AliasTo"]) == (number, "test1@yourdomain.com", "test2@yourdomain.com")
        assert (row["aliasType"], row["Domain"], row["DomainPart"]) == ("Local", "", "yourdomain.com")
        assert row["DateCreate"] is not None
        assert store.aliases.get("test1@yourdomain.com").members == ("test2@yourdomain.com",)
        store.alias_rows.create("test1@yourdomain.com", "test3@yourdomain.com")
        assert store.aliases.get("test1@yourdomain.com").members == ("test2@yourdomain.com", "test3@yourdomain.com")

    def test_b15_deliver(self, rig: AtmailRig, store: AtmailStore, account: str) -> None:
        store.alias_rows.create(account, "copy@other.org", "deliver")
        assert rig.row("aliases")["aliasType"] == "Deliver"
        found = store.accounts.get(account)
        assert (found.forwarding, found.keep_copy) == (("copy@other.org",), True)
        store.accounts.update(account, keep_copy=False)
        assert rig.row("aliases")["aliasType"] == "Local"
        with pytest.raises(NotFound):
            store.alias_rows.create("nobody@yourdomain.com", "copy@other.org", "Deliver")

    def test_b15_domain(self, rig: AtmailRig, store: AtmailStore) -> None:
        store.alias_rows.create("@old.com", DOMAIN, "Domain")
        row = rig.row("aliases")
        assert (row["AliasName"], row["AliasTo"], row["aliasType"]) == ("old.com", DOMAIN, "Domain")
        assert store.domains.get(DOMAIN).alias_domains == ("old.com",)
        with pytest.raises(NotFound, match=DOMAIN):
            store.accounts.create("x@old.com", password="x")

    def test_b15_a_domain_written_with_an_at_is_understood(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.insert("aliases", AliasName="@old.com", AliasTo=f"@{DOMAIN}", aliasType="Domain")
        assert store.domains.get(DOMAIN).alias_domains == ("old.com",)
        with pytest.raises(AlreadyExists):
            store.domains.create("old.com")

    @pytest.mark.parametrize(
        ("name", "target", "type_", "error"),
        [
            ("a@yourdomain.com", "b@yourdomain.com", "Sideways", InvalidValue),
            ("a@nowhere.com", "b@yourdomain.com", "Local", NotFound),
            ("yourdomain.com", "b@yourdomain.com", "Local", InvalidValue),
            ("old.com", "nowhere.com", "Domain", NotFound),
            ("yourdomain.com", "yourdomain.com", "Domain", AlreadyExists),
            ("there@yourdomain.com", "b@yourdomain.com", "Local", AlreadyExists),
        ],
    )
    def test_b15_refused(self, store: AtmailStore, name: str, target: str, type_: str, error: type) -> None:
        store.alias_rows.create("there@yourdomain.com", "b@yourdomain.com")
        with pytest.raises(error):
            store.alias_rows.create(name, target, type_)
        assert len(list(store.alias_rows.list())) == 1

    def test_b15_no_address_is_served_twice(self, store: AtmailStore, account: str) -> None:
        store.alias_rows.create("old.com", DOMAIN, "Domain")
        with pytest.raises(AlreadyExists, match=account):
            store.alias_rows.create("account1@old.com", "x@else.org")
        store.alias_rows.create("extra@old.com", "x@else.org")
        with pytest.raises(AlreadyExists):
            store.accounts.create("extra@yourdomain.com", password="x")
        store.alias_rows.delete(name="old.com")
        with pytest.raises(AlreadyExists, match=r"extra@old\.com"):
            store.alias_rows.create("old.com", DOMAIN, "Domain")


def test_b16_aliases_list(store: AtmailStore) -> None:
    store.domains.create("other.com")
    first = store.alias_rows.create("test1@yourdomain.com", "test2@yourdomain.com")
    second = store.alias_rows.create("sales@other.com", "test1@else.org")
    third = store.alias_rows.create("old.com", "other.com", "Domain")
    for wanted, found in (
        ({}, [first, second, third]),
        ({"filter": "TEST1"}, [first, second]),
        ({"name": "test1"}, [first]),
        ({"target": "else"}, [second]),
        ({"domain": "other"}, [second]),
        ({"name": "%"}, []),
        ({"name": "sales", "target": "test2"}, []),
    ):
        query: Any = wanted
        assert [row.id for row in store.alias_rows.list(**query)] == found, wanted
    assert store.alias_rows.get(third).type == "Domain"


def test_b17_aliases_delete(store: AtmailStore) -> None:
    def remaining() -> list[str]:
        return [f"{row.name[0]}{row.target[0]}" for row in store.alias_rows.list()]

    for name, target in (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "z")):
        last = store.alias_rows.create(f"{name}@yourdomain.com", f"{target}@else.org")
    assert store.alias_rows.delete(name="A@yourdomain.com", target="x@else.org") == 1
    assert remaining() == ["ay", "bx", "by", "cz"]
    assert store.alias_rows.delete(target="y@else.org") == 2
    assert store.alias_rows.delete(id=last) == 1
    assert store.alias_rows.delete(name="nobody@yourdomain.com") == 0
    assert store.alias_rows.delete(name="b@yourdomain.com", id=last) == 0
    assert remaining() == ["bx"]
    with pytest.raises(InvalidValue):
        store.alias_rows.delete()


# --- domains ----------------------------------------------------------------------------------------------------------


def test_b18_domain_create(rig: AtmailRig, store: AtmailStore) -> None:
    made = store.domains.create("New.com")
    row = rig.row("domains", domainName="new.com")
    assert made.settings == {"domainId": str(row["domainId"])}
    with pytest.raises(AlreadyExists):
        store.domains.create("new.com")


def test_b19_domain_check(store: AtmailStore) -> None:
    assert store.domains.exists("YourDomain.com")
    assert not store.domains.exists("nowhere.com")


class TestB20:
    def test_b20_domain_delete(self, rig: AtmailRig, store: AtmailStore, subadmin: str, account: str) -> None:
        store.accounts.create("account2@yourdomain.com", password="x")
        store.alias_rows.create("sales@yourdomain.com", "x@else.org")
        store.alias_rows.create("old.com", DOMAIN, "Domain")
        store.domains.create("other.com")
        store.alias_rows.create("info@other.com", account)
        assert store.domains.delete(DOMAIN) == 2
        assert rig.rows("accounts") == []
        assert rig.rows("aliases") == []
        assert rig.rows("userDomains") == []
        assert [row["domainName"] for row in rig.rows("domains")] == ["other.com"]
        assert store.deleted.count(domain=DOMAIN) == 2
        assert store.admins.get(subadmin).domains == ()

    def test_b20_by_domain_id(self, store: AtmailStore) -> None:
        number = int(store.domains.get(DOMAIN).settings["domainId"])
        assert store.domains.delete(store.domains.name_of(number)) == 0

    def test_b20_domain_does_not_exist(self, store: AtmailStore) -> None:
        with pytest.raises(NotFound):
            store.domains.delete("nowhere.com")
        with pytest.raises(NotFound):
            store.domains.name_of(4711)


# --- the API server ---------------------------------------------------------------------------------------------------


class TestC01:
    def test_c01_provision(self, rig: AtmailRig, store: AtmailStore, account: str) -> None:
        made = store.provisioning.provision(account)
        (row,) = rig.api_rows("Accounts")
        assert (row["Name"], row["IsPrimary"], row["Active"]) == (account, 1, 1)
        assert (row["idAccount"], row["idUsers"]) == (made.account_id, made.user_id)
        numbers = (row["idMailAccount"], row["idContactAccount"], row["idCalendarAccount"])
        assert numbers == (numbers[0], numbers[0] + 1, numbers[0] + 2)  # in the order of the documented log
        assert made.services == Service.MAIL | Service.CALENDAR | Service.CONTACTS
        for table in ("Users", "Identities"):
            assert [found["Name"] for found in rig.api_rows(table)] == [account]
        assert store.provisioning.provision(account) == made
        assert len(rig.api_rows("ServiceAccounts")) == 3

    @pytest.mark.parametrize(
        ("value", "services"),
        [
            (7, {"mail", "calendar", "contact"}), (6, {"calendar", "contact"}), (5, {"mail", "contact"}), (4, {"contact"}),
            (3, {"mail", "calendar"}), (2, {"calendar"}), (1, {"mail"}),
        ],
    )  # fmt: skip
    def test_c01_every_bit_field(self, rig: AtmailRig, account: str, value: int, services: set[str]) -> None:
        with rig.open(atmail={"provision": value}) as store:
            made = store.provisioning.provision(account)
        found = {name for name in ("mail", "calendar", "contact") if getattr(made, f"{name}_account_id") is not None}
        assert found == services
        assert made.services == value

    def test_c01_what_is_missing_is_added_and_nothing_taken_away(self, store: AtmailStore, account: str) -> None:
        mail = store.provisioning.provision(account, 1)
        more = store.provisioning.provision(account, 6)
        assert (more.mail_account_id, more.account_id) == (mail.mail_account_id, mail.account_id)
        assert more.services == 7
        assert store.provisioning.provision(account, 1) == more

    @pytest.mark.parametrize("services", [0, 8, -1, True])
    def test_c01_bad_bit_field(self, store: AtmailStore, account: str, services: Any) -> None:
        with pytest.raises(InvalidValue):
            store.provisioning.provision(account, services)

    def test_c01_no_such_account(self, rig: AtmailRig, store: AtmailStore) -> None:
        with pytest.raises(NotFound):
            store.provisioning.provision("nobody@yourdomain.com")
        assert rig.api_rows("Accounts") == []

    def test_c01_a_new_account_of_the_name_can_be_kept_from_inheriting(
        self, rig: AtmailRig, store: AtmailStore, account: str
    ) -> None:
        former = store.provisioning.provision(account)
        with pytest.raises(InvalidValue):
            store.provisioning.remove(account)
        store.accounts.delete(account)
        assert [finding.subject for finding in store.check() if finding.code == "provisioned-without-account"] == [
            account
        ]
        store.provisioning.remove(account)
        assert rig.api_rows("Accounts") == rig.api_rows("Users") == rig.api_rows("ServiceAccounts") == []
        store.accounts.create(account, password="x")
        assert store.provisioning.provision(account).mail_account_id != former.mail_account_id

    def test_c01_without_the_database(self, rig: AtmailRig) -> None:
        with rig.open(apiserver="") as store, pytest.raises(NotSupported, match="apiserver"):
            store.provisioning.provision(ACCOUNT)

    def test_c01_takes_a_right(self, store: AtmailStore, account: str) -> None:
        store.admins.create(
            "viewer", password="x", domains=[DOMAIN], settings=AdminSettings(permissions=["account.view"])
        )
        acting = store.acting_as("viewer")
        with pytest.raises(PermissionDenied):
            acting.provisioning.provision(account)


def test_c02_view_a_provisioned_user(store: AtmailStore, account: str) -> None:
    with pytest.raises(NotFound, match="first login"):
        store.provisioning.get(account)
    made = store.provisioning.provision(account, Service.MAIL | Service.CALENDAR)
    found = store.provisioning.get(account)
    assert found == made
    assert found.contact_account_id is None
