"""Settings that said one thing while the daemons did another: what iRedAPD and amavisd make of them is what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Edit, InvalidValue
from mailstore.policies import GreylistingVerdict, Limit
from tests.tables import in_turn

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

BOB = "bob@example.com"
CLIENT = "192.0.2.7"


def _listed(prig: PolicyRig, owner: str, peer: str, mark: str, *, rank: int = 10, table: str = "wblist") -> None:
    """Put an entry into a list as another tool would."""
    users = {row["email"]: row["id"] for row in prig.rows("users")}
    user = users.get(owner) or prig.insert("users", email=owner, priority=0 if owner == "@." else 10, policy_id=0)
    peer_id = prig.insert("mailaddr", email=peer, priority=rank)
    mine, theirs = ("rid", "sid") if table == "wblist" else ("sid", "rid")
    prig.insert(table, **{mine: user, theirs: peer_id, "wb": mark})


class TestExtensions:
    """iRedAPD drops what follows the + of senders and recipients before it looks anything up."""

    def test_an_entry_that_iredapd_never_finds_is_refused_and_the_right_one_named(self, pstore: Store) -> None:
        for direction in ("inbound", "outbound"):
            with pytest.raises(InvalidValue, match=r"write news@b\.org"):
                pstore.access_lists.set(BOB, direction, whitelist=["news+daily@b.org"])  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match=r"write news@b\.org"):
            pstore.greylisting.set(BOB, whitelist=Edit(add=["news+daily@b.org"]))

    def test_effective_drops_the_extension_as_iredapd_does(self, pstore: Store, prig: PolicyRig) -> None:
        pstore.access_lists.set(BOB, "inbound", blacklist=["news@b.org"])
        assert pstore.access_lists.effective(BOB, "inbound", peer="news+daily@b.org").verdict == "reject"
        pstore.access_lists.set(BOB, "outbound", blacklist=["news@b.org"])
        assert pstore.access_lists.effective(BOB, "outbound", peer="news+daily@b.org").verdict == "reject"
        pstore.greylisting.set(BOB, enabled=True, whitelist=["news@b.org"])
        assert pstore.greylisting.effective(BOB, sender="news+daily@b.org", client=CLIENT).whitelisted
        _listed(prig, BOB, "odd+one@b.org", "B")
        assert pstore.access_lists.effective(BOB, "inbound", peer="odd+one@b.org").verdict == "none"

    def test_entries_of_other_tools_can_be_removed_whatever_they_are(self, pstore: Store, prig: PolicyRig) -> None:
        for peer in ("odd+one@b.org", "user@*", "Capital@b.org"):
            _listed(prig, BOB, peer, "B")
        stored = pstore.access_lists.set(BOB, "inbound", blacklist=Edit(remove=["odd+one@b.org", "user@*"]))
        assert stored.blacklist == ("Capital@b.org",)
        assert pstore.access_lists.set(BOB, "inbound", blacklist=Edit(remove=["capital@B.org"])).blacklist == ()
        prig.insert("greylisting_whitelists", account=BOB, sender="Odd+One@b.org", comment="")
        assert pstore.greylisting.set(BOB, whitelist=Edit(remove=["odd+one@b.org"])).whitelist == ()


def test_an_accepted_sender_is_still_greylisted(pstore: Store) -> None:
    pstore.greylisting.set("global", enabled=True)
    pstore.access_lists.set(BOB, "inbound", whitelist=["a@b.org"])
    verdict = pstore.access_lists.effective(BOB, "inbound", peer="a@b.org", client=CLIENT)
    assert (verdict.verdict, verdict.after_greylisting) == ("accept", True)
    assert pstore.greylisting.effective(BOB, sender="a@b.org", client=CLIENT).greylisted


class TestOneRank:
    """What has one priority is taken in the order in which the database happens to answer: that is said, not guessed."""

    def test_subdomains_of_subdomains(self, pstore: Store) -> None:
        pstore.access_lists.set(BOB, "inbound", whitelist=["@.sub.ext.example"], blacklist=["@.ext.example"])
        assert pstore.access_lists.effective(BOB, "inbound", peer="a@sub.ext.example").undefined
        assert not pstore.access_lists.effective(BOB, "inbound", peer="a@ext.example").undefined

    def test_networks(self, pstore: Store) -> None:
        pstore.access_lists.set(BOB, "inbound", whitelist=["192.0.0.0/16", "192.0.2.0/24"])
        assert not pstore.access_lists.effective(BOB, "inbound", peer="a@b.org", client=CLIENT).undefined
        pstore.access_lists.set(BOB, "inbound", blacklist=["192.0.2.0/24"])
        assert pstore.access_lists.effective(BOB, "inbound", peer="a@b.org", client=CLIENT).undefined

    def test_exceptions_of_greylisting(self, pstore: Store, prig: PolicyRig) -> None:
        for sender, active in (("@.ext.example", 1), ("@.sub.ext.example", 0)):
            prig.insert(
                "greylisting", account=BOB, priority=100, sender=sender, sender_priority=50, comment="", active=active
            )
        assert pstore.greylisting.effective(BOB, sender="a@sub.ext.example", client=CLIENT).undefined
        found = pstore.greylisting.effective(BOB, sender="a@ext.example", client=CLIENT)
        assert found == GreylistingVerdict(True, BOB, "@.ext.example")

    def test_throttles(self, pstore: Store, prig: PolicyRig) -> None:
        for account, messages in (("@.com", 3), ("@.example.com", 5)):
            prig.insert("throttle", account=account, kind="inbound", priority=50, period=60, max_msgs=messages)
        assert pstore.throttles.effective(BOB, "inbound").undefined == ("max_msgs",)
        prig.execute("throttle", "UPDATE throttle SET priority = 40 WHERE account = '@.com'")
        effective = pstore.throttles.effective(BOB, "inbound")
        assert (effective.undefined, effective.max_msgs) == ((), Limit("limit", 5))

    def test_spam_policies(self, pstore: Store, prig: PolicyRig) -> None:
        for key, switch in (("@.example.com", "Y"), ("@.sub.example.com", "N")):
            policy = prig.insert("policy", policy_name=key, bypass_spam_checks=switch)
            prig.insert("users", email=key, priority=3, policy_id=policy)
        pstore.domains.create("sub.example.com")
        assert pstore.spam_policies.effective("x@sub.example.com").undefined == ("bypass_spam_checks",)
        assert pstore.spam_policies.effective(BOB).undefined == ()


@in_turn("peer", ["192.0.2.1", "192.0.2.0/24", "2001:db8::1"])
def test_outbound_lists_take_no_addresses_of_clients(pstore: Store, peer: str) -> None:
    with pytest.raises(InvalidValue, match="compares no IP addresses with recipients"):
        pstore.access_lists.set(BOB, "outbound", blacklist=[peer])


class TestLowScores:
    """iRedMail files spam by a header which amavisd adds only from `spam_tag_level` on, 2 in iRedMail's configuration."""

    def test_the_header_comes_with_the_score(self, pstore: Store, prig: PolicyRig) -> None:
        stored = pstore.spam_policies.set(BOB, spam_score=1.5)
        assert (stored.spam_score, stored.always_insert_x_spam_headers) == (1.5, None)
        (row,) = prig.rows("policy")
        assert row["spam_tag_level"] == row["spam_tag2_level"] == row["spam_kill_level"] == 1.5
        pstore.spam_policies.update(BOB, spam_score=1)
        assert prig.rows("policy")[0]["spam_tag_level"] == 1
        pstore.spam_policies.update(BOB, quarantine_spam=True)
        assert prig.rows("policy")[0]["spam_tag_level"] == 1
        pstore.spam_policies.update(BOB, spam_score=5)
        assert prig.rows("policy")[0]["spam_tag_level"] is None

    def test_headers_that_are_always_there_stay(self, pstore: Store, prig: PolicyRig) -> None:
        pstore.spam_policies.set("global", always_insert_x_spam_headers=True)
        pstore.spam_policies.set(BOB, spam_score=1.5)
        assert pstore.spam_policies.effective(BOB).policy.always_insert_x_spam_headers is True
        pstore.spam_policies.set("example.com", spam_score=1.5, always_insert_x_spam_headers=True)
        pstore.spam_policies.update("example.com", spam_score=1)
        assert pstore.spam_policies.get("example.com").always_insert_x_spam_headers is True
        pstore.spam_policies.update("example.com", always_insert_x_spam_headers=False)
        assert {row["policy_name"]: row["spam_tag_level"] for row in prig.rows("policy")}["@example.com"] == 1

    def test_check_names_spam_without_a_header(self, pstore: Store, prig: PolicyRig) -> None:
        policy = prig.insert("policy", policy_name=BOB, spam_tag_level=2, spam_tag2_level=1, spam_kill_level=1)
        prig.insert("users", email=BOB, priority=10, policy_id=policy)
        assert [finding.code for finding in pstore.check()] == ["policy-headers"]
        pstore.spam_policies.update(BOB, spam_score=1)
        assert list(pstore.check()) == []


