"""Mailstore's own tables: records of deleted mailboxes where a store has none, and what is kept beside records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, Text, text
from sqlalchemy.schema import CreateColumn

from mailstore.sql.live import Columns, read_live
from mailstore.sql.moments import Day, Moment
from mailstore.sql.mysql_types import LongText

__all__ = ["BESIDE", "BESIDE_LATER", "ERROR_LENGTH", "RECORDS", "add_own_tables", "beside_columns", "define_own_tables"]

RECORDS, BESIDE = "mailstore_deleted_mailboxes", "mailstore_deleted"
ERROR_LENGTH = 1000
_ID = BigInteger().with_variant(Integer(), "sqlite")  # only an INTEGER key counts up by itself there
BESIDE_LATER = frozenset({"username", "timestamp", "domain_record", "delete_date", "admin", "accounts"})
"""Columns of `BESIDE` that a table made by an early version lacks until `add_own_tables` adds them."""


def define_own_tables(metadata: MetaData, live: Columns | None = None) -> tuple[Table, Table]:
    """Define both tables, with `live` as the server has them. Returns the records and what is beside them."""
    records = Table(
        RECORDS, metadata, Column("id", _ID, primary_key=True),
        Column("timestamp", Moment, nullable=False),
        Column("username", String(255), nullable=False, index=True), Column("domain", String(255), nullable=False),
        Column("maildir", Text, nullable=False), Column("bytes", BigInteger, nullable=False, server_default=text("0")),
        Column("messages", BigInteger, nullable=False, server_default=text("0")),
        Column("admin", String(255), nullable=False, server_default=""), Column("delete_date", Day, index=True),
    )  # fmt: skip
    present = live.get(BESIDE, {}) if live is not None else {}
    columns = [column for column in beside_columns() if not present or column.name in present]
    return records, Table(BESIDE, metadata, *columns)


def beside_columns() -> list[Column[Any]]:
    """Return the columns of what is kept beside records.

    A row with a positive number belongs to the record of a mailbox with this number, as long as address and time of both
    agree: numbers may start again. Rows with negative numbers are what is kept of deleted domains.
    """
    return [
        Column("record_id", _ID, primary_key=True, autoincrement=False),
        Column("snapshot", LongText(), nullable=False),
        Column("error", String(ERROR_LENGTH), nullable=False, server_default=text("''")),
        Column("username", String(255)), Column("timestamp", Moment),
        Column("domain_record", BigInteger, index=True), Column("delete_date", Day), Column("admin", String(255)),
        Column("accounts", Integer),
    ]  # fmt: skip


def add_own_tables(connection: Connection, engine: str, *, with_records: bool = True) -> bool:
    """Make what is missing of the tables. Returns False if all was there.

    `with_records` tells whether the store needs records of ours, besides what is beside them.
    """
    live = read_live(connection, engine)
    wanted = define_own_tables(MetaData())[0 if with_records else 1 :]
    made = False
    for table in wanted:
        if table.name not in live:
            table.create(connection)
            made = True
            continue
        quote = connection.dialect.identifier_preparer.quote
        for column in table.c:
            if column.name not in live[table.name]:
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} ADD COLUMN {added}")
                for index in table.indexes:
                    if column.name in index.c:
                        index.create(connection)
                made = True
    return made
