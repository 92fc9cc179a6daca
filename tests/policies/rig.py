"""A store with real databases of amavisd and iRedAPD beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, create_engine, text

from mailstore.sql.engine import Database
from mailstore.sql.iredmail.store import IRedMailStore
from tests.policies.schema import TABLES, create
from tests.rigs import Rig
from tests.servers.database import DatabaseServer

__all__ = ["PolicyRig", "shipped"]

# The user of the test servers may use databases whose names begin so.
NAMES = {"amavisd": "vmail_amavisd", "iredapd": "vmail_iredapd"}


@dataclass
class PolicyRig:
    """The databases, as other programs see them, and the store that writes to them.

    ``name`` is the engine of the databases. The accounts are in another one of the same server; tests that run everywhere
    put an `LdapRig` there, too.
    """

    name: str
    accounts: Rig
    server: DatabaseServer
    engines: dict[str, Engine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option, database in NAMES.items():
            # Another rig may have been on this server.
            self.server.drop_database(database)  # type: ignore[attr-defined]
            self.server.create_database(database)  # type: ignore[attr-defined]
            driver = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}[self.name]
            url = self.url(option)
            self.engines[option] = create_engine(driver + url[url.index(":") :], pool_pre_ping=True)
            with self.engines[option].begin() as connection:
                for statement in create(self.name, option).split(";\n"):
                    connection.exec_driver_sql(statement.rstrip(";"))

    def url(self, option: str) -> str:
        """Return what the option of a store says."""
        url = self.server.url(NAMES[option])
        return url.removeprefix("iredmail+")

    def open(self, **options: Any) -> IRedMailStore:
        """Open the store with both databases, unless an option says otherwise, and without access to the disk."""
        given = {option: self.url(option) for option in NAMES} | options
        return self.accounts.open_without_disk(**{key: value for key, value in given.items() if value})

    @cached_property
    def shared(self) -> IRedMailStore:
        """A store that all tests may use."""
        return self.open()

    def clear(self) -> None:
        """Remove all that is stored."""
        self.accounts.clear()
        for option, engine in self.engines.items():
            with engine.begin() as connection:
                # What refers to others goes first.
                for table in reversed([*TABLES[option]]):
                    connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of a table by their ids, binary keys as text."""
        condition = " AND ".join(f"{name} = :{name}" for name in where) or "1 = 1"
        values = {name: value.encode() if name == "email" else value for name, value in where.items()}
        with self._engine(table).connect() as connection:
            found = connection.execute(text(f"SELECT * FROM {table} WHERE {condition}"), values).mappings()  # noqa: S608
            rows = [
                {key: bytes(value).decode() if key == "email" else value for key, value in row.items()} for row in found
            ]
        return sorted(rows, key=lambda row: ([row[name] for name in ("id", "rid", "sid") if name in row], repr(row)))

    def insert(self, table: str, **values: Any) -> int:
        """Insert a row as another program would; return its id, if it has one."""
        names = ", ".join(values)
        given = {key: value.encode() if key == "email" else value for key, value in values.items()}
        statement = f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"  # noqa: S608
        with self._engine(table).begin() as connection:
            connection.execute(text(statement), given)
            if "wblist" in table:
                return 0
            return int(connection.execute(text(f"SELECT max(id) FROM {table}")).scalar_one())  # noqa: S608

    def execute(self, table: str, statement: str) -> None:
        """Run a statement in the database that has `table`."""
        with self._engine(table).begin() as connection:
            connection.execute(text(statement))

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Return the content of all tables of both databases."""
        return {table: self.rows(table) for tables in TABLES.values() for table in tables}

    def _engine(self, table: str) -> Engine:
        return next(self.engines[option] for option, tables in TABLES.items() if table in tables)

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use."""
        pools = [database.engine.pool for database in self.databases()]
        return sum(int(getattr(pool, "checkedout", lambda: 0)()) for pool in pools)

    def databases(self) -> list[Database]:
        """Return the databases that `shared` writes to: that with its accounts or records, and those beside."""
        store: Any = self.shared
        context = store._context
        own = context.companion.db if hasattr(context, "companion") else context.db
        return [own, store.companions.amavisd.db, store.companions.iredapd.db]

    def close(self) -> None:
        """Give back everything."""
        if "shared" in vars(self):
            self.shared.close()
        for engine in self.engines.values():
            engine.dispose()


def shipped(rig: PolicyRig) -> None:
    """Insert what a fresh iRedMail server has: a global policy, global greylisting."""
    policy = rig.insert(
        "policy", policy_name="@.", spam_lover="Y", virus_lover="N", banned_files_lover="N", bad_header_lover="Y",
        bypass_virus_checks="N", bypass_spam_checks="N", bypass_banned_checks="N", bypass_header_checks="N",
        spam_quarantine_to="", virus_quarantine_to="virus-quarantine", banned_quarantine_to="banned-quarantine",
        bad_header_quarantine_to="",
    )  # fmt: skip
    rig.insert("users", email="@.", priority=0, policy_id=policy)
    rig.insert("greylisting", account="@.", priority=0, sender="@.", sender_priority=0, active=1)
