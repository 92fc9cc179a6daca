"""A password on its way into a store: its hash, and the plain text as long as somebody may need it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailstore import passwords
from mailstore.errors import InvalidPassword

__all__ = ["Secret", "make_secret"]


@dataclass(frozen=True)
class Secret:
    """A hash to store, with the password that it was made from if that is known. Never shown."""

    hash: str = field(repr=False)
    password: str | None = field(default=None, repr=False)


def make_secret(
    scheme: str,
    password: str | None,
    password_hash: str | None,
    *,
    reader: str,
    salt_bytes: int | None = None,
) -> Secret | None:
    """Return what to store for the one of both that is given; None if neither is. Raises InvalidPassword.

    `scheme` and `salt_bytes` are what a plain password is hashed with, `reader` is who must be able to verify a ready hash
    (`passwords.READERS`). This may take a quarter of a second: do it before
    taking locks.
    """
    if password is not None and password_hash is not None:
        raise InvalidPassword("give a password or a ready hash, not both")
    if password is not None:
        return Secret(passwords.hash_password(password, scheme, salt_bytes=salt_bytes), password)
    return None if password_hash is None else Secret(passwords.check_hash(password_hash, reader))
