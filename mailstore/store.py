"""The contract that every store keeps. Its docstrings are the specification; drivers add none of their own.

Rules for all operations:

- An operation happens wholly or not at all. Inside `Store.transaction` several happen together; without it, each one
  commits by itself. An operation that raises inside a transaction leaves that transaction as it was before the call.
- Addresses and domains are normalised (`mailstore.address`); what cannot be stored raises InvalidAddress.
- Accounts, aliases, per-account aliases, lists, and all of these under every alias domain share one name space: taking a
  name in use raises AlreadyExists, in a race for exactly one of the callers.
- Reading something that does not exist raises NotFound. Reads see what is committed, or the running transaction.
- Lists are lazy iterators, read in pages, in rising order of their first field (address or domain). What changes during
  the iteration may or may not be seen.
- A feature that the store or its schema version lacks raises NotSupported and says which.
- The store's fault raises StoreError; ``error.temporary`` tells whether trying again may help.
- Stores are safe to use from several threads; a transaction belongs to the thread that opened it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from types import TracebackType
from typing import Any, Never, Protocol, Self, Unpack

from mailstore.errors import NotSupported
from mailstore.fields import AccountFields, AdminFields, AliasFields, BulkAccountFields, DomainFields
from mailstore.maildir import Homes
from mailstore.model import Account, Admin, Alias, Capability, DeletedMailbox, Domain, Finding

__all__ = [
    "Accounts",
    "Admins",
    "Aliases",
    "Claim",
    "DeletedMailboxes",
    "Domains",
    "Store",
]


class Domains(ABC):
    """Mail domains and their alias domains."""

    @abstractmethod
    def create(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        """Create a domain.

        Parameters
        ----------
        name: a description.
        enabled: whether its mail is accepted and its accounts may log in.
        quota: for all its accounts together, as allocated; also the largest sum that the accounts may get.
        default_account_quota: for accounts created without a quota.
        max_account_quota: the most that one account may get.
        max_accounts, max_aliases, max_lists: how many; None no limit, 0 none at all.
        default_language: like ``en_US``, for new accounts.
        transport: Postfix transport of its mail; the store's default if empty.
        backup_mx, primary_mx: mail is only relayed, to the host ``primary_mx`` (``host``, ``[address]``, with ``:port`` if
            wanted; empty means the domain's MX). Cannot be combined with `transport`.
        min_password_length, max_password_length: checked when a password is set in plain text; None no limit.
        disclaimer: footer text for outgoing mail.
        sender_bcc, recipient_bcc: one address that gets a copy of everything sent or received; empty none.
        outbound_relay: ``[host]:port`` through which its mail leaves; empty none.
        catch_all: addresses that get the mail for names that do not exist.
        services: switched on for the domain (iRedMail SQL: ``self-service``).
        disabled_services: services that new accounts do not get.
        disabled_domain_profiles, disabled_user_profiles, disabled_user_preferences: what admins and users may not edit
            in the panel.

        Returns the domain as stored. Raises AlreadyExists if the name is a domain or an alias domain, InvalidValue,
        LimitExceeded if the acting admin may not create another one.
        """

    @abstractmethod
    def get(self, domain: str) -> Domain:
        """Return one domain. An alias domain raises NotFound, naming the domain that it stands for."""

    @abstractmethod
    def list(self, *, search: str | None = None, enabled: bool | None = None) -> Iterator[Domain]:
        """Iterate over domains, sorted. `search` is a part of the domain or its name; `enabled` selects by state."""

    @abstractmethod
    def count(self, *, search: str | None = None, enabled: bool | None = None) -> int:
        """Return how many domains `list` would give."""

    @abstractmethod
    def exists(self, domain: str) -> bool:
        """Tell whether there is such a domain, or alias domain."""

    @abstractmethod
    def update(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        """Change what is given, as described for `create`, and leave the rest.

        ``backup_mx=False`` gives the domain the store's default transport back unless one is given. Lowering a limit below
        what exists is allowed; it only stops new ones. Returns the domain as stored.
        """

    @abstractmethod
    def add_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        """Let every address of `domain` be served under these domain names too. Names of its own already are kept.

        Raises AlreadyExists if a name is a domain, or an alias domain of another one.
        """

    @abstractmethod
    def remove_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        """Remove alias domains, and the per-account aliases that lie under them. Raises NotFound for one that is none."""

    @abstractmethod
    def delete(self, domain: str, *, keep_mailbox_days: int | None = None) -> int:
        """Delete a domain with everything in it; its mailboxes are recorded as in `Accounts.delete`.

        Returns the number of deleted accounts.
        """


class Accounts(ABC):
    """Mail users."""

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
        password_hash: ``{SCHEME}data``, instead of `password`. Exactly one of the two is needed.
        home: an absolute path, instead of the layout that the store is configured with.
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
        LimitExceeded, InvalidValue, HomeError. Nothing of an earlier account of that name reaches the new one.
        """

    @abstractmethod
    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Create many accounts in one transaction, with few statements.

        Each mapping holds ``address`` and the parameters of `create`, without forwarding and aliases. Rows are checked
        before anything is written; if any is refused, BulkRefused lists all the refused ones. Returns the number
        created.
        """

    @abstractmethod
    def get(self, address: str) -> Account:
        """Return one account. A per-account alias is not resolved: NotFound."""

    @abstractmethod
    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
    ) -> Iterator[Account]:
        """Iterate over accounts, sorted by address.

        Parameters
        ----------
        domain: only of this domain. search: a part of the address or the name, upper and lower case alike.
        enabled: by state. admins: True for those with admin rights, False for those without.
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

    @abstractmethod
    def add_aliases(self, address: str, aliases: Iterable[str]) -> None:
        """Add per-account aliases; those it has are kept."""

    @abstractmethod
    def remove_aliases(self, address: str, aliases: Iterable[str]) -> None:
        """Remove per-account aliases; those it has not are ignored."""

    @abstractmethod
    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        """Change every account of a domain: `enabled`, `password` or `password_hash`, `language`, `transport`.

        Every account gets its own salt. Returns the number of accounts.
        """

    @abstractmethod
    def rename(self, address: str, new_address: str) -> Account:
        """Give an account another address, also in another domain; mail, password and everything that refers to it stay.

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

        The mail itself is not touched. Returns the record, or None if the account had no home.
        """

    @abstractmethod
    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:
        """Tell whether this is the account's password, disabled accounts included.

        With `rehash`, a right password whose stored hash has another scheme than the store's is hashed anew and stored.
        """

    @abstractmethod
    def password_hash(self, address: str) -> str:
        """Return the stored hash, for moving the account elsewhere. Treat it like a password."""

    @abstractmethod
    def homes(self) -> Iterator[tuple[str, str]]:
        """Iterate over ``(address, home)`` of all accounts, as the readers see the home, in no particular order."""


class Aliases(ABC):
    """Standalone alias accounts: an address that stands for its members and has no mailbox."""

    @abstractmethod
    def create(self, address: str, **fields: Unpack[AliasFields]) -> Alias:
        """Create an alias account.

        Parameters
        ----------
        members: addresses anywhere that get its mail; they need not exist yet.
        access_policy: who may send to it: ``public``, ``domain``, ``subdomain``, ``membersonly``, ``moderatorsonly``
            or ``membersandmoderatorsonly``.
        moderators: addresses, or ``*@domain`` for everybody of a domain.
        name, enabled: as they say.

        Raises AlreadyExists, NotFound (no such domain), LimitExceeded, InvalidValue. Returns the alias as stored.
        """

    @abstractmethod
    def get(self, address: str) -> Alias:
        """Return one alias account."""

    @abstractmethod
    def list(
        self, *, domain: str | None = None, search: str | None = None, enabled: bool | None = None
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

    @abstractmethod
    def add_members(self, address: str, members: Iterable[str]) -> None:
        """Add members; those it has are kept."""

    @abstractmethod
    def remove_members(self, address: str, members: Iterable[str]) -> None:
        """Remove members; those it has not are ignored."""

    @abstractmethod
    def rename(self, address: str, new_address: str) -> Alias:
        """Give an alias another address, also in another domain; references to it follow."""

    @abstractmethod
    def delete(self, address: str) -> None:
        """Delete an alias account with everything that refers to it."""


class Admins(ABC):
    """Who may administer what: standalone admins, and accounts with admin rights."""

    @abstractmethod
    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        """Create a standalone admin, whose address must not lie in a domain of this store.

        Parameters
        ----------
        password, password_hash: exactly one, as for accounts.
        global_admin: may do everything; the limits below are then not kept.
        domains: the domains that it manages.
        max_domains: how many domains it may create; 0 none, None no limit.
        max_quota, max_accounts, max_aliases, max_lists: how much it may allocate to its domains in total.
        may_view_mail_log, may_manage_quarantine: rights in the panel.
        name, language, timezone, enabled: as they say.

        Raises AlreadyExists, InvalidValue. Returns the admin as stored.
        """

    @abstractmethod
    def promote(self, address: str, **fields: Unpack[AdminFields]) -> Admin:
        """Give an account of this store admin rights: `global_admin`, `domains` (default: its own) and the limits."""

    @abstractmethod
    def demote(self, address: str) -> None:
        """Take all admin rights and limits from an account; the account stays."""

    @abstractmethod
    def get(self, address: str) -> Admin:
        """Return an admin of either kind."""

    @abstractmethod
    def list(self, *, domain: str | None = None, search: str | None = None) -> Iterator[Admin]:
        """Iterate over admins of both kinds, sorted by address. `domain`: only those listed as admins of it."""

    @abstractmethod
    def count(self, *, domain: str | None = None, search: str | None = None) -> int:
        """Return how many admins `list` would give."""

    @abstractmethod
    def exists(self, address: str) -> bool:
        """Tell whether this address is an admin of either kind."""

    @abstractmethod
    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        """Change an admin of either kind; for an account `name`, `language`, `enabled` and password are the account's."""

    @abstractmethod
    def delete(self, address: str) -> None:
        """Delete a standalone admin. For an account use `demote`, or delete the account."""

    @abstractmethod
    def add_to_domain(self, domain: str, admins: Iterable[str]) -> None:
        """Let these admins or accounts manage `domain`. Raises NotFound for an address that is neither."""

    @abstractmethod
    def remove_from_domain(self, domain: str, admins: Iterable[str] | None = None) -> None:
        """Take `domain` from these admins, from all of them if None; global admins keep their rights."""

    @abstractmethod
    def verify_password(self, address: str, password: str) -> bool:
        """Tell whether this is the password of an enabled admin of either kind. Raises NotFound if it is no admin."""

    @abstractmethod
    def login(self, address: str, password: str) -> Admin | None:
        """Return the admin if address and password are right and it is enabled, else None, without saying which."""


class Claim(Protocol):
    """Due records that this process alone may purge, until the context of `DeletedMailboxes.claim` ends."""

    @property
    def records(self) -> Sequence[DeletedMailbox]:
        """The records, by rising id."""

    def forget(self, record: DeletedMailbox) -> None:
        """Drop a record whose mailbox is gone or in the trash; done for good when the context ends without an error."""


class DeletedMailboxes(ABC):
    """Records of mailboxes whose accounts are gone; `mailstore.purge` works through them."""

    @abstractmethod
    def list(
        self, *, domain: str | None = None, address: str | None = None, due: date | None = None
    ) -> Iterator[DeletedMailbox]:
        """Iterate over records by rising id; `due` selects those that are due on that day (undated ones never are)."""

    @abstractmethod
    def count(self, *, domain: str | None = None, address: str | None = None, due: date | None = None) -> int:
        """Return how many records `list` would give."""

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

        A restorable record brings back everything that it knows: password, profile, aliases, forwardings and
        memberships, as far as those names are free and those lists still exist; parameters override it. Any other
        record needs a password. Raises AlreadyExists if the address is in use, LimitExceeded as for a new account, HomeError
        if the home is gone.
        """

    @abstractmethod
    def claim(
        self, today: date, *, limit: int, after: int = 0, below: Sequence[str] = ()
    ) -> AbstractContextManager[Claim]:
        """Lock up to `limit` records that are due on `today`, with an id greater than `after`.

        Only records whose home lies under one of the directories `below` are taken. Records that another process holds
        are passed over. The locks end with the context. Within `Store.transaction` this raises NotSupported: what is
        removed from the disk cannot be rolled back.
        """

    @abstractmethod
    def note_failure(self, record_id: int, reason: str) -> None:
        """Keep why a purge failed, where the store has room for that."""


class Store(ABC):
    """One account database, opened with `mailstore.open_store`. A context manager: leaving it closes the store."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The URL of the store, without secrets."""

    @property
    @abstractmethod
    def key(self) -> str:
        """A short name (``a-z0-9``) that is the same for every process that opens this database by the same URL."""

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
    def domains(self) -> Domains:
        """Domains and alias domains."""

    @property
    @abstractmethod
    def accounts(self) -> Accounts:
        """Mail users."""

    @property
    @abstractmethod
    def aliases(self) -> Aliases:
        """Standalone alias accounts."""

    @property
    def lists(self) -> Never:
        """Mailing lists; raises NotSupported in stores without `Capability.LISTS`."""
        raise NotSupported(f"{self.name} has no {Capability.LISTS.value}")

    @property
    @abstractmethod
    def admins(self) -> Admins:
        """Admins of both kinds."""

    @property
    @abstractmethod
    def deleted(self) -> DeletedMailboxes:
        """Mailboxes of deleted accounts."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Make the operations in this context one: all are committed at its end, or none if it raises.

        Raises NotSupported without `Capability.TRANSACTIONS`.
        """

    @abstractmethod
    def acting_as(self, admin: str) -> Self:
        """Return this store limited to what `admin` may see and do, with its limits kept and deletions recorded as its.

        Domains that it does not manage do not exist for it (NotFound); what it may see but not do, and any change to the
        account of a global admin, raises PermissionDenied. Raises NotFound if there is no such enabled admin. The rights
        are looked up in every call.
        """

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """Look for broken invariants in the store, and on disk if it was opened with homes. Changes nothing."""

    @abstractmethod
    def close(self) -> None:
        """Give back all connections. A closed store cannot be used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
