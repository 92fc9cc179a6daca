"""The tables as the driver knows them and as it makes them, held against iRedMail's own SQL files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.sql.iredmail.names.references import REFERENCES
from mailstore.sql.iredmail.schema.tables import OPTIONAL, OWN_TABLE, define
from mailstore.sql.iredmail.store import IRedMailStore, create_schema
from tests.iredmail.schema_facts import ENGINES, VERSIONS, Engine, facts_of, lacking
from tests.rigs import Rig
from tests.schema_words import described

DIFFERENT = {
    # A primary key instead of a plain one on MySQL; the installer's own defaults are written where it rewrites the file.
    ("mysql", "deleted_mailboxes"): "keys",
    ("mysql", "mailbox.storagebasedirectory"): "/var/vmail", ("postgresql", "mailbox.storagebasedirectory"): "/var/vmail",
    ("mysql", "mailbox.storagenode"): "vmail1", ("postgresql", "mailbox.storagenode"): "vmail1",
}  # fmt: skip
"""Where what is made here is another thing on purpose."""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_driver_knows_every_table_and_column_and_no_other(engine: Engine) -> None:
    known = {name: {column.name for column in table.columns} for name, table in define(engine).tables.items()}
    known.pop(OWN_TABLE)
    assert known == {name: set(table.columns) for name, table in facts_of(engine).items()}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_release_has_not_got_is_optional(engine: Engine, version: str) -> None:
    """Whoever says that a server may have any version since 0.9.8 must bear what these versions lack."""
    for name in lacking(version, engine):
        table, _, column = name.partition(".")
        assert (column or "*") in OPTIONAL[table], name


def test_what_refers_to_an_address_stands_in_columns_that_there_are() -> None:
    for engine in ENGINES:
        tables = facts_of(engine)
        for reference in REFERENCES:
            assert reference.table in {*tables, OWN_TABLE}, reference


@pytest.mark.parametrize("shared_rig", ["mysql", "postgresql"], indirect=True)
def test_the_schema_that_is_made_here(rig: Rig, store: IRedMailStore) -> None:
    """As the server itself describes it."""
    assert store.schema_report().foreign == ()
    engine: Any = rig.name
    found, wrong = inspect(rig.engine), []
    tables = facts_of(engine)
    for name, table in tables.items():
        made, keys = described(found, name, engine)
        assert set(made) == set(table.columns), name
        for column, fact in table.columns.items():
            wanted = fact._replace(default=DIFFERENT.get((engine, f"{name}.{column}"), fact.default))
            if made[column] != wanted:
                wrong.append((name, column, made[column], wanted))
        if keys != table.keys and (engine, name) not in DIFFERENT:
            wrong.append((name, keys - table.keys, table.keys - keys))
    assert wrong == [], "\n".join(map(str, wrong))


def test_the_first_shape_of_last_login(workdir: Path) -> None:
    """1.0 and 1.1 had one time for all protocols on MySQL; such a server was called no iRedMail database."""
    url = f"iredmail+sqlite:///{workdir}/old.db"
    create_schema(StoreConfig(url=url), None)
    engine = create_engine(f"sqlite:///{workdir}/old.db")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE last_login"))
        connection.execute(text("CREATE TABLE last_login (username TEXT PRIMARY KEY, domain TEXT, last_login INT)"))
    with open_store(url, home_root=str(workdir)) as store:
        store.domains.create("example.com")
        store.accounts.create("bob@example.com", password="x")
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO last_login VALUES ('bob@example.com', 'example.com', 1600000000)"))
        assert [account.last_login for account in store.accounts.list()] == [None]
        record = store.accounts.delete("bob@example.com")
        assert record is not None
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM last_login")).scalar() == 0
        store.deleted.restore(record.id)
    engine.dispose()
