"""Who asks, with every request, and the envelope of what is answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from mailstore.errors import InvalidValue, MailstoreError, NotFound, PermissionDenied, Refused
from mailstore_http.atmail.accounts import NO_SUCH_USER
from mailstore_http.atmail.calls import Handler, find
from mailstore_http.atmail.envelope import Content, Elements, document
from mailstore_http.atmail.parameters import Call, FailedError, Parameters
from mailstore_http.dialect import ProductDialect
from mailstore_http.failures import printable
from mailstore_http.messages import Answer, Request, begun, in_pieces

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore

__all__ = ["Atmail"]

_REALM = 'Basic realm="atmail"'
_XML = "text/xml"
_VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})
_NO_CALL = "error"
"""Name of the element in which failures are told that are of no call."""


class Atmail(ProductDialect):
    """See `mailstore_http.dialect.Dialect`."""

    def refusal(self, status: int, text: str) -> Answer:
        """Return a failure that is of no call."""
        return self._failure(_NO_CALL, text, status=status)

    def handle(self, request: Request, path: str) -> Answer:
        """Answer a request. What a call decides has the status 200. Raises UnreadableError."""
        if not self._admits(request):
            return self.refusal(403, "Permission denied")
        found = find(path)
        if found is None:
            return self.refusal(404, "There is no such call")
        if request.method not in _VERBS:
            return self.refusal(405, "Method not allowed")
        # Changes may come by GET, and browsers remember credentials.
        if request.header("sec-fetch-site") not in {"", "none", "same-origin"}:
            return self.refusal(403, "Permission denied")
        element, handler, pairs = found
        try:
            admin = self._admin(request)
            if admin is None:
                return self._unauthorized()
            try:
                store = self._store.acting_as(admin)
            except NotFound:  # deleted this moment
                return self._unauthorized()
            given = Parameters([*pairs, *request.query, *request.form])
            call = Call(store, admin, given, self._settings.config.provision == "creation")
            return self._made(element, handler, call)
        except MailstoreError as error:
            return self._failed(element, error)

    @property
    def _store(self) -> AtmailStore:
        return cast("AtmailStore", self._stores.get(self._settings.store))

    # --- who asks

    def _admin(self, request: Request) -> str | None:
        """Return the login name of the admin who asks, None if nobody is authenticated."""
        credentials = request.basic("utf-8")
        if credentials is None:
            return None
        name, password = credentials
        if self._failures.wait(request.client, name):
            return None
        try:
            found = self._store.admins.login(name, password)
        except InvalidValue:  # a name that no admin can have
            found = None
        if found is None:
            line = f"atmail API login failed: client_address={request.client}, username={printable(name)}"
            self._failures.note(request.client, name, line)
            return None
        self._failures.succeeded(request.client, name)
        return found.address

    def _unauthorized(self) -> Answer:
        text = "Authentication failed"
        return self._failure("authenticate", text, status=401, headers=(("WWW-Authenticate", _REALM),))

    # --- calls

    def _made(self, element: str, handler: Handler, call: Call) -> Answer:
        try:
            done = handler(call)
            # A list finds out what is wrong when it is read.
            return self._answer(element, "success", done.message, done.results, caller=call.admin)
        except FailedError as error:
            text = str(error)
        except PermissionDenied:
            text = "Permission denied"
        except Refused as error:
            text = str(error).replace(call.store.name, "this store")
        if element == "accountupdate" and text == NO_SUCH_USER:
            return self._fault(text, call.admin)
        return self._failure(element, text, caller=call.admin)

    def _failed(self, element: str, error: MailstoreError) -> Answer:
        """Answer that the store failed, without a word about where it is."""
        status, text = (
            (503, "The store cannot be reached now; try again") if error.temporary else (500, "Internal error")
        )
        headers = (("Retry-After", "10"),) if error.temporary else ()
        return self._failure(element, text, status=status, headers=headers, error=error)

    def _fault(self, text: str, caller: str) -> Answer:
        """Answer in the one shape that differs: sic, another spelling, another order, and no results."""
        content: Elements = [("response", [("message", text)]), ("status", "failed")]
        body = document("accountUpdate", content, one_line=self._settings.config.xml_one_line)
        status = 400 if self._settings.config.fault_status else 200
        return Answer(status, "".join(body).encode(), _XML, outcome=text, caller=caller)

    def _failure(
        self,
        element: str,
        text: str,
        *,
        status: int = 200,
        headers: Sequence[tuple[str, str]] = (),
        caller: str = "",
        error: BaseException | None = None,
    ) -> Answer:
        answer = self._answer(element, "failed", text, "", caller=caller)
        return Answer(status, answer.body, answer.content_type, headers, text, caller, error)

    def _answer(self, element: str, status: str, message: str, results: Content, *, caller: str) -> Answer:
        more = None
        if isinstance(results, Iterator):
            results, more = begun(results)
        content: Elements = [("status", status), ("response", [("message", message), ("results", more or results)])]
        texts = document(element, content, one_line=self._settings.config.xml_one_line)
        if more is not None:
            return Answer(200, content_type=_XML, caller=caller, stream=in_pieces(texts))
        return Answer(200, "".join(texts).encode(), _XML, caller=caller)
