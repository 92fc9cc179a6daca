"""One database down while the other is up: nothing is changed, or it is told what remains, and doing it again finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import make_url, text

from mailstore import NotFound, SchemaMismatch, StoreUnavailable, open_store
from mailstore.driver.companions import levels
from tests.faults.proxy import Proxy
from tests.faults.steps import commit_replaced
from tests.policies.conftest import READY

if TYPE_CHECKING:
    from mailstore.sql.engine import Database
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.policies.rig import PolicyRig
    from tests.rigs import Rig
    from tests.stores import StoreRig

BOB, NEW = "bob@example.com", "robert@example.com"
Operation = Callable[["IRedMailStore"], Any]
OPERATIONS: dict[str, Operation] = {
    "create": lambda store: store.accounts.create(NEW, password_hash=READY),
    "create many": lambda store: store.accounts.create_many([{"address": NEW, "password_hash": READY}]),
    "delete": lambda store: store.accounts.delete(BOB),
    "rename": lambda store: store.accounts.rename(BOB, NEW),
    "alias": lambda store: store.aliases.create(NEW, members=[BOB]),
    "new domain": lambda store: store.domains.create("new.example"),
    "delete domain": lambda store: store.domains.delete("example.com"),
    "policy": lambda store: store.spam_policies.set(BOB, spam_score=9),
    "throttle": lambda store: store.throttles.set(BOB, "inbound", period=9),
}


@pytest.fixture
def elsewhere(prig: PolicyRig, rigs: Callable[[str], StoreRig]) -> Iterator[IRedMailStore]:
    """A store whose accounts are in SQLite, so that the server with the other databases can be stopped."""
    accounts = cast("Rig", rigs("sqlite"))
    accounts.clear()
    with accounts.open_without_disk(amavisd=prig.url("amavisd"), iredapd=prig.url("iredapd")) as store:
        store.domains.create("example.com")
        store.accounts.create(BOB, password_hash=READY)
        store.spam_policies.set(BOB, spam_score=4)
        store.throttles.set(BOB, "inbound", period=60, max_msgs=3)
        yield store
        if not prig.server.running:
            prig.server.start()


def after_commit(action: Callable[[], object]) -> Callable[[Callable[[], None]], None]:
    """Return what does something once, when the accounts have been committed."""
    done: list[object] = []

    def commit_and_act(commit: Callable[[], None]) -> None:
        commit()
        if not done:
            done.append(action())

    return commit_and_act


@contextmanager
def do_commit(database: Database, instead: Callable[[Any], object]) -> Iterator[None]:
    """Do something else when a database is to commit."""
    dialect = database.engine.dialect
    vars(dialect)["do_commit"] = instead
    try:
        yield
    finally:
        del vars(dialect)["do_commit"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_while_the_companions_are_down_nothing_is_changed(
    elsewhere: IRedMailStore, prig: PolicyRig, rigs: Callable[[str], StoreRig], name: str
) -> None:
    accounts, beside = cast("Rig", rigs("sqlite")), prig.everything()
    before = accounts.everything()
    prig.server.kill()
    with pytest.raises(StoreUnavailable, match=r"database (amavisd|iredapd)") as caught:
        OPERATIONS[name](elsewhere)
    assert (caught.value.temporary, caught.value.state) == (True, None)
    assert accounts.everything() == before
    assert elsewhere.accounts.get(BOB).address == BOB  # what does not concern policies goes on
    prig.server.start()
    assert prig.everything() == beside
    OPERATIONS[name](elsewhere)
    assert (accounts.everything(), prig.everything()) != (before, beside)


def test_a_store_opens_while_they_are_down(elsewhere: IRedMailStore, prig: PolicyRig, rigs: Any) -> None:
    prig.server.kill()
    with rigs("sqlite").open_without_disk(amavisd=prig.url("amavisd"), iredapd=prig.url("iredapd")) as store:
        assert store.accounts.exists(BOB)
        with pytest.raises(StoreUnavailable):
            store.spam_policies.get(BOB)
        prig.server.start()
        assert store.spam_policies.get(BOB).spam_score == 4


def test_down_after_the_account_is_deleted(elsewhere: IRedMailStore, prig: PolicyRig) -> None:
    with (
        commit_replaced(elsewhere, after_commit(prig.server.kill)),
        pytest.raises(StoreUnavailable) as caught,
    ):
        elsewhere.accounts.delete(BOB)
    assert caught.value.state
    assert BOB in caught.value.state
    assert not elsewhere.accounts.exists(BOB)
    prig.server.start()
    assert len(prig.rows("policy")) == len(prig.rows("throttle")) == 1
    assert {finding.code for finding in elsewhere.check() if finding.severity == "error"} == {"left-over"}
    with pytest.raises(NotFound):
        elsewhere.accounts.delete(BOB)
    assert prig.rows("policy") == prig.rows("users") == prig.rows("throttle") == []


def test_down_after_the_account_is_renamed(elsewhere: IRedMailStore, prig: PolicyRig) -> None:
    with (
        commit_replaced(elsewhere, after_commit(prig.server.kill)),
        pytest.raises(StoreUnavailable, match="same call once more"),
    ):
        elsewhere.accounts.rename(BOB, NEW)
    prig.server.start()
    assert elsewhere.accounts.exists(NEW)
    assert elsewhere.spam_policies.get(NEW).spam_score == 4
    assert elsewhere.throttles.get(NEW, "inbound").max_msgs.value == 3
    elsewhere.accounts.create(BOB, password_hash=READY)
    assert elsewhere.spam_policies.get(BOB).spam_score is None
    assert [row["email"] for row in prig.rows("users")] == [NEW]


@pytest.mark.parametrize("option", ["amavisd", "iredapd"])
def test_down_before_the_companion_has_committed(elsewhere: IRedMailStore, prig: PolicyRig, option: str) -> None:
    database = getattr(elsewhere.companions, option).db
    commit = database.engine.dialect.do_commit

    def kill_and_commit(connection: Any) -> None:
        prig.server.kill()
        commit(connection)

    with do_commit(database, kill_and_commit), pytest.raises(StoreUnavailable):
        elsewhere.accounts.rename(BOB, NEW)
    prig.server.start()
    assert elsewhere.accounts.exists(BOB)
    assert elsewhere.spam_policies.get(BOB).spam_score == 4
    elsewhere.accounts.rename(BOB, NEW)
    assert elsewhere.spam_policies.get(NEW).spam_score == 4
    assert elsewhere.throttles.get(NEW, "inbound").max_msgs.value == 3
    assert len(prig.rows("throttle")) == len(prig.rows("policy")) == 1


def test_an_error_names_the_database_that_it_comes_from(pstore: IRedMailStore, prig: PolicyRig) -> None:
    pstore.spam_policies.set(BOB, spam_score=4)
    before = prig.everything()

    def fail() -> None:
        with pstore._context.db.writing("the accounts") as tx:
            pstore.companions.claiming(levels([BOB]))  # as if somebody took that name
            tx.execute(text("SELECT nonsense FROM nothing"))

    with pytest.raises(SchemaMismatch) as caught:
        fail()
    assert str(caught.value).startswith("the accounts: ")
    assert "amavisd" not in str(caught.value)
    assert prig.everything() == before


class _Crash(Exception):
    pass


@pytest.mark.parametrize("name", ["rename", "delete", "create"])
def test_the_accounts_fail_to_commit(elsewhere: IRedMailStore, prig: PolicyRig, name: str) -> None:
    """The companions have committed by then: the account must still have what it had, and a rerun finishes."""

    def crash(connection: Any) -> None:
        connection.rollback()
        raise _Crash

    with do_commit(elsewhere._context.db, crash), pytest.raises(_Crash):
        OPERATIONS[name](elsewhere)
    assert elsewhere.accounts.exists(BOB)
    assert not elsewhere.accounts.exists(NEW)
    assert elsewhere.spam_policies.get(BOB).spam_score == 4
    assert elsewhere.throttles.effective(BOB, "inbound").max_msgs.value == 3
    OPERATIONS[name](elsewhere)
    holder = {"rename": [NEW], "delete": [], "create": [BOB]}[name]
    assert [row["email"] for row in prig.rows("users")] == [row["account"] for row in prig.rows("throttle")] == holder
    assert [finding for finding in elsewhere.check() if finding.severity == "error"] == []


@pytest.mark.parametrize("name", ["policy", "throttle", "delete", "rename"])
def test_while_the_accounts_are_down_nothing_is_changed(pstore: IRedMailStore, prig: PolicyRig, name: str) -> None:
    pstore.spam_policies.set(BOB, spam_score=4)
    before = prig.everything()
    with Proxy(prig.server.port) as proxy:
        url = make_url(prig.accounts.url).set(port=proxy.port).render_as_string(hide_password=False)
        store = cast("IRedMailStore", open_store(url, amavisd=prig.url("amavisd"), iredapd=prig.url("iredapd")))
    with store:
        with pytest.raises(StoreUnavailable):
            OPERATIONS[name](store)
        assert prig.everything() == before
    OPERATIONS[name](pstore)
    assert prig.everything() != before
