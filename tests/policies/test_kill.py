"""A process that is killed at any step leaves every account with its own settings, and a rerun finishes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import AlreadyExists, NotFound
from mailstore.ldap.iredmail.check import domains
from mailstore.ldap.iredmail.names import locks
from mailstore.policies import SpamPolicy
from tests.faults.children import fork
from tests.ldap.faults import WRITES
from tests.policies.conftest import EVERYWHERE, READY
from tests.policies.states import Image, state_of
from tests.policies.test_lifecycle import content, furnish, leave

if TYPE_CHECKING:
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.policies.rig import PolicyRig
    from tests.stores import StoreRig

BOB, NEW = "bob@example.com", "robert@example.com"


@dataclass(frozen=True)
class Operation:
    """What is killed, and what an account of either name must have whenever it is there."""

    run: Callable[[IRedMailStore], Any]
    bob: bool
    """Whether bob is there before; he then has settings of his own."""
    final: str | None
    """Who is there afterwards."""


OPERATIONS = {
    "rename": Operation(lambda store: store.accounts.rename(BOB, NEW), bob=True, final=NEW),
    "delete": Operation(lambda store: store.accounts.delete(BOB), bob=True, final=None),
    "create": Operation(lambda store: store.accounts.create(NEW, password_hash=READY), bob=False, final=NEW),
}


@pytest.fixture(autouse=True)
def _locks_of_the_dead_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (locks, domains):
        monkeypatch.setattr(module, "LIFETIME_SECONDS", -1)


def kill_at_step(rig: PolicyRig, number: int) -> None:
    """Make this process kill itself at its step `number`: before and after a commit of any database, or a directory's write.

    What is not committed is rolled back, wherever between two commits it stops.
    """
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1
        if taken == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(commit: Callable[[Any], None]) -> Callable[[Any], None]:
        def commit_in_steps(connection: Any) -> None:
            step()
            commit(connection)
            step()

        return commit_in_steps

    for database in rig.databases():
        vars(database.engine.dialect)["do_commit"] = watched(database.engine.dialect.do_commit)
    directory = getattr(rig.shared._context, "directory", None)
    if directory is not None:
        directory.observers.append(lambda kind, _dn: step() if kind in WRITES else None)


def killed_at(rig: PolicyRig, operation: Operation, number: int) -> bool:
    """Run the operation in a process that dies at a step; tell whether it got that far."""

    def run() -> None:
        kill_at_step(rig, number)
        operation.run(rig.shared)

    def close() -> None:
        rig.close()
        rig.accounts.close()

    child = fork(cast("StoreRig", SimpleNamespace(close=close)), run)
    assert child.wait() is None
    return child.killed


def prepare(store: IRedMailStore, rig: PolicyRig, operation: Operation) -> None:
    """Make what the operation finds, with leftovers of a former holder of the new name."""
    if operation.bob:
        furnish(store, rig, BOB)
    else:
        store.accounts.delete(BOB)
    leave(rig, NEW)


@EVERYWHERE
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_every_step(pstore: IRedMailStore, prig: PolicyRig, name: str) -> None:
    operation = OPERATIONS[name]
    prepare(pstore, prig, operation)
    wanted = content(pstore, prig, BOB if operation.bob else "eve@example.com")
    image, seen = Image.take(prig), [state_of(prig)]
    for number in count(1):
        if not killed_at(prig, operation, number):
            break
        left = state_of(prig)
        # What was looked at once needs no second look: what is done now depends on nothing else.
        if number == 1 or left not in seen:
            seen.append(left)
            require_sound(pstore, prig, operation, wanted, f"after step {number}")
            image.put_back()
        elif left != seen[0]:
            image.put_back()
    assert number > 5
    assert len(seen) > 3
    if not pstore.accounts.exists(NEW):
        pstore.accounts.create(NEW, password_hash=READY)


def require_sound(
    store: IRedMailStore, rig: PolicyRig, operation: Operation, wanted: dict[str, Any], when: str
) -> None:
    """Require that whoever is there has what is his own, and that it can be done again."""
    holders = [address for address in (BOB, NEW) if store.accounts.exists(address)]
    assert operation is not OPERATIONS["rename"] or len(holders) == 1, when
    for address in holders:
        assert content(store, rig, address) == wanted, f"{address} {when}"
    done = operation.final in holders if operation.final else not holders
    try:
        operation.run(store)
    except (AlreadyExists, NotFound):
        assert done, when
    for address in (BOB, NEW):  # whatever is left reaches nobody
        if not store.accounts.exists(address):
            store.accounts.create(address, password_hash=READY)
            assert store.spam_policies.get(address) == SpamPolicy(level=address), when
            assert store.throttles.get(address, "inbound").period is None, when
    assert [finding for finding in store.check() if finding.severity == "error"] == [], when


BACK: dict[str, tuple[Callable[[IRedMailStore], Any], Callable[[IRedMailStore], Any]]] = {
    "account": (
        lambda store: store.accounts.delete(BOB),
        lambda store: store.deleted.restore(next(store.deleted.list(address=BOB)).id),
    ),
    "domain": (
        lambda store: store.domains.delete("example.com"),
        lambda store: store.deleted.restore_domain("example.com"),
    ),
}
"""How what is restored goes, and how it comes back."""


@pytest.mark.parametrize(
    ("policy_rig", "name"), [("mysql", "domain"), ("postgresql beside ldap", "account")], indirect=["policy_rig"]
)
def test_a_restore_killed_at_every_step(pstore: IRedMailStore, prig: PolicyRig, name: str) -> None:
    """Whoever is back has the settings of before at each moment; whoever is not comes back with them."""
    delete, restore = BACK[name]
    furnish(pstore, prig, BOB)
    furnish(pstore, prig, "example.com")
    prig.execute("throttle_tracking", "DELETE FROM throttle_tracking")  # counters begin anew
    levels = (BOB, "example.com")
    wanted = {level: content(pstore, prig, level) for level in levels}
    for number in count(1):
        delete(pstore)
        if not killed_at(prig, Operation(restore, bob=False, final=BOB), number):
            break
        if pstore.accounts.exists(BOB):
            assert content(pstore, prig, BOB) == wanted[BOB], f"after step {number}"
        if not pstore.accounts.exists(BOB) or pstore.deleted.count():
            restore(pstore)
        assert {level: content(pstore, prig, level) for level in levels} == wanted, f"after step {number}"
        assert [finding for finding in pstore.check() if finding.severity == "error"] == []
    assert number > 3
    assert {level: content(pstore, prig, level) for level in levels} == wanted
