"""The steps of an operation: what it sends to the database and what it changes on disk, one after the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from mailstore.sql.iredmail.store import IRedMailStore

__all__ = ["before_statements", "commit_replaced", "kill_at_step"]

_DISK = ("mkdir", "rename", "unlink", "rmdir", "fchown", "fchmod", "fsync")
_WRITES = ("INSERT", "UPDATE", "DELETE")


def kill_at_step(store: IRedMailStore, number: int, *, coarse: bool = False) -> None:
    """Make this process kill itself at its step `number`. For child processes: nothing is put back.

    A step is the moment before a statement, before and after a commit, and before a change on disk. Coarse steps leave
    out statements that only read, as a server cannot tell whether its client died before or after one, and of the
    changes on disk all but the renames of homes, as the others have nothing to do with the kind of database.
    """
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1
        if taken == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if not coarse or text.startswith(_WRITES):
            step()

    engine = store._context.db.engine
    event.listen(engine, "before_cursor_execute", statement)
    commit = engine.dialect.do_commit

    def watched_commit(connection: Any) -> None:
        step()
        commit(connection)
        step()

    vars(engine.dialect)["do_commit"] = watched_commit
    for name in ("rename",) if coarse else _DISK:
        setattr(os, name, _watched(getattr(os, name), step, coarse))


def _watched(function: Callable[..., Any], step: Callable[[], None], coarse: bool) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        if not (coarse and str(arguments[1]).startswith(".gone-")):
            step()
        return function(*arguments, **options)

    return watched


@contextmanager
def before_statements(store: IRedMailStore, action: Callable[[int, str], None]) -> Iterator[None]:
    """Call `action` with number (from 1) and text of every statement before it is sent."""
    sent = 0

    def statement(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        nonlocal sent
        sent += 1
        action(sent, text)

    engine = store._context.db.engine
    event.listen(engine, "before_cursor_execute", statement)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", statement)


@contextmanager
def commit_replaced(store: IRedMailStore, instead: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """At every commit call `instead` with the function that commits."""
    dialect = store._context.db.engine.dialect
    commit = dialect.do_commit
    vars(dialect)["do_commit"] = lambda connection: instead(lambda: commit(connection))
    try:
        yield
    finally:
        del vars(dialect)["do_commit"]
