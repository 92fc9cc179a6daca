"""What iRedMail's panel, iRedAdmin, asks of the passwords of those who log in to it.

Every path that stores a hash of an admin asks here which one: creation, changes, changes of many, a new hash of a verified
password, and promotion.
"""

from __future__ import annotations

import re

from mailstore import passwords
from mailstore.driver.secret import Secret
from mailstore.model import Notice

__all__ = ["PANEL_SCHEME", "panel_hash", "panel_notice", "panel_scheme", "panel_verifies"]

PANEL_SCHEME = "SSHA512"
"""What admins' passwords are hashed with where the store's scheme is one that iRedAdmin cannot verify."""
_WRITTEN = frozenset({PANEL_SCHEME, "BLF-CRYPT"})
"""Schemes among those that are written here which iRedAdmin verifies. Its own test for {SHA512-CRYPT} never holds."""
_VERIFIED = re.compile(
    r"\{(?:SSHA|SHA|SSHA512|SHA512|PLAIN-MD5|CRAM-MD5|NTLM)\}.+"
    r"|\{BLF-CRYPT\}\$2[aby]\$.+|\{CRYPT\}\$(?:2[ab]|6)\$.+"
    r"|(?:\{(?:CRYPT|MD5)\})?\$1\$[^$]{8}\$.{22}",
    re.IGNORECASE,
)


def panel_verifies(stored: str) -> bool:
    """Tell whether iRedAdmin can verify a stored hash: it goes by how it is written."""
    return _VERIFIED.fullmatch(stored) is not None


def panel_scheme(scheme: str) -> str:
    """Return what to hash an admin's password with, if accounts have `scheme`."""
    return scheme if scheme.upper() in _WRITTEN else PANEL_SCHEME


def panel_hash(secret: Secret) -> str:
    """Return the hash for somebody who logs in to iRedAdmin. A ready hash stays as it is."""
    if secret.password is None or panel_verifies(secret.hash):
        return secret.hash
    return passwords.hash_password(secret.password, PANEL_SCHEME)


def panel_notice(address: str) -> Notice:
    """Return the notice that an admin has a password which iRedAdmin does not verify."""
    return Notice(
        "panel-password",
        f"iRedAdmin cannot verify the password hash of {address}: it cannot log in there until the password is set anew",
        f"mailstore admin update {address} --ask-password",
    )
