"""What a URL says: the server, the account to log in with, and where in the directory iRedMail's tree stands."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote, urlsplit

from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError
from mailstore.ldap.endpoint import Endpoint
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.records_database import Companion
from mailstore.ldap.names import parse_dn
from mailstore.registry import resolve_companion_password

__all__ = ["companion_of", "endpoint_of", "places_of", "shown"]


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


def companion_of(config: StoreConfig) -> Companion:
    """Return the SQL database that belongs to a directory."""
    key = hashlib.sha256(shown(config.url).encode()).hexdigest()[:12]
    return Companion(config, key, resolve_companion_password(config, "retention"))


def shown(url: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(url)
    account, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=account.partition(":")[0] + at + host, query="").geturl()
