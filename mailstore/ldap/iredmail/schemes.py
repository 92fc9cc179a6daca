"""In which form a hash is stored, so that whoever verifies passwords here can read it.

With an authentication bind it is slapd that verifies: it knows ``{CRYPT}`` for everything of crypt(3), none of Dovecot's own
names, and the SHA-2 schemes only with the module pw-sha2. With a password lookup it is Dovecot, which knows them all.
"""

from __future__ import annotations

from mailstore import passwords
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, InvalidPassword
from mailstore.iredmail.panel import PANEL_SCHEMES, panel_hash
from mailstore.secret import Secret

__all__ = ["check_scheme", "panel_form", "stored_form"]

_SHA2 = {"SSHA256", "SSHA512", "SHA256", "SHA512"}
_SHA1 = {"SSHA": "SSHA", "SHA": "SHA", "SHA1": "SHA", "SMD5": "SMD5"}
_CRYPT = {"BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT"}
_PANEL_WITHOUT_SHA2 = "BLF-CRYPT"


def stored_form(hashed: str, config: StoreConfig) -> str:
    """Return a hash as it is stored. Raises InvalidPassword for one that nobody here could verify."""
    if config.login_by == "lookup":
        return hashed
    # Without a prefix it is one of crypt(3).
    scheme, data = passwords.scheme_of(hashed), hashed.partition("}")[2] or hashed
    if scheme in _CRYPT:
        return f"{{CRYPT}}{data}"
    if scheme in _SHA1:
        return f"{{{_SHA1[scheme]}}}{data}"
    if scheme in _SHA2 and config.login_by == "bind":
        return hashed
    raise InvalidPassword(
        f"slapd could not verify a {scheme} hash; use another scheme, or say how passwords are verified with login_by"
    )


def panel_form(secret: Secret, config: StoreConfig) -> str:
    """Return the hash to store for somebody who logs in to iRedAdmin, which cannot verify every scheme."""
    without_sha2 = config.login_by == "bind-without-sha2"
    if without_sha2 and secret.password and passwords.scheme_of(secret.hash) not in PANEL_SCHEMES:
        return stored_form(passwords.hash_password(secret.password, _PANEL_WITHOUT_SHA2), config)
    return stored_form(secret.hash if without_sha2 else panel_hash(secret), config)


def check_scheme(config: StoreConfig) -> None:
    """Raise ConfigurationError if nobody could verify passwords of the configured scheme."""
    try:
        stored_form(passwords.hash_password("x", config.password_scheme), config)
    except InvalidPassword as error:
        raise ConfigurationError(f"password_scheme {config.password_scheme}: {error}") from error
