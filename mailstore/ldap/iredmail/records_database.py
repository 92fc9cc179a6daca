"""The SQL database beside the directory: records of deleted mailboxes, and what Dovecot notes about accounts.

iRedMail keeps both in its database ``iredadmin``. Where no database is configured there is a file of our own, with records
only. Nothing is connected before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, MetaData, Table, delete, insert, or_, select, update

from mailstore.address import domain_part
from mailstore.config import StoreConfig
from mailstore.driver.base import short
from mailstore.driver.iredmail.units import from_seconds
from mailstore.errors import ConfigurationError, SchemaMismatch
from mailstore.model import LastLogin, Usage
from mailstore.sql.connect import DRIVERS, native_url, open_server
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.ledger import Ledger
from mailstore.sql.live import live_table, read_live
from mailstore.sql.own_tables import BESIDE_LATER, add_own_tables, define_own_tables

__all__ = ["Companion"]

_DIRECTORY = Path("/var/lib/mailstore")
_RECORDS, _BESIDE = "deleted_mailboxes", "mailstore_deleted"
_OWN_RECORDS = "mailstore_deleted_mailboxes"
_ADDRESSES = {
    "used_quota": ("username",),
    "last_login": ("username",),
    "share_folder": ("from_user", "to_user"),
    "anyone_shares": ("from_user",),
}
"""Tables that Dovecot writes, with the columns that hold addresses."""
_KNOWN = frozenset({_RECORDS, _BESIDE, _OWN_RECORDS, *_ADDRESSES})


class Companion:
    """One such database."""

    def __init__(self, config: StoreConfig, identify: Callable[[], str], former_key: str, password: str | None) -> None:
        """Prepare for connecting.

        Parameters
        ----------
        identify: returns what the directory is, however it is reached; a file is named after that.
        former_key: what early versions named it after.
        """
        self._config = config
        self._identify = identify
        self._former_key = former_key
        self._password = password

    @cached_property
    def identity(self) -> str:
        """What the directory is."""
        return self._config.identity or self._identify()

    @cached_property
    def db(self) -> Database:
        """The database. A file is ours: it is made, with its tables, when it is not there."""
        url = self._url()
        if url.get_backend_name() != "sqlite":
            return open_server(url.get_backend_name(), url, None)
        _prepare_file(Path(url.database or ""), None if self._config.retention else _file(self._former_key))
        database = Database(url)
        try:
            _create_tables(database)
        except BaseException:
            database.close()
            raise
        return database

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """What is there of the tables that matter, with the columns that they have."""
        own = MetaData()
        records, beside = define_own_tables(own)
        kept = {_RECORDS: records, _OWN_RECORDS: records, _BESIDE: beside}
        with self.db.reading() as connection:
            live = read_live(connection, self.db.kind, known=_KNOWN)
        self.db.forbid_writing(live.obstacle(_KNOWN), tried=min(_KNOWN & live.keys(), default=""))
        metadata = MetaData()
        for name in sorted(_KNOWN & live.keys()):
            columns = [column._copy() for column in kept[name].columns] if name in kept else []
            live_table(metadata, live, name, columns, {"bytes", "messages", *BESIDE_LATER})
        return metadata.tables

    @cached_property
    def ledger(self) -> Ledger:
        """The records of deleted mailboxes. Raises SchemaMismatch if the database has no table for them."""
        records = self.tables.get(_RECORDS, self.tables.get(_OWN_RECORDS))
        if records is None:
            raise SchemaMismatch(
                f"{self._shown} has no table {_RECORDS}; give another retention=, "
                "or run 'mailstore schema add-retention-table'"
            )
        return Ledger(self.db, records, self.tables.get(_BESIDE))

    @property
    def keeps_usage(self) -> bool:
        """Whether Dovecot notes here how full the mailboxes are."""
        return bool(self._config.retention) and "used_quota" in self.tables

    def create_tables(self) -> bool:
        """Make the tables of our own that are missing. Returns False if there was nothing to make."""
        return _create_tables(self.db, with_records=_RECORDS not in self.tables)

    def usage(self, addresses: Sequence[str]) -> dict[str, Usage]:
        """Return what the mailboxes hold, by address."""
        if not self.keeps_usage:
            return {}
        table = self.tables["used_quota"].c
        query = select(table.username, table.bytes, table.messages).where(table.username.in_(addresses))
        with self.db.reading() as connection:
            return {row.username: Usage(row.bytes, row.messages) for row in connection.execute(query)}

    def last_login(self, addresses: Sequence[str]) -> dict[str, LastLogin]:
        """Return when accounts were last used, by address."""
        if not self._config.retention or "last_login" not in self.tables:
            return {}
        table = self.tables["last_login"].c
        query = select(table.username, table.imap, table.pop3, table.lda).where(table.username.in_(addresses))
        with self.db.reading() as connection:
            return {
                row.username: LastLogin(from_seconds(row.imap), from_seconds(row.pop3), from_seconds(row.lda))
                for row in connection.execute(query)
            }

    def forget(self, addresses: Sequence[str]) -> Callable[[], None]:
        """Remove what Dovecot noted about accounts, and their shares. Returns what puts it back."""
        removed: list[tuple[Table, list[dict[str, Any]]]] = []
        if places := self.address_columns():
            with self.db.writing() as tx:
                for table, columns in places:
                    concerned = or_(*(column.in_(addresses) for column in columns))
                    rows = [dict(row) for row in tx.execute(select(table).where(concerned)).mappings()]
                    if rows:
                        removed.append((table, rows))
                        tx.execute(delete(table).where(concerned))
        return lambda: self._put_back(removed)

    def _put_back(self, removed: Sequence[tuple[Table, list[dict[str, Any]]]]) -> None:
        if removed:
            with self.db.writing() as tx:
                for table, rows in removed:
                    tx.execute(insert(table), rows)

    def rename(self, old: str, new: str) -> None:
        """Let what Dovecot noted about an account follow it to another address."""
        if places := self.address_columns():
            with self.db.writing() as tx:
                for table, columns in places:
                    for column in columns:
                        _rename(tx, table, column, old, new)

    def close(self) -> None:
        """Give back all connections."""
        if "db" in vars(self):
            self.db.close()

    def address_columns(self) -> list[tuple[Table, list[Column[Any]]]]:
        """Return the tables that Dovecot writes, with the columns that hold addresses; none without a database of its."""
        if not self._config.retention:
            return []
        return [
            (self.tables[name], [self.tables[name].c[column] for column in columns])
            for name, columns in _ADDRESSES.items()
            if name in self.tables
        ]

    def _url(self) -> URL:
        if not self._config.retention:
            return URL.create(DRIVERS["sqlite"], database=str(_file(short(self.identity))))
        kind, _, rest = self._config.retention.partition(":")
        if kind not in DRIVERS:
            raise ConfigurationError(f"retention: use {', '.join(f'{name}://' for name in DRIVERS)}")
        url = native_url(kind, rest)
        return url if self._password is None or url.password is not None else url.set(password=self._password)

    @property
    def _shown(self) -> str:
        return self._url().render_as_string(hide_password=True)


def _rename(tx: Transaction, table: Table, column: Column[Any], old: str, new: str) -> None:
    values: dict[str, Any] = {column.name: new}
    if "domain" in table.c:  # no trigger follows an update
        values["domain"] = domain_part(new)
    if tx.execute(select(column).where(column == old).limit(1)).first() is None:
        return  # an interrupted rename has done it; what stands under the new name belongs to the account
    tx.execute(delete(table).where(column == new))
    tx.execute(update(table).where(column == old).values(values))


def _file(key: str) -> Path:
    return _DIRECTORY / f"deleted-{key}.db"


def _prepare_file(path: Path, former: Path | None) -> None:
    """Make an SQLite file that only its owner can read: it holds password hashes. One of a former name gets the new one."""
    try:
        if former is not None and former.exists() and not path.exists():
            former.rename(path)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {path} for the records of deleted mailboxes ({error.strerror}); make its directory, "
            "or give another place with retention="
        ) from error


def _create_tables(database: Database, *, with_records: bool = True) -> bool:
    with database.writing() as tx:
        return add_own_tables(tx.connection, database.kind, with_records=with_records)
