"""What making entries for an export needs: names, passwords, and a way to leave out what a directory cannot hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mailstore.config import StoreConfig
from mailstore.errors import InvalidPassword, Refused
from mailstore.ldap.iredmail.names.name_space import AliasDomains
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.schemes import stored_form
from mailstore.ldap.names import DN
from mailstore.model import Finding

__all__ = ["Export", "Maker", "Membership", "Record", "fields_of", "record_of"]

Record = tuple[DN, Mapping[str, list[str | bytes]]]
"""An entry to be written: its name and its attributes."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Membership:
    """The lists that an entry belongs to, whether its domain is switched off, and whether that catches unknown addresses."""

    domain_enabled: bool = True
    lists: Collection[str] = ()
    domain_catches: bool = False


class Maker:
    """Makes entries. What the directory could not hold is left out, and reported.

    Parameters
    ----------
    places: where entries stand.
    config: options of the directory; it says who verifies passwords there.
    aliases: all alias domains.
    report: called with each thing that is left out.
    """

    def __init__(
        self, places: Places, config: StoreConfig, aliases: AliasDomains, report: Callable[[Finding], None]
    ) -> None:
        self._places = places
        self._config = config
        self._aliases = aliases
        self._report = report

    def _shadows(self, address: str, aliases: Iterable[str]) -> list[str]:
        return sorted(self._aliases.served([address, *aliases]) - {address})

    def _groups(self, membership: Membership) -> list[str]:
        # Postfix looks for the address that mail is sent to, also where that lies in an alias domain.
        return sorted(self._aliases.served(membership.lists))

    def _password(self, address: str, password_hash: str | None) -> list[str]:
        if password_hash is None:
            return []
        try:
            return [stored_form(password_hash, self._config)]
        except InvalidPassword as error:
            self._report(Finding("password-left-out", address, f"{error}; set a new password after the import"))
            return []

    def _note_settings(self, subject: str, keys: Iterable[str]) -> None:
        if names := ", ".join(sorted(keys)):
            self._left_out(subject, f"settings that the library does not interpret: {names}")

    def _left_out(self, subject: str, what: str) -> None:
        self._report(Finding("left-out", subject, f"left out: {what}", "notice"))

    def _fitting(self, subject: str, fields: Mapping[str, Any], make: Callable[[dict[str, Any]], _T]) -> _T:
        """Make something of fields, without those that the directory cannot hold."""
        try:
            return make(dict(fields))
        except Refused:
            return make({name: value for name, value in fields.items() if self._fits(subject, name, value, make)})

    def _fits(self, subject: str, name: str, value: Any, make: Callable[[dict[str, Any]], object]) -> bool:
        try:
            make({name: value})
        except Refused as error:
            self._left_out(subject, f"{name}: {error}")
            return False
        return True


def record_of(dn: DN, attributes: Mapping[str, Collection[str]]) -> Record:
    """Return an entry without attributes that have no value, and without values that are there twice."""
    unique = {name: list({value.lower(): value for value in values}.values()) for name, values in attributes.items()}
    return dn, {name: list(values) for name, values in unique.items() if values}


def fields_of(record: object, known: type) -> dict[str, Any]:
    """Return the parameters that would make a record; `known` is the TypedDict that lists them."""
    return {name: getattr(record, name) for name in known.__annotations__ if hasattr(record, name)}


class Export(ABC):
    """Records for LDIF: a name and attributes each. What is below another entry follows it.

    Every method raises NotFound where there is no such thing.
    """

    @abstractmethod
    def everything(self) -> Iterator[Record]:
        """Iterate over all domains with everything in them, then over the standalone admins."""

    @abstractmethod
    def whole_domain(self, domain: str) -> Iterator[Record]:
        """Iterate over a domain and everything in it."""

    @abstractmethod
    def domain(self, domain: str) -> Iterator[Record]:
        """Return a domain with its four organizational units, which make it possible to load it, and nothing in them."""

    @abstractmethod
    def catch_all(self, domain: str) -> Iterator[Record]:
        """Return where the mail for unknown addresses of a domain goes; nothing if it is refused."""

    @abstractmethod
    def admin(self, address: str) -> Iterator[Record]:
        """Return an admin of either kind; one that is an account as `account` does."""

    @abstractmethod
    def account(self, address: str) -> Iterator[Record]:
        """Return a mail user."""

    @abstractmethod
    def mailing_list(self, address: str) -> Iterator[Record]:
        """Return a list, and the entry with its external members. The others are named by their own entries only."""

    @abstractmethod
    def alias(self, address: str) -> Iterator[Record]:
        """Return an alias account."""
