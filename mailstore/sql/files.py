"""SQLite stores: where their file is, and that it is there."""

from __future__ import annotations

from pathlib import Path

from mailstore.config import StoreConfig
from mailstore.driver.urls import shown
from mailstore.errors import ConfigurationError
from mailstore.sql.connect import connect
from mailstore.sql.engine import Database

__all__ = ["database", "require_file"]


def database(config: StoreConfig, password: str | None) -> Database:
    """Return the database of a store whose URL is ``SCHEMA+ENGINE://…``; nothing is connected yet.

    Raises ConfigurationError, for SQLite also if the path is not absolute.
    """
    schema, _, url = config.url.partition("+")
    db = connect(url, config, password)
    if db.kind == "sqlite" and not (db.url.database or "").startswith("/"):
        raise ConfigurationError(
            f"{shown(config.url)}: give an absolute path, as in {schema}+sqlite:////var/lib/mail.db"
        )
    return db


def require_file(db: Database) -> None:
    """Raise ConfigurationError if the file of an SQLite store is not there; connecting would make an empty one."""
    path = db.url.database or ""
    if db.kind == "sqlite" and not Path(path).exists():
        raise ConfigurationError(f"there is no database {path}; make it with 'mailstore schema create'")
