"""Logging in to the REST API, for a front that serves it: a token for login and password, and what a token is worth.

Everything else that the API can do are operations of the store; `rest_errors` tells which number an error has there.
"""

from __future__ import annotations

from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.rest_errors import BadLogin, InvalidParameters
from mailstore.sql.afterlogic.tenants import Tenants
from mailstore.sql.afterlogic.tokens.token import Grant, make_token, read_token

__all__ = ["Rest"]


class Rest:
    """The logins of an installation; it needs the option ``webmail_data``."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def token(self, login: str, password: str, *, now: int | None = None) -> str:
        """Return a token for the administrator or a tenant, good for an hour.

        Raises InvalidParameters if either is empty, BadLogin, ConfigurationError.
        """
        if not (login and password):
            raise InvalidParameters("login and password are needed")
        if not (_is_text(login) and _is_text(password)):
            raise BadLogin("the login was refused")
        installation = self._context.installation
        if installation.is_administrator(login, password):
            return make_token(installation.salt, login, password, now=now)
        tenant = None if installation.lite else Tenants(self._context).login(login, password)
        if tenant is None:
            raise BadLogin("the login was refused")
        return make_token(installation.salt, login, password, tenant.id, now=now)

    def check(self, token: str, *, now: int | None = None) -> Grant:
        """Return who a token was given to. Raises InvalidToken, TokenExpired, ConfigurationError."""
        return read_token(self._context.installation.salt, token, now=now)


def _is_text(value: object) -> bool:
    """Tell whether a value can be compared with what is stored: a text, without half a character in it."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
