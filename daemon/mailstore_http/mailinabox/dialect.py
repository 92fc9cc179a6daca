"""Who asks, with every request: Basic with the password of an admin, or with the key of a session."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mailstore import passwords
from mailstore.errors import MailstoreError, NotFound, Refused
from mailstore_http.dialect import ProductDialect
from mailstore_http.failures import FailedLogins
from mailstore_http.mailinabox import listings
from mailstore_http.mailinabox.calls import CALLS, Call, Handler, json_answer
from mailstore_http.mailinabox.sentences import RefusedError
from mailstore_http.messages import Answer, Request
from mailstore_http.sessions import Session, Sessions
from mailstore_http.settings import DialectSettings
from mailstore_http.stores import Stores, asking

if TYPE_CHECKING:
    from mailstore.sql.mailinabox.store import MailInABoxStore

__all__ = ["MailInABox"]

_REALM = 'Basic realm="Mail-in-a-Box Management Server"'
_BOX = "the box"
_UNREADABLE = "Authorization header invalid."
_WRONG = "Incorrect email address or password."
_NO_ADMIN = "You are not an administrator."
_NO_CODE, _WRONG_CODE = "missing-totp-token", "invalid-totp-token"


@cache
def _nobodys_hash() -> str:
    return passwords.hash_password("nobody", "SHA512-CRYPT")  # as the box makes all of them


class _NobodyError(Exception):
    """Nobody is logged in; the text is the reason."""


class MailInABox(ProductDialect):
    """See `mailstore_http.dialect.Dialect`."""

    def __init__(self, settings: DialectSettings, stores: Stores, failures: FailedLogins) -> None:
        super().__init__(settings, stores, failures)
        self._sessions = Sessions(settings.state, settings.idle)

    def refusal(self, status: int, text: str) -> Answer:
        """Return a failure as text."""
        return Answer(status, text.encode(), "text/html; charset=utf-8", outcome=text)

    def handle(self, request: Request, path: str) -> Answer:
        """Answer a request. Raises UnreadableError."""
        if not self._admits(request):
            return self.refusal(403, "NOT_AUTHORIZED")
        try:
            if path in {"/login", "/logout"}:
                if request.method != "POST":
                    return self.refusal(405, "Method Not Allowed")
                return self._login(request) if path == "/login" else self._logout(request)
            handlers = CALLS.get(path)
            if handlers is None:
                return self.refusal(404, "Not Found")
            if request.method not in handlers:
                return self.refusal(405, "Method Not Allowed")
            return self._call(request, handlers[request.method])
        except MailstoreError as error:
            return self._failed(error)

    @property
    def _store(self) -> MailInABoxStore:
        return cast("MailInABoxStore", self._stores.get(self._settings.store))

    # --- who asks

    def _admin(self, request: Request) -> str:
        """Return the address of the admin who asks; `_BOX` for the holder of the box's own key. Raises _NobodyError."""
        name, secret = self._credentials(request)
        if self._is_key(name):
            return _BOX
        store = self._store
        session = self._sessions.find(secret)
        if session is not None and session.account == name.lower():
            if hmac.compare_digest(session.note, self._fingerprint(store, session.account)):
                return session.account
            self._sessions.end(secret)
        if self._failures.wait(request.client, name):
            raise _NobodyError(_WRONG)
        try:
            admin = store.admins.login(name, secret)
        except Refused:  # a name that nobody can have
            admin = None
        if admin is None:
            self._note_failure(request, name)
            raise _NobodyError(self._reason(store, name, secret))
        self._check_second_factor(request, store, admin.address)
        self._failures.succeeded(request.client, name)
        return admin.address

    def _is_key(self, name: str) -> bool:
        """Tell whether a name is the key of the box, which it makes anew whenever its panel starts."""
        file = self._settings.config.api_key_file
        try:
            key = Path(file).read_text(encoding="ascii").strip() if file else ""
        except (OSError, ValueError):  # the panel has not run yet
            key = ""
        return bool(key) and hmac.compare_digest(name, key)

    def _check_second_factor(self, request: Request, store: MailInABoxStore, admin: str) -> None:
        """Raise _NobodyError unless an admin who has a second factor shows a code of it. A code is good once."""
        if not store.second_factors.kinds(admin):
            return
        code = request.header("x-auth-token").strip()
        if not code:
            raise _NobodyError(_NO_CODE)
        if not store.second_factors.accept(admin, code):
            self._note_failure(request, admin)
            raise _NobodyError(_WRONG_CODE)

    def _reason(self, store: MailInABoxStore, name: str, secret: str) -> str:
        """Tell a user who has the right password, and nobody else, that it is no admin. It takes as long for nobody."""
        try:
            return _NO_ADMIN if store.accounts.verify_password(name, secret) else _WRONG
        except Refused:
            passwords.verify_password(secret, _nobodys_hash())
            return _WRONG

    def _credentials(self, request: Request) -> tuple[str, str]:
        found = request.basic("ascii")
        if found is None:
            raise _NobodyError(_UNREADABLE)
        if not found[1].strip() and not self._is_key(found[0]):
            raise _NobodyError("Enter a password.")
        return found

    @staticmethod
    def _fingerprint(store: MailInABoxStore, account: str) -> str:
        """Return what changes with the password and the second factors of an admin, and when it is none any more."""
        try:
            stored = store.admins.password_hash(account)
            factors = store.second_factors.fingerprint(account)
        except NotFound:
            return "nobody"
        return hashlib.sha256(f"{stored}\n{factors}".encode()).hexdigest()

    def _note_failure(self, request: Request, name: str) -> None:
        # The box's own filter for fail2ban looks for exactly this.
        line = (
            f"Mail-in-a-Box Management Daemon: Failed login attempt from ip {request.client} - timestamp {time.time()}"
        )
        self._failures.note(request.client, name, line)

    def _unauthorized(self, request: Request, reason: str) -> Answer:
        accept = request.header("accept")
        if accept in {"", "*/*"}:
            body, kind = f"{reason}\n".encode(), "text/plain; charset=utf-8"
        else:
            body, kind = f"{json.dumps({'status': 'error', 'reason': reason})}\n".encode(), "application/json"
        if request.header("x-requested-with") == "XMLHttpRequest":  # else the browser would ask
            return Answer(403, body, kind, outcome=reason)
        return Answer(401, body, kind, (("WWW-Authenticate", _REALM), ("X-Reason", reason)), outcome=reason)

    # --- sessions

    def _login(self, request: Request) -> Answer:
        try:
            admin = self._admin(request)
        except _NobodyError as error:
            reason = str(error)
            status = reason if reason == _NO_CODE else "invalid"
            return Answer(
                200, listings.as_json({"reason": reason, "status": status}), "application/json", outcome=reason
            )
        store = self._store
        if admin == _BOX:  # it has no account that a session could be of
            return json_answer({"api_key": None, "email": None, "privileges": ["admin"], "status": "ok"})
        token = self._sessions.begin(Session(admin, request.client, self._fingerprint(store, admin)))
        privileges = listings.privileges(store.accounts.get(admin))
        return json_answer({"api_key": token, "email": admin, "privileges": privileges, "status": "ok"})

    def _logout(self, request: Request) -> Answer:
        try:
            name, secret = self._credentials(request)
        except _NobodyError as error:
            return self._unauthorized(request, str(error))
        session = self._sessions.find(secret)
        if session is not None and session.account == name.lower():
            self._sessions.end(secret)
        return json_answer({"status": "ok"})

    # --- calls

    def _call(self, request: Request, handler: Handler) -> Answer:
        try:
            admin = self._admin(request)
        except _NobodyError as error:
            return self._unauthorized(request, str(error))
        asking(request.client, request.id, admin)
        try:
            store = self._store if admin == _BOX else self._store.acting_as(admin)
        except NotFound:  # somebody took the right away this moment
            return self._unauthorized(request, _NO_ADMIN)
        try:
            answer = handler(Call(store, self._settings.hostname, request.query, request.form))
        except RefusedError as error:
            answer = self.refusal(400, str(error))
        except Refused as error:
            answer = self.refusal(400, str(error).replace(store.name, "this store"))
        return Answer(answer.status, answer.body, answer.content_type, answer.headers, answer.outcome, admin)

    def _failed(self, error: MailstoreError) -> Answer:
        status, text = (
            (503, "The store cannot be reached now; try again.") if error.temporary else (500, "Internal error.")
        )
        headers = (("Retry-After", "10"),) if error.temporary else ()
        return Answer(status, text.encode(), "text/html; charset=utf-8", headers, text, error=error)
