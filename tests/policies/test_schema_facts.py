"""amavisd's and iRedAPD's tables as the drivers know them and as the tests make them, held against the daemons' own SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table, inspect
from sqlalchemy.types import NullType

from mailstore.errors import SchemaMismatch
from mailstore.sql.amavisd.tables import KNOWN as AMAVISD
from mailstore.sql.amavisd.tables import AddressKey
from mailstore.sql.amavisd.tables import Tables as AmavisdTables
from mailstore.sql.iredapd.tables import KNOWN as IREDAPD
from mailstore.sql.iredapd.tables import Tables as IRedAPDTables
from mailstore.sql.live import Live, LiveColumn
from tests.policies.schema_facts import LATER, facts_of
from tests.schema_words import ENGINES, Engine, described

if TYPE_CHECKING:
    from tests.policies.rig import PolicyRig

DRIVERS: dict[str, Any] = {"amavisd": AmavisdTables, "iredapd": IRedAPDTables}
PYTHON = {
    "int": int, "integer": int, "bigint": int, "smallint": int, "tinyint": int, "mediumint": int, "char": str,
    "varchar": str, "character": str, "character varying": str, "float": float, "real": float,
}  # fmt: skip
"""The values of each type; a key in bytes is a text for the drivers."""


def live_of(database: str, engine: Engine, *lacking: str) -> Live:
    live = Live()
    for name, table in facts_of(database, engine).items():
        columns = {
            column: LiveColumn(fact.type.partition("(")[0], required=False)
            for column, fact in table.columns.items()
            if f"{name}.{column}" not in lacking
        }
        if name not in lacking:
            live[name] = columns
    return live


def tables_of(database: str, live: Live) -> list[Table]:
    return [value for value in vars(DRIVERS[database](live)).values() if isinstance(value, Table)]


def test_the_databases_of_the_tests_are_the_daemons_own(prig: PolicyRig) -> None:
    """Else a wrong column would be found by nobody."""
    engine: Any = prig.name
    for database, connection in prig.engines.items():
        found, facts = inspect(connection), facts_of(database, engine)
        assert set(found.get_table_names()) == set(facts)
        for name, table in facts.items():
            made = described(found, name, engine)
            assert made.columns == table.columns, name
            assert {key for key in made.keys if key[0] != "index"} == set(table.keys), name
            links = {tuple(one["constrained_columns"]): one["referred_table"] for one in found.get_foreign_keys(name)}
            assert links == ({("tid",): "throttle"} if name == "throttle_tracking" else {})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("database", list(DRIVERS))
def test_the_drivers_know_every_table_and_its_types(database: str, engine: Engine) -> None:
    facts = facts_of(database, engine)
    assert set(facts) == {"amavisd": AMAVISD, "iredapd": IREDAPD}[database]
    wrong = []
    for table in tables_of(database, live_of(database, engine)):
        fact = facts[table.name]
        assert {column.name for column in table.columns} == set(fact.columns), table.name
        primary = tuple(column.name for column in table.primary_key)
        assert ("primary", primary) in fact.keys, table.name
        for column in table.columns:
            word = fact.columns[column.name].type.partition("(")[0].removesuffix(" unsigned")
            if isinstance(column.type, AddressKey):
                right = word in {"varbinary", "bytea"}
            else:
                right = isinstance(column.type, NullType) or column.type.python_type is PYTHON[word]
            if not right:
                wrong.append((table.name, column.name, column.type, word))
    assert wrong == []


@pytest.mark.parametrize("database", list(DRIVERS))
def test_what_earlier_versions_lack_is_all_that_may_be_missing(database: str) -> None:
    everything = live_of(database, "mysql")
    for name in LATER[database]:
        tables_of(database, live_of(database, "mysql", name))
    known = {
        f"{table.name}.{column.name}"
        for table in tables_of(database, everything)
        for column in table.columns
        if not isinstance(column.type, NullType)
    }
    for name in known - set(LATER[database]):
        with pytest.raises(SchemaMismatch, match=name.partition(".")[0]):
            tables_of(database, live_of(database, "mysql", name))
