"""Primary accounts in `awm_accounts`, each with a user, its settings, and the accounts linked to it."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Unpack

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from mailstore import passwords, store
from mailstore.address import domain_part, held_address, held_domain
from mailstore.driver.values import due_date, either, flag, sought
from mailstore.errors import InvalidPassword, NotSupported
from mailstore.fields import AccountFields, BulkAccountFields, reject_unknown
from mailstore.model import Account, DeletedMailbox
from mailstore.sql.afterlogic import codec
from mailstore.sql.afterlogic.accounts.changes import AccountChange, Parts
from mailstore.sql.afterlogic.accounts.creation import Creation
from mailstore.sql.afterlogic.accounts.new import SUPPORTED, NewAccount, require_supported, stored_password
from mailstore.sql.afterlogic.accounts.pages import AccountEntry, Page
from mailstore.sql.afterlogic.accounts.rows import AccountRows
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.deletion import Deletion
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.rest_errors import AccountNotFound
from mailstore.sql.afterlogic.settings import AccountSettings
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["Accounts"]

_HOMES_PAGE = 5000


@repeating
class Accounts(store.Accounts):
    """See `mailstore.store.Accounts`; ``settings`` and ``parent`` are this store's own parameters."""

    fields = SUPPORTED

    Settings = AccountSettings

    def __init__(self, context: Context, names: NameSpace, server: MailServer) -> None:
        self._context = context
        self._names = names
        self._server = server
        self._rows = AccountRows(context, server)
        self._creation = Creation(context, names, server)
        self._deletion = Deletion(context, server)
        self._table = context.table("awm_accounts")

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        home: str | None = None,
        settings: AccountSettings | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        stored = stored_password(password, password_hash)
        new = NewAccount.parse(address, stored, {**fields, "settings": settings}, home)
        with self._context.db.writing(new.address) as tx:
            self._creation.one(tx, new)
            if new.parent:
                return self._linked(tx.connection, new.parent, new.address)
        return self._rows.new_account(new)

    def create_many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        return self._creation.many(accounts)

    def get(self, address: str) -> Account:
        with self._context.db.reading() as connection:
            return self._get(connection, held_address(address))

    def linked(self, parent: str) -> Sequence[Account]:
        """Return the accounts that are linked to a primary one, by their addresses."""
        with self._context.db.reading() as connection:
            return self._rows.linked(connection, self._user_of(connection, held_address(parent)))

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
        condition = self._condition(domain, search, enabled, admins)
        query = select(func.count()).select_from(self._table).where(condition, self._mine)
        with self._context.db.reading() as connection:
            return connection.execute(query).scalar_one()

    def page(
        self,
        number: int = 1,
        *,
        size: int = 100,
        order_by: Literal["email", "name", "last login"] = "email",
        descending: bool = False,
        search: str = "",
        domain: str | None = None,
    ) -> Sequence[AccountEntry]:
        """Return one page of a list as the REST API gives it: of a domain, or without one of those outside of all domains.

        The API calls an empty page an error, see `rest_errors.NothingListed`. Raises DomainNotFound.
        """
        wanted = Page(number, size, order_by, descending)
        with self._context.db.reading() as connection:
            place = self._table.c.id_domain == self._number_of(connection, domain)
            return wanted.read(
                connection, self._context, and_(self._condition(None, search, None, None), place, self._mine)
            )

    def exists(self, address: str) -> bool:
        query = select(self._table.c.id_acct).where(self._is(held_address(address)), self._mine)
        with self._context.db.reading() as connection:
            return connection.execute(query).first() is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        settings: AccountSettings | None = None,
        **fields: Unpack[AccountFields],
    ) -> Account:
        address = held_address(address)
        change = AccountChange(self._context, address, password, password_hash, {**fields, "settings": settings})
        with self._context.db.writing(address) as tx:
            domains = self._names.lock_domains(tx, change.domains) if change.domains else {}
            change.apply(tx, self._lock(tx, address), domains, Parts(self._names, self._server))
            return self._get(tx.connection, address)

    def update_all(self, domain: str, **fields: Unpack[BulkAccountFields]) -> int:
        reject_unknown(fields, BulkAccountFields)
        given: dict[str, Any] = dict(fields)
        stored = stored_password(given.pop("password", None), given.pop("password_hash", None))
        require_supported(given)
        name = held_domain(domain)
        values: dict[str, Any] = {}
        if "enabled" in fields:
            values["deleted"] = 1 - flag("enabled")(fields["enabled"])
        if stored is not None:
            values["mail_inc_pass"] = stored
        with self._context.db.writing(name) as tx:
            number = self._names.lock_domain(tx, name)["id_domain"]
            mine = and_(self._table.c.id_domain == number, self._rows.is_primary)
            count: int = tx.execute(select(func.count()).select_from(self._table).where(mine)).scalar_one()
            if values:
                tx.execute(update(self._table).where(mine).values(values))
            return count

    def rename(self, address: str, new_address: str, *, keep_alias: bool = False) -> Account:  # noqa: ARG002 whatever they are
        raise NotSupported("AfterLogic knows accounts by their address, and so do their homes: create a new one")

    def delete(
        self, address: str, *, keep_mailbox_days: int | None = None, parent: str | None = None
    ) -> DeletedMailbox | None:
        """See the contract. With `parent` the account of that address that is linked to it is deleted, and nothing else."""
        address, due = held_address(address), due_date(keep_mailbox_days)
        with self._context.db.writing(address) as tx:
            if parent is not None:
                self._delete_linked(tx, held_address(parent), address)
                return None
            domain = self._names.lock_domains(tx, [domain_part(address)]).get(domain_part(address))
            row = self._lock(tx, address)
            # Accounts may stand outside of a domain that was made later.
            served = domain is not None and row["id_domain"] == domain["id_domain"] and self._server.serves(domain)
            records = self._deletion.users(tx, [row], due, served=served)
            return records[0] if records else None

    def _together(self) -> AbstractContextManager[object]:
        return self._context.db.writing()

    def verify_password(self, address: str, password: str, *, rehash: bool = False) -> bool:  # noqa: ARG002 one form only
        kept = self._password(held_address(address))
        # Half a character is in no stored password.
        return (
            bool(kept)
            and isinstance(password, str)
            and hmac.compare_digest(kept, password.encode(errors="surrogatepass"))
        )

    def password_hash(self, address: str) -> str:
        """Return a hash, made anew from the password that is stored; see the contract."""
        address = held_address(address)
        kept = self._password(address)
        if not kept:
            raise InvalidPassword(f"{address} has no password in this store", subject=address)
        return passwords.hash_password(kept.decode(errors="replace"), self._context.config.password_scheme)

    def homes(self, *, at_once: bool = False) -> Iterator[tuple[str, str]]:
        mailboxes = self._mailboxes()
        query = select(mailboxes.c.address).order_by(mailboxes.c.address).limit(_HOMES_PAGE)

        def fetch(after: str) -> Sequence[str]:
            with connections() as connection:
                return connection.execute(query.where(mailboxes.c.address > after)).scalars().all()

        with self._context.db.for_long(at_once=at_once) as connections:
            for page in pages(fetch, str, start="", size=_HOMES_PAGE):
                yield from ((canonical(stored), self._context.home_of(stored)) for stored in page)

    def _mailboxes(self) -> Any:
        """Return the addresses of everything that the mail server delivers to, whatever the webmail makes of it.

        The purge relies on it: the bundle's server takes linked accounts for mailboxes, too.
        """
        columns, domains = self._table.c, self._context.table("awm_domains").c
        address = func.lower(columns.email).label("address")
        internal = columns.id_domain.in_(select(domains.id_domain).where(domains.is_internal == 1))
        mine = self._context.mine(columns.id_domain)
        return select(address).where(internal, columns.mailing_list == 0, mine).distinct().subquery()

    def _get(self, connection: Connection, address: str) -> Account:
        found = self._rows.one(connection, address)
        if found is None:
            raise _no_such_account(address)
        return found

    def _linked(self, connection: Connection, parent: str, address: str) -> Account:
        found = self._rows.linked(connection, self._user_of(connection, parent), address)
        if not found:
            raise _no_such_account(address)
        return found[0]

    def _lock(self, tx: Transaction, address: str) -> Mapping[Any, Any]:
        query = select(self._table).where(self._is(address), self._mine)
        row = tx.execute(query.order_by(*self._rows.order).with_for_update()).mappings().first()
        if row is None:
            raise _no_such_account(address)
        return row

    def _delete_linked(self, tx: Transaction, parent: str, address: str) -> None:
        user = self._user_of(tx.connection, parent)
        linked = self._table.c.id_user == user, self._table.c.def_acct == 0
        query = select(self._table.c.id_acct).where(self._is(address), *linked).with_for_update()
        number = tx.execute(query).scalar()
        if number is None:
            raise AccountNotFound(f"{parent} has no linked account {address}", subject=address)
        self._deletion.linked(tx, [number])

    def _user_of(self, connection: Connection, address: str) -> int:
        query = select(self._table.c.id_user).where(self._is(address), self._mine)
        user = connection.execute(query.order_by(*self._rows.order)).scalar()
        if user is None:
            raise _no_such_account(address)
        return int(user)

    def _password(self, address: str) -> bytes:
        query = select(self._table.c.mail_inc_pass).where(self._is(address), self._mine)
        with self._context.db.reading() as connection:
            row = connection.execute(query.order_by(*self._rows.order)).first()
        if row is None:
            raise _no_such_account(address)
        return codec.password_of(row[0] or "")

    def _number_of(self, connection: Connection, domain: str | None) -> int:
        if domain is None:
            return 0
        name, columns = held_domain(domain), self._context.table("awm_domains").c
        query = select(columns.id_domain).where(self._context.same(columns.name, name)).order_by(columns.id_domain)
        number = connection.execute(query.where(self._context.mine(columns.id_domain))).scalar()
        if number is None:
            raise self._names.no_such_domain(name)
        return int(number)

    def _is(self, address: str) -> ColumnElement[bool]:
        return self._context.same(self._table.c.email, address)

    @property
    def _mine(self) -> ColumnElement[bool]:
        return and_(self._rows.is_primary, self._rows.is_readable)

    def _condition(
        self, domain: str | None, search: str | None, enabled: bool | None, admins: bool | None
    ) -> ColumnElement[bool]:
        if either(admins, "admins") is not None:
            raise NotSupported("AfterLogic has no accounts with admin rights")
        columns = self._table.c
        conditions: Any = [columns.def_acct == 1]
        if domain is not None:
            email = func.lower(columns.email)
            named = (email.endswith(f"@{form}", autoescape=True) for form in spellings([held_domain(domain)]))
            conditions.append(or_(*named))
        if search and sought(search):
            found = columns.email.icontains(search, autoescape=True)
            conditions.append(or_(found, columns.friendly_nm.icontains(search, autoescape=True)))
        if either(enabled) is not None:
            conditions.append(columns.deleted == int(not enabled))
        return and_(*conditions)


def _no_such_account(address: str) -> AccountNotFound:
    return AccountNotFound(f"there is no account {address}", subject=address)
