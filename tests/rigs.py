"""iRedMail's schema on each SQL engine: what the rows are, and which statements a store sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, select, text

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.sql.iredmail.schema.tables import define
from mailstore.sql.iredmail.store import IRedMailStore, create_schema
from tests.servers.database import DatabaseServer
from tests.servers.process import make_directory

__all__ = ["Rig", "Statements", "counting", "on_server", "on_sqlite"]


@dataclass
class Rig:
    """One database with iRedMail's schema, and a directory for homes.

    ``url`` has the password in it; ``native`` is the same database as SQLAlchemy spells it.
    """

    name: str
    url: str
    native: str
    root: Path
    owner: tuple[int, int]
    engine: Engine = field(init=False)
    metadata: MetaData = field(init=False)

    def __post_init__(self) -> None:
        create_schema(StoreConfig(url=self.url), None)
        # Some tests kill the server.
        self.engine = create_engine(self.native, pool_pre_ping=True)
        self.metadata = define(self.name)

    def open(self, **options: Any) -> IRedMailStore:
        """Open the store with homes on disk, unless `homes` says otherwise."""
        given = {"homes": str(self.root), "home_owner": f"{self.owner[0]}:{self.owner[1]}", **options}
        return cast("IRedMailStore", open_store(self.url, **given))

    @cached_property
    def shared(self) -> IRedMailStore:
        """A store that all tests of this engine may use, so that its statements are compiled once."""
        return self.open()

    def open_without_disk(self, **options: Any) -> IRedMailStore:
        """Open the store without access to the disk; its homes are recorded under the same root."""
        return cast("IRedMailStore", open_store(self.url, home_root=str(self.root), **options))

    def clear(self) -> None:
        """Empty all tables."""
        with self.engine.begin() as connection:
            for table in self.metadata.tables.values():
                connection.execute(table.delete())

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of a table by their primary key, as another program would see them."""
        columns = self.metadata.tables[table]
        query = select(columns).where(*(columns.c[name] == value for name, value in where.items()))
        query = query.order_by(*columns.primary_key)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def insert(self, table: str, **values: Any) -> None:
        """Insert a row as another program would, with the defaults of the schema."""
        with self.engine.begin() as connection:
            connection.execute(self.metadata.tables[table].insert().values(values))

    def execute(self, statement: str, **values: Any) -> None:
        """Run a statement as another program would."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the content of all tables, to see that nothing has changed."""
        with self.engine.connect() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for name, table in self.metadata.tables.items()
            }

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use."""
        return int(getattr(self.shared._context.db.engine.pool, "checkedout", lambda: 0)())

    def close(self) -> None:
        """Give back all connections."""
        if "shared" in vars(self):  # else it would be opened only to be closed
            self.shared.close()
        self.engine.dispose()


def on_sqlite(scratch: Path, root: Path, owner: tuple[int, int]) -> Rig:
    """Return a rig in a file of its own."""
    file = make_directory(scratch / "sqlite") / "vmail.db"
    return Rig("sqlite", f"iredmail+sqlite:///{file}", f"sqlite+pysqlite:///{file}", root, owner)


def on_server(name: str, server: DatabaseServer, root: Path, owner: tuple[int, int]) -> Rig:
    """Return a rig in a database of a server; `name` is ``mysql`` or ``postgresql``."""
    server.create_database("vmail")
    url = server.url("vmail")
    driver = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}[name]
    return Rig(name, url, driver + url[url.index(":") :], root, owner)


@dataclass
class Statements:
    """What was sent to a database: statements, and how often a transaction was committed."""

    texts: list[str] = field(default_factory=list)
    commits: int = 0

    def __len__(self) -> int:
        return len(self.texts)


@contextmanager
def counting(store: IRedMailStore) -> Iterator[Statements]:
    """Count the statements that a store sends; BEGIN and savepoints are not among them."""
    engine = store._context.db.engine
    seen = Statements()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.texts.append(statement)

    def commit(_connection: Connection) -> None:
        seen.commits += 1

    listeners: list[tuple[str, Callable[..., None]]] = [("before_cursor_execute", note), ("commit", commit)]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
