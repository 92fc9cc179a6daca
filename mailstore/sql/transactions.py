"""A running transaction: its connection, what goes with it outside of the database, and whether it still exists.

A server ends a transaction by itself: to resolve a deadlock, for want of space, because the connection broke. Whatever was
done in it is gone then, and what is sent after that would be a transaction of its own: it must not be sent.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any, Protocol

from sqlalchemy import Connection, exc

from mailstore.errors import Conflict, MailstoreError, StoreError, StoreUnavailable
from mailstore.sql.failures import as_failure

__all__ = ["Joining", "Transaction"]

_MYSQL_ENDS = {
    1020, 1180, 1181, 1206, 1213,
    3101,  # a cluster refused the commit
}  # fmt: skip
"""Errors of MariaDB and MySQL after which the whole transaction is rolled back, wherever they are raised."""
_MYSQL_LOCK_TIMEOUT = 1205
"""Ends it where innodb_rollback_on_timeout is on; a savepoint that is gone shows that, too."""
_MYSQL_NO_SAVEPOINT = 1305
_LOST = "the database has ended this transaction: nothing that was done in it remains; do it again as a whole"


class Joining(Protocol):
    """A database that a transaction of another one can take in."""

    def writing(self, subject: str | None = None) -> AbstractContextManager[Transaction]:
        """Open a transaction there."""


class Transaction:
    """A running transaction: its connection, and what must be undone outside the database if it fails.

    ``in_doubt`` tells that its connection broke during the commit, so that nobody knows if it took place;
    ``reached_outside`` that something was done outside of the database.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.in_doubt = False
        self._process = os.getpid()
        self._lost: MailstoreError | None = None
        self._last_error: BaseException | None = None
        self._all = [self]
        self._undo: list[Callable[[], None]] = []
        self.reached_outside = False
        self._at_end: list[Callable[[], None]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._joined: set[Joining] = set()
        self._companions = ExitStack()

    def on_rollback(self, undo: Callable[[], None], *, outside: bool = True) -> None:
        """Call `undo` if the transaction (or the operation in it that registers this) does not come about.

        `outside` tells that it takes back what others may have seen meanwhile, on a disk or in another database.
        """
        self._undo.append(undo)
        self.reached_outside |= outside

    def at_end(self, action: Callable[[], None]) -> None:
        """Call `action` when the outermost transaction has ended, either way, while its connection is still open."""
        self._at_end.append(action)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Call `action` when the outermost transaction is committed and over, if the operation in hand comes about."""
        self._afterwards.append(action)
        self.on_rollback(lambda: self._afterwards.remove(action), outside=False)

    def run_afterwards(self) -> None:
        """Run what `afterwards` collected, to the end; what failed is raised then."""
        with ExitStack() as actions:
            for action in reversed(self._afterwards):
                actions.callback(action)

    def join(self, other: Joining, subject: str) -> None:
        """Open a transaction in another database that ends with this one: committed just before it, else rolled back.

        `subject` is named in the errors of that database.
        """
        self.require()
        if other not in self._joined:
            joined = self._companions.enter_context(_ending_with(other.writing(subject)))
            self._joined.add(other)
            if joined not in self._all:
                self._all.append(joined)
                joined._all = self._all

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

    # Whether it still exists

    @property
    def is_ours(self) -> bool:
        """Whether this process opened it; a child that was forked meanwhile has nothing to do with it."""
        return self._process == os.getpid()

    def require(self) -> None:
        """Raise an error unless this transaction, and all that end with it, can still come about."""
        if not self.is_ours:
            raise StoreError(
                f"process {self._process} opened this transaction, and it alone commits it or rolls it back; "
                "nothing of it was done by the process that was forked within"
            )
        for transaction in self._all:
            failure = transaction._gone()
            if failure is not None:
                raise failure

    def require_before_commit(self) -> None:
        """Do the same once for all that end together; the one after the other is then committed, and gone."""
        self.require()
        self._all.clear()

    @property
    def is_lost(self) -> bool:
        """Whether the server has ended it, as far as that is known."""
        return self._lost is not None or self.connection.invalidated

    def lose(self) -> None:
        """Note that the server has ended it."""
        if self._lost is None:
            self._lost = _lost(self._last_error)

    def noticed(self, error: BaseException | None) -> None:
        """Note an error of the database's driver, whoever catches it: it may have ended the transaction."""
        number = error.args[0] if error is not None and error.args else None
        if number == _MYSQL_NO_SAVEPOINT:
            return  # what it went with has been noted
        self._last_error = error
        if number in _MYSQL_ENDS or (
            number == _MYSQL_LOCK_TIMEOUT and self.connection.get_nested_transaction() is None
        ):
            self.lose()

    def _gone(self) -> MailstoreError | None:
        if self._lost is not None:
            return type(self._lost)(self._lost.message)  # each raiser gets its own: tracebacks are kept in them
        connection = self.connection
        return _lost(self._last_error) if connection.invalidated or connection.closed or self._is_over() else None

    def _is_over(self) -> bool:
        driver: Any = self.connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            return not driver.in_transaction
        info = getattr(driver, "info", None)  # psycopg; it answers without asking the server
        if info is None:
            return False
        # A failed transaction can be committed: PostgreSQL rolls it back then, and calls that a success.
        return driver.closed or info.transaction_status.name in {"INERROR", "UNKNOWN"}


def _lost(cause: BaseException | None) -> MailstoreError:
    if cause is None:
        return StoreUnavailable(_LOST)
    reason = as_failure(cause)
    kind = Conflict if isinstance(reason, Conflict) else StoreUnavailable
    return kind(f"{_LOST} ({reason.message})")


class _Abandoned(Exception):
    """Ends a transaction that joined another one which fails."""


@contextmanager
def _ending_with(transaction: AbstractContextManager[Transaction]) -> Iterator[Transaction]:
    """Run a transaction that joined another one: what fails there is not for this one to explain, it only ends it."""
    opened = transaction.__enter__()
    try:
        yield opened
    except BaseException:
        with suppress(MailstoreError):  # if it cannot even be rolled back, its server does that
            transaction.__exit__(_Abandoned, _Abandoned(), None)
        raise
    transaction.__exit__(None, None, None)
