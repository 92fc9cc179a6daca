"""What the product's own mail server reads.

The bundle of version 7 reads the webmail's tables: an account in an internal domain is a mailbox.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select

from mailstore.address import domain_part, local_part
from mailstore.errors import NotSupported
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.spelling import canonical
from mailstore.sql.engine import Transaction

__all__ = ["MailServer"]


class MailServer:
    """The aliases of accounts that the mail server serves, and what it counts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.aliases: Table = context.table("awm_mailaliases")
        self.lists: Table | None = context.table("awm_mailinglists") if context.schema.has("awm_mailinglists") else None
        """The table of the members of mailing lists; None if there is none."""
        self.usage: Table | None = (
            context.table("awm_account_quotas") if context.schema.has("awm_account_quotas") else None
        )
        """The table that counts what mailboxes hold; None if there is none."""

    @property
    def serves_new_domains(self) -> bool:
        """Whether domains are served by it unless the caller says otherwise."""
        return self._context.config.mta != "none"

    @staticmethod
    def serves(domain: Mapping[Any, Any]) -> bool:
        """Tell whether it serves a domain, given as its row."""
        return bool(domain["is_internal"])

    def require(self, domain: Mapping[Any, Any] | None, address: str) -> None:
        """Raise NotSupported unless it serves the domain of an address, so that aliases mean something there."""
        if domain is None or not self.serves(domain):
            raise NotSupported(
                f"{address}: its domain is not served by the product's own mail server; aliases are the other one's",
                subject=address,
            )

    def aliases_of(self, tx: Transaction, numbers: Collection[int]) -> list[str]:
        """Return the further addresses of the accounts of these numbers."""
        columns = self.aliases.c
        query = select(columns.alias_name, columns.alias_domain).where(columns.id_acct.in_(numbers))
        return [canonical(f"{name}@{domain}") for name, domain in tx.execute(query)]

    def add_aliases(self, tx: Transaction, number: int, address: str, aliases: Collection[str]) -> None:
        """Give the account of this number, and of this address as it is stored, further addresses."""
        rows = [
            {
                "id_acct": number,
                "alias_name": local_part(alias),
                "alias_domain": domain_part(alias),
                "alias_to": address,
            }
            for alias in sorted(aliases)
        ]
        self._context.insert(tx, self.aliases, rows)

    def remove_aliases(self, tx: Transaction, number: int, aliases: Collection[str]) -> None:
        """Take further addresses from the account of this number."""
        if aliases:
            called = or_(*(self._called(alias) for alias in sorted(aliases)))
            tx.execute(delete(self.aliases).where(self.aliases.c.id_acct == number, called))

    def remove_aliases_under(self, tx: Transaction, domain: str) -> list[str]:
        """Remove the aliases that accounts elsewhere have in a domain, and return them."""
        here, name = self._context.same(self.aliases.c.alias_domain, domain), self.aliases.c.alias_name
        found = [f"{alias}@{domain}".lower() for alias in tx.execute(select(name).where(here)).scalars()]
        if found:
            tx.execute(delete(self.aliases).where(here))
        return found

    def _called(self, alias: str) -> ColumnElement[bool]:
        columns = self.aliases.c
        named = self._context.one_of(columns.alias_name, [local_part(alias)])
        return and_(named, self._context.same(columns.alias_domain, domain_part(alias)))
