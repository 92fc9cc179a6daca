"""A store as a whole; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, TypeAlias

from mailstore.errors import NotSupported
from mailstore.maildir import Homes
from mailstore.model import Capability, Finding, Notice
from mailstore.store.accounts import Accounts
from mailstore.store.admins import Admins
from mailstore.store.aliases import Aliases
from mailstore.store.deleted import DeletedMailboxes
from mailstore.store.domains import Domains
from mailstore.store.lists import MailingLists
from mailstore.store.policies import AccessLists, Greylisting, SpamPolicies, Throttles

__all__ = ["RecordKind", "RolledBack", "Store"]

RecordKind: TypeAlias = Literal["domain", "account", "admin", "list", "alias"]
"""What `Store.record` shows."""


class RolledBack(Exception):
    """Ends what a rehearsal does; drivers raise it themselves, and nobody else sees it."""


class Store(ABC):
    """One account database, opened with `mailstore.open_store`. A context manager: leaving it closes the store."""

    collections: ClassVar[tuple[str, ...]] = (
        "domains", "accounts", "aliases", "lists", "admins", "deleted", "spam_policies", "access_lists", "throttles",
        "greylisting",
    )  # fmt: skip
    """The attributes that are collections; a store may have further ones of its own, and may lack some."""
    domains: Domains
    """Domains and alias domains."""
    accounts: Accounts
    """Mail users."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The URL of the store, without secrets."""

    @property
    @abstractmethod
    def key(self) -> str:
        """A short name (``a-z0-9``) that is the same for all who open this store, by whatever host, socket or account.

        A copy of the store elsewhere has another one. The option ``identity`` settles it where servers change their names.
        """

    @property
    def former_keys(self) -> Sequence[str]:
        """The keys that early versions gave this store when it is opened by this URL: trash of theirs is its."""
        return ()

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What this store, in its schema version, can do."""

    @property
    @abstractmethod
    def homes(self) -> Homes | None:
        """Access to the mailboxes on disk; None if the store was opened without."""

    @property
    @abstractmethod
    def aliases(self) -> Aliases:
        """Standalone alias accounts; raises NotSupported in stores without `Capability.ALIASES`."""

    @property
    def lists(self) -> MailingLists:
        """Mailing lists; raises NotSupported in stores without `Capability.LISTS`."""
        raise NotSupported(f"{self.name} has no {Capability.LISTS.value}")

    @property
    @abstractmethod
    def admins(self) -> Admins:
        """Admins of both kinds; raises NotSupported in stores without `Capability.ADMINS`."""

    @property
    @abstractmethod
    def deleted(self) -> DeletedMailboxes:
        """Mailboxes of deleted accounts."""

    @property
    def spam_policies(self) -> SpamPolicies:
        """What the content scanner does; raises NotSupported without `Capability.SPAM_POLICIES`."""
        raise self._without("spam policies", "amavisd")

    @property
    def access_lists(self) -> AccessLists:
        """Whitelists and blacklists; raises NotSupported without `Capability.ACCESS_LISTS`."""
        raise self._without("access lists", "amavisd")

    @property
    def throttles(self) -> Throttles:
        """How much may be sent and received; raises NotSupported without `Capability.THROTTLES`."""
        raise self._without("throttles", "iredapd")

    @property
    def greylisting(self) -> Greylisting:
        """Whom to tell to try again; raises NotSupported without `Capability.GREYLISTING`."""
        raise self._without("greylisting", "iredapd")

    def _without(self, feature: str, option: str) -> NotSupported:
        return NotSupported(
            f"{self.name} has no {feature}: the option {option}=, the URL of that database, is not given"
        )

    def record(self, kind: RecordKind, name: str) -> Mapping[str, Any]:
        """Return the store's own record of something, for programs that know the store rather than this library.

        A database gives the columns of the row by name, a directory the values of each attribute as a list of text, both in
        the store's own units. What is secret is left out. Raises NotFound and PermissionDenied as reading it does otherwise,
        NotSupported in a store that has no record of that kind.
        """
        raise NotSupported(f"{self.name} does not show its own records: {kind} {name}")

    def ldif(self, kind: RecordKind | Literal["catch-all"], name: str) -> str:
        """Return what a directory holds of something as LDIF, password hashes among it; empty for a catch-all that is none.

        Raises NotFound, PermissionDenied, NotSupported in a store that is no directory; `mailstore export` makes LDIF out
        of any.
        """
        raise NotSupported(f"{self.name} is no directory and has no LDIF: {kind} {name}")

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Make the operations in this context one: all are committed at its end, or none if it raises.

        Raises NotSupported without `Capability.TRANSACTIONS`.
        """

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Let this thread read the store as it is when it reads first in this context, where the database can.

        A directory cannot, nor does it hold for databases beside the accounts.
        """
        yield

    @contextmanager
    def rehearsal(self) -> Iterator[Self]:
        """Give a store in which everything is checked as usual, and nothing is left of what is done.

        In a store without `Capability.TRANSACTIONS` lists and counts do not show what earlier operations would have made.
        Raises NotSupported if this store reaches the disk, where nothing can be tried out: open it without `homes`.
        """
        if self.homes is not None:
            raise NotSupported("nothing can be tried out on the disk: open the store without homes for a rehearsal")
        with suppress(RolledBack), self.transaction():
            yield self
            raise RolledBack

    @abstractmethod
    def acting_as(self, admin: str) -> Self:
        """Return this store limited to what `admin` may see and do, with its limits kept and deletions recorded as its.

        Domains that it does not manage do not exist for it (NotFound); what it may see but not do, and any change to the
        account of a global admin, raises PermissionDenied. Raises NotFound if there is no such enabled admin. The rights
        are looked up in every call.
        """

    @abstractmethod
    def unrestricted(self) -> Self:
        """Return this store without an acting admin, for what must look at everything before it touches the disk."""

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """Look for broken invariants in the store, and on disk if it was opened with homes. Changes nothing.

        An acting admin is told what is about its domains only.
        """

    def repair_counters(self) -> int:
        """Set right what the store counts beside what is counted. Returns how many numbers were wrong; few stores have any.

        Raises StoreUnavailable.
        """
        return 0

    def take_notices(self) -> Sequence[Notice]:
        """Return, once, what the changes made so far leave to be done outside of the store, oldest first.

        Changes that were rolled back leave nothing. Stores whose readers see every change by themselves never do. Stores
        made by `acting_as` share the notices of the one that they were made from.
        """
        return ()

    @abstractmethod
    def close(self) -> None:
        """Give back all connections. A closed store cannot be used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
