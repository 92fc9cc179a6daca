"""What admins of domains may do in the databases beside: their cells, what a domain disables, and who is out of reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import NotFound, PermissionDenied, Store
from mailstore.driver.rights import (
    ACCOUNT_PROFILES,
    DOMAIN_PROFILES,
    IREDMAIL_CREATOR,
    IREDMAIL_DOMAIN,
    IREDMAIL_GLOBAL,
    Operation,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Op = Operation
CALLS: dict[Operation, Callable[[Store, str], object]] = {
    Op.SET_SPAM_POLICY: lambda store, level: store.spam_policies.set(level, spam_score=4),
    Op.SET_ACCESS_LIST: lambda store, level: store.access_lists.set(level, "inbound", blacklist=["bad@else.org"]),
    Op.SET_THROTTLE: lambda store, level: store.throttles.set(level, "outbound", period=60, max_msgs=5),
    Op.SET_GREYLISTING: lambda store, level: store.greylisting.set(level, enabled=False),
}
HERE = pytest.mark.parametrize("policy_rig", ["postgresql", "mysql beside ldap"], indirect=True)
ACTORS = {IREDMAIL_GLOBAL: "root@admins.org", IREDMAIL_CREATOR: "creator@admins.org", IREDMAIL_DOMAIN: "one@admins.org"}


@pytest.fixture
def scene(pstore: Store) -> Store:
    """A store with the databases beside it, and an admin of each kind."""
    for domain in ("own.org", "foreign.org"):
        pstore.domains.create(domain)
        pstore.accounts.create(f"bob@{domain}", password="x")
    pstore.admins.create(ACTORS[IREDMAIL_GLOBAL], password="x", global_admin=True)
    pstore.admins.create(ACTORS[IREDMAIL_CREATOR], password="x", domains=["own.org"], max_domains=9)
    pstore.admins.create(ACTORS[IREDMAIL_DOMAIN], password="x", domains=["own.org"])
    return pstore


@HERE
@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.name)
def test_cells(scene: Store, operation: Operation) -> None:
    call = CALLS[operation]
    for kind, actor in ACTORS.items():
        acting, rule = scene.acting_as(actor), kind.rule(operation)
        assert rule is not Rule.NEVER
        for level in ("own.org", "bob@own.org"):
            call(acting, level)
        if rule is not Rule.EVERYTHING:
            for level in ("foreign.org", "bob@foreign.org"):
                with pytest.raises(NotFound):
                    call(acting, level)


@HERE
@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.name)
def test_what_a_domain_disables(scene: Store, operation: Operation) -> None:
    call = CALLS[operation]
    one, maker = scene.acting_as(ACTORS[IREDMAIL_DOMAIN]), scene.acting_as(ACTORS[IREDMAIL_CREATOR])
    scene.domains.update("own.org", disabled_domain_profiles=[DOMAIN_PROFILES[operation]])
    with pytest.raises(PermissionDenied, match="disabled"):
        call(one, "own.org")
    call(one, "bob@own.org")
    call(maker, "own.org")
    scene.domains.update("own.org", disabled_domain_profiles=[], disabled_user_profiles=[ACCOUNT_PROFILES[operation]])
    with pytest.raises(PermissionDenied, match="disabled"):
        call(one, "bob@own.org")
    call(one, "own.org")
    call(maker, "bob@own.org")


@HERE
def test_what_applies_to_all_and_what_a_stronger_admin_has_is_out_of_reach(scene: Store) -> None:
    acting = scene.acting_as(ACTORS[IREDMAIL_DOMAIN])
    scene.admins.promote("bob@own.org", global_admin=True)
    for call in CALLS.values():
        for level in ("global", "bob@own.org"):
            with pytest.raises(PermissionDenied):
                call(acting, level)
