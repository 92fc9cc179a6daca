"""atmail's two databases on a private MariaDB: what the rows are, as another program would see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, create_engine, insert, make_url, select, text

from mailstore import open_store
from mailstore.config import AtmailConfig, StoreConfig
from mailstore.sql.atmail.schema.tables import TableNames, define
from mailstore.sql.atmail.store import AtmailStore, create_schema
from tests.servers.mariadb import MariaDB

__all__ = ["AtmailRig", "on_mariadb"]

KEPT = ("permissions", "roles", "rolePermissions")
"""What `schema create` fills, and the product brings along."""

NUMBERED = ("accounts", "domains", "aliases", "users")
"""Tables whose numbers are part of what the store tells: each test begins with 1."""


@dataclass
class AtmailRig:
    """A `mailserver` and an `apiserver` database, and a directory for homes."""

    name: str
    url: str
    apiserver: str
    root: Path
    owner: tuple[int, int]
    engine: Engine = field(init=False)
    api_engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        create_schema(StoreConfig(url=self.url, apiserver=self.apiserver), None)
        self.engine = create_engine(_native(self.url), pool_pre_ping=True)
        self.api_engine = create_engine(_native(self.apiserver), pool_pre_ping=True)
        self.tables = define(TableNames(AtmailConfig()))
        self._start = {name: self.rows(name) for name in KEPT}

    def open(self, **options: Any) -> AtmailStore:
        """Open the store with homes on disk and the API server's database, unless `options` say otherwise."""
        owner = f"{self.owner[0]}:{self.owner[1]}"
        given = {"homes": str(self.root), "home_owner": owner, "apiserver": self.apiserver, **options}
        return cast("AtmailStore", open_store(self.url, **given))

    @property
    def cli_url(self) -> str:
        """The URL of the store with the API server's database among its options."""
        return f"{self.url}?apiserver={self.apiserver}"

    @cached_property
    def shared(self) -> AtmailStore:
        """The store as all tests may use it."""
        return self.open()

    def open_without_disk(self, **options: Any) -> AtmailStore:
        """Open the store without access to the disk; its homes are recorded under the same root."""
        return cast("AtmailStore", open_store(self.url, home_root=str(self.root), **options))

    def clear(self) -> None:
        """Empty all tables, but for what a new database holds."""
        with self.engine.begin() as connection:
            for table in self.tables.values():
                connection.execute(table.delete())
            for name in NUMBERED:
                connection.execute(text(f"ALTER TABLE {name} AUTO_INCREMENT = 1"))
            for name, rows in self._start.items():
                connection.execute(self.tables[name].insert(), rows)
        with self.api_engine.begin() as connection:
            for name in ("Users", "Accounts", "Identities", "ServiceAccounts"):
                connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608 a fixed name

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of a table of the mail server by their primary key."""
        columns = self.tables[table]
        query = select(columns).where(*(columns.c[name] == value for name, value in where.items()))
        query = query.order_by(*columns.primary_key)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def row(self, table: str, **where: Any) -> dict[str, Any]:
        """Return the only such row."""
        (found,) = self.rows(table, **where)
        return found

    def insert(self, table: str, **values: Any) -> None:
        """Insert a row as another program would, with the defaults of the schema."""
        with self.engine.begin() as connection:
            connection.execute(insert(self.tables[table]).values(values))

    def execute(self, statement: str, **values: Any) -> None:
        """Run a statement as another program would."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def api_rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table of the API server."""
        with self.api_engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608

    def everything(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return the content of all tables, to see that nothing has changed."""
        with self.engine.connect() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for name, table in self.tables.items()
            }

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use."""
        context = self.shared._context
        databases = [context.db, *([context.apiserver.db] if context.apiserver else [])]
        return sum(int(getattr(db.engine.pool, "checkedout", lambda: 0)()) for db in databases)

    def close(self) -> None:
        """Give back all connections."""
        if "shared" in vars(self):  # else it would be opened only to be closed
            self.shared.close()
        self.engine.dispose()
        self.api_engine.dispose()


def _native(url: str) -> str:
    return str(make_url("mysql+pymysql" + url[url.index(":") :]).render_as_string(hide_password=False))


def on_mariadb(server: MariaDB, root: Path, owner: tuple[int, int]) -> AtmailRig:
    """Return a rig in two databases of a server."""
    for name in ("vmail_atmail", "vmail_apiserver"):
        server.create_database(name)
    place = server.url("vmail_atmail").partition("://")[2]
    apiserver = "mysql://" + server.url("vmail_apiserver").partition("://")[2]
    return AtmailRig("atmail", f"atmail+mysql://{place}", apiserver, root, owner)
