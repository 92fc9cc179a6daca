"""LDAP results in terms of `mailstore.errors`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailstore.errors import (
    AlreadyExists,
    Conflict,
    InvalidValue,
    MailstoreError,
    NotFound,
    SchemaMismatch,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)

__all__ = ["Answer", "Garbled", "InDoubt", "Request", "Result", "failure", "in_doubt", "result_code"]

SUCCESS = 0
REFERRAL = 10
NO_SUCH_ATTRIBUTE = 16
VALUE_EXISTS = 20
NO_SUCH_OBJECT = 32
INAPPROPRIATE_AUTHENTICATION = 48
INVALID_CREDENTIALS = 49
BUSY = 51
UNAVAILABLE = 52
ENTRY_EXISTS = 68
ASSERTION_FAILED = 122

_LIMITS = 'the server\'s limits cut the answer; lift them, in slapd with: limits dn.exact="{bind_dn}" size=unlimited'
_RIGHTS = "{bind_dn} lacks the right to {operation} it{attributes}"
_RESULTS: dict[int, tuple[type[MailstoreError], str]] = {
    3: (StoreUnavailable, "the server's time limit is over; try again"),
    4: (StoreDenied, _LIMITS),
    7: (StoreDenied, "the server does not allow to log in with a password"),
    8: (StoreDenied, "the server wants an encrypted connection, or a stronger way to log in"),
    REFERRAL: (StoreError, "this server does not hold it or only has a copy; write to the provider"),
    11: (StoreDenied, _LIMITS),
    12: (StoreError, "the server lacks an extension that is needed for this"),
    13: (StoreDenied, "the server wants an encrypted connection"),
    NO_SUCH_ATTRIBUTE: (Conflict, "a value that was to be removed is gone; nothing was changed, try again"),
    17: (SchemaMismatch, "the server's schema lacks an attribute"),
    18: (SchemaMismatch, "an attribute cannot be compared in this way"),
    19: (InvalidValue, "the directory does not allow the value"),
    VALUE_EXISTS: (Conflict, "a value that was to be added is there already; nothing was changed, try again"),
    21: (InvalidValue, "the directory cannot hold the value"),
    NO_SUCH_OBJECT: (NotFound, "there is no such entry, or it may not be seen"),
    34: (InvalidValue, "the server does not take it for a distinguished name"),
    INAPPROPRIATE_AUTHENTICATION: (StoreDenied, "{bind_dn} cannot log in"),
    INVALID_CREDENTIALS: (StoreDenied, "{bind_dn} cannot log in: unknown, or a wrong password"),
    50: (StoreDenied, _RIGHTS),
    BUSY: (StoreUnavailable, "the server is busy; try again"),
    UNAVAILABLE: (StoreUnavailable, "the server is shutting down or not ready; try again"),
    # Read-only servers say so, but those that will always refuse do as well: a "try again" might never end.
    53: (StoreDenied, "the server refuses to do this, as a read-only one does"),
    64: (InvalidValue, "the entry cannot have this name"),
    65: (SchemaMismatch, "the server's schema does not allow this"),
    66: (Conflict, "there are entries below it"),
    67: (InvalidValue, "this value is part of the entry's name"),
    ENTRY_EXISTS: (AlreadyExists, "the entry exists already"),
    69: (SchemaMismatch, "the server does not allow to change these object classes"),
    71: (StoreError, "the directory is spread over several servers here"),
    ASSERTION_FAILED: (Conflict, "the entry was changed meanwhile; nothing was changed, try again"),
    123: (StoreDenied, "{bind_dn} may not act as another"),
}
_OTHER = (StoreError, "the directory failed")

_HASH = re.compile(r"\{[A-Za-z0-9._-]+\}\S+")


@dataclass(frozen=True)
class Result:
    """What the server answered."""

    code: int
    name: str = ""
    text: str = ""
    referrals: Sequence[str] = ()
    controls: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Request:
    """What was asked for, as far as an error may tell it."""

    operation: str
    dn: str
    bind_dn: str = ""
    attributes: Sequence[str] = ()
    secrets: Sequence[str] = field(default=(), repr=False)
    """Values that must not be repeated, even if the server does."""


class Answer(Exception):
    """The server's own words: the cause of the errors made from them."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"{name} ({code}): {text}" if text else f"{name} ({code})")
        self.code = code


class InDoubt(StoreUnavailable):
    """The connection broke after a write was sent, and did not come back: nobody knows whether it was done."""


class Garbled(StoreError):
    """What came from the server could not be understood."""


def failure(result: Result, request: Request) -> MailstoreError:
    """Return the error for an answer that is not success; its cause holds the code."""
    kind, explanation = _meaning(result, request)
    attributes = f" ({', '.join(request.attributes)})" if request.attributes else ""
    about = explanation.format(bind_dn=request.bind_dn, operation=request.operation, attributes=attributes)
    cause = Answer(result.code, result.name, _shown(result, request))
    subject = "" if request.operation == "bind" else f"{request.dn or 'root DSE'}: "
    error = kind(f"{subject}{about}: {cause}", subject=request.dn)
    error.__cause__ = cause
    return error


def _meaning(result: Result, request: Request) -> tuple[type[MailstoreError], str]:
    """Look a code up, but for those that slapd uses for two things."""
    if result.code == 21 and result.text.lower().startswith("objectclass:"):
        return SchemaMismatch, "the server's schema lacks an object class"
    if result.code == VALUE_EXISTS and "more than once" in result.text:
        return InvalidValue, "a value was given twice"
    if result.code == NO_SUCH_OBJECT and request.operation == "add":
        return NotFound, "the entry above it is missing, or may not be seen"
    return _RESULTS.get(result.code, _OTHER)


def result_code(error: BaseException) -> int | None:
    """Return the code of the answer that an error was made from."""
    return error.__cause__.code if isinstance(error.__cause__, Answer) else None


def in_doubt(error: BaseException) -> bool:
    """Tell whether a write that ended with this error may have been done; Ctrl-C may come before the answer, too."""
    return isinstance(error, InDoubt | Garbled) or not isinstance(error, MailstoreError)


def _shown(result: Result, request: Request) -> str:
    text = " ".join([result.text, *result.referrals])
    for secret in request.secrets:
        text = text.replace(secret, "…")
    return " ".join(_HASH.sub("{…}", text).split())[:300]
