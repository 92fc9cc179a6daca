"""From the URL of a store to its database, for every SQL driver."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url

from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError
from mailstore.sql.engine import Database

__all__ = ["DRIVERS", "connect", "open_server", "shown"]

DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
"""The Python driver of each engine as SQLAlchemy names it."""
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
    if kind not in DRIVERS:
        raise ConfigurationError(f"unknown database engine {kind!r}; known are {', '.join(DRIVERS)}")
    native = make_url(DRIVERS[kind] + url[url.index(":") :])
    if kind == "sqlite":
        return Database(native)
    return open_server(kind, native, password, socket=config.socket, tls_ca=config.tls_ca)


def open_server(kind: str, url: URL, password: str | None, *, socket: str = "", tls_ca: str = "") -> Database:
    """Return a database of MariaDB, MySQL or PostgreSQL; nothing is connected yet.

    Raises ConfigurationError, saying what to install, if the driver of this engine is not there.
    """
    _require_extra(kind)
    if password is not None:
        url = url.set(password=password)
    return Database(url, _connect_args(kind, socket, tls_ca))


def _connect_args(kind: str, socket: str, tls_ca: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if socket:
        arguments["unix_socket" if kind == "mysql" else "host"] = socket
    if tls_ca and kind == "mysql":
        arguments |= {"ssl_ca": tls_ca, "ssl_verify_cert": True, "ssl_verify_identity": True}
    elif tls_ca:
        arguments |= {"sslmode": "verify-full", "sslrootcert": tls_ca}
    return arguments


def _require_extra(kind: str) -> None:
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
