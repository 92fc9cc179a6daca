"""What is kept of a deleted domain besides its mailboxes' own records, and how all of it comes back.

Users and accounts get new numbers, which their rows are made to follow. What belonged or led to accounts that are purged, or
were restored alone, stays away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, insert, select

from mailstore.address import domain_part, local_part
from mailstore.errors import AlreadyExists, NotFound
from mailstore.model import DeletedDomain, DeletedMailbox
from mailstore.purge import find_mail
from mailstore.sql.afterlogic.accounts.creation import Creation
from mailstore.sql.afterlogic.accounts.new import NewAccount
from mailstore.sql.afterlogic.belongings import Belongings
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.names import NameSpace
from mailstore.sql.afterlogic.records import Retention
from mailstore.sql.afterlogic.schema.user_data import KEPT_OF_ACCOUNTS, KEPT_OF_USERS, POINTERS
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.afterlogic.tenants import TenantLimits
from mailstore.sql.engine import Transaction
from mailstore.sql.snapshots import Restored, Row, packed, rows_of, unpacked

__all__ = ["DomainRestoration", "keep_domain"]

_BATCH = 500
_LISTS = "awm_mailinglists"
_BOOK = "awm_addr_book"


def keep_domain(
    context: Context,
    server: MailServer,
    tx: Transaction,
    domain: Mapping[Any, Any],
    primary: Sequence[Mapping[Any, Any]],
) -> str:
    """Return as text what a locked domain has, before anything of it goes.

    `primary` are the rows of its accounts. Those that the product's mail server serves get records of their own, and only
    their names are kept here; of the others, everything is.
    """
    number, name, served = domain["id_domain"], canonical(domain["name"]), server.serves(domain)
    domains, accounts = context.table("awm_domains"), context.table("awm_accounts")
    going = accounts.c.id_domain == number
    lists = rows_of(tx, accounts, going, accounts.c.mailing_list == 1)
    linked = rows_of(tx, accounts, going, accounts.c.def_acct == 0, accounts.c.mailing_list == 0)
    users = {row["id_user"] for row in primary}
    linked = [row for row in linked if row["id_user"] not in users]
    aliases = rows_of(tx, server.aliases, context.same(server.aliases.c.alias_domain, name)) if served else []
    named = {*(row["email"].lower() for row in lists), *(f"{row['alias_name']}@{name}".lower() for row in aliases)}
    return packed(
        {
            "name": name,
            "domain": rows_of(tx, domains, domains.c.id_domain == number)[0],
            "tenant": _tenant(context, tx, domain["id_tenant"]),
            "recorded": [canonical(row["email"]) for row in primary] if served else [],
            "users": [] if served else Retention(context, server).snapshots(tx, primary),
            "accounts": [*lists, *linked],
            "aliases": aliases,
            "owners": _owners(context, tx, [row["id_acct"] for row in aliases], [row["id_user"] for row in linked]),
            **_belonging(context, tx, [row["id_acct"] for row in (*lists, *linked)]),
            **_pointers(context, tx, named),
        }
    )  # fmt: skip


def _belonging(context: Context, tx: Transaction, numbers: Collection[int]) -> dict[str, list[Row]]:
    """Return the rows of lists, and of accounts that are linked to users elsewhere."""
    found: dict[str, list[Row]] = {}
    for name in (*KEPT_OF_ACCOUNTS, _LISTS) if numbers else ():
        column = "account_id" if name == "twofa_accounts" else "id_acct"
        if context.schema.has(name, column):
            table = context.table(name)
            found[name] = rows_of(tx, table, table.c[column].in_(numbers))
    if numbers:
        book = context.table(_BOOK)
        found[_BOOK] = rows_of(tx, book, book.c.type == 3, book.c.type_id.in_([str(number) for number in numbers]))
    return found


def _pointers(context: Context, tx: Transaction, named: Collection[str]) -> dict[str, list[Row]]:
    """Return what others wrote about lists, and about aliases that accounts elsewhere have here."""
    found: dict[str, list[Row]] = {}
    for name, column, _ in POINTERS if named else ():
        if context.schema.has(name):
            table = context.table(name)
            found[f"pointers of {name}"] = rows_of(tx, table, context.one_of(table.c[column], named))
    return found


def _owners(context: Context, tx: Transaction, accounts: Collection[int], users: Collection[int]) -> dict[str, str]:
    """Return the addresses of accounts by their numbers, and of users by theirs, which are given away again."""
    columns = context.table("awm_accounts").c
    found: dict[str, str] = {}
    for letter, column, numbers in (("a", columns.id_acct, accounts), ("u", columns.id_user, users)):
        if numbers:
            query = select(column, columns.email).where(column.in_(sorted(set(numbers))), columns.def_acct == 1)
            found |= {f"{letter}{number}": email.lower() for number, email in tx.execute(query)}
    return found


def _tenant(context: Context, tx: Transaction, number: int) -> str | None:
    if not number or not context.schema.has("awm_tenants"):
        return None
    columns = context.table("awm_tenants").c
    login: str | None = tx.execute(select(columns.login).where(columns.id_tenant == number)).scalar()
    return login


class DomainRestoration:
    """One restore, within the transaction that has the records locked and dropped."""

    def __init__(
        self,
        context: Context,
        tx: Transaction,
        record: DeletedDomain,
        kept: tuple[str, Sequence[tuple[DeletedMailbox, str]]],
        names: NameSpace,
        server: MailServer,
    ) -> None:
        self._context = context
        self._tx = tx
        self._record = record
        text, mailboxes = kept
        self._kept = unpacked(text)
        self.name: str = self._kept["name"]
        self._row: Row = self._kept["domain"]
        self._mailboxes = [mailbox for mailbox, _ in mailboxes]
        self._snapshots: list[dict[str, Any]] = [unpacked(snapshot) for _, snapshot in mailboxes]
        self._snapshots += self._kept["users"]
        self._gone = set(self._kept["recorded"]) - {mailbox.address for mailbox in self._mailboxes}
        self._names = names
        self._server = server
        self._creation = Creation(context, names, server)
        self._restored = Restored(context.db, tx)
        self._accounts = context.table("awm_accounts")
        self._domain = 0
        self._users: dict[int, int] = {}
        self._numbers: dict[int, int] = {}

    def run(self) -> None:
        """Insert everything. Raises AlreadyExists, HomeError, LimitExceeded, NotFound for a tenant that is gone."""
        self._names.lock_new(self._tx)
        outside = {domain_part(alias) for snapshot in self._snapshots for alias in snapshot.get("aliases", ())}
        domains = self._names.lock_domains(self._tx, {self.name, *outside})
        if self.name in domains:
            raise AlreadyExists(f"{self.name} is a domain already", subject=self.name)
        served = {name for name, row in domains.items() if self._server.serves(row)}
        aliases = {
            index: [alias for alias in snapshot.get("aliases", ()) if domain_part(alias) in {self.name, *served}]
            for index, snapshot in enumerate(self._snapshots)
        }
        self._refuse_taken([alias for some in aliases.values() for alias in some])
        for mailbox in self._mailboxes:
            find_mail(self._context.homes, mailbox)
        self._insert_domain()
        self._insert_accounts()
        self._insert_belongings()
        self._insert_contacts()
        self._insert_aliases(aliases)
        self._insert_pointers()
        self._restored.tell(self.name)

    def _refuse_taken(self, aliases: Sequence[str]) -> None:
        """Raise AlreadyExists if a name that comes back is somebody else's by now; remove what was left under it."""
        primary = [_primary(snapshot)["email"] for snapshot in self._snapshots]
        lists = [row["email"] for row in self._kept["accounts"] if row["mailing_list"]]
        here = [f"{row['alias_name']}@{row['alias_domain']}" for row in self._kept["aliases"]]
        wanted = sorted({canonical(name) for name in (*primary, *lists, *here, *aliases)})
        served = self._server.serves(self._row)
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            taken = self._names.taken(self._tx.connection, batch, batch if served else (), restoring=True)
            if taken:
                raise self._names.in_use(min(taken), taken[min(taken)])
            Belongings(self._context).remove_leftovers(self._tx, spellings(batch))

    def _insert_domain(self) -> None:
        tenant, limits = self._row.get("id_tenant") or 0, TenantLimits(self._context)
        if tenant and _tenant(self._context, self._tx, tenant) != self._kept["tenant"]:
            raise NotFound(f"the tenant {self._kept['tenant']} that {self.name} belonged to is gone", subject=self.name)
        limits.check_domain(self._tx, tenant)
        quota = sum(_primary(snapshot).get("quota") or 0 for snapshot in self._snapshots)
        limits.check_accounts(self._tx, tenant, adding=len(self._snapshots), kilobytes=quota)
        self._domain = self._restored.insert(self._context.table("awm_domains"), self._row, key="id_domain")

    def _insert_accounts(self) -> None:
        """Insert users and accounts, and note their new numbers."""
        old = [_primary(snapshot)["id_user"] for snapshot in self._snapshots]
        self._users = dict(zip(old, self._creation.new_users(self._tx, len(old)), strict=True))
        own = [row for snapshot in self._snapshots for row in snapshot["awm_accounts"]]
        others = [row for row in self._kept["accounts"] if row["mailing_list"] or self._owner_is_there(row)]
        rows = [*own, *others]
        self._restored.insert_many(self._accounts, [self._moved(row) for row in rows], without=("id_acct",))
        columns = self._accounts.c
        query = select(columns.id_acct, columns.id_user, columns.email, columns.def_acct)
        made: dict[tuple[int, str, int], int] = {}
        for condition in (columns.id_domain == self._domain, *_in(columns.id_user, self._users.values())):
            found = self._tx.execute(query.where(condition))
            made |= {(user, email, default): number for number, user, email, default in found}
        self._numbers = {
            row["id_acct"]: made[self._users.get(row["id_user"], row["id_user"]), row["email"], row["def_acct"]]
            for row in rows
        }

    def _owner_is_there(self, row: Row) -> bool:
        """Tell whether the user elsewhere that an account of this domain is linked to is the one that it was."""
        return self._same_owners.get(f"u{row['id_user']}", False)

    @cached_property
    def _same_owners(self) -> dict[str, bool]:
        owners: dict[str, str] = self._kept["owners"]
        numbers = {letter: [int(key[1:]) for key in owners if key[0] == letter] for letter in "au"}
        now = _owners(self._context, self._tx, numbers["a"], numbers["u"])
        return {key: now.get(key) == email for key, email in owners.items()}

    def _insert_belongings(self) -> None:
        for name, key in {**KEPT_OF_USERS, **KEPT_OF_ACCOUNTS, _LISTS: "id"}.items():
            if name == "awm_accounts" or not self._context.schema.has(name):
                continue
            rows = [row for snapshot in self._snapshots for row in snapshot.get(name, ())]
            rows += [row for row in self._kept.get(name, ()) if self._has_come_back(row)]
            moved = [self._moved(row) for row in rows if not self._leads_to_gone(name, row)]
            self._restored.insert_many(self._context.table(name), moved, without=(key,))

    def _has_come_back(self, row: Row) -> bool:
        """Tell whether the list or linked account of a row is there again."""
        number = row.get("id_acct", row.get("account_id"))
        return int(row["type_id"] if number is None else number) in self._numbers

    def _leads_to_gone(self, name: str, row: Row) -> bool:
        return any(canonical(str(row[column])) in self._gone for table, column, _ in POINTERS if table == name)

    def _moved(self, row: Row) -> Row:
        """Return a row with the numbers of now."""
        new = dict(row)
        for columns, numbers in ((("id_user", "user_id"), self._users), (("id_acct", "account_id"), self._numbers)):
            new |= {column: numbers.get(row[column], row[column]) for column in columns if column in row}
        if row.get("id_domain") == self._row["id_domain"]:
            new["id_domain"] = self._domain
        if row.get("type") == 3:  # the entry of a list in the address book
            new["type_id"] = str(self._numbers.get(int(row["type_id"]), row["type_id"]))
        return new

    def _insert_contacts(self) -> None:
        """Insert the entries of the accounts in the global address book anew."""
        place = {"id_domain": self._domain, "id_tenant": self._row.get("id_tenant") or 0}
        rows = []
        for snapshot in self._snapshots:
            primary = _primary(snapshot)
            new = NewAccount.contact_row(place, primary["email"].lower(), primary["friendly_nm"] or "")
            rows.append(self._context.present(_BOOK, {**new, "type_id": str(self._users[primary["id_user"]])}))
        if rows:
            self._tx.execute(insert(self._context.table(_BOOK)), rows)

    def _insert_aliases(self, aliases: Mapping[int, Sequence[str]]) -> None:
        rows = []
        for index, some in aliases.items():
            primary = _primary(self._snapshots[index])
            number, stored = self._numbers[primary["id_acct"]], primary["email"].lower()
            rows += [
                {
                    "id_acct": number,
                    "alias_name": local_part(alias),
                    "alias_domain": domain_part(alias),
                    "alias_to": stored,
                }
                for alias in sorted(some)
            ]
        self._context.insert(self._tx, self._server.aliases, rows)
        same = self._same_owners if self._kept["aliases"] else {}
        elsewhere = [row for row in self._kept["aliases"] if same.get(f"a{row['id_acct']}")]
        self._restored.insert_many(self._server.aliases, elsewhere, without=("id",))

    def _insert_pointers(self) -> None:
        """Insert again what others had written about what is back, if it is still theirs and nobody wrote it meanwhile."""
        columns = self._accounts.c
        for name, column, whose in POINTERS:
            kept = [row for part in (*self._snapshots, self._kept) for row in part.get(f"pointers of {name}", ())]
            rows = {packed(row): row for row in kept if row["id_acct"] not in self._numbers}.values()
            numbers = sorted({row["id_acct"] for row in rows})
            if not numbers or not self._context.schema.has(name):
                continue
            table = self._context.table(name)
            query = select(columns.id_acct, columns.email).where(columns.id_acct.in_(numbers))
            emails = {number: email.lower() for number, email in self._tx.execute(query)}
            there = select(table.c.id_acct, table.c[column]).where(table.c.id_acct.in_(numbers))
            written = {(number, str(target).lower()) for number, target in self._tx.execute(there)}
            fitting = [
                row
                for row in rows
                if emails.get(row["id_acct"]) == "@".join(str(row[part]) for part in whose).lower()
                and (row["id_acct"], str(row[column]).lower()) not in written
                and not self._leads_to_gone(name, row)
            ]
            self._restored.insert_many(table, fitting, without=("id",))


def _primary(snapshot: Mapping[str, Any]) -> Row:
    """Return the account of a user to which the others are linked."""
    found: Row = next(row for row in snapshot["awm_accounts"] if row["def_acct"])
    return found


def _in(column: ColumnElement[int], numbers: Collection[int]) -> Iterator[ColumnElement[bool]]:
    ordered = sorted(numbers)
    return (column.in_(ordered[start : start + _BATCH]) for start in range(0, len(ordered), _BATCH))
