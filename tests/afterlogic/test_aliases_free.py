"""An alias of the product's mail server cannot take what somebody else has there, or has left there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists
from tests.afterlogic.test_rows import BOB, EVE, domain

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

__all__ = ["domain"]


def test_the_address_of_a_mailing_list(rig: Rig, store: AfterLogicStore, domain: str) -> None:
    store.accounts.create(BOB, password="x")
    owner = rig.row("awm_accounts")["id_acct"]
    rig.insert("awm_mailinglists", id_acct=owner, list_name=f"all@{domain}", list_to=BOB)
    with pytest.raises(AlreadyExists, match="mailing list"):
        store.accounts.add_aliases(BOB, [f"all@{domain}"])
    with pytest.raises(AlreadyExists, match="mailing list"):
        store.accounts.create(EVE, password="x", aliases=[f"all@{domain}"])
    with pytest.raises(AlreadyExists, match="mailing list"):
        store.accounts.create(f"all@{domain}", password="x")


def test_the_address_of_a_deleted_account_whose_mail_is_kept(store: AfterLogicStore, domain: str) -> None:
    store.accounts.create(BOB, password="x")
    store.accounts.create(EVE, password="x")
    record = store.accounts.delete(EVE, keep_mailbox_days=5)
    assert record is not None
    with pytest.raises(AlreadyExists, match="kept"):
        store.accounts.add_aliases(BOB, [EVE])
    store.deleted.restore(record.id)
    assert store.accounts.get(BOB).aliases == ()
