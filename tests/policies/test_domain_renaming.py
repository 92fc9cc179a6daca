"""What a domain, and who is in it, had beside the store goes with them to the domain's new name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists
from tests.policies.conftest import READY
from tests.policies.test_lifecycle import content, furnish, mentions

if TYPE_CHECKING:
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.policies.rig import PolicyRig

OLD, NEW = "example.com", "renamed.test"


def test_policies_follow_a_domain(pstore: IRedMailStore, prig: PolicyRig) -> None:
    if not pstore.domains.exists(OLD):
        pstore.domains.create(OLD)
    for name in ("one", "two"):
        pstore.accounts.create(f"{name}@{OLD}", password_hash=READY)
    levels = (OLD, f"one@{OLD}")
    for number, level in enumerate(levels, start=3):
        furnish(pstore, prig, level, number)
    before = {level: content(pstore, prig, level) for level in levels}
    pstore.domains.create("taken.test")
    with pytest.raises(AlreadyExists):
        pstore.domains.rename(OLD, "taken.test")
    assert {level: content(pstore, prig, level) for level in levels} == before
    pstore.domains.rename(OLD, NEW)
    assert {level: content(pstore, prig, level.replace(OLD, NEW)) for level in levels} == before
    assert mentions(prig, OLD) == []
    pstore.domains.create(OLD)
    assert pstore.spam_policies.get(OLD).spam_score is None
