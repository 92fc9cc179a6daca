"""Mailing lists, as every store keeps them; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Unpack

from mailstore.fields import MailingListFields
from mailstore.model import MailingList

__all__ = ["MailingLists"]


class MailingLists(ABC):
    """Mailing lists: an address whose mail goes to its members, who cannot subscribe themselves.

    Lists of a list manager (iRedMail's mlmmj) have their address and settings here and their subscribers in the list
    manager: `create` does not make such lists, and changing their members raises NotSupported.
    """

    fields: ClassVar[frozenset[str]] = frozenset(MailingListFields.__annotations__)
    """The parameters of `create` and `update` that this kind of store has a place for; an old schema may lack some."""

    @abstractmethod
    def create(self, address: str, **fields: Unpack[MailingListFields]) -> MailingList:
        """Create a mailing list.

        Parameters
        ----------
        members: addresses anywhere, which need not exist yet; a list may be a member of another one.
        access_policy: who may send to it, as for `Aliases.create`.
        moderators: addresses, or ``*@domain`` for everybody of a domain, who may send whatever the policy is.
        owners: addresses that answer for the list; they may send as moderators may.
        name, enabled: as they say. Not every reader looks at `enabled`; see the documentation of the store.

        Raises AlreadyExists, NotFound (no such domain), LimitExceeded, InvalidValue. Returns the list as stored.
        """

    @abstractmethod
    def get(self, address: str) -> MailingList:
        """Return one mailing list."""

    @abstractmethod
    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        after: str = "",
    ) -> Iterator[MailingList]:
        """Iterate over mailing lists, sorted by address; parameters as for `Accounts.list`."""

    @abstractmethod
    def count(self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None) -> int:
        """Return how many mailing lists `list` would give."""

    @abstractmethod
    def exists(self, address: str) -> bool:
        """Tell whether there is such a mailing list."""

    @abstractmethod
    def update(self, address: str, **fields: Unpack[MailingListFields]) -> MailingList:
        """Change what is given, as described for `create`, and leave the rest."""

    @abstractmethod
    def add_members(self, address: str, members: Iterable[str]) -> None:
        """Add members; those it has are kept."""

    @abstractmethod
    def remove_members(self, address: str, members: Iterable[str]) -> None:
        """Remove members; those it has not are ignored."""

    @abstractmethod
    def rename(self, address: str, new_address: str) -> MailingList:
        """Give a list another address, also in another domain; its members stay, references to it follow."""

    @abstractmethod
    def delete(self, address: str) -> None:
        """Delete a mailing list with everything that refers to it; its members stay."""
