"""Spam policies: what is stored for what is set, and what applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import InvalidAddress, InvalidValue, NotFound, NotSupported, PermissionDenied
from mailstore.driver.policy_keys import amavisd_keys
from mailstore.policies import SpamPolicy
from tests.policies.rig import shipped
from tests.tables import in_turn

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

BOB = "bob@example.com"
LEVELS = {"global": ("@.", 0), "example.com": ("@example.com", 5), BOB: (BOB, 10)}
COLUMNS: dict[str, dict[bool, dict[str, Any]]] = {
    **{
        f"bypass_{name}_checks": {True: {f"bypass_{name}_checks": "Y"}, False: {f"bypass_{name}_checks": "N"}}
        for name in ("spam", "virus", "banned", "header")
    },
    **{
        f"quarantine_{name}": {
            True: {lover: "N", f"{name}_quarantine_to": f"{name.replace('_', '-')}-quarantine"},
            False: {lover: "Y", f"{name}_quarantine_to": ""},
        }
        for name, lover in (
            ("spam", "spam_lover"), ("virus", "virus_lover"), ("banned", "banned_files_lover"),
            ("bad_header", "bad_header_lover"),
        )
    },
    "prefix_spam_in_subject": {True: {"spam_subject_tag2": "[SPAM] "}, False: {"spam_subject_tag2": ""}},
    "always_insert_x_spam_headers": {True: {"spam_tag_level": -999.0}, False: {"spam_tag_level": 2.0}},
}  # fmt: skip


def only_policy(rig: PolicyRig) -> dict[str, Any]:
    (row,) = rig.rows("policy")
    return {name: value for name, value in row.items() if value is not None}


@in_turn("level", LEVELS)
@in_turn("name", COLUMNS)
@in_turn("value", [True, False])
def test_switches_are_stored_as_amavisd_reads_them(
    pstore: Store, prig: PolicyRig, level: str, name: str, value: bool
) -> None:
    fields: Any = {name: value}
    stored = pstore.spam_policies.set(level, **fields)
    assert stored == SpamPolicy(level=level, **fields)
    assert pstore.spam_policies.get(level) == stored
    key, priority = LEVELS[level]
    policy = only_policy(prig)
    assert policy == {"id": policy["id"], "policy_name": key, **COLUMNS[name][value]}
    (user,) = prig.rows("users")
    assert (user["email"], user["priority"], user["policy_id"]) == (key, priority, policy["id"])
    pstore.spam_policies.delete(level)


@in_turn("level", LEVELS)
def test_the_score_moves_both_of_its_columns(pstore: Store, prig: PolicyRig, level: str) -> None:
    assert pstore.spam_policies.set(level, spam_score=6.31).spam_score == 6.31
    policy = only_policy(prig)
    assert round(policy["spam_tag2_level"], 3) == round(policy["spam_kill_level"], 3) == 6.31
    assert pstore.spam_policies.update(level, spam_score=None).spam_score is None
    assert only_policy(prig).keys() == {"id", "policy_name"}
    pstore.spam_policies.delete(level)


def test_set_lets_inherit_what_is_not_given_and_update_leaves_it(pstore: Store, prig: PolicyRig) -> None:
    pstore.spam_policies.set(BOB, bypass_spam_checks=True, quarantine_virus=False, spam_score=4)
    prig.execute("policy", "UPDATE policy SET spam_admin = 'postmaster', message_size_limit = 7")
    updated = pstore.spam_policies.update(BOB, spam_score=5, bypass_header_checks=False)
    assert updated == SpamPolicy(
        level=BOB, bypass_spam_checks=True, quarantine_virus=False, spam_score=5.0, bypass_header_checks=False
    )
    assert pstore.spam_policies.set(BOB, prefix_spam_in_subject=True) == SpamPolicy(
        level=BOB, prefix_spam_in_subject=True
    )
    policy = only_policy(prig)
    assert (policy["spam_admin"], policy["message_size_limit"]) == ("postmaster", 7)
    assert len(policy) == 5


def test_what_is_not_there_inherits_everything(pstore: Store) -> None:
    for level in LEVELS:
        assert pstore.spam_policies.get(level) == SpamPolicy(level=level)
        pstore.spam_policies.delete(level)
    assert list(pstore.spam_policies.list()) == []
    effective = pstore.spam_policies.effective(BOB)
    assert effective.policy == SpamPolicy(level=BOB)
    assert effective.levels == {}


def test_each_value_comes_from_the_nearest_level_that_has_one(pstore: Store, prig: PolicyRig) -> None:
    shipped(prig)
    pstore.spam_policies.set("example.com", spam_score=5, prefix_spam_in_subject=True, quarantine_spam=True)
    pstore.spam_policies.set(BOB, prefix_spam_in_subject=False, bypass_banned_checks=True)
    effective = pstore.spam_policies.effective("Bob@EXAMPLE.com")
    assert effective.policy == SpamPolicy(
        level=BOB, spam_score=5, prefix_spam_in_subject=False, quarantine_spam=True, quarantine_virus=True,
        quarantine_banned=True, quarantine_bad_header=False, bypass_banned_checks=True, bypass_spam_checks=False,
        bypass_virus_checks=False, bypass_header_checks=False,
    )  # fmt: skip
    assert effective.levels == {
        "prefix_spam_in_subject": BOB, "bypass_banned_checks": BOB, "spam_score": "example.com",
        "quarantine_spam": "example.com", "quarantine_virus": "global", "quarantine_banned": "global",
        "quarantine_bad_header": "global", "bypass_spam_checks": "global", "bypass_virus_checks": "global",
        "bypass_header_checks": "global",
    }  # fmt: skip
    assert pstore.spam_policies.effective("eve@example.com").levels["prefix_spam_in_subject"] == "example.com"


def test_the_stored_number_decides_not_the_shape_of_the_key(pstore: Store, prig: PolicyRig) -> None:
    pstore.spam_policies.set(BOB, spam_score=3)
    pstore.spam_policies.set("example.com", spam_score=5)
    prig.execute("users", "UPDATE users SET priority = 50 WHERE priority = 5")
    assert pstore.spam_policies.effective(BOB).levels == {"spam_score": "example.com"}
    assert {finding.code for finding in pstore.check()} == {"policy-priority"}
    pstore.spam_policies.update("example.com")
    assert pstore.spam_policies.effective(BOB).levels == {"spam_score": BOB}


def test_other_keys_of_other_tools_count_too(pstore: Store, prig: PolicyRig) -> None:
    policy = prig.insert("policy", policy_name="@.com", spam_tag2_level=7, spam_kill_level=7)
    prig.insert("users", email="@.com", priority=2, policy_id=policy)
    assert pstore.spam_policies.effective(BOB).levels == {"spam_score": "@.com"}
    assert amavisd_keys("u@sub.a.com") == ("u@sub.a.com", "u", "@sub.a.com", "@.sub.a.com", "@.a.com", "@.com", "@.")


def test_a_shared_policy_is_never_changed(pstore: Store, prig: PolicyRig) -> None:
    """Whoever relies on the default of users.policy_id, which is 1, shares somebody else's policy."""
    shared = prig.insert("policy", policy_name="Normal", spam_lover="Y", spam_quarantine_to="", spam_admin="me")
    for email in (BOB, "eve@example.com"):
        prig.insert("users", email=email, priority=7, policy_id=shared)
    assert pstore.spam_policies.get(BOB).quarantine_spam is False
    pstore.spam_policies.update(BOB, spam_score=4)
    mine = next(row for row in prig.rows("policy") if row["policy_name"] == BOB)
    assert (mine["spam_lover"], mine["spam_admin"], mine["spam_kill_level"]) == ("Y", "me", 4)
    assert prig.rows("policy", policy_name="Normal")[0]["spam_kill_level"] is None
    users = {row["email"]: (row["policy_id"], row["priority"]) for row in prig.rows("users")}
    assert users == {BOB: (mine["id"], 10), "eve@example.com": (shared, 7)}
    pstore.spam_policies.delete(BOB)
    assert [row["policy_name"] for row in prig.rows("policy")] == ["Normal"]
    pstore.spam_policies.delete("eve@example.com")
    assert [row["policy_name"] for row in prig.rows("policy")] == ["Normal"]
    assert prig.rows("users") == []


