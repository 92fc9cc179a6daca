"""Writes in order: all of them, or what was there before, or an error that names what is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from mailstore.errors import Conflict, InvalidValue, StoreUnavailable
from mailstore.ldap import retry
from mailstore.ldap.changes import Changes, changing
from mailstore.ldap.connection import Change, Directory, Entry
from mailstore.ldap.names import DN, dn, equals, present
from mailstore.ldap.retry import impatient
from tests.faults.proxy import Proxy
from tests.ldap.conftest import Connect
from tests.ldap.server import SUFFIX, Server
from tests.servers.process import LOOPBACK

PHOTO = b"\x00\xff\xfe"
Tree = dict[str, dict[str, set[bytes]]]


class Interrupted(BaseException):
    """Like KeyboardInterrupt, which pytest would take for its own."""


def person(name: str) -> dict[str, list[str | bytes]]:
    return {"objectClass": ["inetOrgPerson"], "cn": [name], "sn": ["x"], "mail": ["a@x", "b@x"], "jpegPhoto": [PHOTO]}


def named(base: DN, name: str) -> DN:
    return dn(("cn", name), base=base)


def tree(directory: Directory, base: DN) -> Tree:
    found = directory.search(base, present("objectClass"))
    return {entry.dn: {name: set(values) for name, values in entry.raw.items()} for entry in found}


@pytest.fixture
def bob(directory: Directory, base: DN) -> DN:
    name = named(base, "bob")
    directory.add(name, person("bob"))
    return name


def whole(directory: Directory, name: DN) -> Entry:
    entry = directory.read(name)
    assert entry is not None
    return entry


def everything(changes: Changes, base: DN) -> None:
    """Do one of each kind, several to the same entry."""
    directory = changes.directory
    bob, new, alice = (named(base, name) for name in ("bob", "new", "a+b, c"))
    old = whole(directory, bob)
    changes.add(alice, person("a+b, c"))
    changes.modify(bob, [Change.add("mail", "c@x"), Change.delete("mail", "a@x"), Change.add("title", "boss")])
    replaced = [Change.replace("sn", "y", "z"), Change.replace("street")]
    changes.modify(bob, [Change.delete("mail", "B@X"), Change.delete("jpegPhoto"), *replaced], old=old)
    changes.rename(bob, new)
    after = changes.modify(new, [Change.replace("title")], undo=[Change.add("title", "boss")], return_entry=("sn",))
    assert after is not None
    assert set(after.values("sn")) == {"y", "z"}
    changes.rename(new, named(alice, "new"))
    changes.delete(whole(directory, named(alice, "new")))


def test_changes_stay_if_nothing_fails(directory: Directory, base: DN, bob: DN) -> None:
    with changing(directory, "bob") as changes:
        everything(changes, base)
    assert set(tree(directory, base)) == {base, named(base, "a+b, c")}


def failure(directory: Directory, steps: Callable[[Changes], object], error: BaseException | None = None) -> Any:
    """Do the steps and then fail; return the exception that comes out."""

    def run() -> None:
        with changing(directory, "bob@x") as changes:
            steps(changes)
            raise error or InvalidValue("no")

    with pytest.raises(BaseException) as caught:  # noqa: PT011 any
        run()
    return caught.value


@pytest.mark.parametrize("error", [InvalidValue("no"), OSError("no"), Interrupted()], ids=repr)
def test_everything_is_taken_back(directory: Directory, base: DN, bob: DN, error: BaseException) -> None:
    before = tree(directory, base)
    order: list[int] = []

    def steps(changes: Changes) -> None:
        changes.on_undo("the first", lambda: order.append(1))
        everything(changes, base)
        changes.on_undo("the second", lambda: order.append(2))

    assert failure(directory, steps, error) is error
    assert getattr(error, "state", None) is None
    assert not hasattr(error, "__notes__")
    assert tree(directory, base) == before
    assert order == [2, 1]


def test_a_write_that_fails_takes_back_those_before(directory: Directory, base: DN, bob: DN) -> None:
    def steps(changes: Changes) -> None:
        changes.add(named(base, "new"), person("new"))
        changes.modify(bob, [Change.add("title", "x")], only_if=equals("title", "boss"))

    before = tree(directory, base)
    error = failure(directory, steps)
    assert isinstance(error, Conflict)
    assert (error.subject, error.state) == ("bob@x", None)
    assert tree(directory, base) == before


def test_taking_back_tolerates_what_is_gone(directory: Directory, base: DN, bob: DN) -> None:
    new, gone = named(base, "new"), named(base, "gone")
    directory.add(gone, person("gone"))

    def steps(changes: Changes) -> None:
        changes.add(new, person("new"))
        changes.modify(bob, [Change.add("title", "boss", "clerk"), Change.delete("mail", "a@x", "b@x")])
        changes.delete(whole(directory, gone))
        directory.delete(new)
        directory.modify(bob, [Change.delete("title", "boss", "clerk")])
        directory.add(gone, person("gone"))

    assert failure(directory, steps).state is None
    assert set(whole(directory, bob).values("mail")) == {"a@x", "b@x"}
    assert directory.read(new) is None


def test_what_cannot_be_taken_back_is_named(directory: Directory, base: DN, bob: DN) -> None:
    new, gone = named(base, "new"), named(base, "gone")
    directory.add(gone, person("gone"))

    def broken() -> None:
        raise OSError("disk")

    def steps(changes: Changes) -> None:
        changes.on_undo("the home", broken)
        changes.modify(bob, [Change.add("title", "boss")])
        changes.add(new, person("new"))
        changes.delete(whole(directory, gone))
        directory.add(named(new, "below"), person("below"))
        directory.add(gone, {**person("gone"), "sn": ["somebody else"]})

    assert failure(directory, steps, InvalidValue("no", state="something")).state == (
        f"something; could not put back: entry {gone}; left behind: entry {new}; could not take back: the home"
    )
    assert not whole(directory, bob).has("title")


def test_what_cannot_be_taken_back_is_noted_on_other_exceptions(directory: Directory, base: DN) -> None:
    new = named(base, "new")

    def steps(changes: Changes) -> None:
        changes.add(new, person("new"))
        directory.add(named(new, "below"), person("below"))

    assert failure(directory, steps, ZeroDivisionError()).__notes__ == [f"left behind: entry {new}"]


def test_an_interrupted_undo_goes_on_and_tells_what_is_left(directory: Directory, base: DN) -> None:
    new = named(base, "new")

    def interrupt() -> None:
        raise Interrupted

    def steps(changes: Changes) -> None:
        changes.add(new, person("new"))
        changes.on_undo("the home", interrupt)

    error = failure(directory, steps)
    assert isinstance(error, Interrupted)
    assert error.__notes__ == ["could not take back: the home"]
    assert directory.read(new) is None


def test_a_change_that_cannot_be_undone_needs_the_entry(directory: Directory, bob: DN) -> None:
    for change in (Change.replace("sn", "y"), Change.delete("jpegPhoto")):
        with pytest.raises(ValueError, match=change.attribute), changing(directory, "bob") as changes:
            changes.modify(bob, [change])
    with changing(directory, "bob") as changes:
        changes.modify(bob, [Change.delete("jpegPhoto")], undo=())
    assert not whole(directory, bob).has("jpegPhoto")


Step = Callable[[Changes, DN], object]
STEPS: dict[str, Step] = {
    "add": lambda changes, base: changes.add(named(base, "new"), person("new")),
    "modify": lambda changes, base: changes.modify(named(base, "bob"), [Change.add("title", "boss")]),
    "rename": lambda changes, base: changes.rename(named(base, "bob"), named(base, "new")),
    "delete": lambda changes, base: changes.delete(whole(changes.directory, named(base, "bob"))),
}


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("lost", ["the answer", "the server with the answer", "the user before it is sent"])
def test_writes_that_nobody_saw_the_end_of_are_taken_back(
    slapd: Server, connect: Connect, directory: Directory, base: DN, bob: DN, kind: str, lost: str
) -> None:
    """Whether a write was repeated and recognised, or given up while nobody knew if it was done."""
    before = tree(directory, base)
    with Proxy(slapd.port) as proxy, ExitStack() as stack:
        behind = connect(url=f"ldap://{LOOPBACK}:{proxy.port}")
        assert behind.read(SUFFIX)

        def lose(operation: str, _dn: str) -> None:
            if operation != kind:
                return
            behind.observers.remove(lose)
            if "user" in lost:
                raise Interrupted
            proxy.swallow()

        behind.observers.append(lose)
        if "server" in lost:
            stack.enter_context(impatient())
        error = failure(behind, lambda changes: STEPS[kind](changes, base))
        behind.close()
    expected = {"the answer": InvalidValue, "the server with the answer": StoreUnavailable}.get(lost, Interrupted)
    assert isinstance(error, expected)
    assert tree(directory, base) == before


def test_a_server_that_stays_away_is_waited_for_once(
    slapd: Server, directory: Directory, base: DN, bob: DN, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, other = named(base, "new"), named(base, "other")

    def steps(changes: Changes) -> None:
        changes.add(new, person("new"))
        changes.modify(bob, [Change.add("title", "boss"), Change.add("title", "clerk"), Change.delete("mail", "a@x")])
        changes.rename(bob, other)
        slapd.kill()

    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 1.0)
    start = time.monotonic()
    assert failure(directory, steps).state == (
        f"could not take back: the name {other} of {bob}; "
        f"could not take back: mail, title of {bob}; left behind: entry {new}"
    )
    assert 1 <= time.monotonic() - start < 2


def test_a_write_that_is_in_doubt_is_named(slapd: Server, directory: Directory, base: DN) -> None:
    new = named(base, "new")
    assert directory.read(SUFFIX)
    directory.observers.append(lambda operation, _dn: slapd.kill() if operation == "add" else None)
    with impatient():
        error = failure(directory, lambda changes: changes.add(new, person("new")))
    assert isinstance(error, StoreUnavailable)
    assert error.subject == "bob@x"
    assert str(error.state).startswith("the connection broke before the answer")
    assert str(error.state).endswith(f"; perhaps left behind: entry {new}")
