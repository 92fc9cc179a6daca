"""Tables that a server cannot roll back, in stores beside iRedMail's; days without end among records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import cast

import pytest

from mailstore import SchemaMismatch, open_store
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from tests.afterlogic.rig import Rig as AfterLogicRig
from tests.atmail.rig import AtmailRig
from tests.rigs import Rig
from tests.stores import StoreRig, empty_homes

BOB = "bob@example.com"
HASH = hash_password("secret")


@pytest.mark.parametrize(
    ("name", "table", "engine"),
    [("atmail", "aliases", "MyISAM"), ("afterlogic-mysql", "awm_accounts", "Aria")],
)
def test_tables_without_rollback_are_not_written(
    rigs: Callable[[str], StoreRig], name: str, table: str, engine: str
) -> None:
    rig = cast("AtmailRig | AfterLogicRig", rigs(name))
    rig.clear()
    empty_homes(rig)
    rig.shared.domains.create("example.com")
    rig.shared.accounts.create(BOB, password="secret")
    rig.execute(f"ALTER TABLE {table} ENGINE={engine}")
    try:
        with open_store(rig.url) as opened:
            rows = rig.everything()
            assert opened.accounts.get(BOB).address == BOB
            said = rf"{table} \({engine}\)"
            for write in (
                lambda: opened.accounts.delete(BOB),
                lambda: opened.accounts.update(BOB, name="Bob"),
                lambda: opened.domains.delete("example.com"),
            ):
                with pytest.raises(SchemaMismatch, match=said):
                    write()
            with pytest.raises(SchemaMismatch, match=said), opened.rehearsal() as tried:
                tried.accounts.delete(BOB)
            assert rig.everything() == rows
    finally:
        rig.execute(f"ALTER TABLE {table} ENGINE=InnoDB")
        rig.clear()


@pytest.mark.parametrize("moment", ["infinity", "-infinity"])
def test_a_day_without_end_is_no_day(rigs: Callable[[str], StoreRig], moment: str) -> None:
    rig = cast("Rig", rigs("postgresql"))
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=HASH)
    made = store.accounts.delete(BOB, keep_mailbox_days=0)
    assert made is not None
    rig.execute("UPDATE deleted_mailboxes SET delete_date = :day, timestamp = :at", day=moment, at=moment)
    (record,) = store.deleted.list()
    assert (record.due, record.deleted) == (None, None)
    assert list(store.deleted.list(due=date(9999, 12, 31))) == []
    list(store.check())
    assert list(purge_due(store)) == []
    assert store.deleted.reschedule(record.id, keep_mailbox_days=0).due == datetime.now(UTC).date()
    rig.execute("UPDATE deleted_mailboxes SET delete_date = :at", at=moment)
    assert store.deleted.restore(record.id).address == BOB
    rig.clear()
