"""What an address is served under, and what is said of one that cannot be taken: the same in every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists, Capability, InvalidValue, NotFound
from mailstore.driver.holders import (
    in_use,
    no_such_domain,
    refuse_each_other,
    refuse_self,
    refuse_taken,
    served_names,
)
from tests.contract.hosting import credentials, host
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stores import StoreRig


@pytest.mark.parametrize(
    ("address", "owner", "names"),
    [
        ("bob@a.com", "a.com", {"bob@a.com", "bob@x.com", "bob@y.com"}),
        # A name under an alias domain is that name of the domain too, and no further one.
        ("bob@x.com", "a.com", {"bob@x.com", "bob@a.com"}),
    ],
)
def test_names(address: str, owner: str, names: set[str]) -> None:
    assert served_names(address, owner, ("x.com", "y.com")) == names


def test_the_name_that_stands_in_the_way_is_told() -> None:
    with pytest.raises(AlreadyExists, match=r"bob@a\.com is in use already: bob@x\.com is an alias") as caught:
        refuse_taken({"bob@a.com": {"bob@a.com", "bob@x.com"}}, {"bob@x.com": "an alias", "eve@x.com": "an account"})
    assert caught.value.subject == "bob@a.com"
    refuse_taken({"bob@a.com": {"bob@a.com"}}, {"bob@x.com": "an alias"})
    assert "it is an account" in in_use("bob@a.com", "bob@a.com", "an account").message


def test_an_account_does_not_hold_one_name_twice() -> None:
    with pytest.raises(InvalidValue):
        refuse_self("bob@a.com", ["bob@a.com"])
    names = {alias: served_names(alias, "a.com", ("x.com",)) for alias in ("robert@a.com", "robert@x.com")}
    with pytest.raises(AlreadyExists, match="served under that domain too"):
        refuse_each_other(names, ("bob@b.com", *names))
    refuse_each_other({"robert@a.com": names["robert@a.com"]}, ("bob@b.com", "robert@a.com"))


def test_an_alias_domain_names_its_target() -> None:
    assert isinstance(no_such_domain("x.com", "a.com"), NotFound)
    assert "use a.com" in no_such_domain("x.com", "a.com").message
    for target in (None, "x.com"):
        assert "create it first" in no_such_domain("x.com", target).message


@pytest.mark.parametrize("kind", ["sqlite", "mailinabox", "ldap", "atmail", "afterlogic-sqlite"])
def test_every_store_says_the_same(rigs: Callable[[str], StoreRig], kind: str) -> None:
    rig = rigs(kind)
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    host(store, "example.com")
    store.accounts.create("bob@example.com", **credentials(store))
    with pytest.raises(AlreadyExists, match=r"^bob@example\.com is in use already: it is an account") as one:
        store.accounts.create("bob@example.com", **credentials(store))
    assert one.value.subject == "bob@example.com"
    if Capability.ALIASES in store.capabilities:
        with pytest.raises(AlreadyExists, match=r"^bob@example\.com is in use already: it is an account"):
            store.aliases.create("bob@example.com", members=["x@other.org"])
    if Capability.ACCOUNT_ALIASES in store.capabilities:
        with pytest.raises(InvalidValue, match="cannot be an alias of itself"):
            store.accounts.update("bob@example.com", aliases=["bob@example.com"])