@pytest.mark.parametrize(
    ("entry", "rank", "sender", "client"),
    [("spam@*", 7, "spam+x@anywhere.org", None), ("192.0.2.*", 8, "a@b.org", CLIENT)],
)
def test_patterns_of_other_tools_count(
    pstore: Store, prig: PolicyRig, entry: str, rank: int, sender: str, client: str | None
) -> None:
    _listed(prig, "@.", entry, "B", rank=rank)
    verdict = pstore.access_lists.effective(BOB, "inbound", peer=sender, client=client)
    assert (verdict.verdict, verdict.entry) == ("reject", entry)


def test_senders_of_an_alias_domain_count_as_those_of_its_target(pstore: Store) -> None:
    pstore.domains.add_alias_domains("example.org", ["example.net"])
    pstore.access_lists.set(BOB, "inbound", blacklist=["carol@example.org"])
    assert pstore.access_lists.effective(BOB, "inbound", peer="carol@example.net").verdict == "reject"


def test_iredapd_skips_bounces_and_mail_to_oneself(pstore: Store) -> None:
    pstore.access_lists.set(BOB, "inbound", blacklist=["@."])
    for peer in ("", BOB):
        assert pstore.access_lists.effective(BOB, "inbound", peer=peer).verdict == "none"


def test_counters_that_overflow_are_named(pstore: Store, prig: PolicyRig) -> None:
    """On MySQL a message that overflows the counter of bytes is accepted without being counted, and so is every other."""
    small = prig.name == "mysql"
    pstore.throttles.set(BOB, "outbound", period="1d", max_msgs=100)
    assert pstore.throttles.effective(BOB, "outbound").counts_up_to == (1 << 32 if small else None)
    assert [finding.code for finding in pstore.check()] == (["throttle-counter"] if small else [])
    pstore.throttles.update(BOB, "outbound", max_quota="3G")
    assert pstore.throttles.effective(BOB, "outbound").counts_up_to is None
    assert list(pstore.check()) == []


@pytest.mark.parametrize("how", ["account", "domain", "policy"])
def test_whoever_shares_a_policy_keeps_it_when_its_owner_goes(pstore: Store, prig: PolicyRig, how: Any) -> None:
    pstore.spam_policies.set(BOB, bypass_spam_checks=True, spam_score=4)
    shared = prig.rows("policy")[0]["id"]
    prig.insert("users", email="@example.org", priority=5, policy_id=shared)
    if how == "account":
        pstore.accounts.delete(BOB)
    elif how == "domain":
        pstore.domains.delete("example.com")
    else:
        pstore.spam_policies.delete(BOB)
    kept = pstore.spam_policies.get("example.org")
    assert (kept.bypass_spam_checks, kept.spam_score) == (True, 4)
    assert [row["policy_name"] for row in prig.rows("policy")] == ["@example.org"]
    assert list(pstore.check()) == []
