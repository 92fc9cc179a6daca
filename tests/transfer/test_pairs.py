"""From every kind of store into every other: nothing is lost that is not listed, old passwords go on, mail is read."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability
from mailstore.transfer import Carrier, Loader, Pairs, dump
from tests.readers import PASSWORD as SECRET
from tests.readers import hashed
from tests.transfer.around import POSTFIX, Around
from tests.transfer.filled import fill, text_of, timeless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore import Store
    from mailstore.transfer import Entry, Outcome
    from tests.stores import StoreRig

STORES = ("sqlite", "mysql", "postgresql", "ldap", "mailinabox", "atmail", "afterlogic-mysql")
REPRESENTATIVE = {
    ("sqlite", "mailinabox"), ("sqlite", "ldap"), ("postgresql", "afterlogic-mysql"), ("mailinabox", "sqlite"),
    ("ldap", "postgresql"), ("atmail", "ldap"), ("afterlogic-mysql", "sqlite"), ("ldap", "mailinabox"),
    ("mysql", "atmail"),
}  # fmt: skip
"""Every store on both sides, and what differs most. The others are run by `make test-migrations`."""
TOLD_ONLY = {"created", "modified", "password_changed", "usage", "last_login", "problems", "home", "kind"}
READ = ("ann@third.example", "kim@third.example")
"""Accounts that nothing keeps from reading their mail."""


def pairs() -> list[tuple[str, str]]:
    """Return the pairs of this run, those of one source one after the other, so that it is filled once."""
    every = os.environ.get("MAILSTORE_EVERY_PAIR") == "1"
    return [pair for pair in permutations(STORES, 2) if every or pair in REPRESENTATIVE]


@dataclass
class Sources:
    """The stores that are migrated from, filled, with a message in each home."""

    emptied: Callable[[str], StoreRig]
    _texts: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, rig: StoreRig) -> StoreRig:
        if name not in self._texts or timeless(text_of(rig.shared)) != self._texts[name]:
            rig = self.emptied(name)
            fill(rig.shared)
            _fill_more(rig)
            self._texts[name] = timeless(text_of(rig.shared))
        return rig


def _fill_more(rig: StoreRig) -> None:
    store = rig.shared
    if Capability.DOMAINS in store.capabilities:
        store.domains.create("third.example")
    for address, scheme in zip(READ, ("ssha512", "bcrypt"), strict=True):
        ready = Capability.READY_HASHES in store.capabilities
        secret: dict[str, Any] = {"password_hash": hashed(scheme)} if ready else {"password": password_of(rig)}
        store.accounts.create(address, **secret)
    for account in store.accounts.list():
        new = Path(account.home or "") / account.mailbox_folder / "new"
        message = new / "1.message.host"
        message.write_text(f"From: a@example.net\nSubject: to {account.address}\n\nhello\n")
        os.chown(message, *rig.owner)


def password_of(rig: StoreRig) -> str:
    """Return the password of all accounts of a filled store; one that keeps it in plain text has another."""
    return SECRET if Capability.READY_HASHES in rig.shared.capabilities else "correct horse"


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """The dumps of filled stores by name: whether a rig still is what it was."""
    return {}


@pytest.fixture(scope="session")
def around(request: pytest.FixtureRequest, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Around]:
    """The mail servers of the run's stores."""
    servers = Around(scratch_root / "around", vmail_owner, lambda: request.getfixturevalue("mariadb"))
    yield servers
    servers.close()


@dataclass
class Move:
    """One migration."""

    theirs: Store
    ours: Store
    generated: dict[str, str] = field(default_factory=dict)

    def loader(self, store: Store, *, rehearsed: bool = False) -> Loader:
        note = (lambda _address, _password: None) if rehearsed else self.generated.__setitem__
        return Loader(store, go_on=True, keep_homes=False, generated=note, rehearsed=rehearsed)

    def plan(self) -> list[Outcome]:
        with self.ours.rehearsal() as store:
            return list(self.loader(store, rehearsed=True).load(dump(self.theirs)))

    def run(self) -> list[Outcome]:
        return list(self.loader(self.ours).load(dump(self.theirs)))

    def compared(self) -> list[tuple[Entry, Any, Outcome | None]]:
        return list(self.loader(self.ours).compare(dump(self.theirs)))


