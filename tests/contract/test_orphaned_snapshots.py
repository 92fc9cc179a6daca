"""Other tools remove records, and begin their numbers anew: what was kept of an account goes with its own record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, create_engine, inspect, text

from mailstore import InvalidValue, purge_due
from tests.contract.hosting import host, named
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore import Finding, Store

BOB, EVE = "bob@example.com", "eve@example.com"


@pytest.fixture(params=["sqlite", "mysql", "postgresql", "ldap", "atmail", "afterlogic-postgresql", "mailinabox"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    host(found.shared, "example.com")
    for address in (BOB, EVE):
        found.shared.accounts.create(address, password="secret", **named(found.shared, "Somebody"))
    return found


def database(store: Any) -> Any:
    context = store._context
    return context.companion.db if hasattr(context, "companion") else context.db


def run(store: Store, statement: str, **values: Any) -> list[Any]:
    """Run a statement as another tool does."""
    engine = create_engine(database(store).url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            names = inspect(connection).get_table_names()
            records = "deleted_mailboxes" if "deleted_mailboxes" in names else "mailstore_deleted_mailboxes"
            result = connection.execute(text(statement.format(records=records)), values)
            return list(result) if result.returns_rows else []
    finally:
        engine.dispose()


def kept(store: Store) -> list[int]:
    return [row[0] for row in run(store, "SELECT record_id FROM mailstore_deleted")]


def left_over(store: Store) -> list[Finding]:
    return [finding for finding in store.check() if "mailstore_deleted" in finding.message]


def delete(store: Store, address: str) -> int:
    record = store.accounts.delete(address, keep_mailbox_days=10)
    assert record is not None
    return record.id


def insert(store: Store, number: int, address: str, home: str, when: datetime) -> None:
    """Insert a record as the panel does, under a number that it gives away again."""
    run(
        store,
        "INSERT INTO {records} (id, timestamp, username, domain, maildir, admin, delete_date)"
        " VALUES (:id, :timestamp, :username, 'example.com', :maildir, 'panel', '2999-01-01')",
        id=number, timestamp=f"{when:%Y-%m-%d %H:%M:%S}", username=address, maildir=home,
    )  # fmt: skip


def test_the_check_names_it_and_the_purge_removes_it(rig: StoreRig) -> None:
    store = rig.shared
    gone, left = delete(store, BOB), delete(store, EVE)
    assert left_over(store) == []
    run(store, "DELETE FROM {records} WHERE id = :id", id=gone)
    assert [finding.subject for finding in left_over(store)] == [BOB]
    assert list(purge_due(store)) == []
    assert kept(store) == [left]
    assert left_over(store) == []
    assert store.deleted.restore(left).address == EVE


def test_numbers_that_start_again(rig: StoreRig) -> None:
    """A record of the panel under the number of a former one knows nothing of that, not even for the same address."""
    store = rig.shared
    home = store.accounts.get(BOB).home or ""
    number = delete(store, BOB)
    for address, when in ((EVE, datetime.now(UTC)), (BOB, datetime.now(UTC) - timedelta(hours=1))):
        run(store, "DELETE FROM {records}")
        insert(store, number, address, home, when)
        assert not store.deleted.get(number).restorable
        assert [finding.subject for finding in left_over(store)] == [BOB]
        if address == BOB:
            with pytest.raises(InvalidValue):
                store.deleted.restore(number)
    assert list(purge_due(store)) == []
    assert kept(store) == []


def test_a_deletion_takes_the_number_of_an_orphan(rig: StoreRig) -> None:
    store = rig.shared
    number = delete(store, BOB)
    run(store, "DELETE FROM {records}")
    insert(store, number - 1, "other@example.com", "/nowhere/other", datetime.now(UTC))
    if rig.name == "mysql" or "mysql" in database(store).url.drivername:
        run(store, f"ALTER TABLE {{records}} AUTO_INCREMENT = {number}")
    elif "postgresql" in database(store).url.drivername:
        run(store, "SELECT setval(pg_get_serial_sequence('{records}', 'id'), :last)", last=number - 1 or 1)
        if number == 1:
            run(store, "SELECT setval(pg_get_serial_sequence('{records}', 'id'), 1, false)")
    record = store.accounts.delete(EVE, keep_mailbox_days=10)
    assert record is not None
    assert record.id == number
    assert kept(store) == [number]
    assert store.deleted.restore(number).address == EVE
