"""What operations cost in calls of Python functions: a number that a busy machine does not change.

The numbers are what was measured with the versions of `constraints.txt`, and a tenth more. Who makes one of them smaller
writes the new one down; who makes it larger says in docs/performance.md what for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore.cli.output import Output
from mailstore.model import Account
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig
    from tests.stores import StoreRig

READY = hash_password("x")
CREATED, IN_BULK, LISTED = 654, 69, 7.7
WRITTEN = {"json": 21, "csv": 104, "lines": 24}
ROWS = 1000


def calls(run: Callable[[], object]) -> int:
    """Return how many functions of Python something calls."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def each(run: Callable[[int], object]) -> float:
    """Return the calls that one thing more costs, of something that is done for so many things."""
    run(ROWS)  # what is worked out once is worked out
    return (calls(lambda: run(2 * ROWS)) - calls(lambda: run(ROWS))) / ROWS


@pytest.fixture
def store(rigs: Callable[[str], StoreRig]) -> Iterator[IRedMailStore]:
    rig = cast("Rig", rigs("sqlite"))
    rig.clear()
    with rig.open_without_disk() as store:
        store.domains.create("a.test")
        yield store
    rig.clear()


def people(prefix: str, count: int) -> Iterator[dict[str, str]]:
    return ({"address": f"{prefix}{number}@a.test", "password_hash": READY} for number in range(count))


def test_an_account_is_created_with_few_calls(store: IRedMailStore) -> None:
    store.accounts.create("first@a.test", password_hash=READY)
    assert calls(lambda: store.accounts.create("bob@a.test", password_hash=READY)) <= CREATED * 1.1


def test_a_row_of_many_takes_few_calls(store: IRedMailStore) -> None:
    prefixes = iter("abcdef")
    assert each(lambda count: store.accounts.create_many(people(next(prefixes), count))) <= IN_BULK * 1.1


def test_a_listed_account_takes_few_calls(store: IRedMailStore) -> None:
    store.accounts.create_many(people("user", 2 * ROWS))

    def run(count: int) -> None:
        for _ in zip(range(count), store.accounts.list(), strict=False):
            pass

    assert each(run) <= LISTED * 1.1


@pytest.mark.parametrize("form", WRITTEN)
def test_an_account_is_written_with_few_calls(form: str) -> None:
    accounts = [Account(address=f"user{number}@a.test", name="User", services=("imap",)) for number in range(2 * ROWS)]
    assert each(lambda count: Output(form).many(Account, accounts[:count])) <= WRITTEN[form] * 1.1
