"""From the URL and the options of a store to its database, the same for every schema: drivers, sockets, TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url

from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError
from mailstore.sql.engine import Database

__all__ = ["database", "engine_of", "require_file", "shown"]

_DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
_EXTRAS = {"mysql": ("pymysql", "mysql"), "postgresql": ("psycopg", "postgresql")}


def engine_of(config: StoreConfig) -> str:
    """Return ``mysql``, ``postgresql`` or ``sqlite``."""
    return urlsplit(config.url).scheme.partition("+")[2]


def database(config: StoreConfig, password: str | None) -> Database:
    """Return the database that a configuration names; nothing is connected yet. Raises ConfigurationError."""
    kind = engine_of(config)
    _require_extra(kind)
    url = make_url(_DRIVERS[kind] + config.url[config.url.index(":") :])
    if kind == "sqlite":
        if not (url.database or "").startswith("/"):
            scheme = urlsplit(config.url).scheme
            raise ConfigurationError(f"{config.url}: give an absolute path, as in {scheme}:////var/lib/mail.db")
        return Database(url)
    if password is not None:
        url = url.set(password=password)
    return Database(url, _connect_args(kind, config))


def require_file(db: Database) -> None:
    """Raise ConfigurationError if the file of an SQLite store is not there; connecting would make an empty one."""
    path = db.url.database or ""
    if db.kind == "sqlite" and not Path(path).exists():
        raise ConfigurationError(f"there is no database {path}; make it with 'mailstore schema create'")


def shown(url: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", "@", 1)


def _connect_args(kind: str, config: StoreConfig) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
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
