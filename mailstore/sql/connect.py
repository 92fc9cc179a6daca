"""From the URL of a store to its database, for every SQL driver."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url

from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError
from mailstore.sql.engine import Database

__all__ = ["connect", "shown"]

_DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
_EXTRAS = {"mysql": ("pymysql", "mysql"), "postgresql": ("psycopg", "postgresql")}


def connect(url: str, config: StoreConfig, password: str | None) -> Database:
    """Return the database behind a URL whose scheme is the bare name of an engine; nothing is connected yet.

    Parameters
    ----------
    url: such as ``mysql://mailstore@127.0.0.1/vmail``.
    config: tells the socket and the CA file.
    password: instead of the one in the URL.

    Raises ConfigurationError if the engine is not known, or its driver not installed.
    """
    kind = urlsplit(url).scheme
    if kind not in _DRIVERS:
        raise ConfigurationError(f"unknown database engine {kind!r}; known are {', '.join(_DRIVERS)}")
    _require_extra(kind)
    native = make_url(_DRIVERS[kind] + url[url.index(":") :])
    if password is not None and kind != "sqlite":
        native = native.set(password=password)
    return Database(native, _connect_args(kind, config))


def _connect_args(kind: str, config: StoreConfig) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if kind == "sqlite":
        return arguments
    if config.socket:
        arguments["unix_socket" if kind == "mysql" else "host"] = config.socket
    if config.tls_ca and kind == "mysql":
        arguments |= {"ssl_ca": config.tls_ca, "ssl_verify_cert": True, "ssl_verify_identity": True}
    elif config.tls_ca:
        arguments |= {"sslmode": "verify-full", "sslrootcert": config.tls_ca}
    return arguments


def _require_extra(kind: str) -> None:
    """Raise ConfigurationError, saying what to install, if the driver of this engine is not there."""
    if kind not in _EXTRAS:
        return
    module, extra = _EXTRAS[kind]
    try:
        __import__(module)
    except ImportError as error:
        raise ConfigurationError(f"this store needs the package {module}: pip install 'mailstore[{extra}]'") from error


def shown(url: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", "@", 1)
