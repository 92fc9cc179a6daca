"""iRedAPD counts mail at any moment, for a new name too."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from mailstore.sql.iredmail.store import IRedMailStore
from tests.policies.rig import PolicyRig

BOB, NEW = "bob@example.com", "robert@example.com"


@pytest.mark.parametrize("policy_rig", ["mysql", "postgresql"], indirect=True)
def test_mail_for_the_new_name_is_counted_while_it_is_given(prig: PolicyRig, pstore: IRedMailStore) -> None:
    pstore.throttles.set("example.com", "inbound", period="1h", max_msgs=100)
    rule = prig.rows("throttle")[0]["id"]
    times = {"period": 3600, "init_time": 1, "last_time": 1}
    prig.insert("throttle_tracking", tid=rule, account=BOB, cur_msgs=7, cur_quota=10, **times)
    engine = prig.databases()[2].engine
    counted: list[int] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO throttle_tracking") and not counted:
            counted.append(prig.insert("throttle_tracking", tid=rule, account=NEW, cur_msgs=1, cur_quota=99, **times))

    event.listen(engine, "before_cursor_execute", count)
    try:
        pstore.accounts.rename(BOB, NEW)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert counted
    rows = prig.rows("throttle_tracking")
    assert {row["account"] for row in rows} == {NEW}
    assert (max(row["cur_msgs"] for row in rows), max(row["cur_quota"] for row in rows)) == (7, 99)
    if prig.name == "mysql":
        assert len(rows) == 1
