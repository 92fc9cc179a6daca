"""A purge that is stopped at each of its steps, so that something else happens there, and whose commit may fail."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import event

from mailstore import MailstoreError, Store, StoreUnavailable
from mailstore.purge import purge_due
from mailstore.sql import engine as engine_module

__all__ = ["Commit", "Interleaving", "databases", "found_below", "interleaved", "without_waiting"]

_GONE = "Cannot operate on a closed database."
"""What SQLAlchemy takes for a lost connection, as it does what servers say then."""


class Commit(Enum):
    """What becomes of the purge's commits."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN_BUT_DONE = "done, and the answer is lost"
    UNKNOWN_AND_UNDONE = "undone, and the answer is lost"


def databases(store: Any) -> list[Any]:
    """Return the databases in which a store keeps accounts and records."""
    context = store._context
    return [context.companion.db] if hasattr(context, "companion") else [context.db]


@contextmanager
def without_waiting(store: Store) -> Iterator[None]:
    """Let a store fail at once where it would wait for a lock: within one thread nobody would ever release it."""

    def impatient(connection: Any, _record: Any, _proxy: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA busy_timeout = 0")
        elif hasattr(connection, "execute"):  # psycopg
            connection.execute("SET lock_timeout = '1ms'")
        else:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = 0")

    patience, engine_module.LOCK_SECONDS = engine_module.LOCK_SECONDS, 0
    try:
        for database in databases(store):
            event.listen(database.engine, "checkout", impatient)
        yield
    finally:
        engine_module.LOCK_SECONDS = patience
        for database in databases(store):
            event.remove(database.engine, "checkout", impatient)


@dataclass
class Interleaving:
    """One purge, at whose step `at` something is done, or at the first step after it at which no lock is in the way.

    ``steps`` are those that the purge had, ``done_at`` the one at which it was done; `asked_at` the one at which the purge
    asked last who lives.
    """

    store: Any
    at: int
    action: Callable[[], object]
    commit: Commit = Commit.DONE
    steps: int = 0
    done_at: int | None = None
    asked_at: int = 0
    refusal: MailstoreError | None = None
    error: MailstoreError | None = None
    _inside: bool = field(default=False, repr=False)

    def run(self) -> None:
        """Purge. What fails with the commit is kept in ``error``, what the action was refused with in ``refusal``."""
        with self._watched():
            try:
                list(purge_due(self.store))
            except MailstoreError as error:
                if self.commit is Commit.DONE:
                    raise
                self.error = error
        self.at = 0
        self.step()

    def step(self) -> None:
        """Do the action if its turn has come and nothing that the purge has locked is in its way."""
        if self._inside:
            return
        self.steps += 1
        if self.done_at is not None or self.steps < self.at:
            return
        self._inside = True
        try:
            self.action()
        except StoreUnavailable:
            return
        except MailstoreError as error:
            self.refusal = error
        finally:
            self._inside = False
        self.done_at = self.steps

    @contextmanager
    def _watched(self) -> Iterator[None]:
        rename, homes = os.rename, type(self.store.accounts).homes
        listeners = [(database.engine, self._before_statement) for database in databases(self.store)]
        observers = getattr(getattr(self.store._context, "directory", None), "observers", None)

        def watched_rename(*names: Any, **descriptors: Any) -> None:
            self.step()
            rename(*names, **descriptors)
            self.step()

        def watched_homes(accounts: Any, *, at_once: bool = False) -> Any:
            if not self._inside:
                self.step()
                self.asked_at = self.steps
            return homes(accounts, at_once=at_once)

        os.rename = watched_rename
        type(self.store.accounts).homes = watched_homes
        for engine, listener in listeners:
            event.listen(engine, "before_cursor_execute", listener)
            vars(engine.dialect)["do_commit"] = self._commit_of(engine.dialect)
        if observers is not None:
            observers.append(self._before_operation)
        try:
            yield
        finally:
            os.rename = rename
            type(self.store.accounts).homes = homes
            if observers is not None:
                observers.remove(self._before_operation)
            for engine, listener in listeners:
                event.remove(engine, "before_cursor_execute", listener)
                del vars(engine.dialect)["do_commit"]

    def _before_statement(self, *_arguments: Any) -> None:
        self.step()

    def _before_operation(self, _kind: str, _dn: str) -> None:
        self.step()

    def _commit_of(self, dialect: Any) -> Callable[[Any], None]:
        commit = dialect.do_commit

        def replaced(connection: Any) -> None:
            self.step()
            if self.commit is Commit.REFUSED:
                raise dialect.loaded_dbapi.OperationalError("disk I/O error")
            if self.commit is not Commit.UNKNOWN_AND_UNDONE:
                commit(connection)
            if self.commit is not Commit.DONE:
                raise sqlite3.ProgrammingError(_GONE)
            self.step()

        return replaced


def interleaved(
    prepare: Callable[[], tuple[Store, Callable[[], object]]], *, commit: Commit = Commit.DONE, stride: int = 1
) -> Iterator[Interleaving]:
    """Iterate over all purges in which the action that `prepare` returns is done at another step, or a part of them."""
    at = 1
    while True:
        store, action = prepare()
        purge = Interleaving(store, at, action, commit)
        purge.run()
        yield purge
        assert purge.done_at is not None
        if purge.done_at == purge.steps:
            return
        at = purge.done_at + stride  # at the steps between it was in vain: the same purge would follow


def found_below(root: Path) -> set[str]:
    """Return the texts of all files below a directory."""
    return {path.read_text() for path in root.rglob("*") if path.is_file()}
