"""Mail users: the table `users`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, Unpack

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    false,
    func,
    not_,
    select,
    true,
    update,
)

from mailstore import passwords, store
from mailstore.address import held_address, held_domain
from mailstore.driver.secret import Secret
from mailstore.driver.values import either, sought
from mailstore.errors import NotFound, NotSupported
from mailstore.fields import AccountFields, BulkAccountFields, reject_unknown, reject_unsupported
from mailstore.model import Account, DeletedMailbox
from mailstore.sql.driver import as_stored, refuse_twin
from mailstore.sql.engine import Transaction
from mailstore.sql.lenient import is_text
from mailstore.sql.mailinabox import rights
from mailstore.sql.mailinabox.accounts.creation import BLANK, SUPPORTED, Creation, columns_of, new_secret
from mailstore.sql.mailinabox.accounts.rows import AccountRows
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.names.references import References
from mailstore.sql.mailinabox.records import Retention
from mailstore.sql.paging import pages
from mailstore.sql.snapshots import rows_of

__all__ = ["Accounts"]

Conditions: TypeAlias = "list[ColumnElement[bool]]"  # `list` is the name of a method below
_HOMES_PAGE = 5000


class Accounts(store.Accounts):
    """See `mailstore.store.Accounts`."""

    fields = SUPPORTED

    def __init__(self, context: Context, retention: Retention) -> None:
        self._context = context
        self._retention = retention
        self._rows = AccountRows(context)
        self._creation = Creation(context, retention)
        self._references = References(context.schema)
        self._users = context.table("users")

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        home: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        new = self._creation.parsed(address, password, password_hash, home, fields)
        with self._context.changing(new.address) as tx:
            self._creation.one(tx, new)
            return self._get(tx.connection, new.address)

    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        return self._creation.many(accounts)

    def get(self, address: str) -> Account:
        address = self._named(address)
        with self._context.reading() as connection:
            return self._get(connection, address)

    def find(self, addresses: Collection[str]) -> Mapping[str, Account]:
        condition = self._users.c.email.in_([*addresses])
        return {account.address: account for page in self._rows.pages(condition, "") for account in page}

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
        after: str = "",
    ) -> Iterator[Account]:
        for page in self._rows.pages(self._condition(domain, search, enabled, admins), sought(after, "after")):
            yield from page

    def count(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
    ) -> int:
        query = select(func.count()).select_from(self._users)
        with self._context.reading() as connection:
            return connection.execute(query.where(self._condition(domain, search, enabled, admins))).scalar_one()

    def exists(self, address: str) -> bool:
        query = select(self._users.c.id).where(self._users.c.email == self._named(address))
        with self._context.reading() as connection:
            return connection.execute(query).first() is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        address, columns = self._named(address), columns_of(self._context, fields)
        secret = new_secret(self._context, password, password_hash)
        if secret is not None:
            columns["password"] = secret.hash
        with self._context.writing(address) as tx:
            if columns:
                tx.execute(update(self._users).where(self._users.c.email == address).values(columns))
            return self._get(tx.connection, address)

    def add_aliases(self, address: str, aliases: Iterable[str]) -> None:
        raise self._no_aliases(address)

    def remove_aliases(self, address: str, aliases: Iterable[str]) -> None:
        raise self._no_aliases(address)

    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        reject_unknown(fields, BulkAccountFields)
        reject_unsupported(fields, ("password", "password_hash"), BLANK, self._context.name)
        domain = held_domain(domain)
        password, ready = fields.get("password"), fields.get("password_hash")
        secret = new_secret(self._context, password, ready)
        with self._context.writing(domain) as tx:
            email = self._users.c.email
            accounts = tx.execute(select(email).where(self._condition(domain, None, None, None))).scalars().all()
            if not accounts:
                raise NotFound(f"there are no accounts in {domain}", subject=domain)
            if secret is not None:
                self._set_passwords(tx, accounts, secret)
            return len(accounts)

    def _set_passwords(self, tx: Transaction, accounts: Sequence[str], secret: Secret) -> None:
        """Store a password for each account, with a salt of its own unless the hash was given."""
        scheme = self._context.config.password_scheme
        plain = [secret.password] * len(accounts) if secret.password is not None else []
        hashes = passwords.hash_many(plain, scheme) if plain else [secret.hash] * len(accounts)
        email = self._users.c.email
        change = update(self._users).where(email == bindparam("account")).values(password=bindparam("hash"))
        tx.execute(change, [{"account": name, "hash": made} for name, made in zip(accounts, hashes, strict=True)])

    def rename(self, address: str, new_address: str, *, keep_alias: bool = False) -> Account:
        raise NotSupported(
            f"{address} cannot get another address: on a box mailbox, scripts, contacts and calendars lie under it",
            subject=address,
        )

    def delete(self, address: str, *, keep_mailbox_days: int | None = None) -> DeletedMailbox | None:
        address, due = self._named(address), self._retention.due(keep_mailbox_days)
        with self._context.changing(address) as tx:
            found = rows_of(tx, self._users, self._users.c.email == address)
            if not found:
                raise self._no_such_account(address)
            refuse_twin(tx.connection, address, self._users.c.email)
            (user,) = found
            # The record is written first: it copies what is about to be removed.
            referring = self._references.find(tx, address)
            record = self._retention.record(tx, user, referring, due)
            if self._retention.ledger is not None:  # else nobody could put back what is taken away
                self._references.remove(tx, referring)
            self._references.remove_factors(tx, user["id"])
            tx.execute(delete(self._users).where(self._users.c.id == user["id"]))
            return record

    def _together(self) -> AbstractContextManager[object]:
        return self._context.db.writing()

    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:
        stored = self.password_hash(address)
        if not passwords.verify_password(password, stored):
            return False
        scheme = self._context.config.password_scheme
        if rehash and passwords.needs_rehash(stored, scheme):
            self._replace_hash(self._named(address), stored, passwords.hash_password(password, scheme))
        return True

    def _replace_hash(self, address: str, old: str, new: str) -> None:
        """Store a new hash of the same password, unless somebody changed the password meanwhile."""
        condition = (self._users.c.email == address, self._users.c.password == old)
        with self._context.writing(address) as tx:
            tx.execute(update(self._users).where(*condition).values(password=new))

    def password_hash(self, address: str) -> str:
        address = self._named(address)
        query = select(self._users.c.password).where(self._users.c.email == address)
        with self._context.reading() as connection:
            stored = connection.execute(query).scalar()
        if stored is None:
            raise self._no_such_account(address)
        return str(stored)

    def password_hashes(self, addresses: Collection[str]) -> Mapping[str, str]:
        columns = self._users.c
        query = select(columns.email, columns.password).where(columns.email.in_([*addresses]))
        with self._context.reading() as connection:
            return {str(name): str(stored) for name, stored in connection.execute(query).all() if stored}

    def homes(self, *, at_once: bool = False) -> Iterator[tuple[str, str]]:
        email = self._users.c.email
        query = select(email).where(is_text(email)).order_by(email).limit(_HOMES_PAGE)

        def fetch(after: str) -> Sequence[str]:
            with connections() as connection:
                return connection.execute(query.where(email > after)).scalars().all()

        with self._context.db.for_long(at_once=at_once) as connections:
            for page in pages(fetch, str, start="", size=_HOMES_PAGE):
                yield from ((address, home) for address in page if (home := self._context.box.home(address)))

    def _named(self, address: str) -> str:
        return as_stored(self._context.db, address, held_address(address), self._users.c.email)

    def _get(self, connection: Connection, address: str) -> Account:
        found = self._rows.one(connection, address)
        if found is None:
            raise self._no_such_account(address)
        return found

    def _no_aliases(self, address: str) -> NotSupported:
        return NotSupported(
            f"{self._context.name} has no aliases of accounts: make an alias with {address} as its member",
            subject=address,
        )

    @staticmethod
    def _no_such_account(address: str) -> NotFound:
        return NotFound(f"there is no account {address}", subject=address)

    def _condition(
        self, domain: str | None, search: str | None, enabled: bool | None, admins: bool | None
    ) -> ColumnElement[bool]:
        email = self._users.c.email
        # Octets are no address: whoever has them for one is found by no mail server.
        conditions: Conditions = [is_text(email)]
        conditions += [true() if either(enabled) is not False else false()]  # users are never switched off
        if domain is not None:
            conditions.append(email.endswith(f"@{held_domain(domain)}", autoescape=True))
        if search and sought(search):
            conditions.append(email.icontains(search, autoescape=True))
        if either(admins, "admins") is not None:
            is_admin = rights.is_admin(self._context.schema)
            conditions.append(is_admin if admins else not_(is_admin))
        return and_(*conditions)
