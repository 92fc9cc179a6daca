"""A private PostgreSQL server."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.database import PASSWORDS, DatabaseServer
from tests.servers.process import LOOPBACK, program, run_tool

# Fast, yet nothing committed is lost on SIGKILL: fsync is off, but the log is written at each commit
# (synchronous_commit=off would keep it in memory for a while), and full pages guard torn ones.
SETTINGS = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "max_wal_senders": "0",
    "wal_level": "minimal",
}


def binary(name: str) -> str:
    """Return the path of a server program of the newest version; Debian keeps them off PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
    return program(name, *newest)


class PostgreSQL(DatabaseServer):
    """PostgreSQL with postgres (socket only), vmailadmin (owns databases) and vmail (reads all)."""

    scheme = "iredmail+postgresql"
    system_user = "postgres"
    # SIGINT is the fast shutdown; SIGTERM would wait for pooled connections to leave.
    stop_signal = signal.SIGINT

    @property
    def socket(self) -> Path:
        """The directory of the server's Unix socket: libpq takes it as the host, with the port."""
        return self.run

    def _install(self) -> None:
        self.data.chmod(0o700)
        # Without -E, LANG=C makes an SQL_ASCII database.
        options = ["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256"]
        run_tool([binary("initdb"), "-D", str(self.data), *options, *auth], self.directory, self.user)

    def _command(self) -> list[str]:
        address = ["-k", str(self.run), "-h", LOOPBACK, "-p", str(self.port)]
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return [binary("postgres"), "-D", str(self.data), *address, *settings, *self.options]

    def _connect(self, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self.run),
            port=self.port,
            user="postgres",
            dbname=database or "postgres",
            autocommit=True,  # CREATE DATABASE refuses to run in a transaction
        )

    def _ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_users(self) -> None:
        for user, password in PASSWORDS.items():
            self.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        self.execute("GRANT pg_read_all_data TO vmail")

    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run SQL as postgres; return the last statement's rows."""
        with self._connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(sql.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, template: str = "template0") -> None:
        """Create a database of vmailadmin's, as a copy of a template nobody is connected to."""
        # FILE_COPY takes 25 ms; the default, which logs every page, takes 400.
        options = f'OWNER vmailadmin TEMPLATE "{template}" STRATEGY FILE_COPY'
        self.execute(f'CREATE DATABASE "{name}" {options}')

    def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, with the connections to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def disconnect(self, user: str = "vmailadmin") -> int:
        """Cut all client connections of a user; return how many there were."""
        # With a timeout (ms) the function waits until the backend has left.
        rows = self.execute(
            f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{user}'"  # noqa: S608
        )
        return len(rows)
