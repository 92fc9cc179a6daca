"""The server or the client dies before any write of an operation: nothing is broken, and a rerun finishes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mailstore import AlreadyExists, BulkRefused, Edit, NotFound, StoreUnavailable
from mailstore.ldap import retry
from mailstore.ldap.iredmail.check import domains
from mailstore.ldap.iredmail.names import locks
from mailstore.ldap.iredmail.store import IRedMailDirectory
from tests.faults.children import fork
from tests.ldap.faults import (
    HASH,
    Image,
    State,
    die_before,
    differences,
    make_rig,
    problems,
    state_of,
    watching,
    without_locks,
    writes_of,
)
from tests.ldap.rig import LdapRig
from tests.servers.slapd import Slapd

BOB, EVE, NEW = "bob@example.com", "eve@other.com", "robert@example.com"
Work = Callable[[IRedMailDirectory], object]


@pytest.fixture(scope="session")
def module_rig(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[LdapRig]:
    """A server of its own: it is killed often."""
    with Slapd(scratch_root / "interrupted") as server:
        rig = make_rig(server, scratch_root / "interrupted", vmail_owner)
        yield rig
        rig.close()


@pytest.fixture(scope="session")
def image(module_rig: LdapRig) -> Image:
    """A tree in which everything refers to one account."""
    populate(module_rig)
    assert problems(module_rig.shared) == []
    return Image.take(module_rig)


@pytest.fixture
def rig(module_rig: LdapRig, image: Image, monkeypatch: pytest.MonkeyPatch) -> LdapRig:
    """The tree as it was. Locks of the dead are free at once, and nobody waits long for a dead server."""
    for module in (locks, domains):
        monkeypatch.setattr(module, "LIFETIME_SECONDS", -1)
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.02)
    if not module_rig.server.running:
        module_rig.server.start()
    image.put_back()
    return module_rig


def populate(rig: LdapRig) -> None:
    store: Any = rig.shared
    store.domains.create("example.com", max_accounts=20, quota="20G", default_account_quota="1G")
    for domain in ("other.com", "third.com"):
        store.domains.create(domain)
    store.domains.add_alias_domains("example.com", ["alias.com"])
    people: dict[str, dict[str, Any]] = {
        BOB: {"quota": "1G", "sender_bcc": "y@ext.org", "aliases": ["b@example.com", "b@other.com"]},
        EVE: {"aliases": ["e@example.com"], "recipient_bcc": BOB},
        "ann@third.com": {"aliases": ["a@alias.com"]},
        "tom@example.com": {},
    }
    for address, fields in people.items():
        home = f"{rig.root}/{address}"
        store.accounts.create(address, password_hash=HASH, home=home, **fields)
    store.accounts.update(BOB, forwarding=[BOB, "x@ext.org"])
    store.accounts.update(EVE, forwarding=[BOB, EVE])
    store.aliases.create("all@example.com", members=[BOB, EVE, "m@ext.org"], moderators=[BOB])
    store.lists.create("staff@example.com", members=[BOB, EVE, "l@ext.org"], moderators=[BOB], owners=[EVE])
    store.lists.create("crew@other.com", members=[BOB, "tom@example.com"])
    store.domains.update("example.com", catch_all=[BOB])
    store.domains.update("other.com", sender_bcc=BOB)
    store.admins.promote(BOB, domains=["example.com", "other.com"])
    store.admins.promote(EVE, domains=["example.com"])
    companion = store._context.companion
    with companion.db.writing() as tx:
        tables = companion.tables
        for address in (BOB, EVE, "tom@example.com"):
            domain = address.partition("@")[2]
            tx.execute(tables["used_quota"].insert().values(username=address, bytes=7, messages=1, domain=domain))
            tx.execute(tables["anyone_shares"].insert().values(from_user=address))


@dataclass(frozen=True)
class Operation:
    """Something that is interrupted: how it is prepared and done."""

    name: str
    run: Work
    prepare: Work = lambda _store: None
    deaths: str = "client, server, away"
    """Who dies before its writes."""


def create(store: IRedMailDirectory) -> object:
    return store.accounts.create(NEW, password_hash=HASH, aliases=["r@other.com"], forwarding=["q@ext.org"])


def create_many(store: IRedMailDirectory) -> object:
    addresses = ("n1@example.com", "n2@example.com", "n3@other.com")
    return store.accounts.create_many({"address": address, "password_hash": HASH} for address in addresses)


def update(store: IRedMailDirectory) -> object:
    aliases = Edit(add=["bobby@third.com"], remove=["b@other.com"])
    return store.accounts.update(BOB, aliases=aliases, quota="2G", name="Bob", forwarding=Edit(add=["w@ext.org"]))


def create_domain(store: IRedMailDirectory) -> object:
    return store.domains.create("new.com", catch_all=[BOB], quota="5G")


def restore(store: IRedMailDirectory) -> object:
    for record in store.deleted.list(address=BOB):
        return store.deleted.restore(record.id)
    raise NotFound(f"no record of {BOB}")


def change_list(store: IRedMailDirectory) -> object:
    members = ["tom@example.com", "q@ext.org", "ann@third.com"]
    return store.lists.update("staff@example.com", members=members, moderators=[EVE], name="Staff")


OPERATIONS = (
    Operation("create", create),
    Operation("create-many", create_many, deaths="client"),
    Operation("update", update, deaths="client, away"),
    Operation("rename", lambda store: store.accounts.rename(BOB, NEW), deaths="away"),
    Operation("move", lambda store: store.accounts.rename(BOB, "robert@third.com"), deaths="client"),
    Operation("rename-to-alias", lambda store: store.accounts.rename(BOB, "b@other.com"), deaths="server"),
    Operation("delete", lambda store: store.accounts.delete(BOB, keep_mailbox_days=9)),
    Operation("create-domain", create_domain),
    Operation("add-alias-domain", lambda store: store.domains.add_alias_domains("example.com", ["second.com"])),
    Operation(
        "remove-alias-domain",
        lambda store: store.domains.remove_alias_domains("example.com", ["alias.com"]),
        deaths="client, away",
    ),
    Operation(
        "disable-domain", lambda store: store.domains.update("example.com", enabled=False), deaths="client, away"
    ),
    Operation(
        "enable-domain",
        lambda store: store.domains.update("example.com", enabled=True),
        lambda store: store.domains.update("example.com", enabled=False),
        deaths="client",
    ),
    Operation(
        "delete-domain", lambda store: store.domains.delete("example.com", keep_mailbox_days=9), deaths="client, away"
    ),
    Operation("restore", restore, lambda store: store.accounts.delete(BOB, keep_mailbox_days=9), deaths="client, away"),
    Operation("rename-list", lambda store: store.lists.rename("staff@example.com", "team@third.com"), deaths="client"),
    Operation("delete-list", lambda store: store.lists.delete("staff@example.com"), deaths="client"),
    Operation("rename-alias", lambda store: store.aliases.rename("all@example.com", "a@third.com"), deaths="client"),
    Operation("change-list", change_list, deaths="client"),
)


def operations(death: str) -> pytest.MarkDecorator:
    chosen = [operation for operation in OPERATIONS if death in operation.deaths]
    return pytest.mark.parametrize("operation", chosen, ids=lambda operation: operation.name)


@dataclass(frozen=True)
class Course:
    """What an operation does when nobody disturbs it."""

    image: Image
    before: State
    after: State
    writes: int


def undisturbed(rig: LdapRig, operation: Operation) -> Course:
    operation.prepare(rig.shared)
    image, before = Image.take(rig), state_of(rig)
    writes = writes_of(rig.shared, operation.run)
    after = state_of(rig)
    assert after != before
    assert problems(rig.shared) == []
    image.put_back()
    assert state_of(rig) == before
    return Course(image, before, after, len(writes))


@operations("client")
def test_a_client_that_dies(rig: LdapRig, operation: Operation) -> None:
    """Nothing is taken back; whoever comes next takes over its locks."""
    course = undisturbed(rig, operation)
    seen: list[State] = []
    for number in count(1):
        child = fork(rig, partial(die_at, rig, operation, number))
        child.wait()
        if not child.killed:
            break
        left = state_of(rig)
        # What was finished once needs not be again: that depends on nothing else.
        if left not in seen:
            seen.append(left)
            if left not in (course.before, course.after):
                assert {"interrupted", "unfinished-domain"} & {finding.code for finding in rig.shared.check()}, number
            finish(rig, operation, course, f"died before write {number}")
        course.image.put_back()
    assert number > course.writes


def die_at(rig: LdapRig, operation: Operation, number: int) -> None:
    die_before(rig.shared, number)
    operation.run(rig.shared)


def finish(rig: LdapRig, operation: Operation, course: Course, when: str) -> None:
    """Do it again; only what was done already may be refused."""
    left, refused = state_of(rig), False
    try:
        operation.run(rig.shared)
    except BulkRefused:
        return  # the rows that were written are named; each is complete
    except (AlreadyExists, NotFound):
        refused = True
    found, wanted = state_of(rig), course.after
    if refused:  # only a lock may have been left, which expires
        found, wanted = without_locks(found), without_locks(wanted)
    assert differences(found, wanted) == [], f"{when}, which left {differences(left, course.before)}"
    assert problems(rig.shared) == [], when


@operations("server")
def test_a_server_that_crashes_and_comes_back(rig: LdapRig, operation: Operation) -> None:
    course = undisturbed(rig, operation)
    for doomed in range(1, course.writes + 1):

        def crash(number: int, _kind: str, _dn: str, doomed: int = doomed) -> None:
            if number == doomed:
                rig.server.kill()
                rig.server.start()

        with watching(rig.shared, crash):
            operation.run(rig.shared)
        assert differences(state_of(rig), course.after) == [], doomed
        course.image.put_back()


@operations("away")
def test_a_server_that_stays_away(rig: LdapRig, operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what was left; the same call finishes it when the server is back."""
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.05)
    course = undisturbed(rig, operation)
    for doomed in range(1, course.writes + 1):

        def crash(number: int, _kind: str, _dn: str, doomed: int = doomed) -> None:
            if number == doomed:
                rig.server.kill()

        started = time.monotonic()
        with watching(rig.shared, crash), pytest.raises(StoreUnavailable) as caught:
            operation.run(rig.shared)
        assert time.monotonic() - started < 1.5, "it was waited for more than once"
        rig.server.start()
        if differences(without_locks(state_of(rig)), without_locks(course.before)):
            assert caught.value.state, doomed
        finish(rig, operation, course, f"the server went before write {doomed}: {caught.value}")
        course.image.put_back()
