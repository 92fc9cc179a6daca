"""Two daemons on one database never take the same mailbox."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.servers.database import PASSWORDS
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import wait_for
from tests.test_daemon_rig import Mail, running

DATABASE = "vmailrace"
MAILBOXES = 110  # more than the 100 that one purger claims at once, so that both get some


@contextlib.contextmanager
def locked_postgresql(server: PostgreSQL) -> Iterator[Callable[[], int]]:
    """Hold the table of the records; yields how many connections wait for it."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'vmailadmin'"
    connection = psycopg.connect(host=str(server.socket), port=server.port, user="postgres", dbname=DATABASE)
    with connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE deleted_mailboxes IN ACCESS EXCLUSIVE MODE")
        yield lambda: int(server.execute(waiting)[0][0])


@contextlib.contextmanager
def locked_mariadb(server: MariaDB) -> Iterator[Callable[[], int]]:
    """Likewise."""
    waiting = "SELECT count(*) FROM information_schema.processlist WHERE user = 'vmailadmin' AND state LIKE 'Waiting%'"
    connection = pymysql.connect(unix_socket=str(server.socket), user="root", database=DATABASE)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("LOCK TABLES deleted_mailboxes WRITE")
        yield lambda: int(server.execute(waiting)[0][0])


@pytest.mark.parametrize(("name", "locked"), [("postgresql", locked_postgresql), ("mariadb", locked_mariadb)])
def test_racing_daemons_purge_each_mailbox_exactly_once(
    name: str, locked: Any, request: pytest.FixtureRequest, workdir: Path, vmail_owner: tuple[int, int]
) -> None:
    server: PostgreSQL | MariaDB = request.getfixturevalue(name)
    server.drop_database(DATABASE)
    server.create_database(DATABASE)
    mail = Mail(workdir / "mail", vmail_owner, server.url(DATABASE))
    mail.expire(MAILBOXES, files=3)
    secret = PASSWORDS["vmailadmin"]
    (workdir / "dbpassword").write_text(f"{secret}\n")
    config = mail.toml("main", mail.url.replace(f":{secret}@", "@")).replace(
        "homes =", 'password_file = "dbpassword"\nhomes ='
    )
    start = partial(running, workdir, config, "--once", CREDENTIALS_DIRECTORY=str(workdir))
    with contextlib.ExitStack() as daemons:
        with locked(server) as waiting:
            racers = [daemons.enter_context(start()) for _ in range(2)]
            assert wait_for(lambda: waiting() == len(racers), 8), [racer.text() for racer in racers]
        assert [racer.wait() for racer in racers] == [0, 0], [racer.text() for racer in racers]
    taken = [Counter(line["address"] for line in racer.lines("mailbox")) for racer in racers]
    assert all(taken), "one of them did everything: that was no race"
    everything = sum(taken, Counter())
    assert set(everything.values()) == {1}
    assert len(everything) == MAILBOXES
    assert sum(line["files"] for racer in racers for line in racer.lines("mailbox")) == 3 * MAILBOXES
    assert {line["action"] for racer in racers for line in racer.lines("mailbox")} == {"purged"}
    assert not any(secret in racer.text() for racer in racers)
    assert mail.due() == 0
    assert not mail.homes()
    assert not mail.trashed()
