"""What a store holds, as frozen dataclasses in neutral terms. No record ever carries a password or its hash.

Conventions, everywhere: addresses and domains are in normal form (`mailstore.address`), times are naive UTC as the stores
keep them, sizes are bytes, tuples of addresses are sorted unless an order means something, ``None`` in a limit
means "no limit" and 0 means "none allowed", and an empty text means "not set".

What another tool has left in a store may make no sense: a day that no calendar has, a path with ``..``, octets that are no
text. Such a value stops nobody. A neutral one is in its place, and ``problems`` of the record names it, empty for a record
that could be read wholly; `Store.check` reports it as ``unreadable-value``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Final, Literal, TypeAlias

from mailstore.quota import UNLIMITED, Quota

__all__ = [
    "UNSET",
    "Account",
    "Admin",
    "Alias",
    "Capability",
    "DeletedDomain",
    "DeletedMailbox",
    "Domain",
    "Edit",
    "Finding",
    "LastLogin",
    "MailingList",
    "Names",
    "Notice",
    "Unset",
    "Usage",
]


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Stands for "not given" where None and empty texts mean something, before a call: what is UNSET is left out of it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to a set of names, where a plain list would replace the whole set. What is removed may be absent.

    An address is removed in every spelling that leads to its mailbox here, as far as the store knows: see
    `mailstore.driver.names`.
    """

    add: Collection[str] = ()
    remove: Collection[str] = ()

    def apply(self, current: Iterable[str]) -> tuple[str, ...]:
        """Return the names of `current` without the removed ones, then those added that were not there.

        Upper and lower case are alike, as they are to all readers; what stays keeps its spelling.
        """
        removed = {name.lower() for name in self.remove} - {name.lower() for name in self.add}
        kept = [name for name in current if name.lower() not in removed]
        known = {name.lower() for name in kept}
        return tuple(dict.fromkeys([*kept, *(name for name in self.add if name.lower() not in known)]))


Names: TypeAlias = "Iterable[str] | Edit"
"""A whole new set of names, or an `Edit` of the present one."""


