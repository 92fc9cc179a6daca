"""What a server, a role or an account is like: tables without rollback, rights that hide, settings that change meanings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import make_url

from mailstore import SchemaMismatch, StoreDenied, open_store
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.rigs import Rig
from tests.servers.database import DatabaseServer

BOB, NEW = "bob@example.com", "new@example.com"
HASH = hash_password("secret")
on_mysql = pytest.mark.parametrize("shared_rig", ["mysql"], indirect=True)
on_servers = pytest.mark.parametrize("shared_rig", ["mysql", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def bob(store: IRedMailStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=HASH)


@contextmanager
def engine_of(rig: Rig, table: str, engine: str) -> Iterator[None]:
    rig.execute(f"ALTER TABLE {table} ENGINE={engine}")
    try:
        yield
    finally:
        rig.execute(f"ALTER TABLE {table} ENGINE=InnoDB")


@on_mysql
@pytest.mark.parametrize(
    ("table", "engine"),
    [("forwardings", "MyISAM"), ("deleted_mailboxes", "Aria TRANSACTIONAL=0"), ("mailstore_deleted", "Aria")],
)
def test_tables_without_rollback_are_not_written(rig: Rig, table: str, engine: str) -> None:
    with engine_of(rig, table, engine), rig.open_without_disk() as opened:
        rows = rig.everything()
        assert opened.accounts.get(BOB).address == BOB
        said = rf"{table} \({engine.split()[0]}\).*ALTER TABLE {table} ENGINE=InnoDB"
        with pytest.raises(SchemaMismatch, match=said):
            opened.accounts.delete(BOB)
        with pytest.raises(SchemaMismatch, match=said), opened.rehearsal() as tried:
            tried.accounts.delete(BOB)
        with pytest.raises(SchemaMismatch, match=said), opened.transaction():
            pass
        assert rig.everything() == rows


@on_mysql
def test_new_tables_can_be_rolled_back(rig: Rig, server: DatabaseServer, store: IRedMailStore) -> None:
    del rig
    server.execute("SET GLOBAL default_storage_engine = MyISAM")
    try:
        store._context.db.close()
        with store._context.db.reading() as connection:
            assert connection.exec_driver_sql("SELECT @@default_storage_engine").scalar() == "InnoDB"
    finally:
        server.execute("SET GLOBAL default_storage_engine = InnoDB")


class TestRights:
    """Not allowed to see is not the same as not there."""

    @pytest.fixture
    def limited(self, rig: Rig, server: DatabaseServer) -> Iterator[str]:
        """The URL for an account that has no rights yet, but on PostgreSQL the use of sequences."""
        if rig.name == "mysql":
            server.execute("CREATE USER limited@'%' IDENTIFIED BY 'limitedpass'")
            drop = "DROP USER limited@'%'"
        else:
            server.execute("CREATE ROLE limited LOGIN PASSWORD 'limitedpass'")
            server.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited", "vmail")
            drop = "DROP OWNED BY limited; DROP ROLE limited"
        yield make_url(rig.url).set(username="limited", password="limitedpass").render_as_string(hide_password=False)
        server.execute(drop, "vmail")

    def grant(self, rig: Rig, server: DatabaseServer, tables: set[str], rights: str = "ALL") -> None:
        for table in sorted(tables):
            target = f"vmail.{table} TO limited@'%'" if rig.name == "mysql" else f"{table} TO limited"
            server.execute(f"GRANT {rights} ON {target}", "vmail")

    @on_servers
    @pytest.mark.parametrize("listed", [True, False])
    def test_hidden_snapshots(self, rig: Rig, server: DatabaseServer, limited: str, listed: bool) -> None:
        self.grant(rig, server, set(rig.metadata.tables) - {"mailstore_deleted"})
        if listed and rig.name == "mysql":
            server.execute("GRANT SHOW VIEW ON vmail.* TO limited@'%'")
        rows = rig.everything()
        with open_store(limited, home_root=str(rig.root)) as opened:
            assert opened.accounts.get(BOB).address == BOB
            for refused in (lambda: opened.accounts.delete(BOB), lambda: opened.domains.delete("example.com")):
                with pytest.raises(StoreDenied, match="mailstore_deleted"):
                    refused()
        assert rig.everything() == rows

    @on_servers
    def test_hidden_needed_table(self, rig: Rig, server: DatabaseServer, limited: str) -> None:
        self.grant(rig, server, set(rig.metadata.tables) - {"alias", "moderators"})
        with pytest.raises(StoreDenied, match="alias, moderators"):
            open_store(limited)

    @on_servers
    def test_hidden_column(self, rig: Rig, server: DatabaseServer, limited: str) -> None:
        self.grant(rig, server, set(rig.metadata.tables) - {"mailbox"})
        quote = "`" if rig.name == "mysql" else '"'
        names = ", ".join(f"{quote}{c.name}{quote}" for c in rig.metadata.tables["mailbox"].c if c.name != "mobile")
        self.grant(rig, server, {"mailbox"}, f"SELECT ({names}), INSERT ({names}), UPDATE ({names})")
        with open_store(limited, home_root=str(rig.root)) as opened:
            assert opened.accounts.count() == 1
            with pytest.raises(StoreDenied, match=r"mailbox\.(mobile|\*)"):
                opened.accounts.create(NEW, password_hash=HASH)

    @on_mysql
    def test_absent_tables_are_absent(self, rig: Rig, server: DatabaseServer, limited: str) -> None:
        """Whoever may see which tables there are is believed that one is not."""
        rig.execute("RENAME TABLE maillist_owners TO elsewhere")
        try:
            self.grant(rig, server, set(rig.metadata.tables) - {"maillist_owners"})
            server.execute("GRANT SHOW VIEW ON vmail.* TO limited@'%'")
            with open_store(limited, home_root=str(rig.root)) as opened:
                opened.accounts.create(NEW, password_hash=HASH)
        finally:
            rig.execute("RENAME TABLE elsewhere TO maillist_owners")

    @pytest.mark.parametrize("shared_rig", ["postgresql"], indirect=True)
    def test_schema_that_may_not_be_used(self, rig: Rig, server: DatabaseServer, limited: str) -> None:
        del rig
        server.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "vmail")
        try:
            with pytest.raises(StoreDenied, match="mailbox"):
                open_store(limited)
        finally:
            server.execute("GRANT USAGE ON SCHEMA public TO PUBLIC", "vmail")


def works(rig: Rig) -> None:
    """Have an account with odd texts made, deleted and restored, and its times told rightly."""
    options: dict[str, Any] = {"name": 'O\'Neil \\ "x"', "forwarding": ["a@example.net", "b@example.net"]}
    with rig.open_without_disk() as opened:
        made = opened.accounts.create(NEW, password_hash=HASH, keep_copy=True, **options)
        assert opened.accounts.get(NEW) == made
        record = opened.accounts.delete(NEW, keep_mailbox_days=5)
        assert record is not None
        assert opened.deleted.get(record.id) == record
        assert abs((record.deleted - made.created).total_seconds()) < 60  # type: ignore[operator]
        restored = opened.deleted.restore(record.id)
        assert (restored.created, restored.name) == (made.created, made.name)
        assert [finding for finding in opened.check() if finding.severity == "error"] == []


@on_mysql
def test_settings_of_the_server(rig: Rig, server: DatabaseServer) -> None:
    modes = "ANSI_QUOTES,PIPES_AS_CONCAT,EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_ZERO_DATE"
    settings = {
        "sql_mode": f"'{modes}'",
        "time_zone": "'+05:30'", "sql_safe_updates": "1", "sql_select_limit": "1", "foreign_key_checks": "0",
        "completion_type": "'CHAIN'", "init_connect": "'SET autocommit = 1, NAMES latin1'", "sql_auto_is_null": "1",
    }  # fmt: skip
    before = {name: server.execute(f"SELECT @@GLOBAL.{name}")[0][0] for name in settings}
    server.execute("; ".join(f"SET GLOBAL {name} = {value}" for name, value in settings.items()))
    try:
        works(rig)
    finally:
        for name, value in before.items():
            server.execute(
                f"SET GLOBAL {name} = {value!r}" if isinstance(value, str) else f"SET GLOBAL {name} = {value}"
            )


@pytest.mark.parametrize("shared_rig", ["postgresql"], indirect=True)
def test_settings_of_the_role(rig: Rig, server: DatabaseServer) -> None:
    settings = {
        "datestyle": "'German'", "timezone": "'Asia/Kolkata'", "intervalstyle": "'sql_standard'", "bytea_output": "'escape'",
        "standard_conforming_strings": "off", "default_transaction_isolation": "'serializable'",
        "client_encoding": "'LATIN1'",
        "transform_null_equals": "on", "search_path": '"$user", elsewhere, public',
    }  # fmt: skip
    server.execute("CREATE SCHEMA vmailadmin AUTHORIZATION vmailadmin; CREATE SCHEMA elsewhere", "vmail")
    server.execute("; ".join(f"ALTER ROLE vmailadmin SET {name} = {value}" for name, value in settings.items()))
    try:
        works(rig)
    finally:
        server.execute("ALTER ROLE vmailadmin RESET ALL")
        server.execute("DROP SCHEMA vmailadmin; DROP SCHEMA elsewhere", "vmail")
