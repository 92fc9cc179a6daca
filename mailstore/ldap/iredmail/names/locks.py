"""Locks of domains, kept in the directory itself.

A directory has no transactions and no constraint on who has an address, so whoever takes one first locks the domain that
owns it: a value in the domain's entry, added on condition that no other is there (RFC 4528), which the server decides in one
step. Taking the lock returns the entry, and giving it back also writes the panel's counters: a lock costs no operation of
its own. Readers are not held up; iRedAdmin does not know of it.

A process that dies leaves its lock behind. It is taken over when it is older than `LIFETIME_SECONDS`, by the clock of
whoever wants it; `check` names it until then.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from mailstore.errors import Conflict, MailstoreError, NotFound, StoreUnavailable
from mailstore.ldap.connection import Change, Directory, Entry
from mailstore.ldap.iredmail.settings import ATTRIBUTE, LOCK_KEY
from mailstore.ldap.names import DN, Filter, equals, negate, starts_with
from mailstore.ldap.retry import impatient

__all__ = ["LIFETIME_SECONDS", "UNFINISHED", "Lock", "is_unfinished", "lock", "lock_age", "new_lock_value"]

LIFETIME_SECONDS = 60
UNFINISHED = "unfinished"
"""The purpose of the lock that a domain has while it is made, and keeps if that is interrupted."""
WAIT_SECONDS = 10
_RENEW_SECONDS = LIFETIME_SECONDS / 3
_PAUSE_SECONDS = 0.02
_log = logging.getLogger("mailstore.ldap")


class Lock:
    """A lock that this thread holds. ``entry`` is the locked entry, as it was when the lock was taken."""

    def __init__(self, directory: Directory, dn: DN, attribute: str, value: str, entry: Entry) -> None:
        self.entry = entry
        self._directory = directory
        self._dn = dn
        self._attribute = attribute
        self._value = value
        self._since = time.monotonic()
        self._at_release: list[Change] = []
        self._counted: dict[str, int] = {}
        self._gone = False

    def at_release(self, *changes: Change) -> None:
        """Make these changes of the locked entry together with giving the lock back, if all went well."""
        self._at_release += changes

    def count(self, attribute: str, difference: int) -> None:
        """Change one of the panel's counters at the release; one that is not there was never kept."""
        self._counted[attribute] = self._counted.get(attribute, 0) + difference

    def _counters(self) -> Iterator[Change]:
        for attribute, difference in self._counted.items():
            number = self.entry.number(attribute)
            if number is not None:
                yield Change.replace(attribute, str(max(number + difference, 0)))

    def keep(self) -> None:
        """Renew the lock if it gets old; to be called now and then in long operations."""
        if time.monotonic() - self._since > _RENEW_SECONDS:
            value = new_lock_value()
            old, self._value = self._value, value
            changes = [Change.delete(self._attribute, old), Change.add(self._attribute, value)]
            try:
                self._directory.modify(self._dn, changes)
            except Conflict as error:
                raise self._lost() from error
            self._since = time.monotonic()

    def entry_is_gone(self) -> None:
        """Note that the locked entry was deleted, and the lock with it."""
        self._gone = True

    def release(self, *, well: bool) -> None:
        """Give the lock back. Raises Conflict if somebody took it over meanwhile."""
        if self._gone:
            return
        changes = [
            Change.delete(self._attribute, self._value),
            *((*self._at_release, *self._counters()) if well else ()),
        ]
        try:
            self._directory.modify(self._dn, changes)
        except Conflict as error:
            lost = self._lost()
            lost.state = "the operation itself was done" if well else None
            raise lost from error
        except MailstoreError as error:
            if well:
                left = f"its lock may be left and is free in {LIFETIME_SECONDS} s"
                error.state = f"the operation itself was done; {left}"
            raise

    def _lost(self) -> Conflict:
        return Conflict(
            f"{self._dn}: this took longer than {LIFETIME_SECONDS} s, and somebody else took over the lock; "
            "run 'mailstore check'",
            subject=self._dn,
        )


@contextmanager
def lock(
    directory: Directory,
    dn: DN,
    missing: Callable[[], NotFound],
    *,
    attribute: str = ATTRIBUTE,
    unfinished_too: bool = False,
) -> Iterator[Lock]:
    """Hold the lock of an entry in this context.

    Parameters
    ----------
    missing: returns the error for when there is no such entry.
    attribute: where the lock stands; the entry above all domains has no ``accountSetting``.
    unfinished_too: lock also what was never finished; NotFound otherwise.

    Raises StoreUnavailable if somebody else holds it for too long.
    """
    held = _take(directory, dn, missing, attribute, unfinished_too)
    try:
        yield held
    except BaseException as error:
        with impatient() if isinstance(error, StoreUnavailable) else nullcontext():
            _release_after_failure(held)
        raise
    held.release(well=True)


def _release_after_failure(held: Lock) -> None:
    """Give a lock back without hiding the error on the way; what fails here is over when the lock has expired."""
    try:
        held.release(well=False)
    except MailstoreError as error:
        _log.warning("a lock could not be given back and is free in %d s: %s", LIFETIME_SECONDS, error)


def _take(directory: Directory, dn: DN, missing: Callable[[], NotFound], attribute: str, unfinished_too: bool) -> Lock:
    deadline = time.monotonic() + WAIT_SECONDS
    free = negate(starts_with(attribute, f"{LOCK_KEY}:"))
    stale: str | None = None
    while True:
        value = new_lock_value()
        condition, changes = (
            (free, []) if stale is None else (equals(attribute, stale), [Change.delete(attribute, stale)])
        )
        entry = _try(directory, dn, [*changes, Change.add(attribute, value)], condition, missing)
        if entry is not None:
            return Lock(directory, dn, attribute, value, entry)
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"{dn}: somebody else has held the lock for {WAIT_SECONDS} s; try again")
        stale = _stale(directory, dn, attribute)
        if stale is not None and is_unfinished(stale) and not unfinished_too:
            raise NotFound(f"{dn}: its creation was interrupted; create it again, or delete it", subject=dn)
        if stale is None:
            time.sleep(_PAUSE_SECONDS + secrets.randbelow(20) / 1000)


def _try(
    directory: Directory, dn: DN, changes: Sequence[Change], condition: Filter, missing: Callable[[], NotFound]
) -> Entry | None:
    try:
        return directory.modify(dn, changes, only_if=condition, return_entry=("*",))
    except Conflict:
        return None
    except NotFound:
        raise missing() from None


def _stale(directory: Directory, dn: DN, attribute: str) -> str | None:
    """Return the value of a lock whose owner must be dead."""
    entry = directory.read(dn, (attribute,))
    for value in entry.values(attribute) if entry else ():
        age = lock_age(value)
        if age is not None and age > LIFETIME_SECONDS:
            return value
    return None


def lock_age(value: str) -> float | None:
    """Return how many seconds ago a lock was taken; None for a value that is no lock."""
    key, _, rest = value.partition(":")
    if key.lower() != LOCK_KEY.lower():
        return None
    since = rest.partition(":")[0]
    return time.time() - int(since) if since.isdecimal() else float("inf")


def is_unfinished(value: str) -> bool:
    """Tell whether a value is the lock of something that is being made."""
    return lock_age(value) is not None and value.endswith(f":{UNFINISHED}")


def new_lock_value(purpose: str = "") -> str:
    """Return the value of a lock that is taken now, with a word about what for."""
    return f"{LOCK_KEY}:{int(time.time())}:{secrets.token_hex(4)}" + (f":{purpose}" if purpose else "")