class Capability(Enum):
    """What a store may lack. The value says it in words for error messages."""

    DOMAINS = "domains of their own (created, updated and deleted explicitly)"
    ALIAS_DOMAINS = "alias domains"
    DOMAIN_LIMITS = "limits per domain"
    DOMAIN_PROFILE = "domain profiles (bcc, catch-all, relay, services)"
    ACCOUNT_PROFILE = "account profiles (forwarding, services, bcc)"
    ALIASES = "standalone alias accounts"
    ACCESS_POLICY = "access policies and moderators"
    LISTS = "mailing lists"
    ADMINS = "admins"
    ADMIN_LIMITS = "limits per admin"
    ACCOUNT_ADMIN_LIMITS = "limits for admins that are accounts"
    USAGE = "used quota and last login"
    TRANSACTIONS = "several operations in one transaction"
    ACCOUNT_QUOTAS = "quotas of accounts"
    ACCOUNT_ALIASES = "further addresses of an account"
    ACCOUNT_ADMINS = "accounts with admin rights"
    STANDALONE_ADMINS = "admins that are no accounts"
    DOMAIN_ADMINS = "admins of single domains"
    DISABLING = "accounts and aliases that can be switched off"
    RENAMING = "new addresses for accounts"
    DOMAIN_RENAMING = "new names for domains"
    HOME_PATHS = "homes whose path does not follow from the address"
    EMPTY_ALIASES = "aliases without members"
    PERMITTED_SENDERS = "accounts that may send as an alias"
    RETENTION = "records of deleted mailboxes"
    ARCHIVE = "a list of the mailboxes on disk whose accounts are gone"
    READY_HASHES = "password hashes made elsewhere"
    SPAM_POLICIES = "spam policies (option amavisd=)"
    ACCESS_LISTS = "access lists (option amavisd=)"
    THROTTLES = "throttles (option iredapd=)"
    GREYLISTING = "greylisting (option iredapd=)"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a mailbox holds: bytes and messages."""

    bytes: int
    messages: int


@dataclass(frozen=True, slots=True)
class LastLogin:
    """When an account was last used, per protocol (naive UTC); ``None`` means never, or not known."""

    imap: datetime | None = None
    pop3: datetime | None = None
    delivery: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A mail domain.

    ``services`` are those switched on for the whole domain, ``disabled_services`` those that new accounts do not get.
    ``admins`` are the admins of this domain, global ones not among them. ``settings`` holds what the store keeps for this
    domain and this library does not interpret.
    """

    domain: str
    name: str = ""
    enabled: bool = True
    quota: Quota = UNLIMITED
    default_account_quota: Quota = UNLIMITED
    max_account_quota: Quota = UNLIMITED
    max_accounts: int | None = None
    max_aliases: int | None = None
    max_lists: int | None = None
    default_language: str = ""
    transport: str = ""
    backup_mx: bool = False
    primary_mx: str = ""
    min_password_length: int | None = None
    max_password_length: int | None = None
    disclaimer: str = ""
    sender_bcc: str = ""
    recipient_bcc: str = ""
    outbound_relay: str = ""
    catch_all: tuple[str, ...] = ()
    alias_domains: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    disabled_services: tuple[str, ...] = ()
    disabled_domain_profiles: tuple[str, ...] = ()
    disabled_user_profiles: tuple[str, ...] = ()
    disabled_user_preferences: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    created: datetime | None = None
    modified: datetime | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A mail user.

    ``forwarding`` are the destinations besides the account itself, ``keep_copy`` tells whether the mailbox gets the mail
    too. ``services`` names what the account may use (see `Accounts.update`). ``home`` is the absolute directory above
    the Maildir as the readers see it. ``allow_nets`` empty means "from anywhere".
    """

    address: str
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    enabled: bool = True
    quota: Quota = UNLIMITED
    language: str = ""
    employee_id: str = ""
    department: str = ""
    mobile: str = ""
    telephone: str = ""
    recovery_email: str = ""
    timezone: str = ""
    transport: str = ""
    forwarding: tuple[str, ...] = ()
    keep_copy: bool = True
    aliases: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    sender_bcc: str = ""
    recipient_bcc: str = ""
    outbound_relay: str = ""
    allow_nets: tuple[str, ...] = ()
    mailbox_format: str = "maildir"
    mailbox_folder: str = "Maildir"
    home: str | None = None
    admin: bool = False
    global_admin: bool = False
    usage: Usage | None = None
    last_login: LastLogin | None = None
    created: datetime | None = None
    modified: datetime | None = None
    password_changed: datetime | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A standalone alias account. ``access_policy`` says who may send to it, ``public`` being everybody.

    ``permitted_senders`` are the accounts that may send mail as this alias; if there are none, the store's rule applies.
    """

    address: str
    name: str = ""
    enabled: bool = True
    access_policy: str = "public"
    members: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    permitted_senders: tuple[str, ...] = ()
    created: datetime | None = None
    modified: datetime | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingList:
    """A mailing list. ``kind`` ``"managed"`` is one whose subscribers a list manager (mlmmj) keeps, not the store."""

    address: str
    kind: Literal["plain", "managed"] = "plain"
    name: str = ""
    enabled: bool = True
    access_policy: str = "public"
    members: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    created: datetime | None = None
    modified: datetime | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Somebody who may administer domains: standalone, or an account of this store with admin rights.

    The limits count what is allocated over all the domains of the admin, not what is used. They mean nothing for global
    admins. ``max_domains`` 0 means that the admin may not create domains.
    """

    address: str
    kind: Literal["standalone", "account"] = "standalone"
    name: str = ""
    language: str = ""
    enabled: bool = True
    global_admin: bool = False
    domains: tuple[str, ...] = ()
    max_domains: int | None = 0
    max_quota: Quota = UNLIMITED
    max_accounts: int | None = None
    max_aliases: int | None = None
    max_lists: int | None = None
    may_view_mail_log: bool = True
    may_manage_quarantine: bool = True
    timezone: str = ""
    created: datetime | None = None
    modified: datetime | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedMailbox:
    """The record of a mailbox whose account is gone. ``due`` None means that it is never purged.

    ``restorable`` tells whether the record still knows the whole account (password, aliases, memberships ...); without
    that, a restore needs a new password and brings back the mail only. ``error`` is why the last purge of it failed.
    ``domain_record`` is the number of the record of its domain, if it went with that (`DeletedDomain`).
    ``id`` 0 stands for a mailbox that the store has no record of, and which is kept until somebody removes it.
    """

    id: int
    address: str
    domain: str
    home: str
    deleted: datetime | None = None
    deleted_by: str = ""
    due: date | None = None
    usage: Usage = Usage(0, 0)
    restorable: bool = False
    error: str = ""
    problems: tuple[str, ...] = ()
    domain_record: int | None = None


@dataclass(frozen=True, slots=True)
class DeletedDomain:
    """The record of a domain that is gone: its settings, aliases, lists and admins, until its mailboxes are.

    ``accounts`` is how many mailboxes were recorded with it. The record lasts as long as one of them waits to be purged or
    restored; that of a domain without mailboxes until ``due``.
    """

    id: int
    domain: str
    deleted: datetime | None = None
    deleted_by: str = ""
    due: date | None = None
    accounts: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that `Store.check` found.

    ``code`` is stable and machine-readable, ``subject`` the address, domain or path, ``severity`` is ``"error"`` for a
    broken invariant and ``"notice"`` for what may well be meant.
    """

    code: str
    subject: str
    message: str
    severity: Literal["error", "notice"] = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a change to the store leaves to be done outside of it.

    ``code`` is stable and machine-readable, ``message`` says what changed, ``command`` is what an administrator has to run.
    """

    code: str
    message: str
    command: str
