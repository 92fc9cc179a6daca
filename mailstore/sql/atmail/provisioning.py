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

from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, select, text, update
from sqlalchemy.dialects import mysql

from mailstore.address import account_address, domain_part
from mailstore.errors import InvalidValue, NotFound, NotSupported, SchemaMismatch
from mailstore.sql.atmail.context import Context
from mailstore.sql.engine import Database, Transaction

__all__ = ["Provisioned", "Provisioning", "Service", "create_schema", "require_schema"]

_KEY = mysql.INTEGER(unsigned=True)
_COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"


class Service(IntFlag):
    """The services of the bit field PROVISION."""

    MAIL = 1
    CALENDAR = 2
    CONTACTS = 4


_IN_ORDER: Mapping[Service, str] = {
    Service.MAIL: "idMailAccount", Service.CONTACTS: "idContactAccount", Service.CALENDAR: "idCalendarAccount",
}  # fmt: skip
"""The services in the order in which they are made, with the column of `Accounts` that holds the number of each."""

_METADATA = MetaData()
_USERS = Table(
    "Users", _METADATA, Column("idUsers", _KEY, primary_key=True), Column("Name", String(255), nullable=False),
)  # fmt: skip
_IDENTITIES = Table(
    "Identities", _METADATA, Column("idIdentity", _KEY, primary_key=True),
    Column("idUsers", _KEY, nullable=False, index=True), Column("Name", String(255), nullable=False),
)  # fmt: skip
_SERVICES = Table(
    "ServiceAccounts", _METADATA, Column("idServiceAccount", _KEY, primary_key=True),
    Column("idUsers", _KEY, nullable=False, index=True), Column("Type", String(16), nullable=False),
)  # fmt: skip
_ACCOUNTS = Table(
    "Accounts", _METADATA, Column("idAccount", _KEY, primary_key=True), Column("idUsers", _KEY, nullable=False),
    Column("Name", String(255), nullable=False, unique=True),
    Column("IsPrimary", Integer, nullable=False, server_default=text("1")),
    Column("Active", Integer, nullable=False, server_default=text("1")),
    *(Column(name, _KEY) for name in _IN_ORDER.values()),
)  # fmt: skip


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


def create_schema(db: Database) -> list[str]:
    """Make the tables in an empty database. Raises SchemaMismatch if one is there already. Returns their names."""
    with db.writing() as tx:
        present = {row[0] for row in tx.execute(text(_COLUMNS))} & set(_METADATA.tables)
        if present:
            raise SchemaMismatch(
                f"the API server's database has {', '.join(sorted(present))} already; nothing was made"
            )
        _METADATA.create_all(tx.connection, checkfirst=False)
    return sorted(f"apiserver: {name}" for name in _METADATA.tables)


def require_schema(db: Database) -> None:
    """Raise SchemaMismatch if the API server's database lacks something."""
    with db.reading() as connection:
        live = {(str(table), str(column)) for table, column in connection.execute(text(_COLUMNS))}
    needed = {(name, column.name) for name, table in _METADATA.tables.items() for column in table.c}
    missing = sorted(f"{table}.{column}" for table, column in needed - live)
    if missing:
        raise SchemaMismatch(
            f"the API server's database lacks {', '.join(missing)}; open the store without 'apiserver'"
        )


