"""What is written is what the box itself would write: the rows, as another program sees them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import (
    AlreadyExists,
    BulkRefused,
    ConfigurationError,
    InvalidAddress,
    InvalidPassword,
    InvalidQuota,
    InvalidValue,
    NotSupported,
    PermissionDenied,
    open_store,
)
from mailstore.passwords import hash_password
from tests.mailinabox.rig import HOSTNAME, BoxRig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailstore.sql.mailinabox.store import MailInABoxStore

BOB, EVE = "bob@example.com", "eve@example.com"
ADMINISTRATOR = f"administrator@{HOSTNAME}"
READY = hash_password("secret")


def automatic(box: BoxRig) -> dict[str, str]:
    rows = box.rows("auto_aliases")
    assert {row["permitted_senders"] for row in rows} <= {None}
    return {row["source"]: row["destination"] for row in rows}


def of_domains(*domains: str) -> dict[str, str]:
    names = [f"{name}@{domain}" for domain in domains for name in ("postmaster", "admin", "abuse")]
    return dict.fromkeys([*names, f"hostmaster@{HOSTNAME}"], ADMINISTRATOR)


class TestUsers:
    def test_row_of_a_new_user(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY, quota="10G")
        (row,) = box.rows("users")
        assert {name: row[name] for name in row if name != "id"} == {
            "email": BOB,
            "password": READY,
            "extra": None,
            "privileges": "",
            "quota": "10G",
        }

    @pytest.mark.parametrize(
        ("quota", "text"), [("unlimited", "0"), ("500M", "500M"), ("1024M", "1G"), ("1T", "1024G"), (1 << 20, "1M")]
    )
    def test_quota_in_the_notation_of_the_box(self, store: MailInABoxStore, box: BoxRig, quota: Any, text: str) -> None:
        store.accounts.create(BOB, password_hash=READY, quota=quota)
        assert box.rows("users")[0]["quota"] == text

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("0", None),
            ("000", None),
            ("01G", 1 << 30),
            ("500", 500),
            ("2M", 2 << 20),
            ("1T", 1 << 40),
            ("nonsense", None),
        ],
    )
    def test_quota_as_dovecot_reads_it(self, box: BoxRig, text: str, size: int | None) -> None:
        box.insert("users", email=BOB, password=READY, quota=text)
        account = box.shared.accounts.get(BOB)
        assert account.quota.bytes == size
        assert account.settings == ({"quota": text} if text == "nonsense" else {})

    @pytest.mark.parametrize("quota", ["1500K", "1", "1000", "0", "-1M", "1.5G"])
    def test_quota_that_the_box_could_not_keep(self, store: MailInABoxStore, box: BoxRig, quota: str) -> None:
        with pytest.raises(InvalidQuota):
            store.accounts.create(BOB, password_hash=READY, quota=quota)
        assert box.rows("users") == []

    @pytest.mark.parametrize(
        "address",
        [
            "a&b@example.com", "a#b@example.com", "bob+tag@example.com", "bob@localhost", "bob@host.test", "bob@host.local",
            "bob@host.invalid", "bob@un_der.com", "a..b@example.com", "b" * 60 + "@" + "c" * 60 + "." + "d" * 180 + ".com",
        ],
    )  # fmt: skip
    def test_address_that_the_box_refuses(self, store: MailInABoxStore, box: BoxRig, address: str) -> None:
        with pytest.raises(InvalidAddress):
            store.accounts.create(address, password_hash=READY)
        assert box.rows("users") == []

    @pytest.mark.parametrize("name", ["admin", "administrator", "postmaster", "hostmaster", "webmaster", "abuse"])
    def test_names_that_prove_the_ownership_of_a_domain(self, store: MailInABoxStore, box: BoxRig, name: str) -> None:
        store.accounts.create(f"{name}@example.com", password_hash=READY)  # the first user of a box may have any name
        with pytest.raises(InvalidAddress, match="make an alias"):
            store.accounts.create(f"{name}@other.com", password_hash=READY)
        assert len(box.rows("users")) == 1

    def test_only_the_first_of_many_may_have_such_a_name(self, store: MailInABoxStore) -> None:
        rows = [{"address": f"{name}@example.com", "password_hash": READY} for name in ("admin", "abuse")]
        with pytest.raises(BulkRefused) as caught:
            store.accounts.create_many(rows)
        assert [index for index, _ in caught.value.rows] == [1]
        assert store.accounts.create_many(rows[:1]) == 1

    def test_upper_case_rows_take_the_address_too(self, box: BoxRig) -> None:
        box.insert("users", email="Bob@example.com", password=READY)
        with pytest.raises(AlreadyExists):
            box.shared.accounts.create(BOB, password_hash=READY)
        assert "address-unreachable" in {finding.code for finding in box.shared.check()}

    def test_privileges_keep_their_neighbours(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        box.execute("UPDATE users SET privileges = ?", "mail\n\nother")
        assert not store.accounts.get(BOB).admin
        assert store.accounts.get(BOB).settings == {"privileges": "mail\nother"}
        store.admins.promote(BOB, global_admin=True)
        assert box.rows("users")[0]["privileges"] == "mail\nother\nadmin"
        store.admins.promote(BOB, global_admin=True)
        assert box.rows("users")[0]["privileges"] == "mail\nother\nadmin"
        store.admins.demote(BOB)
        assert box.rows("users")[0]["privileges"] == "mail\nother"

    @pytest.mark.parametrize("privileges", [" admin ", "admins", "xadmin", "Admin"])
    def test_what_only_looks_like_an_admin(self, box: BoxRig, privileges: str) -> None:
        box.insert("users", email=BOB, password=READY, privileges=privileges)
        assert not box.shared.admins.exists(BOB)
        assert box.shared.accounts.count(admins=True) == 0

    def test_an_admin_of_a_box_may_do_everything_or_is_none(self, store: MailInABoxStore) -> None:
        store.accounts.create(BOB, password_hash=READY)
        for fields in ({}, {"global_admin": False}, {"global_admin": True, "domains": ["example.com"]}):
            given: Any = fields
            with pytest.raises(NotSupported):
                store.admins.promote(BOB, **given)
        assert not store.accounts.get(BOB).admin

    def test_whoever_is_no_admin_any_more_sees_nothing(self, store: MailInABoxStore) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.accounts.create(EVE, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        acting = store.acting_as(BOB)
        store.accounts.delete(EVE)
        assert acting.deleted.count() == 1
        store.admins.demote(BOB)
        assert acting.deleted.count() == 0
        for call in (
            lambda: acting.accounts.get(BOB),
            lambda: list(acting.aliases.list()),
            lambda: acting.domains.exists("example.com"),
            lambda: acting.accounts.password_hash(BOB),
            lambda: acting.accounts.update_all("example.com", password="mine"),
        ):
            with pytest.raises(PermissionDenied):
                call()

    def test_columns_of_others_survive(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box(own_table=True)
        box.execute("ALTER TABLE users ADD note TEXT")
        with box.open() as store:
            assert store.schema_report().foreign == ("users.note",)
            store.accounts.create(BOB, password_hash=READY)
            box.execute("UPDATE users SET note = 'ours', extra = 'old'")
            store.accounts.update(BOB, quota="1G", password="changed")
            record = store.accounts.delete(BOB, keep_mailbox_days=1)
            assert record is not None
            store.deleted.restore(record.id)
        (row,) = box.rows("users")
        assert (row["note"], row["extra"], row["quota"]) == ("ours", "old", "1G")

    def test_passwords_as_long_as_the_panel_wants_them(self, box: BoxRig) -> None:
        with box.open(min_password_length=8) as strict:
            for password in ("short77", " " * 9, ""):
                with pytest.raises(InvalidPassword):
                    strict.accounts.create(BOB, password=password)
            strict.accounts.create(BOB, password="long enough")
            with pytest.raises(InvalidPassword):
                strict.accounts.update(BOB, password="short77")
            with pytest.raises(InvalidPassword):
                strict.accounts.update_all("example.com", password="short77")
            strict.accounts.update(BOB, password_hash=READY)


class TestDeletion:
    def test_nothing_of_the_user_stays_and_nothing_else_goes(self, store: MailInABoxStore, box: BoxRig) -> None:
        for address in (BOB, EVE):
            store.accounts.create(address, password_hash=READY)
            number = box.rows("users", email=address)[0]["id"]
            box.insert("mfa", user_id=number, type="totp", secret="A" * 32)
        store.aliases.create("sales@example.com", members=[BOB, EVE], permitted_senders=[BOB])
        store.aliases.create("shop@example.com", members=[BOB])
        store.accounts.delete(BOB, keep_mailbox_days=1)
        assert [row["email"] for row in box.rows("users")] == [EVE]
        assert len(box.rows("mfa")) == 1
        sales, shop = box.rows("aliases")
        # The last name stays, as the panel leaves it: Postfix would take an empty column for no answer at all.
        assert (sales["destination"], sales["permitted_senders"]) == (EVE, BOB)
        assert (shop["destination"], shop["permitted_senders"]) == (BOB, None)

    def test_restored_with_all_rows_and_a_new_number(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY, quota="2G")
        store.admins.promote(BOB, global_admin=True)
        before = box.rows("users")[0]
        box.insert("mfa", user_id=before["id"], type="totp", secret="A" * 32, label="phone")
        store.aliases.create("sales@example.com", members=["x@other.org", BOB], permitted_senders=[BOB])
        aliases = box.rows("aliases")
        record = store.accounts.delete(BOB, keep_mailbox_days=5)
        assert record is not None
        store.deleted.restore(record.id)
        (after,) = box.rows("users")
        assert after["id"] > before["id"]
        assert {**after, "id": 0} == {**before, "id": 0}
        assert [(row["user_id"], row["label"]) for row in box.rows("mfa")] == [(after["id"], "phone")]
        assert box.rows("aliases") == aliases

    def test_spelling_of_the_other_members_stays(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        box.insert("aliases", source="sales@example.com", destination="Eve@Other.org, Bob@example.com,x@other.org")
        store.aliases.add_members("sales@example.com", ["eve@other.org", "new@other.org"])
        assert box.rows("aliases")[0]["destination"] == "Eve@Other.org,Bob@example.com,x@other.org,new@other.org"
        store.accounts.delete(BOB, keep_mailbox_days=1)
        assert box.rows("aliases")[0]["destination"] == "Eve@Other.org,x@other.org,new@other.org"


class TestAliases:
    def test_rows(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.aliases.create("sales@example.com", members=["x@other.org", BOB])
        store.aliases.create("only@example.com", permitted_senders=[BOB])
        store.aliases.create("@example.com", members=[BOB])
        store.aliases.create("@Bücher.example", members=["@example.com"])
        assert [(row["source"], row["destination"], row["permitted_senders"]) for row in box.rows("aliases")] == [
            ("sales@example.com", f"x@other.org,{BOB}", None),
            ("only@example.com", "", BOB),
            ("@example.com", BOB, None),
            ("@xn--bcher-kva.example", "@example.com", None),
        ]
        assert store.domains.get("example.com").catch_all == (BOB,)
        assert store.domains.get("example.com").alias_domains == ("xn--bcher-kva.example",)

    def test_changes_keep_the_number(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.aliases.create("sales@example.com", members=["x@other.org"])
        number = box.rows("aliases")[0]["id"]
        store.aliases.update("sales@example.com", members=["y@other.org"])
        store.aliases.rename("sales@example.com", "shop@example.com")
        assert box.rows("aliases")[0]["id"] == number

    def test_needs_a_member_or_a_sender(self, store: MailInABoxStore, box: BoxRig) -> None:
        with pytest.raises(InvalidValue, match="needs a member"):
            store.aliases.create("sales@example.com")
        store.aliases.create("sales@example.com", members=["x@other.org"])
        with pytest.raises(InvalidValue, match="needs a member"):
            store.aliases.update("sales@example.com", members=[])
        assert box.rows("aliases")[0]["destination"] == "x@other.org"

    @pytest.mark.parametrize(
        ("source", "members"),
        [
            ("sales@example.com", ["@other.com", "x@other.org"]),
            ("abuse@example.com", ["@other.com"]),
            ("abuse@example.com", ["x@other.org"]),
            ("webmaster@example.com", [EVE]),
            ("sales@example.com", ["x@host.test"]),
            ("@localhost", ["x@other.org"]),
            ("@", ["x@other.org"]),
            ("info@-bad.example", ["x@other.org"]),
        ],
    )
    def test_refused(self, store: MailInABoxStore, box: BoxRig, source: str, members: list[str]) -> None:
        store.accounts.create(EVE, password_hash=READY)
        with pytest.raises(InvalidValue):
            store.aliases.create(source, members=members)
        assert box.rows("aliases") == []

    def test_names_of_domain_control_lead_to_admins(self, store: MailInABoxStore) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        made = store.aliases.create("abuse@example.com", members=["bob+abuse@example.com", "postmaster@other.org"])
        assert made.members == ("bob+abuse@example.com", "postmaster@other.org")
        with pytest.raises(InvalidValue, match="admins of the box"):
            store.aliases.add_members("abuse@example.com", ["x@other.org"])

    def test_those_of_the_panel_can_be_changed_whatever_their_name(self, store: MailInABoxStore, box: BoxRig) -> None:
        box.insert("aliases", source="sales+x@example.com", destination="x@other.org")
        assert store.aliases.update("sales+x@example.com", members=["y@other.org"]).members == ("y@other.org",)
        store.aliases.delete("sales+x@example.com")


class TestAutomaticAliases:
    def test_follow_users_and_aliases(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        assert automatic(box) == of_domains("example.com")
        store.aliases.create("sales@other.com", members=[BOB])
        assert automatic(box) == of_domains("example.com", "other.com")
        store.aliases.rename("sales@other.com", "sales@third.com")
        assert automatic(box) == of_domains("example.com", "third.com")
        store.aliases.delete("sales@third.com")
        store.accounts.delete(BOB, keep_mailbox_days=1)
        assert automatic(box) == of_domains()

    def test_catch_alls_and_names_of_the_box_itself_count_for_nothing(
        self, store: MailInABoxStore, box: BoxRig
    ) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        for source in ("@catch.com", "postmaster@p.com", "admin@a.com", "abuse@b.com"):
            store.aliases.create(source, members=[BOB])
        assert automatic(box) == of_domains("example.com")
        assert [item.domain for item in store.domains.list()] == ["a.com", "b.com", "catch.com", "example.com", "p.com"]

    def test_unicode_names_of_domains(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create("info@bücher.example", password_hash=READY)
        expected = of_domains("xn--bcher-kva.example") | {"@bücher.example": "@xn--bcher-kva.example"}
        assert automatic(box) == expected

    def test_written_even_over_an_alias_of_that_name(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        store.aliases.create("abuse@example.com", members=[BOB])
        assert automatic(box) == of_domains("example.com")
        assert box.rows("aliases")[0]["destination"] == BOB

    def test_none_for_the_administrator_itself(self, box: BoxRig) -> None:
        with box.open(primary_hostname="example.com") as store:
            store.accounts.create(BOB, password_hash=READY)
        sources = automatic(box).keys()
        assert "administrator@example.com" not in sources
        assert "hostmaster@example.com" in sources

    def test_rows_that_nothing_asks_for_any_more_go(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        box.insert("auto_aliases", source="abuse@gone.com", destination=ADMINISTRATOR)
        box.execute("DELETE FROM auto_aliases WHERE source LIKE 'admin@%'")
        box.execute("UPDATE auto_aliases SET destination = 'x@other.org' WHERE source LIKE 'abuse@example%'")
        assert "automatic-aliases" in {finding.code for finding in store.check()}
        store.accounts.create(EVE, password_hash=READY)
        assert automatic(box) == of_domains("example.com")
        assert "automatic-aliases" not in {finding.code for finding in store.check()}

    def test_leftovers_of_old_releases_among_the_ordinary_ones_go(self, store: MailInABoxStore, box: BoxRig) -> None:
        for source, destination in (
            ("postmaster@example.com", ADMINISTRATOR),
            ("postmaster@gone.com", ADMINISTRATOR),
            ("abuse@gone.com", "x@other.org"),
            ("sales@sales.com", ADMINISTRATOR),
        ):
            box.insert("aliases", source=source, destination=destination)
        store.accounts.create(BOB, password_hash=READY)
        left = [row["source"] for row in box.rows("aliases")]
        assert left == ["postmaster@example.com", "abuse@gone.com", "sales@sales.com"]


class TestNotices:
    """Whoever changes the set of domains learns what the box has to run."""

    def test_when_a_domain_comes_or_goes(self, store: MailInABoxStore) -> None:
        store.accounts.create(BOB, password_hash=READY)
        (notice,) = store.take_notices()
        assert (notice.code, notice.command) == (
            "domains-changed",
            "sudo /root/mailinabox/management/mailconfig.py update",
        )
        assert "new: example.com" in notice.message
        assert store.take_notices() == ()
        store.accounts.create(EVE, password_hash=READY)
        store.accounts.update(EVE, quota="1G")
        store.aliases.create("sales@example.com", members=[BOB])
        assert store.take_notices() == ()
        store.accounts.delete(BOB)
        assert store.take_notices() == ()
        store.accounts.delete(EVE)
        (last_user,) = store.take_notices()
        assert "first or last user: example.com" in last_user.message
        store.aliases.delete("sales@example.com")
        (gone,) = store.take_notices()
        assert "gone: example.com" in gone.message

    def test_of_many_domains_is_no_longer_than_needed(self, store: MailInABoxStore) -> None:
        store.accounts.create_many({"address": f"a@d{n:02}.com", "password_hash": READY} for n in range(40))
        (notice,) = store.take_notices()
        assert "d09.com and 30 more" in notice.message

    def test_not_for_what_was_rolled_back(self, store: MailInABoxStore) -> None:
        with pytest.raises(AlreadyExists), store.transaction():  # noqa: PT012
            store.accounts.create(BOB, password_hash=READY)
            store.accounts.create(BOB, password_hash=READY)
        assert store.take_notices() == ()

    def test_through_an_acting_admin(self, store: MailInABoxStore) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        store.take_notices()
        store.acting_as(BOB).aliases.create("sales@other.com", members=[BOB])
        assert "new: other.com" in store.take_notices()[0].message


class TestDomains:
    def test_are_those_of_the_addresses(self, store: MailInABoxStore) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.aliases.create("sales@other.com", members=[BOB])
        assert [item.domain for item in store.domains.list()] == ["example.com", "other.com"]
        assert [item.domain for item in store.domains.list(search="OTHER")] == ["other.com"]
        assert (store.domains.count(), store.domains.count(enabled=False)) == (2, 0)
        assert store.domains.exists("Example.com")
        assert not store.domains.exists("third.com")
        for call in (
            lambda: store.domains.create("third.com"),
            lambda: store.domains.update("example.com", name="x"),
            lambda: store.domains.delete("example.com"),
        ):
            with pytest.raises(NotSupported):
                call()

    def test_alias_domains_are_aliases_of_whole_domains(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        store.domains.add_alias_domains("example.com", ["alias.com"])
        assert box.rows("aliases")[0]["source"] == "@alias.com"
        assert box.rows("aliases")[0]["destination"] == "@example.com"
        # An address of its own makes it a domain again; one that leads elsewhere never was an alias domain.
        store.aliases.create("special@alias.com", members=["x@other.org"])
        store.aliases.create("@moved.com", members=["@elsewhere.com"])
        assert [item.domain for item in store.domains.list()] == ["alias.com", "example.com", "moved.com"]
        assert store.domains.get("example.com").alias_domains == ()


class TestFile:
    def test_journal_mode_owner_and_mode_stay(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box()
        os.chown(box.file, 0, 33)
        before = box.file.stat()
        with open_store(box.url, primary_hostname=HOSTNAME) as store:
            store.accounts.create(BOB, password_hash=READY)
            store.accounts.delete(BOB)
        after = box.file.stat()
        same = ("st_ino", "st_uid", "st_gid", "st_mode")
        assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
        assert box.query("PRAGMA journal_mode") == [{"journal_mode": "delete"}]
        assert sorted(path.name for path in box.file.parent.iterdir()) == ["mailboxes", "users.sqlite"]

    def test_foreign_keys_stay_off(self, box: BoxRig) -> None:
        with box.shared._context.db.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0

    def test_numbers_are_never_given_twice(self, store: MailInABoxStore, box: BoxRig) -> None:
        store.accounts.create(BOB, password_hash=READY)
        first = box.rows("users")[0]["id"]
        store.accounts.delete(BOB)
        store.accounts.create(EVE, password_hash=READY)
        assert box.rows("users")[0]["id"] > first

    def test_storage_root_and_file_are_the_same_store(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box(own_table=True)
        with closing(sqlite3.connect(box.file)):
            root = f"mailinabox://{box.file.parent.parent}"
        with open_store(root, primary_hostname=HOSTNAME) as one, box.open() as other:
            assert one.key == other.key
            one.accounts.create(BOB, password_hash=READY)
            assert other.accounts.get(BOB).home == f"{box.root}/example.com/bob"

    def test_options_in_the_url(self, new_box: Callable[..., BoxRig]) -> None:
        box = new_box()
        with open_store(f"{box.url}?primary_hostname={HOSTNAME}&min_password_length=3") as store:
            store.accounts.create(BOB, password="abc")

    def test_without_its_name(self, new_box: Callable[..., BoxRig], workdir: Path, monkeypatch: Any) -> None:
        box, conf = new_box(), workdir / "mailinabox.conf"
        monkeypatch.setattr("mailstore.sql.mailinabox.box.BOX_CONFIG", conf)
        with pytest.raises(ConfigurationError, match="primary_hostname"):
            open_store(box.url)
        conf.write_text("STORAGE_ROOT=/home/user-data\n")
        with pytest.raises(ConfigurationError, match="PRIMARY_HOSTNAME"):
            open_store(box.url)
        conf.write_text(f"STORAGE_ROOT=/home/user-data\nPRIMARY_HOSTNAME={HOSTNAME}\nPUBLIC_IP=192.0.2.1\n")
        with open_store(box.url) as store:
            store.accounts.create(BOB, password="long enough")
        assert f"hostmaster@{HOSTNAME}" in automatic(box)

    @pytest.mark.parametrize(
        "url", ["mailinabox://host/path", "mailinabox:relative", "mailinabox:///nowhere/users.sqlite"]
    )
    def test_bad_urls(self, url: str) -> None:
        with pytest.raises(ConfigurationError):
            open_store(url, primary_hostname=HOSTNAME)

    def test_homes_elsewhere(self, new_box: Callable[..., BoxRig], workdir: Path) -> None:
        box = new_box()
        with pytest.raises(ConfigurationError, match="mailboxes of this box lie in"):
            open_store(box.url, primary_hostname=HOSTNAME, homes=workdir / "elsewhere")
