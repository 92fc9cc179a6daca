"""Broken connections and dead servers: what was asked happens once, or the error says that nobody knows."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from threading import Thread

import pytest

from mailstore.errors import AlreadyExists, Conflict, NotFound, StoreDenied, StoreUnavailable
from mailstore.ldap import retry
from mailstore.ldap import session as session_module
from mailstore.ldap.connection import Change, Directory
from mailstore.ldap.failures import InDoubt
from mailstore.ldap.names import DN, dn, equals, present
from mailstore.ldap.retry import PATIENCE_SECONDS, impatient
from tests.faults.proxy import Proxy
from tests.ldap.conftest import Connect
from tests.ldap.server import MANY, PASSWORD, SIZES, SUFFIX, Server
from tests.servers.process import LOOPBACK, wait_for

EVERYBODY = present("cn")
Work = Callable[[Directory, DN], object]


def person(directory: Directory, name: DN, title: str = "boss") -> None:
    attributes = {"cn": [name.partition(",")[0][3:]], "sn": ["x"], "title": [title], "userPassword": [PASSWORD]}
    added = directory.add(name, {"objectClass": ["INETORGPERSON"], **attributes}, return_entry=("title",))
    assert added.values("title") == (title,)


def named(base: DN, name: str) -> DN:
    return dn(("cn", name), base=base)


def search(directory: Directory, base: DN) -> None:
    assert [entry.dn for entry in directory.search(base, EVERYBODY)] == [named(base, "bob")]


def verify(directory: Directory, base: DN) -> None:
    assert directory.verify(named(base, "bob"), PASSWORD)


def add(directory: Directory, base: DN) -> None:
    person(directory, named(base, "new"))


def modify(directory: Directory, base: DN) -> None:
    changes = [Change.add("title", "Clerk"), Change.delete("title", "boss"), Change.replace("sn", "y")]
    after = directory.modify(named(base, "bob"), changes, only_if=equals("title", "boss"), return_entry=("title",))
    assert after is not None
    assert after.values("title") == ("Clerk",)


def rename(directory: Directory, base: DN) -> None:
    directory.rename(named(base, "bob"), named(base, "new"))


def delete(directory: Directory, base: DN) -> None:
    directory.delete(named(base, "bob"))


WRITES = (add, modify, rename, delete)
ALL: tuple[Work, ...] = (search, verify, *WRITES)


def state(directory: Directory, base: DN) -> dict[str, tuple[str, ...]]:
    return {entry.first("cn"): entry.values("title") for entry in directory.search(base, EVERYBODY)}


AFTER: dict[Work, dict[str, tuple[str, ...]]] = {
    add: {"bob": ("boss",), "new": ("boss",)},
    modify: {"bob": ("Clerk",)},
    rename: {"new": ("boss",)},
    delete: {},
}


@pytest.fixture
def bob(slapd: Server, directory: Directory, base: DN) -> DN:
    name = named(base, "bob")
    person(directory, name)
    return name


@pytest.fixture
def proxy(slapd: Server) -> Iterator[Proxy]:
    with Proxy(slapd.port) as running:
        yield running


@pytest.fixture
def behind(proxy: Proxy, connect: Connect) -> Directory:
    """A directory behind the proxy, connected."""
    directory = connect(url=f"ldap://{LOOPBACK}:{proxy.port}")
    assert directory.read(SUFFIX)
    return directory


def when_sent(directory: Directory, number: int, operation: str, action: Callable[[], object]) -> None:
    """Call `action` just before an operation of this kind is sent for the nth time."""
    counts: Counter[str] = Counter()

    def observe(sent: str, _dn: str) -> None:
        counts[sent] += 1
        if (sent, counts[sent]) == (operation, number):
            action()

    directory.observers.append(observe)


@pytest.mark.parametrize("work", ALL)
def test_a_server_that_crashed_and_is_back_is_not_noticed(
    slapd: Server, directory: Directory, base: DN, bob: DN, work: Work
) -> None:
    slapd.crash_and_restart()
    work(directory, base)
    if work in AFTER:
        assert state(directory, base) == AFTER[work]


@pytest.mark.parametrize("work", ALL)
def test_a_server_that_crashes_under_a_request_is_waited_for(
    slapd: Server, directory: Directory, base: DN, bob: DN, work: Work
) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work(directory, base)
        except BaseException as error:  # noqa: BLE001 shown in the main thread
            failures.append(error)

    thread = Thread(target=run)
    when_sent(directory, 1, "bind" if work is verify else work.__name__, slapd.kill)
    thread.start()
    assert wait_for(lambda: not slapd.running, timeout=10)
    time.sleep(0.05)
    slapd.start()
    thread.join()
    assert failures == []
    if work in AFTER:
        assert state(directory, base) == AFTER[work]


@pytest.mark.parametrize("work", WRITES)
def test_a_write_whose_answer_was_lost_is_done_once(
    behind: Directory, proxy: Proxy, base: DN, bob: DN, work: Work
) -> None:
    operation = work.__name__
    sent: list[str] = []
    behind.observers.append(lambda kind, _dn: sent.append(kind))
    when_sent(behind, 1, operation, proxy.swallow)
    work(behind, base)
    assert sent.count(operation) == 2
    assert state(behind, base) == AFTER[work]


@pytest.mark.parametrize(("work", "kind"), [(add, AlreadyExists), (modify, Conflict), (rename, AlreadyExists)])
def test_what_somebody_else_did_meanwhile_is_not_taken_for_ones_own_success(
    behind: Directory, proxy: Proxy, directory: Directory, base: DN, bob: DN, work: Work, kind: type[Exception]
) -> None:
    def meddle() -> None:
        new = named(base, "new")
        if work is modify:
            directory.modify(bob, [Change.replace("title", "Chairman")])
        else:
            directory.modify(new, [Change.replace("title", "somebody else")])
        if work is rename:
            person(directory, bob, "somebody else")

    operation = work.__name__
    when_sent(behind, 1, operation, proxy.swallow)
    when_sent(behind, 2, operation, meddle)
    with pytest.raises(kind):
        work(behind, base)


@pytest.mark.parametrize("work", [add, modify, delete])
def test_errors_of_a_first_attempt_are_errors(directory: Directory, base: DN, bob: DN, work: Work) -> None:
    work(directory, base)
    with pytest.raises((AlreadyExists, Conflict, NotFound)):
        work(directory, base)


@pytest.mark.parametrize("work", WRITES)
def test_a_write_that_nobody_can_tell_the_end_of_says_so(
    behind: Directory, proxy: Proxy, base: DN, bob: DN, work: Work
) -> None:
    when_sent(behind, 1, work.__name__, proxy.swallow)
    with impatient(), pytest.raises(InDoubt) as caught:
        work(behind, base)
    assert "it is not known whether this was done" in str(caught.value.state)
    assert caught.value.temporary
    assert state(behind, base) == AFTER[work]


def test_a_write_is_in_doubt_if_nobody_can_look_after_it(
    behind: Directory, proxy: Proxy, base: DN, bob: DN, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallow_all(operation: str, _dn: str) -> None:
        if operation == "search":
            proxy.swallow()

    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.5)
    when_sent(behind, 1, "add", proxy.swallow)
    when_sent(behind, 2, "add", lambda: behind.observers.append(swallow_all))
    with pytest.raises(InDoubt) as caught:
        add(behind, base)
    assert "it is not known whether this was done" in str(caught.value.state)


def test_a_server_that_stays_away_is_an_error_in_time(slapd: Server, directory: Directory) -> None:
    assert directory.read(SUFFIX)
    slapd.kill()
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match="Connection refused") as caught:
        directory.modify(SUFFIX, [Change.replace("description", "x")])
    assert PATIENCE_SECONDS - 0.5 < time.monotonic() - start < PATIENCE_SECONDS + 1
    assert caught.value.state is None
    assert PASSWORD not in str(caught.value)
    slapd.start()
    assert directory.read(SUFFIX)


def test_a_list_goes_on_after_a_crash(slapd: Server, directory: Directory) -> None:
    people = directory.search(MANY, EVERYBODY, attributes=("cn",), page_size=100)
    found = [entry.dn for entry in islice(people, 250)]
    slapd.crash_and_restart()
    found += [entry.dn for entry in islice(people, 250)]
    slapd.crash_and_restart()
    found += [entry.dn for entry in people]
    assert len(found) == len(set(found)) == SIZES[MANY]


@pytest.mark.parametrize("lost", [{2, 4}, {2, 3}], ids=["the second page twice", "the second page and the next first"])
def test_a_list_that_breaks_again_and_again_is_an_error(behind: Directory, proxy: Proxy, lost: set[int]) -> None:
    for number in lost:
        when_sent(behind, number, "search", proxy.swallow)
    people = behind.search(MANY, EVERYBODY, attributes=("cn",), page_size=100)
    assert len(list(islice(people, 100))) == 100
    with impatient(), pytest.raises(StoreUnavailable):
        next(people)


def test_idle_connections_are_not_trusted(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    binds: list[str] = []
    directory.observers.append(lambda operation, _dn: binds.append(operation) if operation == "bind" else None)
    assert directory.read(SUFFIX)
    assert directory.read(SUFFIX)
    assert binds == ["bind"]
    monkeypatch.setattr(session_module, "_IDLE_SECONDS", 0)
    assert directory.read(SUFFIX)
    assert binds == ["bind", "bind"]


def test_a_closed_directory_connects_again(directory: Directory) -> None:
    people = directory.search(MANY, EVERYBODY, page_size=100)
    assert next(people)
    directory.close()
    assert len(list(people)) == SIZES[MANY] - 1
    assert directory.read(SUFFIX)
    directory.close()


def test_a_forked_process_leaves_the_connections_of_its_parent_alone(directory: Directory) -> None:
    binds: list[int] = []
    directory.observers.append(lambda operation, _dn: binds.append(os.getpid()) if operation == "bind" else None)
    assert directory.read(SUFFIX)
    child = os.fork()
    if child == 0:
        try:
            fine = directory.read(SUFFIX) is not None and os.getpid() in binds
            directory.close()
            os._exit(0 if fine else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert directory.read(SUFFIX)
    assert binds == [os.getpid()]


def test_an_account_that_loses_its_password_is_refused(
    slapd: Server, directory: Directory, connect: Connect, base: DN
) -> None:
    account = named(base, "account")
    person(directory, account)
    own = connect(account)
    assert own.read(SUFFIX)
    directory.modify(account, [Change.replace("userPassword", "other")])
    slapd.crash_and_restart()
    with pytest.raises(StoreDenied, match="cannot log in"):
        own.read(SUFFIX)
