"""What holds on all nodes of a Galera cluster (MariaDB, Percona XtraDB).

Row locks and GET_LOCK bind one node: they are no part of what the nodes agree on at a commit. So whatever is locked is also
written there, as a counter in a table of ours. Of two transactions on two nodes that count the same, the later one to commit
fails; on one node it waits. Nothing of this is done on a single server.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event, exc, text

from mailstore.errors import Conflict, StoreDenied

__all__ = ["LOCKS", "count_locks", "create_locks", "is_cluster", "lock_everywhere", "repeating"]

LOCKS = "mailstore_locks"
"""The table of counters."""
_BUCKETS = 4096  # so that the table stays small; two names with one bucket only get into each other's way now and then
_CREATE = f"CREATE TABLE IF NOT EXISTS {LOCKS} (id INT NOT NULL PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB"
_COUNT = text(f"INSERT INTO {LOCKS} (id, n) VALUES (:id, 1) ON DUPLICATE KEY UPDATE n = n + 1")  # noqa: S608
_NO_SUCH_TABLE, _MAY_NOT_CREATE = 1146, (1142, 1044)
_LOCKING = re.compile(r"FROM\s+`?(\w+)`?.*FOR UPDATE\s*\Z", re.DOTALL)
_FLAG = "mailstore_cluster"
# Every read sees what was committed on the other nodes before it began.
_SESSION = "SET SESSION wsrep_sync_wait = 7"
_ASK = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('wsrep_on', 'wsrep_provider') AND value NOT IN ('OFF', 'none')"
_WSREP_VARIABLES = 2

_Class = TypeVar("_Class", bound=type)


def is_cluster(connection: Connection) -> bool:
    """Tell whether a connection leads to a node of a cluster."""
    return bool(getattr(connection.dialect, _FLAG, False))


def count_locks(engine: Engine) -> None:
    """Find out, when the first connects, whether this is a cluster; there, let every row lock count."""
    dialect = engine.dialect

    @event.listens_for(engine, "connect")
    def _ask(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            if not hasattr(dialect, _FLAG):
                cursor.execute(_ASK)
                setattr(dialect, _FLAG, len(cursor.fetchall()) == _WSREP_VARIABLES)
            if getattr(dialect, _FLAG):
                cursor.execute(_SESSION)

    @event.listens_for(engine, "before_cursor_execute")
    def _lock(connection: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if getattr(dialect, _FLAG) and (locking := _LOCKING.search(statement)):
            values = parameters.values() if isinstance(parameters, dict) else parameters
            lock_everywhere(connection, (f"{locking[1]} {value}" for value in values))


def lock_everywhere(connection: Connection, names: Iterable[str]) -> None:
    """Keep all transactions on all nodes that lock one of the same names from committing beside this one."""
    buckets = sorted({_bucket(name) for name in names})
    if not buckets:
        return
    try:
        connection.execute(_COUNT, [{"id": bucket} for bucket in buckets])
    except exc.ProgrammingError as error:
        if error.orig is None or error.orig.args[0] != _NO_SUCH_TABLE:
            raise
        create_locks(connection.engine)
        connection.execute(_COUNT, [{"id": bucket} for bucket in buckets])


def create_locks(engine: Engine) -> None:
    """Make the table of counters, if it is not there. Raises StoreDenied, saying what to do."""
    try:
        with engine.connect() as another:  # MySQL commits before it makes a table
            another.exec_driver_sql(_CREATE)
            another.commit()
        denied = False
    except exc.OperationalError as error:
        denied = error.orig is not None and error.orig.args[0] in _MAY_NOT_CREATE
        if not denied:
            raise
    if denied:
        raise StoreDenied(
            "this is a cluster, where locks bind one node only, and the table that makes them hold on all is not there; "
            f"as an account that may create tables, run: {_CREATE}"
        )


def _bucket(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.lower().encode(errors="surrogateescape")).digest()[:4], "big") % _BUCKETS


def repeating(cls: _Class) -> _Class:
    """Let the methods of a collection try once more what lost against another node of a cluster, and left nothing.

    An operation within a transaction of the caller is for the caller to repeat.
    """
    for name in dir(cls):
        method = getattr(cls, name)
        if not name.startswith("_") and callable(method) and _is_one_step(method):
            setattr(cls, name, _repeating(method))
    return cls


def _is_one_step(method: Any) -> bool:
    kind = str(getattr(method, "__annotations__", {}).get("return", "Iterator"))
    return not kind.startswith(("Iterator", "AbstractContextManager"))


def _repeating(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def repeated(*arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except Conflict as error:
            once = any(isinstance(value, Iterator) for value in (*arguments, *options.values()))
            if not error.repeatable or once:  # what was read once cannot be given again
                raise
        return method(*arguments, **options)

    return repeated
