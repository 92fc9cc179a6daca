"""Admins of a box: users with the privilege ``admin``, who may do everything. There are no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import Connection, select, update

from mailstore import store
from mailstore.address import held_address
from mailstore.driver.logins import is_right
from mailstore.errors import NotFound, NotSupported
from mailstore.fields import AdminFields, reject_unknown, reject_unsupported
from mailstore.model import Account, Admin
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox import rights as privileges
from mailstore.sql.mailinabox.accounts.collection import Accounts
from mailstore.sql.mailinabox.accounts.creation import new_secret
from mailstore.sql.mailinabox.context import Context

__all__ = ["Admins"]


class Admins(store.Admins):
    """See `mailstore.store.Admins`."""

    fields = frozenset({"global_admin"})

    def __init__(self, context: Context, accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts
        self._users = context.table("users")

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        raise NotSupported(f"{address}: the admins of a box are accounts of it; create an account and promote it")

    def promote(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        address = held_address(address)
        self._check(fields)
        secret = new_secret(self._context, password, password_hash)
        if not fields.get("global_admin"):
            raise NotSupported(
                f"{address}: an admin of a box may do everything; promote it as global_admin, or not at all"
            )
        with self._context.writing(address) as tx:
            rights = self._rights(tx, address)
            if privileges.ADMIN not in rights:
                self._write(tx, address, [*rights, privileges.ADMIN])
            if secret is not None:
                tx.execute(update(self._users).where(self._users.c.email == address).values(password=secret.hash))
        return self.get(address)

    def demote(self, address: str) -> None:
        address = held_address(address)
        with self._context.writing(address) as tx:
            rights = self._rights(tx, address)
            if privileges.ADMIN not in rights:
                raise self._no_such_admin(address)
            self._write(tx, address, [right for right in rights if right != privileges.ADMIN])

    def get(self, address: str) -> Admin:
        address = held_address(address)
        with self._context.reading() as connection:
            if not self._is_admin(connection, address):
                raise self._no_such_admin(address)
        return _admin(address)

    def list(self, *, domain: str | None = None, search: str | None = None, after: str = "") -> Iterator[Admin]:
        if domain is None:  # nobody is listed as the admin of a single domain
            yield from (_admin_of(account) for account in self._accounts.list(search=search, admins=True, after=after))

    def count(self, *, domain: str | None = None, search: str | None = None) -> int:
        return self._accounts.count(search=search, admins=True) if domain is None else 0

    def exists(self, address: str) -> bool:
        with self._context.reading() as connection:
            return self._is_admin(connection, held_address(address))

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        self._check(fields)
        if fields.get("global_admin") is False:
            raise NotSupported(f"{address}: an admin of a box may do everything; to take that away, demote it")
        admin = self.get(address)
        self._accounts.update(admin.address, password=password, password_hash=password_hash)
        return admin

    def delete(self, address: str) -> None:
        admin = self.get(address)
        message = f"{admin.address} is an account with admin rights; demote it, or delete the account"
        raise NotFound(message, subject=admin.address)

    def add_to_domain(self, domain: str, admins: Iterable[str]) -> None:
        raise self._no_domain_admins(domain)

    def remove_from_domain(self, domain: str, admins: Iterable[str] | None = None) -> None:
        raise self._no_domain_admins(domain)

    def verify_password(self, address: str, password: str) -> bool:
        return self._accounts.verify_password(self.get(address).address, password)

    def password_hash(self, address: str) -> str:
        return self._accounts.password_hash(self.get(address).address)

    def login(self, address: str, password: str) -> Admin | None:
        address = held_address(address)
        query = select(self._users.c.email, self._users.c.password).where(privileges.is_admin(self._context.schema))
        with self._context.reading() as connection:
            hashes = {email: str(stored or "") for email, stored in connection.execute(query).all()}
        stored = [hashes[address]] if address in hashes else None
        right = is_right(password, stored, hashes.values(), self._context.config.password_scheme)
        return _admin(address) if right else None

    def _check(self, fields: Mapping[str, Any]) -> None:
        self._context.require("users", "privileges", "admins")
        reject_unknown(fields, AdminFields)
        reject_unsupported(fields, self.fields, _admin(""), self._context.name)

    def _rights(self, tx: Transaction, address: str) -> Sequence[str]:
        self._context.require("users", "privileges", "admins")
        row = tx.execute(select(self._users.c.privileges).where(self._users.c.email == address)).first()
        if row is None:
            raise NotFound(f"there is no account {address}", subject=address)
        return privileges.listed(row[0])

    def _write(self, tx: Transaction, address: str, rights: Iterable[str]) -> None:
        values = {"privileges": privileges.joined([*rights])}
        tx.execute(update(self._users).where(self._users.c.email == address).values(values))

    def _is_admin(self, connection: Connection, address: str) -> bool:
        condition = (self._users.c.email == address, privileges.is_admin(self._context.schema))
        return connection.execute(select(self._users.c.id).where(*condition)).first() is not None

    @staticmethod
    def _no_such_admin(address: str) -> NotFound:
        return NotFound(f"there is no admin {address}", subject=address)

    @staticmethod
    def _no_domain_admins(domain: str) -> NotSupported:
        return NotSupported(f"{domain}: the admins of a box may do everything; there are none of single domains")


def _admin(address: str) -> Admin:
    return Admin(address=address, kind="account", global_admin=True)


def _admin_of(account: Account) -> Admin:
    return _admin(account.address)
