"""Records that name no mailbox, as iRedAdmin writes them for catch-alls, are no burden: they end, and stop nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from mailstore import Capability
from mailstore.purge import purge_due
from tests.contract.hosting import credentials, host

if TYPE_CHECKING:
    from mailstore import Store
    from tests.stores import StoreRig

TODAY = datetime.now(UTC).date()


def record(store: Store, address: str, maildir: str, due: date | None) -> None:
    """Write a record as another tool does."""
    ledger = store.deleted._ledger  # type: ignore[attr-defined]
    values: dict[str, Any] = {"timestamp": datetime(2026, 1, 1), "username": address, "domain": "example.com"}  # noqa: DTZ001
    with ledger.db.writing() as tx:
        tx.execute(insert(ledger.records).values(**values, maildir=maildir, delete_date=due, admin=""))


@pytest.mark.needs(Capability.RETENTION)
@pytest.mark.backend
def test_a_record_without_a_mailbox_is_forgotten(store_rig: StoreRig) -> None:
    store = store_rig.shared
    host(store, "example.com")
    store.accounts.create("gone@example.com", **credentials(store))
    store.accounts.delete("gone@example.com", keep_mailbox_days=0)
    record(store, "@example.com", "", TODAY)
    record(store, "ghost@example.com", "/", TODAY)
    record(store, "later@example.com", "", TODAY + timedelta(days=9))
    record(store, "undated@example.com", "", None)  # as the panel writes it for "keep for ever"
    record(store, "kept@example.com", f"{store_rig.root}/kept", None)
    findings = [finding for finding in store.check() if finding.code in ("record-without-home", "home-unusable")]
    assert {(finding.subject, finding.severity) for finding in findings} == {
        (address, "notice")
        for address in (
            "@example.com",
            "ghost@example.com",
            "later@example.com",
            "undated@example.com",
            "kept@example.com",
        )
    }
    rehearsed = {outcome.record.address: outcome.action for outcome in purge_due(store, dry_run=True) if outcome.record}
    nameless = {"@example.com": "absent", "ghost@example.com": "absent", "undated@example.com": "absent"}
    assert rehearsed == {"gone@example.com": "would purge", **nameless}
    purged = {outcome.record.address: outcome.action for outcome in purge_due(store) if outcome.record}
    assert purged == {"gone@example.com": "purged", **nameless}
    assert [left.address for left in store.deleted.list()] == ["later@example.com", "kept@example.com"]
