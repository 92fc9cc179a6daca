"""Lost connections and racing writers: nothing half done, no address twice, no mailbox purged twice."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import AlreadyExists, NotFound, StoreUnavailable
from mailstore.maildir import TRASH
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from mailstore.sql.atmail.admins.changes import AdminSettings
from tests.faults.children import race, refusals, successes
from tests.faults.steps import before_statements, commit_replaced

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig
    from tests.servers.mariadb import MariaDB

READY = hash_password("x")
BOB = "bob@example.com"

OPERATIONS: dict[str, Callable[[AtmailStore], object]] = {
    "create": lambda store: store.accounts.create("new@example.com", password_hash=READY, aliases=["n@example.com"]),
    "update": lambda store: store.accounts.update(
        BOB, quota="2G", forwarding=["x@else.org"], aliases=["b@example.com"]
    ),
    "rename": lambda store: store.accounts.rename(BOB, "robert@example.com"),
    "delete": lambda store: store.accounts.delete(BOB),
    "delete domain": lambda store: store.domains.delete("example.com"),
    "create admin": lambda store: store.admins.create("new", password_hash=READY, domains=["example.com"]),
    "delete admin": lambda store: store.admins.delete("old"),
}


@pytest.fixture(autouse=True)
def scene(store: AtmailStore) -> None:
    cast("Any", store)._context.apiserver.db.close()  # its connections are cut too, and not asked for here
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=READY, aliases=["bobby@example.com"])
    store.aliases.create("all@example.com", members=[BOB, "x@else.org"])
    store.admins.create("root", password_hash=READY, global_admin=True)
    store.admins.create("old", password_hash=READY, domains=["example.com"])
    store.admins.create("below", password_hash=READY, settings=AdminSettings(parent="old"))


def outcome_of(operation: Callable[[AtmailStore], object], store: AtmailStore) -> StoreUnavailable | None:
    """Return the error with which an operation fails for want of a server; None if it does not."""
    try:
        operation(store)
    except StoreUnavailable as error:
        return error
    return None


def homes(rig: AtmailRig) -> list[str]:
    return sorted(str(path) for path in rig.root.rglob("*"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_server_is_lost_before_any_statement(
    rig: AtmailRig, store: AtmailStore, mariadb: MariaDB, operation: str
) -> None:
    rows, disk = rig.everything(), homes(rig)
    for number in count(1, 2):

        def cut(sent: int, _text: str, number: int = number) -> None:
            if sent == number:
                rig.engine.dispose()
                rig.api_engine.dispose()
                mariadb.disconnect()

        with before_statements(cast("Any", store), cut):
            outcome = outcome_of(OPERATIONS[operation], store)
        if outcome is None:
            break
        assert (outcome.temporary, outcome.state) == (True, None)
        assert rig.everything() == rows
        assert homes(rig) == disk
    assert number > 1
    assert rig.everything() != rows


def test_the_server_is_lost_during_the_commit(rig: AtmailRig, store: AtmailStore, mariadb: MariaDB) -> None:
    def cut(_commit: Callable[[], None]) -> None:
        rig.engine.dispose()
        mariadb.disconnect()
        _commit()

    with commit_replaced(cast("Any", store), cut), pytest.raises(StoreUnavailable) as caught:
        OPERATIONS["create"](store)
    assert "not known" in str(caught.value.state)
    assert rig.rows("accounts", username="new@example.com") == []


def test_one_address(rig: AtmailRig, store: AtmailStore) -> None:
    store.accounts.create("eve@example.com", password_hash=READY)
    name = "sales@example.com"
    takers: list[Callable[[], object]] = [
        partial(store.accounts.create, name, password_hash=READY),
        partial(store.aliases.create, name, members=["x@else.org"]),
        partial(store.accounts.add_aliases, BOB, [name]),
        partial(store.accounts.rename, "eve@example.com", name),
        partial(store.aliases.rename, "all@example.com", name),
    ]
    outcomes = race(cast("Any", rig), takers * 2)
    assert len(successes(outcomes)) == 1
    holders = len(rig.rows("accounts", username=name)) + len(
        {row["AliasName"] for row in rig.rows("aliases", AliasName=name)}
    )
    assert holders == 1


def test_one_domain_name(rig: AtmailRig, store: AtmailStore) -> None:
    takers: list[Callable[[], object]] = [
        partial(store.domains.create, "new.com"),
        partial(store.domains.create, "new.com"),
        partial(store.domains.add_alias_domains, "example.com", ["new.com"]),
        partial(store.alias_rows.create, "new.com", "example.com", "Domain"),
    ]
    outcomes = race(cast("Any", rig), takers * 2)
    assert set(refusals(outcomes)) == {AlreadyExists}
    held = rig.rows("domains", domainName="new.com") + rig.rows("aliases", AliasName="new.com")
    assert len(held) == 1


def test_delete_restore_and_create(rig: AtmailRig, store: AtmailStore) -> None:
    outcomes = race(cast("Any", rig), [partial(store.accounts.delete, BOB)] * 4)
    assert refusals(outcomes) == [NotFound] * 3
    (record,) = store.deleted.list()
    restores = [partial(store.deleted.restore, record.id)] * 3
    outcomes = race(cast("Any", rig), [*restores, *[partial(store.accounts.create, BOB, password_hash=READY)] * 3])
    assert len(successes(outcomes)) == 1
    assert len(rig.rows("accounts", username=BOB)) == 1


def test_racing_purges(rig: AtmailRig, store: AtmailStore) -> None:
    for number in range(6):
        store.accounts.create(f"u{number}@example.com", password_hash=READY)
        store.accounts.delete(f"u{number}@example.com", keep_mailbox_days=0)
    store.accounts.create("u0@example.com", password_hash=READY)  # must not be touched

    def purge() -> list[str]:
        return [outcome.action for outcome in purge_due(store)]

    outcomes = race(cast("Any", rig), [purge] * 4)
    assert refusals(outcomes) == []
    assert [action for done in outcomes for action in done if action == "purged"] == ["purged"] * 6
    left = {path.parent.name.partition("@")[0] for path in rig.root.rglob("Maildir") if TRASH not in path.parts}
    assert left == {"bob", "u0"}
    assert store.deleted.count() == 0


def test_racing_provisioning(rig: AtmailRig, store: AtmailStore) -> None:
    outcomes = race(cast("Any", rig), [partial(store.provisioning.provision, BOB)] * 6)
    assert refusals(outcomes) == []
    assert len(set(outcomes)) == 1
    assert [len(rig.api_rows(name)) for name in ("Accounts", "Users", "ServiceAccounts")] == [1, 1, 3]


def test_what_is_said_holds_no_password(store: AtmailStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    secret = "Very-Secret-42"
    store.accounts.create("new@example.com", password=secret)
    stored = store.accounts.password_hash("new@example.com")
    with pytest.raises(AlreadyExists) as caught:
        store.accounts.create("new@example.com", password=secret)
    texts = [caplog.text, str(caught.value), repr(store.accounts.get("new@example.com")), repr(store)]
    texts += [repr(record) for record in [store.accounts.delete("new@example.com")]]
    for text in texts:
        assert secret not in text
        assert stored not in text
