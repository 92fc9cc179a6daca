"""The tables as the driver knows them and as it makes them, held against what the product says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, func, inspect, select, text
from sqlalchemy import table as named
from sqlalchemy.dialects import mysql, postgresql, sqlite

from mailstore import open_store
from mailstore.sql.afterlogic.schema.tables import ALL, LEDGER, NEEDED, define
from mailstore.sql.afterlogic.schema.user_data import BELONGINGS, DISOWNED
from mailstore.sql.afterlogic.store import create_own_table
from tests.afterlogic.conftest import only
from tests.afterlogic.schema_facts import KINDS, NAMES, VERSIONS, Fact, facts_of, statements

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

FACTS = facts_of("7.7.9")
DIALECTS = {"mysql": mysql.dialect(), "postgresql": postgresql.dialect(), "sqlite": sqlite.dialect()}
OURS = {"VARCHAR": "TEXT", "SMALLINT": "INTEGER", "BIGINT": "INTEGER"}
"""SQLite gives these the same affinity as what the product writes."""
BOB = "bob@example.com"


def test_the_driver_knows_every_table_and_column_and_no_other() -> None:
    assert {name: set(spec.columns) for name, spec in ALL.items()} == {
        name: set(table.columns) for name, table in FACTS.items()
    }


def test_keys_and_defaults_of_the_definitions() -> None:
    wrong = []
    for name, table in define("").tables.items():
        if name in LEDGER:
            continue
        fact = FACTS[name]
        indexes = frozenset(tuple(column.name for column in index.columns) for index in table.indexes)
        unique = frozenset(
            tuple(column.name for column in one.columns)
            for one in table.constraints
            if one.__class__.__name__ == "UniqueConstraint"
        )
        primary = tuple(column.name for column in table.primary_key)
        if (primary, indexes, unique) != (fact.primary, fact.indexes, fact.unique):
            wrong.append((name, primary, indexes, unique))
        for column in table.columns:
            default: Any = column.server_default
            shown = None if default is None else str(getattr(default.arg, "text", default.arg))
            if (shown, column.nullable) != (fact.columns[column.name].default, fact.columns[column.name].nullable):
                wrong.append((name, column.name, shown, column.nullable))
    assert wrong == []


@pytest.mark.parametrize("engine", list(DIALECTS))
def test_types_of_the_definitions(engine: str) -> None:
    wrong = []
    place = list(DIALECTS).index(engine)
    for name, table in define("").tables.items():
        for column in table.columns if name in FACTS else ():
            fact = FACTS[name].columns[column.name]
            if expected_type(fact, place) != own_type(column.type.compile(DIALECTS[engine]), engine):
                wrong.append((name, column.name, fact, column.type.compile(DIALECTS[engine])))
    assert wrong == []


def expected_type(fact: Fact, place: int) -> str:
    kind = {"character varying": "varchar", "timestamp without time zone": "timestamp", "int": "int"}.get(
        KINDS[fact.kind][place], KINDS[fact.kind][place]
    )
    return kind if fact.length is None or place == 2 else f"{kind}({fact.length})"


def own_type(compiled: str, engine: str) -> str:
    if engine == "sqlite":
        word = compiled.partition("(")[0]
        return OURS.get(word, word)
    word = compiled.lower().replace("integer", "int") if engine == "mysql" else compiled.lower()
    word = word.removesuffix(" without time zone")
    width = word.partition("(")[2].partition(")")[0]
    # The width of a number is how MySQL 5 showed it, and nothing else.
    return word.replace(f"({width})", "") if "int" in word and width else word


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@only("sqlite", "mysql", "postgresql")
def test_the_schema_that_is_made_here(rig: Rig, store: AfterLogicStore) -> None:
    """As the server itself describes it, not as it was asked for."""
    assert store.schema_report().absent == ()
    assert store.schema_report().foreign == ()
    found, wrong = inspect(rig.engine), []
    assert set(found.get_table_names()) == {*FACTS, *LEDGER}
    for name, table in FACTS.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert list(columns) == list(table.columns) or set(columns) == set(table.columns), name
        for column, fact in table.columns.items():
            default = columns[column]["default"]
            plain = None if default is None or "nextval" in default else default.partition("::")[0].strip("'()")
            if (plain, columns[column]["nullable"]) != (fact.default, fact.nullable):
                wrong.append((name, column, default, columns[column]["nullable"], fact))
        primary = tuple(found.get_pk_constraint(name)["constrained_columns"])
        indexes = {tuple(index["column_names"]) for index in found.get_indexes(name) if not index["unique"]} - {(None,)}
        unique = {tuple(one["column_names"]) for one in found.get_unique_constraints(name)}
        if (primary, indexes, unique) != (table.primary, set(table.indexes), set(table.unique)):
            wrong.append((name, primary, indexes, unique))
    assert wrong == []


def test_what_the_driver_needs_was_always_there() -> None:
    for version in VERSIONS:
        tables = facts_of(version)
        gaps = [(name, column) for name in NEEDED for column in NEEDED[name] if column not in tables[name].columns]
        assert gaps == [], version


def test_every_column_that_names_an_owner_is_cleaned_up() -> None:
    """Whatever the product's queries join with a user or an account is in the list of what belongs to it."""
    kept = {f"{one.table}.{one.column}" for one in (*BELONGINGS, *DISOWNED)}
    itself = {"awm_accounts.id_acct", "awm_accounts.id_user", "a_users.id_user", "awm_mailaliases.alias_to"}
    named = {name for names in NAMES.values() for name in names.split()}
    assert named - itself - kept == set()
    for name in {*named, *kept}:
        table, _, column = name.partition(".")
        assert column in FACTS[table].columns, name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_life_on_the_products_own_schema(workdir: Path, version: str) -> None:
    """Made by the statements of that version, so that what it lacks is really lacking."""
    file = workdir / "webmail.db"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for statement in statements(version, "sqlite"):
            connection.execute(text(statement))
    url = f"afterlogic+sqlite:///{file}?mta=bundle"
    with open_store(url) as store:
        create_own_table(store.config, None)
    with open_store(url) as store:
        lacking = {f"{name}.{column}" for name in FACTS for column in FACTS[name].columns} - {
            f"{name}.{column}" for name, facts in facts_of(version).items() for column in facts.columns
        }
        assert set(store.schema_report().absent) == lacking
        store.domains.create("example.com")
        store.accounts.create(BOB, password="x", aliases=["b@example.com"])
        assert store.accounts.update(BOB, name="Bob", quota="1G", enabled=False).name == "Bob"
        record = store.accounts.delete(BOB)
        assert record is not None
        assert store.deleted.restore(record.id).aliases == ("b@example.com",)
        assert store.domains.delete("example.com") == 1
        assert [finding for finding in store.check() if finding.severity == "error"] == []
    with engine.connect() as connection:
        left = [name for name in FACTS if connection.execute(select(func.count()).select_from(named(name))).scalar()]
    engine.dispose()
    assert left == []
