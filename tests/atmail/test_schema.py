"""Schemas that differ: older ones, other names, and columns that mailstore knows nothing of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailstore import Capability, NotSupported, open_store
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, SchemaMismatch, StoreDenied
from mailstore.sql.atmail.store import AtmailStore, create_own_table, create_schema
from tests.servers.mariadb import MariaDB

DATABASE = "vmail_atmail_old"

Open = Callable[..., AtmailStore]


@pytest.fixture
def url(mariadb: MariaDB) -> Iterator[str]:
    mariadb.create_database(DATABASE)
    url = f"atmail+mysql://{mariadb.url(DATABASE).partition('://')[2]}"
    create_schema(StoreConfig(url=url), None)
    mariadb.execute("DROP TABLE mailstore_deleted_mailboxes, mailstore_deleted", DATABASE)  # as on a live server
    yield url
    mariadb.drop_database(DATABASE)


@pytest.fixture
def opened(url: str) -> Iterator[Open]:
    stores: list[AtmailStore] = []

    def open_(**options: Any) -> AtmailStore:
        store: Any = open_store(url, **options)
        stores.append(store)
        return store

    yield open_
    for store in stores:
        store.close()


def test_the_documented_table_of_2017(mariadb: MariaDB, opened: Open) -> None:
    mariadb.execute(
        "ALTER TABLE accounts DROP COLUMN firstName, DROP COLUMN lastName, DROP COLUMN autoReplySubject", DATABASE
    )
    store = opened()
    assert set(store.schema_report().absent) >= {
        "accounts.firstName", "accounts.lastName", "accounts.autoReplySubject", "mailstore_deleted",
    }  # fmt: skip
    store.domains.create("example.com")
    made = store.accounts.create("bob@example.com", password="x")
    assert made == store.accounts.get("bob@example.com")
    with pytest.raises(NotSupported, match="firstName"):
        store.accounts.update("bob@example.com", first_name="Bob")
    with pytest.raises(NotSupported, match="firstName"):
        store.accounts.update("bob@example.com", name="Bob")
    assert [account.address for account in store.accounts.list(search="BOB")] == ["bob@example.com"]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("ALTER TABLE accounts DROP COLUMN userStatus", "accounts.userStatus"),
        ("ALTER TABLE accounts DROP COLUMN homeDir", "accounts.homeDir"),
        ("ALTER TABLE domains DROP COLUMN domainName", "domains.domainName"),
        ("DROP TABLE aliases", "aliases"),
    ],
)
def test_a_missing_column_is_named(mariadb: MariaDB, url: str, statement: str, name: str) -> None:
    mariadb.execute(statement, DATABASE)
    with pytest.raises(SchemaMismatch, match=rf"{name}\b.*\[stores"):
        open_store(url)


def test_a_column_that_vanishes_while_the_store_is_open(mariadb: MariaDB, opened: Open) -> None:
    store = opened()
    store.domains.create("example.com")
    mariadb.execute("ALTER TABLE accounts DROP COLUMN groupId", DATABASE)
    with pytest.raises(SchemaMismatch, match="groupId"):
        store.accounts.create("bob@example.com", password="x")
    assert store.domains.count() == 1


def test_without_tables_of_admins(mariadb: MariaDB, opened: Open) -> None:
    mariadb.execute("DROP TABLE userRoles", DATABASE)
    store = opened()
    assert Capability.ADMINS not in store.capabilities
    for call in (lambda: store.admins, lambda: store.roles, lambda: store.permissions, lambda: store.acting_as("x")):
        with pytest.raises(NotSupported, match="userRoles"):
            call()
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password="x")
    assert store.domains.get("example.com").admins == ()
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_a_table_that_the_configuration_names_has_to_be_there(mariadb: MariaDB, url: str) -> None:
    mariadb.execute("DROP TABLE userRoles", DATABASE)
    with pytest.raises(SchemaMismatch, match="webadmin_roles"):
        open_store(url, atmail={"tables": {"userRoles": "webadmin_roles"}})


def test_other_names(mariadb: MariaDB, opened: Open) -> None:
    mariadb.execute(
        "RENAME TABLE users TO adminUsers, aliases TO mailAliases;"
        "ALTER TABLE adminUsers CHANGE username login VARCHAR(255) NOT NULL UNIQUE;"
        "ALTER TABLE mailAliases CHANGE AliasName source VARCHAR(255) NOT NULL;"
        "ALTER TABLE accounts CHANGE quota megabytes INT UNSIGNED NOT NULL DEFAULT 0",
        DATABASE,
    )
    store = opened(
        atmail={
            "tables": {"users": "adminUsers", "aliases": "mailAliases"},
            "columns": {"users.username": "login", "aliases.AliasName": "source", "accounts.quota": "megabytes"},
        }
    )
    assert store.schema_report().missing == ()
    assert store.schema_report().foreign == ()
    store.domains.create("example.com")
    made = store.accounts.create("bob@example.com", password="x", quota="3G", aliases=["b@example.com"])
    assert made == store.accounts.get("bob@example.com")
    assert mariadb.execute("SELECT megabytes FROM accounts", DATABASE) == [(3072,)]
    store.aliases.create("all@example.com", members=["bob@example.com", "x@y.org"])
    store.accounts.rename("bob@example.com", "robert@example.com")
    assert [row.name for row in store.alias_rows.list()] == ["b@example.com", "all@example.com", "all@example.com"]
    store.admins.create("root", password="x", global_admin=True)
    store.admins.create("sub", password="x", domains=["example.com"], max_accounts=5)
    assert [admin.address for admin in store.admins.list()] == ["root", "sub"]
    store.acting_as("sub").accounts.update("robert@example.com", quota="1G")
    store.admins.delete("sub")
    assert [finding for finding in store.check() if finding.severity == "error"] == []
    assert create_own_table(store.config, None)
    with_records = opened(atmail=store.config.atmail)
    record = with_records.accounts.delete("robert@example.com")
    assert record is not None
    assert with_records.deleted.restore(record.id).aliases == ("b@example.com",)


def test_unknown_columns_that_need_a_value(mariadb: MariaDB, url: str, opened: Open) -> None:
    mariadb.execute("ALTER TABLE domains ADD COLUMN brandId INT NOT NULL, ADD COLUMN note VARCHAR(9)", DATABASE)
    with pytest.raises(SchemaMismatch, match=r"domains\.brandId.*fill"):
        open_store(url)
    store = opened(atmail={"fill": {"domains.brandId": 3, "accounts.mboxServer": 2, "accounts.groupId": 9}})
    assert store.schema_report().foreign == ("domains.brandId", "domains.note")
    store.domains.create("example.com")
    made = store.accounts.create("bob@example.com", password="x")
    assert mariadb.execute("SELECT brandId FROM domains", DATABASE) == [(3,)]
    assert mariadb.execute("SELECT mboxServer, groupId FROM accounts", DATABASE) == [(2, 9)]
    assert store.accounts.get("bob@example.com").settings["mboxServer"] == "2"
    assert made == store.accounts.get("bob@example.com")


@pytest.mark.parametrize(
    "options",
    [
        {"tables": {"people": "x"}},
        {"columns": {"accounts.nope": "x"}},
        {"fill": {"people.x": 1}},
        {"default_quota": "much"},
        {"home_rule": "letters"},
        {"provision": 8},
        {"nope": 1},
    ],
)
def test_a_mistake_in_the_configuration_is_named(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url, atmail=options)


def test_create_never_touches_what_is_there(url: str) -> None:
    with pytest.raises(SchemaMismatch, match="accounts"):
        create_schema(StoreConfig(url=url), None)


def test_an_empty_database(mariadb: MariaDB, url: str) -> None:
    mariadb.create_database("vmail_nothing")
    try:
        with pytest.raises(SchemaMismatch, match="accounts, aliases, domains"):
            open_store(url.replace(DATABASE, "vmail_nothing"))
    finally:
        mariadb.drop_database("vmail_nothing")


def test_the_retention_tables_are_made_explicitly(mariadb: MariaDB, url: str, opened: Open) -> None:
    store = opened()
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password="x")
    for call in (lambda: store.accounts.delete("bob@example.com"), lambda: store.domains.delete("example.com")):
        with pytest.raises(NotSupported, match="add-retention-table"):
            call()
    with pytest.raises(NotSupported, match="add-retention-table"):
        store.deleted.count()
    assert store.accounts.count() == 1
    assert create_own_table(StoreConfig(url=url), None)
    assert not create_own_table(StoreConfig(url=url), None)
    assert opened().accounts.delete("bob@example.com") is not None


@pytest.fixture
def apiserver(mariadb: MariaDB) -> Iterator[str]:
    mariadb.create_database("vmail_api_old")
    yield f"mysql://{mariadb.url('vmail_api_old').partition('://')[2]}"
    mariadb.drop_database("vmail_api_old")


def test_the_api_server_lacks_something(url: str, apiserver: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"apiserver.*Accounts, Identities, ServiceAccounts, Users"):
        open_store(url, apiserver=apiserver)
    with pytest.raises(ConfigurationError, match="mysql://"):
        open_store(url, apiserver="postgresql://x/y")


def test_other_names_at_the_api_server(mariadb: MariaDB, opened: Open, apiserver: str) -> None:
    mariadb.execute(
        "CREATE TABLE Accounts (idAccount INT AUTO_INCREMENT PRIMARY KEY, idUsers INT NOT NULL, Name VARCHAR(255),"
        " IsPrimary INT, Active INT, idMailAccount INT, idContactAccount INT, idCalendarAccount INT);"
        "CREATE TABLE people (idUsers INT AUTO_INCREMENT PRIMARY KEY, Name VARCHAR(255), realm INT NOT NULL);"
        "CREATE TABLE Identities (idIdentity INT AUTO_INCREMENT PRIMARY KEY, idUsers INT, Name VARCHAR(255));"
        "CREATE TABLE ServiceAccounts (id INT AUTO_INCREMENT PRIMARY KEY, idUsers INT, Type VARCHAR(16))",
        "vmail_api_old",
    )
    names: dict[str, Any] = {
        "tables": {"apiserver.Users": "people"},
        "columns": {"apiserver.ServiceAccounts.idServiceAccount": "id"},
    }
    with pytest.raises(SchemaMismatch, match=r"apiserver\.Users\.realm.*fill"):
        opened(apiserver=apiserver, atmail=names)
    store = opened(apiserver=apiserver, atmail={**names, "fill": {"apiserver.Users.realm": 4}})
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password="x")
    made = store.provisioning.provision("bob@example.com")
    assert made == store.provisioning.get("bob@example.com")
    assert mariadb.execute("SELECT Name, realm FROM people", "vmail_api_old") == [("bob@example.com", 4)]
    assert mariadb.execute("SELECT id, Type FROM ServiceAccounts", "vmail_api_old") == [
        (1, "MAIL"), (2, "CONTACTS"), (3, "CALENDAR"),
    ]  # fmt: skip


def test_a_reader_may_only_read(mariadb: MariaDB, url: str) -> None:
    reader = f"atmail+mysql://{mariadb.url(DATABASE, 'vmail').partition('://')[2]}"
    with open_store(reader) as store:
        assert store.domains.count() == 0
        with pytest.raises(StoreDenied):
            store.domains.create("example.com")
