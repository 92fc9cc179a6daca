"""The rows themselves, as iRedMail's own tools and readers expect them; nothing here is read back by the library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mailstore import AlreadyExists, Edit, NotSupported
from mailstore.sql.iredmail.schema.tables import OWN_TABLE
from mailstore.sql.iredmail.store import IRedMailStore
from tests.rigs import Rig

BOB, NEW = "bob@example.com", "new@other.com"


def referring(address: str, domain: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a row for every column that may hold an address."""
    here, third = {"domain": domain}, {"domain": "third.com"}
    to_bob = {"forwarding": address, "dest_domain": domain}
    return [
        ("forwardings", {"address": "all@third.com", **to_bob, **third, "is_list": 1}),
        ("forwardings", {"address": "third.com", **to_bob, **third}),
        ("forwardings", {"address": f"extra@{domain}", **to_bob, **here, "is_alias": 1}),
        ("forwardings", {"address": "eve@third.com", **to_bob, **third, "is_forwarding": 1}),
        ("moderators", {"address": "all@third.com", "moderator": address, **third, "dest_domain": domain}),
        ("maillist_owners", {"address": "list@third.com", "owner": address, **third, "dest_domain": domain}),
        ("domain_admins", {"username": address, **third}),
        ("sender_bcc_user", {"username": address, "bcc_address": "x@y.org", **here}),
        ("recipient_bcc_user", {"username": address, "bcc_address": "x@y.org", **here}),
        ("sender_bcc_user", {"username": "eve@third.com", "bcc_address": address, **third}),
        ("recipient_bcc_user", {"username": "eve@third.com", "bcc_address": address, **third}),
        ("sender_bcc_domain", {"bcc_address": address, **third}),
        ("recipient_bcc_domain", {"bcc_address": address, **third}),
        ("sender_relayhost", {"account": address, "relayhost": "[r.example.net]"}),
        ("used_quota", {"username": address, "bytes": 5, "messages": 1, **here}),
        ("last_login", {"username": address, **here, "imap": 1}),
        ("share_folder", {"from_user": address, "to_user": "eve@third.com"}),
        ("share_folder", {"from_user": "eve@third.com", "to_user": address}),
        ("anyone_shares", {"from_user": address}),
    ]


ALSO = ["maillists", "alias", "mailbox", "domain", "admin"]
RECORDS = {"deleted_mailboxes", OWN_TABLE}


def places(rig: Rig, text: str) -> dict[str, int]:
    """Return where a text stands anywhere in the database, but for the records of deleted mailboxes."""
    found = {}
    for table, rows in rig.everything().items():
        count = sum(text in str(value) for row in rows for value in row)
        if count and table not in RECORDS:
            found[table] = count
    return found


@pytest.fixture
def filled(rig: Rig, store: IRedMailStore) -> Iterator[IRedMailStore]:
    """A store in which every column refers to bob."""
    for domain in ("example.com", "other.com", "third.com"):
        store.domains.create(domain)
    store.accounts.create(BOB, password="x")
    store.accounts.create("eve@third.com", password="x", quota="1G")
    store.accounts.create("plain@example.com", password="x", forwarding=["plain@y.org"])
    store.aliases.create("all@third.com")
    rig.insert("maillists", address="list@third.com", domain="third.com", mlid="1", transport="mlmmj:third.com/list")
    rig.insert("forwardings", address="list@third.com", forwarding="list@third.com", domain="third.com", is_maillist=1)
    for table, values in referring(BOB, "example.com"):
        rig.insert(table, **values)
    yield store
    rig.execute("DELETE FROM maillists")
    rig.execute("DELETE FROM maillist_owners")
    rig.execute("DELETE FROM forwardings WHERE is_maillist = 1")


