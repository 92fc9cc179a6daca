"""What goes wrong, as problem details (RFC 9457): by the classes of `mailstore.errors`, which programs can tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mailstore import errors
from mailstore.errors import BulkRefused, HomeRefused, MailstoreError, Refused
from mailstore_http.messages import Answer
from mailstore_http.v1.values import FieldError

__all__ = ["CONTENT_TYPE", "STATUSES", "ProblemError", "answer_of", "problem_of"]

CONTENT_TYPE = "application/problem+json"
_RETRY_AFTER = "10"

STATUSES: Mapping[type[MailstoreError], int] = {
    errors.InvalidValue: 422,
    errors.AlreadyExists: 409,
    errors.NotFound: 404,
    errors.LimitExceeded: 409,
    errors.PermissionDenied: 403,
    errors.NotSupported: 422,
    errors.BulkRefused: 422,
    errors.HomeRefused: 409,
    errors.StoreUnavailable: 503,
    errors.Conflict: 503,
}
"""By class, those below it included; whatever is not here is 500: somebody has to look at the server."""


class ProblemError(Exception):
    """The request itself cannot be served. ``name`` is a word for programs, the text is for people."""

    def __init__(
        self, status: int, name: str, text: str, *, field: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(text)
        self.status = status
        self.name = name
        self.field = field
        self.headers = headers
        self.whole: Mapping[str, Any] | None = None
        """The problem details, where somebody has made them already."""


def problem_of(
    error: MailstoreError | ProblemError, given: Mapping[str, Any], hidden: str = "", retryable: bool = False
) -> dict[str, Any]:
    """Return the problem details of an error.

    Parameters
    ----------
    given: the parameters of the request, among which the one in question is looked for.
    hidden: the name of the store, which says where it is.
    """
    if isinstance(error, ProblemError):
        if error.whole is not None:
            return dict(error.whole)
        found = {"title": _title(error.name), "status": error.status, "detail": str(error), "class": error.name}
        field, retryable = error.field, retryable or error.status in {409, 429, 503}
    else:
        found, field, retryable = _of_library(error, given, hidden), _field(error, given), error.temporary
    named = {"type": f"urn:mailstore:problem:{found['class']}", **found, "retryable": retryable}
    return {**named, "field": field} if field else named


def answer_of(problem: Mapping[str, Any], request_id: str, error: BaseException | None = None) -> Answer:
    """Return the answer that tells a problem; one whose fault is not the client's is told in the log, too."""
    status = int(problem["status"])
    headers = (("Retry-After", _RETRY_AFTER),) if status == 503 else ()
    headers += getattr(error, "headers", ())
    body = msgspec.json.encode({**problem, "instance": f"urn:mailstore:request:{request_id}"})
    ours = error if status >= 500 else None
    return Answer(status, body, CONTENT_TYPE, headers, str(problem["class"]), error=ours)


def _of_library(error: MailstoreError, given: Mapping[str, Any], hidden: str) -> dict[str, Any]:
    behind = error.__cause__ if isinstance(error, FieldError) else None
    kind = _public(type(behind if isinstance(behind, MailstoreError) else error))
    status = next((STATUSES[each] for each in kind.__mro__ if each in STATUSES), 500)
    told = isinstance(error, Refused | HomeRefused)
    text = str(error).replace(hidden, "this store") if hidden else str(error)
    if not told:  # it may say where the database is, or what lies on the disk
        text = "The store cannot do that now; try again." if error.temporary else "The store failed; see the log."
    found: dict[str, Any] = {"title": _title(kind.__name__), "status": status, "detail": text, "class": kind.__name__}
    if told and error.subject:
        found["subject"] = error.subject
    if error.state:
        found["state"] = error.state
    if isinstance(error, BulkRefused):
        found["rows"] = [
            {"row": row, **_of_library(each, given, hidden)}
            | ({"field": field} if (field := _field(each, given)) else {})
            for row, each in error.rows
        ]
    return found


def _public(kind: type[MailstoreError]) -> type[MailstoreError]:
    return next(each for each in kind.__mro__ if each.__name__ in errors.__all__)


def _title(name: str) -> str:
    """Return a name such as NotFound as words."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip().capitalize()


def _field(error: MailstoreError, given: Mapping[str, Any]) -> str:
    """Return which parameter an error is about: the one that it names, or the one that holds what it is about."""
    if error.field is not None or not isinstance(error, Refused) or isinstance(error, FieldError):
        return error.field or ""
    subject = error.subject
    return next((name for name, value in given.items() if subject is not None and _holds(value, subject)), "")


def _holds(value: Any, subject: str) -> bool:
    if isinstance(value, str):
        return value.lower() == subject.lower()
    if isinstance(value, list | tuple):
        return any(_holds(each, subject) for each in value)
    return any(_holds(each, subject) for each in (*value.add, *value.remove)) if hasattr(value, "remove") else False
