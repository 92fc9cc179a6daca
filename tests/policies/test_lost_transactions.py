"""A transaction over several databases is lost with any of them."""

from __future__ import annotations

from typing import Any

import pytest

from mailstore import MailstoreError, StoreUnavailable
from mailstore.sql.iredmail.store import IRedMailStore
from tests.policies.conftest import READY
from tests.policies.rig import PolicyRig


@pytest.mark.parametrize("lost", ["accounts", "iredapd"])
@pytest.mark.parametrize("policy_rig", ["mysql"], indirect=True)
def test_one_connection_is_cut(prig: PolicyRig, pstore: IRedMailStore, lost: str) -> None:
    own, _, iredapd = prig.databases()

    def block() -> None:
        with pstore.transaction():
            pstore.accounts.create("new@example.com", password_hash=READY)
            pstore.throttles.set("bob@example.com", "outbound", period="1h", max_msgs=5)
            connection: Any = (own if lost == "accounts" else iredapd)._current.connection.connection  # type: ignore[union-attr]
            prig.server._kill_connection(connection.thread_id())  # type: ignore[attr-defined]
            if lost == "accounts":
                with pytest.raises(StoreUnavailable):
                    pstore.accounts.get("bob@example.com")
            else:
                with pytest.raises(StoreUnavailable):
                    pstore.throttles.reset("bob@example.com")
            for call in (pstore.accounts.count, lambda: pstore.throttles.get("bob@example.com", "outbound")):
                with pytest.raises(MailstoreError, match="ended this transaction") as caught:
                    call()
                assert caught.value.temporary

    with pytest.raises(MailstoreError, match="ended this transaction") as caught:
        block()
    assert caught.value.temporary
    assert not pstore.accounts.exists("new@example.com")
    assert prig.rows("throttle") == []
