"""Columns of every type that an engine has, added by another tool: a deleted account comes back with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, text

from mailstore import InvalidValue
from mailstore.sql.live import read_live
from tests.contract.hosting import host, named
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore import Store

BOB = "bob@example.com"
STORES = ("mailinabox", "sqlite", "mysql", "postgresql", "afterlogic-mysql", "afterlogic-postgresql", "atmail")
PLACES = {
    "mailinabox": ("users", "email"), "sqlite": ("mailbox", "username"), "mysql": ("mailbox", "username"),
    "postgresql": ("mailbox", "username"), "afterlogic-mysql": ("awm_accounts", "email"),
    "afterlogic-postgresql": ("awm_accounts", "email"), "atmail": ("accounts", "username"),
}  # fmt: skip
"""The table of accounts, and its column with the address."""

TYPES: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "BLOB": "X'00ff27'", "DECIMAL": "1.5", "TEXT": "'2024-02-30 x'", "REAL": "9e999", "INTEGER": "-9223372036854775808",
        "DATETIME": "'0000-00-00 00:00:00'", "JSON": "'{\"a\": [1, null]}'", "BOOLEAN": "1",
    },
    "mysql": {
        "BLOB": "X'00FF27'", "VARBINARY(9)": "'x\\0'", "DECIMAL(40,20)": "-12345678901234567890.00000000000000000001",
        "TIME": "'-838:59:58'", "TIME(6)": "'00:00:01.000002'", "DATE": "'0000-00-00'",
        "DATETIME": "'0000-00-00 00:00:00'", "DATETIME(6)": "'2024-02-29 23:59:59.000001'", "DATETIME(0)": "'2024-00-00'",
        "YEAR": "0", "BIT(12)": "b'101010101010'", "FLOAT": "0.1", "DOUBLE": "1.7976931348623157e308",
        "BIGINT UNSIGNED": "18446744073709551615", "JSON": "'[1, \"x\"]'", "ENUM('a','b c')": "'b c'",
        "SET('a','b')": "'a,b'", "POINT": "ST_GeomFromText('POINT(1 2)')", "TEXT CHARACTER SET latin1": "'\u00e9'",
    },
    "postgresql": {
        "BYTEA": "'\\x00ff27'", "NUMERIC": "'NaN'", "NUMERIC(50,20)": "-12345678901234567890.00000000000000000001",
        "TIME": "'23:59:59.000001'", "TIMETZ": "'04:05:06-08'", "DATE": "'infinity'", "TIMESTAMP": "'-infinity'",
        "TIMESTAMPTZ": "'2024-10-27 02:30:00.5+05'", "INTERVAL": "'1 year 2 mons -3 days 04:05:06.7'",
        "INET": "'192.0.2.1/24'", "CIDR": "'2001:db8::/32'", "MACADDR": "'08:00:2b:01:02:03'",
        "UUID": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "JSON": "'null'", "JSONB": "'[\"x\", {\"base64\": 1}]'",
        "TEXT[]": "'{\"a b\",NULL,\"\"}'", "INET[]": "'{192.0.2.1}'", "INT[][]": "'{{1,2},{3,4}}'", "BIT(5)": "B'10101'",
        "VARBIT": "B'101'", "FLOAT8": "'-Infinity'", "REAL": "'NaN'", "MONEY": "12.34", "INT4RANGE": "'[1,5)'",
        "BOOLEAN": "true", "POINT": "'(1,2)'", "XML": "'<a/>'", "CHAR(4)": "'x'", "\"char\"": "'y'", "TSVECTOR": "'a b'",
    },
}  # fmt: skip
"""Types with a value each, as each engine spells it."""


@pytest.fixture(params=STORES)
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    return found


@contextmanager
def connected(store: Store) -> Iterator[Connection]:
    """Give a connection as another tool has it."""
    database: Any = store
    with database._context.db.engine.connect() as connection:
        connection.detach()  # what is set for its session is gone with it
        with connection.begin():
            yield connection


def alter(store: Store, *statements: str) -> None:
    with connected(store) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


@contextmanager
def columns(store: Store, table: str, types: Mapping[str, str]) -> Iterator[None]:
    """Add columns to a table for a while; those that a test which was cut short has left go before."""
    _drop(store, table, types)
    alter(store, *(f"ALTER TABLE {table} ADD COLUMN {name} {type_}" for name, type_ in types.items()))
    try:
        yield
    finally:
        _drop(store, table, types)


def _drop(store: Store, table: str, names: Mapping[str, str]) -> None:
    with connected(store) as connection:
        present = set(read_live(connection, _kind(store)).get(table, {}))
    alter(store, *(f"ALTER TABLE {table} DROP COLUMN {name}" for name in reversed(names) if name in present))


def stored(store: Store, kind: str, place: tuple[str, str], names: list[str]) -> list[Any]:
    """Return what stands in columns, as text of PostgreSQL, which has values that its driver cannot read."""
    suffix = "::text" if kind == "postgresql" else ""
    wanted = ", ".join(name + suffix for name in names)
    with connected(store) as connection:
        query = text(f"SELECT {wanted} FROM {place[0]} WHERE lower({place[1]}) = :address")  # noqa: S608
        return list(connection.execute(query, {"address": BOB}).one())


def test_every_type_comes_back(rig: StoreRig) -> None:
    store, place = rig.shared, PLACES[rig.name]
    kind = _kind(store)
    host(store, "example.com")
    store.accounts.create(BOB, password="secret", **named(store, "Bob"))
    names = {f"x{number}": type_ for number, type_ in enumerate(TYPES[kind])}
    values = dict(zip(names, TYPES[kind].values(), strict=True))
    with columns(store, place[0], names):
        mode = ["SET SESSION sql_mode = ''"] if kind == "mysql" else []
        changes = ", ".join(f"{name} = {value}" for name, value in values.items())
        alter(store, *mode, f"UPDATE {place[0]} SET {changes}")  # noqa: S608
        before = stored(store, kind, place, list(names))
        assert None not in before
        record = store.accounts.delete(BOB)
        assert record is not None
        store.deleted.restore(record.id)
        assert dict(zip(names.values(), stored(store, kind, place, list(names)), strict=True)) == dict(
            zip(names.values(), before, strict=True)
        )
        assert store.accounts.verify_password(BOB, "secret")


def test_generated_and_dropped_columns_are_left_out(rig: StoreRig, caplog: pytest.LogCaptureFixture) -> None:
    store, place = rig.shared, PLACES[rig.name]
    host(store, "example.com")
    store.accounts.create(BOB, password="secret", **named(store, "Bob"))
    with columns(store, place[0], {"x1": "INTEGER DEFAULT 7", "x2": "INTEGER GENERATED ALWAYS AS (x1 + 1) "
                 + ("VIRTUAL" if _kind(store) == "sqlite" else "STORED"), "x3": "INTEGER DEFAULT 5"}):  # fmt: skip
        record = store.accounts.delete(BOB)
        assert record is not None
        alter(store, f"ALTER TABLE {place[0]} DROP COLUMN x3")
        with caplog.at_level(logging.WARNING, "mailstore"):
            store.deleted.restore(record.id)
        assert stored(store, "", place, ["x1", "x2"]) == [7, 8]
        (said,) = caplog.messages
        assert said == f"restoring {BOB}: left out what the database has no more: {place[0]}.x3"


@pytest.mark.parametrize("rig", ["mysql", "afterlogic-mysql", "atmail"], indirect=True)
def test_invisible_columns_come_back(rig: StoreRig) -> None:
    """MariaDB and MySQL leave them out of ``*``, so that they came back empty."""
    store, place = rig.shared, PLACES[rig.name]
    host(store, "example.com")
    store.accounts.create(BOB, password="secret", **named(store, "Bob"))
    invisible = {"x1": "INTEGER INVISIBLE DEFAULT 7", "x2": "INTEGER GENERATED ALWAYS AS (x1 + 1) STORED INVISIBLE"}
    with columns(store, place[0], invisible):
        alter(store, f"UPDATE {place[0]} SET x1 = 12")  # noqa: S608
        record = store.accounts.delete(BOB)
        assert record is not None
        store.deleted.restore(record.id)
        assert stored(store, "", place, list(invisible)) == [12, 13]


def test_records_of_earlier_versions_are_read(rig: StoreRig) -> None:
    """They hold times as text, which a column without a known type has to take, too, and JSON and arrays as such."""
    store, place = rig.shared, PLACES[rig.name]
    kind = _kind(store)
    host(store, "example.com")
    store.accounts.create(BOB, password="secret", **named(store, "Bob"))
    types = {"x1": {"mysql": "DATETIME", "postgresql": "TIMESTAMP", "sqlite": "DATETIME"}[kind]}
    if kind == "postgresql":
        types |= {"x2": "JSONB", "x3": "TEXT[]"}
    with columns(store, place[0], types):
        record = store.accounts.delete(BOB)
        assert record is not None
        kept = {"x1": "2024-02-29 10:00:00", "x2": {"a": [1]}, "x3": ["a", None]}
        _rewrite(store, place[0], {name: kept[name] for name in types})
        store.deleted.restore(record.id)
        expected = ["2024-02-29 10:00:00", '{"a": [1]}', "{a,NULL}"][: len(types)]
        assert [str(value) for value in stored(store, kind, place, list(types))] == expected


def test_without_snapshot_and_password_nothing_comes_back(rig: StoreRig) -> None:
    store = rig.shared
    host(store, "example.com")
    store.accounts.create(BOB, password="secret")
    record = store.accounts.delete(BOB)
    assert record is not None
    alter(store, "DELETE FROM mailstore_deleted")
    with pytest.raises(InvalidValue, match="give a password"):
        store.deleted.restore(record.id)
    assert store.deleted.restore(record.id, password="another-1").address == BOB
    assert store.accounts.verify_password(BOB, "another-1")


def _kind(store: Any) -> str:
    return str(store._context.db.kind)


def _rewrite(store: Store, table: str, values: Mapping[str, Any]) -> None:
    """Change what the only snapshot says of the only row of a table."""
    with connected(store) as connection:
        kept = json.loads(connection.execute(text("SELECT snapshot FROM mailstore_deleted")).scalar_one())
        row = kept["account" if table == "accounts" else table]
        (row if isinstance(row, dict) else row[0]).update(values)
        connection.execute(text("UPDATE mailstore_deleted SET snapshot = :text"), {"text": json.dumps(kept)})