@pytest.mark.parametrize(("source", "target"), pairs())
def test_everything_arrives_or_is_told(
    source: str,
    target: str,
    rigs: Callable[[str], StoreRig],
    emptied: Callable[[str], StoreRig],
    sources: dict[str, str],
    around: Around,
) -> None:
    there = Sources(emptied, sources).get(source, rigs(source))
    here = emptied(target)
    with here.open(homes=[], home_root=str(here.root)) as ours:
        move = Move(there.shared, ours)
        planned, before = move.plan(), text_of(ours)
        assert before == text_of(emptied(target).shared)
        outcomes = move.run()
        _as_planned(planned, outcomes)
        _explained(move, outcomes)
        _routes_are_the_same(there, here, around, outcomes)
        _mail_is_read(move, there, here, around)
        written = text_of(ours)
        again = move.run()
        stable = Capability.READY_HASHES in there.shared.capabilities  # else its hashes are new each time
        assert {one.action for one in again if stable or one.entry.kind != "account"} <= {"unchanged", "refused"}
        if stable and Capability.READY_HASHES in ours.capabilities:
            # A directory's locks show in the times of entries, where something is refused once more.
            assert timeless(text_of(ours)) == timeless(written)
    assert timeless(text_of(there.shared)) == sources[source] or not stable


def _as_planned(planned: list[Outcome], outcomes: list[Outcome]) -> None:
    """The plan told what became of each record, but where the target could not try."""
    told: dict[tuple[str, str], list[Outcome]] = {}
    for one in planned:
        told.setdefault((one.entry.kind, one.entry.key), []).append(one)
    for one in outcomes:
        plans = told.get((one.entry.kind, one.entry.key), [])
        plan = plans.pop(0) if plans else None
        if plan is not None and not plan.reason.startswith("not tried") and "further address" not in one.reason:
            assert (one.action, one.lost) == (plan.action, plan.lost), (one, plan)


def _explained(move: Move, outcomes: list[Outcome]) -> None:
    """What differs between both sides was told, and what arrived is what is not listed as lost."""
    told: dict[tuple[str, str], Outcome] = {}
    lost: dict[tuple[str, str], set[str]] = {}
    for one in outcomes:
        key = one.entry.kind, one.entry.key
        told.setdefault(key, one)
        lost.setdefault(key, set()).update(one.lost)
    ready = Capability.READY_HASHES in move.theirs.capabilities
    for entry, present, found in move.compared():
        key = entry.kind, entry.key
        if told[key].action == "refused":
            assert told[key].reason
            continue
        assert present is not None or found is None, key
        said = {name for name in entry.given - TOLD_ONLY if entry.says(name)} if present is not None else set()
        otherwise = {name for name in said if not _alike(entry.value(name), getattr(present, name, None))}
        if otherwise & {"services"} and {*entry.value("services")} <= {*present.services}:
            otherwise.remove("services")  # what the source knows nothing of is allowed
        assert otherwise <= lost[key], key
        differing = set(found.lost) if found else set()
        assert differing - (set() if ready else {"password"}) <= lost[key], key
    assert [one for one in outcomes if one.entry.kind == "account" and one.action == "created"] != []


def _alike(one: object, other: object) -> bool:
    return sorted(one) == sorted(other) if isinstance(one, tuple) and isinstance(other, tuple) else one == other


def _mail_is_read(move: Move, there: StoreRig, here: StoreRig, around: Around) -> None:
    """Homes are copied; who could log in before logs in with the old password, or the one that is told, and reads."""
    assert there.shared.homes is not None
    assert here.shared.homes is not None
    with tempfile.TemporaryFile("w+") as file:
        found = Pairs(file)
        for entry, present, _ in move.compared():
            if entry.kind == "account" and present is not None:
                found.add(entry, present)
        carried = list(Carrier(there.shared.homes, here.shared.homes, "copy").carry(found))
    assert {one.action for one in carried} == {"copied"}, carried
    assert {one.address for one in carried} == {one.address for one in move.ours.accounts.list()}
    dovecot = around.dovecot(here)
    for address in READ:
        password = move.generated.get(address, password_of(there))
        assert move.ours.accounts.verify_password(address, password)
        with dovecot.imap(address, password) as client:
            client.select(readonly=True)
            answer = client.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0]
            assert f"to {address}".encode() in answer[1]  # type: ignore[index]


def _routes_are_the_same(there: StoreRig, here: StoreRig, around: Around, outcomes: list[Outcome]) -> None:
    """Postfix sends mail for what arrived where it did before."""
    if there.name not in POSTFIX or here.name not in POSTFIX:
        return
    before, after = around.postfix(there), around.postfix(here)
    lossy = {"forwarding", "keep_copy", "aliases", "enabled", "catch_all", "members"}
    others: set[str] = set()
    for one in outcomes:
        record = one.entry.record
        # A directory does not forward the mail of who may get none.
        silent = one.entry.kind == "account" and "ldap" in {there.name, here.name} and "deliver" not in record.services
        if one.action == "refused" or lossy & {*one.lost} or silent:
            others.add(one.entry.key)
    for one in outcomes:
        members = getattr(one.entry.record, "members", ())
        if one.entry.kind in {"account", "alias", "list"} and not others.intersection([one.entry.key, *members]):
            assert after.destinations(one.entry.key) == before.destinations(one.entry.key), one.entry.key
