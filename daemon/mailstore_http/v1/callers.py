"""Who asks: an admin with a password, or a program with a token; and the store as they may use it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from mailstore.errors import NotFound, Refused
from mailstore.store import Store
from mailstore.tokens import Token, TokenFile
from mailstore.within import within
from mailstore_http.failures import FailedLogins, printable
from mailstore_http.messages import Request
from mailstore_http.v1.problems import ProblemError

__all__ = ["Caller", "Callers"]

_CHALLENGE = ("WWW-Authenticate", 'Basic realm="mailstore", charset="UTF-8", Bearer realm="mailstore"')
_WRONG = "Name and password, or the token, are not right."


@dataclass(frozen=True)
class Caller:
    """Somebody who may use a store, and how."""

    name: str
    admin: str = ""
    token: Token | None = None

    @property
    def may_write(self) -> bool:
        """Whether changes are allowed at all."""
        return self.token is None or self.token.access == "write"

    def may_use(self, store: str) -> bool:
        """Tell whether a store of the configuration exists for this caller."""
        return self.token is None or not self.token.stores or store in self.token.stores

    def limited(self, store: Store) -> Store:
        """Return a store as this caller may use it. Raises ProblemError for an admin who is none any more."""
        try:
            store = store.acting_as(self.admin) if self.admin else store
        except NotFound:
            raise _unauthorized("The admin in whose name this acts is none any more.") from None
        domains = self.token.domains if self.token else ()
        return within(store, domains, f"the {self.name}") if domains else store


class Callers:
    """Finds out who asks."""

    def __init__(self, tokens: TokenFile, failures: FailedLogins, *, admins: bool) -> None:
        self._tokens = tokens
        self._failures = failures
        self._admins = admins

    def of(self, request: Request, store: Callable[[], Store]) -> Caller:
        """Return who asks for something of a store, which is opened if it has to be asked. Raises ProblemError."""
        [caller] = self.known_in(request, {"": store}).values()
        return caller

    def known_in(self, request: Request, stores: Mapping[str, Callable[[], Store]]) -> dict[str, Caller]:
        """Return who asks, by each store where they are known. A failure is one, in however many stores it is.

        Raises ProblemError for somebody who is known in none.
        """
        kind, _, value = request.header("authorization").partition(" ")
        if kind.lower() == "bearer":
            return dict.fromkeys(stores, self._program(request, value.strip()))
        if kind.lower() == "basic" and self._admins:
            return self._admin(request, value.strip(), stores)
        raise _unauthorized("Say who you are: with a token, or with the address and the password of an admin.")

    def _program(self, request: Request, text: str) -> Caller:
        account = f"token {printable(text.split('_')[1])[:16] if text.count('_') > 1 else ''}"
        self._require_patience(request, account)
        token = self._tokens.find(text)
        if token is None:
            self._refuse(request, account)
        self._failures.succeeded(request.client, account)
        return Caller(f"token {token.name}", token.admin, token)

    def _admin(self, request: Request, value: str, stores: Mapping[str, Callable[[], Store]]) -> dict[str, Caller]:
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise _unauthorized("The header Authorization cannot be read.")
        self._require_patience(request, name)
        found = {key: _admin_of(store(), name, password) for key, store in stores.items()}
        known = {key: Caller(address, address) for key, address in found.items() if address is not None}
        if not known:
            self._refuse(request, name)
        self._failures.succeeded(request.client, name)
        return known

    def _require_patience(self, request: Request, account: str) -> None:
        if wait := self._failures.wait(request.client, account):
            headers = (("Retry-After", str(int(wait) + 1)),)
            raise ProblemError(429, "TooManyFailures", "Too many failed logins; try again later.", headers=headers)

    def _refuse(self, request: Request, account: str) -> NoReturn:
        line = f"Web login failed: client_address={request.client}, username={printable(account)}"
        self._failures.note(request.client, account, line)
        raise _unauthorized(_WRONG)


def _admin_of(store: Store, name: str, password: str) -> str | None:
    """Return the address of an admin, if the password is right; None for everybody else."""
    try:
        admin = store.admins.login(name, password)
    except Refused:  # a name that no admin can have, or a store that has none
        return None
    return admin.address if admin else None


def _unauthorized(text: str) -> ProblemError:
    return ProblemError(401, "Unauthorized", text, headers=(_CHALLENGE,))
