"""Which addresses a box takes. What it would refuse is refused here too, and nothing is repaired.

The box leaves the syntax to the package `email-validator`, without looking at DNS; so does this module, so that both agree
about domains that are reserved for special uses.
"""

from __future__ import annotations

import re

from mailstore.address import account_address, alias_address, any_address, domain_part, held_address, held_domain
from mailstore.errors import InvalidAddress, InvalidPassword
from mailstore.passwords import check_password

__all__ = [
    "catch_all_of",
    "check_new_password",
    "is_for_domain_control",
    "known_source",
    "new_destination",
    "new_source",
    "new_user",
    "without_tag",
]

_USER = re.compile(r"[a-z0-9._-]+@[a-z0-9.-]+")
_DOMAIN_CONTROL = frozenset({"admin", "administrator", "postmaster", "hostmaster", "webmaster", "abuse"})
_TAG = re.compile(r"\+[^@]*")


def new_user(text: str) -> str:
    """Return the address of a new user. Raises InvalidAddress."""
    address = account_address(text)
    if not _USER.fullmatch(address):
        raise InvalidAddress(f"{address}: a box takes only a-z 0-9 . _ - before the @", subject=address)
    _validate(address)
    return address


def new_source(text: str) -> str:
    """Return the address of a new alias, or ``@domain`` for a catch-all. Raises InvalidAddress."""
    source = catch_all_of(text) or alias_address(text)
    _validate(source)
    return source


def known_source(text: str) -> str:
    """Return the address of an alias or a destination that may be there; the panel takes more than `new_source` does."""
    return catch_all_of(text) or held_address(text)


def catch_all_of(text: str) -> str | None:
    """Return the normal form of ``@domain``; None for anything else."""
    stripped = text.strip(" ") if isinstance(text, str) else ""
    return f"@{held_domain(stripped[1:])}" if stripped.startswith("@") else None


def new_destination(text: str) -> str:
    """Return a destination in normal form, such as the box takes. Raises InvalidAddress.

    ``@domain`` may stand alone: the mail then keeps its local part.
    """
    address = catch_all_of(text) or any_address(text)
    _validate(address)
    return address


def is_for_domain_control(address: str) -> bool:
    """Tell whether owning this address may prove the ownership of its domain, to those who sell certificates."""
    return without_tag(address.lower()).partition("@")[0] in _DOMAIN_CONTROL


def without_tag(address: str) -> str:
    """Return an address without what follows a ``+`` in its local part."""
    return _TAG.sub("", address, count=1)


def check_new_password(password: str | None, least: int) -> None:
    """Refuse a password in plain text that is blank, or has fewer than `least` characters."""
    if password is None:
        return
    check_password(password)
    if not password.strip() or len(password) < least:
        raise InvalidPassword(f"the password must have at least {least} characters, not all of them blank")


def _validate(address: str) -> None:
    import email_validator  # imported on demand, as everywhere

    try:
        email_validator.validate_email(
            address, check_deliverability=False, allow_smtputf8=False, allow_empty_local=address.startswith("@")
        )
    except email_validator.EmailNotValidError as error:
        message = f"{address}: a box refuses {domain_part(address)}: {error}"
        raise InvalidAddress(message, subject=address) from error
