"""The exit codes of the command line, and which error ends in which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Final

import click

from mailstore.errors import (
    AlreadyExists,
    ConfigurationError,
    InvalidValue,
    LimitExceeded,
    MailstoreError,
    NotFound,
    NotSupported,
    PermissionDenied,
    Refused,
)

__all__ = ["MEANINGS", "ExitCode", "Unfinished", "code_of", "worst"]


class ExitCode(IntEnum):
    """What a run came to; `MEANINGS` says it in words."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    REFUSED = 3
    INVALID = 4
    NOT_FOUND = 5
    EXISTS = 6
    LIMIT = 7
    DENIED = 8
    NOT_SUPPORTED = 9
    TEMPORARY = 75
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final[Mapping[ExitCode, tuple[str, str]]] = {
    ExitCode.DONE: ("", "done"),
    ExitCode.FAULT: (
        "`StoreError`, `HomeError`",
        'a fault of the store or the disk, a finding, a wrong password, a kept mailbox, or an answer of "no"',
    ),
    ExitCode.USAGE: ("`ConfigurationError`, `UsageError`", "usage or configuration"),
    ExitCode.REFUSED: ("`Refused`, `BulkRefused`", "several things were refused, each for a reason of its own"),
    ExitCode.INVALID: ("`InvalidValue` and below", "a value that cannot be used: an address, a size, a password"),
    ExitCode.NOT_FOUND: ("`NotFound`", "there is no such thing"),
    ExitCode.EXISTS: ("`AlreadyExists`", "the name is in use"),
    ExitCode.LIMIT: ("`LimitExceeded`", "a limit of the domain or the admin would be passed"),
    ExitCode.DENIED: ("`PermissionDenied`", "the admin of --as may not do this"),
    ExitCode.NOT_SUPPORTED: ("`NotSupported`", "this kind of store has no such feature"),
    ExitCode.TEMPORARY: ("`StoreUnavailable`, `Conflict`", "temporary: the same command may succeed later"),
    ExitCode.INTERRUPTED: ("", "interrupted"),
    ExitCode.BROKEN_PIPE: ("", "nobody read the output any more"),
}
"""For each code the classes of `mailstore.errors` that end in it, and what it means."""

_OF_CLASSES: Final[Mapping[type[MailstoreError], ExitCode]] = {
    InvalidValue: ExitCode.INVALID,
    NotFound: ExitCode.NOT_FOUND,
    AlreadyExists: ExitCode.EXISTS,
    LimitExceeded: ExitCode.LIMIT,
    PermissionDenied: ExitCode.DENIED,
    NotSupported: ExitCode.NOT_SUPPORTED,
    Refused: ExitCode.REFUSED,
    ConfigurationError: ExitCode.USAGE,
}
"""The first that an error is of decides."""


class Unfinished(click.ClickException):
    """Something of what was to be done with many things was not done; each is reported already."""

    def __init__(self, message: str, code: ExitCode, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


def code_of(error: Exception) -> ExitCode:
    """Return what a run ends with that meets an error."""
    if isinstance(error, Unfinished):
        return error.code
    if isinstance(error, click.ClickException):
        return ExitCode(error.exit_code)
    if isinstance(error, MailstoreError) and error.temporary:
        return ExitCode.TEMPORARY
    return next((code for kind, code in _OF_CLASSES.items() if isinstance(error, kind)), ExitCode.FAULT)


def worst(codes: Collection[ExitCode]) -> ExitCode:
    """Return what a run ends with that met several errors: a fault before what may pass, and that before refusals.

    Refusals of one kind have the code of that kind, several kinds together that of a refusal.
    """
    for code in (ExitCode.FAULT, ExitCode.TEMPORARY):
        if code in codes:
            return code
    kinds = set(codes) - {ExitCode.DONE}
    return kinds.pop() if len(kinds) == 1 else ExitCode.REFUSED if kinds else ExitCode.DONE
