"""What is set beside the accounts goes into a dump, and comes back out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import PermissionDenied
from mailstore.transfer import Loader, read_entries
from tests.transfer.filled import text_of, timeless

if TYPE_CHECKING:
    from mailstore import Store
    from tests.policies.rig import PolicyRig

BOB = "bob@example.com"


def set_everything(store: Store) -> None:
    for level in ("global", "example.com", BOB):
        store.spam_policies.set(level, spam_score=6.5, quarantine_spam=False)
        store.throttles.set(level, "outbound", period="1h", max_msgs=100, msg_size="10M", max_quota="unlimited")
        store.access_lists.set(level, "inbound", whitelist=["a@b.org", "@c.org"], blacklist=["x@y.org"])
    store.access_lists.set(BOB, "outbound", blacklist=["@z.org"])
    store.greylisting.set("example.com", enabled=False)
    store.greylisting.set("global", whitelist=["192.0.2.0/24", "@d.org"])
    store.greylisting.set_spf_domains(["spf.example", "b.example"])


@pytest.mark.parametrize("policy_rig", ["postgresql"], indirect=True)
def test_policies_are_dumped_loaded_and_dumped_equal(pstore: Store, prig: PolicyRig) -> None:
    set_everything(pstore)
    text = text_of(pstore)
    kinds = [line.split('"')[3] for line in text.splitlines()]
    counts = {kind: kinds.count(kind) for kind in kinds}
    assert (counts["spam-policy"], counts["throttle"], counts["greylisting"]) == (3, 3, 2)
    assert (counts["spf-domains"], counts["access-list"]) == (1, 4)
    prig.clear()
    outcomes = list(Loader(pstore).load(read_entries(text.splitlines())))
    assert {one.action for one in outcomes} == {"created"}
    assert timeless(text_of(pstore)) == timeless(text)
    before = text_of(pstore)
    assert {one.action for one in Loader(pstore).load(read_entries(text.splitlines()))} == {"unchanged"}
    assert text_of(pstore) == before


@pytest.mark.parametrize("policy_rig", ["postgresql"], indirect=True)
def test_access_lists_of_all_levels(pstore: Store) -> None:
    set_everything(pstore)
    found = [(one.level, one.direction) for one in pstore.access_lists.list()]
    assert found == [("global", "inbound"), ("example.com", "inbound"), (BOB, "inbound"), (BOB, "outbound")]
    assert all(pstore.access_lists.get(one.level, one.direction) == one for one in pstore.access_lists.list())
    pstore.admins.create("boss@other.org", password="secret words", domains=["example.com"])
    with pytest.raises(PermissionDenied):
        list(pstore.acting_as("boss@other.org").access_lists.list())
