"""After an error that made the server end the transaction, nothing in it counts as done: each call and the end say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from mailstore import Conflict, MailstoreError, StoreUnavailable
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.children import in_thread
from tests.faults.states import tree
from tests.faults.test_connection import cut_off, is_waiting
from tests.rigs import Rig
from tests.servers.database import DatabaseServer
from tests.servers.process import wait_for

BOB, NEW, LATER = "bob@example.com", "new@example.com", "later@example.com"
HASH = hash_password("secret")


@pytest.fixture(autouse=True)
def bob(store: IRedMailStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=HASH)


def swallowed(action: Callable[[], object]) -> MailstoreError:
    """Be a caller who goes on after an error."""
    with pytest.raises(MailstoreError) as caught:
        action()
    return caught.value


def lose_within_a_transaction(store: IRedMailStore, fatal: Callable[[], object]) -> list[MailstoreError]:
    """Return the errors of the fatal call, of two calls after it, and of the end."""
    errors: list[MailstoreError] = []

    def block() -> None:
        with store.transaction():
            store.accounts.create(NEW, password_hash=HASH)
            errors.append(swallowed(fatal))
            errors.append(swallowed(lambda: store.accounts.create(LATER, password_hash=HASH)))
            errors.append(swallowed(lambda: store.accounts.get(BOB)))

    errors.append(swallowed(block))
    return errors


def nothing_is_left(rig: Rig, rows: Any, homes: Any, errors: list[MailstoreError]) -> None:
    assert [error.temporary for error in errors] == [True] * 4, errors
    assert all("ended this transaction" in str(error) for error in errors[1:])
    assert rig.everything() == rows
    assert tree(rig.root) == homes
    rig.shared.accounts.create(NEW, password_hash=HASH)


@pytest.mark.parametrize("shared_rig", ["mysql"], indirect=True)
def test_deadlock(rig: Rig, store: IRedMailStore, server: DatabaseServer) -> None:
    rows, homes = rig.everything(), tree(rig.root)
    with rig.engine.connect() as other:
        others = [{"username": f"u{number}@other.org", "domain": "other.org"} for number in range(300)]
        other.execute(rig.metadata.tables["mailbox"].insert(), others)  # so that it has more to lose than we
        other.execute(text("UPDATE mailbox SET name = 'x' WHERE username = :bob"), {"bob": BOB})

        def delete() -> None:
            waiting = in_thread(lambda: other.exec_driver_sql("UPDATE domain SET description = 'x'"))
            assert wait_for(lambda: is_waiting(server), timeout=5)
            try:
                store.accounts.delete(BOB)
            finally:
                waiting()

        errors = lose_within_a_transaction(store, delete)
        other.rollback()
    assert isinstance(errors[0], Conflict)
    assert "nothing that was done in it before" in str(errors[0].state)
    nothing_is_left(rig, rows, homes, errors)


@pytest.mark.parametrize("shared_rig", ["mysql", "postgresql"], indirect=True)
def test_cut_connection(rig: Rig, store: IRedMailStore, server: DatabaseServer) -> None:
    rows, homes = rig.everything(), tree(rig.root)

    def cut() -> None:
        cut_off(rig, server)
        store.accounts.delete(BOB)

    errors = lose_within_a_transaction(store, cut)
    assert isinstance(errors[0], StoreUnavailable)
    nothing_is_left(rig, rows, homes, errors)


@pytest.mark.parametrize("shared_rig", ["postgresql"], indirect=True)
def test_failed_reading(rig: Rig, store: IRedMailStore) -> None:
    """PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, and calls that a success."""
    rows, homes = rig.everything(), tree(rig.root)

    def read() -> None:
        with store._context.db.reading() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 1"))
            connection.execute(text("SELECT pg_sleep(1)"))

    nothing_is_left(rig, rows, homes, lose_within_a_transaction(store, read))


@pytest.mark.parametrize("shared_rig", ["sqlite"], indirect=True)
def test_full_disk(rig: Rig, store: IRedMailStore) -> None:
    rows, homes = rig.everything(), tree(rig.root)

    def fill() -> None:
        with store._context.db.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            try:
                for number in range(200):
                    store.domains.create(f"d{number}.com", disclaimer="x" * 4000)
            finally:
                connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    nothing_is_left(rig, rows, homes, lose_within_a_transaction(store, fill))


@pytest.mark.parametrize("shared_rig", ["mysql", "postgresql", "sqlite"], indirect=True)
def test_an_operation_that_fails_alone_leaves_the_rest(store: IRedMailStore) -> None:
    with store.transaction():
        store.accounts.create(NEW, password_hash=HASH)
        assert not swallowed(lambda: store.accounts.create(BOB, password_hash=HASH)).temporary
        store.accounts.create(LATER, password_hash=HASH)
    assert store.accounts.exists(NEW)
    assert store.accounts.exists(LATER)
