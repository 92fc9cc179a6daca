"""Accounts, as every store keeps them; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, ClassVar, TypeVar, Unpack

from mailstore.errors import BulkRefused, InvalidPassword, NotFound, Refused
from mailstore.fields import AccountFields, BulkAccountFields
from mailstore.model import Account, DeletedMailbox, Edit

__all__ = ["Accounts"]

_Row = TypeVar("_Row")
_Result = TypeVar("_Result")


def each(
    rows: Iterable[_Row], write: Callable[[_Row], _Result], together: AbstractContextManager[object] | None
) -> Sequence[_Result]:
    """Write rows one by one, within `together` if that is given, and return what came of each. Raises BulkRefused."""
    done, refused = list[_Result](), list[tuple[int, Refused]]()
    with nullcontext() if together is None else together:
        for index, row in enumerate(rows):
            try:
                done.append(write(row))
            except Refused as error:
                refused.append((index, error))
        if refused:
            raise BulkRefused(refused, written=together is None)
    return done


class Accounts(ABC):
    """Mail users."""

    fields: ClassVar[frozenset[str]] = frozenset(AccountFields.__annotations__)
    """The parameters of `create` and `update` that this kind of store has a place for; an old schema may lack some."""

    @property
    def service_names(self) -> frozenset[str]:
        """The names of all services that accounts can be allowed, families apart; none in a store without services."""
        return frozenset()

    def services_here(self, services: Iterable[str], known: Collection[str] | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """Return what `Account.services` of another store means here.

        Parameters
        ----------
        known: the `service_names` of the other store. What it knows nothing of, and this store does, is allowed, as it is to
            new accounts; without it, only what is named.

        What this store does not know is left out.
        """
        return ()

    @abstractmethod
    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        home: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        """Create an account, and its home if the store was opened with `homes`.

        Parameters
        ----------
        password: plain text; hashed with the store's scheme after checking the domain's length limits.
        password_hash: ``{SCHEME}data``, instead of `password` (`Capability.READY_HASHES`). Exactly one of the two is needed.
        home: an absolute path, instead of the layout that the store is configured with (`Capability.HOME_PATHS`).
        name, first_name, last_name, employee_id, department, mobile, telephone, recovery_email, timezone: as they say.
        enabled: a disabled account neither logs in nor receives.
        quota: the domain's default if not given, else unlimited. Unlimited is refused under a domain or account limit.
        language: like ``en_US``; the domain's default if not given.
        transport: Postfix transport of its own; empty means the domain's.
        forwarding: destinations that get the mail; naming the account itself means ``keep_copy=True``.
        keep_copy: whether the mailbox gets forwarded mail too; meaningless, and True, without forwarding.
        aliases: further addresses of this account, in any domain or alias domain of this store.
        services: what it may use. A family name (``imap pop3 smtp sieve``) stands for all its variants
            (``imapplain imapsecured imaptls``); the rest is store-specific, see the documentation of the store.
        sender_bcc, recipient_bcc, outbound_relay: as for domains.
        allow_nets: networks (CIDR) from which it may log in; empty means all.
        mailbox_format, mailbox_folder: ``maildir``, ``mdbox`` or ``sdbox``, and the folder below the home.

        Returns the account as stored. Raises AlreadyExists, NotFound (no such domain; an alias domain is none),
        LimitExceeded, InvalidValue, HomeError. Nothing of an earlier account of that name reaches the new one. Without
        `Capability.HOME_PATHS` both would have one home: the address is then refused while the earlier one's mail is kept,
        or its mail is handed over and the purge that was to come called off; the documentation of the store says which.
        """

    @abstractmethod
    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Create many accounts in one transaction, with few statements.

        Each mapping holds ``address`` and the parameters of `create`; forwarding and aliases can be set afterwards only,
        so that what it says of them must ask for none. Rows are checked before anything is written; if any is refused,
        BulkRefused lists all the refused ones. Returns the number created.
        """

    @abstractmethod
    def get(self, address: str) -> Account:
        """Return one account. A per-account alias is not resolved: NotFound."""

    def find(self, addresses: Collection[str]) -> Mapping[str, Account]:
        """Return those of some accounts that are there, by address, in few statements where a store can.

        One that is stored in an odd spelling may be left out: `get` finds it.
        """
        return {address: self.get(address) for address in addresses if self.exists(address)}

    @abstractmethod
    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
        after: str = "",
    ) -> Iterator[Account]:
        """Iterate over accounts, sorted by address.

        Parameters
        ----------
        domain: only of this domain. search: a part of the address or the name, upper and lower case alike.
        enabled: by state. admins: True for those with admin rights, False for those without.
        after: only what comes behind this address, which the iteration of an earlier call ended with.
        """

    @abstractmethod
    def count(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
    ) -> int:
        """Return how many accounts `list` would give."""

    @abstractmethod
    def exists(self, address: str) -> bool:
        """Tell whether there is such an account."""

    @abstractmethod
    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        """Change what is given, as described for `create`, and leave the rest. Returns the account as stored.

        A mailbox folder or format is only recorded; mail is not converted.
        """

    def add_aliases(self, address: str, aliases: Iterable[str]) -> None:
        """Add per-account aliases; those it has are kept."""
        self.update(address, aliases=Edit(add=tuple(aliases)))

    def remove_aliases(self, address: str, aliases: Iterable[str]) -> None:
        """Remove per-account aliases; those it has not are ignored."""
        self.update(address, aliases=Edit(remove=tuple(aliases)))

    @abstractmethod
    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        """Change every account of a domain: `enabled`, `password` or `password_hash`, `language`, `transport`.

        Every account gets its own salt. Returns the number of accounts.
        """

    @abstractmethod
    def rename(self, address: str, new_address: str, *, keep_alias: bool = False) -> Account:
        """Give an account another address, also in another domain; mail, password and everything that refers to it stay.

        With `keep_alias` the old address becomes one of its aliases, so that mail for it still arrives.

        Every reference in the store follows. If `new_address` is one of its own aliases, that alias is used up. Raises
        AlreadyExists, NotFound, LimitExceeded (of the new domain). Returns the account as stored.
        """

    @abstractmethod
    def delete(self, address: str, *, keep_mailbox_days: int | None = None) -> DeletedMailbox | None:
        """Delete an account with everything that refers to it, and record its mailbox for the purge.

        Parameters
        ----------
        keep_mailbox_days: the mailbox is due on today (UTC) plus so many days; 0 means at the next purge; None means
            100 years. Negative values are refused.

        Without `Capability.RETENTION` mailboxes are kept until somebody removes them, and a number of days is refused.
        The mail itself is not touched. Returns the record, or None if the account had no home.
        """

    def update_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Change many accounts in one transaction, where the store can with few statements.

        Each mapping holds ``address`` and the parameters of `update`. If any is refused, BulkRefused lists all the refused
        ones; without `Capability.TRANSACTIONS` the others are changed then. Returns the number of accounts.
        """

        def write(row: Mapping[str, Any]) -> None:
            fields = dict(row)
            self.update(fields.pop("address", ""), **fields)

        return len(each(accounts, write, self._together()))

    def delete_many(
        self, addresses: Iterable[str], *, keep_mailbox_days: int | None = None
    ) -> Sequence[DeletedMailbox | None]:
        """Delete many accounts in one transaction, as `delete` does, where the store can with few statements.

        Refusals are as for `update_many`. Returns what `delete` returns for each, in their order.
        """
        return each(
            addresses,
            lambda address: self.delete(address, keep_mailbox_days=keep_mailbox_days),
            self._together(),
        )

    def _together(self) -> AbstractContextManager[object] | None:
        """Return a context in which several calls are one; None in a store without transactions."""
        return None

    @abstractmethod
    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:
        """Tell whether this is the account's password, disabled accounts included.

        With `rehash`, a right password whose stored hash has another scheme than the store's is hashed anew and stored; that
        of an admin gets a scheme that the panel can verify.
        """

    @abstractmethod
    def password_hash(self, address: str) -> str:
        """Return the stored hash, for moving the account elsewhere. Treat it like a password.

        A store that keeps the password itself (without `Capability.READY_HASHES`) makes a hash of it. Of the admins whom a
        store can act for, only those who may do everything read hashes.
        """

    def password_hashes(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return the stored hashes of some accounts, by address, as `find` finds them; see `password_hash`.

        Who has no password that can be read is left out.
        """
        found: dict[str, str] = {}
        for address in addresses:
            with suppress(NotFound, InvalidPassword):
                found[address] = self.password_hash(address)
        return found

    @abstractmethod
    def homes(self, *, at_once: bool = False) -> Iterator[tuple[str, str]]:
        """Iterate over ``(address, home)`` of all accounts, as the readers see the home, in no particular order.

        An acting admin sees those of its domains. With `at_once` they are read as they are in one moment, which holds a
        transaction open: an account that is renamed meanwhile is never missed.
        """
