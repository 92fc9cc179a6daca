"""The API server's own database: which of the services a user of webmail has.

The API server provisions a user at its first login. This does the same beforehand: a user, an identity, a row in
`Accounts`, and one service account for each service that the bit field asks for, numbered in the order mail, contacts,
calendar. Only `Accounts` is documented; the other tables are named after the numbers in the API server's log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from sqlalchemy import Select, delete, select, update

from mailstore.address import domain_part, held_address
from mailstore.driver.rights import Operation
from mailstore.errors import InvalidValue, NotFound, NotSupported
from mailstore.sql.atmail.context import Context, inserted_number, labelled
from mailstore.sql.engine import Transaction

__all__ = ["Provisioned", "Provisioning", "Service"]


class Service(IntFlag):
    """The services of the bit field PROVISION."""

    MAIL = 1
    CALENDAR = 2
    CONTACTS = 4


_IN_ORDER: Mapping[Service, str] = {
    Service.MAIL: "idMailAccount", Service.CONTACTS: "idContactAccount", Service.CALENDAR: "idCalendarAccount",
}  # fmt: skip
"""The services in the order in which they are made, with the column of `Accounts` that holds the number of each."""


@dataclass(frozen=True)
class Provisioned:
    """A user of the API server; a service that it does not have has no number."""

    address: str
    account_id: int
    user_id: int
    primary: bool
    active: bool
    mail_account_id: int | None
    calendar_account_id: int | None
    contact_account_id: int | None

    @property
    def services(self) -> Service:
        """The services that the user has."""
        numbers = {
            Service.MAIL: self.mail_account_id,
            Service.CALENDAR: self.calendar_account_id,
            Service.CONTACTS: self.contact_account_id,
        }
        return Service(sum(service for service, number in numbers.items() if number is not None))


class Provisioning:
    """Users of the API server. Its database is another one: what happens here commits by itself."""

    def __init__(self, context: Context) -> None:
        if context.apiserver is None:
            raise NotSupported("the store was opened without 'apiserver', the URL of the API server's database")
        self._context = context
        self._db, self._schema = context.apiserver.db, context.apiserver.schema
        self._accounts, self._users, self._identities, self._services = (
            self._schema[f"apiserver.{name}"] for name in ("Accounts", "Users", "Identities", "ServiceAccounts")
        )

    def provision(self, address: str, services: int | None = None, *, anew: bool = False) -> Provisioned:
        """Give an account the services that it does not have yet, and return all that it has.

        Parameters
        ----------
        address: an account of this store. Raises NotFound if there is none.
        services: the sum of 1 mail, 2 calendar and 4 contacts; if not given, what the store is configured with.
        anew: the account was just created: what is there is an earlier one's of that name, and is removed first.

        Nothing changes if all are there already. None is ever taken away otherwise.
        """
        address, wanted = held_address(address), _services(services, self._context.options.provision)
        self._require_account(address, Operation.CHANGE_ACCOUNT)
        with self._db.writing(address) as tx:
            # There may be no row of that name yet that could be locked.
            self._db.lock_name(tx, _lock_name(address))
            row = self._row(tx, address)
            if row is not None and anew:
                self._remove(tx, row)
                row = None
            row = row or self._new(tx, address)
            missing = {
                column: self._new_service(tx, row["idUsers"], service)
                for service, column in _IN_ORDER.items()
                if service in wanted and row[column] is None
            }
            if missing:
                of_user = self._accounts.c.idAccount == row["idAccount"]
                tx.execute(update(self._accounts).where(of_user).values(missing))
            return _provisioned({**row, **missing})

    def get(self, address: str) -> Provisioned:
        """Return what a user has. Raises NotFound if it was not provisioned yet."""
        address = held_address(address)
        self._require_account(address, Operation.SEE_ACCOUNT)
        with self._db.reading() as connection:
            row = connection.execute(self._named(address)).mappings().first()
        if row is None:
            raise NotFound(f"{address} is not provisioned; that happens at its first login", subject=address)
        return _provisioned(row)

    def remove(self, address: str) -> None:
        """Remove a user of the API server whose account is gone, so that a new one of that name inherits nothing.

        Contacts and calendars themselves are in other databases, under the numbers that are given up here. Raises
        InvalidValue while there is an account of that name, NotFound if it was not provisioned.
        """
        address = held_address(address)
        if self._is_account(address, Operation.DELETE_ACCOUNT):
            raise InvalidValue(f"{address} is an account; delete it first", subject=address)
        with self._db.writing(address) as tx:
            self._db.lock_name(tx, _lock_name(address))
            row = self._row(tx, address)
            if row is None:
                raise NotFound(f"{address} is not provisioned", subject=address)
            self._remove(tx, row)

    def left_over(self) -> list[str]:
        """Return the provisioned addresses that are no accounts any more."""
        accounts = self._context.table("accounts").c
        with self._db.reading() as connection:
            names = connection.execute(select(self._accounts.c.Name)).scalars().all()
        with self._context.db.reading() as connection:
            known = set(connection.execute(select(accounts.username).where(accounts.username.in_(names))).scalars())
        return sorted(set(names) - known)

    def _require_account(self, address: str, operation: Operation) -> None:
        if not self._is_account(address, operation):
            raise NotFound(f"there is no account {address}", subject=address)

    def _is_account(self, address: str, operation: Operation) -> bool:
        accounts = self._context.table("accounts").c
        with self._context.reading(operation, domain_part(address)) as connection:
            return (
                connection.execute(select(accounts.accountId).where(accounts.username == address)).first() is not None
            )

    def _named(self, address: str) -> Select[Any]:
        return select(*labelled(self._accounts)).where(self._accounts.c.Name == address)

    def _row(self, tx: Transaction, address: str) -> Mapping[Any, Any] | None:
        return tx.execute(self._named(address).with_for_update()).mappings().first()

    def _remove(self, tx: Transaction, row: Mapping[Any, Any]) -> None:
        tx.execute(delete(self._accounts).where(self._accounts.c.idAccount == row["idAccount"]))
        for table in (self._services, self._identities, self._users):
            tx.execute(delete(table).where(table.c.idUsers == row["idUsers"]))

    def _new(self, tx: Transaction, address: str) -> Mapping[Any, Any]:
        user = self._insert(tx, "Users", {"Name": address})
        row: dict[str, Any] = {"Name": address, "idUsers": user, "IsPrimary": 1, "Active": 1}
        account = self._insert(tx, "Accounts", row)
        self._insert(tx, "Identities", {"idUsers": user, "Name": address})
        return {**dict.fromkeys(_IN_ORDER.values()), **row, "idAccount": account}

    def _new_service(self, tx: Transaction, user: int, service: Service) -> int:
        return self._insert(tx, "ServiceAccounts", {"idUsers": user, "Type": service.name})

    def _insert(self, tx: Transaction, table: str, row: Mapping[str, Any]) -> int:
        return inserted_number(tx.execute(*self._schema.insertion(f"apiserver.{table}", [row])))


def _lock_name(address: str) -> str:
    """Return what to lock for an address; MySQL takes 64 characters."""
    return f"provision {hashlib.sha256(address.encode()).hexdigest()[:32]}"


def _services(given: int | None, default: int) -> Service:
    value = default if given is None else given
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= sum(Service):
        raise InvalidValue(f"services {value!r}: the sum of 1 mail, 2 calendar and 4 contacts is wanted")
    return Service(value)


def _provisioned(row: Mapping[Any, Any]) -> Provisioned:
    return Provisioned(
        address=row["Name"],
        account_id=row["idAccount"],
        user_id=row["idUsers"],
        primary=row["IsPrimary"] == 1,
        active=row["Active"] == 1,
        mail_account_id=row["idMailAccount"],
        calendar_account_id=row["idCalendarAccount"],
        contact_account_id=row["idContactAccount"],
    )
