"""Times of servers that grew old: zero dates, and the ways in which products write "never"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from mailstore import purge_due
from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

BOB = "bob@example.com"
ZERO, NEVER = "0000-00-00 00:00:00", "1970-01-01 01:01:01"
COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "iredmail": {
        "mailbox": ("created", "modified", "passwordlastchange", "expired"), "domain": ("created", "modified"),
        "alias": ("created", "modified"), "admin": ("created", "modified"), "forwardings": (),
    },
    "afterlogic": {"awm_settings": ("created_time", "last_login", "last_login_now")},
    "atmail": {"accounts": ("dateCreate", "dateModified", "autoReplyStart"), "aliases": ("DateCreate",)},
}  # fmt: skip
RECORDS = {"iredmail": "deleted_mailboxes", "afterlogic": "mailstore_deleted_mailboxes"}


def run(rig: StoreRig, *statements: str) -> None:
    """Run statements as an old server let other tools do."""
    store: Any = rig.shared
    engine = create_engine(store._context.db.url, poolclass=NullPool)
    with engine.begin() as connection:
        if store._context.db.kind == "mysql":
            connection.execute(text("SET SESSION sql_mode = ''"))
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture(params=["sqlite", "mysql", "postgresql", "afterlogic-mysql", "atmail"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    host(found.shared, "example.com")
    found.shared.accounts.create(BOB, password="secret")
    return found


def product(rig: StoreRig) -> str:
    return rig.name.partition("-")[0] if rig.name.partition("-")[0] in COLUMNS else "iredmail"


def sentinels(rig: StoreRig) -> list[str]:
    return [NEVER] if rig.name == "postgresql" else [ZERO, NEVER]  # PostgreSQL has no zero dates


def test_no_time_is_shown_where_there_is_none(rig: StoreRig) -> None:
    store = rig.shared
    if product(rig) == "iredmail":
        store.aliases.create("all@example.com", members=[BOB])
        store.admins.create("boss@admin.example", password="x", domains=["example.com"])
    for moment in sentinels(rig):
        run(
            rig,
            *(
                f"UPDATE {table} SET {column} = '{moment}'"  # noqa: S608
                for table, columns in COLUMNS[product(rig)].items()
                for column in columns
            ),
        )
        account, domain = store.accounts.get(BOB), store.domains.get("example.com")
        found: list[object] = [
            account.created,
            account.modified,
            account.password_changed,
            domain.created,
            domain.modified,
        ]
        if product(rig) == "iredmail":
            alias, admin = store.aliases.get("all@example.com"), store.admins.get("boss@admin.example")
            found += [alias.created, alias.modified, admin.created, admin.modified]
        assert found == [None] * len(found)
        assert list(store.accounts.list()) == [account]
        record = store.accounts.delete(BOB)
        assert record is not None
        store.deleted.restore(record.id)
        assert store.accounts.get(BOB).created is None


def test_records_with_zero_dates_are_listed_restored_and_never_due(rig: StoreRig) -> None:
    store = rig.shared
    table = RECORDS.get(product(rig), RECORDS["afterlogic"])
    for moment in sentinels(rig):
        record = store.accounts.delete(BOB, keep_mailbox_days=0)
        assert record is not None
        run(rig, f"UPDATE {table} SET timestamp = '{moment}', delete_date = '{moment[:10]}'")  # noqa: S608
        (found,) = store.deleted.list()
        assert (found.deleted, found.due) == (None, None)
        assert store.deleted.count(due=datetime.now(UTC).date()) == 0
        assert list(purge_due(store)) == []
        store.deleted.restore(record.id)
        assert store.accounts.verify_password(BOB, "secret")
