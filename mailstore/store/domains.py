"""Domains, as every store keeps them; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Unpack

from mailstore.errors import NotSupported
from mailstore.fields import DomainFields
from mailstore.model import Domain

__all__ = ["Domains"]


class Domains(ABC):
    """Mail domains and their alias domains."""

    fields: ClassVar[frozenset[str]] = frozenset(DomainFields.__annotations__)
    """The parameters of `create` and `update` that this kind of store has a place for; an old schema may lack some."""
    no_renaming: ClassVar[str] = ""
    """Why domains of this kind of store get no other names, where it lacks `Capability.DOMAIN_RENAMING`."""

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
    def list(self, *, search: str | None = None, enabled: bool | None = None, after: str = "") -> Iterator[Domain]:
        """Iterate over domains, sorted. `search` is a part of the domain or its name; `enabled` selects by state.

        `after`: only what comes behind this domain, see `Accounts.list`.
        """

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

    def rename(self, domain: str, new_domain: str, *, keep_alias: bool = False) -> Domain:  # noqa: ARG002 for drivers
        """Give a domain another name, with every address in it; mail, passwords and everything that refers to it stay.

        Parameters
        ----------
        new_domain: in use by nobody, or an alias domain of this one, which is then used up.
        keep_alias: whether the old name stays as an alias domain, so that mail for it still arrives.

        Accounts, aliases, lists and the catch-all get the addresses of the new name; whoever refers to one of them, under
        whatever spelling, admins of the domain, alias domains and policies follow. Homes stay where they are. All of it
        happens at once, or nothing. Records of mailboxes that were deleted before keep the old name. Raises AlreadyExists,
        NotFound, and NotSupported without `Capability.DOMAIN_RENAMING`.
        """
        raise NotSupported(
            f"{domain} cannot get another name here, all at once: {self.no_renaming}; create {new_domain}, bring what is in"
            " it there, and delete the old one",
            subject=domain,
        )

    @abstractmethod
    def delete(self, domain: str, *, keep_mailbox_days: int | None = None) -> int:
        """Delete a domain with everything in it; its mailboxes are recorded as in `Accounts.delete`.

        Until the mailboxes are purged, a store that keeps records of domains can undo it, see
        `DeletedMailboxes.restore_domain`.

        Returns the number of deleted accounts.
        """