def test_the_row_of_users_stays_while_lists_refer_to_it(pstore: Store, prig: PolicyRig) -> None:
    pstore.access_lists.set(BOB, "inbound", whitelist=["a@b.org"])
    assert [row["policy_id"] for row in prig.rows("users")] == [0]
    pstore.spam_policies.set(BOB, spam_score=4)
    pstore.spam_policies.delete(BOB)
    assert [(row["email"], row["policy_id"]) for row in prig.rows("users")] == [(BOB, 0)]
    assert pstore.access_lists.get(BOB, "inbound").whitelist == ("a@b.org",)
    pstore.access_lists.delete(BOB, "inbound")
    assert prig.rows("users") == []


def test_list(pstore: Store) -> None:
    for number, level in enumerate(("global", "example.org", BOB), 1):
        pstore.spam_policies.set(level, spam_score=number)
    assert {policy.level: policy.spam_score for policy in pstore.spam_policies.list()} == {
        "global": 1, "example.org": 2, BOB: 3
    }  # fmt: skip


@in_turn("score", [0, -1, 1000.1, float("nan"), float("inf"), True, "5", 0.0001])
def test_scores_out_of_range(pstore: Store, prig: PolicyRig, score: Any) -> None:
    with pytest.raises(InvalidValue, match="spam_score"):
        pstore.spam_policies.set(BOB, spam_score=score)
    assert prig.rows("users") == prig.rows("policy") == []


