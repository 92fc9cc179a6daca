"""What the product's REST API answers when it refuses: error numbers 710 to 719 as typed errors.

The transport answers HTTP 200 always; the number stands in the body. The driver raises those of accounts, domains and
tenants itself, which are `NotFound` to everybody else; `code_of` gives the number of any error for a call.
"""

from __future__ import annotations

from typing import ClassVar

from mailstore.errors import InvalidPassword, InvalidValue, MailstoreError, NotFound, PermissionDenied, Refused

__all__ = [
    "AccountNotFound",
    "BadLogin",
    "DomainNotFound",
    "InvalidParameters",
    "InvalidToken",
    "NothingListed",
    "RestDisabled",
    "TenantNotFound",
    "TokenExpired",
    "UnknownMethod",
    "code_of",
]

OTHER = 710


class NothingListed(Refused):
    """A list is empty: to the product an error of its own kind, with an empty result beside it."""

    code: ClassVar[int] = OTHER


class RestDisabled(Refused):
    """The installation has switched its REST API off (``labs.rest``)."""

    code: ClassVar[int] = 711


class UnknownMethod(Refused):
    """There is no such verb and path."""

    code: ClassVar[int] = 712


class InvalidParameters(InvalidValue):
    """A parameter that the call needs is missing or empty."""

    code: ClassVar[int] = 713


class BadLogin(PermissionDenied):
    """Neither the administrator nor a tenant has this login and password."""

    code: ClassVar[int] = 714


class InvalidToken(PermissionDenied):
    """The token is missing, cannot be read, or says neither login nor password."""

    code: ClassVar[int] = 715


class TokenExpired(PermissionDenied):
    """The token is older than an hour."""

    code: ClassVar[int] = 716


class AccountNotFound(NotFound):
    """There is no such account."""

    code: ClassVar[int] = 717


class DomainNotFound(NotFound):
    """There is no such domain."""

    code: ClassVar[int] = 718


class TenantNotFound(NotFound):
    """There is no such tenant."""

    code: ClassVar[int] = 719


_EXCEPTIONS: dict[tuple[str, type[MailstoreError]], int] = {
    # The product looks a domain to be shown up like an account, and answers its existence like any failure.
    ("GET /domain", DomainNotFound): AccountNotFound.code,
    ("GET /domain/exists", DomainNotFound): OTHER,
}


def code_of(error: MailstoreError, call: str = "") -> int:
    """Return the number with which the API answers an error.

    Parameters
    ----------
    error: whatever the library raised.
    call: verb and path, such as ``GET /domain``; some answer the same thing with another number.
    """
    for kind in type(error).__mro__:
        if (call, kind) in _EXCEPTIONS:
            return _EXCEPTIONS[call, kind]
    if isinstance(error, InvalidPassword):
        return InvalidParameters.code
    code: int = getattr(error, "code", OTHER)
    return code
