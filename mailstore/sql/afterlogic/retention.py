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
from mailstore.sql.afterlogic.spelling import canonical
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import NewRecord
from mailstore.sql.snapshots import packed, rows_of

__all__ = ["Retention"]

_BATCH = 500
_OF_USER = ("awm_settings", "awm_accounts", "awm_identities", "awm_addr_book")
_OF_ACCOUNT = ("awm_mailforwards",)


class Retention:
    """Writes records of accounts that are about to be deleted."""

    def __init__(self, context: Context, server: MailServer) -> None:
        self._context = context
        self._server = server

    def record(self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]], due: date) -> list[DeletedMailbox]:
        """Record the mailboxes of primary accounts, given as their rows, that the product's own mail server serves.

        Raises NotSupported if there is a mailbox to record, and no table for it.
        """
        made: list[DeletedMailbox] = []
        for start in range(0, len(accounts), _BATCH):
            batch = accounts[start : start + _BATCH]
            snapshots, usage = self._snapshots(tx, batch), self._usage(tx, batch)
            new = [
                NewRecord(
                    canonical(stored), domain_part(canonical(stored)), self._context.home_of(stored), due,
                    usage=usage.get(stored, Usage(0, 0)), snapshot=packed(snapshots[row["id_user"]]),
                )
                for row in batch
                for stored in (row["email"].lower(),)
            ]  # fmt: skip
            made += self._context.require_ledger().add(tx, new)
        return made

    def _snapshots(self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]]) -> dict[int, dict[str, Any]]:
        """Return all columns of the users' rows by user and table, those that other tools added among them."""
        users = [row["id_user"] for row in accounts]
        owner = {row["id_acct"]: row["id_user"] for row in accounts}
        found: dict[int, dict[str, Any]] = {user: defaultdict(list) for user in users}
        for name in _OF_USER:
            if self._context.schema.has(name, "id_user"):
                column = self._context.table(name).c.id_user
                for row in rows_of(tx, self._context.table(name), column.in_(users)):
                    found[row["id_user"]][name].append(row)
        for name in _OF_ACCOUNT:
            if self._context.schema.has(name):
                column = self._context.table(name).c.id_acct
                for row in rows_of(tx, self._context.table(name), column.in_(list(owner))):
                    found[owner[row["id_acct"]]][name].append(row)
        columns = self._server.aliases.c
        aliases = select(columns.id_acct, columns.alias_name, columns.alias_domain)
        for number, name, domain in tx.execute(aliases.where(columns.id_acct.in_(list(owner)))):
            found[owner[number]]["aliases"].append(canonical(f"{name}@{domain}"))
        return found

    def _usage(self, tx: Transaction, accounts: Sequence[Mapping[Any, Any]]) -> dict[str, Usage]:
        table = self._server.usage
        if table is None:
            return {}
        addresses = [row["email"].lower() for row in accounts]
        columns = table.c.name, table.c.quota_usage_bytes, table.c.quota_usage_messages
        query = select(*columns).where(table.c.name.in_(addresses))
        return {name: Usage(int(size), int(messages)) for name, size, messages in tx.execute(query)}
