"""Other tools write the time of their rows in the time zone of their server: it says nothing about a deletion's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mailstore.driver.values import now
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.rigs import Rig

BOB, LIST = "bob@example.com", "all@example.com"
HASH = hash_password("secret")


@pytest.mark.parametrize("hours", [-9, 0, 9])
@pytest.mark.parametrize("anew", [False, True])
def test_only_the_same_list_gets_its_member_back(rig: Rig, store: IRedMailStore, hours: int, anew: bool) -> None:
    made = (now() + timedelta(hours=hours)).replace(microsecond=0) - timedelta(minutes=5)
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=HASH)
    store.aliases.create(LIST, members=[BOB, "x@example.net"])
    rig.execute("UPDATE alias SET created = :made WHERE address = :list", made=made, list=LIST)
    record = store.accounts.delete(BOB)
    assert record is not None
    if anew:
        rig.execute(
            "UPDATE alias SET created = :made WHERE address = :list", made=made + timedelta(minutes=1), list=LIST
        )
    store.deleted.restore(record.id)
    assert (BOB in store.aliases.get(LIST).members) is not anew
