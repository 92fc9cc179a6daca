"""Database errors in terms of `mailstore.errors`, for all engines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import exc

from mailstore.errors import (
    AlreadyExists,
    ConfigurationError,
    Conflict,
    InvalidValue,
    MailstoreError,
    SchemaMismatch,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)

__all__ = ["READ_ONLY", "as_failure", "translated"]

_MYSQL: dict[int, type[MailstoreError]] = {
    1062: AlreadyExists,
    1205: StoreUnavailable, 1180: StoreUnavailable, 1206: StoreUnavailable, 1792: StoreUnavailable,
    1047: StoreUnavailable, 1317: StoreUnavailable, 3024: StoreUnavailable, 1969: StoreUnavailable,
    1040: StoreUnavailable, 1053: StoreUnavailable, 1077: StoreUnavailable,
    1203: StoreUnavailable, 1290: StoreUnavailable, 1836: StoreUnavailable, 2002: StoreUnavailable,
    2003: StoreUnavailable, 2006: StoreUnavailable, 2013: StoreUnavailable, 1927: StoreUnavailable,
    1213: Conflict, 1020: Conflict, 3101: Conflict,
    1044: StoreDenied, 1045: StoreDenied, 1142: StoreDenied, 1143: StoreDenied, 1227: StoreDenied, 1698: StoreDenied,
    1418: StoreDenied, 1419: StoreDenied,
    1049: ConfigurationError, 1054: SchemaMismatch, 1146: SchemaMismatch, 1364: SchemaMismatch,
    1264: InvalidValue, 1366: InvalidValue, 1406: InvalidValue, 1292: InvalidValue, 3988: InvalidValue,
    1267: InvalidValue, 1271: InvalidValue,  # characters beyond the first plane, asked of columns that hold none
}  # fmt: skip
_POSTGRESQL: dict[str, type[MailstoreError]] = {
    "23505": AlreadyExists,
    "40001": Conflict, "40P01": Conflict, "55P03": StoreUnavailable,
    "42501": StoreDenied, "28": StoreDenied, "3D000": ConfigurationError, "42703": SchemaMismatch,
    "42P01": SchemaMismatch, "3F000": SchemaMismatch, "23502": SchemaMismatch, "22": InvalidValue,
    "25": StoreUnavailable, "53": StoreUnavailable, "57": StoreUnavailable, "08": StoreUnavailable,
}  # fmt: skip
"""By SQLSTATE or, with two characters, by its class."""
_OTHER_OPTION = 1290  # of any option with which the server runs
_POSTGRESQL_REFUSALS: dict[str, type[MailstoreError]] = {
    "authentication failed": StoreDenied,
    "no pg_hba.conf entry": StoreDenied,
    "permission denied": StoreDenied,
    "no password supplied": StoreDenied,
    'role "': StoreDenied,
    'database "': ConfigurationError,
}
_SQLITE: dict[int, type[MailstoreError]] = {
    sqlite3.SQLITE_CONSTRAINT: AlreadyExists,
    sqlite3.SQLITE_BUSY: StoreUnavailable,
    sqlite3.SQLITE_LOCKED: StoreUnavailable,
    sqlite3.SQLITE_READONLY: StoreDenied,
    sqlite3.SQLITE_PERM: StoreDenied,
    sqlite3.SQLITE_CANTOPEN: StoreDenied,  # the file is there, that was looked at before
    sqlite3.SQLITE_FULL: StoreUnavailable,
    sqlite3.SQLITE_IOERR: StoreUnavailable,
    sqlite3.SQLITE_TOOBIG: InvalidValue,
}  # fmt: skip

_EXPLANATIONS: dict[type[MailstoreError], str] = {
    AlreadyExists: "it exists already",
    StoreUnavailable: "the database is not available now; try again",
    Conflict: "somebody else changed the same data at the same time; nothing was changed, try again",
    StoreDenied: "the database account that mailstore uses lacks a right",
    SchemaMismatch: "the database lacks something that this version needs; run 'mailstore schema check'",
    InvalidValue: "the database cannot hold the value",
    ConfigurationError: "there is no such database",
    StoreError: "the database failed",
}

READ_ONLY = (
    "it only reads now: it is a replica, or was set to read only, as a whole or for this account (MariaDB and MySQL: "
    "read_only, super_read_only; PostgreSQL: default_transaction_read_only). Nothing was written; name the server that "
    "takes writes in the URL, or allow writing there"
)
_HINTS: dict[int | str, str] = {
    **dict.fromkeys((1290, 1792, 1836, "25006"), READ_ONLY),
    1665: (
        "its binary log is set to binlog_format = STATEMENT, in which the changes of InnoDB's transactions cannot stand. "
        "Nothing was written; set binlog_format = ROW in the server's configuration, and SET GLOBAL binlog_format = ROW"
    ),
}
"""What is the matter, and what to do about it, where the server's own words do not tell."""


