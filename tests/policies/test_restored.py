"""What accounts and domains had in the databases beside them comes back with them, and with nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists
from tests.policies.conftest import EVERYWHERE, READY
from tests.policies.test_lifecycle import BOB, EVE, content, furnish, mentions

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

pytestmark = EVERYWHERE


def settings(store: Store, rig: PolicyRig, level: str) -> dict[str, Any]:
    """Return what a level has; counters begin anew."""
    return {name: value for name, value in content(store, rig, level).items() if name != "counters"}


def as_many(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Tell whether the tables have as many rows as before; peers that nobody lists stay, and counters go."""
    return all(len(before[table]) == len(after[table]) for table in before.keys() - {"throttle_tracking", "mailaddr"})


def test_an_account_gets_its_settings_back(pstore: Store, prig: PolicyRig) -> None:
    furnish(pstore, prig, EVE)
    furnish(pstore, prig, BOB, 9)
    before, rows = settings(pstore, prig, BOB), prig.everything()
    record = pstore.accounts.delete(BOB)
    assert record is not None
    assert BOB not in str(prig.everything())
    pstore.accounts.create(BOB, password_hash=READY)
    furnish(pstore, prig, BOB, 3)
    pstore.accounts.delete(BOB, keep_mailbox_days=1)
    pstore.deleted.restore(record.id)
    assert settings(pstore, prig, BOB) == before
    assert as_many(rows, prig.everything())


def test_a_shared_policy_is_found_by_its_name(pstore: Store, prig: PolicyRig) -> None:
    pstore.spam_policies.set("example.com", spam_score=5)
    pstore.spam_policies.set(BOB, spam_score=9)
    shared = prig.rows("policy", policy_name="@example.com")[0]["id"]
    prig.execute("users", f"UPDATE users SET policy_id = {shared} WHERE email = '{BOB}'")  # noqa: S608
    prig.execute("policy", f"DELETE FROM policy WHERE policy_name = '{BOB}'")  # noqa: S608
    record = pstore.accounts.delete(BOB)
    assert record is not None
    pstore.deleted.restore(record.id)
    assert prig.rows("users", email=BOB)[0]["policy_id"] == shared


def test_a_domain_gets_its_settings_back(pstore: Store, prig: PolicyRig) -> None:
    pstore.domains.add_alias_domains("example.com", ["alias.example"])
    pstore.aliases.create("all@example.com", members=[BOB])
    levels = {"example.com": 1, BOB: 3, EVE: 4}
    for level, number in levels.items():
        furnish(pstore, prig, level, number)
    pstore.greylisting.set("alias.example", enabled=False)
    pstore.greylisting.set("all@example.com", enabled=False)
    grey = {level: pstore.greylisting.get(level) for level in ("alias.example", "all@example.com")}
    before, rows = {level: settings(pstore, prig, level) for level in levels}, prig.everything()
    pstore.domains.delete("example.com")
    assert set(mentions(prig, "example.com")) <= {"mailaddr"}
    pstore.deleted.restore_domain("example.com")
    assert {level: settings(pstore, prig, level) for level in levels} == before
    assert {level: pstore.greylisting.get(level) for level in grey} == grey
    assert as_many(rows, prig.everything())


def test_what_is_purged_keeps_its_settings_to_itself(pstore: Store, prig: PolicyRig) -> None:
    for number, level in enumerate(("example.com", BOB, EVE), 2):
        furnish(pstore, prig, level, number)
    before = settings(pstore, prig, EVE)
    pstore.domains.delete("example.com", keep_mailbox_days=5)
    bob = next(record for record in pstore.deleted.list() if record.address == BOB)
    pstore.deleted.reschedule(bob.id, keep_mailbox_days=0)
    with pstore.deleted.claim(datetime.now(UTC).date(), limit=10) as claim:
        claim.forget(next(record for record in claim.records if record.address == BOB))
    pstore.deleted.restore_domain("example.com")
    assert settings(pstore, prig, EVE) == before
    assert BOB not in str(prig.everything())


def test_a_restore_that_fails_leaves_nothing(pstore: Store, prig: PolicyRig) -> None:
    pstore.accounts.update(BOB, aliases=["b@example.org"])
    furnish(pstore, prig, "example.com", 3)
    furnish(pstore, prig, BOB, 4)
    pstore.domains.delete("example.com", keep_mailbox_days=5)
    pstore.accounts.create("b@example.org", password_hash=READY)
    rows = prig.everything()
    with pytest.raises(AlreadyExists):
        pstore.deleted.restore_domain("example.com")
    assert prig.everything() == rows
