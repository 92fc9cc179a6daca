"""What a URL says: the server, the account to log in with, and where in the directory iRedMail's tree stands."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from mailstore.config import StoreConfig
from mailstore.driver.base import short
from mailstore.errors import ConfigurationError
from mailstore.ldap.connection import Directory
from mailstore.ldap.endpoint import Endpoint
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.records_database import Companion
from mailstore.ldap.names import parse_dn
from mailstore.registry import resolve_companion_password

__all__ = ["companion_of", "endpoint_of", "identity_of", "places_of", "shown"]

_NUMBER = "entryUUID"
"""What an entry keeps on all providers, and for ever."""


def endpoint_of(config: StoreConfig, password: str | None) -> Endpoint:
    """Return where and as whom to connect: ``iredmail+ldap://BIND-DN:PASSWORD@HOST:PORT/SUFFIX``, each percent-encoded."""
    parts = urlsplit(config.url)
    account, _, host = parts.netloc.rpartition("@")
    bind_dn, _, secret = account.partition(":")
    if not bind_dn:
        raise ConfigurationError(
            f"{shown(config.url)}: name the account to log in with, like cn=vmailadmin,dc=example@"
        )
    return Endpoint(
        url=f"{parts.scheme.partition('+')[2]}://{host}",
        bind_dn=parse_dn(unquote(bind_dn)),
        password=unquote(secret) if secret else password,
        start_tls=config.start_tls,
        tls_ca=config.tls_ca,
        tls_verify=config.tls_verify,
    )


def places_of(config: StoreConfig) -> Places:
    """Return the places below the suffix that a URL names."""
    suffix = unquote(urlsplit(config.url).path.removeprefix("/"))
    if not suffix:
        raise ConfigurationError(f"{shown(config.url)}: name the suffix of the directory, as in /dc=example,dc=com")
    return Places(parse_dn(suffix))


def identity_of(config: StoreConfig, directory: Directory) -> str:
    """Return what a tree is, whichever server answers for it; the URL where that is not to be seen."""
    places = places_of(config)
    top = directory.read(places.domains, (_NUMBER,))
    return f"ldap {places.domains} {top.first(_NUMBER)}" if top is not None and top.has(_NUMBER) else shown(config.url)


def companion_of(config: StoreConfig, directory: Directory) -> Companion:
    """Return the SQL database that belongs to a directory."""
    password = resolve_companion_password(config, "retention")
    return Companion(config, lambda: identity_of(config, directory), short(shown(config.url)), password)


def shown(url: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(url)
    account, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=account.partition(":")[0] + at + host, query="").geturl()
