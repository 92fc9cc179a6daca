"""Database engines: connections, transactions, and the translation of database errors.

What differs between MariaDB/MySQL, PostgreSQL and SQLite in *how* one talks to them stands here and in `dialect`; what
differs in *what* they hold stands in the tables of each schema.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from functools import cached_property
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, text

from mailstore.driver.forks import in_children
from mailstore.errors import ConfigurationError, Conflict, StoreDenied, StoreError, StoreUnavailable
from mailstore.model import Finding
from mailstore.sql.cluster import count_locks, is_cluster, lock_everywhere
from mailstore.sql.failures import translated
from mailstore.sql.hosts import connect_to_one, leave_when_it_cannot_write
from mailstore.sql.identity import identity_of
from mailstore.sql.inherited import OpenConnections
from mailstore.sql.lenient import read_leniently
from mailstore.sql.live import ask_for_writing
from mailstore.sql.transactions import Transaction

__all__ = ["Database", "TextOrder", "Transaction"]

LOCK_SECONDS = 10
"""How long a statement waits for a lock of another process before it gives up with a temporary error."""
_CONNECT_SECONDS = 10
_IDLE_SECONDS = 5
_LOG = "mailstore"
_MYSQL_SESSION = "SET SESSION " + ", ".join(
    [
        # Without strict mode MySQL cuts values that are too long, silently. Zero dates, which strict servers refuse, stand
        # in rows of servers that grew old: such a row can be written again. Other modes change what statements mean.
        "sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
        f"innodb_lock_wait_timeout = {LOCK_SECONDS}",
        "default_storage_engine = InnoDB",
        "completion_type = 'NO_CHAIN'",
        "foreign_key_checks = 1",
        "group_concat_max_len = 1048576",
        "sql_auto_is_null = 0",
        "sql_big_selects = 1",
        "sql_safe_updates = 0",
        "sql_select_limit = 18446744073709551615",
    ]
)
_MYSQL_UTC = ", time_zone = '+00:00'"
"""The zone in which TIMESTAMP columns are read and written; in UTC no hour is missing in spring."""
_POSTGRESQL_SESSION = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read\\ committed",  # a space ends the option
}
"""What is relied on, whatever the server, the database or the role says. Whether a role may only read, and how long a
statement may take, is for them to say."""


_IN_DOUBT = (
    "the connection broke during the commit: it is not known whether the operation was done; look before trying again"
)


_TAKEN_ALONG = "the database has ended the whole transaction: nothing that was done in it before remains either"


class TextOrder(Enum):
    """How a server compares text, and in which order its indexes have it."""

    FOLDED = "without regard to case"
    OCTETS = "octet by octet"
    LANGUAGE = "by the letters, and of two that differ only in case one is next to the other"
    OTHER = "by the letters, over punctuation marks"


_ORDERS = {(True, True): TextOrder.LANGUAGE, (True, False): TextOrder.OTHER}
_ASK_ORDER = "SELECT 'a' < 'B', 'a+c' < 'ab'"


class Database:
    """One database of any engine. Threads may share it; a transaction belongs to the thread that opened it.

    It may be used in processes that are forked from the one that opened it: they make connections of their own, and have
    no part in transactions that are open while they are forked.
    """

    def __init__(self, url: URL, connect_args: dict[str, Any] | None = None, *, local_times: bool = False) -> None:
        """Prepare for connecting; nothing is connected yet.

        Parameters
        ----------
        url: with the driver spelled out, since the default driver of a dialect changes between SQLAlchemy versions.
        connect_args: what the driver takes besides (TLS, sockets).
        local_times: of MySQL, leave the session in the server's time zone, for products that keep times in it.
        """
        self.url = url
        self.kind = "mysql" if url.get_backend_name() == "mariadb" else url.get_backend_name()
        self._connect_args = connect_args or {}
        if self.kind == "mysql":
            session = _MYSQL_SESSION + ("" if local_times else _MYSQL_UTC)
            self._connect_args = {"init_command": session, **self._connect_args}
        self._connections = OpenConnections()
        self._obstacle: StoreError | None = None
        self._refusal: StoreError | None = None
        self._tried = ""
        self._begin_anew()
        in_children(self)

    def _begin_anew(self) -> None:
        self._engine: Engine | None = None
        self._making = threading.Lock()
        self._local = threading.local()

    def forked(self) -> None:
        """See `mailstore.driver.forks`. The engine goes as a whole: other threads may have held locks within it."""
        self._connections.forked()
        self._begin_anew()

    @property
    def engine(self) -> Engine:
        """The engine of this process. Raises StoreError if its parent's connections are in the way."""
        if self._engine is None:
            with self._making:
                if self._engine is None:
                    self._connections.release(self.url.database or "")
                    self._engine = _make_engine(self.url, self.kind, self._connect_args)
                    self._watch(self._engine)
        return self._engine

    def _watch(self, engine: Engine) -> None:
        """Note which connections are open, and what fails within a transaction."""
        known = self._connections
        listeners = {"connect": known.opened, "close": known.closed, "checkin": known.given_back}
        for name, listener in listeners.items():
            event.listen(engine, name, lambda connection, _record, note=listener: note(connection))
        event.listen(engine, "checkout", lambda connection, _record, _proxy: known.lent(connection))
        event.listen(engine, "close_detached", known.closed)  # of these the pool tells no "close"

        @event.listens_for(engine, "handle_error")
        def _note_error(context: Any) -> None:
            current = self._current
            if current is not None and context.connection is current.connection:
                current.noticed(context.original_exception)

    @cached_property
    def identity(self) -> str:
        """What this database is, however it is reached; see `mailstore.sql.identity`."""
        with translated(), self._lent() as connection:
            return identity_of(connection, self.kind)

    def forbid_writing(self, obstacle: StoreError | None, *, tried: str) -> None:
        """Let every transaction be refused with this error before it begins; None allows them.

        A server that takes no writes, or could not roll them back, refuses them too: it is asked now, with a statement that
        changes no row of the table `tried`, and, as long as it does, again before each transaction.
        """
        self._obstacle = obstacle
        self._tried = tried
        self._refusal = self._ask_for_writing()

    def _ask_for_writing(self) -> StoreError | None:
        if self.kind == "sqlite" or not self._tried:
            return None  # SQLite's transactions begin by asking for the right to write
        try:
            with self.reading() as connection:
                ask_for_writing(connection, self.kind, self._tried)
        except StoreDenied:  # whoever may not write there may still read
            return None
        except StoreError as error:
            return error
        return None

    def findings(self) -> Iterator[Finding]:
        """Iterate over what keeps everybody from writing here, if anything does."""
        found = self._obstacle or self._refusal
        if found is not None:
            yield Finding("no-writing", self.url.database or "", found.message)

    def _require_writing(self, subject: str | None) -> None:
        """Raise what stands in the way of all transactions."""
        if self._refusal is not None and self._current is None:
            self.close()  # what a server says of itself is as old as the connection
            self._refusal = self._ask_for_writing()
        found = self._obstacle or self._refusal
        if found is not None:
            raise type(found)(found.message, subject=subject)

    @contextmanager
    def reading(self, subject: str | None = None) -> Iterator[Connection]:
        """Give a connection to read with: that of this thread's transaction, else one for this context only."""
        current = self._current
        if current is not None:
            with translated(subject):
                current.require()
                yield current.connection
            return
        moment = getattr(self._local, "moment", None)
        with translated(subject), self._lent() if moment is None else nullcontext(moment) as connection:
            yield connection

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Let this thread read everything as it is at its first read in this context.

        A transaction that the thread has, or opens, sees what it sees. In SQLite without a write-ahead log others who
        write wait meanwhile, and give up.
        """
        isolation = {} if self.kind == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with translated(), self._lent(**isolation) as connection:
            self._local.moment = connection
            try:
                yield
            finally:
                self._local.moment = None

    @contextmanager
    def for_long(self, *, at_once: bool) -> Iterator[Callable[[], AbstractContextManager[Connection]]]:
        """Give what gives connections to read a long list with, one for each page.

        With `at_once` all pages are of one moment, in a transaction of its own, which does not see what this thread's
        has written; but in SQLite, where nobody else writes meanwhile, it is the thread's.
        """
        if not at_once or (self.kind == "sqlite" and self.in_transaction):
            yield self.reading
            return
        isolation = {} if self.kind == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with translated(), self._lent(**isolation) as connection:
            yield lambda: nullcontext(connection)

    @contextmanager
    def writing(self, subject: str | None = None) -> Iterator[Transaction]:
        """Open a transaction, or a savepoint in this thread's running one; it ends with the context.

        `subject` is named in the errors that the database raises meanwhile. After an error that made the server end the
        transaction, every further use of it and its end raise a temporary error.
        """
        self._require_writing(subject)
        current = self._current
        if current is not None:
            try:
                with translated(subject), self._nested(current):
                    self._lock_everywhere(current, subject)
                    yield current
            except StoreError as error:
                if current.is_ours and current.is_lost:
                    error.state = error.state or _TAKEN_ALONG
                raise
            return
        transaction: Transaction | None = None
        try:
            with translated(subject), self._outermost() as transaction:
                self._lock_everywhere(transaction, subject)
                yield transaction
        except StoreError as error:
            if transaction is not None and transaction.in_doubt:
                error.state = _IN_DOUBT
            elif isinstance(error, Conflict) and transaction is not None:
                error.repeatable = is_cluster(transaction.connection) and not transaction.reached_outside
            raise
        transaction.run_afterwards()

    @staticmethod
    def _lock_everywhere(transaction: Transaction, subject: str | None) -> None:
        """On a cluster, let everything that is done in one domain be done by one at a time."""
        if subject and " " not in subject and is_cluster(transaction.connection):
            lock_everywhere(transaction.connection, [subject.rpartition("@")[2]])

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
    def _lent(self, **options: Any) -> Iterator[Connection]:
        connection = self.engine.connect().execution_options(**options)
        process = os.getpid()
        try:
            yield connection
        finally:
            if os.getpid() == process:  # else it is the parent's, and in its hands
                connection.close()

    @contextmanager
    def _outermost(self) -> Iterator[Transaction]:
        with self._lent(mailstore_writes=True) as connection:
            connection.begin()
            transaction = self._local.transaction = Transaction(connection)
            committing = False
            try:
                with transaction.companions:
                    yield transaction
                    transaction.require_before_commit()
                committing = True
                connection.commit()
            except BaseException:
                if transaction.is_ours:
                    self._give_up(transaction, committing=committing)
                raise
            finally:
                if transaction.is_ours:
                    self._local.transaction = None
                    if not connection.invalidated:
                        transaction.end()

    @staticmethod
    def _give_up(transaction: Transaction, *, committing: bool) -> None:
        connection = transaction.connection
        transaction.in_doubt = committing and connection.invalidated
        if committing and not connection.invalidated:
            # SQLite keeps a transaction, and its lock, that readers have kept from committing.
            connection.invalidate()
        try:
            connection.rollback()
        except exc.DBAPIError:
            connection.invalidate()  # the server rolls back what belongs to a connection that is closed
        if not transaction.in_doubt:  # else it may have come about, with what it has made outside
            transaction.undo_from(0)

    @staticmethod
    @contextmanager
    def _nested(transaction: Transaction) -> Iterator[None]:
        transaction.require()
        mark = transaction.mark()
        savepoint = transaction.connection.begin_nested()
        try:
            yield
            transaction.require()
            try:
                savepoint.commit()
            except exc.DBAPIError:
                transaction.lose()
                raise
        except BaseException:
            if transaction.is_ours:
                try:
                    savepoint.rollback()
                except exc.SQLAlchemyError:  # the transaction that it was in is gone
                    transaction.lose()
                transaction.undo_from(mark)
            raise

    def close(self) -> None:
        """Close all pooled connections."""
        if self._engine is not None:
            self._engine.dispose()

    @property
    def tells_case(self) -> bool:
        """Whether text is compared as it is written. The collations that are usual on MySQL take `A` for `a`."""
        return self.kind != "mysql"

    @property
    def text_order(self) -> TextOrder:
        """In which order the indexes have text; asked of PostgreSQL, where it is the locale's, when the first connects."""
        order: TextOrder = getattr(self.engine.dialect, "mailstore_order", TextOrder.OCTETS)
        return TextOrder.FOLDED if self.kind == "mysql" else order

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
            if is_cluster(transaction.connection):
                lock_everywhere(transaction.connection, [f"lock {name}"])
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
        defaults = {"charset": "utf8mb4", "connect_timeout": _CONNECT_SECONDS}
    elif kind == "postgresql":
        settings = " ".join(f"-c {name}={value}" for name, value in _POSTGRESQL_SESSION.items())
        defaults = {"connect_timeout": _CONNECT_SECONDS, "options": settings, "client_encoding": "utf8"}
    else:
        defaults = {"timeout": LOCK_SECONDS}
    engine = create_engine(url, connect_args={**defaults, **connect_args}, **options)
    _connect_clearly(engine)
    leave_when_it_cannot_write(engine)
    if kind == "postgresql":
        # One INSERT with a thousand rows instead of a thousand INSERTs, as PyMySQL does by itself.
        engine.dialect.use_insertmanyvalues_wo_returning = True
        _note_order(engine)
    read_leniently(engine, kind)
    if kind == "mysql":
        count_locks(engine)
    if kind == "sqlite":
        _begin_explicitly(engine)
    else:
        _test_idle_connections(engine)
    return engine


def _note_order(engine: Engine) -> None:
    @event.listens_for(engine, "first_connect")
    def _ask(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            answer = cursor.execute(_ASK_ORDER).fetchone()
        connection.rollback()
        dialect: Any = engine.dialect
        dialect.mailstore_order = _ORDERS.get(answer, TextOrder.OCTETS)


def _connect_clearly(engine: Engine) -> None:
    """Let what a driver raises besides its own errors say what it is about, without the values that it shows."""

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        try:
            return connect_to_one(dialect, arguments, options)
        except UnicodeError:
            problem = "the account, the password or the name of the database cannot be sent to the server"
        except (RuntimeError, ValueError, TypeError) as error:  # PyMySQL without what a way to log in needs
            needed = "'cryptography' package" in str(error)
            problem = (
                "its account logs in by caching_sha2_password, which needs TLS (tls_ca=) or pip install 'PyMySQL[rsa]'"
            )
            problem = problem if needed else f"its driver cannot connect: {type(error).__name__}"
        raise ConfigurationError(f"database {engine.url.database}: {problem}")


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
