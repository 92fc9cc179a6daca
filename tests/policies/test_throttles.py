"""Throttles: what is stored, what iRedAPD makes of it, and that counters go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import InvalidValue, NotFound, PermissionDenied
from mailstore.driver.policy_keys import iredapd_keys, iredapd_priority
from mailstore.policies import INHERIT, NO_LIMIT, Limit, Origin, Throttle, parse_period, period_text
from tests.tables import in_turn

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

BOB = "bob@example.com"
LEVELS = {"global": ("@.", 0), "example.com": ("@example.com", 60), BOB: (BOB, 100)}


def _codes(store: Store) -> list[str]:
    """Return what `check` finds, but for what it says of every table of counters on MySQL."""
    return [finding.code for finding in store.check() if finding.code != "throttle-counter"]


def counter(rig: PolicyRig, tid: int, account: str, **values: int) -> int:
    given = {"period": 60, "cur_msgs": 3, "cur_quota": 4, "init_time": 5, **values}
    return rig.insert("throttle_tracking", tid=tid, account=account, **given)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_rows_are_those_that_iredapd_reads(pstore: Store, prig: PolicyRig, level: str, direction: Any) -> None:
    stored = pstore.throttles.set(level, direction, period="1h", msg_size="10M", max_msgs=20, max_quota="unlimited")
    assert stored == Throttle(
        level=level, direction=direction, period=3600, msg_size=Limit("limit", 10 << 20), max_msgs=Limit("limit", 20),
        max_quota=NO_LIMIT,
    )  # fmt: skip
    assert pstore.throttles.get(level, direction) == stored
    (row,) = prig.rows("throttle")
    del row["id"]
    key, priority = LEVELS[level]
    assert row == {
        "account": key, "kind": direction, "priority": priority, "period": 3600, "msg_size": 10485760, "max_msgs": 20,
        "max_quota": 0, "max_rcpts": -1,
    }  # fmt: skip


def test_counters_survive_a_change(pstore: Store, prig: PolicyRig) -> None:
    pstore.throttles.set(BOB, "outbound", period=60, max_msgs=20)
    (row,) = prig.rows("throttle")
    counter(prig, row["id"], BOB)
    pstore.throttles.set(BOB, "outbound", period=120, max_msgs=30, max_recipients=5)
    pstore.throttles.update(BOB, "outbound", max_quota="1G")
    (changed,) = prig.rows("throttle")
    assert changed["id"] == row["id"]
    limits = (changed["period"], changed["max_msgs"], changed["max_quota"], changed["max_rcpts"])
    assert limits == (120, 30, 1 << 30, 5)
    assert prig.rows("throttle_tracking")[0]["cur_msgs"] == 3
    pstore.throttles.reset(BOB)
    assert prig.rows("throttle_tracking") == []


def test_deleting_takes_the_counters_along(pstore: Store, prig: PolicyRig) -> None:
    for direction in ("inbound", "outbound"):
        pstore.throttles.set("example.com", direction, period=60, max_msgs=20)  # type: ignore[arg-type]
    inbound, outbound = prig.rows("throttle")
    counter(prig, inbound["id"], BOB)
    counter(prig, outbound["id"], BOB)
    pstore.throttles.delete("example.com", "inbound")
    assert [row["kind"] for row in prig.rows("throttle")] == ["outbound"]
    assert [row["tid"] for row in prig.rows("throttle_tracking")] == [outbound["id"]]
    assert pstore.throttles.get("example.com", "inbound") == Throttle(level="example.com", direction="inbound")
    pstore.throttles.delete("example.com", "inbound")


def test_doubles_become_one(prig: PolicyRig, pstore: Store) -> None:
    if prig.name == "mysql":
        pytest.skip("MySQL's table has a unique key")
    first, second = (prig.insert("throttle", account=BOB, kind="inbound", period=n, priority=100) for n in (1, 2))
    counter(prig, second, BOB)
    assert {finding.code for finding in pstore.check()} == {"throttle-double"}
    pstore.throttles.set(BOB, "inbound", period=60, max_msgs=7)
    assert [(row["id"], row["max_msgs"]) for row in prig.rows("throttle")] == [(first, 7)]
    assert prig.rows("throttle_tracking") == []


def test_each_limit_is_looked_for_by_itself(pstore: Store) -> None:
    pstore.throttles.set("global", "outbound", period="1d", msg_size="20M", max_msgs=1000, max_recipients=50)
    pstore.throttles.set("example.com", "outbound", period="1h", max_msgs=100, max_quota="unlimited")
    pstore.throttles.set(BOB, "outbound", period="10m", max_msgs="inherit", max_recipients="unlimited")
    effective = pstore.throttles.effective(BOB, "outbound")
    assert effective.max_msgs == Limit("limit", 100)
    assert effective.msg_size == Limit("limit", 20 << 20)
    assert (effective.max_quota, effective.max_recipients) == (NO_LIMIT, NO_LIMIT)
    assert effective.origins == {
        "max_msgs": Origin("example.com", 3600), "msg_size": Origin("global", 86400),
        "max_quota": Origin("example.com", 3600), "max_recipients": Origin(BOB, 600),
    }  # fmt: skip
    assert pstore.throttles.effective(BOB, "inbound").origins == {}
    assert pstore.throttles.effective(BOB, "inbound").max_msgs == NO_LIMIT


def test_unlimited_stops_and_inherit_goes_on(pstore: Store) -> None:
    pstore.throttles.set("example.com", "inbound", period=60, max_msgs=5)
    pstore.throttles.set(BOB, "inbound", period=60, max_msgs="unlimited")
    assert pstore.throttles.effective(BOB, "inbound").max_msgs == NO_LIMIT
    pstore.throttles.update(BOB, "inbound", max_msgs="inherit")
    assert pstore.throttles.effective(BOB, "inbound").max_msgs == Limit("limit", 5)


def test_period_0_switches_a_rule_off(pstore: Store, prig: PolicyRig) -> None:
    prig.insert("throttle", account=BOB, kind="inbound", period=0, priority=100, max_msgs=3)
    pstore.throttles.set("example.com", "inbound", period=60, max_msgs=5)
    assert pstore.throttles.effective(BOB, "inbound").max_msgs == Limit("limit", 5)
    assert _codes(pstore) == ["throttle-off"]


def test_the_stored_number_decides(pstore: Store, prig: PolicyRig) -> None:
    """A number of amavisd's scale beside iRedAPD's turns the order round."""
    pstore.throttles.set(BOB, "inbound", period=60, max_msgs=3)
    pstore.throttles.set("example.com", "inbound", period=60, max_msgs=5)
    prig.execute("throttle", "UPDATE throttle SET priority = 10 WHERE priority = 100")
    assert pstore.throttles.effective(BOB, "inbound").max_msgs == Limit("limit", 5)
    assert _codes(pstore) == ["policy-priority"]
    pstore.throttles.update(BOB, "inbound")
    assert pstore.throttles.effective(BOB, "inbound").max_msgs == Limit("limit", 3)


def test_rules_for_clients_alias_domains_and_domains_above(pstore: Store, prig: PolicyRig) -> None:
    pstore.domains.create("sub.example.net")
    pstore.domains.add_alias_domains("example.com", ["alias.example"])
    for account, limit in (("192.0.2.1", 1), ("@ip", 2), ("192.0.2.*", 3), ("@.example.net", 4), ("@example.com", 5)):
        values = {"priority": iredapd_priority(account), "period": 60, "max_msgs": limit}
        prig.insert("throttle", account=account, kind="inbound", **values)

    def limit_of(address: str, client: str | None = None) -> tuple[str, int]:
        effective = pstore.throttles.effective(address, "inbound", client=client)
        return effective.origins["max_msgs"].level, effective.max_msgs.value

    assert limit_of("a@sub.example.net") == ("@.example.net", 4)
    assert limit_of("bob@alias.example") == ("example.com", 5)
    assert limit_of(BOB, "192.0.2.1") == ("192.0.2.1", 1)
    assert limit_of(BOB, "192.0.2.9") == ("192.0.2.*", 3)
    assert limit_of("a@example.org", "2001:db8::1") == ("@ip", 2)


def test_keys_and_their_order() -> None:
    keys = ("u@sub.a.com", "@sub.a.com", "@.sub.a.com", "@.a.com", "@.com", "@.")
    assert iredapd_keys("u@sub.a.com") == keys
    assert [iredapd_priority(key) for key in keys] == [100, 60, 50, 50, 40, 0]
    assert [iredapd_priority(key) for key in ("u@*", "192.0.2.1", "192.0.2.*", "192.0.2.0/24", "@ip")] == [
        90,
        80,
        70,
        70,
        0,
    ]
    assert iredapd_keys("o'neil@a.com") == ("@.",)
    assert iredapd_keys("u@a.xn--vermgensberatung-pwb") == ("@.",)
    assert iredapd_keys("u@b.com", "a.com")[-4:] == ("u@a.com", "@a.com", "@.a.com", "@.com")


def test_throttles_for_foreign_senders_are_left_alone(pstore: Store, prig: PolicyRig) -> None:
    prig.insert("throttle", account="@bulk.example", kind="external", priority=60, period=60, max_msgs=3)
    assert _codes(pstore) == []
    assert list(pstore.throttles.list()) == []


@in_turn("period", [0, -1, "0h", "1w", "", 1 << 32, True, None])
def test_bad_periods(pstore: Store, prig: PolicyRig, period: Any) -> None:
    with pytest.raises(InvalidValue, match="period"):
        pstore.throttles.set(BOB, "inbound", period=period)
    assert prig.rows("throttle") == []


@in_turn(
    "limits", [{"msg_size": -2}, {"msg_size": 0}, {"max_msgs": "10M"}, {"max_msgs": -1}, {"max_quota": "much"},
               {"max_recipients": None}, {"max_quota": 1 << 63}, {"max_msgs": True}],
)  # fmt: skip
def test_bad_limits(pstore: Store, prig: PolicyRig, limits: Any) -> None:
    with pytest.raises(InvalidValue, match="limit"):
        pstore.throttles.set(BOB, "inbound", period=60, **limits)
    assert prig.rows("throttle") == []


def test_what_the_counters_cannot_hold(pstore: Store, prig: PolicyRig) -> None:
    """On MySQL a counter stops at 4 GiB: iRedAPD would fail to update it, and let everything through."""

    def change(**limits: Any) -> Throttle:
        return pstore.throttles.set(BOB, "inbound", period=60, **limits)

    for limits in ({"max_quota": "5G"}, {"max_quota": "4G"}, {"max_msgs": 16_777_000}):
        if prig.name == "mysql":
            with pytest.raises(InvalidValue, match="cannot enforce more than"):
                change(**limits)
        else:
            change(**limits)
    assert change(max_quota="3G", msg_size="8G").msg_size.value == 8 << 30


def test_other_bad_input(pstore: Store, prig: PolicyRig) -> None:
    wrong: Any = "sideways"
    with pytest.raises(InvalidValue, match="direction"):
        pstore.throttles.set(BOB, wrong, period=60)
    with pytest.raises(InvalidValue, match="give a period"):
        pstore.throttles.update(BOB, "inbound", max_msgs=3)
    unknown: Any = {"max_rcpts": 3}
    with pytest.raises(TypeError):
        pstore.throttles.set(BOB, "inbound", period=60, **unknown)
    for level in ("nobody@example.com", "bob@gone.example", "gone.example"):
        with pytest.raises(NotFound):
            pstore.throttles.set(level, "inbound", period=60)
    assert prig.rows("throttle") == []


def test_a_server_without_the_newest_column(prig: PolicyRig, pstore: Store) -> None:
    prig.execute("throttle", "ALTER TABLE throttle RENAME COLUMN max_rcpts TO max_rcpts_later")
    try:
        with prig.open() as old:
            assert old.throttles.set(BOB, "inbound", period=60, max_msgs=4).max_recipients == INHERIT
            with pytest.raises(InvalidValue.__base__, match="max_rcpts"):  # type: ignore[arg-type]
                old.throttles.update(BOB, "inbound", max_recipients=4)
    finally:
        prig.execute("throttle", "ALTER TABLE throttle RENAME COLUMN max_rcpts_later TO max_rcpts")


def test_admins_and_lists(pstore: Store) -> None:
    pstore.admins.create("admin@example.net", password="secret", domains=["example.com"])
    mine = pstore.acting_as("admin@example.net")
    mine.throttles.set("example.com", "inbound", period=60, max_msgs=4)
    with pytest.raises(PermissionDenied):
        mine.throttles.set("global", "inbound", period=60)
    with pytest.raises(NotFound):
        mine.throttles.get("example.org", "inbound")
    with pytest.raises(NotFound):
        mine.throttles.reset("x@example.org")
    pstore.throttles.set("global", "inbound", period=60)
    assert [throttle.level for throttle in pstore.throttles.list()] == ["example.com", "global"]


def test_values_as_text() -> None:
    assert [period_text(parse_period(text)) for text in ("90s", "15m", "3600", "7d", "1H")] == [
        "90s",
        "15m",
        "1h",
        "7d",
        "1h",
    ]
    assert str(Limit.parse("10M", in_bytes=True)) == "10M"
    assert str(Limit.parse("20")) == "20"
    assert [str(Limit.parse(text)) for text in ("inherit", "unlimited")] == ["inherit", "unlimited"]
