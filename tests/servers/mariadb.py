"""A private MariaDB server."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT, ER

from tests.servers.database import PASSWORDS, DatabaseServer
from tests.servers.process import LOOPBACK, ServerError, connects, program, run_tool, wait_for

if TYPE_CHECKING:
    from pathlib import Path

# Debian's default, which --no-defaults drops in favour of latin1.
CHARSET_OPTIONS = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
# Fast, yet nothing committed is lost on SIGKILL: the log is written at each commit (2, where 0 waits
# up to a second) but never synced. The doublewrite buffer stays on, as a kill can tear a 16 KiB page.
SPEED_OPTIONS = [
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=8M",
]
RIGHTS = {"vmailadmin": "ALL PRIVILEGES", "vmail": "SELECT"}


class MariaDB(DatabaseServer):
    """MariaDB with root (no password), vmailadmin and vmail (both on databases named vmail...)."""

    scheme = "iredmail+mysql"
    system_user = "mysql"

    @property
    def socket(self) -> Path:
        """The server's Unix socket."""
        return self.run / "s"

    def _install(self) -> None:
        # Without --skip-test-db anonymous users are made, which shadow the others.
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=4M"]
        command = [program("mariadb-install-db"), "--no-defaults", *self._directories(), *options]
        run_tool(command, self.directory, self.user)

    def _directories(self) -> list[str]:
        # A starting server removes the temporary tables of all others from a shared tmpdir (/tmp).
        return [f"--datadir={self.data}", f"--tmpdir={self.run}"]

    def _command(self) -> list[str]:
        return [
            program("mariadbd"),
            "--no-defaults",  # has to be the first option
            *self._directories(),
            f"--socket={self.socket}",
            f"--pid-file={self.run / 'pid'}",
            f"--port={self.port}",
            f"--bind-address={LOOPBACK}",
            *CHARSET_OPTIONS,
            *SPEED_OPTIONS,
            *self.options,
        ]

    def _connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        return pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def _ready(self) -> bool:
        # A refused PyMySQL connection would leave its Unix socket open: a ResourceWarning.
        return connects(self.socket)

    def _create_users(self) -> None:
        # 127.0.0.1 is taken for localhost only where the server resolves names: allow both.
        for user, rights in RIGHTS.items():
            for host in ("localhost", LOOPBACK):
                account = f"'{user}'@'{host}'"
                self.execute(f"CREATE USER {account} IDENTIFIED BY '{PASSWORDS[user]}'")
                self.execute(f"GRANT {rights} ON `vmail%`.* TO {account}")

    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run SQL as root; return the last statement's rows."""
        with closing(self._connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall()
            while cursor.nextset():  # an error in a later statement shows only here
                rows = cursor.fetchall()
        return list(rows)

    def create_database(self, name: str, charset: str = "utf8mb4") -> None:
        """Create an empty database; name it vmail... for the users to see it."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET {charset}")

    def drop_database(self, name: str) -> None:
        """Drop a database, if it exists."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def connections(self, user: str = "vmailadmin") -> list[int]:
        """Return the ids of a user's connections."""
        rows = self.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{user}'")  # noqa: S608
        return [int(row[0]) for row in rows]

    def disconnect(self, user: str = "vmailadmin") -> int:
        """Cut all client connections of a user; return how many there were."""
        victims = self.connections(user)
        for victim in victims:
            self._kill_connection(victim)
        # KILL only asks: wait until the server has closed the sockets.
        if not wait_for(lambda: not set(victims) & set(self.connections(user)), timeout=10):
            raise ServerError(f"connections of {user} survived KILL")
        return len(victims)

    def _kill_connection(self, number: int) -> None:
        try:
            self.execute(f"KILL CONNECTION {number}")
        except pymysql.err.OperationalError as error:
            # One that left by itself since the listing is no error.
            if error.args[0] != ER.NO_SUCH_THREAD:
                raise
