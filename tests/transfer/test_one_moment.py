"""A dump is of one moment: what others write while it is read is not in it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.sql.iredmail.store import create_schema
from mailstore.transfer import dump
from tests.transfer.filled import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore import Store
    from tests.rigs import Rig
    from tests.stores import StoreRig


@pytest.fixture(params=["sqlite", "mysql", "postgresql"])
def two(
    request: pytest.FixtureRequest, emptied: Callable[[str], StoreRig], workdir: Path
) -> Iterator[tuple[Store, Store]]:
    """One store, opened twice."""
    if request.param == "sqlite":
        file = workdir / "vmail.db"
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # else writers wait for the reader
        url = f"iredmail+sqlite:///{file}"
        create_schema(StoreConfig(url=url), None)
        with open_store(url) as reader, open_store(url) as writer:
            yield reader, writer
        return
    rig = cast("Rig", emptied(request.param))
    with rig.open_without_disk() as reader, rig.open_without_disk() as writer:
        yield reader, writer


def test_what_changes_meanwhile_is_not_in_it(two: tuple[Store, Store]) -> None:
    store, other = two
    fill(store)
    before = [entry.to_dict() for entry in dump(store)]
    seen: list[Any] = []
    for number, entry in enumerate(dump(store, at_once=True)):
        seen.append(entry.to_dict())
        if number == 0:
            other.accounts.delete("user0@second.example")
            other.accounts.update("bob@example.com", name="Somebody else")
            other.aliases.create("late@example.com", members=["bob@example.com"])
            other.domains.create("zzz.example")
    assert seen == before
    after = [entry.to_dict() for entry in dump(store)]
    assert [one["address"] for one in after if one["record"] == "alias"] == ["late@example.com", "sales@example.com"]
