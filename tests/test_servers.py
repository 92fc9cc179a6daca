"""The private servers do what the other tests rely on."""

from __future__ import annotations

import base64
import hashlib
import imaplib
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pymysql
import pytest

from tests.servers.database import PASSWORDS
from tests.servers.dovecot import Dovecot
from tests.servers.mariadb import MariaDB
from tests.servers.postfix import PostfixLookup
from tests.servers.process import LOOPBACK, MissingCapabilityError, Process, ServerError, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.database import DatabaseServer
    from tests.servers.postgresql import PostgreSQL

REFUSED = (pymysql.err.OperationalError, psycopg.errors.InsufficientPrivilege)
PASSWORD = "pässwörd"
SHORT, LONG = "short@example.org", "long@example.org"
MESSAGE = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
SQL_CONFIG = """\
driver = sqlite
connect = {confdir}/../users.db
password_query = SELECT email AS user, password FROM users WHERE email = '%u'
user_query = SELECT home, {uid} AS uid, {gid} AS gid, '*:bytes=1048576' AS quota_rule \
  FROM users WHERE email = '%u'
"""
INCLUDE = """\
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
}
passdb {
  driver = sql
  args = {confdir}/dovecot-sql.conf.ext
}
userdb {
  driver = sql
  args = {confdir}/dovecot-sql.conf.ext
}
"""
HOME_QUERY = "SELECT home FROM users WHERE email = '%s'"


def salted(salt: bytes) -> str:
    digest = hashlib.sha256(PASSWORD.encode() + salt).digest()
    return "{SSHA256}" + base64.b64encode(digest + salt).decode()


@pytest.fixture
def users_db(workdir: Path) -> Path:
    path = workdir / "users.db"
    mail = workdir / "mail"
    rows = [(SHORT, salted(b"s" * 8), f"{mail}/short"), (LONG, salted(b"l" * 32), f"{mail}/long")]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE users (email TEXT PRIMARY KEY, password TEXT, home TEXT)")
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
    return path


@pytest.fixture
def dovecot(workdir: Path, users_db: Path, vmail_owner: tuple[int, int]) -> Iterator[Dovecot]:
    uid, gid = vmail_owner
    config = SQL_CONFIG.replace("{uid}", str(uid)).replace("{gid}", str(gid))
    files = {"dovecot-sql.conf.ext": config}
    with Dovecot(workdir, include=INCLUDE, files=files, vmail_uid=uid, vmail_gid=gid) as server:
        yield server


def connect_mariadb(server: DatabaseServer, database: str, user: str) -> pymysql.Connection:
    return pymysql.connect(host=LOOPBACK, port=server.port, user=user, password=PASSWORDS[user], database=database)


def connect_postgresql(server: DatabaseServer, database: str, user: str) -> psycopg.Connection:
    return psycopg.connect(host=LOOPBACK, port=server.port, user=user, password=PASSWORDS[user], dbname=database)


def survives_kill(server: DatabaseServer, database: str) -> None:
    """A commit just before SIGKILL must be there after the restart, on the same port."""
    connect = connect_mariadb if isinstance(server, MariaDB) else connect_postgresql
    with closing(connect(server, database, "vmailadmin")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a VARCHAR(9))")
        cursor.execute("INSERT INTO t VALUES ('é')")
        connection.commit()
        server.kill()
    assert not server.running
    server.restart()
    with closing(connect(server, database, "vmail")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT a FROM t")
        assert list(cursor.fetchall()) == [("é",)]


def test_mariadb_survives_kill(mariadb: MariaDB) -> None:
    mariadb.create_database("vmail_kill")
    survives_kill(mariadb, "vmail_kill")
    mariadb.drop_database("vmail_kill")


def test_postgresql_survives_kill(postgresql: PostgreSQL) -> None:
    postgresql.create_database("vmail_kill")
    survives_kill(postgresql, "vmail_kill")
    postgresql.drop_database("vmail_kill")


def test_mariadb_disconnect(mariadb: MariaDB) -> None:
    mariadb.create_database("vmail_cut")
    with closing(connect_mariadb(mariadb, "vmail_cut", "vmailadmin")) as connection:
        assert mariadb.disconnect() == 1
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)
    mariadb.drop_database("vmail_cut")


def test_postgresql_disconnect(postgresql: PostgreSQL) -> None:
    postgresql.create_database("vmail_cut")
    with closing(connect_postgresql(postgresql, "vmail_cut", "vmailadmin")) as connection:
        assert postgresql.disconnect() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgresql.drop_database("vmail_cut")


