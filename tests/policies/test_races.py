"""Several writers at once, and what an operation costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from mailstore import AlreadyExists, NotFound
from tests.policies.conftest import EVERYWHERE, READY

if TYPE_CHECKING:
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.policies.rig import PolicyRig

pytestmark = EVERYWHERE
BOB = "bob@example.com"


def together(*actions: Callable[[], object]) -> list[BaseException]:
    """Run all actions at the same moment; return what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        start.wait()
        try:
            action()
        except BaseException as error:  # noqa: BLE001 the test looks at it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("level", ["global", "example.com", BOB])
def test_writers_of_one_level_wait_for_each_other(pstore: IRedMailStore, prig: PolicyRig, level: str) -> None:
    """Not everything has a unique key: PostgreSQL's throttles have none."""

    def change(number: int) -> None:
        pstore.throttles.set(level, "inbound", period=60, max_msgs=number)
        pstore.spam_policies.set(level, spam_score=number)
        pstore.greylisting.set(level, enabled=True, whitelist=[f"u{number}@b.org"])
        pstore.access_lists.set(level, "inbound", whitelist=[f"u{number}@b.org"])

    assert together(*(lambda number=number: change(number) for number in range(1, 7))) == []  # type: ignore[misc]
    for table in ("throttle", "policy", "users", "greylisting", "greylisting_whitelists", "wblist"):
        assert len(prig.rows(table)) == 1, table


def test_whoever_sets_something_while_the_account_goes(pstore: IRedMailStore, prig: PolicyRig) -> None:
    for round_ in range(6):
        raised = together(
            lambda: pstore.accounts.delete(BOB),
            lambda: pstore.spam_policies.set(BOB, spam_score=4),
            lambda: pstore.throttles.set(BOB, "inbound", period=60),
            lambda: pstore.greylisting.set(BOB, enabled=True),
        )
        assert {type(error) for error in raised} <= {NotFound}, round_
        assert prig.rows("policy") == prig.rows("throttle") == prig.rows("greylisting") == []
        pstore.accounts.create(BOB, password_hash=READY)


def test_a_new_holder_is_not_hurt_by_the_clean_up_after_the_old_one(pstore: IRedMailStore) -> None:
    for _ in range(6):
        pstore.spam_policies.set(BOB, spam_score=4)

        def create_and_set() -> None:
            for _ in range(50):
                with suppress(AlreadyExists):
                    pstore.accounts.create(BOB, password_hash=READY)
                    pstore.spam_policies.set(BOB, spam_score=7)
                    return

        together(lambda: pstore.accounts.delete(BOB), create_and_set)
        if not pstore.accounts.exists(BOB):  # the creator gave up too early
            pstore.accounts.create(BOB, password_hash=READY)
            continue
        assert pstore.spam_policies.get(BOB).spam_score == 7


@contextmanager
def counting_beside(store: IRedMailStore) -> Iterator[list[str]]:
    """Count what is sent to the databases beside the accounts, locks and savepoints not among it."""
    texts: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")) and "LOCK" not in statement.upper():
            texts.append(statement)

    companions: Any = store.companions
    with ExitStack() as stack:
        for database in (companions.amavisd.db, companions.iredapd.db):
            event.listen(database.engine, "before_cursor_execute", note)
            stack.callback(event.remove, database.engine, "before_cursor_execute", note)
        yield texts


def test_operations_on_accounts_without_policies_cost_a_look_or_two_at_each_database(pstore: IRedMailStore) -> None:
    address = "new@example.com"
    rows = [{"address": f"u{number}@example.com", "password_hash": READY} for number in range(300)]
    for looks, operation in (
        (1, lambda: pstore.accounts.create(address, password_hash=READY)),
        (2, lambda: pstore.accounts.delete(address)),  # one for its record
        (1, lambda: pstore.accounts.create_many(rows)),
    ):
        with counting_beside(pstore) as sent:
            operation()
        assert len(sent) == 2 * looks


def test_a_domain_is_cleared_with_few_statements(pstore: IRedMailStore, prig: PolicyRig) -> None:
    costs = []
    for number in (2, 30):
        pstore.domains.create("big.example")
        for count in range(number):
            address = f"u{count}@big.example"
            pstore.accounts.create(address, password_hash=READY)
            pstore.spam_policies.set(address, spam_score=4)
            pstore.throttles.set(address, "inbound", period=60)
        with counting_beside(pstore) as sent:
            pstore.domains.delete("big.example")
        costs.append(len(sent))
        assert prig.rows("policy") == prig.rows("throttle") == []
    assert costs[0] == costs[1] <= 37  # 17 of them for the record of the domain


def test_setting_a_policy_is_a_handful_of_statements(pstore: IRedMailStore) -> None:
    for most, operation in (
        (6, lambda: pstore.spam_policies.set(BOB, spam_score=4)),
        (6, lambda: pstore.spam_policies.set(BOB, spam_score=5)),
        (1, lambda: pstore.spam_policies.get(BOB)),
        (1, lambda: pstore.spam_policies.effective(BOB)),
        (4, lambda: pstore.throttles.set(BOB, "inbound", period=60)),
        (1, lambda: pstore.throttles.effective(BOB, "inbound")),
        (8, lambda: pstore.access_lists.set(BOB, "inbound", whitelist=[f"u{n}@b.org" for n in range(200)])),
    ):
        with counting_beside(pstore) as sent:
            operation()
        assert len(sent) <= most
