"""Deleting accounts: everything of their users goes, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import delete, func, select

from mailstore.errors import InvalidValue
from mailstore.model import DeletedMailbox
from mailstore.sql.afterlogic.belongings import Belongings, Owners
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.records import Retention
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.engine import Transaction

__all__ = ["Deletion"]

_BATCH = 500


class Deletion:
    """Removes primary accounts with those linked to them, single linked ones, and mailing lists."""

    def __init__(self, context: Context, server: MailServer) -> None:
        self._context = context
        self._server = server
        self._belongings = Belongings(context)
        self._retention = Retention(context, server)
        self._accounts = context.table("awm_accounts")
        self._users = context.table("a_users")

    def users(
        self,
        tx: Transaction,
        primary: Sequence[Mapping[Any, Any]],
        due: date,
        *,
        served: bool,
        domain_record: int | None = None,
    ) -> list[DeletedMailbox]:
        """Delete users by the locked rows of their primary accounts; mailboxes of the mail server are recorded."""
        made: list[DeletedMailbox] = []
        for start in range(0, len(primary), _BATCH):
            batch = primary[start : start + _BATCH]
            self._refuse_helpdesk(tx, [row["email"].lower() for row in batch])
            if served:
                # The records are written first: they copy what is about to go.
                made += self._retention.record(tx, batch, due, domain_record)
            self._remove(tx, batch)
        return made

    def linked(self, tx: Transaction, numbers: Sequence[int]) -> None:
        """Delete accounts that are linked to primary ones; their users stay."""
        if numbers:
            self._belongings.remove(tx, Owners(numbers))
            tx.execute(delete(self._accounts).where(self._accounts.c.id_acct.in_(numbers)))

    def lists(self, tx: Transaction, domain: int) -> None:
        """Delete the mailing lists of a domain."""
        lists = self._accounts.c.id_domain == domain, self._accounts.c.mailing_list == 1
        found = tx.execute(select(self._accounts.c.id_acct, self._accounts.c.email).where(*lists)).all()
        if not found:
            return
        numbers = [number for number, _ in found]
        self._belongings.remove(tx, Owners(numbers, named=spellings(canonical(email) for _, email in found)))
        book = self._context.table("awm_addr_book")
        names = [str(number) for number in numbers]
        tx.execute(delete(book).where(book.c.type == 3, book.c.type_id.in_(names)))
        tx.execute(delete(self._accounts).where(*lists))

    def _remove(self, tx: Transaction, primary: Sequence[Mapping[Any, Any]]) -> None:
        users = [row["id_user"] for row in primary]
        all_accounts = select(self._accounts.c.id_acct).where(self._accounts.c.id_user.in_(users))
        numbers = tx.execute(all_accounts).scalars().all()
        addresses = self._spellings(tx, primary)
        aliases = spellings(self._server.aliases_of(tx, [row["id_acct"] for row in primary]))
        self._belongings.remove(tx, Owners(numbers, users, addresses, [*addresses, *aliases]))
        tx.execute(delete(self._accounts).where(self._accounts.c.id_user.in_(users)))
        tx.execute(delete(self._users).where(self._users.c.id_user.in_(users)))

    def _spellings(self, tx: Transaction, primary: Sequence[Mapping[Any, Any]]) -> Sequence[str]:
        """Return every form of the addresses of these accounts, but those in which somebody else's account is stored."""
        stored = {row["email"].lower() for row in primary}
        others = set(spellings(map(canonical, stored))) - stored
        if not others:
            return sorted(stored)
        columns = self._accounts.c
        held = select(columns.email).where(self._context.one_of(columns.email, others), columns.def_acct == 1)
        taken = {email.lower() for email in tx.execute(held).scalars()}
        return sorted(stored | (others - taken))

    def _refuse_helpdesk(self, tx: Transaction, addresses: Sequence[str]) -> None:
        """Raise InvalidValue if a tenant's helpdesk sends its mail through one of the accounts, as the product does."""
        if not self._context.schema.has("awm_tenants", "hd_admin_email_account"):
            return
        tenants = self._context.table("awm_tenants").c
        used = func.lower(tenants.hd_admin_email_account).in_(addresses)
        found = tx.execute(select(tenants.hd_admin_email_account).where(used).limit(1)).scalar()
        if found:
            raise InvalidValue(f"{found} is the account of a helpdesk; give that another one first", subject=found)
