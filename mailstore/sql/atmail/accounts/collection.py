"""Mail users in `accounts`, with their forwarding and aliases in `aliases`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, Unpack

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select, update

from mailstore import passwords, store
from mailstore.address import account_address, domain_part, held_address, held_domain
from mailstore.driver.names import Spellings
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked, deletion
from mailstore.driver.secret import Secret, make_secret
from mailstore.driver.values import due_date, either, sought
from mailstore.errors import ConfigurationError, InvalidValue, NotFound, NotSupported
from mailstore.fields import AccountFields, BulkAccountFields, reject_unknown
from mailstore.model import Account, DeletedMailbox, Edit, Usage
from mailstore.sql.atmail.accounts.changes import AccountChange
from mailstore.sql.atmail.accounts.creation import SALT_BYTES, Creation
from mailstore.sql.atmail.accounts.new import SUPPORTED, NewAccount, account_columns
from mailstore.sql.atmail.accounts.rows import AccountRows
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.atmail.expansions import Expansions
from mailstore.sql.atmail.homes import home_of
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.records import Retention
from mailstore.sql.atmail.schema.units import local_now
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["Accounts", "GeneratedAccount"]

_T = TypeVar("_T")
_HOMES_PAGE = 5000


@dataclass(frozen=True)
class GeneratedAccount:
    """A new account with the password that was made for it, which is known nowhere else."""

    account: Account
    password: str = field(repr=False)


@repeating
class Accounts(store.Accounts):
    """See `mailstore.store.Accounts`."""

    fields = SUPPORTED

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._rows = AccountRows(context)
        self._expansions = Expansions(context)
        self._creation = Creation(context)
        self._table = context.table("accounts")

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        home: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        # Hashing may take a quarter of a second: it is done before any lock is taken.
        hashed = self._secret(password, password_hash)
        new = NewAccount.parse(self._context, address, hashed, fields, home)
        with self._context.writing(new.address, (Operation.CREATE_ACCOUNT, *new.operations), new.domain) as tx:
            self._creation.one(tx, new)
        return self._rows.new_account(new)

    def create_generated(self, address: str, **fields: Unpack[AccountFields]) -> GeneratedAccount:
        """Create an account with a random password, as atmail's own API does for an empty one, and tell the password."""
        password = passwords.generate_password()
        return GeneratedAccount(self.create(address, password=password, **fields), password)

    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        return self._creation.many(accounts)

    def get(self, address: str) -> Account:
        address = held_address(address)
        with self._context.reading(Operation.SEE_ACCOUNT, domain_part(address)) as connection:
            return self._found(self._rows.one(connection, address), address)

    def address_of(self, account_id: int) -> str:
        """Return the address of the account with this `accountId`. Raises NotFound."""
        columns = self._table.c
        query = select(columns.username).where(columns.accountId == account_id)
        with self._context.reading(Operation.SEE_ACCOUNT) as connection:
            address = connection.execute(query.where(self._context.visible(columns.domainId))).scalar()
        return str(self._found(address, f"number {account_id}"))

    def view(self, address: str) -> Account:
        """Return an account with its `usage`, which is measured on disk and takes longer the more is in the mailbox.

        Raises ConfigurationError if the store was opened without homes, HomeError if the mailbox cannot be read.
        """
        account = self.get(address)
        return replace(account, usage=self._measure(account))

    def _measure(self, account: Account) -> Usage:
        disk = self._context.homes
        if disk is None:
            raise ConfigurationError(
                "the store was opened without homes; say below which directories the mailboxes lie"
            )
        if account.home is None or not disk.exists(account.home):
            return Usage(0, 0)  # a mailbox that nobody has used yet
        return disk.measure(account.home)

    def find(self, addresses: Collection[str]) -> Mapping[str, Account]:
        columns = self._table.c
        condition = and_(self._context.visible(columns.domainId), columns.username.in_([*addresses]))
        found = self._rows.pages(condition, Operation.LIST_ACCOUNTS, "")
        return {account.address: account for page in found for account in page}

    def list(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
        after: str = "",
    ) -> Iterator[Account]:
        condition = self._condition(domain, search, enabled, admins)
        for page in self._rows.pages(condition, Operation.LIST_ACCOUNTS, sought(after, "after")):
            yield from page

    def page(self, start: int, volume: int, *, domain: str | None = None) -> Sequence[Account]:
        """Return one page of accounts, sorted by address: `start` is its number from 0, `volume` its size.

        Late pages cost more than early ones; `list` reads everything at the same cost per account.
        """
        if start < 0 or volume < 1:
            raise InvalidValue(f"there is no page {start} of {volume} accounts: pages are numbered from 0")
        condition = self._condition(domain, None, None, None)
        with self._context.reading(Operation.LIST_ACCOUNTS) as connection:
            return self._rows.page(connection, condition, start, volume)

    def count(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
    ) -> int:
        query = select(func.count()).select_from(self._table)
        with self._context.reading(Operation.LIST_ACCOUNTS) as connection:
            return connection.execute(query.where(self._condition(domain, search, enabled, admins))).scalar_one()

    def exists(self, address: str) -> bool:
        columns = self._table.c
        query = select(columns.username).where(columns.username == held_address(address))
        with self._context.reading(Operation.SEE_ACCOUNT) as connection:
            return connection.execute(query.where(self._context.visible(columns.domainId))).first() is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        address = held_address(address)
        change = AccountChange(self._context, address, self._secret(password, password_hash), fields)
        wanted = (Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS))
        with self._context.writing(address, wanted, domain_part(address)) as tx:
            if change.new_aliases:
                self._names.lock_owners(tx, {address, *change.new_aliases})
            elif change.needs_domain:
                self._names.lock_domain(tx, domain_part(address))
            row = self._lock(tx, address)
            change.apply(tx, row, self._names, self._expansions)
            return self._found(self._rows.one(tx.connection, address), address)

    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        reject_unknown(fields, BulkAccountFields)
        given: dict[str, Any] = dict(fields)
        password, ready = given.pop("password", None), given.pop("password_hash", None)
        columns = account_columns(self._context, given)
        name, hashed = held_domain(domain), self._secret(password, ready)
        if hashed:
            columns["password"] = hashed.hash
        if "dateModified" in self._table.c:
            columns["dateModified"] = local_now()
        wanted = (Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS))
        with self._context.writing(name, wanted, name) as tx:
            of_domain = self._table.c.domainId == self._names.lock_domain(tx, name)
            count = tx.execute(select(func.count()).select_from(self._table).where(of_domain)).scalar_one()
            if columns:
                tx.execute(update(self._table).where(of_domain).values(columns))
            if password is not None:
                self._set_all_passwords(tx, of_domain, password)
            return count

    def _set_all_passwords(self, tx: Transaction, accounts: ColumnElement[bool], password: str) -> None:
        """Give accounts this password, each with a salt of its own."""
        numbers = tx.execute(select(self._table.c.accountId).where(accounts)).scalars().all()
        scheme = self._context.config.password_scheme
        hashes = passwords.hash_many([password] * len(numbers), scheme, salt_bytes=SALT_BYTES)
        change = update(self._table).where(self._table.c.accountId == bindparam("number"))
        rows = [{"number": number, "hash": hashed} for number, hashed in zip(numbers, hashes, strict=True)]
        if rows:
            tx.execute(change.values(password=bindparam("hash")), rows)

    def rename(self, address: str, new_address: str, *, keep_alias: bool = False) -> Account:
        old, new = held_address(address), account_address(new_address)
        with self._context.writing(old, Operation.CHANGE_ACCOUNT, domain_part(old)) as tx:
            self._names.lock_owners(tx, {old, new})
            self._lock(tx, old)
            if old != new:
                self._rename(tx, old, new)
                if keep_alias:
                    self.update(new, aliases=Edit(add=(old,)))
            return self._found(self._rows.one(tx.connection, new), new)

    def _rename(self, tx: Transaction, old: str, new: str) -> None:
        domain_id = self._names.lock_domain(tx, domain_part(new))
        own = self._own_aliases(tx, old)
        spellings = self._names.spellings(tx.connection, [old], with_aliases=False, also=domain_part(new))
        served = set(Spellings([new], spellings.alias_domains).names)
        self._names.refuse_names(tx.connection, {new: served - own})
        used_up = own & served
        if used_up:
            columns = self._expansions.columns
            self._expansions.remove(tx, and_(columns.AliasName.in_(used_up), columns.AliasTo == old))
        values: dict[str, Any] = {"username": new, "domainId": domain_id}
        if "dateModified" in self._table.c:
            values["dateModified"] = local_now()
        tx.execute(update(self._table).where(self._table.c.username == old).values(values))
        self._expansions.rename(tx, spellings, new)

    def _own_aliases(self, tx: Transaction, address: str) -> set[str]:
        return set(self._expansions.around(tx.connection, [address])[1].get(address, ()))

    def delete(self, address: str, *, keep_mailbox_days: int | None = None) -> DeletedMailbox | None:
        address, due = held_address(address), due_date(keep_mailbox_days)
        domain = domain_part(address)
        with self._context.writing(address, deletion(Operation.DELETE_ACCOUNT, keep_mailbox_days), domain) as tx:
            self._names.lock_domain(tx, domain)
            self._lock(tx, address)
            # The record is written first: it copies what is about to be removed.
            spellings = self._names.spellings(tx.connection, [address])
            records = Retention(self._context).record_some(tx, [address], domain, due, spellings)
            self._expansions.remove_references(tx, spellings)
            tx.execute(delete(self._table).where(self._table.c.username == address))
            return records[0] if records else None

    def _together(self) -> AbstractContextManager[object]:
        return self._context.db.writing()

    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:
        address = held_address(address)
        stored = self._stored_hash(address, Operation.VERIFY_ACCOUNT)
        if not passwords.verify_password(password, stored):
            return False
        scheme = self._context.config.password_scheme
        if rehash and passwords.needs_rehash(stored, scheme):
            self._replace_hash(address, stored, passwords.hash_password(password, scheme, salt_bytes=SALT_BYTES))
        return True

    def _replace_hash(self, address: str, old: str, new: str) -> None:
        """Store a new hash of the same password, unless somebody changed the password meanwhile."""
        columns = self._table.c
        with self._context.writing(address, Operation.CHANGE_ACCOUNT, domain_part(address)) as tx:
            same = and_(columns.username == address, columns.password == old)
            tx.execute(update(self._table).where(same).values(password=new))

    def password_hash(self, address: str) -> str:
        return self._stored_hash(held_address(address), Operation.READ_HASHES)

    def password_hashes(self, addresses: Collection[str]) -> Mapping[str, str]:
        if self._context.actor:  # whose rights differ between domains
            return super().password_hashes(addresses)
        columns = self._table.c
        query = select(columns.username, columns.password).where(columns.username.in_([*addresses]))
        with self._context.reading(Operation.READ_HASHES) as connection:
            return {str(name): str(stored) for name, stored in connection.execute(query).all() if stored}

    def _stored_hash(self, address: str, operation: Operation) -> str:
        query = select(self._table.c.password).where(self._table.c.username == address)
        with self._context.reading(operation, domain_part(address)) as connection:
            return str(self._found(connection.execute(query).scalar(), address))

    def homes(self, *, at_once: bool = False) -> Iterator[tuple[str, str]]:
        username = self._table.c.username
        query = select(*labelled(self._table, "username", "homeDir")).order_by(username).limit(_HOMES_PAGE)
        query = query.where(self._context.visible(self._table.c.domainId))

        def fetch(after: str) -> Sequence[Mapping[Any, Any]]:
            with connections() as connection:
                return connection.execute(query.where(username > after)).mappings().all()

        with self._context.db.for_long(at_once=at_once) as connections:
            for page in pages(fetch, lambda row: str(row["username"]), start="", size=_HOMES_PAGE):
                yield from ((row["username"], home) for row in page if (home := home_of(row)))

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        return make_secret(
            self._context.config.password_scheme,
            password,
            password_hash,
            reader=self._context.config.password_reader,
            salt_bytes=SALT_BYTES,
        )

    def _lock(self, tx: Transaction, address: str) -> Mapping[Any, Any]:
        names = ("accountId", "userStatus", "quota")
        query = select(*labelled(self._table, *names)).where(self._table.c.username == address).with_for_update()
        return self._found(tx.execute(query).mappings().first(), address)

    @staticmethod
    def _found(value: _T | None, what: str) -> _T:
        """Return what was found. Raises NotFound if nothing was."""
        if value is None:
            raise NotFound(f"there is no account {what}", subject=what)
        return value

    def _condition(
        self, domain: str | None, search: str | None, enabled: bool | None, admins: bool | None
    ) -> ColumnElement[bool]:
        columns = self._table.c
        conditions: Any = [self._context.visible(columns.domainId)]
        if either(admins, "admins") is not None:
            raise NotSupported("in atmail accounts are never admins; see the admins of the store")
        if domain is not None:
            domains = self._context.table("domains").c
            conditions.append(
                columns.domainId.in_(select(domains.domainId).where(domains.domainName == held_domain(domain)))
            )
        if search and sought(search):
            found = columns.username.contains(search.lower(), autoescape=True)
            if "firstName" in columns and "lastName" in columns:
                name = func.concat(func.coalesce(columns.firstName, ""), " ", func.coalesce(columns.lastName, ""))
                found |= name.icontains(search, autoescape=True)
            conditions.append(found)
        if either(enabled) is not None:
            conditions.append(columns.userStatus == 0 if enabled else columns.userStatus != 0)
        return and_(*conditions)
