"""What the stores of all drivers have in common."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from mailstore.config import StoreConfig
from mailstore.driver.findings import seen_by_admin
from mailstore.maildir import Homes
from mailstore.model import Finding
from mailstore.store import Store

__all__ = ["Driver", "Keyed", "Shared", "homes_of", "short"]


class Shared(Protocol):
    """What the parts of a driver share, its ``Context``, as far as every driver has it."""

    @property
    def config(self) -> StoreConfig:
        """The options that the store was opened with."""

    @property
    def name(self) -> str:
        """See `mailstore.store.Store`, as for the rest."""

    @property
    def key(self) -> str: ...

    @property
    def former_keys(self) -> Sequence[str]: ...

    @property
    def homes(self) -> Homes | None: ...


class _Known(Protocol):
    @property
    def config(self) -> StoreConfig: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...


class Keyed:
    """A context whose key follows from what the store is, not from how it is reached."""

    @property
    def key(self: _Known) -> str:
        """A short name of the store, for the trash of its purges and the marks of its roots."""
        return short(self.config.identity or self.identity)

    @property
    def former_keys(self: _Known) -> Sequence[str]:
        """What early versions made of the URL."""
        return (short(self.name),)


def short(identity: str) -> str:
    """Return the key of an identity."""
    return hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:12]


def homes_of(config: StoreConfig) -> Homes | None:
    """Return access to the homes of a configuration, to be asked for before anything is connected.

    Raises ConfigurationError if a root cannot be used.
    """
    return Homes(config.homes, owner=config.owner_ids()) if config.homes else None


_Context = TypeVar("_Context", bound=Shared)


class Driver(Store, Generic[_Context]):
    """A store whose parts share a context."""

    def __init__(self, context: _Context) -> None:
        self._context = context

    @property
    def name(self) -> str:
        return self._context.name

    @property
    def key(self) -> str:
        return self._context.key

    @property
    def former_keys(self) -> Sequence[str]:
        return self._context.former_keys

    @property
    def homes(self) -> Homes | None:
        return self._context.homes

    @property
    def config(self) -> StoreConfig:
        """The options that the store was opened with."""
        return self._context.config

    def check(self) -> Iterator[Finding]:
        if not self._is_restricted():
            yield from self._findings()
            return
        everything = self.unrestricted()
        yield from seen_by_admin(everything._findings(), _names_of(self), _names_of(everything))

    def _is_restricted(self) -> bool:
        """Tell whether this store acts for an admin who may not do everything."""
        return False

    @abstractmethod
    def _findings(self) -> Iterator[Finding]:
        """Iterate over everything that is wrong; see `mailstore.store.Store.check`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _names_of(store: Store) -> set[str]:
    return {name for domain in store.domains.list() for name in (domain.domain, *domain.alias_domains)}
