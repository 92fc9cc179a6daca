"""A change to one account: its columns, its user's settings, its aliases, and what the mail server keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from mailstore.address import alias_address, domain_part
from mailstore.driver.holders import refuse_self
from mailstore.driver.names import Wanted, settled, wanted_in
from mailstore.driver.values import checked, now
from mailstore.errors import InvalidValue
from mailstore.model import Edit
from mailstore.sql.afterlogic.accounts.new import COLUMNS, require_supported, stored_password
from mailstore.sql.afterlogic.belongings import Belongings, Owners
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.settings import ACCOUNT_COLUMNS, CAPABILITIES, INHERITED, AccountSettings, columns_of
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.afterlogic.tenants import TenantLimits
from mailstore.sql.engine import Transaction

__all__ = ["AccountChange"]


class AccountChange:
    """The parameters of `Accounts.update`, checked before the database is asked anything."""

    def __init__(
        self, context: Context, address: str, password: str | None, password_hash: str | None, fields: Mapping[str, Any]
    ) -> None:
        fields = dict(fields)
        settings = fields.pop("settings", None) or AccountSettings()
        require_supported(fields)
        self._context = context
        self._address = address
        self._settings = settings
        self._columns = checked(fields, COLUMNS) | columns_of(settings, ACCOUNT_COLUMNS)
        stored = stored_password(password, password_hash)
        if stored is not None:
            self._columns |= context.present("awm_accounts", {"mail_inc_pass": stored, "is_password_specified": 1})
        context.require("awm_accounts", self._columns)
        self._aliases = wanted_in(fields, "aliases", alias_address)
        if settings.parent is not None or settings.default_domain is not None:
            raise InvalidValue(
                f"{address}: an account is linked or placed when it is created, not later", subject=address
            )

    @property
    def domains(self) -> set[str]:
        """The domains that must be locked for the change, besides the account; none for most changes."""
        names = self._aliases
        if names is None:
            return {domain_part(self._address)} if "quota" in self._columns else set()
        new = names.add if isinstance(names, Edit) else names
        return {domain_part(self._address), *map(domain_part, new)}

    def apply(
        self, tx: Transaction, row: Mapping[Any, Any], domains: Mapping[str, Mapping[Any, Any]], parts: Parts
    ) -> None:
        """Write the change to the locked account `row`; `domains` are those that exist of the ones to lock."""
        self._refuse_inherited(row)
        if "quota" in self._columns:
            limits = TenantLimits(self._context)
            quota = self._columns["quota"]
            limits.check_accounts(tx, row["id_tenant"], adding=0, kilobytes=quota, without=row["id_acct"])
        accounts = self._context.table("awm_accounts")
        if self._columns:
            tx.execute(update(accounts).where(accounts.c.id_acct == row["id_acct"]).values(self._columns))
        if self._settings.capabilities is not None:
            users = self._context.table("awm_settings")
            values = {"capa": CAPABILITIES(self._settings.capabilities).upper()}
            tx.execute(update(users).where(users.c.id_user == row["id_user"]).values(values))
        if "friendly_nm" in self._columns and not self._context.installation.lite:
            self._rename_contact(tx, row["id_user"])
        if self._aliases is not None:
            self._change_aliases(tx, self._aliases, row, domains, parts)

    def _refuse_inherited(self, row: Mapping[Any, Any]) -> None:
        """Raise InvalidValue for mail servers of its own in a domain: they would be stored, and never have an effect."""
        given = [name for name in INHERITED if getattr(self._settings, name) is not None]
        if given and row["id_domain"]:
            raise InvalidValue(
                f"{self._address}: {given[0]} is decided by its domain; update that", subject=self._address
            )

    def _rename_contact(self, tx: Transaction, user: int) -> None:
        """Give the user's entry in the global address book the new name; only Aurora does so."""
        book = self._context.table("awm_addr_book")
        entry = book.c.type == 2, book.c.type_id == str(user)
        values = {"fullname": self._columns["friendly_nm"], "date_modified": now()}
        tx.execute(update(book).where(*entry).values(self._context.present("awm_addr_book", values)))

    def _change_aliases(
        self,
        tx: Transaction,
        aliases: Wanted,
        row: Mapping[Any, Any],
        domains: Mapping[str, Mapping[Any, Any]],
        parts: Parts,
    ) -> None:
        columns, number = parts.server.aliases.c, row["id_acct"]
        query = select(columns.alias_name + "@" + columns.alias_domain).where(columns.id_acct == number)
        present = {canonical(alias) for alias in tx.execute(query).scalars()}
        after = set(settled(aliases, present))
        refuse_self(self._address, after - present)
        new = after - present
        if new:
            own = domains.get(domain_part(self._address))
            if own is None:
                raise parts.names.no_such_domain(domain_part(self._address))
            parts.server.require(own, self._address)
            parts.names.lock_aliases(tx, domains, sorted(new))
        gone = present - after
        if gone:  # whoever gets one of them next must not get what is meant for this account
            Belongings(self._context).remove(tx, Owners([], named=spellings(gone)))
        parts.server.remove_aliases(tx, number, gone)
        parts.server.add_aliases(tx, number, row["email"].lower(), new)


class Parts:
    """The other parts of the driver that a change uses."""

    def __init__(self, names: NameSpace, server: MailServer) -> None:
        self.names = names
        self.server = server
