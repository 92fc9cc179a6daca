"""What Dovecot noted about accounts in the database beside the directory, and the accounts are gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import select

from mailstore.ldap.iredmail.records_database import Companion
from mailstore.model import Finding

__all__ = ["check_rows"]


def check_rows(companion: Companion, accounts: Collection[str]) -> Iterator[Finding]:
    """Iterate over rows of nobody: a new account of that name would get them."""
    for table, columns in companion.address_columns():
        for column in columns:
            with companion.db.reading() as connection:
                found = connection.execute(select(column).distinct().order_by(column)).scalars()
                gone = [str(name) for name in found if str(name).lower() not in accounts]
            for name in gone:
                message = f"{table.name}.{column.name} has a row for this address, which is not here"
                yield Finding("left-over", name, message, "notice")
