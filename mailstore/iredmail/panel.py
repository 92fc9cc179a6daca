"""What iRedMail's panel, iRedAdmin, asks of the passwords of those who log in to it."""

from __future__ import annotations

from mailstore import passwords
from mailstore.secret import Secret

__all__ = ["PANEL_SCHEME", "PANEL_SCHEMES", "panel_hash"]

PANEL_SCHEME = "SSHA512"
"""What admins' passwords are hashed with where the store's scheme is one that iRedAdmin cannot verify."""
PANEL_SCHEMES = frozenset({"SSHA512", "BLF-CRYPT", "SSHA", "SHA512", "MD5-CRYPT"})
"""Schemes that iRedAdmin verifies."""


def panel_hash(secret: Secret) -> str:
    """Return the hash for somebody who logs in to iRedAdmin: that panel cannot verify every scheme."""
    if secret.password is None:
        return secret.hash
    scheme = passwords.scheme_of(secret.hash)
    return secret.hash if scheme in PANEL_SCHEMES else passwords.hash_password(secret.password, PANEL_SCHEME)
