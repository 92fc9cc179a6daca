"""In which form a hash is stored, so that whoever verifies passwords here can read it.

With an authentication bind it is slapd that verifies, with a password lookup it is Dovecot; what each can read, and under
which names, is in `mailstore.passwords.readers`.
"""

from __future__ import annotations

from mailstore import passwords
from mailstore.config import StoreConfig
from mailstore.driver.iredmail.panel import panel_hash, panel_scheme, panel_verifies
from mailstore.driver.secret import Secret
from mailstore.errors import ConfigurationError, InvalidPassword

__all__ = ["check_scheme", "panel_form", "reader_of", "scheme_for", "stored_form"]

_SLAPD = {"bind": "slapd", "bind-without-sha2": "slapd-without-sha2"}
_PANEL_WITHOUT_SHA2 = "BLF-CRYPT"


def reader_of(config: StoreConfig) -> str:
    """Return who verifies passwords, by the name that it has in `passwords.READERS`."""
    return _SLAPD.get(config.login_by, config.password_reader)


def stored_form(hashed: str, config: StoreConfig) -> str:
    """Return a hash as it is stored. Raises InvalidPassword for one that nobody here could verify."""
    reader = passwords.READERS[reader_of(config)]
    try:
        return reader.form(passwords.read(hashed))
    except InvalidPassword as error:
        if config.login_by == "lookup":
            raise
        raise InvalidPassword(f"{error}; or say how passwords are verified with login_by") from error


def panel_form(secret: Secret, config: StoreConfig) -> str:
    """Return the hash to store for somebody who logs in to iRedAdmin, which cannot verify every scheme."""
    without_sha2 = config.login_by == "bind-without-sha2"
    if without_sha2 and secret.password and not panel_verifies(secret.hash):
        return stored_form(passwords.hash_password(secret.password, _PANEL_WITHOUT_SHA2), config)
    return stored_form(secret.hash if without_sha2 else panel_hash(secret), config)


def scheme_for(config: StoreConfig, *, admin: bool) -> str:
    """Return what to hash a new password with: that of an admin has to please the panel, too."""
    if not admin:
        return config.password_scheme
    wanted = panel_scheme(config.password_scheme)
    return _PANEL_WITHOUT_SHA2 if config.login_by == "bind-without-sha2" else wanted


def check_scheme(config: StoreConfig) -> None:
    """Raise ConfigurationError if nobody could verify passwords of the configured scheme."""
    try:
        stored_form(passwords.hash_password("x", config.password_scheme), config)
    except InvalidPassword as error:
        raise ConfigurationError(f"password_scheme {config.password_scheme}: {error}") from error
