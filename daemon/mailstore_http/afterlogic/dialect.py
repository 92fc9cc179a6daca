"""The token that comes with every request, and the envelope of what is answered: JSON as PHP writes it, always with 200."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from mailstore.errors import MailstoreError, Refused
from mailstore.sql.afterlogic.rest_errors import (
    AccountNotFound,
    BadLogin,
    DomainNotFound,
    InvalidParameters,
    InvalidToken,
    NothingListed,
    RestDisabled,
    TenantNotFound,
    TokenExpired,
    UnknownMethod,
    code_of,
)
from mailstore_http.afterlogic.calls import CALLS, TOKEN
from mailstore_http.afterlogic.parameters import Call, Parameters
from mailstore_http.dialect import ProductDialect
from mailstore_http.failures import printable
from mailstore_http.messages import Answer, Request, UnreadableError
from mailstore_http.stores import asking

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore

__all__ = ["AfterLogic"]

_TEXTS: dict[int, str] = {
    RestDisabled.code: "rest api disabled",
    UnknownMethod.code: "unknown method",
    InvalidParameters.code: "invalid input parameters",
    BadLogin.code: "incorrect login or password",
    InvalidToken.code: "invalid token",
    TokenExpired.code: "token expired",
    AccountNotFound.code: "cannot find account",
    DomainNotFound.code: "cannot find domain",
    TenantNotFound.code: "cannot find tenant",
}
"""What is said with each number; 710, everything else, has the library's sentence."""
_OTHER = 710
_TOO_LARGE, _UNREADABLE = 413, 400


class AfterLogic(ProductDialect):
    """See `mailstore_http.dialect.Dialect`."""

    def refusal(self, status: int, text: str) -> Answer:
        """Return a failure that is of no call; the status is 200 all the same."""
        code = InvalidParameters.code if status in {_TOO_LARGE, _UNREADABLE} else _OTHER
        return _failure("", code, text)

    def handle(self, request: Request, path: str) -> Answer:
        """Answer a request."""
        method = f"{request.method} {path}"
        if not self._admits(request):
            return _failure(method, _OTHER, "this client may not use the API")
        if not self._settings.config.rest_api:
            return _failure(method, RestDisabled.code)
        if method != TOKEN and method not in CALLS:
            return _failure(method, UnknownMethod.code)
        try:
            # What is in the body hides the query, whatever its type is said to be.
            given = Parameters(request.form if request.body else request.query)
        except UnreadableError:
            return _failure(method, InvalidParameters.code)
        try:
            return self._token(request, given) if method == TOKEN else self._call(request, method, given)
        except MailstoreError as error:
            return self._failed(method, error)

    @property
    def _store(self) -> AfterLogicStore:
        return cast("AfterLogicStore", self._stores.get(self._settings.store))

    def _token(self, request: Request, given: Parameters) -> Answer:
        """GET /token."""
        login, password = given.get("login") or "", given.get("password") or ""
        if self._failures.wait(request.client, login):
            return _failure(TOKEN, BadLogin.code)
        try:
            token = self._store.rest.token(login, password)
        except BadLogin:
            line = f"AfterLogic API login failed: client_address={request.client}, username={printable(login)}"
            self._failures.note(request.client, login, line)
            return _failure(TOKEN, BadLogin.code)
        except InvalidParameters:
            return _failure(TOKEN, InvalidParameters.code)
        self._failures.succeeded(request.client, login)
        return _success(TOKEN, token, login)

    def _call(self, request: Request, name: str, given: Parameters) -> Answer:
        method = CALLS[name]
        try:
            grant = self._store.rest.check(given.token())
            asking(request.client, request.id, grant.login)
            store = self._store
            store = store.acting_as_tenant(grant.tenant_id) if grant.tenant_id else store
        except (InvalidToken, TokenExpired) as error:
            return _failure(name, error.code)
        except Refused:  # of a tenant that is gone, or disabled
            return _failure(name, InvalidToken.code)
        try:
            return _success(name, method.make(Call(store, given)), grant.login)
        except NothingListed as error:
            return _failure(name, _OTHER, str(error), result=[], caller=grant.login)
        except Refused as error:
            code = code_of(error, name)
            absent = method.absent if isinstance(error, AccountNotFound | DomainNotFound) else ""
            text = absent or _TEXTS.get(code) or str(error).replace(store.name, "this installation")
            return _failure(name, code, text, caller=grant.login)

    def _failed(self, name: str, error: MailstoreError) -> Answer:
        """Answer that the store failed, without a word about where it is."""
        text = "the database cannot be reached now; try again" if error.temporary else "internal error"
        return _failure(name, _OTHER, text, error=error)


def _success(method: str, result: Any, caller: str) -> Answer:
    return _json({"method": method, "result": result, "message": "ok"}, "ok", caller)


def _failure(
    method: str, code: int, text: str = "", *, result: Any = False, caller: str = "", error: BaseException | None = None
) -> Answer:
    message = text or _TEXTS[code]
    return _json({"method": method, "message": message, "errorCode": code, "result": result}, message, caller, error)


def _json(content: Any, outcome: str, caller: str, error: BaseException | None = None) -> Answer:
    """Return an answer as PHP writes it: without blanks, slashes escaped, and other languages as they are."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    return Answer(200, text.encode(), "application/json; charset=utf-8", outcome=outcome, caller=caller, error=error)