class TestMatrix:
    @pytest.mark.usefixtures("filled")
    def test_every_column_is_filled(self, rig: Rig) -> None:
        assert places(rig, BOB)["forwardings"] >= 5
        assert len(places(rig, BOB)) == 14

    def test_delete_leaves_nothing_and_touches_nothing_else(self, rig: Rig, filled: IRedMailStore) -> None:
        others = {table: rig.everything()[table] for table in ALSO}
        filled.accounts.delete(BOB)
        assert places(rig, BOB) == {}
        after = rig.everything()
        for table in set(ALSO) - {"mailbox"}:
            assert after[table] == others[table]
        assert [row["username"] for row in rig.rows("mailbox")] == ["eve@third.com", "plain@example.com"]
        kept = {(row["address"], row["forwarding"]) for row in rig.rows("forwardings")}
        assert kept == {
            ("eve@third.com", "eve@third.com"), ("plain@example.com", "plain@example.com"),
            ("plain@example.com", "plain@y.org"), ("list@third.com", "list@third.com"),
        }  # fmt: skip

    def test_rename_takes_everything_along(self, rig: Rig, filled: IRedMailStore) -> None:
        before = places(rig, BOB)
        filled.accounts.rename(BOB, NEW)
        assert places(rig, BOB) == {}
        assert places(rig, NEW) == before
        for table, column in (("used_quota", "domain"), ("last_login", "domain"), ("sender_bcc_user", "domain")):
            (row,) = rig.rows(table, username=NEW)
            assert row[column] == "other.com"
        assert {row["dest_domain"] for row in rig.rows("forwardings", forwarding=NEW)} == {"other.com"}
        (alias,) = rig.rows("forwardings", forwarding=NEW, is_alias=1)
        assert (alias["address"], alias["domain"]) == ("extra@example.com", "example.com")

    def test_rename_onto_leftovers_of_a_former_account(self, rig: Rig, filled: IRedMailStore) -> None:
        for table, values in referring(NEW, "other.com"):
            if not any(
                name in values.values() for name in ("eve@third.com", "all@third.com", "list@third.com", "third.com")
            ):
                rig.insert(table, **values)
        rig.insert("share_folder", from_user=NEW, to_user="eve@third.com")
        filled.accounts.rename(BOB, NEW)
        assert [row["relayhost"] for row in rig.rows("sender_relayhost")] == ["[r.example.net]"]
        assert len(rig.rows("share_folder", from_user=NEW)) == 1
        assert rig.rows("forwardings", address="extra@other.com") == []

    def test_delete_domain(self, rig: Rig, filled: IRedMailStore) -> None:
        filled.domains.add_alias_domains("example.com", ["alias.org"])
        filled.domains.update("example.com", sender_bcc="a@b.org", outbound_relay="[r]", catch_all=["x@y.org"])
        assert filled.domains.delete("example.com") == 2
        assert places(rig, "example.com") == {}
        assert places(rig, "alias.org") == {}
        assert {row["domain"] for row in rig.rows("domain")} == {"other.com", "third.com"}

    def test_alias_account(self, rig: Rig, filled: IRedMailStore) -> None:
        filled.aliases.create("team@example.com", members=["x@y.org"], moderators=["m@y.org"])
        filled.aliases.add_members("all@third.com", ["team@example.com"])
        rig.insert(
            "sender_bcc_user", username="plain@example.com", bcc_address="team@example.com", domain="example.com"
        )
        before = places(rig, "team@example.com")
        filled.aliases.rename("team@example.com", "crew@other.com")
        assert places(rig, "team@example.com") == {}
        assert places(rig, "crew@other.com") == before
        filled.aliases.delete("crew@other.com")
        assert places(rig, "crew@other.com") == {}


class TestLeftovers:
    """What upstream's deletion leaves behind never reaches a new account."""

    @pytest.fixture
    def owned(self, rig: Rig, store: IRedMailStore) -> None:
        for domain in ("example.com", "third.com"):
            store.domains.create(domain)
        store.accounts.create("eve@third.com", password="x")
        strangers = ("all@third.com", "third.com")
        rows = [
            (table, values)
            for table, values in referring(BOB, "example.com")
            if not (values.get("forwarding") == BOB and not values.get("is_alias"))
            and "moderator" not in values
            and values.get("bcc_address") != BOB
            and values.get("address") not in strangers
        ]
        for table, values in rows:
            rig.insert(table, **values)

    @pytest.mark.usefixtures("owned")
    @pytest.mark.parametrize("way", ["one", "many", "alias"])
    def test_a_new_account_inherits_nothing(self, rig: Rig, store: IRedMailStore, way: str) -> None:
        assert len(places(rig, BOB)) >= 9
        if way == "one":
            store.accounts.create(BOB, password="x")
        elif way == "many":
            store.accounts.create_many(
                [{"address": BOB, "password": "x"}, {"address": "x@example.com", "password": "x"}]
            )
        else:
            store.aliases.create(BOB, members=["x@y.org"])
        holder = {"one": "mailbox", "many": "mailbox", "alias": "alias"}[way]
        assert set(places(rig, BOB)) == {holder, "forwardings"}
        assert len(rig.rows("forwardings", address=BOB)) == 1
        assert rig.rows("forwardings", is_alias=1) == []

    def test_a_membership_made_beforehand_is_kept(self, store: IRedMailStore) -> None:
        store.domains.create("example.com")
        store.aliases.create("all@example.com", members=[BOB])
        store.accounts.create(BOB, password="x")
        assert store.aliases.get("all@example.com").members == (BOB,)

    def test_a_left_over_forwarding_makes_the_address_taken(self, rig: Rig, store: IRedMailStore) -> None:
        store.domains.create("example.com")
        rig.insert("forwardings", address=BOB, forwarding="x@y.org", domain="example.com", is_forwarding=1)
        with pytest.raises(AlreadyExists, match="left-over"):
            store.accounts.create(BOB, password="x")
        rig.execute("DELETE FROM forwardings")


