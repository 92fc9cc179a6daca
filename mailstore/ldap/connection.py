"""A directory server: searches, writes, and the connections for them.

Results other than success become errors of `mailstore.errors`. A connection that breaks is made anew, see `retry`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Literal, TypeVar, overload

from mailstore.errors import NotFound, StoreDenied
from mailstore.ldap import _ldap3
from mailstore.ldap.endpoint import Endpoint
from mailstore.ldap.entry import Change, Entry, folded, octets, shows
from mailstore.ldap.failures import (
    ASSERTION_FAILED,
    ENTRY_EXISTS,
    INAPPROPRIATE_AUTHENTICATION,
    INVALID_CREDENTIALS,
    NO_SUCH_ATTRIBUTE,
    NO_SUCH_OBJECT,
    SUCCESS,
    VALUE_EXISTS,
    Request,
    Result,
    failure,
)
from mailstore.ldap.names import DN, Filter, parent, present, rdn, same_dn
from mailstore.ldap.paging import Listing
from mailstore.ldap.pool import Pool
from mailstore.ldap.retry import Lost, Write, look_after_write, repeat, write
from mailstore.ldap.schema import ROOT_ATTRIBUTES, SCHEMA_ATTRIBUTES, Schema, ServerFacts
from mailstore.ldap.session import Query, Session

__all__ = ["ALL_ATTRIBUTES", "Attributes", "Change", "Directory", "Endpoint", "Entry"]

Attributes = Mapping[str, Sequence[str | bytes]]
PAGE_SIZE = 500
ALL_ATTRIBUTES = ("*",)
"""All but the operational ones."""
_T = TypeVar("_T")


class Directory:
    """One directory server, seen by one account. Threads may share it.

    ``observers`` are called with the kind and the name of every operation that is sent: search (of each page), add,
    modify, rename, delete, bind.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Prepare for connecting; nothing is connected yet."""
        self.endpoint = endpoint
        self._endpoints = endpoint.each()
        self._last = 0
        self.observers: list[Callable[[str, str], None]] = []
        self._pool = Pool(self._connect)

    def close(self) -> None:
        """Close all connections; those that threads use now when they have done so."""
        self._pool.close()

    def _connect(self) -> Session:
        endpoint = self.endpoint
        session = self._session(endpoint.bind_dn, endpoint.password or "")
        self._observe("bind", endpoint.bind_dn)
        result = session.bind()
        if result.code != SUCCESS:
            session.close()
            raise failure(result, self._request("bind", endpoint.bind_dn))
        return session

    def _session(self, user: str, password: str) -> Session:
        """Connect to the first server that answers, beginning with the one that did so last. Raises Lost."""
        count = len(self._endpoints)
        *others, last = (number % count for number in range(self._last, self._last + count))
        for number in others:
            with suppress(Lost):
                session = Session(self._endpoints[number], user, password)
                self._last = number
                return session
        session = Session(self._endpoints[last], user, password)
        self._last = last
        return session

    def _observe(self, operation: str, dn: str) -> None:
        for observer in self.observers:
            observer(operation, dn)

    def _request(self, operation: str, dn: str, attributes: Sequence[str] = (), secrets: Sequence[str] = ()) -> Request:
        return Request(operation, dn, self.endpoint.bind_dn, attributes, secrets)

    # What the server can do

    @cached_property
    def facts(self) -> ServerFacts:
        """What the server says of itself, asked once."""
        entry = self.read(DN(""), ROOT_ATTRIBUTES)
        if entry is None:
            raise StoreDenied(f"{self.endpoint.bind_dn} may not read the root DSE of the server")
        return ServerFacts.of(entry)

    @cached_property
    def schema(self) -> Schema:
        """The names in the server's schema, asked once."""
        entry = self.read(DN(self.facts.schema_dn), SCHEMA_ATTRIBUTES) if self.facts.schema_dn else None
        if entry is None or not entry.has("attributeTypes"):
            raise StoreDenied(f"{self.endpoint.bind_dn} may not read the schema of the server")
        return Schema.of(entry)

    @property
    def supported_controls(self) -> frozenset[str]:
        """Object identifiers of the controls that the server knows."""
        return self.facts.controls

    @property
    def attribute_types(self) -> frozenset[str]:
        """Names of all attributes that the server knows, in lower case."""
        return self.schema.attribute_types

    @property
    def object_classes(self) -> frozenset[str]:
        """Names of all object classes that the server knows, in lower case."""
        return self.schema.object_classes

    def supports(
        self, *, controls: Sequence[str] = (), extensions: Sequence[str] = (), features: Sequence[str] = ()
    ) -> bool:
        """Tell whether the server knows all of these object identifiers."""
        facts = self.facts
        return facts.controls.issuperset(controls) and (
            facts.extensions.issuperset(extensions) and facts.features.issuperset(features)
        )

    # Reading

    def read(self, dn: DN, attributes: Sequence[str] | None = None) -> Entry | None:
        """Return an entry with these attributes (all but the operational ones by default); None if it is absent."""
        query = Query(dn, present("objectClass"), "base", ALL_ATTRIBUTES if attributes is None else attributes)
        (result, found, _), _ = repeat(lambda: self._with_session("search", dn, lambda it: it.search(query)), dn)
        if result.code not in {SUCCESS, NO_SUCH_OBJECT}:
            raise failure(result, self._request("search", dn))
        return found[0] if found else None

    def search(
        self,
        base: DN,
        filter: Filter,
        *,
        scope: Literal["one", "subtree"] = "subtree",
        attributes: Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Entry]:
        """Iterate over the entries that match; over none if `base` is absent, or may not be seen.

        The whole answer or an error: a size limit of the server, or a part of the tree on another server, is one.
        """
        query = Query(base, filter, scope, ALL_ATTRIBUTES if attributes is None else attributes, page_size)
        return iter(Listing(self._pool, query, self.endpoint.bind_dn, lambda: self._observe("search", base)))

    def verify(self, dn: DN, password: str) -> bool:
        """Tell whether somebody can log in with this password, over a connection of its own."""
        if not password:
            return False  # a bind without a password succeeds, as nobody (RFC 4513, 5.1.2)
        result, _ = repeat(lambda: self._try_bind(dn, password), dn)
        if result.code not in {SUCCESS, INVALID_CREDENTIALS, INAPPROPRIATE_AUTHENTICATION}:
            raise failure(result, self._request("bind", dn))
        return result.code == SUCCESS

    def _try_bind(self, dn: DN, password: str) -> Result:
        session = self._session(dn, password)
        try:
            self._observe("bind", dn)
            return session.bind()
        finally:
            session.close()

    # Writing

    @overload
    def add(self, dn: DN, attributes: Attributes) -> None:
        """Add an entry."""

    @overload
    def add(self, dn: DN, attributes: Attributes, *, return_entry: Sequence[str]) -> Entry:
        """Add an entry and return it."""

    def add(self, dn: DN, attributes: Attributes, *, return_entry: Sequence[str] | None = None) -> Entry | None:
        """Add an entry. Attributes without values are left out; `return_entry` is as for `modify`. Raises AlreadyExists."""
        sent = {name: [octets(value) for value in values] for name, values in attributes.items() if values}
        controls = [_ldap3.post_read(tuple(return_entry))] if return_entry is not None else []
        result = self._write(
            self._request("add", dn, tuple(sent), _secrets(sent.items())),
            lambda session: session.add(dn, sent, controls),
            (ENTRY_EXISTS,),
            lambda: self.is_as_added(dn, sent),
        )
        return self._after(dn, result, return_entry) if return_entry is not None else None

    def modify(
        self,
        dn: DN,
        changes: Sequence[Change],
        *,
        only_if: Filter | None = None,
        return_entry: Sequence[str] | None = None,
    ) -> Entry | None:
        """Change an entry, all or nothing.

        Parameters
        ----------
        changes: made in this order; none at all is nothing to do.
        only_if: raise Conflict, unless the entry matches this when the server changes it (RFC 4528).
        return_entry: return the entry with these attributes as it is after the change (RFC 4527).
        """
        if not changes:
            return self.read(dn, return_entry) if return_entry is not None else None
        controls = [_ldap3.assertion(only_if)] if only_if else []
        controls += [_ldap3.post_read(tuple(return_entry))] if return_entry is not None else []
        result = self._write(
            self._request("modify", dn, [each.attribute for each in changes], _secrets_of(changes)),
            lambda session: session.modify(dn, changes, controls),
            (NO_SUCH_ATTRIBUTE, VALUE_EXISTS, ASSERTION_FAILED),
            lambda: self.is_as_modified(dn, changes),
        )
        return self._after(dn, result, return_entry) if return_entry is not None else None

    def _after(self, dn: DN, result: Result, attributes: Sequence[str]) -> Entry:
        after = result.controls.get(_ldap3.POST_READ)
        if after is not None:
            return Entry(dn, after["value"]["result"])
        # The answer to the write was lost.
        entry = look_after_write(lambda: self.read(dn, attributes), dn)
        if entry is None:
            raise NotFound(f"{dn}: the entry was written, and removed by somebody at once", subject=dn)
        return entry

    def rename(self, dn: DN, new_dn: DN) -> None:
        """Give an entry another name, elsewhere if the rest of the name differs. Raises AlreadyExists."""
        superior = None if same_dn(parent(dn), parent(new_dn)) else parent(new_dn)
        self._write(
            self._request("rename", dn),
            lambda session: session.rename(dn, rdn(new_dn), superior),
            (NO_SUCH_OBJECT, ENTRY_EXISTS),
            lambda: self.is_renamed(dn, new_dn),
        )

    def delete(self, dn: DN, *, only_if: Filter | None = None) -> None:
        """Delete an entry that has none below it; raises Conflict if it does not match `only_if`."""
        controls = [_ldap3.assertion(only_if)] if only_if else []
        request = self._request("delete", dn)
        self._write(request, lambda session: session.delete(dn, controls), (NO_SUCH_OBJECT,), lambda: True)

    def _write(
        self, request: Request, send: Callable[[Session], Result], repeated: Sequence[int], done: Callable[[], bool]
    ) -> Result:
        operation, dn = request.operation, request.dn
        return write(Write(request, lambda: self._with_session(operation, dn, send), repeated, done))

    def _with_session(self, operation: str, dn: str, work: Callable[[Session], _T]) -> _T:
        with self._pool.session() as session:
            self._observe(operation, dn)
            return work(session)

    # Whether a write was done, for those who never got its answer

    def is_as_added(self, dn: DN, attributes: Attributes) -> bool:
        """Tell whether an entry is there with exactly these attributes."""
        entry = self.read(dn)
        sent = {name.lower(): folded(values) for name, values in attributes.items() if values}
        return entry is not None and {name.lower(): folded(values) for name, values in entry.raw.items()} == sent

    def is_as_modified(self, dn: DN, changes: Sequence[Change]) -> bool:
        """Tell whether an entry looks as if these changes had just been made."""
        entry = self.read(dn, sorted({change.attribute.lower() for change in changes}))
        return entry is not None and shows(entry, changes)

    def is_renamed(self, dn: DN, new_dn: DN) -> bool:
        """Tell whether an entry has its new name, and none has the old one."""
        return self.read(new_dn, ()) is not None and (same_dn(dn, new_dn) or self.read(dn, ()) is None)


def _secrets(attributes: Any) -> list[str]:
    return [
        value.decode("utf-8", "replace")
        for name, values in attributes
        if "password" in name.lower()
        for value in values
    ]


def _secrets_of(changes: Sequence[Change]) -> list[str]:
    return _secrets((change.attribute, change.values) for change in changes)
