"""What is done to a single account, alias or domain here reads no table through that grows with the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import event, text

from mailstore.model import Edit
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig
    from tests.stores import StoreRig

READY = hash_password("x")
PEOPLE = 3000
GROWING = {"mailbox", "forwardings"}
"""The tables that are large here. Of one with a few rows a planner may read all, whatever its indexes."""

Operation = Callable[["IRedMailStore"], object]
OPERATIONS: dict[str, Operation] = {
    "create": lambda store: store.accounts.create("bob@a.test", password_hash=READY, quota="1M"),
    "update": lambda store: store.accounts.update("bob@a.test", name="x", quota="2M", forwarding=["a@b.org"]),
    "get": lambda store: store.accounts.get("bob@a.test"),
    "exists": lambda store: store.accounts.exists("bob@a.test"),
    "verify": lambda store: store.accounts.verify_password("bob@a.test", "x"),
    "hash": lambda store: store.accounts.password_hash("bob@a.test"),
    "alias": lambda store: store.aliases.create("team@a.test", members=["bob@a.test", "user1@a.test"]),
    "members": lambda store: store.aliases.update("team@a.test", members=Edit(remove=["user1@a.test"])),
    "of alias": lambda store: store.aliases.get("team@a.test"),
    "no alias": lambda store: store.aliases.delete("team@a.test"),
    "domain": lambda store: store.domains.get("a.test"),
    "domain name": lambda store: store.domains.update("a.test", name="A"),
    "rename": lambda store: store.accounts.rename("bob@a.test", "kim@a.test"),
    "delete": lambda store: store.accounts.delete("kim@a.test"),
}


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgresql"])
def filled(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Iterator[Rig]:
    """A store with so many accounts that planners prefer indexes."""
    rig = cast("Rig", rigs(request.param))
    rig.clear()
    with rig.open_without_disk() as store:
        store.domains.create("a.test")
        store.accounts.create_many({"address": f"user{n}@a.test", "password_hash": READY} for n in range(PEOPLE))
    names = {"mysql": "ANALYZE TABLE {}", "postgresql": "ANALYZE {}", "sqlite": "ANALYZE {}"}
    for table in ("mailbox", "forwardings"):
        rig.execute(names[rig.name].format(table))
    yield rig
    rig.clear()


@contextmanager
def explaining(rig: Rig, store: IRedMailStore, found: list[str]) -> Iterator[None]:
    """Note which tables each statement reads through."""
    engine = store._context.db.engine

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")) and "GET_LOCK" not in statement:
            cursor.execute(_EXPLAIN[rig.name] + statement, parameters)
            found.extend(f"{table}: {statement}" for table in _read_through(rig.name, cursor.fetchall()) & GROWING)

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", explain)


_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "mysql": "EXPLAIN ", "postgresql": "EXPLAIN (FORMAT JSON) "}


def _read_through(engine: str, plan: Any) -> set[str]:
    if engine == "sqlite":
        steps = (re.match(r"SCAN (\w+)", str(step[-1])) for step in plan)
        return {step[1] for step in steps if step}
    if engine == "mysql":
        return {str(step[2]) for step in plan if step[3] in {"ALL", "index"}}
    return set(_sequential(plan[0][0]))


def _sequential(node: Any) -> Iterator[str]:
    """Iterate over the tables of all sequential scans in a plan of PostgreSQL."""
    if isinstance(node, list):
        for each in node:
            yield from _sequential(each)
    elif isinstance(node, dict):
        if node.get("Node Type") == "Seq Scan":
            yield node["Relation Name"]
        for each in node.values():
            yield from _sequential(each)


def test_nothing_reads_a_growing_table_through(filled: Rig) -> None:
    found: list[str] = []
    with filled.open_without_disk() as store, explaining(filled, store, found):
        for run in OPERATIONS.values():
            run(store)
    assert not found


def test_a_plan_that_reads_through_is_seen(filled: Rig) -> None:
    found: list[str] = []
    with (
        filled.open_without_disk() as store,
        explaining(filled, store, found),
        store._context.db.reading() as connection,
    ):
        connection.execute(text("SELECT username FROM mailbox WHERE lower(name) = 'x'")).all()
    assert [each.partition(":")[0] for each in found] == ["mailbox"]