def test_bad_values(pstore: Store, prig: PolicyRig) -> None:
    wrong: Any = {"bypass_spam_checks": "yes"}
    with pytest.raises(InvalidValue, match="bypass_spam_checks"):
        pstore.spam_policies.set(BOB, **wrong)
    unknown: Any = {"spam_scores": 4}
    with pytest.raises(TypeError, match="spam_scores"):
        pstore.spam_policies.update(BOB, **unknown)
    for level in ("globally", "@.", "@example.com", "a b@example.com", ""):
        with pytest.raises(InvalidAddress, match="a level is"):
            pstore.spam_policies.set(level, spam_score=4)
    assert prig.rows("users") == prig.rows("policy") == []


def test_levels_outside_of_the_store(pstore: Store, prig: PolicyRig) -> None:
    pstore.domains.add_alias_domains("example.com", ["alias.example"])
    pstore.aliases.create("sales@example.com", members=[BOB])
    for level in ("nobody@example.com", "bob@other.example", "other.example", "sales@example.com", "alias.example"):
        with pytest.raises(NotFound):
            pstore.spam_policies.set(level, spam_score=4)
    assert prig.rows("users") == prig.rows("policy") == []


def test_admins_manage_their_domains_only(pstore: Store) -> None:
    pstore.admins.create("admin@example.net", password="secret", domains=["example.com"])
    mine = pstore.acting_as("admin@example.net")
    assert mine.spam_policies.set(BOB, spam_score=4).spam_score == 4
    assert mine.spam_policies.set("example.com", spam_score=5).spam_score == 5
    assert mine.spam_policies.get("global") == SpamPolicy(level="global")
    for level in ("example.org", "x@example.org", "gone.example"):
        for refused in (mine.spam_policies.get, mine.spam_policies.set, mine.spam_policies.delete):
            with pytest.raises(NotFound):
                refused(level)
    with pytest.raises(NotFound):
        mine.spam_policies.effective("x@example.org")
    for refused in (mine.spam_policies.set, mine.spam_policies.delete):
        with pytest.raises(PermissionDenied):
            refused("global")
    with pytest.raises(PermissionDenied):
        next(mine.spam_policies.list())


def test_without_the_databases_it_says_which_option_is_missing(prig: PolicyRig) -> None:
    with prig.open(amavisd="", iredapd="") as store:
        for use, option in (
            (lambda: store.spam_policies, "amavisd="), (lambda: store.access_lists, "amavisd="),
            (lambda: store.throttles, "iredapd="), (lambda: store.greylisting, "iredapd="),
        ):  # fmt: skip
            with pytest.raises(NotSupported, match=option):
                use()
