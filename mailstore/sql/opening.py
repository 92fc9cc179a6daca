"""Opening a database server by URL: the Python driver of each engine, TLS, sockets, passwords."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL

from mailstore.errors import ConfigurationError
from mailstore.sql.engine import Database

__all__ = ["DRIVERS", "open_server"]

DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
"""The Python driver of each engine as SQLAlchemy names it."""
_EXTRAS = {"mysql": ("pymysql", "mysql"), "postgresql": ("psycopg", "postgresql")}


def open_server(kind: str, url: URL, password: str | None, *, socket: str = "", tls_ca: str = "") -> Database:
    """Return a database of MariaDB, MySQL or PostgreSQL; nothing is connected yet.

    Raises ConfigurationError, saying what to install, if the package for this engine is not there.
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
