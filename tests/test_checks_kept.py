"""The queries of a check are built once for an opened store: to build them costs far more than to run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy import event

from mailstore import Store
from tests.stores import StoreRig


def sent_by_check(store: Store) -> list[Any]:
    """Return the statements, as objects, that a check sends."""
    engine, seen = cast("Any", store)._context.db.engine, []

    def note(_connection: Any, statement: Any, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_execute", note)
    try:
        list(store.check())
    finally:
        event.remove(engine, "before_execute", note)
    return seen


@pytest.mark.parametrize(("name", "kept"), [("sqlite", 45), ("afterlogic-sqlite", 8)])
def test_a_second_check_builds_no_query_anew(rigs: Callable[[str], StoreRig], name: str, kept: int) -> None:
    rig = rigs(name)
    rig.clear()
    first, second = sent_by_check(rig.shared), sent_by_check(rig.shared)
    assert len({id(one) for one in first} & {id(one) for one in second}) >= kept