@contextmanager
def translated(subject: str | None = None) -> Iterator[None]:
    """Turn the database errors raised in this context into those of `mailstore.errors`, naming `subject`."""
    failure: MailstoreError | None = None
    cause: BaseException | None = None
    try:
        yield
    except exc.DBAPIError as error:
        cause = _without_values(error.orig)
        failure = _failure(StoreUnavailable if error.connection_invalidated else _kind(error.orig), cause, subject)
    except exc.TimeoutError as error:
        cause = error
        failure = StoreUnavailable("all database connections are in use; try again", subject=subject)
    except (exc.PendingRollbackError, exc.ResourceClosedError):
        failure = StoreUnavailable("the connection to the database was lost; try again", subject=subject)
    except exc.SQLAlchemyError as error:
        failure = _failure(StoreError, exc.SQLAlchemyError(type(error).__name__), subject)
    except UnicodeError:  # without the original, which shows the whole value: it may be a password
        failure = _failure(InvalidValue, ValueError("it holds characters that no encoding has"), subject)
    except OverflowError:
        failure = _failure(InvalidValue, ValueError("a number is too large"), subject)
    # Raised here, outside of the handler, so that no traceback shows the original: PostgreSQL puts whole rows into it.
    if failure is not None:
        raise failure from cause


def as_failure(error: BaseException, subject: str | None = None) -> MailstoreError:
    """Return an error of a database's driver as one of `mailstore.errors`, naming `subject`."""
    return _failure(_kind(error), _without_values(error), subject)


def _failure(kind: type[MailstoreError], cause: BaseException | None, subject: str | None) -> MailstoreError:
    about = f"{subject}: " if subject else ""
    return kind(f"{about}{_EXPLANATIONS[kind]}: {_hint(cause) or _server_message(cause)}", subject=subject)


def _kind(error: BaseException | None) -> type[MailstoreError]:
    if isinstance(error, sqlite3.Error):
        return _sqlite_kind(error)
    number = error.args[0] if error is not None and error.args else None
    if isinstance(number, int):  # before the SQLSTATE, which newer versions of PyMySQL give too, in MySQL's own dialect
        return _MYSQL.get(number, StoreError)
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2], StoreError)
    if type(error).__name__ not in {"OperationalError", "ConnectionTimeout"}:
        return StoreError
    # libpq gives no SQLSTATE for what fails before the session begins: only the text tells a refusal from a dead server.
    return next((kind for text, kind in _POSTGRESQL_REFUSALS.items() if text in str(error)), StoreUnavailable)


def _sqlite_kind(error: sqlite3.Error) -> type[MailstoreError]:
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_CONSTRAINT_NOTNULL:
        return SchemaMismatch
    if code == sqlite3.SQLITE_ERROR and "pattern too complex" in str(error):
        return InvalidValue
    if code == sqlite3.SQLITE_ERROR and "no such" in str(error):
        return SchemaMismatch
    return _SQLITE.get(code & 0xFF, StoreError)


def _without_values(error: BaseException | None) -> BaseException | None:
    """Return a copy of a PostgreSQL error without its DETAIL, which may hold the row, password hash and all."""
    diagnostic: Any = getattr(error, "diag", None)
    message = getattr(diagnostic, "message_primary", None)
    if error is None or not message:
        return error
    return type(error)(message)


def _hint(error: BaseException | None) -> str | None:
    number = error.args[0] if error is not None and error.args else None
    if number == _OTHER_OPTION and "read" not in _server_message(error):
        return None
    return _HINTS.get(number) if isinstance(number, int) else _HINTS.get(getattr(error, "sqlstate", ""))


def _server_message(error: BaseException | None) -> str:
    text = str(error.args[-1]) if error is not None and error.args else type(error).__name__
    return " ".join(text.split())[:300]
