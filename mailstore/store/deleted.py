"""Records of deleted mailboxes, as every store keeps them; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Protocol, Unpack

from mailstore.disk.neighbours import Place
from mailstore.errors import NotSupported
from mailstore.fields import AccountFields
from mailstore.model import Account, DeletedDomain, DeletedMailbox, Domain

__all__ = ["Claim", "DeletedMailboxes"]


class Claim(Protocol):
    """Due records that this process alone may purge, until the context of `DeletedMailboxes.claim` ends."""

    @property
    def records(self) -> Sequence[DeletedMailbox]:
        """The records, by rising id."""

    def take(self, record_ids: Collection[int]) -> Sequence[DeletedMailbox]:
        """Lock more due records, by their ids, as far as nobody else holds them, and return them."""

    def forget(self, record: DeletedMailbox) -> None:
        """Drop a record whose mailbox is gone or in the trash; done for good when the context ends without an error."""

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Call `undo` if nothing comes of this claim, unless it is in doubt whether it was committed; the last first."""


class DeletedMailboxes(ABC):
    """Records of mailboxes whose accounts are gone; `mailstore.purge` works through them."""

    @abstractmethod
    def list(
        self,
        *,
        domain: str | None = None,
        address: str | None = None,
        due: date | None = None,
        after: int = 0,
    ) -> Iterator[DeletedMailbox]:
        """Iterate over records by rising id; `due` selects those that are due on that day.

        An undated one never is, unless it names no mailbox: then nothing is kept by it.

        `after`: only those with a greater id.
        """

    @abstractmethod
    def count(self, *, domain: str | None = None, address: str | None = None, due: date | None = None) -> int:
        """Return how many records `list` would give."""

    def archived(self, *, domain: str | None = None) -> Iterator[DeletedMailbox]:  # noqa: ARG002
        """Iterate over the mailboxes on disk whose accounts are gone, recorded or not, sorted by address.

        Those without a record have the id 0 and no due day. Raises NotSupported without `Capability.ARCHIVE`,
        ConfigurationError for a store opened without `homes`.
        """
        raise NotSupported("this store does not tell from a mailbox on disk whose it was; 'mailstore check' finds such")

    @abstractmethod
    def get(self, record_id: int) -> DeletedMailbox:
        """Return one record."""

    @abstractmethod
    def reschedule(self, record_id: int, *, keep_mailbox_days: int | None) -> DeletedMailbox:
        """Set another due day, counted from today; None means never."""

    @abstractmethod
    def restore(
        self,
        record_id: int,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        """Bring the account back on its old home, and drop the record.

        A restorable record brings back everything that it knows: password, profile, aliases, policies, forwardings and
        memberships, as far as those names are free and those lists still exist; parameters override it. Any other
        record needs a password. Raises AlreadyExists if the address is in use, LimitExceeded as for a new account, HomeError
        if the home is gone.
        """

    def domains(self, *, domain: str | None = None) -> Iterator[DeletedDomain]:  # noqa: ARG002
        """Iterate over the records of deleted domains, the latest first.

        Stores that keep none have none to show.
        """
        return iter(())

    def restore_domain(self, domain: str) -> Domain:
        """Bring the domain that was deleted last under this name back, with all that it had and is not yet purged.

        Its settings, alias domains, aliases, lists, catch-all, admins, policies and all accounts whose records are left come
        back, and what referred to them where it still fits; wholly or not at all. Raises NotFound without a record,
        PermissionDenied unless the acting admin may do everything, AlreadyExists if one of its names is in use, HomeError if
        the mail of an account is gone, LimitExceeded if a tenant has no room, NotSupported where domains are not kept.
        """
        raise NotSupported(
            f"this store keeps no records of deleted domains; create {domain} anew, and restore its mailboxes one by one"
        )

    @abstractmethod
    def claim(
        self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()
    ) -> AbstractContextManager[Claim]:
        """Lock up to `limit` records that are due on `today`, with an id greater than `after`.

        Only records whose home lies under one of the directories `below` are taken, and those that name no mailbox. Records
        that another process holds are passed over. The locks end with the context. Within `Store.transaction` this raises
        NotSupported: what is removed from the disk cannot be rolled back.
        """

    @abstractmethod
    def places(self) -> Iterator[Place]:
        """Iterate over the homes of all records, due or not, whoever may see them: what must not be taken or removed.

        Homes are spelt as they are stored; records that name none are left out.
        """

    @abstractmethod
    def note_failure(self, record_id: int, reason: str) -> None:
        """Keep why a purge failed, where the store has room for that."""
