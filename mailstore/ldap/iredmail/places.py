"""Where everything stands in iRedMail's tree. Names of entries follow from addresses, as for the panel; none is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from mailstore.address import domain_part
from mailstore.config import StoreConfig
from mailstore.ldap.names import DN, dn

__all__ = ["UNITS", "FileTarget", "Places", "Target"]

USERS, GROUPS, ALIASES, EXTERNALS = UNITS = ("Users", "Groups", "Aliases", "Externals")
"""The four organizational units of a domain; the panel knows no others."""


@dataclass(frozen=True)
class Places:
    """The names of entries below one suffix."""

    suffix: DN

    @cached_property
    def domains(self) -> DN:
        """The entry above all domains."""
        return dn(("o", "domains"), base=self.suffix)

    @cached_property
    def admins(self) -> DN:
        """The entry above all standalone admins."""
        return dn(("o", "domainAdmins"), base=self.suffix)

    def domain(self, name: str) -> DN:
        """The entry of a domain; every reader looks for it directly below `domains`."""
        return dn(("domainName", name), base=self.domains)

    def unit(self, domain: str, unit: str) -> DN:
        """One of the `UNITS` of a domain."""
        return dn(("ou", unit), base=self.domain(domain))

    def account(self, address: str) -> DN:
        """The entry of a mail user."""
        return self._below(address, USERS)

    def catch_all(self, domain: str) -> DN:
        """The entry of a domain's catch-all: a mail user without a local part."""
        return self._below(f"@{domain}", USERS)

    def mailing_list(self, address: str) -> DN:
        """The entry of a mailing list."""
        return self._below(address, GROUPS)

    def alias(self, address: str) -> DN:
        """The entry of an alias account."""
        return self._below(address, ALIASES)

    def externals(self, mailing_list: str) -> DN:
        """The entry that holds all members of a list that have no entry of their own."""
        unit = self.unit(domain_part(mailing_list), EXTERNALS)
        return dn(("memberOfGroup", mailing_list), base=unit)

    def admin(self, address: str) -> DN:
        """The entry of a standalone admin."""
        return dn(("mail", address), base=self.admins)

    def _below(self, address: str, unit: str) -> DN:
        return dn(("mail", address), base=self.unit(domain_part(address), unit))


class Target(Protocol):
    """A directory that an entry is made for."""

    @property
    def config(self) -> StoreConfig:
        """The options of the store."""

    def knows(self, attribute: str, *classes: str) -> bool:
        """Tell whether an entry of one of these object classes may have an attribute."""

    def require(self, attributes: Sequence[str], *classes: str) -> None:
        """Raise NotSupported if an entry of these classes cannot have one of the attributes."""


@dataclass(frozen=True)
class FileTarget:
    """A directory that nobody asks anything: its schema is taken for that of the newest iRedMail."""

    config: StoreConfig

    def knows(self, attribute: str, *classes: str) -> bool:  # noqa: ARG002
        """Tell that every attribute is there."""
        return True

    def require(self, attributes: Sequence[str], *classes: str) -> None:
        """Accept all attributes."""