class TestRows:
    @pytest.fixture(autouse=True)
    def domain(self, store: IRedMailStore) -> None:
        store.domains.create("example.com")

    def test_account(self, rig: Rig, store: IRedMailStore) -> None:
        store.accounts.create(BOB, password="secret", quota="1G", name="Bob")
        (row,) = rig.rows("mailbox")
        assert (row["domain"], row["quota"], row["active"], row["enableimaptls"], row["enablesogowebmail"]) == (
            "example.com", 1024, 1, 1, "y",
        )  # fmt: skip
        assert row["password"].startswith("{SSHA256}")
        assert "/".join((row["storagebasedirectory"], row["storagenode"])) == str(rig.root)
        assert row["maildir"].startswith("example.com/b/o/b/bob-2")
        assert row["maildir"].endswith("/")
        assert row["allow_nets"] is None
        (forwarding,) = rig.rows("forwardings")
        del forwarding["id"]
        assert forwarding == {
            "address": BOB, "forwarding": BOB, "domain": "example.com", "dest_domain": "example.com",
            "is_maillist": 0, "is_list": 0, "is_forwarding": 1, "is_alias": 0, "active": 1,
        }  # fmt: skip
        assert rig.rows("used_quota") == []
        assert rig.rows("last_login") == []

    def test_alias_under_an_alias_domain_is_owned_by_the_primary_domain(self, rig: Rig, store: IRedMailStore) -> None:
        store.domains.add_alias_domains("example.com", ["alias.com"])
        store.accounts.create(BOB, password="x", aliases=["b@alias.com"])
        (row,) = rig.rows("forwardings", is_alias=1)
        assert (row["address"], row["domain"], row["dest_domain"]) == ("b@alias.com", "example.com", "example.com")

    def test_disabling_leaves_other_peoples_rows_alone(self, rig: Rig, store: IRedMailStore) -> None:
        store.accounts.create(BOB, password="x", aliases=["b@example.com"], forwarding=["x@y.org"])
        store.aliases.create("all@example.com", members=[BOB], enabled=False)
        store.accounts.update(BOB, enabled=False)
        assert {row["active"] for row in rig.rows("forwardings")} == {0}
        store.accounts.update(BOB, enabled=True)
        assert {row["address"]: row["active"] for row in rig.rows("forwardings", forwarding=BOB)} == {
            BOB: 1, "b@example.com": 1, "all@example.com": 0,
        }  # fmt: skip
        store.aliases.update("all@example.com", enabled=True)

    def test_domain(self, rig: Rig, store: IRedMailStore) -> None:
        store.domains.update(
            "example.com", quota="2G", max_accounts=0, max_aliases=5, default_account_quota="1G",
            services=["self-service"], catch_all=["x@y.org"], outbound_relay="smtp:[192.0.2.1]:25",
        )  # fmt: skip
        (row,) = rig.rows("domain")
        assert (row["maxquota"], row["mailboxes"], row["aliases"], row["transport"]) == (2048, -1, 5, "dovecot")
        assert row["settings"] == "default_user_quota:1024;enabled_services:self-service;"
        (catch_all,) = rig.rows("forwardings", address="example.com")
        flags = ("is_list", "is_forwarding", "is_alias", "is_maillist")
        assert [catch_all[flag] for flag in flags] == [0, 0, 0, 0]
        assert [(relay["account"], relay["relayhost"]) for relay in rig.rows("sender_relayhost")] == [
            ("@example.com", "[192.0.2.1]:25")
        ]

    def test_admins(self, rig: Rig, store: IRedMailStore) -> None:
        store.admins.create("root@admins.org", password="x", global_admin=True)
        store.accounts.create(BOB, password="x")
        store.admins.promote(BOB, max_domains=3, max_quota="2T", max_accounts=0)
        assert {(row["username"], row["domain"], row["active"]) for row in rig.rows("domain_admins")} == {
            ("root@admins.org", "ALL", 1), (BOB, "example.com", 1),
        }  # fmt: skip
        (row,) = rig.rows("mailbox")
        assert (row["isadmin"], row["isglobaladmin"]) == (1, 0)
        wanted = {"create_new_domains:yes", "create_max_domains:3", "create_max_quota:2", "create_quota_unit:TB"}
        assert set(row["settings"].rstrip(";").split(";")) == wanted | {"create_max_users:-1"}
        (admin,) = rig.rows("admin")
        assert admin["password"].startswith("{SSHA512}")

    def test_deleted_mailbox(self, rig: Rig, store: IRedMailStore) -> None:
        store.accounts.create(BOB, password="x")
        rig.insert("used_quota", username=BOB, bytes=4711, messages=3, domain="example.com")
        (mailbox,) = rig.rows("mailbox")
        store.accounts.delete(BOB, keep_mailbox_days=30)
        (row,) = rig.rows("deleted_mailboxes")
        parts = [mailbox[name] for name in ("storagebasedirectory", "storagenode", "maildir")]
        assert row["maildir"] == "/".join(parts)
        assert (row["username"], row["domain"], row["bytes"], row["messages"], row["admin"]) == (
            BOB, "example.com", 4711, 3, "",
        )  # fmt: skip
        assert (row["delete_date"] - row["timestamp"].date()).days == 30

    def test_records_of_iredadmin_are_honoured(self, rig: Rig, store: IRedMailStore) -> None:
        home = str(store.accounts.create(BOB, password="x").home)
        store.accounts.delete(BOB)
        rig.clear()
        store.domains.create("example.com")
        odd = home.replace("/b/o/b/", "//B/o/b/") + "/"
        rig.insert("deleted_mailboxes", username=BOB, domain="example.com", maildir=odd, admin="x@y.org")
        (record,) = store.deleted.list()
        assert (record.home, record.due, record.restorable) == (home, None, False)
        restored = store.deleted.restore(record.id, password="new")
        assert (restored.home, restored.address) == (home, BOB)
        assert len(rig.rows("forwardings", address=BOB)) == 1


