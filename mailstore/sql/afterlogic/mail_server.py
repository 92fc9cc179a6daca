"""What the product's own mail server reads, in both of its layouts.

The bundle of version 7 reads the webmail's tables: an account in an internal domain is a mailbox. Aurora 8's connector has
tables of its own, of the same names, in a database beside: there every mailbox has a second row.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, or_, select, update

from mailstore.address import domain_part, local_part
from mailstore.errors import NotSupported
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.engine import Transaction

__all__ = ["MailServer", "Mailbox", "hashed"]

_SALT_BYTES = 8


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return a password as the connector stores it: SHA-256 of password and salt, then the salt, in hexadecimal."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return (hashlib.sha256(password.encode() + salt).digest() + salt).hex()


@dataclass(frozen=True)
class Mailbox:
    """An account as the connector sees it. ``quota`` is in KB, 0 without a limit."""

    address: str
    id_user: int
    id_domain: int
    quota: int
    disabled: int
    password: str = field(repr=False)


class MailServer:
    """Keeps the mail server's rows in step with accounts and domains; what it does not serve is left alone."""

    def __init__(self, context: Context) -> None:
        self._context = context
        connector = context.schema.connector is not None
        self.accounts: Table | None = context.schema.connected("awm_accounts") if connector else None
        self._domains = context.schema.connected("awm_domains") if connector else None

    @property
    def aliases(self) -> Table:
        """The table of aliases; ``id_acct`` in it is the webmail's account in both layouts."""
        return self._table("awm_mailaliases")

    @property
    def lists(self) -> Table:
        """The table of the members of mailing lists."""
        return self._table("awm_mailinglists")

    @property
    def usage(self) -> tuple[Table, str] | None:
        """The table that counts what mailboxes hold, and its column of bytes; None if there is none."""
        if self.accounts is not None:
            return self._context.schema.connected("awm_account_quotas"), "mail_quota_usage_bytes"
        if not self._context.schema.has("awm_account_quotas"):
            return None
        return self._context.table("awm_account_quotas"), "quota_usage_bytes"

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

    def add_domain(self, tx: Transaction, number: int, tenant: int, name: str) -> None:
        """Let it serve a new domain, under the webmail's number of it."""
        if self._domains is not None:
            self._context.insert(tx, self._domains, {"id_domain": number, "id_tenant": tenant, "name": name})

    def remove_domain(self, tx: Transaction, number: int) -> None:
        """Remove a domain, with its mailing lists; its mailboxes are removed with their accounts."""
        if self._domains is None or self.accounts is None:
            return
        lists = self.accounts.c.id_domain == number, self.accounts.c.mailing_list == 1
        members = self.lists.c.id_acct.in_(select(self.accounts.c.id_acct).where(*lists))
        tx.execute(delete(self.lists).where(members))
        tx.execute(delete(self.accounts).where(*lists))
        tx.execute(delete(self._domains).where(self._domains.c.id_domain == number))

    def add(self, tx: Transaction, mailboxes: Sequence[Mailbox]) -> None:
        """Make the mailboxes of new accounts."""
        if self.accounts is None:
            return
        rows = [
            {
                "email": new.address, "password": hashed(new.password), "id_user": new.id_user,
                "id_domain": new.id_domain, "mail_quota_kb": new.quota, "deleted": new.disabled, "mailing_list": 0,
            }
            for new in mailboxes
        ]  # fmt: skip
        self._context.insert(tx, self.accounts, rows)

    def change(
        self,
        tx: Transaction,
        address: str,
        *,
        password: str | None = None,
        quota: int | None = None,
        disabled: int | None = None,
    ) -> None:
        """Change a mailbox; what is None stays."""
        given = {
            "password": None if password is None else hashed(password), "mail_quota_kb": quota, "deleted": disabled,
        }  # fmt: skip
        values = {name: value for name, value in given.items() if value is not None}
        if self.accounts is not None and values:
            tx.execute(update(self.accounts).where(self.accounts.c.email == address).values(values))

    def switch_domain(self, tx: Transaction, number: int, disabled: int) -> None:
        """Let all mailboxes of a domain log in, or none."""
        if self.accounts is not None:
            mailboxes = self.accounts.c.id_domain == number, self.accounts.c.mailing_list == 0
            tx.execute(update(self.accounts).where(*mailboxes).values(deleted=disabled))

    def set_passwords(self, tx: Transaction, addresses: Collection[str], password: str) -> None:
        """Give mailboxes this password, each with a salt of its own."""
        if self.accounts is None or not addresses:
            return
        mine = update(self.accounts).where(self.accounts.c.email == bindparam("address"))
        rows = [{"address": address, "hash": hashed(password)} for address in addresses]
        tx.execute(mine.values(password=bindparam("hash")), rows)

    def remove(self, tx: Transaction, addresses: Collection[str], numbers: Collection[int]) -> None:
        """Remove mailboxes with their aliases and what was counted; `numbers` are the accounts' in the webmail.

        The bundle's rows are the webmail's, which removes them with everything of its users.
        """
        if self.accounts is None:
            return
        usage = self._context.schema.connected("awm_account_quotas")
        tx.execute(delete(self.aliases).where(self.aliases.c.id_acct.in_(numbers)))
        tx.execute(delete(self.accounts).where(self.accounts.c.email.in_(addresses)))
        tx.execute(delete(usage).where(usage.c.name.in_(addresses)))

    def aliases_of(self, tx: Transaction, numbers: Collection[int]) -> list[str]:
        """Return the further addresses of the accounts of these numbers."""
        columns = self.aliases.c
        query = select(columns.alias_name, columns.alias_domain).where(columns.id_acct.in_(numbers))
        return [f"{name}@{domain}".lower() for name, domain in tx.execute(query)]

    def add_aliases(self, tx: Transaction, number: int, address: str, aliases: Collection[str]) -> None:
        """Give the account of this number and address further addresses."""
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

    def remove_aliases_under(self, tx: Transaction, domain: str) -> None:
        """Remove the aliases of all accounts that lie in a domain."""
        tx.execute(delete(self.aliases).where(self._context.same(self.aliases.c.alias_domain, domain)))

    def _called(self, alias: str) -> ColumnElement[bool]:
        columns, same = self.aliases.c, self._context.same
        return and_(same(columns.alias_name, local_part(alias)), same(columns.alias_domain, domain_part(alias)))

    def _table(self, name: str) -> Table:
        return self._context.schema.connected(name) if self.accounts is not None else self._context.table(name)
