"""One connection that is logged in: what ldap3 is used for."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mailstore.errors import ConfigurationError, InvalidValue
from mailstore.ldap import _ldap3
from mailstore.ldap.endpoint import Endpoint
from mailstore.ldap.entry import Change, Entry, octets
from mailstore.ldap.failures import BUSY, SUCCESS, UNAVAILABLE, Garbled, Result
from mailstore.ldap.names import DN, Filter, parse_dn
from mailstore.ldap.retry import Lost

__all__ = ["Query", "Session"]

_IDLE_SECONDS = 60
"""Firewalls forget idle connections without a word, and a request sent into one waits for its whole timeout."""
_KINDS = {"add": 0, "delete": 1, "replace": 2}
_SCOPES = {"base": "BASE", "one": "LEVEL", "subtree": "SUBTREE"}
_WRITES = {"add", "modify", "modify_dn", "delete"}
_NOT_NOW = {BUSY, UNAVAILABLE}


@dataclass(frozen=True)
class Query:
    """A search."""

    base: str
    filter: Filter
    scope: str
    attributes: Sequence[str]
    page_size: int = 0
    """0 asks for everything at once."""


class Session:
    """A connection of its own, for one thread at a time.

    Every method raises Lost when the connection broke, and returns the server's answer whatever it is.
    ``owner`` is for the pool.
    """

    def __init__(self, endpoint: Endpoint, user: str, password: str) -> None:
        """Connect and encrypt; `bind` has to follow."""
        self._endpoint = endpoint
        self._connection = _ldap3.connection(endpoint.connect(), user, octets(password))
        self._process = os.getpid()
        self._used = time.monotonic()
        self.owner: object = None
        try:
            if endpoint.start_tls:
                self._start_tls()
        except BaseException:
            self.close()
            raise

    def _start_tls(self) -> None:
        result = self._run("extended", _ldap3.START_TLS)
        if result.code != SUCCESS:
            url = self._endpoint.url
            raise ConfigurationError(
                f"{url}: the server does not start TLS: {result.name} ({result.code}) {result.text}"
            )
        self._connection.socket = self._endpoint.encrypt(self._connection.socket)
        self._connection.tls_started = True

    @property
    def usable(self) -> bool:
        """Whether the server has not closed the connection meanwhile, as far as that can be known without asking it."""
        sock: socket.socket | None = self._connection.socket
        if sock is None or os.getpid() != self._process or time.monotonic() - self._used > _IDLE_SECONDS:
            return False
        poll = select.poll()  # not select.select, which knows file descriptors up to 1023 only
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)  # what comes unasked is the end of the connection, or its announcement

    def bind(self) -> Result:
        """Log in."""
        return self._run("bind", read_server_info=False)

    def search(self, query: Query, cookie: bytes = b"") -> tuple[Result, list[Entry], bytes]:
        """Return the answer, the entries of one page, and the cookie for the next; none if it was the last."""
        controls = [_ldap3.paged(query.page_size, cookie)] if query.page_size else None
        options = {"attributes": list(query.attributes), "dereference_aliases": "NEVER", "controls": controls}
        result = self._run("search", query.base, query.filter, _SCOPES[query.scope], **options)
        found = self._connection.response or []
        self._connection.response = None
        entries = [
            Entry(_normal(each["dn"]), each["raw_attributes"]) for each in found if each["type"] == "searchResEntry"
        ]
        elsewhere = [uri for each in found if each["type"] == "searchResRef" for uri in each["uri"]]
        if elsewhere:
            result = Result(10, "referral", "a part of it is elsewhere", elsewhere)
        return result, entries, result.controls.get(_ldap3.PAGED, {}).get("value", {}).get("cookie", b"")

    def add(self, dn: str, attributes: Mapping[str, Sequence[bytes]], controls: Sequence[Any]) -> Result:
        """Add an entry."""
        return self._run("add", dn, attributes=dict(attributes), controls=list(controls))

    def modify(self, dn: str, changes: Sequence[Change], controls: Sequence[Any]) -> Result:
        """Change an entry."""
        by_attribute: dict[str, list[tuple[int, list[bytes]]]] = {}
        for change in changes:
            by_attribute.setdefault(change.attribute, []).append((_KINDS[change.kind], list(change.values)))
        return self._run("modify", dn, by_attribute, controls=list(controls))

    def rename(self, dn: str, rdn: str, superior: str | None) -> Result:
        """Rename an entry, and move it if a superior is given."""
        return self._run("modify_dn", dn, rdn, new_superior=superior)

    def delete(self, dn: str, controls: Sequence[Any] = ()) -> Result:
        """Delete an entry."""
        return self._run("delete", dn, controls=list(controls))

    def close(self) -> None:
        """Close the connection; in a forked process only this process' end of it."""
        sock: socket.socket | None = self._connection.socket
        if os.getpid() == self._process:
            with suppress(Exception):  # it may be broken already
                self._connection.unbind()
        self._connection.socket = None
        if sock is not None:
            sock.close()

    def _run(self, operation: str, *arguments: Any, **options: Any) -> Result:
        if os.getpid() != self._process:  # a search that goes on in a forked child would read the parent's answers
            raise Lost("the connection belongs to the process that this one was forked from", sent=False)
        problem: Exception
        call: Callable[..., Any] = getattr(self._connection, operation)
        try:
            call(*arguments, **options)
        except Exception as error:  # noqa: BLE001 ldap3 lets those of its decoder through, too
            problem = error
        except BaseException:
            self.close()  # in the middle of an answer
            raise
        else:
            return self._result()
        # Raised here, outside of the handler: ldap3's own traceback shows the request, password hashes and all.
        self.close()
        if isinstance(problem, _ldap3.LDAPCommunicationError | _ldap3.LDAPResponseTimeoutError | OSError):
            raise Lost(
                _reason(problem), sent=operation in _WRITES and not isinstance(problem, _ldap3.LDAPSocketOpenError)
            )
        raise Garbled(f"{operation}: ldap3 could not send it or understand the answer: {type(problem).__name__}")

    def _result(self) -> Result:
        self._used = time.monotonic()
        answer = self._connection.result
        if answer["result"] in _NOT_NOW:
            self.close()
            raise Lost(f"{answer['description']} ({answer['result']}) {answer['message']}".strip(), sent=False)
        controls = answer.get("controls", {})
        return Result(
            answer["result"], answer["description"], answer["message"], answer.get("referrals") or (), controls
        )


def _normal(dn: str) -> DN:
    if "\\" not in dn and dn.isprintable():
        return DN(dn)  # a server's names differ from the normal form in their escapes only
    try:
        return parse_dn(dn)
    except InvalidValue:
        return DN(dn)


def _reason(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
