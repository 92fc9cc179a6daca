"""The dialect of mailstore itself; see `mailstore_http.dialect.Dialect`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from mailstore.errors import MailstoreError
from mailstore.records import plain_value
from mailstore.store import Store
from mailstore.tokens import TokenFile
from mailstore_http.failures import FailedLogins
from mailstore_http.messages import Answer, Request, UnreadableError
from mailstore_http.settings import V1Settings
from mailstore_http.stores import Stores, asked, asking
from mailstore_http.v1 import batches, lists, openapi, reference
from mailstore_http.v1.answers import json_answer, tag_of, tags_in
from mailstore_http.v1.callers import Caller, Callers
from mailstore_http.v1.locks import Locks
from mailstore_http.v1.operations import Call, Operation, by_place, find
from mailstore_http.v1.problems import ProblemError, answer_of, problem_of
from mailstore_http.v1.replays import Replays
from mailstore_http.v1.requests import decoded, read_query, rows_of
from mailstore_http.v1.tables import OPERATIONS
from mailstore_http.v1.values import FieldError

__all__ = ["V1"]

_JSON = "application/json"
_ALLOWED_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key"
_EXPOSED_HEADERS = "ETag, Location, Link, Retry-After, X-Request-Id, Idempotency-Replayed, Mailstore-Notice"


class V1:
    """Answers requests; threads may share it."""

    def __init__(self, settings: V1Settings, stores: Stores, failures: FailedLogins) -> None:
        """Raises ConfigurationError if the directory for its state cannot be used."""
        self._settings = settings
        self._stores = stores
        self._callers = Callers(TokenFile(settings.tokens), failures, admins=settings.admins)
        self._replays = Replays(settings.state / "replays", settings.replay)
        self._locks = Locks(settings.state / "locks")
        self._places = by_place(OPERATIONS)
        self._document = msgspec.json.encode(openapi.document(settings.prefix))
        self._reference = reference.page(openapi.document(settings.prefix)).encode()

    @property
    def name(self) -> str:
        """What the log calls it."""
        return "v1"

    @property
    def prefixes(self) -> Sequence[str]:
        """Where it is served."""
        return (self._settings.prefix,)

    def refusal(self, status: int, text: str) -> Answer:
        """Return a failure that is not about an operation."""
        name = text.partition(" ")[0].title().replace("_", "")
        return answer_of(problem_of(ProblemError(status, name, text), {}), asked().request)

    def handle(self, request: Request, path: str) -> Answer:
        """Answer a request."""
        if self._settings.clients and request.client not in self._settings.clients:
            return self.refusal(403, "NOT_AUTHORIZED")
        origin = request.header("origin")
        allowed = origin in self._settings.cors
        asks_first = request.method == "OPTIONS" and allowed
        answer = self._preflight() if asks_first else self._handled(request, path)
        if not allowed:
            return answer
        cross = (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED_HEADERS))
        return replace(answer, headers=(*answer.headers, *cross, ("Vary", "Origin")))

    def _preflight(self) -> Answer:
        headers = (
            ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
            ("Access-Control-Max-Age", "600"),
        )
        return Answer(204, headers=headers)

    def _handled(self, request: Request, path: str) -> Answer:
        caller = ""
        try:
            if path in {"/openapi.json", "/reference"}:
                return self._described(request, path)
            if path == "/stores":
                return self._listed(request)
            _, _, name, *rest = [*path.split("/", 3), ""]
            if not path.startswith("/stores/"):
                raise _not_found()
            who = self._caller(request, name)
            caller = who.name
            asking(request.client, request.id, caller)
            return replace(self._in_store(request, who, name, f"/{rest[0]}"), caller=caller)
        except UnreadableError as error:
            return replace(self._problem(request, ProblemError(400, "UnreadableRequest", str(error))), caller=caller)
        except (ProblemError, MailstoreError) as error:
            return replace(self._problem(request, error), caller=caller)

    def _problem(
        self, request: Request, error: ProblemError | MailstoreError, given: Mapping[str, Any] = {}, hidden: str = ""
    ) -> Answer:
        return answer_of(problem_of(error, given, hidden), request.id, error)

    def _described(self, request: Request, path: str) -> Answer:
        _require(request, {"GET"})
        if path == "/openapi.json":
            return Answer(200, self._document, _JSON)
        style = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        return Answer(200, self._reference, "text/html; charset=utf-8", (style,))

    # --- who may use which store

    def _caller(self, request: Request, name: str) -> Caller:
        def store() -> Store:
            if name not in self._settings.stores:
                raise ProblemError(401, "Unauthorized", "Name and password are not right.")
            return self._stores.get(name)

        caller = self._callers.of(request, store)
        if name not in self._settings.stores or not caller.may_use(name):
            raise ProblemError(404, "NotFound", "There is no such store here.")
        return caller

    def _listed(self, request: Request) -> Answer:
        """List the stores that somebody may use; whoever comes with a password is looked for in each."""
        _require(request, {"GET"})
        openers = {name: partial(self._stores.get, name) for name in self._settings.stores}
        known = self._callers.known_in(request, openers)
        found = [name for name, caller in known.items() if caller.may_use(name)]
        return json_answer({"items": [{"store": name} for name in found], "next": None})

    def _in_store(self, request: Request, caller: Caller, name: str, path: str) -> Answer:
        if path == "/":
            _require(request, {"GET"})
            return json_answer(self._facts(name, self._stores.get(name)))
        if path == "/batch":
            _require(request, {"POST"})
            self._require_writing(caller)
            return self._idempotent(request, caller, lambda: self._batch(request, caller, name))
        operation, names = self._found(request.method, path)
        if not operation.changes:
            return self._answered(request, caller, name, operation, names)
        self._require_writing(caller)
        return self._idempotent(request, caller, lambda: self._answered(request, caller, name, operation, names))

    def _found(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        allowed: set[str] = set()
        for methods, names in find(self._places, path):
            if method in methods:
                return methods[method], names
            allowed |= set(methods)
        raise _wrong_method(allowed) if allowed else _not_found()

    @staticmethod
    def _require_writing(caller: Caller) -> None:
        if not caller.may_write:
            raise ProblemError(403, "ReadOnly", "This token may only read.")

    @staticmethod
    def _facts(name: str, store: Store) -> dict[str, Any]:
        """Return what a client has to know of a store before it uses it."""
        kinds: dict[str, Any] = {"domains": store.domains, "accounts": store.accounts}
        for noun, capability in openapi.COLLECTIONS.items():
            if capability in store.capabilities:
                kinds[noun] = getattr(store, noun)
        return {
            "store": name,
            "capabilities": {
                one.name.lower(): one.value for one in sorted(store.capabilities, key=lambda one: one.name)
            },
            "fields": {noun: sorted(kind.fields) for noun, kind in kinds.items()},
            "homes": store.homes is not None,
        }

    # --- operations

    def _idempotent(self, request: Request, caller: Caller, answered: Callable[[], Answer]) -> Answer:
        key = request.header("idempotency-key")
        if not key:
            return answered()
        if not 8 <= len(key) <= 255:
            raise ProblemError(400, "UnusableIdempotencyKey", "An Idempotency-Key has from 8 to 255 characters.")
        sent = "\n".join((request.method, request.path, request.raw_query, request.header("if-match"))).encode()

        def told() -> Answer:
            try:
                return answered()
            except (ProblemError, MailstoreError) as error:
                return self._problem(request, error)

        return self._replays.once(caller.name, key, sent + b"\n" + request.body, told)

    def _answered(
        self, request: Request, caller: Caller, name: str, operation: Operation, names: Mapping[str, str]
    ) -> Answer:
        given: dict[str, Any] = {**names}
        hidden = ""
        try:
            asked = read_query(dict(request.query), operation)
            body = operation.parameters.read(decoded(request)) if operation.parameters else {}
            rows = list(rows_of(request, operation.rows)) if operation.rows else ()
            given |= {**asked.query, **body}
            dry = asked.dry_run and not operation.on_disk
            store = caller.limited(self._stores.get(name, records_only=dry))
            hidden = store.name
            call = Call(store, names, asked.query, body, rows, lambda outcome: self._stores.note(store, outcome))
            if operation.shape == "page":
                return lists.many(request, operation, call, asked)
            if not operation.changes:
                return self._one(request, operation, call)
            return self._changed(request, operation, call, f"{name} {request.path}", dry_run=dry)
        except (FieldError, MailstoreError) as error:
            return self._problem(request, error, given, hidden)

    def _one(self, request: Request, operation: Operation, call: Call) -> Answer:
        result = plain_value(operation.run(call))
        if operation.record is None:
            return json_answer(result)
        tag = tag_of(result)
        if tag in tags_in(request.header("if-none-match")):
            return Answer(304, headers=(("ETag", tag),))
        return json_answer(result, ("ETag", tag))

    def _changed(self, request: Request, operation: Operation, call: Call, lock: str, *, dry_run: bool) -> Answer:
        wanted = tags_in(request.header("if-match"))
        with ExitStack() as stack:
            if operation.record is not None:
                stack.enter_context(self._locks.held(lock.lower()))
            rehearsed = stack.enter_context(call.store.rehearsal()) if dry_run else call.store
            call = replace(call, store=rehearsed)
            if (
                wanted
                and operation.record is not None
                and "*" not in wanted
                and tag_of(plain_value(operation.record(call))) not in wanted
            ):
                raise ProblemError(412, "PreconditionFailed", "It is another one by now; read it again.")
            result = plain_value(operation.run(call))
        return self._told(request, operation, result, call, dry_run=dry_run)

    def _told(self, request: Request, operation: Operation, result: Any, call: Call, *, dry_run: bool) -> Answer:
        headers = [("Mailstore-Dry-Run", "true")] if dry_run else _noticed(call.store)
        if operation.shape == "nothing":
            return Answer(204, headers=headers)
        if operation.shape == "record" and operation.record is not None:
            headers.append(("ETag", tag_of(result)))
        if operation.status == 201 and operation.shape == "record" and not dry_run:
            headers.append(("Location", f"{request.path}/{quote(_key_of(result), safe='@')}"))
        return replace(json_answer(result, *headers), status=200 if dry_run else operation.status)

    # --- several operations

    def _batch(self, request: Request, caller: Caller, name: str) -> Answer:
        asked = read_query(dict(request.query), batches.OPERATION)
        steps = batches.steps_of(decoded(request), self._found)
        store = caller.limited(self._stores.get(name, records_only=asked.dry_run))
        together: AbstractContextManager[Any] = store.rehearsal() if asked.dry_run else store.transaction()
        with together as rehearsed:
            results = batches.run(steps, rehearsed or store)
        headers = [("Mailstore-Dry-Run", "true")] if asked.dry_run else _noticed(store)
        return json_answer({"results": results}, *headers)


def _require(request: Request, methods: Collection[str]) -> None:
    if request.method not in methods:
        raise _wrong_method(methods)


def _wrong_method(allowed: Collection[str]) -> ProblemError:
    text = f"This takes {', '.join(sorted(allowed))}."
    return ProblemError(405, "MethodNotAllowed", text, headers=(("Allow", ", ".join(sorted(allowed))),))


def _not_found() -> ProblemError:
    return ProblemError(404, "NoSuchPlace", "There is nothing at this place.")


def _noticed(store: Store) -> list[tuple[str, str]]:
    """Return what changes leave to be done outside of the store, as headers."""
    return [
        ("Mailstore-Notice", f"{notice.code}; {notice.command}".encode("ascii", "replace").decode().replace("\n", " "))
        for notice in store.take_notices()
    ]


def _key_of(record: Mapping[str, Any]) -> str:
    """Return the name of a record, its first field."""
    return str(next(iter(record.values())))
