"""A database user without the needed rights is told so; and no error ever shows a password or its hash."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from mailstore import AlreadyExists, MailstoreError, SchemaMismatch, StoreDenied, StoreError, open_store
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.children import become, fork
from tests.faults.states import tree
from tests.faults.steps import before_statements
from tests.rigs import Rig
from tests.servers.database import PASSWORDS, DatabaseServer

BOB, NEW = "bob@example.com", "new@example.com"
PASSWORD = "correct-horse-battery"
HASH = hash_password(PASSWORD)
SECRETS = (PASSWORD, HASH, HASH.partition("}")[2], *PASSWORDS.values())

on_servers = pytest.mark.parametrize("shared_rig", ["mysql", "postgresql"], indirect=True)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.fixture(autouse=True)
def bob(store: IRedMailStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=HASH)


OPERATIONS: dict[str, Callable[[IRedMailStore], object]] = {
    "create": lambda store: store.accounts.create(NEW, password_hash=HASH),
    "update": lambda store: store.accounts.update(BOB, password=PASSWORD),
    "rename": lambda store: store.accounts.rename(BOB, NEW),
    "delete": lambda store: store.accounts.delete(BOB),
    "domain": lambda store: store.domains.create("new.com"),
    "alias": lambda store: store.aliases.create("all@example.com", members=[BOB]),
    "admin": lambda store: store.admins.create("root@else.org", password=PASSWORD),
}


def require_no_secret(error: BaseException) -> None:
    shown = [str(error), repr(error), *traceback.format_exception(error)]
    for secret in SECRETS:
        assert not any(secret in line for line in shown)


class TestRights:
    @on_servers
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_user_that_may_only_read(self, rig: Rig, server: DatabaseServer, operation: str) -> None:
        rows, homes = rig.everything(), tree(rig.root)
        with open_store(server.url("vmail", "vmail"), homes=[str(rig.root)], home_owner="5000:5000") as reader:
            assert isinstance(reader, IRedMailStore)
            assert reader.accounts.get(BOB).address == BOB
            with pytest.raises(StoreDenied, match=r"lacks a right: .*denied") as caught:
                OPERATIONS[operation](reader)
        assert not caught.value.temporary
        require_no_secret(caught.value)
        assert rig.everything() == rows
        assert tree(rig.root) == homes

    @on_servers
    def test_right_on_one_table_missing(self, rig: Rig, server: DatabaseServer) -> None:
        """Everything before that table is undone."""
        rows, homes = rig.everything(), tree(rig.root)
        with limited_user(rig, server) as url, open_store(url, homes=[str(rig.root)]) as limited:
            with pytest.raises(StoreDenied, match="forwardings"):
                limited.accounts.create(NEW, password_hash=HASH)
            assert rig.everything() == rows
            assert tree(rig.root) == homes

    @on_servers
    def test_wrong_password(self, rig: Rig) -> None:
        url = make_url(rig.url).set(password="a-wrong-password").render_as_string(hide_password=False)
        with pytest.raises(StoreDenied) as caught:
            open_store(url)
        assert "a-wrong-password" not in "".join(traceback.format_exception(caught.value))
        assert not caught.value.temporary

    @needs_root
    @pytest.mark.parametrize("read_only", ["file", "directory"])
    def test_read_only_sqlite(self, sqlite_rig: Rig, read_only: str) -> None:
        sqlite_rig.shared.domains.create("example.com")
        file = Path(str(make_url(sqlite_rig.native).database))
        os.chown(file if read_only == "file" else file.parent, 0, 0)

        def run() -> object:
            become(sqlite_rig.owner)
            return sqlite_rig.shared.accounts.create(NEW, password_hash=HASH)

        error = fork(sqlite_rig, run).wait()
        assert isinstance(error, StoreDenied), error
        assert "lacks a right" in str(error)
        assert sqlite_rig.shared.accounts.count() == 0

    @needs_root
    def test_unreadable_sqlite(self, sqlite_rig: Rig) -> None:
        file = Path(str(make_url(sqlite_rig.native).database))
        os.chown(file, 0, 0)
        file.chmod(0o600)

        def run() -> object:
            become(sqlite_rig.owner)
            return sqlite_rig.open()

        error = fork(sqlite_rig, run).wait()
        assert isinstance(error, StoreError), error
        assert "unable to open" in str(error)


@contextmanager
def limited_user(rig: Rig, server: DatabaseServer) -> Iterator[str]:
    """A database user that may do everything but write to forwardings."""
    others = sorted(set(rig.metadata.tables) - {"forwardings"})
    if rig.name == "mysql":
        server.execute("CREATE USER 'limited'@'localhost' IDENTIFIED BY 'limitedpass'")
        server.execute("GRANT SELECT ON vmail.* TO 'limited'@'localhost'")
        for table in others:
            server.execute(f"GRANT ALL ON vmail.{table} TO 'limited'@'localhost'")
        drop = "DROP USER 'limited'@'localhost'"
    else:
        server.execute("CREATE ROLE limited LOGIN PASSWORD 'limitedpass'")
        server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited", "vmail")
        server.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited", "vmail")
        server.execute(f"GRANT ALL ON {', '.join(others)} TO limited", "vmail")
        drop = "DROP OWNED BY limited; DROP ROLE limited"
    try:
        yield make_url(rig.url).set(username="limited", password="limitedpass").render_as_string(hide_password=False)
    finally:
        server.execute(drop, "vmail")


class TestSecrets:
    """What databases say about a refused row holds the row; nothing of it may come out."""

    @on_servers
    def test_row_that_another_program_has_just_inserted(self, rig: Rig) -> None:
        """Our check saw nothing, so it is the database that refuses. (SQLite lets nobody write while we do.)"""

        def insert(_number: int, statement: str) -> None:
            if statement.startswith("INSERT INTO mailbox"):
                rig.insert("mailbox", username=NEW, domain="example.com", password="x", maildir="x")

        with before_statements(rig.shared, insert), pytest.raises(AlreadyExists, match=NEW) as caught:
            rig.shared.accounts.create(NEW, password_hash=HASH)
        require_no_secret(caught.value)
        rig.execute(f"DELETE FROM mailbox WHERE username = '{NEW}'")  # noqa: S608

    @on_servers
    @pytest.mark.parametrize(
        ("column", "error"), [("must INT NOT NULL", SchemaMismatch), ("odd INT DEFAULT 0 CHECK (odd > 0)", StoreError)]
    )
    def test_row_that_the_schema_refuses(self, rig: Rig, column: str, error: type[MailstoreError]) -> None:
        homes = tree(rig.root)
        rig.execute("DELETE FROM mailbox")
        rig.execute(f"ALTER TABLE mailbox ADD COLUMN {column}")
        try:
            rig.shared.close()
            with pytest.raises(error) as caught:
                rig.shared.accounts.create(NEW, password_hash=HASH)
        finally:
            rig.execute(f"ALTER TABLE mailbox DROP COLUMN {column.split()[0]}")
            rig.execute("DELETE FROM forwardings")
        require_no_secret(caught.value)
        assert tree(rig.root) == homes

    def test_log_at_debug_level(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="sqlalchemy")
        with rig.open() as store:  # SQLAlchemy asks for the level when a connection is made
            store.accounts.create(NEW, password=PASSWORD)
            store.accounts.verify_password(BOB, PASSWORD)
            store.accounts.password_hash(BOB)
            store.accounts.update(BOB, password=PASSWORD, name="Bob")
            made = store.accounts.password_hash(NEW)
            record = store.accounts.delete(NEW)
            assert record is not None
            store.deleted.restore(record.id)
        assert "INSERT INTO mailbox" in caplog.text
        for secret in (*SECRETS, made, made.partition("}")[2]):
            assert [record.getMessage() for record in caplog.records if secret in record.getMessage()] == []

    @pytest.mark.parametrize("kind", ["store", "engine"])
    def test_repr(self, rig: Rig, kind: str) -> None:
        shown = repr(rig.shared if kind == "store" else rig.shared._context.db.engine)
        assert not any(secret in shown for secret in SECRETS)
