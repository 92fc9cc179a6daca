"""Live schemas: what is detected, what is refused, and what older servers can still do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from mailstore import ConfigurationError, NotSupported, SchemaMismatch, open_store
from mailstore.config import StoreConfig
from mailstore.sql.iredmail.schema.detection import detect
from mailstore.sql.iredmail.schema.tables import OWN_TABLE, define
from mailstore.sql.iredmail.store import IRedMailStore, create_own_table, create_schema
from tests.rigs import Rig

NOT_IN_098 = {
    "mailbox": [
        "first_name", "last_name", "mobile", "telephone", "birthday", "recovery_email", "mailboxformat", "mailboxfolder",
        "enablequota-status", "enablesogowebmail", "enablesogocalendar", "enablesogoactivesync",
    ],
    "deleted_mailboxes": ["bytes", "messages"],
}  # fmt: skip
TABLES_NOT_IN_098 = ["last_login", "maillist_owners", OWN_TABLE]


class OldRig:
    """A database of its own, whose schema the test may change."""

    def __init__(self, rig: Rig, url: str, native: str) -> None:
        self.url = url
        self.root = rig.root
        self.name = rig.name
        self.engine = create_engine(native)
        create_schema(StoreConfig(url=url), None)

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def drop_column(self, table: str, column: str) -> None:
        quote = "`" if self.name == "mysql" else '"'
        if self.name == "sqlite":  # it drops no column that an index is on
            self.execute(f'DROP INDEX IF EXISTS "{table}_{column}_idx"')
        self.execute(f"ALTER TABLE {table} DROP COLUMN {quote}{column}{quote}")

    def open(self, **options: Any) -> IRedMailStore:
        store = open_store(self.url, home_root=str(self.root), **options)
        assert isinstance(store, IRedMailStore)
        return store


@pytest.fixture
def old(rig: Rig, request: pytest.FixtureRequest, workdir: Path) -> Iterator[OldRig]:
    if rig.name == "sqlite":
        path = f"{workdir}/old.db"
        found = OldRig(rig, f"iredmail+sqlite:///{path}", f"sqlite+pysqlite:///{path}")
        yield found
        found.engine.dispose()
        return
    server = request.getfixturevalue("mariadb" if rig.name == "mysql" else "postgresql")
    server.create_database("vmail_old")
    found = OldRig(rig, server.url("vmail_old"), rig.native.removesuffix("vmail") + "vmail_old")
    yield found
    found.engine.dispose()
    server.drop_database("vmail_old")


def as_of_098(old: OldRig) -> None:
    for table, columns in NOT_IN_098.items():
        for column in columns:
            old.drop_column(table, column)
    for table in TABLES_NOT_IN_098:
        old.execute(f"DROP TABLE {table}")


def test_current_schema_lacks_nothing(store: IRedMailStore) -> None:
    report = store.schema_report()
    assert (report.missing, report.absent, report.foreign) == ((), (), ())


def test_schema_of_098_works(old: OldRig) -> None:
    as_of_098(old)
    with old.open() as store:
        report = store.schema_report()
        assert "mailbox.first_name" in report.absent
        assert OWN_TABLE in report.absent
        assert report.missing == ()
        store.domains.create("example.com")
        made = store.accounts.create("bob@example.com", password="x", name="Bob", aliases=["b@example.com"], quota="1G")
        assert made == store.accounts.get("bob@example.com")
        assert (made.mailbox_format, made.last_login) == ("maildir", None)
        store.accounts.create_many([{"address": "eve@example.com", "password": "x"}])
        store.accounts.rename("bob@example.com", "rob@example.com")
        with pytest.raises(NotSupported, match="first_name"):
            store.accounts.update("rob@example.com", first_name="Rob")
        record = store.accounts.delete("rob@example.com")
        assert record is not None
        assert not record.restorable
        assert store.deleted.restore(record.id, password="new").address == "rob@example.com"
        assert [finding for finding in store.check() if finding.severity == "error"] == []
        assert store.domains.delete("example.com") == 2


def test_missing_tables_and_columns_are_named(old: OldRig) -> None:
    old.drop_column("mailbox", "isglobaladmin")
    old.execute("DROP TABLE moderators")
    with pytest.raises(SchemaMismatch, match=r"mailbox\.isglobaladmin, moderators"):
        old.open()


def test_empty_database(old: OldRig) -> None:
    old.execute(*(f"DROP TABLE {name}" for name in define(old.name).tables))
    with pytest.raises(SchemaMismatch, match="schema create"):
        old.open()


def test_relics_without_a_default_get_an_empty_value(old: OldRig) -> None:
    not_null = {"sqlite": "NOT NULL DEFAULT ''"}.get(old.name, "NOT NULL")  # SQLite adds no column without one
    old.execute(
        f"ALTER TABLE alias ADD COLUMN goto VARCHAR(50) {not_null}",
        f"ALTER TABLE mailbox ADD COLUMN local_part VARCHAR(50) {not_null}",
    )
    with old.open() as store:
        assert set(store.schema_report().foreign) == {"alias.goto", "mailbox.local_part"}
        store.domains.create("example.com")
        store.accounts.create("bob@example.com", password="x")
        store.aliases.create("all@example.com")
        old.execute("UPDATE mailbox SET local_part = 'kept'")
        record = store.accounts.delete("bob@example.com")
        assert record is not None
        store.deleted.restore(record.id)
    with old.engine.connect() as connection:
        assert connection.execute(text("SELECT local_part FROM mailbox")).scalar() == "kept"


def test_a_mistyped_path_makes_no_file(workdir: Path) -> None:
    with pytest.raises(ConfigurationError, match="schema create"):
        open_store(f"iredmail+sqlite:///{workdir}/typo.db")
    assert list(workdir.iterdir()) == []


def test_create_never_alters_what_is_there(old: OldRig) -> None:
    with pytest.raises(SchemaMismatch, match="nothing was made"):
        create_schema(StoreConfig(url=old.url), None)
    old.execute(f"DROP TABLE {OWN_TABLE}")
    with pytest.raises(SchemaMismatch):
        create_schema(StoreConfig(url=old.url), None)
    assert create_own_table(StoreConfig(url=old.url), None)
    assert not create_own_table(StoreConfig(url=old.url), None)


def test_detection_is_one_statement(rig: Rig) -> None:
    seen: list[str] = []
    with rig.engine.connect() as connection:
        execute = connection.execute
        connection.execute = lambda *args: (seen.append("x"), execute(*args))[1]  # type: ignore[method-assign,assignment]
        detect(connection, rig.name)
    assert seen == ["x"]
