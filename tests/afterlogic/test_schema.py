"""Schemas as they are met: of older versions, with gaps, with a prefix, of another product with the same table names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, inspect, text

from mailstore import ConfigurationError, NotFound, NotSupported, SchemaMismatch, open_store
from mailstore.config import StoreConfig
from mailstore.registry import with_query_options
from mailstore.sql.afterlogic.schema.tables import ALL, NEEDED
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from mailstore.sql.afterlogic.store import create_own_table, create_schema
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

BOB = "bob@example.com"


@pytest.fixture
def file(workdir: Path) -> Path:
    """A new store in a file."""
    file = workdir / "webmail.db"
    create_schema(StoreConfig(url=f"afterlogic+sqlite:///{file}"), None)
    return file


def change(file: Path, *statements: str) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def opened(file: Path, **options: Any) -> Any:
    return open_store(f"afterlogic+sqlite:///{file}", **options)


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in sorted(NEEDED) for column in sorted(NEEDED[table])][::3]
)
def test_a_missing_column_is_named(file: Path, table: str, column: str) -> None:
    change(file, f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
    with pytest.raises(SchemaMismatch, match=rf"{table}\.{column}"):
        opened(file)


def test_accounts_are_listed_in_pages_however_they_are_spelt(file: Path) -> None:
    """The product keeps capitals; a page must not end where the next one does not go on."""
    with opened(file) as store:
        store.domains.create("example.com")
        names = [f"u{number:04}@example.com" for number in range(1100)]
        store.accounts.create_many({"address": name, "password": "x"} for name in names)
        change(file, "UPDATE awm_accounts SET email = upper(email) WHERE id_acct % 3 = 0")
        assert [account.address for account in store.accounts.list()] == names
        assert store.accounts.count() == 1100
        assert store.accounts.get("u0499@example.com").address == "u0499@example.com"


def test_a_missing_table_is_named(file: Path) -> None:
    change(file, "DROP TABLE awm_settings")
    with pytest.raises(SchemaMismatch, match="awm_settings"):
        opened(file)


def test_an_old_version_works_with_what_it_has(file: Path, tmp_path: Path) -> None:
    """Every column and table that is not needed is gone, as an old version lacks some of them."""
    optional = [
        (table, column)
        for table, spec in ALL.items()
        if table in NEEDED
        for column in spec.columns
        if column not in NEEDED[table] and column not in {"id_setting", "id_addr", "id_acct", "id"}
    ]
    indexed = {"awm_addr_book": ("deleted", "use_frequency")}
    statements = [f"ALTER TABLE {t} DROP COLUMN {c}" for t, c in optional if c not in indexed.get(t, ())]
    gone = [table for table in ALL if table not in NEEDED]
    change(file, *statements, *(f"DROP TABLE {table}" for table in gone))
    with opened(file, mta="bundle", homes=str(tmp_path / "mail")) as store:
        (tmp_path / "mail").mkdir()
        assert "awm_settings.last_login_ip" in store.schema_report().absent
        store.domains.create("example.com")
        store.accounts.create(BOB, password="x", name="Bob")
        assert store.accounts.update(BOB, password="y", quota="1G").name == "Bob"
        with pytest.raises(NotSupported, match="site_name"):
            store.domains.update("example.com", settings=DomainSettings(site_name="x"))
        assert DomainSettings.of(store.domains.get("example.com")).allow_webmail
        record = store.accounts.delete(BOB)
        assert store.deleted.restore(record.id).name == "Bob"
        assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_without_the_retention_tables(file: Path, tmp_path: Path) -> None:
    change(file, "DROP TABLE mailstore_deleted", "DROP TABLE mailstore_deleted_mailboxes")
    with opened(file, mta="bundle") as store:
        store.domains.create("example.com")
        store.domains.create("elsewhere.com", settings=DomainSettings(internal=False))
        store.accounts.create(BOB, password="x")
        store.accounts.create("eve@elsewhere.com", password="x")
        assert {finding.code for finding in store.check()} == {"no-retention-table"}
        with pytest.raises(NotSupported, match="add-retention-table"):
            store.accounts.delete(BOB)
        with pytest.raises(NotSupported, match="add-retention-table"):
            store.domains.delete("example.com")
        with pytest.raises(NotSupported, match="add-retention-table"):
            store.deleted.count()
        assert store.accounts.exists(BOB)
        assert store.accounts.delete("eve@elsewhere.com") is None
    config = StoreConfig(url=f"afterlogic+sqlite:///{file}")
    assert create_own_table(config, None)
    assert not create_own_table(config, None)
    with opened(file, mta="bundle") as store:
        assert store.accounts.delete(BOB) is not None
        assert store.deleted.count() == 1


def test_prefix(workdir: Path) -> None:
    file = workdir / "webmail.db"
    url = f"afterlogic+sqlite:///{file}?table_prefix=al_"
    create_schema(with_query_options(StoreConfig(url=url)), None)
    with open_store(url) as store:
        store.domains.create("example.com")
        store.accounts.create(BOB, password="x")
        store.accounts.delete(BOB)
    engine = create_engine(f"sqlite:///{file}")
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    assert {name for name in names if not name.startswith("al_")} == {
        "mailstore_deleted",
        "mailstore_deleted_mailboxes",
    }
    with pytest.raises(SchemaMismatch, match="table_prefix"):
        opened(file)


def test_a_database_that_has_tables_is_never_altered(file: Path) -> None:
    with pytest.raises(SchemaMismatch, match="nothing was made"):
        create_schema(StoreConfig(url=f"afterlogic+sqlite:///{file}"), None)


def test_the_database_of_aurora_8_is_another_one(file: Path) -> None:
    """It has its mail server's tables, of the same names, beside those of its webmail, which are others."""
    change(
        file, "DROP TABLE awm_accounts",
        "CREATE TABLE awm_accounts (id_acct INTEGER PRIMARY KEY, id_user INT, id_domain INT, deleted INT, "
        "mail_quota_kb INT, email VARCHAR(255), password VARCHAR(255), mailing_list INT)",
    )  # fmt: skip
    with pytest.raises(SchemaMismatch, match="Aurora 8"):
        opened(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("mta=connector", "mta"), ("mta_database=x", "mta_database"), ("mta=exim", "mta"),
        ("webmail_data=relative", "absolute"), ("webmail_edition=pro", "edition"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(file: Path, options: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_store(f"afterlogic+sqlite:///{file}?{options}")


def test_without_a_mail_server_no_domain_is_internal(file: Path) -> None:
    with opened(file) as store:
        store.domains.create("example.com")
        assert store.accounts.create(BOB, password="x").home is None
        with pytest.raises(NotSupported, match="mta"):
            store.domains.create("hosted.com", settings=DomainSettings(internal=True))
        settings = AccountSettings.of(store.accounts.get(BOB))
        assert (settings.incoming_server, settings.outgoing_auth) == ("127.0.0.1", 2)


@only("mysql")
def test_accents_and_blanks_make_another_address(rig: Rig, store: AfterLogicStore) -> None:
    """To the collation of these tables they do not."""
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x")
    calendars = [rig.insert("adav_calendars", principaluri=f"principals/{name}@example.com") for name in ("bób", "bob")]
    rig.execute("UPDATE awm_accounts SET email = 'bób@example.com'")
    assert not store.accounts.exists(BOB)
    with pytest.raises(NotFound):
        store.accounts.delete(BOB)
    rig.execute("UPDATE awm_accounts SET email = :email", email=BOB)
    store.accounts.delete(BOB)
    assert [row["id"] for row in rig.rows("adav_calendars")] == calendars[:1]


@only("mysql")
def test_mysql_tables_are_as_the_product_makes_them(rig: Rig, store: AfterLogicStore) -> None:
    with rig.engine.connect() as connection:
        collations = connection.execute(
            text("SELECT DISTINCT table_collation FROM information_schema.tables "
                 "WHERE table_schema = DATABASE() AND table_name LIKE 'a%'")
        ).scalars().all()  # fmt: skip
        decoded = connection.execute(
            text("SELECT CAST(DP1('731610011607') AS CHAR), CAST(DP1('61') AS CHAR), DP1(''), DP1('616')")
        ).one()  # fmt: skip
    assert list(collations) in (["utf8mb3_general_ci"], ["utf8_general_ci"])
    assert tuple(decoded) == ("secret", "a", b"", b"")
    assert store.accounts.count() == 0
