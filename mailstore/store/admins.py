"""Admins, as every store keeps them; the rules for all operations stand in `mailstore.store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Unpack

from mailstore.fields import AdminFields
from mailstore.model import Admin

__all__ = ["Admins"]


class Admins(ABC):
    """Who may administer what: standalone admins, and accounts with admin rights."""

    fields: ClassVar[frozenset[str]] = frozenset(AdminFields.__annotations__)
    """The parameters of `create` and `update` that this kind of store has a place for; an old schema may lack some."""

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
        global_admin: may do everything and manages all domains; `domains` and the limits below are then not kept.
        domains: the domains that it manages.
        max_domains: how many domains it may create; 0 none, None no limit.
        max_quota, max_accounts, max_aliases, max_lists: how much it may allocate to its domains in total.
        may_view_mail_log, may_manage_quarantine: rights in the panel.
        name, language, timezone, enabled: as they say.

        Raises AlreadyExists, InvalidValue. Returns the admin as stored.
        """

    @abstractmethod
    def promote(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        """Give an account of this store admin rights: `global_admin`, `domains` (default: its own) and the limits.

        Nothing of rights and limits that it had before, and lost, comes back. A new `password` or ready hash is the
        account's. If the panel cannot verify the password that the account then has, a notice says so.
        """

    @abstractmethod
    def demote(self, address: str) -> None:
        """Take all admin rights and limits from an account; the account stays."""

    @abstractmethod
    def get(self, address: str) -> Admin:
        """Return an admin of either kind."""

    @abstractmethod
    def list(self, *, domain: str | None = None, search: str | None = None, after: str = "") -> Iterator[Admin]:
        """Iterate over admins of both kinds, sorted by address; `after` as for `Accounts.list`.

        `domain`: only those listed as admins of it.
        """

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
        """Let these admins or accounts manage `domain`. Raises NotFound for an address that is neither.

        An account that was no admin becomes one as `promote` makes it, of this domain only.
        """

    @abstractmethod
    def remove_from_domain(self, domain: str, admins: Iterable[str] | None = None) -> None:
        """Take `domain` from these admins, from all of them if None; global admins keep their rights."""

    @abstractmethod
    def verify_password(self, address: str, password: str) -> bool:
        """Tell whether this is the password of an enabled admin of either kind. Raises NotFound if it is no admin.

        An acting admin may try its own, unless it may try those of all.
        """

    @abstractmethod
    def password_hash(self, address: str) -> str:
        """Return the stored hash of an admin of either kind, for moving it elsewhere. Treat it like a password."""

    @abstractmethod
    def login(self, address: str, password: str) -> Admin | None:
        """Return the admin if address and password are right and it is enabled, else None, without saying which.

        Neither does the time that it takes.
        """
