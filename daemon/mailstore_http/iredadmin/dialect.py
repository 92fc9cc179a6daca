"""The envelope of the API, its login and its sessions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mailstore.errors import MailstoreError, NotFound, Refused
from mailstore.store import Store
from mailstore_http.dialect import ProductDialect
from mailstore_http.failures import FailedLogins, printable
from mailstore_http.iredadmin.calls import Handler, find
from mailstore_http.iredadmin.parameters import Call, Parameters, RefusedError
from mailstore_http.iredadmin.words import word_for
from mailstore_http.messages import Answer, Request, begun, in_pieces
from mailstore_http.sessions import Session, Sessions
from mailstore_http.settings import DialectSettings
from mailstore_http.stores import Stores

__all__ = ["IRedAdmin"]

_BACKENDS = {"mysql": "MYSQL", "postgresql": "PGSQL", "sqlite": "SQLITE"}
_JSON = "application/json"
_VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})


class IRedAdmin(ProductDialect):
    """See `mailstore_http.dialect.Dialect`."""

    def __init__(self, settings: DialectSettings, stores: Stores, failures: FailedLogins) -> None:
        super().__init__(settings, stores, failures)
        self._sessions = Sessions(settings.state, settings.idle)
        backend = settings.kind.partition("+")[2]
        self._cookie = settings.config.cookie or f"iRedAdmin-Pro-{_BACKENDS.get(backend, 'LDAP')}"
        self._in_directory = backend not in _BACKENDS
        self._keys = ("success", "msg", "data") if settings.config.old_envelope else ("_success", "_msg", "_data")

    def handle(self, request: Request, path: str) -> Answer:
        """Answer a request. What a call decides has the status 200, since clients look into the envelope only."""
        if not self._admits(request):
            return self.refusal(200, "NOT_AUTHORIZED")
        found = find(path.strip("/"))
        if path == "/login":
            return self._login(request) if request.method == "POST" else self.refusal(405, "METHOD_NOT_ALLOWED")
        if found is None:
            return self.refusal(404, "NOT_FOUND")
        handlers, names = found
        if request.method not in _VERBS or request.method not in handlers:
            return self.refusal(405, "METHOD_NOT_ALLOWED")
        return self._call(request, handlers[request.method], dict(names))

    def refusal(self, status: int, text: str) -> Answer:
        """Return a failure in the envelope."""
        success, message, _ = self._keys
        return _json(status, {success: False, message: text}, outcome=text)

    # --- login

    def _login(self, request: Request) -> Answer:
        given = self._parameters(request)
        name, password = given.get("username") or "", given.get("password") or ""
        if wait := self._failures.wait(request.client, name):
            return _with(self.refusal(200, "INVALID_CREDENTIALS"), ("Retry-After", str(int(wait) + 1)))
        try:
            admin = self._stores.get(self._settings.store).admins.login(name, password)
        except Refused:  # a name that no admin can have
            admin = None
        except MailstoreError as error:
            return self._failed(error, name)
        if admin is None:
            self._note_failure(request, name)
            return self.refusal(200, "INVALID_CREDENTIALS")
        self._failures.succeeded(request.client, name)
        token = self._sessions.begin(Session(admin.address, request.client))
        secure = "; Secure" if self._settings.config.secure_cookie or request.secure else ""
        cookie = f"{self._cookie}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        return _with(self._success(request, None, admin.address), ("Set-Cookie", cookie))

    def _note_failure(self, request: Request, name: str) -> None:
        line = f"Web login failed: client_address={request.client}, username={printable(name)}"
        self._failures.note(request.client, name, line)

    def _session(self, request: Request) -> tuple[str, Session] | None:
        """Return the token of the session that a request belongs to, and the session."""
        for pair in request.header("cookie").split(";"):
            name, _, token = pair.strip().partition("=")
            session = self._sessions.find(token) if name == self._cookie else None
            if session is None:
                continue
            if self._settings.config.session_keeps_address and session.client != request.client:
                continue
            return token, session
        return None

    # --- calls

    def _call(self, request: Request, handler: Handler, path: dict[str, str]) -> Answer:
        found = self._session(request)
        if found is None:
            return self.refusal(200, "LOGIN_REQUIRED")
        token, session = found
        try:
            everything = self._stores.get(self._settings.store)
            try:
                store = everything.acting_as(session.account)
            except NotFound:  # it was an admin when it logged in
                self._sessions.end(token)
                return self.refusal(200, "LOGIN_REQUIRED")
            call = self._call_of(request, store, session.account, path)
            return self._made(request, handler, call, everything)
        except MailstoreError as error:
            return self._failed(error, session.account)

    def _call_of(self, request: Request, store: Store, admin: str, path: dict[str, str]) -> Call:
        def verify(account: str, is_right: Callable[[], bool]) -> bool:
            if self._failures.wait(request.client, account):
                return False
            right = is_right()
            if not right:
                self._note_failure(request, account)
            return right

        return Call(store, admin, path, self._parameters(request), self._in_directory, verify)

    def _made(self, request: Request, handler: Handler, call: Call, everything: Store) -> Answer:
        try:
            return self._success(request, handler(call), call.admin)
        except RefusedError as error:
            text = str(error)
        except Refused as error:
            text = word_for(error, call, everything).replace(everything.name, "this store")
        return _with(self.refusal(200, text), caller=call.admin)

    def _parameters(self, request: Request) -> Parameters:
        """Return query and body together, of which the body comes first. With DELETE the original reads no body."""
        body = () if request.method == "DELETE" else request.form
        return Parameters([*request.query, *body])

    def _success(self, request: Request, data: Any, caller: str) -> Answer:
        success, _, key = self._keys
        if isinstance(data, Iterator):
            data, more = begun(data)
            if more is not None:
                pieces = in_pieces(_listed(f'{{"{success}": true, "{key}": [', more))
                return Answer(200, content_type=_JSON, caller=caller, stream=pieces)
        return _json(200, {success: True} | ({key: data} if request.method == "GET" else {}), caller=caller)

    def _failed(self, error: MailstoreError, caller: str) -> Answer:
        """Answer that the store failed, without a word about where it is."""
        status, text = (
            (503, "the store cannot be reached now; try again") if error.temporary else (500, "INTERNAL_ERROR")
        )
        headers = (("Retry-After", "10"),) if error.temporary else ()
        return _with(self.refusal(status, text), *headers, caller=caller, error=error)


def _listed(head: str, items: Iterable[Any]) -> Iterator[str]:
    """Write a long list as JSON, item by item."""
    yield head
    for number, item in enumerate(items):
        yield f"{', ' if number else ''}{json.dumps(item)}"
    yield "]}"


def _json(status: int, content: Any, *, outcome: str = "ok", caller: str = "") -> Answer:
    return Answer(status, json.dumps(content).encode(), _JSON, outcome=outcome, caller=caller)


def _with(
    answer: Answer, *headers: tuple[str, str], caller: str | None = None, error: BaseException | None = None
) -> Answer:
    return Answer(
        answer.status,
        answer.body,
        answer.content_type,
        (*answer.headers, *headers),
        answer.outcome,
        answer.caller if caller is None else caller,
        error or answer.error,
    )
