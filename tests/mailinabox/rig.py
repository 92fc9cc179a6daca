"""A box's storage root with its file of users, at each stage of the file's history; nothing of the box itself runs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.sql.mailinabox.store import MailInABoxStore, create_own_table
from tests.servers.process import make_directory

__all__ = ["CURRENT", "HOSTNAME", "STAGES", "BoxRig", "make_box", "on_box"]

HOSTNAME = "box.example.net"

_STEPS: dict[int, Sequence[str]] = {
    0: (
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL,"
        " extra)",
        "CREATE TABLE aliases (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE,"
        " destination TEXT NOT NULL)",
    ),
    4: ("ALTER TABLE users ADD privileges TEXT NOT NULL DEFAULT ''",),
    9: ("ALTER TABLE aliases ADD permitted_senders TEXT",),
    13: (
        "CREATE TABLE mfa (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, type TEXT NOT NULL,"
        " secret TEXT NOT NULL, mru_token TEXT, label TEXT,"
        " FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE)",
    ),
    14: (
        "CREATE TABLE auto_aliases (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE,"
        " destination TEXT NOT NULL, permitted_senders TEXT)",
    ),
    15: ("ALTER TABLE users ADD quota TEXT NOT NULL DEFAULT '0'",),
}
"""What a box's migrations did to the file, by their numbers; 0 is the file as it was before them."""
STAGES = tuple(_STEPS)
CURRENT = STAGES[-1]


def make_box(root: Path, owner: tuple[int, int], *, stage: int = CURRENT) -> Path:
    """Make a storage root as the setup of a box leaves it, and return the file of users in it."""
    mail = make_directory(make_directory(root) / "mail")
    make_directory(mail / "mailboxes", *owner)
    file = mail / "users.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        for number, statements in _STEPS.items():
            for statement in statements if number <= stage else ():
                connection.execute(statement)
    file.chmod(0o664)
    return file


@dataclass
class BoxRig:
    """One box; ``root`` is the directory of its mailboxes."""

    name: str
    file: Path
    owner: tuple[int, int]
    own_table: bool = True

    def __post_init__(self) -> None:
        if self.own_table:
            create_own_table(StoreConfig(url=self.url, primary_hostname=HOSTNAME), None)

    @property
    def url(self) -> str:
        return f"mailinabox://{self.file}"

    @property
    def cli_url(self) -> str:
        """The URL with what the command line has to know besides."""
        return f"{self.url}?primary_hostname={HOSTNAME}&min_password_length=1"

    @property
    def root(self) -> Path:
        return self.file.parent / "mailboxes"

    def open(self, **options: Any) -> MailInABoxStore:
        """Open the store with homes on disk, unless `homes` says otherwise; passwords may be as short as anywhere else."""
        given = {
            "homes": str(self.root),
            "home_owner": f"{self.owner[0]}:{self.owner[1]}",
            "primary_hostname": HOSTNAME,
            "min_password_length": 1,
            **options,
        }
        return cast("MailInABoxStore", open_store(self.url, **given))

    @cached_property
    def shared(self) -> MailInABoxStore:
        """A store that all tests may use."""
        return self.open()

    def clear(self) -> None:
        """Empty all tables, and forget what earlier tests left to be told."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            for table in self._tables():
                connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self.shared.take_notices()

    def _tables(self) -> list[str]:
        names = self.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return [str(row["name"]) for row in names]

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return rows, as another program would see them."""
        with closing(sqlite3.connect(self.file)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement as another program would."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement, values)

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of a table, with all their columns."""
        condition = " AND ".join(f"{name} = ?" for name in where) or "1"
        return self.query(f"SELECT * FROM {table} WHERE {condition}", *where.values())  # noqa: S608

    def insert(self, table: str, **values: Any) -> None:
        """Insert a row as the box would."""
        marks = ", ".join("?" for _ in values)
        self.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", *values.values())  # noqa: S608

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Return the content of all tables, to see that nothing has changed."""
        return {table: self.rows(table) for table in self._tables()}

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use."""
        return int(getattr(self.shared._context.db.engine.pool, "checkedout", lambda: 0)())

    def close(self) -> None:
        """Give back all connections."""
        if "shared" in vars(self):  # opened, by its property
            self.shared.close()


def on_box(scratch: Path, owner: tuple[int, int]) -> BoxRig:
    """Return a rig with a storage root of its own."""
    rig = BoxRig("mailinabox", make_box(scratch / "mailinabox", owner), owner)
    os.chown(rig.root, *owner)
    return rig
