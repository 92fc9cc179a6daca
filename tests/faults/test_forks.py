"""Stores that were opened before a fork: each process has connections of its own, on every kind of server."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from mailstore import Store, StoreError, StoreUnavailable
from mailstore.driver.notices import Notices
from mailstore.passwords import hash_many, hash_password, verify_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.children import fork_sharing, in_thread
from tests.ldap.rig import LdapRig
from tests.rigs import Rig
from tests.stores import StoreRig, empty_homes

HASH = hash_password("secret")
NAMES = [f"u{number}@example.com" for number in range(4)]


@pytest.fixture(params=["sqlite", "mysql", "postgresql", "ldap", "atmail", "afterlogic-mysql", "mailinabox"])
def opened(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Store:
    """A store of each kind that has answered already, so that its connections wait in a pool."""
    rig = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    with suppress(Exception):
        store.domains.create("example.com")
    for name in NAMES:
        store.accounts.create(name, password="secret-password")
    assert store.accounts.count() >= len(NAMES)
    return store


def test_each_process_gets_the_answers_to_its_own_questions(opened: Store) -> None:
    def ask(name: str) -> list[str]:
        return [opened.accounts.get(name).address for _ in range(20)]

    children = [fork_sharing(lambda name=name: ask(name)) for name in NAMES]  # type: ignore[misc]
    assert ask(NAMES[0]) == [NAMES[0]] * 20
    for name, child in zip(NAMES, children, strict=True):
        assert child.wait() == [name] * 20
    assert opened.accounts.get(NAMES[1]).address == NAMES[1]


def _write(store: Store, address: str) -> str:
    store.accounts.create(address, password="secret-password")
    return store.accounts.get(address).address


def test_what_children_write_is_there(store: IRedMailStore) -> None:
    store.domains.create("example.com")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(store, name)) for name in NAMES]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * len(NAMES)
    assert [account.address for account in store.accounts.list()] == NAMES


class TestOpenTransaction:
    """A transaction is its process's own: a child sees nothing of it, ends nothing of it, and undoes nothing."""

    @pytest.fixture(autouse=True)
    def domain(self, store: IRedMailStore) -> None:
        store.domains.create("example.com")

    @pytest.mark.parametrize(
        ("leaving", "outcome"), [(None, "StoreError"), (KeyError, "KeyError"), (SystemExit, "SystemExit")]
    )
    def test_left_by_the_child(self, store: IRedMailStore, leaving: type[BaseException] | None, outcome: str) -> None:
        parent = os.getpid()
        heard, say = os.pipe()

        def both() -> None:
            with store.transaction():
                store.accounts.create(NAMES[0], password_hash=HASH)
                if os.fork() == 0:
                    with suppress(StoreUnavailable):  # SQLite has one writer
                        assert not store.accounts.exists(NAMES[0])
                    if leaving:
                        raise leaving
                else:
                    os.wait()

        try:
            both()
        except BaseException as error:
            if os.getpid() == parent:
                raise
            os.write(say, type(error).__name__.encode())
        if os.getpid() != parent:
            os._exit(0)
        os.close(say)
        assert os.read(heard, 100).decode() == outcome
        assert store.accounts.exists(NAMES[0])
        assert store.homes is not None
        assert store.homes.exists(str(store.accounts.get(NAMES[0]).home))

    def test_the_child_writes_when_the_parent_has_committed(self, store: IRedMailStore) -> None:
        go, start = os.pipe()

        def write() -> str:
            os.read(go, 1)
            return _write(store, NAMES[1])

        with store.transaction():
            store.accounts.create(NAMES[0], password_hash=HASH)
            child = fork_sharing(write)
            store.accounts.create(NAMES[2], password_hash=HASH)
        os.write(start, b"x")
        assert child.wait() == NAMES[1]
        assert [account.address for account in store.accounts.list()] == NAMES[:3]

    def test_a_parent_that_died_left_nothing(self, rig: Rig, store: IRedMailStore) -> None:
        """Its connection does not stay open in the child, whose locks would stop everybody."""
        go, start = os.pipe()
        said, say = os.pipe()

        def parent() -> None:
            with store.transaction():
                store.accounts.create(NAMES[0], password_hash=HASH)
                fork_sharing(lambda: os.write(say, str(len(_there(store, go))).encode()))
                os._exit(0)

        fork_sharing(parent)._output.close()
        os.wait()
        os.write(start, b"x")
        assert os.read(said, 10) == b"0"
        store.accounts.create(NAMES[0], password_hash=HASH)
        assert rig.busy_connections() == 0


def _there(store: Store, go: int) -> list[str]:
    os.read(go, 1)
    store.accounts.create(NAMES[3], password_hash=HASH)
    store.accounts.delete(NAMES[3], keep_mailbox_days=0)
    return [account.address for account in store.accounts.list()]


def test_children_without_children_hash_too(store: IRedMailStore) -> None:
    """Workers of `multiprocessing.Pool` may not start processes."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        made = pool.apply(hash_many, (["one", "two"], "SHA512-CRYPT"))
    assert [verify_password(word, made[number]) for number, word in enumerate(("one", "two"))] == [True, True]


def test_locks_of_other_threads_stay_with_them() -> None:
    notices = Notices()
    notices._lock.acquire()
    child = fork_sharing(notices.take)
    assert child.wait() == ()
    notices._lock.release()


def test_sqlite_in_use_by_another_thread_says_so(rigs: Callable[[str], StoreRig]) -> None:
    rig = cast("Rig", rigs("sqlite"))
    rig.clear()
    with rig.open() as store:
        begin, forked = multiprocessing.Event(), multiprocessing.Event()

        def hold() -> None:
            with store.transaction():
                begin.set()
                forked.wait(60)

        held = in_thread(hold)
        assert begin.wait(60)
        child = fork_sharing(store.accounts.count)
        outcome = child.wait()
        forked.set()
        assert held() is None
    assert type(outcome) is StoreError
    assert "fork" in str(outcome)


@pytest.mark.parametrize("name", ["sqlite", "mailinabox"])
def test_a_connection_taken_from_the_pool_and_closed_is_nothing_to_inherit(
    rigs: Callable[[str], StoreRig], name: str
) -> None:
    rig: Any = rigs(name)
    rig.clear()
    with rig.open() as store:
        with store._context.db.engine.connect() as connection:
            connection.detach()
        assert fork_sharing(store.accounts.count).wait() == 0


def test_a_search_is_not_continued_by_a_child(rigs: Callable[[str], StoreRig]) -> None:
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    rig.shared.domains.create("example.com")
    directory = rig.shared._context.directory
    with directory._pool.session() as session:
        outcome = fork_sharing(lambda: type(_caught(session.bind)).__name__).wait()
        assert outcome == "Lost"
        assert session.bind().code == 0


def _caught(action: Callable[[], Any]) -> BaseException | None:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error
    return None
