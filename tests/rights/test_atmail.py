"""Every cell of atmail's row: one permission by name is what an operation takes, on the admin's own domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from mailstore import NotFound, PermissionDenied
from mailstore.driver.rights import ATMAIL_ADMIN, Needs, Operation, Rule
from mailstore.passwords import hash_password
from mailstore.sql.atmail.admins.changes import AdminSettings
from mailstore.sql.atmail.schema.permissions import DOMAIN_ADMIN, KNOWN_PERMISSIONS, grants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig
    from tests.stores import StoreRig

Op = Operation
READY = hash_password("x")
USERS = ("user.add", "user.edit", "user.delete")
"""Permissions whose names are not public, but for the first words."""

CALLS: dict[Operation, Callable[[AtmailStore, str], object]] = {
    Op.SEE_DOMAIN: lambda store, domain: store.domains.get(domain),
    Op.DROP_ALIAS_DOMAIN: lambda store, domain: store.domains.remove_alias_domains(domain, [f"alias-{domain}"]),
    Op.NEW_NAME: lambda store, _: store.domains.create("gmail.test"),
    Op.DELETE_DOMAIN: lambda store, domain: store.domains.delete(domain, keep_mailbox_days=1),
    Op.RESTORE_DOMAIN: lambda store, _: store.deleted.restore_domain("lost.org"),
    Op.SEE_ACCOUNT: lambda store, domain: store.accounts.get(f"bob@{domain}"),
    Op.LIST_ACCOUNTS: lambda store, domain: next(store.accounts.list(domain=domain)),
    Op.CREATE_ACCOUNT: lambda store, domain: store.accounts.create(f"new@{domain}", password_hash=READY),
    Op.CHANGE_ACCOUNT: lambda store, domain: store.accounts.update(f"bob@{domain}", quota="1M"),
    Op.FORWARD_ACCOUNT: lambda store, domain: store.accounts.update(f"bob@{domain}", forwarding=["x@else.org"]),
    Op.ALIAS_ACCOUNT: lambda store, domain: store.accounts.add_aliases(f"bob@{domain}", [f"b@{domain}"]),
    Op.VERIFY_ACCOUNT: lambda store, domain: store.accounts.verify_password(f"bob@{domain}", "x"),
    Op.READ_HASHES: lambda store, domain: store.accounts.password_hash(f"bob@{domain}"),
    Op.DELETE_ACCOUNT: lambda store, domain: store.accounts.delete(f"bob@{domain}", keep_mailbox_days=1),
    Op.RESTORE_ACCOUNT: lambda store, domain: store.deleted.restore(record_of(store, domain)),
    Op.RESCHEDULE: lambda store, domain: store.deleted.reschedule(record_of(store, domain), keep_mailbox_days=9),
    Op.SEE_ALIASES: lambda store, domain: store.aliases.get(f"all@{domain}"),
    Op.WRITE_ALIASES: lambda store, domain: store.aliases.create(f"new@{domain}", members=["x@else.org"]),
    Op.DELETE_ALIASES: lambda store, domain: store.aliases.delete(f"all@{domain}"),
    Op.SHARE_DOMAIN: lambda store, domain: store.admins.add_to_domain(domain, ["below"]),
    Op.CREATE_ADMIN: lambda store, _: store.admins.create("new", password_hash=READY),
    Op.CHANGE_ADMIN: lambda store, _: store.admins.update("below", name="Below"),
    Op.DELETE_ADMIN: lambda store, _: store.admins.delete("below"),
    Op.SET_FOR_ALL: lambda store, _: store.roles.create("new", permissions=["account.view"]),
}
"""An example of each operation that atmail has."""
TWO = {Op.DELETE_AT_ONCE: Op.DELETE_ACCOUNT, Op.PLACE_ACCOUNT: Op.CREATE_ACCOUNT}
"""Operations that come with another one."""
ABSENT = {
    Op.DESCRIBE_DOMAIN, Op.CATCH_ALL, Op.COPY_DOMAIN, Op.LIMIT_DOMAIN, Op.RULE_DOMAIN, Op.SWITCH_DOMAIN, Op.ROUTE_DOMAIN,
    Op.COPY_ACCOUNT, Op.ROUTE_ACCOUNT, Op.SET_SPAM_POLICY, Op.SET_ACCESS_LIST, Op.SET_THROTTLE, Op.SET_GREYLISTING,
}  # fmt: skip
"""What atmail has no place for."""
ALSO = {
    Op.RESTORE_ACCOUNT: ("account.view",),  # it returns the account
    Op.CREATE_ADMIN: DOMAIN_ADMIN,  # what a new admin gets: nobody hands out what he lacks
}
NOT_OF_A_DOMAIN = {Op.NEW_NAME, Op.RESTORE_DOMAIN, Op.CREATE_ADMIN, Op.CHANGE_ADMIN, Op.DELETE_ADMIN, Op.SET_FOR_ALL}


def record_of(store: AtmailStore, domain: str) -> int:
    return next((record.id for record in store.deleted.list(domain=domain)), 999_999)


@pytest.fixture(scope="module")
def scene(rigs: Callable[[str], StoreRig]) -> Iterator[AtmailStore]:
    """A store with an admin, kim, of own.org, which every test leaves as it was: each call is a rehearsal."""
    rig = cast("AtmailRig", rigs("atmail"))
    rig.clear()
    for number, name in enumerate(USERS):
        rig.insert("permissions", permissionId=90 + number, permissionName=name)
    with rig.open_without_disk() as store:
        for domain in ("own.org", "foreign.org"):
            store.domains.create(domain)
            store.domains.add_alias_domains(domain, [f"alias-{domain}"])
            for name in ("bob", "gone"):
                store.accounts.create(f"{name}@{domain}", password_hash=READY)
            store.aliases.create(f"all@{domain}", members=[f"bob@{domain}"])
            store.accounts.delete(f"gone@{domain}", keep_mailbox_days=30)
        store.domains.create("lost.org")
        store.accounts.create("bob@lost.org", password_hash=READY)
        store.domains.delete("lost.org", keep_mailbox_days=30)
        store.admins.create("root", password_hash=READY, global_admin=True)
        store.admins.create("kim", password_hash=READY, domains=["own.org"], settings=AdminSettings(parent="root"))
        store.admins.create("below", password_hash=READY, settings=AdminSettings(parent="kim"))
        yield store


def attempt(store: AtmailStore, permissions: list[str], call: Callable[[AtmailStore], object]) -> type | None:
    """Try something with just these permissions, and leave nothing of it. Returns how it was refused."""
    with store.rehearsal() as trial:
        trial.admins.update("kim", settings=AdminSettings(permissions=permissions))
        try:
            call(trial.acting_as("kim"))
        except (NotFound, PermissionDenied, StopIteration) as error:
            return type(error)
    return None


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.name)
def test_cell(scene: AtmailStore, operation: Operation) -> None:
    needed = ATMAIL_ADMIN.rule(operation)
    assert isinstance(needed, Needs)
    given = list(ALSO.get(operation, ()))
    others = [name for name in (*KNOWN_PERMISSIONS, *USERS) if not grants([name], needed.permission)]
    assert attempt(scene, [needed.permission, *given], lambda acting: CALLS[operation](acting, "own.org")) is None
    assert attempt(scene, others, lambda acting: CALLS[operation](acting, "own.org")) is PermissionDenied
    if operation not in NOT_OF_A_DOMAIN and needed.permission != "all":
        foreign = attempt(scene, [needed.permission], lambda acting: CALLS[operation](acting, "foreign.org"))
        assert foreign in {NotFound, StopIteration}


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        (Op.DELETE_AT_ONCE, lambda store: store.accounts.delete("bob@own.org", keep_mailbox_days=0)),
        (Op.DELETE_AT_ONCE, lambda store: store.domains.delete("own.org", keep_mailbox_days=0)),
        (
            Op.PLACE_ACCOUNT,
            lambda store: store.accounts.create("new@own.org", password_hash=READY, home="/usr/local/any/where"),
        ),
        (Op.NEW_NAME, lambda store: store.domains.add_alias_domains("own.org", ["gmail.test"])),
        (Op.NEW_NAME, lambda store: store.alias_rows.create("gmail.test", "own.org", "Domain")),
        (Op.DROP_ALIAS_DOMAIN, lambda store: store.alias_rows.delete(target="own.org")),
    ],
)
def test_what_comes_with_another_operation(
    scene: AtmailStore, operation: Operation, call: Callable[[AtmailStore], object]
) -> None:
    needed = ATMAIL_ADMIN.rule(operation)
    assert isinstance(needed, Needs)
    others = [name for name in KNOWN_PERMISSIONS if not grants([name], needed.permission)]
    assert attempt(scene, others, call) is PermissionDenied
    assert attempt(scene, [*others, needed.permission], call) is None


def test_nobody_touches_who_is_not_below(scene: AtmailStore) -> None:
    assert ATMAIL_ADMIN.rule(Op.TOUCH_STRONGER) is Rule.NEVER
    refused = attempt(scene, ["all"], lambda acting: acting.admins.update("root", password="x"))
    assert refused is PermissionDenied


def test_every_operation_has_a_test() -> None:
    assert set(Operation) == {*CALLS, *TWO, *ABSENT, Op.TOUCH_STRONGER, Op.PURGE}


def test_links_that_another_tool_left_give_nothing(scene: AtmailStore, rigs: Callable[[str], StoreRig]) -> None:
    """Numbers of admins and domains may be given away again, as after a restart of MySQL 5.7."""
    rig = cast("AtmailRig", rigs("atmail"))
    own = int(scene.domains.get("own.org").settings["domainId"])
    (latest,) = (max(row["userId"] for row in rig.rows("users")),)
    newest = max(row["domainId"] for row in rig.rows("domains"))
    with scene.transaction():
        context = scene._context
        with context.db.writing() as tx:
            context.insert(tx, "userDomains", {"userId": latest + 1, "domainId": own})
            context.insert(tx, "userDomains", {"userId": latest, "domainId": newest + 1})
        made = scene.admins.create("reborn", password_hash=READY)
        assert made.domains == ()
        assert scene.domains.create("reborn.org").admins == ()
        scene.domains.delete("reborn.org")
        scene.admins.delete("reborn")
