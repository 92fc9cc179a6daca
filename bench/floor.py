"""The floor: the same rows written and read by hand, with the drivers themselves and nothing in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import make_url

__all__ = ["Floor"]

_BATCH = 1000
_MAILBOX = (
    "username", "domain", "password", "passwordlastchange", "created", "modified", "quota", "language", "active",
    "settings", "storagebasedirectory", "storagenode", "maildir",
)  # fmt: skip
_FORWARDING = (
    "address", "forwarding", "domain", "dest_domain", "active", "is_list", "is_forwarding", "is_alias", "is_maillist",
)  # fmt: skip


class Floor:
    """Hand-written code for one engine."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.connection: Any = _connect(name, url)
        self._mark = "?" if name == "sqlite" else "%s"

    def create(self, number: int, password_hash: str) -> None:
        """Insert one account: one SELECT and two INSERTs in one transaction."""
        address = f"floor{number}@example.com"
        mailbox, forwarding = _rows(address, password_hash)
        with closing(self.connection.cursor()) as cursor:
            if self.name == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(f"SELECT username FROM mailbox WHERE username = {self._mark}", (address,))
            assert cursor.fetchone() is None
            cursor.execute(self._insert("mailbox", _MAILBOX, 1), mailbox)
            cursor.execute(self._insert("forwardings", _FORWARDING, 1), forwarding)
        self.connection.commit()

    def replayed(self, statements: Sequence[tuple[str, Any]], name: str) -> Callable[[int], None]:
        """Return a function that runs recorded statements again, in one transaction, for another name each time."""

        def renamed(value: Any, new: str) -> Any:
            return value.replace(name, new) if isinstance(value, str) else value

        def run(number: int) -> None:
            new = f"replay{number}"
            with closing(self.connection.cursor()) as cursor:
                if self.name == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                for statement, parameters in statements:
                    if isinstance(parameters, dict):
                        values: Any = {key: renamed(value, new) for key, value in parameters.items()}
                    else:
                        values = tuple(renamed(value, new) for value in parameters)
                    cursor.execute(statement, values)
                    if cursor.description:
                        cursor.fetchall()
            self.connection.commit()

        return run

    def create_many(self, prefix: str, count: int, password_hash: str) -> None:
        """Insert many accounts with multi-row INSERTs, a thousand rows each, in one transaction."""
        batch = min(_BATCH, 2400 // len(_MAILBOX) * 10) if self.name == "sqlite" else _BATCH
        with closing(self.connection.cursor()) as cursor:
            if self.name == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            for start in range(0, count, batch):
                pairs = [
                    _rows(f"{prefix}{n}@example.com", password_hash) for n in range(start, min(start + batch, count))
                ]
                for table, columns, index in (("mailbox", _MAILBOX, 0), ("forwardings", _FORWARDING, 1)):
                    values = [value for pair in pairs for value in pair[index]]
                    cursor.execute(self._insert(table, columns, len(pairs)), values)
        self.connection.commit()

    def fetch(self, statements: Sequence[str]) -> int:
        """Fetch all rows of some statements as tuples, a thousand at a time. Returns how many."""
        return sum(1 for statement in statements for _ in self._stream(statement))

    def _stream(self, statement: str) -> Iterator[Any]:
        with closing(self._streaming_cursor()) as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(1000):
                yield from rows
        self.connection.rollback()

    def _streaming_cursor(self) -> Any:
        if self.name == "mysql":
            from pymysql.cursors import SSCursor

            return self.connection.cursor(SSCursor)
        return self.connection.cursor("stream") if self.name == "postgresql" else self.connection.cursor()

    def _insert(self, table: str, columns: Sequence[str], rows: int) -> str:
        marks = "(" + ", ".join([self._mark] * len(columns)) + ")"
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([marks] * rows)}"

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _connect(name: str, url: str) -> Any:
    parsed = make_url(url)
    if name == "sqlite":
        import sqlite3

        return sqlite3.connect(str(parsed.database), isolation_level=None)
    options: dict[str, Any] = {
        "host": parsed.host,
        "port": parsed.port,
        "user": parsed.username,
        "password": parsed.password,
    }
    if name == "mysql":
        import pymysql

        return pymysql.connect(**options, database=parsed.database, charset="utf8mb4")
    import psycopg

    return psycopg.connect(**options, dbname=parsed.database)


def _rows(address: str, password_hash: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    local, _, domain = address.partition("@")
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    moment = now.isoformat(" ")
    home = f"{domain}/{local[0]}/{local[1]}/{local[2]}/{local}-{now:%Y.%m.%d.%H.%M.%S}/"
    mailbox = (
        address, domain, password_hash, moment, moment, moment, 0, "", 1, "", "/var/vmail", "vmail1", home,
    )  # fmt: skip
    return mailbox, (address, address, domain, domain, 1, 0, 1, 0, 0)
