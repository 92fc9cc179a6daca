"""What the panel says to a value that it does not take, in its own words and order. The library checks all of it again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailstore.address import any_address
from mailstore.errors import InvalidAddress

__all__ = ["RefusedError", "address", "new_user", "no_alias", "no_user", "password", "privilege", "quota"]

_USER = re.compile(r"[a-z0-9._@-]{1,255}", re.ASCII)
_QUOTA = re.compile(r"[0-9]+[GM]?", re.ASCII)
_DOMAIN_CONTROL = re.compile(r"(admin|administrator|postmaster|hostmaster|webmaster|abuse)[@+]", re.IGNORECASE)
_LEAST = 8
_CHARACTERS = (
    "User account email addresses may only use the lowercase ASCII letters a-z, the digits 0-9, underscore (_), "
    "hyphen (-), and period (.)."
)
_CONTROL = (
    "You may not make a user account for that address because it is frequently used for domain control validation. "
    "Use an alias instead if necessary."
)


class RefusedError(Exception):
    """The call cannot be made; the text is the body of the answer."""


def no_user(email: str) -> RefusedError:
    """Return what is said about somebody who is no user."""
    return RefusedError(f"That's not a user ({email}).")


def no_alias(address: str) -> RefusedError:
    """Return what is said about an address that is no alias."""
    return RefusedError(f"That's not an alias ({address}).")


def address(text: str) -> str:
    """Return an address without blanks around it. Raises RefusedError if none is given."""
    if not text.strip():
        raise RefusedError("No email address provided.")
    return text.strip()


def new_user(text: str, *, first: bool) -> str:
    """Return the address of a new user; only the first one of a box may have a name of domain control."""
    email = address(text)
    try:
        any_address(email)
    except InvalidAddress as error:
        raise RefusedError("Invalid email address.") from error
    if not _USER.fullmatch(email):
        raise RefusedError(_CHARACTERS)
    if _DOMAIN_CONTROL.match(email) and not first:
        raise RefusedError(_CONTROL)
    return email


def password(text: str) -> str:
    """Return a password that is long enough."""
    if not text.strip():
        raise RefusedError("No password provided.")
    if len(text) < _LEAST:
        raise RefusedError("Passwords must be at least eight characters.")
    return text


def privilege(names: Sequence[str]) -> bool:
    """Tell whether the privileges hold the only one with a meaning. Raises RefusedError for others, which are not kept."""
    for name in names:
        if name != "admin":
            raise RefusedError(f"That's not a valid privilege ({name}).")
    return bool(names)


def quota(text: str) -> str:
    """Return a quota as the library reads it; a bare number is one of bytes."""
    value = text.strip().upper()
    if not value:
        raise RefusedError("No quota provided.")
    if any(character.isspace() or character in ",." for character in value):
        raise RefusedError("Quotas cannot contain spaces, commas, or decimal points.")
    if not _QUOTA.fullmatch(value):
        raise RefusedError("Invalid quota.")
    return value if value.strip("GM").strip("0") else "unlimited"
