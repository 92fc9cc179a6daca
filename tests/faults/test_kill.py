"""A process that is killed at any step leaves everything before or after the operation, and a rerun finishes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mailstore import AlreadyExists, DeletedMailbox, NotFound
from mailstore.maildir import TRASH
from mailstore.passwords import hash_password
from mailstore.purge import purge_due, trash_key
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.children import fork
from tests.faults.states import Image, errors, files, state_of, tree
from tests.faults.steps import kill_at_step
from tests.rigs import Rig

BOB, EVE, NEW = "bob@example.com", "eve@example.com", "robert@example.com"
MAIL = {"bob's mail", "eve's mail"}
HASH = hash_password("secret")


@dataclass(frozen=True)
class Operation:
    """Something that is killed: how it is prepared, done, and how one sees that it is complete."""

    name: str
    prepare: Callable[[IRedMailStore], object]
    run: Callable[[IRedMailStore], object]
    require_complete: Callable[[IRedMailStore], None]
    keeps_mail: bool = True


def deliver(store: IRedMailStore, address: str, text: str) -> None:
    (home_of(store, address) / "Maildir/new/1.test").write_text(text)


def home_of(store: IRedMailStore, address: str) -> Path:
    return Path(str(store.accounts.get(address).home))


def has_mail(home: Path | str, text: str) -> bool:
    return (Path(home) / "Maildir/new/1.test").read_text() == text


def two_accounts(store: IRedMailStore) -> None:
    """Prepare accounts with mail, that other rows refer to."""
    store.domains.create("example.com", max_accounts=10, quota="10G")
    for address, text in ((BOB, "bob's mail"), (EVE, "eve's mail")):
        store.accounts.create(address, password_hash=HASH, quota="1G")
        deliver(store, address, text)
    store.accounts.update(BOB, aliases=["b@example.com"], forwarding=["x@other.org"], sender_bcc="y@other.org")
    store.aliases.create("all@example.com", members=[BOB, EVE], moderators=[BOB])
    store.admins.promote(BOB, domains=["example.com"])


def two_records(store: IRedMailStore) -> None:
    two_accounts(store)
    store.accounts.delete(BOB, keep_mailbox_days=0)
    store.accounts.delete(EVE, keep_mailbox_days=0)


def record_in_trash(store: IRedMailStore) -> None:
    """Prepare a record whose home an interrupted purge has moved already."""
    two_accounts(store)
    store.accounts.delete(BOB, keep_mailbox_days=0)
    record = record_of(store, BOB)
    assert store.homes is not None
    assert store.homes.set_aside(record.home, trash_key(store.key, record))


def record_of(store: IRedMailStore, address: str) -> DeletedMailbox:
    for record in store.deleted.list(address=address):
        return record
    raise NotFound(f"no record of {address}")


def create(store: IRedMailStore) -> object:
    fields: Any = {"aliases": ["rob@example.com"], "forwarding": ["z@other.org"], "quota": "1G"}
    return store.accounts.create(NEW, password_hash=HASH, **fields)


def require_created(store: IRedMailStore) -> None:
    home = home_of(store, NEW)
    assert {path.name for path in (home / "Maildir").iterdir()} == {"cur", "new", "tmp"}
    assert not any(path.is_file() for path in home.rglob("*"))
    assert store.accounts.verify_password(NEW, "secret")


def require_deleted(store: IRedMailStore) -> None:
    assert not store.accounts.exists(BOB)
    assert has_mail(record_of(store, BOB).home, "bob's mail")


def require_renamed(store: IRedMailStore) -> None:
    assert not store.accounts.exists(BOB)
    assert has_mail(home_of(store, NEW), "bob's mail")


def require_restored(store: IRedMailStore) -> None:
    assert has_mail(home_of(store, BOB), "bob's mail")
    assert store.accounts.get(BOB).aliases == ("b@example.com",)
    assert store.deleted.count(address=BOB) == 0


def whole_domain(store: IRedMailStore) -> None:
    """Prepare a domain that other domains lead to."""
    two_accounts(store)
    store.domains.create("other.com")
    store.domains.add_alias_domains("example.com", ["example.net"])
    store.domains.update("example.com", catch_all=[EVE])
    store.aliases.create("all@other.com", members=[BOB, "x@other.org"])


def deleted_domain(store: IRedMailStore) -> None:
    whole_domain(store)
    delete_domain(store)


def delete_domain(store: IRedMailStore) -> object:
    return store.domains.delete("example.com", keep_mailbox_days=9)


def require_domain_deleted(store: IRedMailStore) -> None:
    assert not store.domains.exists("example.com")
    assert [record.accounts for record in store.deleted.domains()] == [2]
    assert has_mail(record_of(store, BOB).home, "bob's mail")


def restore_domain(store: IRedMailStore) -> object:
    return store.deleted.restore_domain("example.com")


def require_domain_restored(store: IRedMailStore) -> None:
    assert has_mail(home_of(store, BOB), "bob's mail")
    assert store.domains.get("example.com").alias_domains == ("example.net",)
    assert store.aliases.get("all@other.com").members == (BOB, "x@other.org")
    assert (store.deleted.count(), list(store.deleted.domains())) == (0, [])


def purge(store: IRedMailStore) -> object:
    outcomes = list(purge_due(store))
    assert {outcome.action for outcome in outcomes} <= {"purged"}
    return outcomes


def require_purged(store: IRedMailStore) -> None:
    assert store.homes is not None
    assert list(store.homes.trashed()) == []
    assert list(store.homes.find_homes()) == []
    assert store.deleted.count() == 0
    assert list((Path(store.homes.roots[0]) / TRASH).iterdir()) == []


def restore(store: IRedMailStore) -> object:
    return store.deleted.restore(record_of(store, BOB).id)


PURGE = Operation("purge", two_records, purge, require_purged, keeps_mail=False)
OPERATIONS = (
    Operation("create", two_accounts, create, require_created),
    Operation("delete", two_accounts, lambda store: store.accounts.delete(BOB, keep_mailbox_days=9), require_deleted),
    Operation("rename", two_accounts, lambda store: store.accounts.rename(BOB, NEW), require_renamed),
    Operation("restore", two_records, restore, require_restored),
    Operation("restore-from-trash", record_in_trash, restore, require_restored),
    Operation("delete-domain", whole_domain, delete_domain, require_domain_deleted),
    Operation("restore-domain", deleted_domain, restore_domain, require_domain_restored),
    PURGE,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_killed_at_every_step(rig: Rig, workdir: Path, operation: Operation) -> None:
    store = rig.shared
    operation.prepare(store)
    image, before = Image.take(rig, workdir / "homes"), state_of(rig)
    operation.run(store)
    after = state_of(rig)
    assert after != before
    image.put_back()
    seen = [(before, tree(rig.root))]
    for number in count(1):
        if not killed_at(rig, operation, number):
            break
        left = (state_of(rig), tree(rig.root))
        # What was looked at once needs no second look: the rerun depends on nothing else.
        if left not in seen:
            seen.append(left)
            require_sound(rig, operation, before, after)
            finish(rig, operation, committed=left[0] == after)
            assert state_of(rig) == after, f"after the rerun that followed step {number}"
            operation.require_complete(store)
        if left != seen[0]:
            image.put_back()
    assert number > 3
    assert len(seen) > 1
    assert state_of(rig) == after
    assert errors(rig) == []


def killed_at(rig: Rig, operation: Operation, number: int) -> bool:
    """Run the operation in a process that dies at a step; tell whether it got that far."""

    def run() -> None:
        kill_at_step(rig.shared, number, coarse=rig.name != "sqlite")
        operation.run(rig.shared)

    child = fork(rig, run)
    assert child.wait() is None
    return child.killed


def require_sound(rig: Rig, operation: Operation, before: object, after: object) -> None:
    """Require that the operation happened wholly or not at all, that nothing is wrong, and that no mail is lost."""
    present = state_of(rig)
    assert present in (before, after)
    assert errors(rig) == []
    if operation.keeps_mail or present == before:
        assert files(rig.root).keys() >= MAIL


def finish(rig: Rig, operation: Operation, *, committed: bool) -> None:
    """Do it again; only what was done already may be refused."""
    try:
        operation.run(rig.shared)
    except (AlreadyExists, NotFound):
        assert committed


def test_a_purge_in_pieces_finishes(rig: Rig) -> None:
    """Every purge is killed one step later than the one before, on the same mailboxes."""
    store = rig.shared
    two_records(store)
    kills = 0
    for number in count(1):
        if not killed_at(rig, PURGE, number):
            break
        kills += 1
        assert errors(rig) == []
        assert files(rig.root).keys() >= {
            {BOB: "bob's mail", EVE: "eve's mail"}[record.address] for record in store.deleted.list()
        }
    assert kills > 4
    require_purged(store)
    assert list(store.deleted.list(due=datetime.now(UTC).date())) == []
