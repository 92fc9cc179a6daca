"""White- and blacklists: what is stored, and what the readers make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Edit, InvalidValue, NotFound, NotSupported, PermissionDenied
from mailstore.policies import AccessList, AccessVerdict
from tests.tables import in_turn

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

BOB = "bob@example.com"
LEVELS = {"global": ("@.", 0), "example.com": ("@example.com", 5), BOB: (BOB, 10)}
PEERS = {"a@b.org": 10, "192.0.2.1": 9, "192.0.2.0/24": 7, "@b.org": 5, "@.b.org": 3, "@.org": 2, "@.": 0}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_rows_are_those_that_the_readers_ask_for(pstore: Store, prig: PolicyRig, level: str, direction: Any) -> None:
    # iRedAPD compares addresses of clients with senders only.
    wanted = {peer: rank for peer, rank in PEERS.items() if direction == "inbound" or "@" in peer}
    stored = pstore.access_lists.set(level, direction, whitelist=list(wanted), blacklist=["x@y.org"])
    assert stored == AccessList(
        level=level, direction=direction, whitelist=tuple(sorted(wanted)), blacklist=("x@y.org",)
    )
    key, priority = LEVELS[level]
    (user,) = prig.rows("users")
    assert (user["email"], user["priority"], user["policy_id"]) == (key, priority, 0)
    peers = {row["id"]: (row["email"], row["priority"]) for row in prig.rows("mailaddr")}
    assert dict(peers.values()) == {**wanted, "x@y.org": 10}
    table, mine, peer = ("wblist", "rid", "sid") if direction == "inbound" else ("outbound_wblist", "sid", "rid")
    rows = prig.rows(table)
    assert {row[mine] for row in rows} == {user["id"]}
    marks = {peers[row[peer]][0]: row["wb"] for row in rows}
    assert marks == {**dict.fromkeys(wanted, "W"), "x@y.org": "B"}
    assert prig.rows("outbound_wblist" if table == "wblist" else "wblist") == []


def test_edits_and_changes_of_colour(pstore: Store, prig: PolicyRig) -> None:
    change = pstore.access_lists.set
    change(BOB, "inbound", whitelist=["a@b.org", "c@d.org"], blacklist=["e@f.org"])
    assert change(BOB, "inbound", whitelist=Edit(add=["e@f.org"], remove=["a@b.org"])).whitelist == (
        "c@d.org",
        "e@f.org",
    )
    assert pstore.access_lists.get(BOB, "inbound").blacklist == ()
    stored = change(BOB, "inbound", whitelist=["c@d.org"], blacklist=["g@h.org"])
    assert (stored.whitelist, stored.blacklist) == (("c@d.org",), ("g@h.org",))
    assert change(BOB, "inbound", blacklist=()).whitelist == ("c@d.org",)
    assert change(BOB, "inbound", whitelist=Edit(remove=["never@there.org"])).whitelist == ("c@d.org",)
    with pytest.raises(InvalidValue, match="cannot be on"):
        change(BOB, "inbound", whitelist=["x@y.org"], blacklist=["X@y.org"])
    pstore.access_lists.delete(BOB, "outbound")
    pstore.access_lists.delete(BOB, "inbound")
    assert prig.rows("users") == prig.rows("wblist") == []
    assert "c@d.org" in {row["email"] for row in prig.rows("mailaddr")}  # upstream's job removes what is unused


def test_entries_with_scores_are_left_alone(pstore: Store, prig: PolicyRig) -> None:
    pstore.access_lists.set(BOB, "inbound", whitelist=["a@b.org"])
    peer = prig.insert("mailaddr", email="s@core.org", priority=10)
    prig.insert("wblist", rid=prig.rows("users")[0]["id"], sid=peer, wb="-5.5")
    stored = pstore.access_lists.set(BOB, "inbound", whitelist=(), blacklist=())
    assert stored == AccessList(level=BOB, direction="inbound", custom={"s@core.org": "-5.5"})
    pstore.access_lists.delete(BOB, "inbound")
    assert pstore.access_lists.get(BOB, "inbound").custom == {"s@core.org": "-5.5"}
    assert pstore.access_lists.set(BOB, "inbound", blacklist=["s@core.org"]).blacklist == ("s@core.org",)


def test_a_foreign_priority_is_put_right(pstore: Store, prig: PolicyRig) -> None:
    prig.insert("users", email=BOB, priority=7, policy_id=0)
    prig.insert("mailaddr", email="@b.org", priority=7)
    assert {finding.code for finding in pstore.check()} == {"policy-priority"}
    pstore.access_lists.set(BOB, "inbound", whitelist=["@b.org"])
    assert prig.rows("users")[0]["priority"] == 10
    assert prig.rows("mailaddr")[0]["priority"] == 5


@in_turn("name", ["b.org", "user@*", "192.0.2.*", "0.0.0.0/0", "2001:db8::/32", "", 7])
def test_what_nobody_would_find_is_refused(pstore: Store, prig: PolicyRig, name: Any) -> None:
    for lists in ({"whitelist": [name]}, {"blacklist": Edit(add=[name])}):
        with pytest.raises(InvalidValue):
            pstore.access_lists.set(BOB, "inbound", **lists)
    assert prig.rows("users") == prig.rows("mailaddr") == []


def test_the_nearest_owner_then_the_nearest_peer_decides(pstore: Store) -> None:
    change, effective = pstore.access_lists.set, pstore.access_lists.effective
    assert effective(BOB, "inbound", peer="a@b.org") == AccessVerdict("none")
    change("global", "inbound", whitelist=["a@b.org"])
    change("example.com", "inbound", blacklist=["@b.org"])
    assert effective(BOB, "inbound", peer="A@b.org") == AccessVerdict("reject", "example.com", "@b.org")
    change(BOB, "inbound", whitelist=["@.b.org"], blacklist=["c@b.org"])
    accepted = AccessVerdict("accept", BOB, "@.b.org", after_greylisting=True)
    assert effective(BOB, "inbound", peer="a@b.org") == accepted
    assert effective(BOB, "inbound", peer="c@b.org") == AccessVerdict("reject", BOB, "c@b.org")
    change(BOB, "outbound", blacklist=["@."], whitelist=["@b.org"])
    assert effective(BOB, "outbound", peer="x@b.org").verdict == "accept"
    assert effective(BOB, "outbound", peer="x@c.org") == AccessVerdict("reject", BOB, "@.")


def test_networks_come_after_everything_else(pstore: Store) -> None:
    change, effective = pstore.access_lists.set, pstore.access_lists.effective
    change(BOB, "inbound", whitelist=["192.0.2.0/24", "198.51.100.1"])
    accepted = AccessVerdict("accept", BOB, "192.0.2.0/24", after_greylisting=True)
    assert effective(BOB, "inbound", peer="a@b.org", client="192.0.2.7") == accepted
    change(BOB, "inbound", blacklist=["@."])
    assert effective(BOB, "inbound", peer="a@b.org", client="192.0.2.7") == AccessVerdict("reject", BOB, "@.")
    assert effective(BOB, "inbound", peer="a@b.org", client="198.51.100.1").verdict == "accept"


def test_rights_and_levels(pstore: Store) -> None:
    pstore.admins.create("admin@example.net", password="secret", domains=["example.com"])
    mine = pstore.acting_as("admin@example.net")
    mine.access_lists.set("example.com", "inbound", whitelist=["a@b.org"])
    with pytest.raises(PermissionDenied):
        mine.access_lists.set("global", "inbound", whitelist=["a@b.org"])
    for level in ("example.org", "nobody@example.com"):
        with pytest.raises(NotFound):
            mine.access_lists.set(level, "inbound", whitelist=["a@b.org"])
    pstore.aliases.create("sales@example.com", members=[BOB])
    pstore.access_lists.set("sales@example.com", "inbound", blacklist=["a@b.org"])  # iRedAPD asks before the expansion


def test_a_server_without_outbound_lists(prig: PolicyRig, pstore: Store) -> None:
    prig.execute("users", "ALTER TABLE outbound_wblist RENAME TO outbound_wblist_later")
    try:
        with prig.open() as old:
            old.access_lists.set(BOB, "inbound", whitelist=["a@b.org"])
            with pytest.raises(NotSupported, match="outbound_wblist"):
                old.access_lists.set(BOB, "outbound", whitelist=["a@b.org"])
            old.accounts.delete(BOB)
            assert prig.rows("users") == []
    finally:
        prig.execute("users", "ALTER TABLE outbound_wblist_later RENAME TO outbound_wblist")
