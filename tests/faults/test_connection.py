"""Lost connections and servers: a temporary error, nothing changed, and the next call works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from sqlalchemy import make_url

from mailstore import Conflict, StoreUnavailable, open_store
from mailstore.passwords import hash_password
from mailstore.sql import engine as engine_module
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.children import in_thread
from tests.faults.proxy import Proxy
from tests.faults.states import errors, tree
from tests.faults.steps import before_statements, commit_replaced
from tests.rigs import Rig
from tests.servers.database import DatabaseServer
from tests.servers.process import free_ports, wait_for

BOB, NEW = "bob@example.com", "robert@example.com"
HASH = hash_password("secret")
TEMPORARY_EXIT = 75

on_servers = pytest.mark.parametrize("shared_rig", ["mysql", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def bob(store: IRedMailStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=HASH)


def create(store: IRedMailStore) -> object:
    return store.accounts.create(NEW, password_hash=HASH, aliases=["rob@example.com"])


def delete(store: IRedMailStore) -> object:
    return store.accounts.delete(BOB)


def rename(store: IRedMailStore) -> object:
    return store.accounts.rename(BOB, NEW)


def new_domain(store: IRedMailStore) -> object:
    return store.domains.create("new.com")


def cut_off(rig: Rig, server: DatabaseServer) -> int:
    """Cut the connections of the store under test; return how many there were."""
    rig.engine.dispose()
    return server.disconnect()


def at(number: int, action: Callable[[], object]) -> Callable[[int, str], None]:
    """Return a listener that acts before one statement."""

    def listener(sent: int, _text: str) -> None:
        if sent == number:
            action()

    return listener


@on_servers
@pytest.mark.parametrize(("operation", "step"), [(create, 1), (new_domain, 1), (delete, 5), (rename, 3)])
def test_cut_before_any_statement(
    rig: Rig, server: DatabaseServer, operation: Callable[[IRedMailStore], object], step: int
) -> None:
    rows, homes = rig.everything(), tree(rig.root)
    for number in count(1, step):
        with before_statements(rig.shared, at(number, lambda: cut_off(rig, server))):
            try:
                operation(rig.shared)
                break  # what was cut, if anything, was the release of a lock after the commit
            except StoreUnavailable as error:
                said = (error.temporary, error.state)
        assert said == (True, None)
        assert rig.everything() == rows, f"cut before statement {number}"
        assert tree(rig.root) == homes
    assert number > 3
    assert rig.everything() != rows
    rig.shared.close()


@on_servers
def test_cut_before_the_commit(rig: Rig, server: DatabaseServer) -> None:
    rows = rig.everything()

    def cut(commit: Callable[[], None]) -> None:
        cut_off(rig, server)
        commit()

    with commit_replaced(rig.shared, cut), pytest.raises(StoreUnavailable, match="not known whether") as caught:
        create(rig.shared)
    assert caught.value.temporary
    assert caught.value.state
    assert rig.everything() == rows
    rig.shared.accounts.create(NEW, password_hash=HASH)


@on_servers
@pytest.mark.parametrize("operation", [create, new_domain])
def test_cut_after_the_commit_is_no_error(
    rig: Rig, server: DatabaseServer, operation: Callable[[IRedMailStore], object]
) -> None:
    """What is done is done: an error would make the caller do it again."""
    rows = rig.everything()

    def cut(commit: Callable[[], None]) -> None:
        commit()
        cut_off(rig, server)

    with commit_replaced(rig.shared, cut):
        operation(rig.shared)
    assert rig.everything() != rows
    rig.shared.close()


@on_servers
def test_answer_to_the_commit_lost(rig: Rig, server: DatabaseServer) -> None:
    """The server has committed, but who asked cannot know: the error says so, and the home stays."""
    with Proxy(server.port) as proxy:
        url = make_url(rig.url).set(port=proxy.port).render_as_string(hide_password=False)
        options: Any = {"homes": str(rig.root), "home_owner": f"{rig.owner[0]}:{rig.owner[1]}"}
        with open_store(url, **options) as through:

            def lose(commit: Callable[[], None]) -> None:
                proxy.swallow()
                commit()

            assert isinstance(through, IRedMailStore)
            with commit_replaced(through, lose), pytest.raises(StoreUnavailable, match="not known whether"):
                create(through)
            assert through.accounts.get(NEW).aliases == ("rob@example.com",)
    home = rig.shared.accounts.get(NEW).home
    assert rig.shared.homes is not None
    assert rig.shared.homes.exists(str(home))


@on_servers
def test_closed_while_idle_is_not_noticed(rig: Rig, server: DatabaseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_IDLE_SECONDS", 0)
    for operation in (create, delete, new_domain):
        assert rig.shared.accounts.count()
        assert cut_off(rig, server) > 0
        operation(rig.shared)


@on_servers
def test_closed_just_after_use_is_a_temporary_error_once(rig: Rig, server: DatabaseServer) -> None:
    assert rig.shared.accounts.count() == 1
    cut_off(rig, server)
    with pytest.raises(StoreUnavailable) as caught:
        rig.shared.accounts.count()
    assert caught.value.temporary
    assert rig.shared.accounts.count() == 1


@on_servers
def test_cut_inside_a_transaction_of_the_caller(rig: Rig, server: DatabaseServer) -> None:
    rows, homes = rig.everything(), tree(rig.root)

    def several() -> None:
        with rig.shared.transaction():
            new_domain(rig.shared)
            create(rig.shared)
            cut_off(rig, server)
            delete(rig.shared)

    with pytest.raises(StoreUnavailable):
        several()
    assert rig.everything() == rows
    assert tree(rig.root) == homes


@on_servers
def test_server_killed_in_the_middle(rig: Rig, server: DatabaseServer) -> None:
    rows, homes = rig.everything(), tree(rig.root)
    try:
        with before_statements(rig.shared, at(4, server.kill)), pytest.raises(StoreUnavailable) as caught:
            create(rig.shared)
        assert caught.value.temporary
        assert tree(rig.root) == homes
        with pytest.raises(StoreUnavailable):
            rig.shared.accounts.count()
        with pytest.raises(StoreUnavailable):
            rig.open()
        assert exit_code_of_command(rig) == TEMPORARY_EXIT
    finally:
        server.restart()
        rig.engine.dispose()
    assert rig.everything() == rows
    create(rig.shared)
    assert exit_code_of_command(rig) == 0


def exit_code_of_command(rig: Rig) -> int:
    command = [sys.executable, "-m", "mailstore", "--url", rig.url, "account", "list"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": ""})
    assert "Traceback" not in done.stderr
    assert "adminpass" not in done.stderr + done.stdout
    return done.returncode


@on_servers
def test_server_down_at_open(rig: Rig) -> None:
    url = make_url(rig.url).set(port=free_ports(1)[0]).render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailable) as caught:
        open_store(url)
    assert caught.value.temporary
    assert "adminpass" not in str(caught.value)


@pytest.fixture
def impatient(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[IRedMailStore]:
    """A store that waits one second for locks."""
    monkeypatch.setattr(engine_module, "LOCK_SECONDS", 1)
    session = engine_module._MYSQL_SESSION.replace("timeout = 10", "timeout = 1")
    monkeypatch.setattr(engine_module, "_MYSQL_SESSION", session)
    with rig.open() as opened:
        yield opened


def test_lock_held_by_another_program(rig: Rig, impatient: IRedMailStore) -> None:
    homes = tree(rig.root)
    with rig.engine.connect() as other:
        if rig.name == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        other.exec_driver_sql("UPDATE domain SET description = 'x' WHERE domain = 'example.com'")
        with pytest.raises(StoreUnavailable, match="try again") as caught:
            create(impatient)
        assert caught.value.temporary
        other.rollback()
    assert tree(rig.root) == homes
    create(impatient)


@on_servers
def test_deadlock_with_another_program(rig: Rig, server: DatabaseServer) -> None:
    """The other one has the account's row and wants the domain's, mailstore takes them in the other order."""
    rows = rig.everything()
    with slow_to_see_deadlocks(rig, server), rig.open() as ours, rig.engine.connect() as other:
        others = [{"username": f"u{number}@other.org", "domain": "other.org"} for number in range(50)]
        other.execute(rig.metadata.tables["mailbox"].insert(), others)  # so that it has more to lose than we
        other.exec_driver_sql(f"UPDATE mailbox SET name = 'x' WHERE username = '{BOB}'")  # noqa: S608
        waiting = in_thread(lambda: ours.accounts.delete(BOB))
        assert wait_for(lambda: is_waiting(server), timeout=3)
        other.exec_driver_sql("UPDATE domain SET description = 'x' WHERE domain = 'example.com'")
        outcome = waiting()
        other.rollback()
    assert isinstance(outcome, Conflict)
    assert outcome.temporary
    assert rig.everything() == rows
    assert errors(rig) == []
    delete(rig.shared)


@contextmanager
def slow_to_see_deadlocks(rig: Rig, server: DatabaseServer) -> Iterator[None]:
    """Let new connections look for a deadlock later: PostgreSQL looks once in a wait, and whoever finds one has lost.

    The first to wait has to be the one, so the other must wait before it looks, however busy this machine is.
    """
    if rig.name != "postgresql":
        yield
        return
    server.execute("ALTER DATABASE vmail SET deadlock_timeout = '4s'")
    rig.engine.dispose()
    try:
        yield
    finally:
        server.execute("ALTER DATABASE vmail RESET deadlock_timeout")
        rig.engine.dispose()


def is_waiting(server: DatabaseServer) -> bool:
    """Whether some connection waits for a lock."""
    tables = {
        "iredmail+mysql": "information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
        "iredmail+postgresql": "pg_stat_activity WHERE wait_event_type = 'Lock'",
    }
    return server.execute(f"SELECT count(*) FROM {tables[server.scheme]}") != [(0,)]  # noqa: S608
