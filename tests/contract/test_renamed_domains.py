"""Where domains get no other names, that is said; and an account's old address stays where accounts have aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import Capability, NotSupported
from tests.contract.hosting import credentials

if TYPE_CHECKING:
    from mailstore import Store


def test_a_store_says_why_a_domain_keeps_its_name(store: Store) -> None:
    if Capability.DOMAIN_RENAMING in store.capabilities:
        pytest.skip("it gives domains other names")
    with pytest.raises(NotSupported, match="cannot get another name here") as refused:
        store.domains.rename("example.com", "example.org")
    assert refused.value.subject == "example.com"
    assert store.domains.no_renaming in str(refused.value)
    assert store.domains.no_renaming


@pytest.mark.needs(Capability.RENAMING, Capability.ACCOUNT_ALIASES)
def test_the_old_address_stays_as_an_alias(store: Store) -> None:
    store.domains.create("example.com")
    store.domains.create("example.org")
    store.accounts.create("bob@example.com", **credentials(store))
    store.accounts.rename("bob@example.com", "rob@example.org", keep_alias=True)
    assert store.accounts.get("rob@example.org").aliases == ("bob@example.com",)
    store.accounts.rename("rob@example.org", "bob@example.com", keep_alias=True)
    assert store.accounts.get("bob@example.com").aliases == ("rob@example.org",)
