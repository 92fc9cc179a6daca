"""Every stage of the history of the file of users is recognised, and written as a box of that time would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability, NotSupported, SchemaMismatch
from mailstore.passwords import hash_password
from tests.mailinabox.rig import HOSTNAME, STAGES, BoxRig

if TYPE_CHECKING:
    from collections.abc import Callable

BOB, EVE = "bob@example.com", "eve@example.com"
ADMINISTRATOR = f"administrator@{HOSTNAME}"
READY = hash_password("secret")
BROUGHT = {
    4: {Capability.ADMINS, Capability.ACCOUNT_ADMINS},
    9: {Capability.PERMITTED_SENDERS},
    13: set(),
    14: set(),
    15: {Capability.ACCOUNT_QUOTAS},
}
"""What each stage added, by the number of the box's migration."""


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def box(stage: int, new_box: Callable[..., BoxRig]) -> BoxRig:
    return new_box(stage, own_table=True)


def test_is_recognised(box: BoxRig, stage: int) -> None:
    with box.open() as store:
        report = store.schema_report()
        capabilities = store.capabilities
    assert (report.migration, report.missing, report.foreign) == (stage, (), ())
    assert bool(report.absent) == (stage != STAGES[-1])
    for number, brought in BROUGHT.items():
        assert (capabilities >= brought) == (number <= stage) or not brought


def test_accounts_and_aliases(box: BoxRig) -> None:
    with box.open() as store:
        made = store.accounts.create(BOB, password="secret")
        assert made.quota.unlimited
        assert store.accounts.verify_password(BOB, "secret")
        assert store.accounts.create_many([{"address": EVE, "password_hash": READY}]) == 1
        store.aliases.create("sales@example.com", members=[BOB, EVE])
        assert [account.address for account in store.accounts.list()] == [BOB, EVE]
        assert store.accounts.count(admins=False) == 2
        record = store.accounts.delete(BOB, keep_mailbox_days=3)
        assert record is not None
        assert store.aliases.get("sales@example.com").members == (EVE,)
        assert store.deleted.restore(record.id).address == BOB
        assert store.aliases.get("sales@example.com").members == (BOB, EVE)
        assert store.accounts.verify_password(BOB, "secret")
        assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_what_the_stage_lacks_is_refused_and_not_dropped(box: BoxRig, stage: int) -> None:
    lacking: dict[int, Callable[[Any], object]] = {
        15: lambda store: store.accounts.update(BOB, quota="1G"),
        9: lambda store: store.aliases.create("sales@example.com", members=[BOB], permitted_senders=[BOB]),
        4: lambda store: store.admins.promote(BOB, global_admin=True),
    }
    with box.open() as store:
        store.accounts.create(BOB, password_hash=READY)
        before = box.everything()
        for number, call in lacking.items():
            if number > stage:
                with pytest.raises(NotSupported, match="upgrade the box first"):
                    call(store)
        assert box.everything() == before
        if stage < 15:
            with pytest.raises(NotSupported):
                store.accounts.create(EVE, password_hash=READY, quota="1G")
            assert store.accounts.create(EVE, password_hash=READY, quota="unlimited").quota.unlimited


def test_automatic_aliases_where_that_stage_has_them(box: BoxRig, stage: int) -> None:
    with box.open() as store:
        store.aliases.create("abuse@example.com", members=["postmaster@other.org"])
        store.accounts.create(BOB, password_hash=READY)
        own = {"abuse@example.com": "postmaster@other.org"}
        made = {f"{name}@example.com": ADMINISTRATOR for name in ("postmaster", "admin", "abuse")}
        made |= {f"hostmaster@{HOSTNAME}": ADMINISTRATOR}
        ordinary = {row["source"]: row["destination"] for row in box.rows("aliases")}
        if stage >= 14:
            assert ordinary == own
            assert {row["source"]: row["destination"] for row in box.rows("auto_aliases")} == made
            return
        # The first change made the alias of the box itself, so that its name was a domain like others at the second one.
        made |= {f"{name}@{HOSTNAME}": ADMINISTRATOR for name in ("postmaster", "admin", "abuse")}
        assert ordinary == made | own
        store.accounts.delete(BOB)
        left = {row["source"] for row in box.rows("aliases")}
        assert "abuse@example.com" in left
        assert not left & {"postmaster@example.com", "admin@example.com"}


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("ALTER TABLE users DROP COLUMN password", "users.password"),
        ("ALTER TABLE aliases DROP COLUMN destination", "aliases.destination"),
        ("DROP TABLE aliases", "aliases"),
    ],
)
def test_what_every_stage_has_is_needed(new_box: Callable[..., BoxRig], statement: str, missing: str) -> None:
    box = new_box()
    box.execute(statement)
    with pytest.raises(SchemaMismatch, match=missing):
        box.open()


def test_a_column_of_another_tool_without_default_is_named(new_box: Callable[..., BoxRig]) -> None:
    box = new_box()
    box.execute(
        "CREATE TABLE copy (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, password TEXT, must TEXT NOT NULL)"
    )
    box.execute("DROP TABLE users")
    box.execute("ALTER TABLE copy RENAME TO users")
    with box.open() as store, pytest.raises(SchemaMismatch, match=r"users\.must"):
        store.accounts.create(BOB, password_hash=READY)
    assert box.rows("users") == []
    assert list(box.root.iterdir()) == []


def test_a_column_of_a_later_stage_alone_is_used(new_box: Callable[..., BoxRig]) -> None:
    box = new_box(9)
    box.execute("ALTER TABLE users ADD quota TEXT NOT NULL DEFAULT '0'")
    with box.open() as store:
        assert store.schema_report().migration == 15
        assert "auto_aliases" in store.schema_report().absent
        assert str(store.accounts.create(BOB, password_hash=READY, quota="1G").quota) == "1G"
