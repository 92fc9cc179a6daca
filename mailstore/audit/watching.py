"""A store whose changes are written to the audit log, at one place for all drivers and programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from threading import local
from typing import Any, TypeVar

from mailstore.around import Call, Passing, around
from mailstore.audit.trail import Change, Result, Trail, Who, result_of
from mailstore.errors import BulkRefused
from mailstore.model import Capability
from mailstore.purge import Outcome
from mailstore.store import Store

__all__ = ["note_outcome", "watched"]

_Store = TypeVar("_Store", bound=Store)


def watched(store: _Store, trail: Trail, who: Who) -> _Store:
    """Return a store that does the same, and whose changes are written to the audit log as those of `who`.

    What is done in a transaction is written when it has ended, as ``rolled back`` if it came to nothing; what is done in a
    rehearsal is not written. A transaction whose end nobody knows is ``failed``.
    """
    return around(store, _Watching(trail, who, store.name, local())) if trail else store


def note_outcome(trail: Trail, who: Who, store: Store, outcome: Outcome) -> None:
    """Write what the purge did with a mailbox."""
    if outcome.action in {"elsewhere", "would purge"}:
        return
    record = outcome.record
    facts = {"home": outcome.home, "action": outcome.action, "files": outcome.files, "bytes": outcome.bytes}
    result: Result = "refused" if outcome.action == "kept" else "done"
    subject = record.address if record else ""
    trail.write(who, store.name, Change("deleted.purge", subject, facts, result, outcome.reason))


class _Watching:
    """See `mailstore.around.Passing`."""

    def __init__(self, trail: Trail, who: Who, store: str, thread: local, *, silent: bool = False) -> None:
        self._trail = trail
        self._who = who
        self._store = store
        self._thread = thread
        self._silent = silent

    def call(self, call: Call) -> Any:
        if self._silent or not call.changes:
            return call.proceed()
        subjects: list[str] | None = None
        if call.method.endswith("_many"):
            subjects = []
            proceed = _noting(call, subjects)
        else:
            proceed = call.proceed
        try:
            answer = proceed()
        except BaseException as error:
            self._note(call, subjects, error)
            raise
        self._note(call, subjects, None)
        return answer

    def transaction(self) -> AbstractContextManager[None]:
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        outer = getattr(self._thread, "waiting", None)
        if outer is not None or self._silent:  # a savepoint in it, whose end depends on this one's
            first = len(outer) if outer is not None else 0
            try:
                yield
            except BaseException:
                _roll_back((outer or [])[first:])
                raise
            return
        waiting: list[tuple[Who, Change]] = []
        self._thread.waiting = waiting
        try:
            yield
        except BaseException:
            _roll_back(waiting)
            raise
        finally:
            del self._thread.waiting
            for who, change in waiting:
                self._trail.write(who, self._store, change)

    def rehearsal(self) -> Passing:
        return _Watching(self._trail, self._who, self._store, self._thread, silent=True)

    def acting_as(self, admin: str) -> Passing:
        who = replace(self._who, admin=admin, caller=self._who.caller or admin)
        return _Watching(self._trail, who, self._store, self._thread, silent=self._silent)

    def _note(self, call: Call, subjects: list[str] | None, error: BaseException | None) -> None:
        operation = ".".join(filter(None, (call.collection, call.method)))
        rest = dict(call.arguments)
        subject = "" if not rest else str(rest.pop(next(iter(rest))))
        if subjects is None:
            self._write(Change(operation, subject, rest, *result_of(error)))
            return
        for number, each in enumerate(subjects):  # each is a change of its own to whoever looks for its address
            result = _result_of_row(call, number, error)
            self._write(Change(operation.removesuffix("_many"), each, {}, *result))

    def _write(self, change: Change) -> None:
        waiting = getattr(self._thread, "waiting", None)
        if waiting is None:
            self._trail.write(self._who, self._store, change)
        else:
            waiting.append((self._who, change))


def _result_of_row(call: Call, number: int, error: BaseException | None) -> tuple[Result, str]:
    """Return what became of one of many."""
    if not isinstance(error, BulkRefused):
        return result_of(error)
    refused = dict(error.rows).get(number)
    if refused is not None:
        return result_of(refused)
    together = call.method == "create_many" or Capability.TRANSACTIONS in call.store.capabilities
    return ("rolled back" if together else "done"), ""


def _roll_back(waiting: Iterable[tuple[Who, Change]]) -> None:
    for _, change in waiting:
        if change.result == "done":
            change.result = "rolled back"


def _noting(call: Call, subjects: list[str]) -> Any:
    """Return what does a bulk call, and notes each address on the way."""
    name, rows = next(iter(call.arguments.items()))

    def noted(rows: Iterable[Mapping[str, Any] | str]) -> Iterator[Mapping[str, Any] | str]:
        for row in rows:
            subjects.append(row if isinstance(row, str) else str(row.get("address", "")))
            yield row

    return lambda: call.proceed(**{name: noted(rows)})
