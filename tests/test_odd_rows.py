"""Whatever value a database lets somebody write, in whatever column: the rest is served, checked and purged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from mailstore import Capability
from mailstore.purge import purge_due
from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from mailstore import Store

ODD, FINE = "odd@example.com", "fine@example.org"
VALUES: tuple[Any, ...] = (
    *(None, "", " ", "@", "no address", "/x/../y", "\x01\x1b[31m", "x" * 200, "abc:;:9;x:99999999999999999999"),
    *(b"\xff\xfe", -1, 2**62, 10**40, 1.5, True, "infinity", "0000-00-00 00:00:00", "99999-99-99", "0001-01-01 BC"),
)
PRODUCTS = {
    "sqlite": "iredmail", "mysql": "iredmail", "postgresql": "iredmail", "mailinabox": "mailinabox",
    "afterlogic-sqlite": "afterlogic", "afterlogic-mysql": "afterlogic", "afterlogic-postgresql": "afterlogic",
    "atmail": "atmail",
}  # fmt: skip
TABLES: dict[str, dict[str, str]] = {
    "iredmail": {
        "mailbox": "username", "domain": "domain", "alias": "address", "admin": "username", "used_quota": "username",
        "last_login": "username", "deleted_mailboxes": "username", "forwardings": "address",
    },
    "mailinabox": {"users": "email", "aliases": "source", "mailstore_deleted_mailboxes": "username"},
    "afterlogic": {"awm_accounts": "email", "awm_domains": "name", "mailstore_deleted_mailboxes": "username"},
    "atmail": {
        "accounts": "username", "domains": "domainName", "aliases": "AliasName", "users": "username",
        "mailstore_deleted_mailboxes": "username",
    },
}  # fmt: skip
"""Tables, and the column by which the row to be poisoned is found, which stays."""


@pytest.fixture(params=sorted(PRODUCTS))
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    """Each kind of store in SQL, with one of everything to be poisoned, something else, and a mailbox that is due."""
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    fill(found.shared)
    return found


def fill(store: Store) -> None:
    host(store, "example.com", "example.org")
    for address in (ODD, FINE, "gone@example.com", "former@example.com"):
        store.accounts.create(address, password="secret-1")
    if Capability.ALIASES in store.capabilities:
        for address in ("all@example.com", "any@example.org"):
            store.aliases.create(address, members=[FINE])
    if Capability.STANDALONE_ADMINS in store.capabilities and Capability.DOMAIN_ADMINS in store.capabilities:
        for name, domain in (("chief", "example.com"), ("chef", "example.org")):
            store.admins.create(f"{name}@admins.net", password="secret-1", domains=[domain])
    for address in ("gone@example.com", "former@example.com"):
        store.accounts.delete(address, keep_mailbox_days=0)


Rows = list[dict[str, Any]]
KEYS = (ODD, "example.com", "all@example.com", "chief@admins.net", "former@example.com")


def read_everything(store: Store) -> None:
    """Do all that reads more than one row, and see that the others are there."""
    assert FINE in {account.address for account in store.accounts.list()}
    assert store.accounts.count() >= 1
    assert store.accounts.get(FINE).problems == ()
    list(store.domains.list())
    if Capability.ALIASES in store.capabilities:
        assert "any@example.org" in {alias.address for alias in store.aliases.list()}
    if Capability.ADMINS in store.capabilities:
        list(store.admins.list())
    assert FINE in dict(store.accounts.homes())
    list(store.deleted.list())
    list(store.check())
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    outcomes = {
        outcome.record.address: outcome for outcome in purge_due(store, today=tomorrow, dry_run=True) if outcome.record
    }
    assert outcomes["gone@example.com"].action == "would purge", outcomes["gone@example.com"].reason


def poison(engine: Engine, before: Mapping[str, Rows], keys: Mapping[str, str], value: Any) -> int:
    """Write a value into all columns; return how many took it."""
    quote, taken = engine.dialect.identifier_preparer.quote, 0
    with engine.begin() as connection:
        for table, rows in before.items():
            for column in (name for name in rows[0] if not is_key(name, keys[table])):
                change = f"UPDATE {table} SET {quote(column)} = :value WHERE {keys[table]} IN :keys"  # noqa: S608
                statement = text(change).bindparams(bindparam("keys", expanding=True))
                try:
                    with nullcontext() if engine.dialect.name == "sqlite" else connection.begin_nested():
                        taken += connection.execute(statement, {"value": value, "keys": KEYS}).rowcount > 0
                except (SQLAlchemyError, OverflowError):
                    continue
    return taken


def engine_of(rig: Any) -> Engine:
    return rig.engine if hasattr(rig, "engine") else create_engine(f"sqlite+pysqlite:///{rig.file}")


def snapshot(engine: Engine, table: str) -> Rows:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608


def put_back(engine: Engine, before: Mapping[str, Rows]) -> None:
    quote = engine.dialect.identifier_preparer.quote
    with engine.begin() as connection:
        for table, rows in before.items():
            names, values = ", ".join(map(quote, rows[0])), ", ".join(f":v{number}" for number in range(len(rows[0])))
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
            statement = text(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608
            connection.execute(statement, [{f"v{i}": value for i, value in enumerate(row.values())} for row in rows])


def is_key(name: str, key: str) -> bool:
    """Tell whether a column says which row it is, or to whom it belongs."""
    return name.lower() == key.lower() or name.lower().startswith("id") or name.lower().endswith("id")


def test_no_value_stops_the_rest(rig: StoreRig) -> None:
    """All columns of all tables at once, with each value in turn."""
    engine, taken = engine_of(rig), 0
    tables = TABLES[PRODUCTS[rig.name]]
    before = {table: rows for table in tables if (rows := snapshot(engine, table))}
    for value in VALUES:
        taken += poison(engine, before, tables, value)
        try:
            read_everything(rig.shared)
        except Exception as error:
            raise AssertionError(f"with {value!r}") from error
        put_back(engine, before)
    assert taken > 20


ADDRESSES = (
    b"\xff@\xfe",
    b"octets@example.com",
    "",
    "@",
    "no-at",
    "a@b@c",
    "../../x@..",
    "ü@example.com",
    "\x00@x",
    "\ufffd",
)


def test_no_address_stops_the_rest_of_a_box(rigs: Callable[[str], StoreRig]) -> None:
    """There any value is an address, octets too; those that mail servers cannot ask for are named, and served to nobody."""
    rig: Any = rigs("mailinabox")
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    fill(store)
    for number, address in enumerate(ADDRESSES):
        rig.execute("INSERT INTO users (email, password, quota) VALUES (?, 'x', '0')", address)
        rig.execute(
            "INSERT INTO aliases (source, destination) VALUES (?, ?)", address, b"\xff" if number % 2 else address
        )
    rig.execute("UPDATE users SET email = CAST(x'ff40' AS TEXT) WHERE email = 'no-at'")
    read_everything(store)
    listed = [account.address for account in store.accounts.list()]
    assert store.accounts.count() == len(listed)
    assert not {"octets@example.com"} & {*listed, *(alias.address for alias in store.aliases.list())}
    named = {finding.subject for finding in store.check() if finding.code == "unreadable-value"}
    assert {"octets@example.com", "\ufffd@"} <= named
