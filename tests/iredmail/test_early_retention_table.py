"""A table that an early version made works as it did, and gets what it lacks with `schema add-retention-table`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailstore.config import StoreConfig
from mailstore.sql.iredmail.store import create_own_table
from tests.rigs import Rig
from tests.stores import empty_homes


@pytest.fixture
def early(rig: Rig) -> Iterator[Rig]:
    """A database whose own table has the columns of the first version alone."""
    rig.clear()
    empty_homes(rig)
    rig.execute("DROP TABLE mailstore_deleted")
    number = "BIGINT" if rig.name != "sqlite" else "INTEGER"
    rig.execute(
        f"CREATE TABLE mailstore_deleted (record_id {number} PRIMARY KEY, snapshot TEXT NOT NULL,"
        " error VARCHAR(1000) NOT NULL DEFAULT '')"
    )
    yield rig
    create_own_table(StoreConfig(url=rig.url), None)


def test_it_works_and_is_brought_up_to_date(early: Rig) -> None:
    with early.open() as store:
        store.domains.create("a.test", name="A")
        store.accounts.create("bob@a.test", password="secret")
        record = store.accounts.delete("bob@a.test")
        assert record is not None
        assert record.restorable
        assert [finding for finding in store.check() if finding.severity == "error"] == []
        store.deleted.restore(record.id)
        store.domains.delete("a.test")
        assert list(store.deleted.domains()) == []
        (old,) = store.deleted.list()
        assert old.restorable
    assert create_own_table(StoreConfig(url=early.url), None)
    assert not create_own_table(StoreConfig(url=early.url), None)
    with early.open() as store:
        assert [gap for gap in store.schema_report().absent if gap.startswith("mailstore_deleted")] == []
        store.domains.create("a.test", name="A")
        store.deleted.restore(old.id)
        store.domains.delete("a.test")
        assert store.deleted.restore_domain("a.test").name == "A"
        assert store.accounts.verify_password("bob@a.test", "secret")
