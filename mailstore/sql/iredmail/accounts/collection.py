"""Mail users in `mailbox`, with their rows in `forwardings` and elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, true, update

from mailstore import passwords, store
from mailstore.address import account_address, domain_part, held_address, held_domain
from mailstore.driver.bulk import Refusals
from mailstore.driver.companions import levels
from mailstore.driver.iredmail.panel import panel_scheme
from mailstore.driver.iredmail.service_names import translated
from mailstore.driver.iredmail.stamps import outlive_stamp
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked, deletion
from mailstore.driver.secret import Secret
from mailstore.driver.values import checked, due_date, either, flag, now, sought
from mailstore.errors import NotFound
from mailstore.fields import AccountFields, BulkAccountFields, reject_unknown
from mailstore.model import Account, DeletedMailbox, Edit
from mailstore.sql.cluster import repeating
from mailstore.sql.driver import as_stored, refuse_twin
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts.changes import AccountChange, set_all_passwords, switch_all
from mailstore.sql.iredmail.accounts.creation import Creation
from mailstore.sql.iredmail.accounts.many import ALIKE, change_alike, delete_together
from mailstore.sql.iredmail.accounts.new import COLUMNS, NewAccount, secret
from mailstore.sql.iredmail.accounts.rows import AccountRows
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.homes import home_of
from mailstore.sql.iredmail.limits import check_accounts, policy_of
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import Cleanup
from mailstore.sql.iredmail.records import Retention
from mailstore.sql.iredmail.routing.forwardings import Forwardings
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.paging import pages
from mailstore.sql.snapshots import Row, rows_of

__all__ = ["Accounts"]

_HOMES_PAGE = 5000


@repeating
class Accounts(store.Accounts):
    """See `mailstore.store.Accounts`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)
        self._rows = AccountRows(context)
        self._cleanup = Cleanup(context)
        self._forwardings = Forwardings(context)
        self._services = Services(context.schema)
        self._retention = Retention(context)
        self._creation = Creation(context, self._names, self._services)
        self._shields = Shields(context)
        self._mailbox = context.table("mailbox")

    @property
    def service_names(self) -> frozenset[str]:
        return self._services.known

    def services_here(self, services: Iterable[str], known: Collection[str] | None = None) -> tuple[str, ...]:
        return translated(services, known, self._services.known)

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
        hashed = secret(self._context, password, password_hash)
        new = NewAccount.parse(self._context, address, hashed, fields, home)
        with self._context.writing(new.address, Operation.CREATE_ACCOUNT, *new.operations) as tx:
            self._creation.one(tx, new)
        return self._rows.new_account(new)

    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        return self._creation.many(accounts)

    def get(self, address: str) -> Account:
        address = self._named(address)
        with self._context.reading(domain_part(address)) as connection:
            return self._get(connection, address)

    def find(self, addresses: Collection[str]) -> Mapping[str, Account]:
        condition = and_(self._visible(), self._mailbox.c.username.in_([*addresses]))
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
        condition = self._condition(domain, search, enabled, admins)
        for page in self._rows.pages(condition, sought(after, "after")):
            yield from page

    def count(
        self,
        *,
        domain: str | None = None,
        search: str | None = None,
        enabled: bool | None = None,
        admins: bool | None = None,
    ) -> int:
        query = select(func.count()).select_from(self._mailbox)
        with self._context.reading() as connection:
            return connection.execute(query.where(self._condition(domain, search, enabled, admins))).scalar_one()

    def exists(self, address: str) -> bool:
        address = self._named(address)
        query = select(self._mailbox.c.username).where(self._mailbox.c.username == address, self._visible())
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
        reject_unknown(fields, AccountFields)
        return self.change(self._named(address), secret(self._context, password, password_hash), fields)

    def change(self, address: str, hashed: Secret | None, fields: Mapping[str, Any]) -> Account:
        """Change an account as `update` does, with a password that is hashed already."""
        change = AccountChange(self._context, address, hashed, fields)
        wanted = {Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS)}
        with self._context.writing(address, *wanted) as tx:
            if change.new_aliases:
                self._names.lock_owners(tx, {address, *change.new_aliases})
            locked = self._names.lock_domain(tx, domain_part(address)) if change.needs_domain else None
            row = self._lock(tx, address)
            if locked is not None:
                change.check(tx, policy_of(locked))
                change.check_services(tx, policy_of(locked), row, self._services)
            change.apply(tx, row, self._services, self._forwardings, self._names)
            return self._get(tx.connection, address)

    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        reject_unknown(fields, BulkAccountFields)
        domain, columns = held_domain(domain), checked(fields, COLUMNS)
        hashed = secret(self._context, fields.get("password"), fields.get("password_hash"))
        wanted = {Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS)}
        with self._context.writing(domain, *wanted) as tx:
            row = self._names.lock_domain(tx, domain)
            if self._context.actor:
                self._context.actor.refuse_stronger_in(tx.connection, domain)
            if hashed:
                self._context.check_secret(tx.connection, policy_of(row), hashed, domain)
                columns |= {"password": hashed.hash, "passwordlastchange": now()}
            mailbox = self._mailbox
            done = tx.execute(update(mailbox).where(mailbox.c.domain == domain).values(**columns, modified=now()))
            if "active" in columns:
                switch_all(self._context, tx, domain, columns["active"])
                self._shields.renew_domain(tx, domain)
            if "password" in fields:
                set_all_passwords(self._context, tx, domain, fields["password"])
            return done.rowcount

    def rename(self, address: str, new_address: str, *, keep_alias: bool = False) -> Account:
        old, new = self._named(address), account_address(new_address)
        with (
            self._context.companions.finishing(levels([old])),
            self._context.writing(old, Operation.CHANGE_ACCOUNT) as tx,
        ):
            self._names.lock_owners(tx, {old, new})
            row = self._lock(tx, old)
            refuse_twin(tx.connection, old, self._mailbox.c.username)
            if old != new:
                self._rename(tx, row, old, new)
                if keep_alias:
                    self.change(new, None, {"aliases": Edit(add=(old,))})
            renamed = self._get(tx.connection, new)
        outlive_stamp(renamed.home, self._context.homes)
        return renamed

    def _rename(self, tx: Transaction, row: Mapping[Any, Any], old: str, new: str) -> None:
        facts = self._names.facts(tx.connection, new, ignoring=old)
        self._names.refuse_taken(facts, new)
        if domain_part(old) != domain_part(new):
            policy = policy_of(self._names.lock_domain(tx, domain_part(new)))
            policy.check_account_quota(new, row["quota"])
            check_accounts(self._context, tx, policy, adding=1, quota=row["quota"])
        if facts["leftovers"]:
            self._cleanup.remove_leftovers(tx, new)
        spellings = self._names.spellings(tx.connection, [old], with_aliases=False, also=domain_part(new))
        self._names.use_up_aliases(tx, old, new, spellings.alias_domains.get(domain_part(new), ()))
        mailbox = self._mailbox
        values = {"username": new, "domain": domain_part(new), "modified": now()}
        tx.execute(update(mailbox).where(mailbox.c.username == old).values(values))
        self._cleanup.rename(tx, spellings, new)
        if not row["active"]:
            self._shields.renew(tx, [new])
        tx.afterwards(self._context.companions.renaming(old, new))

    def delete(self, address: str, *, keep_mailbox_days: int | None = None) -> DeletedMailbox | None:
        address, due = self._named(address), due_date(keep_mailbox_days)
        with (
            self._context.companions.finishing(levels([address])),
            self._context.writing(address, *deletion(Operation.DELETE_ACCOUNT, keep_mailbox_days)) as tx,
        ):
            self._names.lock_domain(tx, domain_part(address))
            read = {"mailbox": self._lock_whole(tx, address)}
            refuse_twin(tx.connection, address, self._mailbox.c.username)
            spellings = self._names.spellings(tx.connection, [address])
            tx.afterwards(self._context.companions.removing(levels(spellings.addresses)))
            # The record is written first: it copies what the clean-up is about to remove.
            found = self._cleanup.found(tx, spellings)
            record = self._retention.record(tx, address, spellings, due, found, read)
            self._cleanup.remove(tx, spellings, found, read.get("forwardings"))
            tx.execute(delete(self._mailbox).where(self._mailbox.c.username == address))
            return record

    def update_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        given = [dict(account) for account in accounts]
        if self._context.actor is not None or any(row.keys() - {"address", *ALIKE} for row in given):
            return super().update_many(given)
        names = self._all_named([row.get("address", "") for row in given])
        changes = [{**row, "address": name} for row, name in zip(given, names, strict=True)]
        if changes:
            with self._context.db.writing(changes[0]["address"]) as tx:
                change_alike(self._context, tx, changes)
        return len(changes)

    def delete_many(
        self, addresses: Iterable[str], *, keep_mailbox_days: int | None = None
    ) -> Sequence[DeletedMailbox | None]:
        given = list(addresses)
        if self._context.actor is not None or not given:
            return super().delete_many(given, keep_mailbox_days=keep_mailbox_days)
        names, due = self._all_named(given), due_date(keep_mailbox_days)
        with self._context.companions.finishing(levels(names)), self._context.db.writing(names[0]) as tx:
            return delete_together(self._context, tx, names, due)

    def _together(self) -> AbstractContextManager[object]:
        return self._context.db.writing()

    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:
        address = self._named(address)
        stored = self._stored_hash(address, Operation.VERIFY_ACCOUNT)
        if not passwords.verify_password(password, stored):
            return False
        if rehash:
            self._rehash(address, password, stored)
        return True

    def _rehash(self, address: str, password: str, stored: str) -> None:
        scheme = self._context.config.password_scheme
        if not passwords.needs_rehash(stored, scheme):
            return
        marks = select(self._mailbox.c.isadmin, self._mailbox.c.isglobaladmin)
        with self._context.reading() as connection:
            row = connection.execute(marks.where(self._mailbox.c.username == address)).first()
        wanted = panel_scheme(scheme) if row and any(row) else scheme
        if passwords.needs_rehash(stored, wanted):
            self._replace_hash(address, stored, passwords.hash_password(password, wanted))

    def _replace_hash(self, address: str, old: str, new: str) -> None:
        """Store a new hash of the same password, unless somebody changed the password meanwhile."""
        mailbox = self._mailbox
        with self._context.db.writing(address) as tx:
            condition = (mailbox.c.username == address, mailbox.c.password == old)
            tx.execute(update(mailbox).where(*condition).values(password=new))

    def password_hash(self, address: str) -> str:
        return self._stored_hash(self._named(address), Operation.READ_HASHES)

    def password_hashes(self, addresses: Collection[str]) -> Mapping[str, str]:
        if self._context.actor:  # whose rights differ between domains
            return super().password_hashes(addresses)
        columns = self._mailbox.c
        query = select(columns.username, columns.password).where(columns.username.in_([*addresses]))
        with self._context.reading() as connection:
            return {str(name): str(stored) for name, stored in connection.execute(query).all() if stored}

    def _stored_hash(self, address: str, operation: Operation) -> str:
        query = select(self._mailbox.c.password).where(self._mailbox.c.username == address)
        with self._context.reading(address, operation) as connection:
            stored = connection.execute(query).scalar()
        if stored is None:
            raise self._no_such_account(address)
        return str(stored)

    def homes(self, *, at_once: bool = False) -> Iterator[tuple[str, str]]:
        username = self._mailbox.c.username
        columns = (self._mailbox.c[name] for name in ("username", "storagebasedirectory", "storagenode", "maildir"))
        query = select(*columns).where(self._visible()).order_by(username).limit(_HOMES_PAGE)

        def fetch(after: str) -> Sequence[Mapping[Any, Any]]:
            with connections() as connection:
                return connection.execute(query.where(username > after)).mappings().all()

        with self._context.db.for_long(at_once=at_once) as connections:
            for page in pages(fetch, lambda row: str(row["username"]), start="", size=_HOMES_PAGE):
                yield from ((row["username"], home) for row in page if (home := home_of(row)))

    def _named(self, address: str) -> str:
        return as_stored(self._context.db, address, held_address(address), self._mailbox.c.username)

    def _all_named(self, addresses: Iterable[str]) -> Sequence[str]:
        refusals, names = Refusals(), []
        for index, address in enumerate(addresses):
            with refusals.collect(index):
                names.append(self._named(address))
        refusals.stop_if_any()
        return names

    def _get(self, connection: Connection, address: str) -> Account:
        found = self._rows.one(connection, address)
        if found is None:
            raise self._no_such_account(address)
        return found

    def _lock_whole(self, tx: Transaction, address: str) -> Sequence[Row]:
        """Lock the row of an account, and return it alone, with all columns that the server has."""
        rows = rows_of(tx, self._mailbox, self._mailbox.c.username == address, lock=True)
        self._check_locked(tx, address, rows[0] if rows else None)
        return rows

    def _lock(self, tx: Transaction, address: str) -> Mapping[Any, Any]:
        query = select(self._mailbox).where(self._mailbox.c.username == address).with_for_update()
        return self._check_locked(tx, address, tx.execute(query).mappings().first())

    def _check_locked(self, tx: Transaction, address: str, row: Mapping[Any, Any] | None) -> Mapping[Any, Any]:
        if row is None:
            raise self._no_such_account(address)
        if self._context.actor:
            self._context.actor.refuse_stronger(tx.connection, row)
        return row

    @staticmethod
    def _no_such_account(address: str) -> NotFound:
        return NotFound(f"there is no account {address}", subject=address)

    def _visible(self) -> ColumnElement[bool]:
        actor = self._context.actor
        return actor.visible(self._mailbox.c.domain) if actor else true()

    def _condition(
        self, domain: str | None, search: str | None, enabled: bool | None, admins: bool | None
    ) -> ColumnElement[bool]:
        columns, conditions = self._mailbox.c, [self._visible()]
        if domain is not None:
            conditions.append(columns.domain == held_domain(domain))
        if search and sought(search):
            found = columns.username.contains(search.lower(), autoescape=True)
            conditions.append(found | columns.name.icontains(search, autoescape=True))
        if either(enabled) is not None:
            conditions.append(columns.active == flag("enabled")(enabled))
        if either(admins, "admins") is not None:
            is_admin = (columns.isadmin == 1) | (columns.isglobaladmin == 1)
            conditions.append(is_admin if admins else ~is_admin)
        return and_(*conditions)
