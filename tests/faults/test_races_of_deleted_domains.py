"""A deleted domain that several processes want back, or one that dies meanwhile: once and whole, or not at all."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists, HomeError, NotFound
from mailstore.purge import purge_due
from tests.faults.children import fork, race, refusals, successes
from tests.faults.steps import kill_at_step
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore import Domain, Store

STORES = ("sqlite", "mysql", "postgresql", "atmail", "afterlogic-mysql", "afterlogic-postgresql")
PEOPLE = tuple(f"u{number}@example.com" for number in range(4))
ALIAS = "u0@other.com"


@pytest.fixture(params=STORES)
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Any:
    """A store from which a domain was deleted; one of its accounts had an alias in another one."""
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    store = found.shared
    for name in ("example.com", "other.com"):
        store.domains.create(name)
    for address in PEOPLE:
        aliases = (ALIAS,) if address == PEOPLE[0] else ()
        store.accounts.create(address, password="secret", aliases=aliases)
        (Path(str(store.accounts.get(address).home)) / "mail").write_text(address)
    store.domains.delete("example.com", keep_mailbox_days=0)
    yield found
    assert [finding for finding in store.check() if finding.severity == "error"] == []
    found.clear()


def restore(store: Store) -> Domain:
    return store.deleted.restore_domain("example.com")


def purge(store: Store) -> list[str]:
    return [outcome.action for outcome in purge_due(store)]


def require_whole(store: Store, but: frozenset[str] = frozenset()) -> None:
    """Require that the domain is there with all accounts and their mail, and that nothing of it waits any more."""
    assert [account.address for account in store.accounts.list(domain="example.com")] == [
        address for address in PEOPLE if address not in but
    ]
    for account in store.accounts.list(domain="example.com"):
        assert (Path(str(account.home)) / "mail").read_text() == account.address
    assert (store.deleted.count(), list(store.deleted.domains())) == (0, [])


def require_nothing(store: Store) -> None:
    """Require that none of it is there, and all of it can still come back."""
    assert store.accounts.count(domain="example.com") == 0
    assert store.deleted.count() == len(PEOPLE)
    assert [record.accounts for record in store.deleted.domains()] == [len(PEOPLE)]


def test_two_restores(rig: Any) -> None:
    store = rig.shared
    outcomes = race(rig, [partial(restore, store)] * 3)
    assert [domain.domain for domain in successes(outcomes)] == ["example.com"]
    assert set(refusals(outcomes)) <= {NotFound, AlreadyExists}
    require_whole(store)


def test_somebody_takes_a_name(rig: Any) -> None:
    """The domain itself, or the address that was an alias of one of its accounts elsewhere."""
    store = rig.shared
    takers = [
        partial(store.domains.create, "example.com"),
        partial(store.accounts.create, ALIAS, password="x"),
    ]
    outcomes = race(rig, [partial(restore, store), *takers])
    if isinstance(outcomes[0], BaseException):
        assert isinstance(outcomes[0], AlreadyExists)
        require_nothing(store)
        assert successes(outcomes[1:])
        return
    require_whole(store)
    assert refusals(outcomes) == [AlreadyExists] * len(takers)
    assert ALIAS in store.accounts.get(PEOPLE[0]).aliases


def test_the_purge_comes_meanwhile(rig: Any) -> None:
    """Whose mail is purged stays away; whoever comes back has all of it."""
    store = rig.shared
    outcomes = race(rig, [partial(restore, store), partial(purge, store)])
    if isinstance(outcomes[0], BaseException):
        # Found gone before the records were, or after.
        assert isinstance(outcomes[0], NotFound | HomeError)
        purge(store)
        assert store.deleted.count() == 0
        return
    back = {account.address for account in store.accounts.list(domain="example.com")}
    require_whole(store, but=frozenset(PEOPLE) - back)
    assert not isinstance(outcomes[1], BaseException)
    assert outcomes[1].count("purged") == len(PEOPLE) - len(back)


@pytest.mark.parametrize("rig", ["atmail", "afterlogic-postgresql"], indirect=True)
def test_killed_at_every_step(rig: Any) -> None:
    """A restore that dies leaves nothing of it, or all; iRedMail's is in `test_kill`."""
    store = rig.shared

    def run(number: int) -> None:
        kill_at_step(store, number, coarse=True)
        restore(store)

    seen = set()
    for number in count(1):
        child = fork(rig, partial(run, number))
        child.wait()
        back = store.domains.exists("example.com")
        seen.add(back)
        (require_whole if back else require_nothing)(store)
        if not child.killed:
            break
        if back:
            store.domains.delete("example.com", keep_mailbox_days=0)
    assert seen == {False, True}
    assert number > 5