class Provisioning:
    """Users of the API server. Its database is another one: what happens here commits by itself."""

    def __init__(self, context: Context) -> None:
        if context.apiserver is None:
            raise NotSupported("the store was opened without 'apiserver', the URL of the API server's database")
        self._context = context
        self._db = context.apiserver

    def provision(self, address: str, services: int | None = None) -> Provisioned:
        """Give an account the services that it does not have yet, and return all that it has.

        Parameters
        ----------
        address: an account of this store. Raises NotFound if there is none.
        services: the sum of 1 mail, 2 calendar and 4 contacts; if not given, what the store is configured with.

        Nothing changes if all are there already. None is ever taken away.
        """
        address, wanted = account_address(address), _services(services, self._context.options.provision)
        self._require_account(address, "account.edit")
        with self._db.writing(address) as tx:
            # There may be no row of that name yet that could be locked.
            self._db.lock_name(tx, _lock_name(address))
            row = self._row(tx, address) or self._new(tx, address)
            missing = {
                column: self._new_service(tx, row["idUsers"], service)
                for service, column in _IN_ORDER.items()
                if service in wanted and row[column] is None
            }
            if missing:
                tx.execute(update(_ACCOUNTS).where(_ACCOUNTS.c.idAccount == row["idAccount"]).values(missing))
            return _provisioned({**row, **missing})

    def get(self, address: str) -> Provisioned:
        """Return what a user has. Raises NotFound if it was not provisioned yet."""
        address = account_address(address)
        self._require_account(address, "account.view")
        with self._db.reading() as connection:
            row = connection.execute(select(_ACCOUNTS).where(_ACCOUNTS.c.Name == address)).mappings().first()
        if row is None:
            raise NotFound(f"{address} is not provisioned; that happens at its first login", subject=address)
        return _provisioned(row)

    def remove(self, address: str) -> None:
        """Remove a user of the API server whose account is gone, so that a new one of that name inherits nothing.

        Contacts and calendars themselves are in other databases, under the numbers that are given up here. Raises
        InvalidValue while there is an account of that name, NotFound if it was not provisioned.
        """
        address = account_address(address)
        if self._is_account(address, "account.delete"):
            raise InvalidValue(f"{address} is an account; delete it first", subject=address)
        with self._db.writing(address) as tx:
            self._db.lock_name(tx, _lock_name(address))
            row = self._row(tx, address)
            if row is None:
                raise NotFound(f"{address} is not provisioned", subject=address)
            tx.execute(delete(_ACCOUNTS).where(_ACCOUNTS.c.idAccount == row["idAccount"]))
            for table in (_SERVICES, _IDENTITIES, _USERS):
                tx.execute(delete(table).where(table.c.idUsers == row["idUsers"]))

    def left_over(self) -> list[str]:
        """Return the provisioned addresses that are no accounts any more."""
        accounts = self._context.table("accounts").c
        with self._db.reading() as connection:
            names = connection.execute(select(_ACCOUNTS.c.Name)).scalars().all()
        with self._context.db.reading() as connection:
            known = set(connection.execute(select(accounts.username).where(accounts.username.in_(names))).scalars())
        return sorted(set(names) - known)

    def _require_account(self, address: str, permission: str) -> None:
        if not self._is_account(address, permission):
            raise NotFound(f"there is no account {address}", subject=address)

    def _is_account(self, address: str, permission: str) -> bool:
        accounts = self._context.table("accounts").c
        with self._context.reading(permission, domain_part(address)) as connection:
            return (
                connection.execute(select(accounts.accountId).where(accounts.username == address)).first() is not None
            )

    @staticmethod
    def _row(tx: Transaction, address: str) -> Mapping[Any, Any] | None:
        return tx.execute(select(_ACCOUNTS).where(_ACCOUNTS.c.Name == address).with_for_update()).mappings().first()

    @staticmethod
    def _new(tx: Transaction, address: str) -> Mapping[Any, Any]:
        user = _number(tx.execute(insert(_USERS).values(Name=address)))
        row: dict[str, Any] = {"Name": address, "idUsers": user, "IsPrimary": 1, "Active": 1}
        account = _number(tx.execute(insert(_ACCOUNTS).values(row)))
        tx.execute(insert(_IDENTITIES).values(idUsers=user, Name=address))
        return {**dict.fromkeys(_IN_ORDER.values()), **row, "idAccount": account}

    @staticmethod
    def _new_service(tx: Transaction, user: int, service: Service) -> int:
        return _number(tx.execute(insert(_SERVICES).values(idUsers=user, Type=service.name)))


def _lock_name(address: str) -> str:
    """Return what to lock for an address; MySQL takes 64 characters."""
    return f"provision {hashlib.sha256(address.encode()).hexdigest()[:32]}"


def _number(result: Any) -> int:
    return int(result.inserted_primary_key[0])


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
