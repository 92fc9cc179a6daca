"""Bringing a deleted account back from its record: its user, the accounts linked to it, its aliases and contacts.

Numbers may have been given away meanwhile, so that the user and its accounts get new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, exists, insert, select

from mailstore.address import domain_part
from mailstore.model import DeletedMailbox
from mailstore.purge import find_mail
from mailstore.sql.afterlogic.accounts.new import NewAccount
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.schema.user_data import KEPT_OF_ACCOUNTS, KEPT_OF_USERS, POINTERS
from mailstore.sql.afterlogic.tenants import TenantLimits
from mailstore.sql.engine import Transaction
from mailstore.sql.snapshots import Restored, unpacked

__all__ = ["Restoration"]

_Row = Mapping[str, Any]
_NOWHERE = {"is_internal": 0}


class Restoration:
    """One restore, within the transaction that has the record locked."""

    def __init__(
        self, context: Context, tx: Transaction, record: DeletedMailbox, names: NameSpace, server: MailServer
    ) -> None:
        self._context = context
        self._tx = tx
        self._record = record
        self._names = names
        self._server = server
        self._restored = Restored(context.db, tx)

    def run(self, snapshot: str) -> None:
        """Insert the account and what belongs to it."""
        rows: Mapping[str, list[_Row]] = unpacked(snapshot)
        address, aliases = self._record.address, [str(alias) for alias in rows.get("aliases", ())]
        domains = self._names.lock_domains(self._tx, {domain_part(address), *map(domain_part, aliases)})
        domain = domains.get(domain_part(address))
        if domain is None:
            raise self._names.no_such_domain(domain_part(address))
        self._server.require(domain, address)
        self._names.refuse_taken(self._tx.connection, address, served=True, restoring=True)
        self.find_mail()
        number = self._insert_user(rows, domain)
        served = [alias for alias in aliases if self._server.serves(domains.get(domain_part(alias), _NOWHERE))]
        gone = self._names.taken(self._tx.connection, served, served)
        stored = _primary(rows)["email"].lower()
        self._server.add_aliases(self._tx, number, stored, [alias for alias in served if alias not in gone])
        self._restored.tell(address)

    def _insert_user(self, rows: Mapping[str, list[_Row]], domain: _Row) -> int:
        """Insert a new user with everything of the old one. Returns the number of the primary account."""
        users, accounts = self._context.table("a_users"), rows["awm_accounts"]
        made: Any = self._tx.execute(insert(users).values(deleted=0))
        user = int(made.inserted_primary_key[0])
        place = {"id_user": user, "id_domain": domain["id_domain"], "id_tenant": domain["id_tenant"]}
        primary = _primary(rows)
        self._check_tenant(primary, domain)
        numbers = {
            row["id_acct"]: self._insert("awm_accounts", {**row, "id_user": user}) for row in accounts if row != primary
        }
        numbers[primary["id_acct"]] = number = self._insert("awm_accounts", {**primary, **place})
        for name in (*KEPT_OF_USERS, *KEPT_OF_ACCOUNTS):
            for row in rows.get(name, ()) if name != "awm_accounts" else ():
                new = {column: user for column in ("id_user", "user_id") if column in row}
                new |= {
                    column: numbers.get(row[column], number) for column in ("id_acct", "account_id") if column in row
                }
                self._insert(name, {**row, **new})
        self._insert_contact(primary, place)
        self._insert_pointers(rows)
        return number

    def _check_tenant(self, primary: _Row, domain: _Row) -> None:
        limits = TenantLimits(self._context)
        limits.check_accounts(self._tx, domain["id_tenant"], adding=1, kilobytes=primary["quota"])

    def _insert_contact(self, primary: _Row, place: _Row) -> None:
        """Insert the entry in the global address book anew."""
        new = NewAccount.contact_row(place, primary["email"].lower(), primary["friendly_nm"] or "")
        book = self._context.table("awm_addr_book")
        row = self._context.present("awm_addr_book", {**new, "type_id": str(place["id_user"])})
        self._tx.execute(insert(book).values(row))

    def _insert(self, name: str, row: _Row) -> int:
        """Insert a row of a snapshot with all the columns it had. Returns its new number."""
        if not self._context.schema.has(name):
            return 0
        return self._restored.insert(self._context.table(name), row, key={**KEPT_OF_USERS, **KEPT_OF_ACCOUNTS}[name])

    def _insert_pointers(self, rows: Mapping[str, list[_Row]]) -> None:
        """Insert again what others had written about the account, if it is still theirs and nobody wrote it meanwhile."""
        accounts = self._context.table("awm_accounts").c
        for name, column, whose in POINTERS:
            for row in rows.get(f"pointers of {name}", ()) if self._context.schema.has(name) else ():
                table = self._context.table(name)
                same = and_(table.c.id_acct == row["id_acct"], table.c[column] == row[column])
                query = select(accounts.email).where(accounts.id_acct == row["id_acct"], ~exists().where(same))
                owner = self._tx.execute(query).scalar()
                if owner is not None and owner.lower() == "@".join(str(row[part]) for part in whose).lower():
                    self._restored.insert(table, row, key="id")

    def find_mail(self) -> None:
        """Make sure that the mail is there. Raises HomeError."""
        find_mail(self._context.homes, self._record)


def _primary(rows: Mapping[str, list[_Row]]) -> _Row:
    """Return the account of a snapshot to which the others are linked."""
    return next(row for row in rows["awm_accounts"] if row["def_acct"])
