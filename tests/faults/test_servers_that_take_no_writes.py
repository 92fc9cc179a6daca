"""Servers that take no writes, or could not roll them back: said on opening, with what to do, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import StoreError, StoreUnavailable, open_store
from mailstore.config import StoreConfig
from mailstore.registry import DRIVERS
from tests.servers.mariadb import MariaDB
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.database import DatabaseServer
    from tests.servers.postgresql import PostgreSQL

BOB = "bob@example.com"


@contextmanager
def told(rig: StoreRig, match: str) -> Iterator[Any]:
    """Give a store that has just been opened, after it has refused to write and said why."""
    with open_store(rig.url) as opened:
        rows = cast("Any", rig).everything()
        assert opened.accounts.get(BOB).address == BOB
        for write in (
            lambda: opened.accounts.delete(BOB),
            lambda: opened.domains.delete("example.com"),
            lambda: opened.transaction().__enter__(),
        ):
            with pytest.raises(StoreUnavailable, match=match):
                write()
        with pytest.raises(StoreUnavailable, match=match), opened.rehearsal() as tried:
            tried.accounts.delete(BOB)
        assert [finding.code for finding in opened.check()][:1] == ["no-writing"]
        assert cast("Any", rig).everything() == rows
        yield opened


def filled(rig: StoreRig) -> None:
    rig.clear()
    empty_homes(rig)
    rig.shared.domains.create("example.com")
    rig.shared.accounts.create(BOB, password="secret")


@contextmanager
def setting(server: DatabaseServer, before: str, after: str) -> Iterator[None]:
    server.execute(before)
    try:
        yield
    finally:
        server.execute(after)


def test_a_binary_log_of_statements(workdir: Path) -> None:
    """It showed at the first write, whose error said neither what was wrong nor what to do."""
    said = r"binlog_format = STATEMENT.*SET GLOBAL binlog_format = ROW"
    with MariaDB(
        workdir / "mariadb", ["--log-bin", "--binlog-format=ROW", "--log-bin-trust-function-creators=1"]
    ) as server:
        for product in ("iredmail", "atmail", "afterlogic"):
            name = f"vmail_{product}"
            server.create_database(name)
            config = StoreConfig(url=server.url(name).replace("iredmail+", f"{product}+"))
            import_module(DRIVERS[f"{product}+mysql"]).create_schema(config, None)
            server.execute("SET GLOBAL binlog_format = 'STATEMENT'")
            with open_store(config.url) as opened:
                assert [finding.code for finding in opened.check()][:1] == ["no-writing"]
                with pytest.raises(StoreError, match=said):
                    opened.domains.create("example.com")
                with pytest.raises(StoreError, match=said), opened.rehearsal() as tried:
                    tried.domains.create("example.com")
                assert list(opened.domains.list()) == []
                server.execute("SET GLOBAL binlog_format = 'ROW'")
                opened.domains.create("example.com")
                assert opened.domains.exists("example.com")


READ_ONLY = "ALTER ROLE vmailadmin SET default_transaction_read_only = on"


@pytest.mark.parametrize("name", ["mysql", "postgresql", "afterlogic-postgresql"])
def test_a_server_that_only_reads(
    rigs: Callable[[str], StoreRig], mariadb: MariaDB, postgresql: PostgreSQL, name: str
) -> None:
    rig = rigs(name)
    filled(rig)
    if name == "mysql":
        server: DatabaseServer = mariadb
        before, after = "SET GLOBAL tx_read_only = ON", "SET GLOBAL tx_read_only = OFF"
    else:
        server = postgresql
        before, after = READ_ONLY, "ALTER ROLE vmailadmin RESET default_transaction_read_only"
    with setting(server, before, after), told(rig, "read_only.*allow writing") as opened:
        # Writing is allowed again, as after a failover: a store that is open for months notices.
        server.execute(after)
        opened.accounts.delete(BOB)


def test_a_server_that_stops_taking_writes_while_a_store_is_open(
    rigs: Callable[[str], StoreRig], postgresql: PostgreSQL
) -> None:
    rig = rigs("postgresql")
    filled(rig)
    store = rig.shared
    store._context.db.close()  # type: ignore[attr-defined]
    with (
        setting(
            postgresql,
            READ_ONLY,
            "ALTER ROLE vmailadmin RESET default_transaction_read_only",
        ),
        pytest.raises(StoreUnavailable, match=r"default_transaction_read_only.*allow writing"),
    ):
        store.accounts.delete(BOB)
    store._context.db.close()  # type: ignore[attr-defined]
    store.accounts.delete(BOB)
