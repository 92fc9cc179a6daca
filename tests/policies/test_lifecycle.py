"""Accounts, aliases and domains that go, change their name or come back: what they had beside the store keeps to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability, Edit, NotFound
from mailstore.policies import SpamPolicy
from tests.policies.conftest import EVERYWHERE, READY
from tests.policies.rig import shipped

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

pytestmark = EVERYWHERE
BOB, NEW, EVE = "bob@example.com", "robert@example.org", "eve@example.com"


def furnish(store: Store, rig: PolicyRig, level: str, number: int = 7) -> None:
    """Give a level something in every table."""
    key = f"@{level}" if "@" not in level else level
    store.spam_policies.set(level, spam_score=number)
    for direction in ("inbound", "outbound"):
        wanted: Any = direction
        store.access_lists.set(level, wanted, whitelist=["a@b.org"], blacklist=[f"{number}@c.org"])
        store.throttles.set(level, wanted, period=60, max_msgs=number)
    store.greylisting.set(level, enabled=True, whitelist=["@d.org"])
    prig_rules = [row["id"] for row in rig.rows("throttle", account=key)]
    for tid in prig_rules:
        counted(rig, tid, key, number)
    rig.insert("greylisting", account=key, priority=rig.rows("greylisting", account=key)[0]["priority"],
               sender="@e.org", sender_priority=60, active=0)  # fmt: skip


def counted(rig: PolicyRig, tid: int, account: str, number: int) -> None:
    rig.insert("throttle_tracking", tid=tid, account=account, period=60, cur_msgs=number, cur_quota=1, init_time=2)


def content(store: Store, rig: PolicyRig, level: str) -> dict[str, Any]:
    """Return everything that a level has, as its readers see it, without numbers of rows."""
    shown: dict[str, Any] = {"policy": store.spam_policies.get(level), "greylisting": store.greylisting.get(level)}
    rules = {row["id"]: row["kind"] for row in rig.rows("throttle")}
    for direction in ("inbound", "outbound"):
        wanted: Any = direction
        shown[f"{direction} lists"] = store.access_lists.get(level, wanted)
        shown[direction] = store.throttles.get(level, wanted)
    key = f"@{level}" if "@" not in level else level
    counters = rig.rows("throttle_tracking", account=key)
    shown["counters"] = sorted((rules[row["tid"]], row["cur_msgs"], row["init_time"]) for row in counters)
    return {name: str(value).replace(level, "LEVEL") for name, value in shown.items()}


def mentions(rig: PolicyRig, text: str) -> list[str]:
    """Return the tables whose rows mention a text."""
    return sorted(table for table, rows in rig.everything().items() if text in str(rows))


@pytest.fixture
def transactions(pstore: Store) -> None:
    """Skip the test where the store has none."""
    if Capability.TRANSACTIONS not in pstore.capabilities:
        pytest.skip(f"{pstore.name} has no transactions")


@pytest.fixture
def nothing(pstore: Store, prig: PolicyRig) -> dict[str, Any]:
    """What an account has that nobody gave anything."""
    return content(pstore, prig, EVE)


def test_deleting_an_account_removes_everything_of_it(pstore: Store, prig: PolicyRig) -> None:
    shipped(prig)
    furnish(pstore, prig, EVE)
    furnish(pstore, prig, "example.com")
    before = prig.everything()
    furnish(pstore, prig, BOB, 9)
    rule = prig.rows("throttle", account="@example.com")[0]["id"]
    counted(prig, rule, BOB, 3)
    assert len(mentions(prig, BOB)) == 6
    pstore.accounts.delete(BOB)
    assert mentions(prig, BOB) == []
    after = prig.everything()
    assert {row["email"] for row in after.pop("mailaddr")} == {"a@b.org", "7@c.org", "9@c.org"}  # others may use them
    assert after == {name: rows for name, rows in before.items() if name != "mailaddr"}


def test_renaming_takes_everything_along(pstore: Store, prig: PolicyRig) -> None:
    furnish(pstore, prig, BOB)
    furnish(pstore, prig, "example.com", 3)
    prig.execute("users", "UPDATE users SET fullname = 'kept' WHERE priority = 10")
    rule = prig.rows("throttle", account="@example.com")[0]["id"]
    counted(prig, rule, BOB, 5)
    shared = prig.rows("policy", policy_name=BOB)[0]["id"]
    prig.insert("users", email=EVE, priority=10, policy_id=shared)
    had = content(pstore, prig, BOB)
    pstore.accounts.rename(BOB, NEW)
    assert content(pstore, prig, NEW) == had
    assert mentions(prig, BOB) == []
    assert prig.rows("users", email=NEW)[0]["fullname"] == "kept"
    assert pstore.spam_policies.get(EVE).spam_score == 7
    assert prig.rows("users", email=EVE)[0]["policy_id"] == prig.rows("policy", policy_name=EVE)[0]["id"]
    assert prig.rows("throttle_tracking", tid=rule, account=NEW)[0]["cur_msgs"] == 5


def test_a_renamed_account_does_not_get_what_a_former_holder_had(pstore: Store, prig: PolicyRig) -> None:
    leave(prig, NEW)
    pstore.spam_policies.set(BOB, spam_score=4)
    pstore.accounts.rename(BOB, NEW)
    assert pstore.spam_policies.get(NEW) == SpamPolicy(level=NEW, spam_score=4)
    assert mentions(prig, "former") == []
    leave(prig, "eve2@example.org")
    pstore.accounts.rename(EVE, "eve2@example.org")
    assert mentions(prig, "eve2@example.org") == ["mailaddr"]  # others may have that address in their lists


def leave(rig: PolicyRig, address: str) -> None:
    """Leave behind what other tools do not clean up: they only delete accounts."""
    policy = rig.insert("policy", policy_name=address, spam_lover="N", spam_quarantine_to="former")
    user = rig.insert("users", email=address, priority=10, policy_id=policy)
    peer = rig.insert("mailaddr", email=f"friend-of-{address}", priority=10)
    rig.insert("wblist", rid=user, sid=peer, wb="W")
    rig.insert("outbound_wblist", rid=peer, sid=user, wb="B")
    rule = rig.insert("throttle", account=address, kind="outbound", priority=100, period=60, max_msgs=1)
    counted(rig, rule, address, 1)
    rig.insert("greylisting", account=address, priority=100, sender="@.", active=0)
    rig.insert("greylisting_whitelists", account=address, sender="former@b.org")
    rig.execute("mailaddr", "DELETE FROM mailaddr WHERE priority = 10 AND id NOT IN (SELECT sid FROM wblist)")


HOLDERS: dict[str, Callable[[Store], Any]] = {
    "account": lambda store: store.accounts.create("carl@example.com", password_hash=READY),
    "accounts": lambda store: store.accounts.create_many([{"address": "carl@example.com", "password_hash": READY}]),
    "alias": lambda store: store.aliases.create("carl@example.com", members=[BOB]),
    "new per-account alias": lambda store: store.accounts.create(
        "dora@example.com", password_hash=READY, aliases=["carl@example.com"]
    ),
    "per-account alias": lambda store: store.accounts.update(BOB, aliases=Edit(add=["carl@example.com"])),
}


@pytest.mark.parametrize("how", HOLDERS)
def test_a_new_holder_of_a_name_starts_with_nothing(
    pstore: Store, prig: PolicyRig, nothing: dict[str, Any], how: str
) -> None:
    leave(prig, "carl@example.com")
    assert {finding.subject for finding in pstore.check() if finding.severity == "error"} == {"carl@example.com"}
    HOLDERS[how](pstore)
    assert content(pstore, prig, "carl@example.com") == nothing
    assert set(mentions(prig, "carl@example.com")) == {"mailaddr"}


def test_a_restored_account_starts_with_nothing(pstore: Store, prig: PolicyRig) -> None:
    record = pstore.accounts.delete(BOB)
    assert record is not None
    leave(prig, BOB)
    pstore.deleted.restore(record.id)
    assert set(mentions(prig, BOB)) == {"mailaddr"}


def test_a_domain_goes_with_all_that_is_below_it(pstore: Store, prig: PolicyRig) -> None:
    for domain in ("my.example.org", "myexample.org", "example.org.net"):
        pstore.domains.create(domain)
        pstore.accounts.create(f"u@{domain}", password_hash=READY)
        furnish(pstore, prig, f"u@{domain}")
        furnish(pstore, prig, domain)
    furnish(pstore, prig, EVE)
    pstore.domains.add_alias_domains("example.org", ["alias.example"])
    before = {name: rows for name, rows in prig.everything().items() if name != "mailaddr"}
    for address in ("v@example.org", "w@example.org"):
        pstore.accounts.create(address, password_hash=READY)
        furnish(pstore, prig, address)
    furnish(pstore, prig, "example.org")
    pstore.greylisting.set("alias.example", enabled=False)
    pstore.domains.delete("example.org")
    assert {name: rows for name, rows in prig.everything().items() if name != "mailaddr"} == before


def test_a_new_domain_starts_with_nothing(pstore: Store, prig: PolicyRig) -> None:
    for address in ("x@new.example", "y@new.example", "z@alias.example"):
        leave(prig, address)
    prig.insert("greylisting", account="@new.example", sender="@.", priority=60, active=0)
    pstore.domains.create("new.example")
    assert set(mentions(prig, "@new.example")) == {"mailaddr"}
    pstore.domains.add_alias_domains("new.example", ["alias.example"])
    assert set(mentions(prig, "@alias.example")) == {"mailaddr"}
    pstore.greylisting.set("alias.example", enabled=True)
    pstore.domains.remove_alias_domains("new.example", ["alias.example"])
    assert prig.rows("greylisting") == []


def test_aliases_that_go(pstore: Store, prig: PolicyRig) -> None:
    pstore.aliases.create("sales@example.com", members=[BOB])
    pstore.accounts.add_aliases(BOB, ["bobby@example.com", "rob@example.com"])
    for address in ("sales@example.com", "bobby@example.com", "rob@example.com"):
        pstore.throttles.set(address, "inbound", period=60, max_msgs=3)
    pstore.aliases.rename("sales@example.com", "info@example.com")
    assert [row["account"] for row in prig.rows("throttle")][-1] == "info@example.com"
    pstore.accounts.remove_aliases(BOB, ["bobby@example.com"])
    pstore.aliases.delete("info@example.com")
    assert [row["account"] for row in prig.rows("throttle")] == ["rob@example.com"]
    pstore.accounts.delete(BOB)
    assert prig.rows("throttle") == []


def test_aliases_in_other_domains_go_with_the_domain_of_their_account(pstore: Store, prig: PolicyRig) -> None:
    pstore.accounts.create("w@example.org", password_hash=READY, aliases=["ww@example.com", "www@example.org"])
    for address in ("ww@example.com", "www@example.org", BOB):
        pstore.throttles.set(address, "inbound", period=60, max_msgs=3)
    pstore.domains.delete("example.org", keep_mailbox_days=0)
    assert [row["account"] for row in prig.rows("throttle")] == [BOB]


@pytest.mark.usefixtures("transactions")
def test_several_changes_in_one_transaction(pstore: Store, prig: PolicyRig) -> None:
    pstore.spam_policies.set(BOB, spam_score=4)
    with pstore.transaction():
        pstore.accounts.delete(BOB)
        pstore.accounts.create(BOB, password_hash=READY)
        pstore.throttles.set(BOB, "inbound", period=60, max_msgs=3)
        pstore.spam_policies.set(EVE, spam_score=5)
        assert pstore.spam_policies.get(EVE).spam_score == 5
    assert pstore.spam_policies.get(BOB) == SpamPolicy(level=BOB)
    assert pstore.throttles.get(BOB, "inbound").max_msgs.value == 3
    with pstore.transaction():
        pstore.accounts.rename(EVE, "eve2@example.com")
        pstore.accounts.rename("eve2@example.com", "eve3@example.com")
        pstore.accounts.rename(BOB, EVE)
    assert pstore.spam_policies.get("eve3@example.com").spam_score == 5
    assert pstore.spam_policies.get(EVE) == SpamPolicy(level=EVE)
    assert pstore.throttles.get(EVE, "inbound").max_msgs.value == 3


@pytest.mark.usefixtures("transactions")
def test_a_transaction_that_fails_changes_nothing(pstore: Store, prig: PolicyRig) -> None:
    furnish(pstore, prig, BOB)
    leave(prig, NEW)
    before = prig.everything()

    def everything_and_fail() -> None:
        with pstore.transaction():
            pstore.spam_policies.set(EVE, spam_score=5)
            pstore.throttles.delete(BOB, "inbound")
            pstore.accounts.rename(BOB, NEW)
            pstore.accounts.delete(EVE)
            raise KeyError

    with pytest.raises(KeyError):
        everything_and_fail()
    assert prig.everything() == before
    assert pstore.accounts.exists(BOB)
    pstore.accounts.create(NEW, password_hash=READY)


@pytest.mark.usefixtures("transactions")
def test_a_deletion_in_a_transaction_comes_about_at_its_end(pstore: Store, prig: PolicyRig) -> None:
    pstore.spam_policies.set(BOB, spam_score=4)
    with pstore.transaction():
        pstore.accounts.delete(BOB)
        assert len(prig.rows("policy")) == 1
    assert prig.rows("policy") == []


def test_what_is_gone_can_be_cleared_by_hand(pstore: Store, prig: PolicyRig) -> None:
    leave(prig, "gone@example.com")
    pstore.spam_policies.delete("gone@example.com")
    for direction in ("inbound", "outbound"):
        wanted: Any = direction
        pstore.throttles.delete("gone@example.com", wanted)
        pstore.access_lists.delete("gone@example.com", wanted)
    pstore.greylisting.delete("gone@example.com")
    prig.execute("throttle", "DELETE FROM greylisting_whitelists")
    assert mentions(prig, "gone@example.com") == ["mailaddr"]


def test_deleting_again_finishes_what_was_interrupted(pstore: Store, prig: PolicyRig) -> None:
    leave(prig, "gone@example.com")
    leave(prig, "x@gone.example")
    with pytest.raises(NotFound):
        pstore.accounts.delete("gone@example.com")
    assert mentions(prig, "gone@example.com") == ["mailaddr"]
    with pytest.raises(NotFound):
        pstore.domains.delete("gone.example")
    assert mentions(prig, "x@gone.example") == ["mailaddr"]
    leave(prig, "sales@example.com")
    with pytest.raises(NotFound):
        pstore.accounts.rename("sales@example.com", "z@example.com")
    assert mentions(prig, "sales@example.com") == ["mailaddr"]


def test_who_may_not_delete_cannot_clear_either(pstore: Store, prig: PolicyRig) -> None:
    leave(prig, "gone@example.org")
    pstore.admins.create("admin@example.net", password="secret", domains=["example.com"])
    mine = pstore.acting_as("admin@example.net")
    with pytest.raises(NotFound):
        mine.accounts.delete("gone@example.org")
    assert len(mentions(prig, "gone@example.org")) > 4
    pstore.accounts.create("gone@example.org", password_hash=READY)


def test_findings(pstore: Store, prig: PolicyRig) -> None:
    dangling = prig.insert("users", email=BOB, priority=10, policy_id=4711)
    prig.insert("policy", policy_name=EVE, spam_lover="Y")
    lost = prig.insert("policy", policy_name="@example.com", spam_lover="N", spam_quarantine_to="", spam_tag2_level=3)
    prig.insert("users", email="@example.com", priority=5, policy_id=lost)
    prig.insert("wblist", rid=dangling, sid=815, wb="W")
    prig.insert("users", email="@.example.com", priority=3, policy_id=0)
    found = {(finding.code, finding.subject, finding.severity) for finding in pstore.check()}
    assert found == {
        ("policy-link", BOB, "notice"), ("policy-link", EVE, "error"), ("policy-loses-mail", "example.com", "error"),
        ("policy-scores", "example.com", "notice"), ("list-link", "wblist.sid 815", "error"),
    }  # fmt: skip
    for table in ("wblist", "users", "policy"):
        prig.execute(table, f"DELETE FROM {table}")  # noqa: S608
