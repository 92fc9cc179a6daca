"""Every cell of `mailstore.driver.rights` is what the stores do: each operation, by each kind of admin."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability, Edit, NotFound, PermissionDenied, Store
from mailstore.driver.rights import (
    ACCOUNT_PROFILES,
    DOMAIN_PROFILES,
    IREDMAIL_CREATOR,
    IREDMAIL_DOMAIN,
    IREDMAIL_GLOBAL,
    KINDS,
    Kind,
    Operation,
    Rule,
)
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stores import StoreRig

Op = Operation
READY = hash_password("secret")

CALLS: dict[Operation, Callable[[Store, str], object]] = {
    Op.SEE_DOMAIN: lambda store, domain: store.domains.get(domain),
    Op.DESCRIBE_DOMAIN: lambda store, domain: store.domains.update(domain, name="Mine"),
    Op.CATCH_ALL: lambda store, domain: store.domains.update(domain, catch_all=["x@else.org"]),
    Op.COPY_DOMAIN: lambda store, domain: store.domains.update(domain, recipient_bcc="x@else.org"),
    Op.DROP_ALIAS_DOMAIN: lambda store, domain: store.domains.remove_alias_domains(domain, [f"alias-{domain}"]),
    Op.NEW_NAME: lambda store, domain: store.domains.add_alias_domains(domain, ["gmail.test"]),
    Op.LIMIT_DOMAIN: lambda store, domain: store.domains.update(domain, max_accounts=7),
    Op.RULE_DOMAIN: lambda store, domain: store.domains.update(domain, disabled_user_profiles=Edit(add=["relay"])),
    Op.DELETE_DOMAIN: lambda store, domain: store.domains.delete(domain, keep_mailbox_days=1),
    Op.RESTORE_DOMAIN: lambda store, _: store.deleted.restore_domain("lost.org"),
    Op.SWITCH_DOMAIN: lambda store, domain: store.domains.update(domain, enabled=False),
    Op.ROUTE_DOMAIN: lambda store, domain: store.domains.update(domain, transport="lmtp:unix:private/other"),
    Op.SEE_ACCOUNT: lambda store, domain: store.accounts.get(f"bob@{domain}"),
    Op.LIST_ACCOUNTS: lambda store, domain: next(store.accounts.list(domain=domain)).address,
    Op.CREATE_ACCOUNT: lambda store, domain: store.accounts.create(f"new@{domain}", password="x"),
    Op.CHANGE_ACCOUNT: lambda store, domain: store.accounts.update(f"bob@{domain}", password="x"),
    Op.FORWARD_ACCOUNT: lambda store, domain: store.accounts.update(f"bob@{domain}", forwarding=["x@else.org"]),
    Op.ALIAS_ACCOUNT: lambda store, domain: store.accounts.add_aliases(f"bob@{domain}", [f"b@{domain}"]),
    Op.COPY_ACCOUNT: lambda store, domain: store.accounts.update(f"bob@{domain}", sender_bcc="x@else.org"),
    Op.ROUTE_ACCOUNT: lambda store, domain: store.accounts.update(f"bob@{domain}", transport="relay:[127.0.0.1]"),
    Op.PLACE_ACCOUNT: lambda store, domain: store.accounts.create(
        f"new@{domain}", password="x", home="/var/vmail/vmail1/any/where"
    ),
    Op.VERIFY_ACCOUNT: lambda store, domain: store.accounts.verify_password(f"bob@{domain}", "secret"),
    Op.READ_HASHES: lambda store, domain: store.accounts.password_hash(f"bob@{domain}"),
    Op.DELETE_ACCOUNT: lambda store, domain: store.accounts.delete(f"bob@{domain}", keep_mailbox_days=1),
    Op.RESTORE_ACCOUNT: lambda store, domain: store.deleted.restore(record_of(store, domain)),
    Op.RESCHEDULE: lambda store, domain: store.deleted.reschedule(record_of(store, domain), keep_mailbox_days=9),
    Op.DELETE_AT_ONCE: lambda store, domain: store.accounts.delete(f"bob@{domain}", keep_mailbox_days=0),
    Op.SEE_ALIASES: lambda store, domain: store.aliases.get(f"all@{domain}"),
    Op.WRITE_ALIASES: lambda store, domain: store.aliases.update(f"all@{domain}", members=["x@else.org"]),
    Op.DELETE_ALIASES: lambda store, domain: store.aliases.delete(f"all@{domain}"),
    Op.SHARE_DOMAIN: lambda store, domain: store.admins.add_to_domain(domain, [f"bob@{domain}"]),
    Op.CREATE_ADMIN: lambda store, _: store.admins.create("new@admins.org", password="x"),
    Op.CHANGE_ADMIN: lambda store, _: store.admins.update("peer@admins.org", max_domains=3),
    Op.DELETE_ADMIN: lambda store, _: store.admins.delete("peer@admins.org"),
    Op.TOUCH_STRONGER: lambda store, domain: store.accounts.update(f"chief@{domain}", password="x"),
}
"""An example of each operation, on a domain or on what is in it."""

BESIDE = {Op.SET_SPAM_POLICY, Op.SET_ACCESS_LIST, Op.SET_THROTTLE, Op.SET_GREYLISTING, Op.SET_FOR_ALL}
"""What takes the databases beside; see `tests/policies/test_rights.py`."""
NOT_OF_A_DOMAIN = {Op.CREATE_ADMIN, Op.CHANGE_ADMIN, Op.DELETE_ADMIN, Op.PURGE, Op.RESTORE_DOMAIN}
ACTORS = {IREDMAIL_GLOBAL: "root@admins.org", IREDMAIL_CREATOR: "creator@admins.org", IREDMAIL_DOMAIN: "one@admins.org"}


def record_of(store: Store, domain: str) -> int:
    """Return the number of the only record of a domain, as an admin sees it, or of none that there is."""
    return next((record.id for record in store.deleted.list(domain=domain)), 999_999)


def populate(store: Store) -> None:
    """Make two domains with the same content, the first of which is that of the admins who have one."""
    for domain in ("own.org", "foreign.org"):
        store.domains.create(domain)
        store.domains.add_alias_domains(domain, [f"alias-{domain}"])
        for name in ("bob", "gone", "chief"):
            store.accounts.create(f"{name}@{domain}", password_hash=READY)
        store.aliases.create(f"all@{domain}", members=[f"bob@{domain}"])
        store.accounts.delete(f"gone@{domain}", keep_mailbox_days=30)
    store.admins.create(ACTORS[IREDMAIL_GLOBAL], password_hash=READY, global_admin=True)
    store.admins.create(ACTORS[IREDMAIL_CREATOR], password_hash=READY, domains=["own.org"], max_domains=9)
    store.admins.create(ACTORS[IREDMAIL_DOMAIN], password_hash=READY, domains=["own.org"])
    store.admins.create("peer@admins.org", password_hash=READY, domains=["own.org"])
    store.domains.create("lost.org")
    store.accounts.create("bob@lost.org", password_hash=READY)
    store.domains.delete("lost.org", keep_mailbox_days=30)


@pytest.fixture(scope="module", params=["sqlite", "ldap"])
def scene(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Iterator[Store]:
    """A store of iRedMail, which every test leaves as it was: each call is a rehearsal."""
    rig = rigs(request.param)
    rig.clear()
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        populate(store)
        yield store


@contextmanager
def chiefs(store: Store, operation: Operation) -> Iterator[None]:
    """Let an account be a global admin, for the one operation that is about such."""
    if operation is not Op.TOUCH_STRONGER:
        yield
        return
    for domain in ("own.org", "foreign.org"):
        store.admins.promote(f"chief@{domain}", global_admin=True)
    yield
    for domain in ("own.org", "foreign.org"):
        store.admins.demote(f"chief@{domain}")


def attempt(store: Store, actor: str, operation: Operation, domain: str) -> type[Exception] | None:
    """Try an operation for an admin without leaving anything of it. Returns how it was refused."""
    with store.acting_as(actor).rehearsal() as acting:
        try:
            CALLS[operation](acting, domain)
        except (NotFound, PermissionDenied, StopIteration) as error:
            return type(error)
    return None


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.name)
@pytest.mark.parametrize("kind", ACTORS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_cell(scene: Store, kind: Kind, operation: Operation) -> None:
    rule, actor = kind.rule(operation), ACTORS[kind]
    with chiefs(scene, operation):
        own, foreign = (attempt(scene, actor, operation, domain) for domain in ("own.org", "foreign.org"))
    reads_back = Capability.TRANSACTIONS not in scene.capabilities and operation in {
        Op.RESTORE_ACCOUNT,
        Op.RESTORE_DOMAIN,
        Op.CREATE_ADMIN,
    }
    allowed = {None, NotFound} if reads_back else {None}  # a rehearsal in a directory does not see what it wrote
    assert own in ({PermissionDenied} if rule is Rule.NEVER else allowed)
    if rule is Rule.EVERYTHING:
        assert foreign in allowed
    elif operation not in NOT_OF_A_DOMAIN:
        assert foreign in {NotFound, StopIteration}


@pytest.mark.parametrize("operation", [*DOMAIN_PROFILES, *ACCOUNT_PROFILES], ids=lambda operation: operation.name)
def test_what_a_domain_disables(scene: Store, operation: Operation) -> None:
    """A disabled profile takes an operation from those whose cell says so, and from nobody else."""
    if operation in BESIDE:
        pytest.skip("see tests/policies/test_rights.py")
    field = "disabled_domain_profiles" if operation in DOMAIN_PROFILES else "disabled_user_profiles"
    profile = (DOMAIN_PROFILES if operation in DOMAIN_PROFILES else ACCOUNT_PROFILES)[operation]
    change: Any = {field: [profile]}
    back: Any = {field: []}
    scene.domains.update("own.org", **change)
    try:
        for kind, actor in ACTORS.items():
            refused = PermissionDenied if kind.rule(operation) is Rule.UNLESS_DISABLED else None
            assert attempt(scene, actor, operation, "own.org") is refused, kind.name
    finally:
        scene.domains.update("own.org", **back)


def test_every_cell_has_a_rule_and_every_operation_a_test() -> None:
    for kind in KINDS:
        assert set(kind.cells) == set(Operation)
    assert set(Operation) - CALLS.keys() == BESIDE | {Op.PURGE}
