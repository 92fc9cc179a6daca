"""Database engines: connections, transactions, and the translation of database errors.

What differs between MariaDB/MySQL, PostgreSQL and SQLite in *how* one talks to them stands here and in `dialect`; what
differs in *what* they hold stands in the tables of each schema.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, text

from mailstore.errors import MailstoreError, StoreError, StoreUnavailable
from mailstore.sql.failures import translated

__all__ = ["Database", "Transaction"]

LOCK_SECONDS = 10
"""How long a statement waits for a lock of another process before it gives up with a temporary error."""
_CONNECT_SECONDS = 10
_IDLE_SECONDS = 5
_LOG = "mailstore"
_MYSQL_SESSION = (
    # Without strict mode MySQL cuts values that are too long, silently. Zero dates, which strict servers refuse, stand in
    # rows of servers that grew old: such a row can be written again.
    "SET SESSION sql_mode = CONCAT(REPLACE(REPLACE(REPLACE(@@sql_mode, 'TRADITIONAL', ''), 'NO_ZERO_IN_DATE', ''),"
    f" 'NO_ZERO_DATE', ''), ',STRICT_TRANS_TABLES'), innodb_lock_wait_timeout = {LOCK_SECONDS}"
)


_IN_DOUBT = (
    "the connection broke during the commit: it is not known whether the operation was done; look before trying again"
)


class Transaction:
    """A running transaction: its connection, and what must be undone outside the database if it fails.

    ``in_doubt`` tells that its connection broke during the commit, so that nobody knows if it took place.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.in_doubt = False
        self._undo: list[Callable[[], None]] = []
        self._at_end: list[Callable[[], None]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._joined: set[Database] = set()
        self._companions = ExitStack()

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call `undo` if the transaction (or the operation in it that registers this) does not come about."""
        self._undo.append(undo)

    def at_end(self, action: Callable[[], None]) -> None:
        """Call `action` when the outermost transaction has ended, either way, while its connection is still open."""
        self._at_end.append(action)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Call `action` when the outermost transaction is committed and over, if the operation in hand comes about."""
        self._afterwards.append(action)
        self.on_rollback(lambda: self._afterwards.remove(action))

    def run_afterwards(self) -> None:
        """Run what `afterwards` collected, to the end; what failed is raised then."""
        with ExitStack() as actions:
            for action in reversed(self._afterwards):
                actions.callback(action)

    def join(self, other: Database, subject: str) -> None:
        """Open a transaction in another database that ends with this one: committed just before it, else rolled back.

        `subject` is named in the errors of that database.
        """
        if other not in self._joined:
            self._companions.enter_context(_ending_with(other.writing(subject)))
            self._joined.add(other)

    @property
    def companions(self) -> ExitStack:
        """The transactions that joined this one."""
        return self._companions

    def undo_from(self, mark: int) -> None:
        """Undo what was registered after the first `mark` entries, latest first."""
        while len(self._undo) > mark:
            self._undo.pop()()

    def mark(self) -> int:
        """Return how much is registered, for `undo_from`."""
        return len(self._undo)

    def end(self) -> None:
        """Run what `at_end` collected. The transaction is over: a connection lost here is no error of its own."""
        try:
            while self._at_end:
                self._at_end.pop()()
        except exc.DBAPIError:
            self.connection.invalidate()  # the server then drops what was to be released


class _Abandoned(Exception):
    """Ends a transaction that joined another one which fails."""


@contextmanager
def _ending_with(transaction: AbstractContextManager[Transaction]) -> Iterator[None]:
    """Run a transaction that joined another one: what fails there is not for this one to explain, it only ends it."""
    transaction.__enter__()
    try:
        yield
    except BaseException:
        with suppress(MailstoreError):  # if it cannot even be rolled back, its server does that
            transaction.__exit__(_Abandoned, _Abandoned(), None)
        raise
    transaction.__exit__(None, None, None)


class Database:
    """One database of any engine. Threads may share it; a transaction belongs to the thread that opened it."""

    def __init__(self, url: URL, connect_args: dict[str, Any] | None = None) -> None:
        """Prepare for connecting; nothing is connected yet.

        Parameters
        ----------
        url: with the driver spelled out, since the default driver of a dialect changes between SQLAlchemy versions.
        connect_args: what the driver takes besides (TLS, sockets).
        """
        self.url = url
        self.kind = "mysql" if url.get_backend_name() == "mariadb" else url.get_backend_name()
        self.engine = _make_engine(url, self.kind, connect_args or {})
        self._local = threading.local()

    @contextmanager
    def reading(self, subject: str | None = None) -> Iterator[Connection]:
        """Give a connection to read with: that of this thread's transaction, else one for this context only."""
        current = self._current
        if current is not None:
            with translated(subject):
                yield current.connection
            return
        with translated(subject), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, subject: str | None = None) -> Iterator[Transaction]:
        """Open a transaction, or a savepoint in this thread's running one; it ends with the context.

        `subject` is named in the errors that the database raises meanwhile.
        """
        current = self._current
        if current is not None:
            with translated(subject), self._nested(current):
                yield current
            return
        transaction: Transaction | None = None
        try:
            with translated(subject), self._outermost() as transaction:
                yield transaction
        except StoreError as error:
            if transaction is not None and transaction.in_doubt:
                error.state = _IN_DOUBT
            raise
        transaction.run_afterwards()

    def let_join(self, other: Database, subject: str) -> None:
        """Let this thread's running transaction, if there is one, take in a transaction of another database."""
        if self._current is not None:
            self._current.join(other, subject)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return self._current is not None

    @property
    def _current(self) -> Transaction | None:
        return getattr(self._local, "transaction", None)

    @contextmanager
    def _outermost(self) -> Iterator[Transaction]:
        with self.engine.connect().execution_options(mailstore_writes=True) as connection:
            transaction = self._local.transaction = Transaction(connection)
            try:
                committing = False
                with connection.begin():
                    with transaction.companions:
                        yield transaction
                    committing = True
            except BaseException:
                transaction.in_doubt = committing and connection.invalidated
                if committing and not connection.invalidated:
                    # SQLite keeps a transaction, and its lock, that readers have kept from committing.
                    connection.invalidate()
                if not transaction.in_doubt:  # else it may have come about, with what it has made outside
                    transaction.undo_from(0)
                raise
            finally:
                self._local.transaction = None
                if not connection.invalidated:
                    transaction.end()

    @staticmethod
    @contextmanager
    def _nested(transaction: Transaction) -> Iterator[None]:
        mark = transaction.mark()
        try:
            with transaction.connection.begin_nested():
                yield
        except BaseException:
            transaction.undo_from(mark)
            raise

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()

    @property
    def can_skip_locked(self) -> bool:
        """Whether the server knows SKIP LOCKED (MySQL 8.0.1, MariaDB 10.6, every PostgreSQL of today)."""
        dialect = self.engine.dialect
        version: tuple[int, ...] = getattr(dialect, "server_version_info", None) or ()
        if self.kind != "mysql":
            return self.kind == "postgresql"
        return version >= ((10, 6) if getattr(dialect, "is_mariadb", False) else (8, 0, 1))

    def lock_name(self, transaction: Transaction, name: str) -> None:
        """Serialise all transactions of mailstore that lock the same `name`, until this one ends.

        For what no row can stand for, such as a domain name that is not there yet. SQLite needs nothing: there a
        writing transaction excludes all others.
        """
        if self.kind == "postgresql":
            transaction.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
        elif self.kind == "mysql":
            # MySQL's named locks belong to the session, not to the transaction: they are released after its end.
            parameters = {"name": f"mailstore.{name}", "seconds": LOCK_SECONDS}
            if not transaction.execute(text("SELECT GET_LOCK(:name, :seconds)"), parameters).scalar():
                raise StoreUnavailable(f"somebody else has held the lock {name!r} for {LOCK_SECONDS} s; try again")
            release = text("SELECT RELEASE_LOCK(:name)")
            connection = transaction.connection
            transaction.at_end(lambda: connection.execute(release, {"name": f"mailstore.{name}"}).close())


