"""Which database a connection leads to, however it is reached: by any node, socket, account or spelling of the URL."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, exc

__all__ = ["identity_of"]

_MYSQL = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('server_uuid', 'hostname', 'datadir')"
_CLUSTER = "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'"
_NO_CLUSTER = ("", "00000000-0000-0000-0000-000000000000")
_POSTGRESQL = "SELECT system_identifier FROM pg_control_system()"  # a replica has that of its primary
_POSTGRESQL_DATABASE = "SELECT oid, datname FROM pg_database WHERE datname = current_database()"


def identity_of(connection: Connection, kind: str) -> str:
    """Return a text that is the same for all ways to one database, and another one for any other, be it a copy.

    MySQL's servers, clusters and PostgreSQL's servers with their replicas have a number of their own. MariaDB has none:
    there it is the machine's name and the directory of the data.
    """
    if kind == "sqlite":
        return f"sqlite {os.path.realpath(connection.engine.url.database or '')}"
    driver: Any = connection.connection
    if kind == "mysql":
        name = connection.engine.url.database or ""
        cluster = str(_first(driver, _CLUSTER)[1:2] or "").strip("(',)")
        if cluster not in _NO_CLUSTER:
            return f"mysql {cluster} {name}"
        found = dict(_rows(driver, _MYSQL))
        return f"mysql {found.get('server_uuid') or ' '.join(map(str, found.values()))} {name}"
    number, name = _first(driver, _POSTGRESQL_DATABASE)
    try:
        server = _first(driver, _POSTGRESQL)[0]
    except exc.DBAPIError:
        server = ""
    return f"postgresql {server} {number} {name}"


def _rows(driver: Any, statement: str) -> list[tuple[Any, ...]]:
    with closing(driver.cursor()) as cursor:
        cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


def _first(driver: Any, statement: str) -> tuple[Any, ...]:
    return next(iter(_rows(driver, statement)), ())
