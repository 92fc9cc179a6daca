"""What Dovecot and Postfix need to read an iRedMail directory: the account that they bind as, and whom they take for live.

The filters are written from the conditions that iRedMail's own readers apply, so that a store means the
same to a server set up with these files as to one that iRedMail set up. That goes for what may surprise, too: lists are
expanded from the entries of their members. One thing differs: here a catch-all gets the mail for names that nobody has, and
not that of an account, alias or list that is switched off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailstore.driver.lookups import PASSWORD_PLACEHOLDER
from mailstore.errors import ConfigurationError, InvalidValue
from mailstore.ldap.names import Filter, any_of, negate, parse_dn

__all__ = [
    "ACTIVE",
    "DOMAIN_ACTIVE",
    "FILE_MODE",
    "LdapReader",
    "has",
    "kind",
    "lines",
    "live",
    "serves",
]

FILE_MODE = 0o640
"""Of a file that holds the account: the server's group has to read it, and nobody else may."""

_SERVER = re.compile(r"ldaps?://[\w.:\[\]-]+/?|ldapi://[\w.%~-]+/?", re.ASCII)
_PATH = re.compile(r"/[\w.:@/+~-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class LdapReader:
    """The account that a mail server reads a directory with.

    Parameters
    ----------
    server: ``ldap://host:port``, ``ldaps://host:port`` or ``ldapi://%2Fpath%2Fto%2Fsocket``.
    bind_dn: the account.
    password: None leaves a marked place to fill in.
    base: the entry above all domains, ``o=domains`` below the suffix.
    start_tls: encrypt an ``ldap://`` connection before anything else is sent.
    tls_ca: a file of certificates of authorities; those of the system if empty.
    tls_verify: check the server's certificate and its name.

    Raises ConfigurationError for values that no configuration file could hold.
    """

    server: str
    bind_dn: str
    password: str | None = field(repr=False)
    base: str
    start_tls: bool = False
    tls_ca: str = ""
    tls_verify: bool = True

    def __post_init__(self) -> None:
        if not _SERVER.fullmatch(self.server):
            raise ConfigurationError(f"{self.server!r} is no ldap://host:port, ldaps://host:port or ldapi://%2Fsocket")
        _check_dn("account", self.bind_dn)
        _check_dn("base", self.base)
        if self.password is not None and (not self.password or _CONTROL.search(self.password)):
            raise ConfigurationError("the reader's password is empty or holds control characters")
        if self.start_tls and not self.server.startswith("ldap://"):
            raise ConfigurationError(f"{self.server}: StartTLS is for ldap:// only")
        if self.tls_ca and not _PATH.fullmatch(self.tls_ca):
            raise ConfigurationError(
                f"tls_ca needs an absolute path of letters, digits and . : @ / + ~ - _ only, not {self.tls_ca!r}"
            )

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self.start_tls or self.server.startswith("ldaps:")

    @property
    def shown_password(self) -> str:
        """The password, or the place where to fill it in."""
        return PASSWORD_PLACEHOLDER if self.password is None else self.password

    @property
    def note(self) -> str:
        """A comment line that asks for the missing password; empty if none is missing."""
        if self.password is not None:
            return ""
        return f"# Replace {PASSWORD_PLACEHOLDER} by the password of {self.bind_dn}.\n"


def _check_dn(what: str, name: str) -> None:
    problem = f"{name!r} cannot be the reader's {what}"
    try:
        parse_dn(name)
    except InvalidValue:
        raise ConfigurationError(f"{problem}: it is no distinguished name") from None
    if _CONTROL.search(name) or name != name.strip():
        raise ConfigurationError(f"{problem}: it holds control characters, or blanks at its ends")


def lines(values: dict[str, str]) -> str:
    """Return settings as both servers write them."""
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def has(attribute: str, value: str) -> Filter:
    """Match a value that may hold a server's variables: the server escapes what it puts there, we must not."""
    return Filter(f"({attribute}={value})")


def kind(*classes: str) -> Filter:
    """Match entries of one of these object classes."""
    return any_of(*(has("objectClass", name) for name in classes))


def serves(*services: str) -> list[Filter]:
    """Return conditions: the entry has all of these services."""
    return [has("enabledService", service) for service in services]


ACTIVE = has("accountStatus", "active")
DOMAIN_ACTIVE = negate(has("domainStatus", "disabled"))
"""Disabling a domain marks every entry in it, so that readers of an account need not read the domain."""


def live(*services: str) -> list[Filter]:
    """Return conditions: the account is on, its domain too, and it has these services besides mail."""
    return [ACTIVE, DOMAIN_ACTIVE, *serves("mail", *services)]
