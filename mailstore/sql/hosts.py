"""Several servers for one database: one that serves is connected to, a writable one if any is, and left when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL, Engine, event

from mailstore.driver.urls import each_host

__all__ = ["connect_to_one", "leave_when_it_cannot_write", "with_hosts"]

_HOSTS = "mailstore_hosts"
_PORTS = {"mysql": 3306, "postgresql": 5432}
_LAST = "mailstore_host"
"""Where the dialect notes which host it was connected to last: that one comes first the next time."""
# The server or its port is not there, or it answers that it is not ready: another one may be.
_MYSQL_ABSENT = {2002, 2003, 2006, 2013, 1040, 1047, 1053, 1203, 1927}
_MYSQL_NO_WRITING = {1290, 1836, 1047}
_POSTGRESQL_NO_WRITING = "25006"
_NOT_READY = 1047
_ASK_READY = "SHOW GLOBAL STATUS WHERE variable_name = 'wsrep_ready' AND value = 'OFF'"
_ASK_MYSQL = "SELECT @@global.read_only"


def with_hosts(url: URL, kind: str, rest: str) -> URL:
    """Return a URL of an engine that knows all hosts that ``//account@h1:port,h2/database`` names; `url` has the first."""
    parts = [urlsplit(part) for part in each_host(f"{kind}:{rest}")]
    if len(parts) == 1:
        return url
    hosts = [_written(part.hostname or "", part.port or _PORTS[kind]) for part in parts]
    bare = URL.create(url.drivername, url.username, url.password, database=url.database, query=url.query)
    return bare.update_query_dict({"host" if kind == "postgresql" else _HOSTS: hosts})


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect_to_one(dialect: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """Connect to one of the hosts that the options name, as the database's driver would to the only one."""
    hosts = options.pop(_HOSTS, None)
    if hosts is not None:
        return _mysql(dialect, arguments, options, [hosts] if isinstance(hosts, str) else list(hosts))
    if "," in str(options.get("host", "")):
        try:
            return dialect.connect(*arguments, **{**options, "target_session_attrs": "read-write"})
        except dialect.loaded_dbapi.OperationalError as error:
            if "read-only" not in str(error) and "read-write" not in str(error):
                raise
        return dialect.connect(*arguments, **options)  # there is none that takes writes: it can be read, at least
    return dialect.connect(*arguments, **options)


def _mysql(dialect: Any, arguments: Sequence[Any], options: dict[str, Any], hosts: list[str]) -> Any:
    first = getattr(dialect, _LAST, 0)
    failure: BaseException | None = None
    spare: tuple[Any, int] | None = None
    for number in [(first + step) % len(hosts) for step in range(len(hosts))]:
        place = urlsplit(f"//{hosts[number]}")
        try:
            connection = dialect.connect(*arguments, **{**options, "host": place.hostname, "port": place.port})
            writable = _is_writable(connection, dialect)
        except dialect.loaded_dbapi.OperationalError as error:
            if error.args[0] not in _MYSQL_ABSENT:
                raise
            failure = error
            continue
        if writable:
            setattr(dialect, _LAST, number)
            if spare is not None:
                spare[0].close()
            return connection
        if spare is None:
            spare = connection, number
        else:
            connection.close()
    if spare is None and failure is not None:
        raise failure
    return spare[0] if spare is not None else None


def _is_writable(connection: Any, dialect: Any) -> bool:
    """Tell whether a server takes writes. Raises the error of a node of a cluster that answers nothing."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ASK_READY)
            ready = not cursor.fetchall()
            cursor.execute(_ASK_MYSQL)
            writable = str(cursor.fetchone()[0]).upper() in ("0", "OFF", "NO_LOCK")
    except BaseException:
        connection.close()
        raise
    if not ready:
        connection.close()
        raise dialect.loaded_dbapi.OperationalError(_NOT_READY, "the node has no quorum, or is joining")
    return writable


def leave_when_it_cannot_write(engine: Engine) -> None:
    """Give up all connections when the server that was writable is so no more: another one may be by now."""
    query = engine.url.query
    if _HOSTS not in query and not isinstance(query.get("host"), tuple):
        return

    @event.listens_for(engine, "handle_error")
    def _note(context: Any) -> None:
        error = context.original_exception
        number = error.args[0] if error.args else None
        if number in _MYSQL_NO_WRITING or getattr(error, "sqlstate", None) == _POSTGRESQL_NO_WRITING:
            context.is_disconnect = True
