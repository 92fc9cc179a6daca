"""What to do when a connection breaks: wait for the server, then ask again.

Whatever was asked is asked again over a new connection. For a write that is delicate: the first one may have been done,
and only its answer lost. The second one is then refused *because* the first one was done, with one of a few codes, and
the directory shows what was to be written. Only both together are taken for success.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from mailstore.errors import StoreUnavailable
from mailstore.ldap.failures import SUCCESS, InDoubt, Request, Result, failure

__all__ = ["PATIENCE_SECONDS", "Lost", "Write", "impatient", "look_after_write", "repeat", "write"]

PATIENCE_SECONDS = 5.0
"""How long a server may be away, as while it restarts, before an operation fails with a temporary error."""
_FIRST_PAUSE = 0.1
_IN_DOUBT = "the connection broke before the answer: it is not known whether this was done; look before trying again"

_patience: ContextVar[float] = ContextVar("mailstore.ldap.patience")
_T = TypeVar("_T")


class Lost(Exception):
    """The connection is of no use any more; `sent` tells whether the server may have done what was asked."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@contextmanager
def impatient() -> Iterator[None]:
    """Do not wait for a lost server in this context: somebody has just done so."""
    token = _patience.set(0.0)
    try:
        yield
    finally:
        _patience.reset(token)


def repeat(attempt: Callable[[], _T], subject: str) -> tuple[_T, bool]:
    """Return what `attempt` gives, and whether an earlier attempt may have been done without an answer."""
    doubt = False
    pauses = _pauses(time.monotonic() + _patience.get(PATIENCE_SECONDS))
    while True:
        try:
            return attempt(), doubt
        except Lost as error:
            lost = error
        doubt = doubt or lost.sent
        if not next(pauses, False):
            break
    kind, state = (InDoubt, _IN_DOUBT) if doubt else (StoreUnavailable, None)
    raise kind(f"{subject}: the directory does not answer; try again: {lost}", subject=subject, state=state)


def _pauses(deadline: float) -> Iterator[bool]:
    """Sleep before each step, twice as long as before, until patience is over."""
    pause = _FIRST_PAUSE
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause *= 2
        yield True


@dataclass(frozen=True)
class Write:
    """A write, and how to know it again.

    Parameters
    ----------
    request: what errors tell of it.
    send: sends it and returns the answer.
    repeated: the codes that a server gives for it when it has been done already.
    done: looks whether the directory shows it done.
    """

    request: Request
    send: Callable[[], Result]
    repeated: Collection[int]
    done: Callable[[], bool]


def write(wanted: Write) -> Result:
    """Make a write happen once; raises the error for any other end."""
    dn = wanted.request.dn
    result, doubt = repeat(wanted.send, dn)
    if doubt and result.code in wanted.repeated and look_after_write(wanted.done, dn):
        return Result(SUCCESS)
    if result.code != SUCCESS:
        raise failure(result, wanted.request)
    return result


def look_after_write(look: Callable[[], _T], subject: str) -> _T:
    """Read what a write has left; if the server is away by then, nobody knows what that is."""
    try:
        return look()
    except StoreUnavailable as error:
        lost = error
    raise InDoubt(lost.message, subject=subject, state=_IN_DOUBT)
