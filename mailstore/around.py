"""A store of which every call passes a function of somebody's own, such as one that keeps a record of changes.

What is given back is used as the store itself, in all of its types.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Protocol, TypeVar, cast

from mailstore.store import Store

__all__ = ["READING", "Call", "Passing", "around"]

_Store = TypeVar("_Store", bound=Store)

READING = frozenset({
    "address_of", "archived", "at_one_moment", "automatic", "check", "claim", "close", "count", "domains",
    "effective", "exists", "find", "get", "homes", "ldif", "linked", "list", "login", "may", "name_of",
    "note_failure", "page", "password_hash", "password_hashes", "places", "record", "rights", "schema_report",
    "services_here", "spf_domains", "take_notices", "tree", "verify_password", "view",
})  # fmt: skip
"""The methods of stores and their collections that change nothing that anybody asked for; all others are changes."""


@dataclass(frozen=True)
class Call:
    """A call of a method: of the store itself (``collection`` is empty), or of one of its collections."""

    collection: str
    method: str
    arguments: Mapping[str, Any]
    """By the names of the parameters; those of the TypedDicts stand among them."""
    store: Store
    """What the call was made on, without anything around it."""
    proceed: Callable[..., Any]
    """Does it, with the arguments as they are, or with some of them replaced (by name)."""

    @property
    def changes(self) -> bool:
        """Whether it is a change."""
        return self.method not in READING


class Passing(Protocol):
    """What calls pass."""

    def call(self, call: Call) -> Any:
        """Do a call, and return what it gives."""

    def transaction(self) -> AbstractContextManager[None]:
        """Surround a transaction; it has been committed when this ends without an error."""

    def rehearsal(self) -> Passing:
        """Return what calls pass in a rehearsal."""

    def acting_as(self, admin: str) -> Passing:
        """Return what calls pass of the store that acts for an admin."""


def around(store: _Store, passing: Passing) -> _Store:
    """Return a store that does the same, whose calls pass `passing`."""
    return cast("_Store", _Around(store, passing))


class _Within:
    """Something whose methods are passed on."""

    def __init__(self, inner: Any, store: Store, name: str, passing: Passing) -> None:
        self._inner = inner
        self._store = store
        self._name = name
        self._passing = passing

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # so that it is an instance of what it stands for
        kind: type = self._inner.__class__
        return kind

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name.startswith("_") or not inspect.isroutine(value):
            return value
        return self._passed(name, value)

    def _passed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def passed(*args: Any, **given: Any) -> Any:
            arguments = _named(method, args, given)

            def proceed(**other: Any) -> Any:
                return method(**{**arguments, **other})

            return self._passing.call(Call(self._name, name, arguments, self._store, proceed))

        return passed

    def __repr__(self) -> str:
        return repr(self._inner)


class _Around(_Within):
    """A store whose calls are passed on."""

    def __init__(self, store: Store, passing: Passing) -> None:
        super().__init__(store, store, "", passing)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if name in self._store.collections:
            return _Within(value, self._store, name, self._passing)
        return value

    def acting_as(self, admin: str) -> Any:
        return _Around(self._store.acting_as(admin), self._passing.acting_as(admin))

    def acting_as_tenant(self, tenant_id: int) -> Any:
        """Of AfterLogic: a tenant is no admin, so whoever asks stays who it was."""
        store: Any = self._store
        return _Around(store.acting_as_tenant(tenant_id), self._passing)

    def unrestricted(self) -> Any:
        return _Around(self._store.unrestricted(), self._passing)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._passing.transaction(), self._store.transaction():
            yield

    @contextmanager
    def rehearsal(self) -> Iterator[Any]:
        with self._store.rehearsal() as rehearsed:
            yield _Around(rehearsed, self._passing.rehearsal())

    def __enter__(self) -> Any:
        self._store.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._store.__exit__(*error)


def _named(method: Callable[..., Any], args: tuple[Any, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name."""
    behind = inspect.unwrap(method)  # something may be around it already
    signature, rest = _signature(getattr(behind, "__func__", behind))
    named = dict(signature.bind(None, *args, **given).arguments)
    further = named.pop(rest, {}) if rest else {}
    del named[next(iter(named))]  # itself
    return {**named, **further}


@cache
def _signature(function: Callable[..., Any]) -> tuple[inspect.Signature, str]:
    """Return the parameters of a method, and the name of the one that takes the rest of the named ones."""
    signature = inspect.signature(function)
    kinds = {each.kind: each.name for each in signature.parameters.values()}
    return signature, kinds.get(inspect.Parameter.VAR_KEYWORD, "")
