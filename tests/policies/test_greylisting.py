"""Greylisting: what is stored, and what iRedAPD makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Edit, InvalidValue, NotFound, PermissionDenied
from mailstore.driver.policy_keys import iredapd_priority
from mailstore.policies import GreylistingSetting, GreylistingVerdict
from tests.policies.rig import shipped
from tests.tables import in_turn

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

BOB = "bob@example.com"
LEVELS = {"global": ("@.", 0), "example.com": ("@example.com", 60), BOB: (BOB, 100)}
CLIENT = {"sender": "a@b.org", "client": "192.0.2.7"}


@in_turn("level", LEVELS)
@in_turn("enabled", [True, False])
def test_rows_are_those_that_iredapd_reads(pstore: Store, prig: PolicyRig, level: str, enabled: bool) -> None:
    assert pstore.greylisting.set(level, enabled=not enabled).enabled is not enabled
    assert pstore.greylisting.set(level, enabled=enabled) == GreylistingSetting(level=level, enabled=enabled)
    (row,) = prig.rows("greylisting")
    del row["id"]
    key, priority = LEVELS[level]
    assert row == {
        "account": key, "priority": priority, "sender": "@.", "sender_priority": 0, "comment": "",
        "active": int(enabled),
    }  # fmt: skip
    pstore.greylisting.delete(level)
    pstore.greylisting.delete(level)
    assert prig.rows("greylisting") == []
    assert pstore.greylisting.get(level).enabled is None


def test_exceptions_of_other_tools_stay(pstore: Store, prig: PolicyRig) -> None:
    prig.insert("greylisting", account=BOB, priority=100, sender="@b.org", sender_priority=60, active=0)
    stored = pstore.greylisting.set(BOB, enabled=True)
    assert stored.exceptions == {"@b.org": False}
    pstore.greylisting.delete(BOB)
    assert pstore.greylisting.get(BOB) == GreylistingSetting(level=BOB, exceptions={"@b.org": False})
    prig.execute("greylisting", "UPDATE greylisting SET active = 2")
    assert pstore.greylisting.get(BOB).exceptions == {"@b.org": False}


def test_whitelists(pstore: Store, prig: PolicyRig) -> None:
    prig.insert("greylisting_whitelists", account=BOB, sender="c@d.org", comment="AUTO-WHITELISTED")
    names = ["A@B.org", "@b.org", "@.b.org", "@.", "192.0.2.1", "192.0.2.77/24", "2620:0:2d0::/48", "2001:DB8::1"]
    stored = pstore.greylisting.set(BOB, whitelist=names)
    assert stored.whitelist == tuple(
        sorted(["a@b.org", "@b.org", "@.b.org", "@.", "192.0.2.1", "192.0.2.0/24", "2620:0:2d0::/48", "2001:db8::1"])
    )
    assert stored.enabled is None
    assert pstore.greylisting.set(BOB, whitelist=Edit(add=["x@y.org"], remove=["@."])).whitelist == tuple(
        sorted({*stored.whitelist, "x@y.org"} - {"@."})
    )
    assert pstore.greylisting.set(BOB, whitelist=["@b.org"]).whitelist == ("@b.org",)
    assert len(prig.rows("greylisting_whitelists", comment="AUTO-WHITELISTED")) == 1
    assert pstore.greylisting.set(BOB, whitelist=Edit(add=["c@d.org"])).whitelist == ("@b.org", "c@d.org")
    assert prig.rows("greylisting_whitelists", comment="AUTO-WHITELISTED") == []
    assert pstore.greylisting.set(BOB, whitelist=()).whitelist == ()
    assert prig.rows("greylisting_whitelists") == []


@in_turn("name", ["b.org", "user@*", "192.0.2.*", "0.0.0.0/0", "2620:0:2d0:200::8/125", "2000::/3", "", 7])
def test_what_iredapd_would_never_find_is_refused(pstore: Store, prig: PolicyRig, name: Any) -> None:
    with pytest.raises(InvalidValue):
        pstore.greylisting.set(BOB, enabled=True, whitelist=[name])
    assert prig.rows("greylisting") == prig.rows("greylisting_whitelists") == []


def test_domains_by_their_spf_record(pstore: Store, prig: PolicyRig) -> None:
    assert pstore.greylisting.set_spf_domains(["B.org", "c.org"]) == ("b.org", "c.org")
    for comment in ("AUTO-UPDATE: b.org", "AUTO-UPDATE: c.org"):
        prig.insert("greylisting_whitelist_domain_spf", account="@.", sender=comment[-5:], comment=comment)
    assert pstore.greylisting.set_spf_domains(Edit(add=["d.org"], remove=["b.org"])) == ("c.org", "d.org")
    assert pstore.greylisting.spf_domains() == ("c.org", "d.org")
    assert [row["comment"] for row in prig.rows("greylisting_whitelist_domain_spf")] == ["AUTO-UPDATE: c.org"]


def test_no_row_is_off_and_the_nearest_row_decides(pstore: Store, prig: PolicyRig) -> None:
    effective = pstore.greylisting.effective
    assert effective(BOB, **CLIENT) == GreylistingVerdict(False)
    shipped(prig)
    assert effective(BOB, **CLIENT) == GreylistingVerdict(True, "global", "@.")
    pstore.greylisting.set("example.com", enabled=False)
    assert effective(BOB, **CLIENT) == GreylistingVerdict(False, "example.com", "@.")
    pstore.greylisting.set(BOB, enabled=True)
    assert effective(BOB, **CLIENT) == GreylistingVerdict(True, BOB, "@.")
    assert effective("eve@example.com", **CLIENT) == GreylistingVerdict(False, "example.com", "@.")


@in_turn(
    ("sender", "number", "client", "found"),
    [
        ("a@b.org", 100, "192.0.2.7", True), ("@b.org", 60, "192.0.2.7", True), ("@.org", 40, "192.0.2.7", True),
        ("@c.org", 60, "192.0.2.7", False), ("192.0.2.7", 80, "192.0.2.7", True), ("192.0.2.0/24", 70, "192.0.2.7", True),
        ("192.0.2.0/24", 0, "192.0.2.7", False),  # what upstream's own tool writes: seen as no network
        ("192.0.3.0/24", 70, "192.0.2.7", False), ("192.0.2.*", 70, "192.0.2.7", False),
        ("2001:db8::/32", 70, "2001:db8::1", False),  # only networks of IPv4 work here
    ],
)  # fmt: skip
def test_which_senders_an_exception_meets(
    pstore: Store, prig: PolicyRig, sender: str, number: int, client: str, found: bool
) -> None:
    pstore.greylisting.set(BOB, enabled=True)
    prig.insert("greylisting", account=BOB, priority=100, sender=sender, sender_priority=number, active=0)
    verdict = pstore.greylisting.effective(BOB, sender="a@b.org", client=client)
    exception = GreylistingVerdict(False, BOB, sender)
    assert verdict == (exception if found and number else GreylistingVerdict(True, BOB, "@."))
    prig.execute("greylisting", "DELETE FROM greylisting WHERE sender <> '@.'")


def test_the_recipient_outranks_the_sender(pstore: Store, prig: PolicyRig) -> None:
    pstore.greylisting.set(BOB, enabled=True)
    prig.insert("greylisting", account="@example.com", priority=60, sender="a@b.org", sender_priority=100, active=0)
    assert pstore.greylisting.effective(BOB, **CLIENT).greylisted
    assert not pstore.greylisting.effective("eve@example.com", **CLIENT).greylisted


@in_turn(
    ("entry", "client", "found"),
    [
        ("a@b.org", "192.0.2.7", True), ("@.b.org", "192.0.2.7", True), ("@.", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.2.7", True), ("192.0.2.1/24", "192.0.2.7", False),  # bits of the host: not understood
        ("2620:0:2d0::/48", "2620:0:2d0:1::1", True), ("2620:0:2d0:200::7/128", "2620:0:2d0:200::7", False),
        ("192.0.2.*", "192.0.2.7", False), ("b.org", "192.0.2.7", False), ("2001:db8::1", "2001:DB8::1", True),
    ],
)  # fmt: skip
@in_turn("table", ["greylisting_whitelists", "greylisting_whitelist_domain_spf"])
def test_which_senders_a_whitelist_meets(
    pstore: Store, prig: PolicyRig, table: str, entry: str, client: str, found: bool
) -> None:
    pstore.greylisting.set(BOB, enabled=True)
    prig.insert(table, account="@example.com", sender=entry)
    verdict = pstore.greylisting.effective(BOB, sender="A@B.org", client=client)
    expected = GreylistingVerdict(False, "example.com", entry, whitelisted=True)
    assert verdict == (expected if found else GreylistingVerdict(True, BOB, "@."))
    prig.execute(table, f"DELETE FROM {table}")  # noqa: S608


def test_networks_get_the_number_that_iredapd_looks_for() -> None:
    assert iredapd_priority("192.0.2.0/24") == 70


def test_limits_rights_and_levels(pstore: Store, prig: PolicyRig) -> None:
    pstore.admins.create("admin@example.net", password="secret", domains=["example.com"])
    mine = pstore.acting_as("admin@example.net")
    mine.greylisting.set("example.com", enabled=True, whitelist=["@b.org"])
    with pytest.raises(PermissionDenied):
        mine.greylisting.set("global", enabled=False)
    with pytest.raises(PermissionDenied):
        mine.greylisting.set_spf_domains(["b.org"])
    with pytest.raises(NotFound):
        mine.greylisting.set("example.org", enabled=True)
    with pytest.raises(NotFound):
        pstore.greylisting.set("nobody@example.com", enabled=True)
    long = f"{'x' * 60}@{'y' * 60}.org"
    if prig.name == "mysql":
        with pytest.raises(InvalidValue):
            pstore.greylisting.set(BOB, whitelist=[long])
    else:
        pstore.greylisting.set(BOB, whitelist=[long])
    wrong: Any = {"enabled": "enable"}
    with pytest.raises(InvalidValue, match="enabled"):
        pstore.greylisting.set(BOB, **wrong)
    with pytest.raises(InvalidValue, match="IP address"):
        pstore.greylisting.effective(BOB, sender="a@b.org", client="localhost")


def test_list(pstore: Store) -> None:
    pstore.greylisting.set(BOB, enabled=True)
    pstore.greylisting.set("example.com", whitelist=["@b.org"])
    assert list(pstore.greylisting.list()) == [
        GreylistingSetting(level="example.com", whitelist=("@b.org",)), GreylistingSetting(level=BOB, enabled=True),
    ]  # fmt: skip
