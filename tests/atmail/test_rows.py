"""What stands in the rows, and what a server that behaves otherwise than documented makes of it."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists, InvalidValue, NotSupported
from mailstore.passwords import verify_password
from mailstore.sql.atmail.homes import choose_rule, home_candidates, md5_levels, prefix_levels
from mailstore.sql.atmail.schema.units import from_local, to_local
from tests.atmail.test_readers import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

NOW = datetime(2026, 11, 20, 12, 0, 0)  # noqa: DTZ001 as the stores keep it


@pytest.fixture
def domain(store: AtmailStore) -> str:
    return store.domains.create("example.com").domain


class TestPasswords:
    def test_the_sample_of_the_documentation_verifies(self) -> None:
        assert verify_password("test", SAMPLE)
        assert not verify_password("Test", SAMPLE)

    @pytest.mark.usefixtures("domain")
    def test_ours_have_its_exact_form(self, rig: AtmailRig, store: AtmailStore) -> None:
        store.accounts.create("a@example.com", password="test")
        store.accounts.create_many([{"address": "b@example.com", "password": "test"}])
        store.accounts.create("c@example.com", password="x")
        store.accounts.update("c@example.com", password="test")
        store.accounts.create("d@example.com", password_hash="{PLAIN-MD5}098f6bcd4621d373cade4e832627b4f6")
        assert store.accounts.verify_password("d@example.com", "test", rehash=True)
        hashes = [row["password"] for row in rig.rows("accounts")]
        assert {len(stored) for stored in hashes} == {len(SAMPLE)}
        for stored in hashes:
            data = base64.b64decode(stored.removeprefix("{SSHA256}"), validate=True)
            digest, salt = data[:32], data[32:]
            assert len(salt) == 32
            assert hashlib.sha256(b"test" + salt).digest() == digest
        assert len(set(hashes)) == 4

    @pytest.mark.usefixtures("domain")
    def test_all_at_once_have_salts_of_their_own(self, rig: AtmailRig, store: AtmailStore) -> None:
        for name in ("a", "b"):
            store.accounts.create(f"{name}@example.com", password="x")
        store.accounts.update_all("example.com", password="test")
        hashes = {row["password"] for row in rig.rows("accounts")}
        assert [len(stored) for stored in hashes] == [len(SAMPLE)] * 2


class TestHomes:
    @pytest.mark.parametrize(
        ("address", "prefix", "md5"),
        [
            ("account1@yourdomain.com", "acc", "1a4"),
            ("test2@yourdomain.com", "tes", "f48"),
            ("alice@example.com", "ali", "c16"),
            ("bob@atmail.com", "bob", "cad"),
            ("al@example.com", "al_", "dd5"),
            ("a@example.com", "a__", "b41"),
            ("a.b@example.com", "a_b", None),
        ],
    )
    def test_both_documented_rules(self, address: str, prefix: str, md5: str | None) -> None:
        assert "".join(prefix_levels(address, "_")) == prefix
        if md5:
            assert "".join(md5_levels(address)) == md5

    @pytest.mark.parametrize(
        ("homes", "rule"),
        [
            ([], "md5"),
            ([("account1@yourdomain.com", "/var/atmail/users/a/c/c/account1@yourdomain.com/")], "prefix"),
            ([("bob@atmail.com", "/var/atmail/users/c/a/d/bob@atmail.com/")], "md5"),
            ([("Bob@atmail.com", "/mail/C/A/D/Bob@atmail.com")], "md5"),
            ([("x@y.com", "/elsewhere/x"), ("bob@atmail.com", "/m/b/o/b/bob@atmail.com/")], "prefix"),
            ([("x@y.com", "/elsewhere/x"), ("y@y.com", "")], "md5"),
        ],
    )
    def test_the_existing_accounts_choose(self, homes: list[tuple[str, str]], rule: str) -> None:
        assert choose_rule("auto", "_", homes) == rule
        assert choose_rule("prefix", "_", homes) == "prefix"
        assert choose_rule("md5", "_", homes) == "md5"

    @pytest.mark.usefixtures("domain")
    def test_a_new_account_follows_the_old_ones(self, rig: AtmailRig, store: AtmailStore) -> None:
        old = store.accounts.create("account1@example.com", password="x", home=f"{rig.root}/a/c/c/account1@example.com")
        assert old.home == f"{rig.root}/a/c/c/account1@example.com"
        assert store.accounts.create("bo@example.com", password="x").home == f"{rig.root}/b/o/_/bo@example.com"
        with rig.open(atmail={"home_rule": "prefix", "short_name_pad": "x"}) as other:
            assert other.accounts.create("b@example.com", password="x").home == f"{rig.root}/b/x/x/b@example.com"
        with rig.open(atmail={"home_rule": "md5"}) as other:
            digest = hashlib.md5(b"c@example.com").hexdigest()  # noqa: S324
            home = f"{rig.root}/{'/'.join(digest[:3])}/c@example.com"
            assert other.accounts.create("c@example.com", password="x").home == home

    @pytest.mark.usefixtures("domain")
    def test_the_stored_path_counts(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.insert(
            "accounts", username="x@example.com", domainId=rig.row("domains")["domainId"], homeDir="/somewhere/else/"
        )
        assert store.accounts.get("x@example.com").home == "/somewhere/else"

    def test_candidates_differ(self) -> None:
        homes = list(home_candidates("/r", "md5", "_", "bob@atmail.com", NOW))
        assert homes[:2] == ["/r/c/a/d/bob@atmail.com", "/r/c/a/d/bob@atmail.com-2026.11.20.12.00.00"]
        assert len(set(homes)) == len(homes)

    def test_without_disk_a_waiting_home_is_not_given_again(self, rig: AtmailRig) -> None:
        with rig.open_without_disk() as store:
            store.domains.create("example.com")
            first = store.accounts.create("bob@example.com", password="x").home
            store.accounts.rename("bob@example.com", "robert@example.com")
            second = store.accounts.create("bob@example.com", password="x").home
            store.accounts.delete("bob@example.com")
            third = store.accounts.create("bob@example.com", password="x").home
            assert len({first, second, third}) == 3

    @pytest.mark.usefixtures("domain")
    def test_homes_given_in_bulk_differ(self, rig: AtmailRig) -> None:
        with rig.open_without_disk() as store:
            for second in ("/x/y/z", "/x/y/z/inner", "/x/y"):
                rows = [
                    {"address": f"{n}@example.com", "password": "x", "home": home}
                    for n, home in (("a", "/x/y/z"), ("b", second))
                ]
                with pytest.raises((AlreadyExists, InvalidValue)):
                    store.accounts.create_many(rows)
            assert store.accounts.count() == 0

    @pytest.mark.usefixtures("domain")
    def test_default_root(self, rig: AtmailRig) -> None:
        with rig.open(homes=[]) as store:
            home = store.accounts.create("b@example.com", password="x").home
        assert str(home).startswith("/var/atmail/users/")


class TestTimes:
    @pytest.fixture
    def brisbane(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("TZ", "Australia/Brisbane")
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()

    @pytest.mark.usefixtures("brisbane", "domain")
    def test_rows_hold_local_times_and_the_model_utc(self, rig: AtmailRig, store: AtmailStore) -> None:
        made = store.accounts.create("bob@example.com", password="x")
        row = rig.row("accounts")
        assert made.created is not None
        assert (row["dateCreate"] - made.created).total_seconds() == 10 * 3600
        assert store.accounts.get("bob@example.com").created == made.created
        assert to_local(NOW).hour == 22
        assert from_local(to_local(NOW)) == NOW


class TestNames:
    @pytest.mark.parametrize(
        ("name", "first", "last"),
        [
            ("Bob", "Bob", ""),
            ("Bob Smith", "Bob", "Smith"),
            ("Anna Maria  Rossi", "Anna Maria ", "Rossi"),
            ("", "", ""),
        ],
    )
    @pytest.mark.usefixtures("domain")
    def test_a_whole_name_is_parted(self, rig: AtmailRig, store: AtmailStore, name: str, first: str, last: str) -> None:
        assert store.accounts.create("bob@example.com", password="x", name=name).name == name
        row = rig.row("accounts")
        assert (row["firstName"], row["lastName"]) == (first, last)
        assert store.accounts.update("bob@example.com", last_name="New").name == f"{first} New".strip()

    def test_a_name_that_the_table_cannot_hold_leaves_nothing(self, rig: AtmailRig, store: AtmailStore) -> None:
        store.domains.create("example.com")
        rig.execute("ALTER TABLE accounts CONVERT TO CHARACTER SET utf8mb3")
        try:
            before = rig.everything()
            for action in (
                lambda: store.accounts.create(
                    "bob@example.com", password="x", first_name="Bob 🐝", aliases=["b@example.com"]
                ),
                lambda: store.accounts.create_many([{"address": "b@example.com", "password": "x", "last_name": "🐝"}]),
            ):
                with pytest.raises(InvalidValue):
                    action()
            assert rig.everything() == before
            assert [path for path in rig.root.rglob("*") if path.is_dir()] == []
            store.accounts.create("bob@example.com", password="x", first_name="Böb")
        finally:
            rig.execute("DELETE FROM accounts")
            rig.execute("ALTER TABLE accounts CONVERT TO CHARACTER SET utf8mb4")


class TestWhatOthersWrote:
    @pytest.fixture(autouse=True)
    def bob(self, rig: AtmailRig, store: AtmailStore) -> None:
        store.domains.create("example.com")
        store.accounts.create("bob@example.com", password="secret")
        rig.execute("UPDATE accounts SET forward = 'x@else.org', autoReply = 'away', autoReplyEnabled = 1, groupId = 7")

    def test_survives_an_update_and_a_rename(self, rig: AtmailRig, store: AtmailStore) -> None:
        store.accounts.update("bob@example.com", quota="2G", password="new")
        made = store.accounts.rename("bob@example.com", "robert@example.com")
        row = rig.row("accounts")
        assert (row["forward"], row["autoReply"], row["autoReplyEnabled"], row["groupId"]) == (
            "x@else.org",
            "away",
            1,
            7,
        )
        assert (made.settings["autoReply"], made.settings["groupId"]) == ("away", "7")

    def test_survives_deletion_and_restore(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.execute("ALTER TABLE accounts ADD COLUMN colour VARCHAR(20) NOT NULL DEFAULT 'red'")
        try:
            rig.execute("UPDATE accounts SET colour = 'blue'")
            before = rig.row("accounts")
            record = store.accounts.delete("bob@example.com")
            assert record is not None
            store.deleted.restore(record.id)
            assert rig.row("accounts") == before
            with rig.engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT colour FROM accounts").scalar() == "blue"
        finally:
            rig.execute("ALTER TABLE accounts DROP COLUMN colour")

    def test_restore_takes_a_new_number_if_the_old_one_is_taken(self, rig: AtmailRig, store: AtmailStore) -> None:
        number = rig.row("accounts")["accountId"]
        record = store.accounts.delete("bob@example.com")
        assert record is not None
        domain_id = rig.row("domains")["domainId"]
        rig.insert("accounts", accountId=number, username="eve@example.com", domainId=domain_id, homeDir="/x/y/eve/")
        store.deleted.restore(record.id)
        assert rig.row("accounts", username="bob@example.com")["accountId"] != number
        assert Path(record.home).is_dir()

    def test_columns_of_any_type_survive(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.execute(
            "ALTER TABLE accounts ADD COLUMN raw VARBINARY(9), ADD COLUMN price DECIMAL(5,2), ADD COLUMN at TIME"
        )
        try:
            rig.execute("UPDATE accounts SET raw = x'00FF10', price = 12.50, at = '11:22:33'")
            record = store.accounts.delete("bob@example.com")
            assert record is not None
            store.deleted.restore(record.id)
            with rig.engine.connect() as connection:
                found = connection.exec_driver_sql("SELECT HEX(raw), price + 0.0, at + 0 FROM accounts").one()
            assert [str(value) for value in found] == ["00FF10", "12.50", "112233"]
        finally:
            rig.execute("ALTER TABLE accounts DROP COLUMN raw, DROP COLUMN price, DROP COLUMN at")

    def test_a_home_that_is_no_path_stops_no_list(self, rig: AtmailRig, store: AtmailStore) -> None:
        number = rig.row("domains")["domainId"]
        rig.insert("accounts", username="odd@example.com", domainId=number, homeDir="users/../odd")
        assert [account.home for account in store.accounts.list()][1] == "users/../odd"
        assert ("home-unusable", "odd@example.com") in {(finding.code, finding.subject) for finding in store.check()}
        rig.execute("DELETE FROM accounts WHERE username = 'odd@example.com'")

    def test_upper_case(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.insert("domains", domainName="Upper.com")
        number = rig.row("domains", domainName="Upper.com")["domainId"]
        rig.insert("accounts", username="Kim@Upper.com", domainId=number, homeDir="/x/y/kim/")
        store.accounts.update("kim@upper.com", forwarding=["x@else.org"], aliases=["k@upper.com"])
        found = store.accounts.get("KIM@upper.com")
        assert (found.forwarding, found.aliases) == (("x@else.org",), ("k@upper.com",))
        store.domains.add_alias_domains("upper.com", ["lower.com"])
        assert store.domains.get("upper.com").alias_domains == ("lower.com",)
        assert "upper-case" in {finding.code for finding in store.check()}
        rig.execute("DELETE FROM accounts WHERE username = 'Kim@Upper.com'")

    def test_other_types_of_aliases_stay(self, rig: AtmailRig, store: AtmailStore) -> None:
        rig.insert("aliases", AliasName="odd@example.com", AliasTo="x@else.org", aliasType="Sideways")
        assert "alias-type" in {finding.code for finding in store.check()}
        store.accounts.update("bob@example.com", forwarding=["y@else.org"], aliases=["b@example.com"])
        assert rig.rows("aliases", AliasName="odd@example.com")
        rig.execute("DELETE FROM aliases WHERE aliasType = 'Sideways'")


class TestWhatAtmailLacks:
    @pytest.mark.usefixtures("domain")
    def test_is_refused_by_name(self, store: AtmailStore) -> None:
        for call, word in (
            (lambda: store.accounts.create("a@example.com", password="x", language="de_DE"), "language"),
            (lambda: store.accounts.update_all("example.com", transport="x"), "transport"),
            (lambda: store.accounts.count(admins=True), "admins"),
            (lambda: store.domains.create("other.com", max_accounts=3), "max_accounts"),
            (lambda: store.domains.update("example.com", name="x"), "name"),
            (lambda: store.aliases.create("a@example.com", members=["x@y.org"], name="x"), "name"),
            (lambda: store.admins.promote("a@example.com"), "admin user"),
            (lambda: store.admins.demote("a@example.com"), "admin user"),
            (lambda: store.lists, "mailing lists"),
        ):
            with pytest.raises(NotSupported, match=word):
                call()
        assert (store.accounts.count(), store.domains.count(), store.aliases.count()) == (0, 1, 0)

    @pytest.mark.usefixtures("domain")
    def test_an_alias_without_members(self, store: AtmailStore) -> None:
        with pytest.raises(InvalidValue, match="members"):
            store.aliases.create("a@example.com")
        store.aliases.create("a@example.com", members=["x@y.org"])
        with pytest.raises(InvalidValue, match="delete"):
            store.aliases.remove_members("a@example.com", ["x@y.org"])
        assert store.aliases.get("a@example.com").members == ("x@y.org",)


def test_times_stay_in_the_zone_of_the_server(rig: AtmailRig) -> None:
    """Columns may be TIMESTAMP on some servers: a session in another zone would shift what is read."""
    with rig.shared._context.db.reading() as connection:
        assert connection.exec_driver_sql("SELECT @@time_zone = @@GLOBAL.time_zone").scalar() == 1