class TestForeignData:
    """What other tools wrote survives."""

    @pytest.fixture(autouse=True)
    def domain(self, store: IRedMailStore) -> None:
        store.domains.create("example.com")

    def test_unknown_settings(self, rig: Rig, store: IRedMailStore) -> None:
        odd = "zeta:1;default_user_quota:5;plugin:a,b;broken;alpha:2;"
        rig.execute("UPDATE domain SET settings = :odd", odd=odd)
        store.domains.update("example.com", default_account_quota="7M", services=Edit(add=["x"]))
        (row,) = rig.rows("domain")
        assert row["settings"] == "zeta:1;default_user_quota:7;plugin:a,b;broken;alpha:2;enabled_services:x;"
        assert store.domains.get("example.com").settings == {"zeta": "1", "plugin": "a,b", "broken": "", "alpha": "2"}
        store.accounts.create(BOB, password="x")
        rig.execute("UPDATE mailbox SET settings = 'theme:dark;'")
        store.accounts.update(BOB, timezone="Europe/Rome")
        store.admins.promote(BOB, max_domains=1)
        store.admins.demote(BOB)
        assert rig.rows("mailbox")[0]["settings"] == "theme:dark;timezone:Europe/Rome;"

    def test_columns_that_are_not_ours(self, rig: Rig, store: IRedMailStore) -> None:
        store.accounts.create(BOB, password="x")
        rig.execute("UPDATE mailbox SET disclaimer = 'mine', birthday = '1980-05-06'")
        store.accounts.update(BOB, name="New", enabled=False)
        store.accounts.rename(BOB, "rob@example.com")
        record = store.accounts.delete("rob@example.com")
        assert record is not None
        store.deleted.restore(record.id)
        (row,) = rig.rows("mailbox")
        assert (row["disclaimer"], str(row["birthday"])) == ("mine", "1980-05-06")

    def test_the_snapshot_is_gone_with_the_record(self, rig: Rig, store: IRedMailStore) -> None:
        store.accounts.create(BOB, password="x")
        record = store.accounts.delete(BOB)
        assert record is not None
        (own,) = rig.rows(OWN_TABLE)
        assert json.loads(own["snapshot"])["mailbox"][0]["username"] == BOB
        store.deleted.restore(record.id)
        assert rig.rows(OWN_TABLE) == []


def test_lists_are_not_supported(store: IRedMailStore) -> None:
    with pytest.raises(NotSupported, match="mailing lists"):
        _ = store.lists
