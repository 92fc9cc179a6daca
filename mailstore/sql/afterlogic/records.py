"""Records of mailboxes whose accounts go, with a snapshot of what the webmail knew of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from mailstore.address import domain_part
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.schema.user_data import KEPT_OF_ACCOUNTS, KEPT_OF_USERS, POINTERS
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import NewRecord
from mailstore.sql.snapshots import Row, packed, rows_of

__all__ = ["Retention"]

_BATCH = 500


class Retention:
    """Writes records of accounts that are about to be deleted."""

    def __init__(self, context: Context, server: MailServer) -> None:
        self._context = context
        self._server = server

    def record(
        self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]], due: date, domain_record: int | None = None
    ) -> list[DeletedMailbox]:
        """Record the mailboxes of primary accounts, given as their rows, that the product's own mail server serves.

        `domain_record` is the record of the domain with which they go, if they do. Raises
        NotSupported if there is a mailbox to record, and no table for it.
        """
        made: list[DeletedMailbox] = []
        for start in range(0, len(accounts), _BATCH):
            batch = accounts[start : start + _BATCH]
            snapshots, usage = self._snapshots(tx, batch), self._usage(tx, batch)
            new = [
                NewRecord(
                    canonical(stored), domain_part(canonical(stored)), self._context.home_of(stored), due,
                    usage=usage.get(stored, Usage(0, 0)),
                    # The address stands in it, because the rows may have another form of it.
                    snapshot=packed({"address": canonical(stored), **snapshots[row["id_user"]]}),
                    domain_record=domain_record,
                )
                for row in batch
                for stored in (row["email"].lower(),)
            ]  # fmt: skip
            made += self._context.require_ledger().add(tx, new)
        return made

    def snapshots(self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
        """Return what records would keep of accounts, in their order."""
        kept: list[dict[str, Any]] = []
        for start in range(0, len(accounts), _BATCH):
            batch = accounts[start : start + _BATCH]
            found = self._snapshots(tx, batch)
            kept += (found[row["id_user"]] for row in batch)
        return kept

    def _snapshots(self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]]) -> dict[int, dict[str, Any]]:
        """Return all columns of the users' rows by user and table, those that other tools added among them."""
        users = [row["id_user"] for row in accounts]
        found: dict[int, dict[str, Any]] = {user: defaultdict(list) for user in users}
        for name in KEPT_OF_USERS:
            column = "user_id" if name == "acal_users_data" else "id_user"
            for row in self._rows(tx, name, column, users):
                found[row[column]][name].append(row)
        owner = {row["id_acct"]: user for user in users for row in found[user]["awm_accounts"]}
        for name in KEPT_OF_ACCOUNTS:
            column = "account_id" if name == "twofa_accounts" else "id_acct"
            for row in self._rows(tx, name, column, list(owner)):
                found[owner[row[column]]][name].append(row)
        columns = self._server.aliases.c
        aliases = select(columns.id_acct, columns.alias_name, columns.alias_domain)
        for number, name, domain in tx.execute(aliases.where(columns.id_acct.in_(list(owner)))):
            found[owner[number]]["aliases"].append(canonical(f"{name}@{domain}"))
        self._add_pointers(tx, accounts, found)
        return found

    def _add_pointers(
        self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]], found: Mapping[int, dict[str, Any]]
    ) -> None:
        """Add what others wrote about the addresses: members of mailing lists, and forwards to them."""
        called = {
            name: row["id_user"]
            for row in accounts
            for name in spellings([canonical(row["email"]), *found[row["id_user"]]["aliases"]])
        }
        for table, column, _ in POINTERS:
            if self._context.schema.has(table):
                named = self._context.one_of(self._context.table(table).c[column], called)
                for row in rows_of(tx, self._context.table(table), named):
                    found[called[row[column].lower()]][f"pointers of {table}"].append(row)

    def _rows(self, tx: Transaction, name: str, column: str, numbers: Sequence[int]) -> list[Row]:
        """Return the rows of an optional table that name one of these accounts or users."""
        if not self._context.schema.has(name, column):
            return []
        table = self._context.table(name)
        return rows_of(tx, table, table.c[column].in_(numbers))

    def _usage(self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]]) -> dict[str, Usage]:
        table = self._server.usage
        if table is None:
            return {}
        addresses = [row["email"].lower() for row in accounts]
        columns = table.c.name, table.c.quota_usage_bytes, table.c.quota_usage_messages
        query = select(*columns).where(table.c.name.in_(addresses))
        return {name: Usage(int(size), int(messages)) for name, size, messages in tx.execute(query)}
