"""From the URL of a store to its database, for every SQL driver."""

from __future__ import annotations

import ssl
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mailstore.config import StoreConfig
from mailstore.driver.urls import each_host
from mailstore.errors import ConfigurationError
from mailstore.sql.engine import Database
from mailstore.sql.hosts import with_hosts

__all__ = ["DRIVERS", "connect", "native_url", "open_server"]

DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
"""The Python driver of each engine as SQLAlchemy names it."""
_EXTRAS = {"mysql": ("pymysql", "mysql"), "postgresql": ("psycopg", "postgresql")}


def connect(url: str, config: StoreConfig, password: str | None, *, local_times: bool = False) -> Database:
    """Return the database behind a URL whose scheme is the bare name of an engine; nothing is connected yet.

    Parameters
    ----------
    url: such as ``mysql://mailstore@127.0.0.1/vmail``.
    config: tells the socket and the CA file.
    password: instead of the one in the URL.
    local_times: see `Database`.

    Raises ConfigurationError if the engine is not known, or its driver not installed.
    """
    kind, _, rest = url.partition(":")
    if kind not in DRIVERS:
        raise ConfigurationError(f"unknown database engine {kind!r}; known are {', '.join(DRIVERS)}")
    native = native_url(kind, rest)
    if kind == "sqlite":
        return Database(native)
    return open_server(kind, native, password, socket=config.socket, tls_ca=config.tls_ca, local_times=local_times)


def native_url(kind: str, rest: str) -> URL:
    """Return a URL as SQLAlchemy wants it; `rest` begins after the colon. Raises ConfigurationError, without showing it."""
    try:
        first = make_url(f"{DRIVERS[kind]}:{each_host(rest)[0]}")
        return first if kind == "sqlite" else with_hosts(first, kind, rest)
    except (ArgumentError, ValueError):
        pass
    raise ConfigurationError(f"this is no {kind} URL; are all special characters percent-encoded?")


def open_server(
    kind: str, url: URL, password: str | None, *, socket: str = "", tls_ca: str = "", local_times: bool = False
) -> Database:
    """Return a database of MariaDB, MySQL or PostgreSQL; nothing is connected yet.

    Raises ConfigurationError, saying what to install, if the driver of this engine is not there.
    """
    _require_extra(kind)
    if password is not None:
        url = url.set(password=password)
    return Database(url, _connect_args(kind, socket, tls_ca), local_times=local_times)


def _connect_args(kind: str, socket: str, tls_ca: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if tls_ca:
        _require_certificates(tls_ca)
    if socket:
        arguments["unix_socket" if kind == "mysql" else "host"] = socket
    if tls_ca and kind == "mysql":
        arguments |= {"ssl_ca": tls_ca, "ssl_verify_cert": True, "ssl_verify_identity": True}
    elif tls_ca:
        arguments |= {"sslmode": "verify-full", "sslrootcert": tls_ca}
    return arguments


def _require_certificates(tls_ca: str) -> None:
    """Raise ConfigurationError if a CA file cannot be used; each driver would say so in a way of its own."""
    try:
        ssl.create_default_context(cafile=tls_ca)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"tls_ca: {tls_ca!r} holds no certificates that can be read: {error}") from error


def _require_extra(kind: str) -> None:
    module, extra = _EXTRAS[kind]
    try:
        __import__(module)
    except ImportError as error:
        raise ConfigurationError(f"this store needs the package {module}: pip install 'mailstore[{extra}]'") from error
