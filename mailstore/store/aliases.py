"""Alias accounts, as every store keeps them; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Unpack

from mailstore.fields import AliasFields
from mailstore.model import Alias, Edit

__all__ = ["Aliases"]


class Aliases(ABC):
    """Standalone alias accounts: an address that stands for its members and has no mailbox."""

    fields: ClassVar[frozenset[str]] = frozenset(AliasFields.__annotations__)
    """The parameters of `create` and `update` that this kind of store has a place for; an old schema may lack some."""

    @abstractmethod
    def create(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        """Create an alias account.

        Parameters
        ----------
        members: addresses anywhere that get its mail; they need not exist yet. The alias's own, which has no
            mailbox, need not be kept.
        access_policy: who may send to it: ``public``, ``domain``, ``subdomain``, ``membersonly``, ``moderatorsonly``
            or ``membersandmoderatorsonly``.
        moderators: addresses, or ``*@domain`` for everybody of a domain.
        permitted_senders: accounts of this store that may send mail as this alias (`Capability.PERMITTED_SENDERS`).
        name, enabled: as they say.

        Raises AlreadyExists, NotFound (no such domain), LimitExceeded, InvalidValue. Returns the alias as stored.
        """

    @abstractmethod
    def get(self, address: str) -> Alias:
        """Return one alias account."""

    @abstractmethod
    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[Alias]:
        """Iterate over alias accounts, sorted by address; parameters as for `Accounts.list`."""

    @abstractmethod
    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        """Return how many alias accounts `list` would give."""

    @abstractmethod
    def exists(self, address: str) -> bool:
        """Tell whether there is such an alias account."""

    @abstractmethod
    def update(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        """Change what is given, as described for `create`, and leave the rest."""

    def add_members(self, address: str, members: Iterable[str]) -> None:
        """Add members; those it has are kept."""
        self.update(address, members=Edit(add=tuple(members)))

    def remove_members(self, address: str, members: Iterable[str]) -> None:
        """Remove members; those it has not are ignored."""
        self.update(address, members=Edit(remove=tuple(members)))

    @abstractmethod
    def rename(self, address: str, new_address: str) -> Alias:
        """Give an alias another address, also in another domain; references to it follow."""

    @abstractmethod
    def delete(self, address: str) -> None:
        """Delete an alias account with everything that refers to it."""
