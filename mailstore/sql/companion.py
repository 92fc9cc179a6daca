"""What databases beside the accounts have in common: opened when first needed, and joined to the accounts' transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from mailstore.driver import urls
from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import key_of
from mailstore.driver.rights import Operation
from mailstore.errors import ConfigurationError, NotFound
from mailstore.policies import Level
from mailstore.sql.connect import native_url, open_server
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.live import GENERATED, Live, read_live

__all__ = ["Beside", "connect", "copy_rows", "grouped", "orphans", "readable", "same_names", "writable"]


def connect(name: str, url: str, password: str | None, tls_ca: str) -> Database:
    """Return the database of a URL like ``mysql://amavisd@127.0.0.1/amavisd``. Raises ConfigurationError."""
    urls.require(f"{name}=", url)
    kind, separator, rest = url.partition(":")
    if kind not in {"mysql", "postgresql"} or not separator:
        raise ConfigurationError(f"{name}: write mysql://USER@HOST/DATABASE or postgresql://USER@HOST/DATABASE")
    return open_server(kind, native_url(kind, rest), password, tls_ca=tls_ca)


class Beside:
    """One such database. ``known`` are the tables that matter."""

    known: frozenset[str] = frozenset()

    def __init__(self, name: str, db: Database) -> None:
        self.name = name
        self.db = db

    @cached_property
    def live(self) -> Live:
        """What the database has, read once."""
        with self.reading() as connection:
            live = read_live(connection, self.db.kind, known=self.known)
        self.db.forbid_writing(live.obstacle(self.known), tried=min(self.known & live.keys(), default=""))
        return live

    @contextmanager
    def reading(self, joining: Directory | None = None) -> Iterator[Connection]:
        """Give a connection to read with, which sees what this thread's transaction has changed.

        With `joining`, it stays open until that transaction ends: what is read has to lead to a change.
        """
        if joining is not None:
            joining.join(self.db, self._called)
        with self.db.reading(self._called) as connection:
            yield connection

    @contextmanager
    def writing(self, directory: Directory, level: Level | None = None) -> Iterator[Transaction]:
        """Open a transaction that ends with that of the account store, if this thread has one there.

        With `level`, all writers of settings of that level wait for each other: not everything here has a unique key.
        """
        _ = self.live  # looked at before anything is written
        directory.join(self.db, self._called)
        with self.db.writing(self._called) as tx:
            if level is not None:
                # The names of MySQL's locks have 64 characters at most.
                self.db.lock_name(tx, f"{self.name}.{hashlib.sha256(key_of(level).encode()).hexdigest()[:32]}")
            yield tx

    @property
    def _called(self) -> str:
        return f"database {self.name}"

    def close(self) -> None:
        """Give back all connections."""
        self.db.close()


def readable(directory: Directory, level: Level) -> str:
    """Return the key of a level. Raises NotFound if the acting admin does not manage it."""
    if level.kind != "global" and not directory.sees(level.domain):
        raise NotFound(f"there is no domain {level.domain} among those of this admin", subject=str(level))
    return key_of(level)


@contextmanager
def writable(
    directory: Directory, level: Level, operation: Operation, *, gone_too: bool = False, accounts_only: bool = False
) -> Iterator[str]:
    """Give the key of a level to which an operation is allowed, and keep it from going away meanwhile.

    `gone_too` allows what is not in the store any more, so that leftovers can be removed. Raises NotFound.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(directory.holding(level, operation, accounts_only=accounts_only))
        except NotFound:
            if not (gone_too and directory.sees(level.domain)):
                raise
        yield key_of(level)


class _Tail(GenericFunction[str]):
    """The last characters of a column: of the column, as a part of it, how many.

    MariaDB 11.8 misses rows where SUBSTR(c, …) stands beside `c IN (…)` and an index is on `c`; with RIGHT it finds them.
    PostgreSQL has no RIGHT for bytes.
    """

    inherit_cache = True
    name = "tail"


@compiles(_Tail)
def _part(element: _Tail, compiler: Any, **options: Any) -> str:
    return str(compiler.process(list(element.clauses)[1], **options))


@compiles(_Tail, "mysql")
@compiles(_Tail, "mariadb")
def _right(element: _Tail, compiler: Any, **options: Any) -> str:
    column, _, size = element.clauses
    return f"RIGHT({compiler.process(column, **options)}, {compiler.process(size, **options)})"


def same_names(column: ColumnElement[str], names: Collection[Level], *, binary: bool = False) -> ColumnElement[bool]:
    """Return the condition that a key is that of one of these names, or of an address below one of these domains.

    LIKE is out of the question: its ``_`` also finds other domains, and it does not work on binary columns.
    """
    keys = [key_of(name) for name in names]
    suffixes = [key_of(name) for name in names if name.kind == "domain"]
    length = func.length if binary else func.char_length

    def tail(size: int) -> ColumnElement[str]:
        return _Tail(
            column,
            func.substr(column, length(column) - size + 1, type_=column.type),
            literal_column(str(size)),
            type_=column.type,
        )

    tails = (tail(len(suffix)) == suffix for suffix in suffixes)
    return or_(column.in_(keys), *tails) if keys else false()


def copy_rows(
    tx: Transaction, table: Table, where: ColumnElement[bool], *, larger: Collection[str] = (), **changes: Any
) -> None:
    """Insert rows once more, with these columns changed; columns that this library does not know are carried along.

    `larger` are columns of counters: if a daemon has just begun to count under the new key, the larger count of each stays.
    """
    names = [column.name for column in table.columns if column.name != "id" and not column.info.get(GENERATED)]
    values = [literal(changes[name], table.c[name].type) if name in changes else table.c[name] for name in names]
    rows = select(*values).where(where)
    if larger and tx.connection.dialect.name in {"mysql", "mariadb"}:  # elsewhere these tables have no unique key
        source = select(*(value.label(name) for name, value in zip(names, values, strict=True))).where(where).subquery()
        from sqlalchemy.dialects import mysql  # needed there only, and dear

        merging = mysql.insert(table).from_select(names, select(source))
        counts = {name: func.greatest(table.c[name], merging.inserted[name]) for name in larger}
        tx.execute(merging.on_duplicate_key_update(counts))
    else:
        tx.execute(insert(table).from_select(names, rows))


def grouped(rows: Iterable[Mapping[Any, Any]], key: str) -> dict[Any, list[Mapping[Any, Any]]]:
    """Return rows by one of their columns."""
    found: dict[Any, list[Mapping[Any, Any]]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def orphans(keys: Iterable[str], directory: Directory) -> list[str]:
    """Return the keys that stand for an address or a domain which is not in the store; other keys are nobody's."""
    named = {key: _level(key) for key in dict.fromkeys(keys)}
    wanted = {level for level in named.values() if level is not None}
    known = set(directory.known(wanted)) if wanted else set()
    return [key for key, level in named.items() if level is not None and level not in known]


def _level(key: str) -> Level | None:
    if key.startswith("@"):
        return None if key.startswith("@.") or "." not in key else Level("domain", key[1:])
    return Level("address", key) if "@" in key and not key.endswith("@*") else None