def test_reader_reads_only(mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    for server, connect in ((mariadb, connect_mariadb), (postgresql, connect_postgresql)):
        server.create_database("vmail_ro")
        server.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)", "vmail_ro")
        with closing(connect(server, "vmail_ro", "vmail")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT a FROM t")
            assert list(cursor.fetchall()) == [(1,)]
            with pytest.raises(REFUSED, match="denied"):
                cursor.execute("DELETE FROM t")
        server.drop_database("vmail_ro")


def test_postgresql_copies_a_template(postgresql: PostgreSQL) -> None:
    postgresql.create_database("vmail_master")
    postgresql.execute("CREATE TABLE t (a INT)", "vmail_master")
    postgresql.create_database("vmail_copy", template="vmail_master")
    assert postgresql.execute("SELECT * FROM t", "vmail_copy") == []
    postgresql.drop_database("vmail_copy")
    postgresql.drop_database("vmail_master")


def test_urls(mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    assert mariadb.url("vmail") == f"iredmail+mysql://vmailadmin:adminpass@127.0.0.1:{mariadb.port}/vmail"
    assert postgresql.url("v", "vmail") == f"iredmail+postgresql://vmail:readerpass@127.0.0.1:{postgresql.port}/v"


def test_dovecot_auth(dovecot: Dovecot) -> None:
    assert dovecot.auth(SHORT, PASSWORD)
    assert dovecot.auth(LONG, PASSWORD, service="pop3")
    assert not dovecot.auth(LONG, "wrong")


def test_dovecot_auth_raises_when_the_lookup_breaks(dovecot: Dovecot, users_db: Path) -> None:
    with closing(sqlite3.connect(users_db)) as connection:
        connection.execute("DROP TABLE users")
    with pytest.raises(ServerError, match="no such table"):
        dovecot.auth(SHORT, PASSWORD)
    with pytest.raises(ServerError, match="no such table"):
        dovecot.user(SHORT)


def test_dovecot_delivers(dovecot: Dovecot, vmail_owner: tuple[int, int]) -> None:
    fields = dovecot.user(SHORT)
    assert fields is not None
    assert fields["uid"] == str(vmail_owner[0])
    assert fields["home"] == str(dovecot.mail_root / "short")
    assert dovecot.user("nobody@example.org") is None
    assert dovecot.deliver(SHORT, MESSAGE)[0] == 250
    assert dovecot.deliver("nobody@example.org", MESSAGE)[0] == 550
    with dovecot.imap(SHORT, PASSWORD) as client:
        assert client.select() == ("OK", [b"1"])
        assert "Subject: hello" in str(client.fetch("1", "(RFC822)")[1])
    used, limit = dovecot.quota(SHORT)["MESSAGE"]
    assert (used, limit) == (1, None)
    assert dovecot.quota(SHORT)["STORAGE"][1] == 1024


def test_dovecot_restarts(dovecot: Dovecot) -> None:
    dovecot.stop()
    dovecot.start()
    with pytest.raises(imaplib.IMAP4.error), dovecot.imap(SHORT, "wrong"):
        pass
    assert dovecot.auth(SHORT, PASSWORD)


def test_postfix_lookups(workdir: Path, users_db: Path) -> None:
    postfix = PostfixLookup(workdir / "postfix")
    config = f"dbpath = {users_db}\nquery = {HOME_QUERY}\n"
    home = f"{workdir}/mail/short"
    assert postfix.query("sqlite", config, SHORT) == home
    assert postfix.query("sqlite", config, "nobody@example.org") is None
    keys = [SHORT, "Nobody@example.org", SHORT.upper()]
    assert list(postfix.query_many("sqlite", config, keys).values()) == [home, None, home]
    with pytest.raises(ServerError, match="no such table"):
        postfix.query("sqlite", config.replace("FROM users", "FROM absent"), SHORT)


def test_postfix_databases(mariadb: MariaDB, postgresql: PostgreSQL, workdir: Path) -> None:
    postfix = PostfixLookup(workdir / "postfix")
    login = f"user = vmail\npassword = {PASSWORDS['vmail']}\ndbname = vmail_map\n"
    for map_type, server in (("mysql", mariadb), ("pgsql", postgresql)):
        server.create_database("vmail_map")
        config = f"{login}hosts = {LOOPBACK}:{server.port}\nquery = SELECT '%u'\n"
        assert postfix.query(map_type, config, SHORT) == "short"
        server.drop_database("vmail_map")


def test_a_failed_start_shows_the_log(workdir: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('broken')"], workdir / "log")
    with pytest.raises(ServerError, match="broken"):
        process.start(lambda: False)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingCapabilityError, match="no-such-program is not installed"):
        program("no-such-program")
