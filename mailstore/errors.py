"""Every error that mailstore raises on purpose, in one tree.

::

    MailstoreError
    ├── Refused                    the caller's mistake; nothing was changed
    │   ├── InvalidValue
    │   │   ├── InvalidAddress
    │   │   ├── InvalidQuota
    │   │   └── InvalidPassword    a bad scheme, an empty or unusable password or hash
    │   ├── AlreadyExists
    │   ├── NotFound
    │   ├── LimitExceeded
    │   ├── PermissionDenied       the acting admin may not do this
    │   ├── NotSupported           this store has no such feature
    │   └── BulkRefused            some rows of a bulk call were refused; none was written
    ├── ConfigurationError         a bad URL, option, file or missing extra
    ├── StoreError                 the store's fault
    │   ├── StoreUnavailable       temporary: trying again may help
    │   ├── Conflict               temporary: somebody else changed the same thing
    │   ├── StoreDenied            the database account lacks a right
    │   └── SchemaMismatch         needed tables or columns are missing
    └── HomeError                  the disk's fault, or a mailbox that must not be touched
        └── HomeRefused            a safety rule forbids to touch this path
            └── HomeExists         there is something at the path of a new home

The message says what was refused, for which subject and why. ``subject`` is the address, domain or path concerned,
``field`` the parameter, ``temporary`` whether the same call may succeed later, ``state`` what was left behind when that is
not "nothing".
The server's or system's own exception is attached as ``__cause__``. No message ever holds a password or a hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "BulkRefused",
    "ConfigurationError",
    "Conflict",
    "HomeError",
    "HomeExists",
    "HomeRefused",
    "InvalidAddress",
    "InvalidPassword",
    "InvalidQuota",
    "InvalidValue",
    "LimitExceeded",
    "MailstoreError",
    "NotFound",
    "NotSupported",
    "PermissionDenied",
    "Refused",
    "SchemaMismatch",
    "StoreDenied",
    "StoreError",
    "StoreUnavailable",
    "about_field",
]


class MailstoreError(Exception):
    """Root of the tree.

    Parameters
    ----------
    message: what happened and what to do next, one line.
    subject: the address, domain or path concerned, if there is one.
    state: what was left behind, if anything; an operation normally leaves nothing.
    field: the parameter whose value was refused, if it was one.
    """

    temporary: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody changing anything."""

    def __init__(
        self, message: str, *, subject: str | None = None, state: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.state = state
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} ({self.state})" if self.state else self.message


class Refused(MailstoreError):
    """The caller asked for something that cannot be done; nothing was changed."""


class InvalidValue(Refused):
    """A parameter has a value that the store or its readers could not use."""


class InvalidAddress(InvalidValue):
    """Not a mail address or domain name that can be stored."""


class InvalidQuota(InvalidValue):
    """Not a size that the store can hold."""


class InvalidPassword(InvalidValue):
    """An unknown scheme, an empty password, or a hash that no reader could verify."""

    def __init__(
        self, message: str, *, subject: str | None = None, state: str | None = None, field: str | None = "password"
    ) -> None:
        super().__init__(message, subject=subject, state=state, field=field)


class AlreadyExists(Refused):
    """The address or domain is in use, in whatever part of the name space."""


class NotFound(Refused):
    """There is no such domain, account, alias, admin or record."""


class LimitExceeded(Refused):
    """A limit of the domain or of the acting admin would be passed."""


class PermissionDenied(Refused):
    """The admin on whose behalf the store acts may not do this."""


class NotSupported(Refused):
    """This kind of store, or its schema version, has no such feature."""


class BulkRefused(Refused):
    """Rows of a bulk call were refused; nothing was written, or all others were where there are no transactions.

    ``rows`` holds ``(index, error)`` for every refused row, by rising index from 0, ``written`` tells whether the others
    are written.
    """

    def __init__(self, rows: Sequence[tuple[int, Refused]], *, written: bool = False) -> None:
        self.rows = tuple(rows)
        self.written = written
        index, first = self.rows[0]
        what = "the other rows are written" if written else "nothing was written"
        more = f", and {len(self.rows) - 1} more" if len(self.rows) > 1 else ""
        super().__init__(f"{what}: row {index + 1}: {first}{more}", subject=first.subject, field=first.field)


class ConfigurationError(MailstoreError):
    """A URL, an option, a configuration file or the installation is wrong."""


class StoreError(MailstoreError):
    """The database or directory failed."""


class StoreUnavailable(StoreError):
    """The server is down, the connection was lost, or a lock was not to be had in time."""

    temporary = True


class Conflict(StoreError):
    """Somebody else changed the same rows at the same time; the operation was rolled back.

    ``repeatable`` tells that a whole operation lost against another node of a cluster, and had done nothing outside of the
    database; the library has tried it twice then.
    """

    temporary = True
    repeatable = False


class StoreDenied(StoreError):
    """The account that mailstore connects with lacks a right."""


class SchemaMismatch(StoreError):
    """Tables or columns that this version needs are missing, or have a type that cannot hold the value."""


class HomeError(MailstoreError):
    """A mailbox on disk could not be created, read, moved or removed."""


class HomeRefused(HomeError):
    """A safety rule forbids to touch this path; somebody has to look at it."""


class HomeExists(HomeRefused):
    """There is something at the path of a new home; it may be somebody's mail."""


@contextmanager
def about_field(name: str) -> Iterator[None]:
    """Name a parameter in what is refused within, unless that names one already."""
    try:
        yield
    except Refused as error:
        if error.field is None:
            error.field = name
        raise
