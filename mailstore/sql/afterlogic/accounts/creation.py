"""Writing new accounts: one with few statements, or many with few statements for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select, update

from mailstore.address import domain_part
from mailstore.driver.bulk import Refusals, batches, parse_accounts
from mailstore.errors import AlreadyExists, InvalidValue, NotSupported
from mailstore.sql.afterlogic.accounts.new import NewAccount, stored_password
from mailstore.sql.afterlogic.belongings import Belongings
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.effective import effective
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.rest_errors import AccountNotFound
from mailstore.sql.afterlogic.spelling import spellings
from mailstore.sql.afterlogic.tenants import TenantLimits
from mailstore.sql.engine import Transaction

__all__ = ["Creation"]

_NEW = 2
"""Marks users in ``a_users.deleted`` until the end of their transaction; the product always writes 0 and never reads it."""


class Creation:
    """Checks new accounts against the database and writes them."""

    def __init__(self, context: Context, names: NameSpace, server: MailServer) -> None:
        self._context = context
        self._names = names
        self._server = server
        self._limits = TenantLimits(context)
        self._belongings = Belongings(context)
        self._users = context.table("a_users")
        self._accounts = context.table("awm_accounts")

    def one(self, tx: Transaction, new: NewAccount, *, restoring: bool = False) -> None:
        """Write one account and make its home; one that is restored has its home already."""
        self._lock_outside(tx, [new])
        domains = self._lock(tx, [new])
        self._place(new, domains.get(new.domain))
        if new.parent:
            self._link(tx, new)
            return
        self._names.refuse_taken(tx.connection, new.address, served=new.served, restoring=restoring)
        if new.aliases:
            self._server.require(domains.get(new.domain), new.address)
            self._names.lock_aliases(tx, domains, new.aliases)
        row = new.rows["awm_accounts"]
        self._limits.check_accounts(tx, row["id_tenant"], adding=1, kilobytes=row["quota"])
        self._belongings.remove_leftovers(tx, spellings([new.address]))
        if not restoring:
            self._make_home(tx, new)
        number = self._insert_user(tx, new, self._inserted(tx, "a_users", {"deleted": 0}))
        self._server.add_aliases(tx, number, row["email"], new.aliases)

    def many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Write many accounts in one transaction. Raises BulkRefused with all rows that were refused."""
        refusals = Refusals()
        new = parse_accounts(accounts, _take_passwords, self._parse, refusals)
        with self._context.db.writing() as tx:
            self._lock_outside(tx, [account for _, account in new])
            for batch in batches(new):
                self._check_batch(tx, batch, refusals)
            self._check_tenants(tx, new, refusals)
            refusals.stop_if_any()
            self._write(tx, [account for _, account in new])
        return len(new)

    def _lock_outside(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        """Lock what stands for domains that are not there, before any row: a server sees no deadlock between the two."""
        if any(new.may_be_outside for new in accounts):
            self._names.lock_new(tx)

    def _lock(self, tx: Transaction, accounts: Sequence[NewAccount]) -> dict[str, Mapping[Any, Any]]:
        """Lock the domains of new accounts and their aliases."""
        return self._names.lock_domains(tx, {domain_part(name) for new in accounts for name in new.names})

    def _place(self, new: NewAccount, domain: Mapping[Any, Any] | None) -> None:
        """Complete an account with what its domain says, or the default domain, if the caller wants that."""
        if domain is None and self._context.tenant is not None:
            raise self._names.no_such_domain(new.domain)
        if domain is None and not new.may_be_outside:
            error = self._names.no_such_domain(new.domain)
            error.message += ", or give AccountSettings(default_domain=True) for an account outside of all domains"
            raise error
        new.finish(effective(domain, self._context.installation.default_domain), self._context.installation)

    def _link(self, tx: Transaction, new: NewAccount) -> None:
        """Write an account that is linked to another one."""
        accounts, same = self._accounts.c, self._context.same
        if new.internal:
            raise NotSupported(
                f"{new.address} lies in a domain of the product's own mail server, which would find two mailboxes for it",
                subject=new.address,
            )
        mine = self._context.mine(accounts.id_domain)
        query = select(accounts.id_user).where(same(accounts.email, new.parent), accounts.def_acct == 1, mine)
        user = tx.execute(
            query.order_by(self._context.served_first(accounts.email), accounts.id_acct).with_for_update()
        ).scalar()
        if not user:
            raise AccountNotFound(f"there is no account {new.parent} to link {new.address} to", subject=new.parent)
        linked = select(accounts.id_acct).where(same(accounts.email, new.address), accounts.id_user == user)
        if tx.execute(linked).first() is not None:
            raise AlreadyExists(f"{new.address} is an account of {new.parent} already", subject=new.address)
        self._insert(tx, "awm_accounts", [new.rows["awm_accounts"] | {"id_user": user}])

    def _insert_user(self, tx: Transaction, new: NewAccount, user: int) -> int:
        """Insert what a new user consists of. Returns the number of the account."""
        self._insert(tx, "awm_settings", [new.rows["awm_settings"] | {"id_user": user}])
        number = self._inserted(tx, "awm_accounts", new.rows["awm_accounts"] | {"id_user": user})
        self._insert(tx, "awm_addr_book", [new.rows["awm_addr_book"] | {"type_id": str(user)}])
        return number

    def _inserted(self, tx: Transaction, name: str, row: Mapping[str, Any]) -> int:
        """Insert one row and return its number."""
        made: Any = tx.execute(insert(self._context.table(name)).values(self._context.present(name, row)))
        return int(made.inserted_primary_key[0])

    def _insert(self, tx: Transaction, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._context.insert(tx, self._context.table(name), [self._context.present(name, row) for row in rows])

    def _make_home(self, tx: Transaction, new: NewAccount) -> None:
        """Make the home of a mailbox, if this store reaches the disk; one that is there must be empty."""
        disk = self._context.homes
        if not new.served:
            return
        new.home = self._context.home_of(new.rows["awm_accounts"]["email"])
        if disk is not None:
            made = disk.create(new.home, folder="", adopt=disk.is_empty(new.home))
            tx.on_rollback(made.undo)

    # --- many

    @staticmethod
    def _parse(address: str, stored: str | None, fields: dict[str, Any], home: str | None) -> NewAccount:
        new = NewAccount.parse(address, stored, fields, home)
        if new.parent:
            raise InvalidValue("linked accounts cannot be made in bulk; add them afterwards")
        return new

    def _check_batch(self, tx: Transaction, batch: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        domains = self._lock(tx, [account for _, account in batch])
        for index, account in batch:
            with refusals.collect(index):
                self._place(account, domains.get(account.domain))
        placed = [(index, account) for index, account in batch if account.rows]
        addresses = [account.address for _, account in placed]
        served = [account.address for _, account in placed if account.served]
        taken = self._names.taken(tx.connection, addresses, served)
        for index, account in placed:
            with refusals.collect(index):
                if account.address in taken:
                    raise self._names.in_use(account.address, taken[account.address])

    def _check_tenants(self, tx: Transaction, new: Sequence[tuple[int, NewAccount]], refusals: Refusals) -> None:
        by_tenant: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index, account in new:
            if account.rows:
                row = account.rows["awm_accounts"]
                by_tenant[row["id_tenant"]].append((index, row["quota"]))
        for tenant, some in sorted(by_tenant.items()):
            with refusals.collect(some[-1][0]):
                self._limits.check_accounts(tx, tenant, adding=len(some), kilobytes=sum(quota for _, quota in some))

    def _write(self, tx: Transaction, accounts: Sequence[NewAccount]) -> None:
        for batch in batches(accounts):
            self._belongings.remove_leftovers(tx, spellings(account.address for account in batch))
        for account in accounts:
            self._make_home(tx, account)
        users = self.new_users(tx, len(accounts))
        numbered = list(zip(users, accounts, strict=True))
        for some in batches(numbered):
            for name, key, make in (("awm_settings", "id_user", int), ("awm_accounts", "id_user", int),
                                    ("awm_addr_book", "type_id", str)):  # fmt: skip
                self._insert(tx, name, [account.rows[name] | {key: make(user)} for user, account in some])

    def new_users(self, tx: Transaction, count: int) -> Sequence[int]:
        """Return the numbers of so many new users: inserted with a mark, found by it, and the mark taken off again."""
        columns = self._users.c
        last = tx.execute(select(func.max(columns.id_user))).scalar() or 0
        for batch in batches(range(count)):
            self._context.insert(tx, self._users, [{"deleted": _NEW}] * len(batch))
        mine = columns.id_user > last, columns.deleted == _NEW
        users = tx.execute(select(columns.id_user).where(*mine).order_by(columns.id_user)).scalars().all()
        tx.execute(update(self._users).where(*mine).values(deleted=0))
        return users


def _take_passwords(given: Sequence[dict[str, Any]], refusals: Refusals) -> Mapping[int, str]:
    """Take the passwords out of the rows of a bulk call; return their stored forms, by index."""
    found: dict[int, str] = {}
    for index, fields in enumerate(given):
        password, ready = fields.pop("password", None), fields.pop("password_hash", None)
        with refusals.collect(index):
            stored = stored_password(password, ready)
            if stored is not None:
                found[index] = stored
    return found