def _make_engine(url: URL, kind: str, connect_args: dict[str, Any]) -> Engine:
    options: dict[str, Any] = {
        # Parameters hold password hashes, and so do the rows that SQLAlchemy logs on debug level.
        "hide_parameters": True,
        "logging_name": _LOG,
        # Every use here ends its transaction itself; the pool's own ROLLBACK would be one more round trip.
        "pool_reset_on_return": None,
    }
    logging.getLogger(f"sqlalchemy.engine.Engine.{_LOG}").addFilter(_shows_no_rows)
    if kind == "mysql":
        # Under REPEATABLE READ a transaction that waited for a lock would go on to count rows as they were before.
        options["isolation_level"] = "READ COMMITTED"
        defaults = {"charset": "utf8mb4", "connect_timeout": _CONNECT_SECONDS, "init_command": _MYSQL_SESSION}
    elif kind == "postgresql":
        settings = f"-c lock_timeout={LOCK_SECONDS}s -c timezone=UTC"
        defaults = {"connect_timeout": _CONNECT_SECONDS, "options": settings}
    else:
        defaults = {"timeout": LOCK_SECONDS}
    engine = create_engine(url, connect_args={**defaults, **connect_args}, **options)
    if kind == "postgresql":
        # One INSERT with a thousand rows instead of a thousand INSERTs, as PyMySQL does by itself.
        engine.dialect.use_insertmanyvalues_wo_returning = True
    if kind == "sqlite":
        _begin_explicitly(engine)
    else:
        _test_idle_connections(engine)
    return engine


def _shows_no_rows(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _begin_explicitly(engine: Engine) -> None:
    """Make writing transactions take SQLite's write lock at once: a lock taken later cannot be waited for."""

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("mailstore_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _test_idle_connections(engine: Engine) -> None:
    """Replace pooled connections that the server closed meanwhile, without a round trip for those just used."""

    @event.listens_for(engine, "checkin")
    def _note_time(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used", time.monotonic()) < _IDLE_SECONDS:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except Exception as error:
            raise exc.DisconnectionError from error
        if not alive:
            raise exc.DisconnectionError
