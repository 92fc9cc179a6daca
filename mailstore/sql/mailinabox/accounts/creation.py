"""New accounts, one or many, checked as the box checks them, and written with few statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from mailstore.driver.bulk import Hashing, Refusals, parse_accounts
from mailstore.driver.holders import refuse_taken
from mailstore.driver.secret import Secret, make_secret
from mailstore.errors import InvalidAddress, InvalidPassword, NotSupported
from mailstore.fields import AccountFields, reject_unknown, reject_unsupported
from mailstore.model import Account
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.accounts import rules
from mailstore.sql.mailinabox.box import FOLDER
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.disk import mailboxes
from mailstore.sql.mailinabox.names import name_space
from mailstore.sql.mailinabox.records import Retention
from mailstore.sql.mailinabox.schema.quotas import to_text

__all__ = ["BLANK", "SUPPORTED", "Creation", "NewUser", "columns_of", "new_secret"]

BLANK = Account(address="", mailbox_folder=FOLDER)
"""What an account of a box always is, in what a box does not keep."""
SUPPORTED = frozenset({"quota"})


def columns_of(context: Context, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that parameters of an account set. Raises NotSupported for what a box does not keep."""
    reject_unknown(fields, AccountFields)
    reject_unsupported(fields, SUPPORTED, BLANK, context.name)
    if "quota" not in fields:
        return {}
    text = to_text(fields["quota"])
    if not context.schema.has("users", "quota") and text == "0":
        return {}
    context.require("users", "quota", "quotas")
    return {"quota": text}


def new_secret(context: Context, password: str | None, password_hash: str | None) -> Secret | None:
    """Return what to store for the one of both that is given; None if neither is. Raises InvalidPassword."""
    if password_hash is None:
        rules.check_new_password(password, context.config.min_password_length)
    return make_secret(context.config.password_scheme, password, password_hash, reader=context.config.password_reader)


@dataclass(frozen=True)
class NewUser:
    """A user to be created."""

    address: str
    columns: Mapping[str, Any]

    @classmethod
    def parse(
        cls, context: Context, address: str, secret: Secret | None, home: str | None, fields: Mapping[str, Any]
    ) -> NewUser:
        """Check the parameters of `Accounts.create` that need no look into the file."""
        columns = columns_of(context, fields)
        address = rules.new_user(address)
        if home is not None:
            raise NotSupported(f"{address}: a mailbox of a box has its place by its address", subject=address)
        if secret is None:
            raise InvalidPassword(f"{address}: a new account needs a password, or a ready hash", subject=address)
        return cls(address, {"email": address, "password": secret.hash, **columns})


class Creation:
    """Checks new accounts against the file and writes them."""

    def __init__(self, context: Context, retention: Retention) -> None:
        self._context = context
        self._retention = retention

    def parsed(
        self,
        address: str,
        password: str | None,
        password_hash: str | None,
        home: str | None,
        fields: Mapping[str, Any],
    ) -> NewUser:
        """Check one account without looking into the file, and hash its password, which may take a quarter of a second."""
        secret = new_secret(self._context, password, password_hash)
        return NewUser.parse(self._context, address, secret, home, fields)

    def one(self, tx: Transaction, new: NewUser) -> None:
        """Write one account and make or take over its mailbox."""
        name_space.refuse_taken(self._context.schema, tx, new.address)
        if rules.is_for_domain_control(new.address) and not self._is_empty(tx):
            raise _proves_ownership(new.address)
        self._write(tx, [new])

    def many(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Write many accounts in one transaction. Raises BulkRefused with all rows that were refused."""
        refusals = Refusals()
        config = self._context.config
        hashing = Hashing(config.password_scheme, config.password_reader, check=self._check_password)
        new = parse_accounts(accounts, hashing.take, self._parse, refusals)
        if not new:
            refusals.stop_if_any()
            return 0
        with self._context.changing(new[0][1].address) as tx:
            in_use = name_space.taken(self._context.schema, tx, [user.address for _, user in new])
            first = self._is_empty(tx)
            for index, user in new:
                with refusals.collect(index):
                    refuse_taken({user.address: [user.address]}, in_use)
                    if rules.is_for_domain_control(user.address) and not first:
                        raise _proves_ownership(user.address)
                first = False
            refusals.stop_if_any()
            self._write(tx, [user for _, user in new])
        return len(new)

    def _parse(self, address: str, secret: Secret | None, fields: dict[str, Any], home: str | None) -> NewUser:
        return NewUser.parse(self._context, address, secret, home, fields)

    def _check_password(self, password: str) -> None:
        rules.check_new_password(password, self._context.config.min_password_length)

    def _is_empty(self, tx: Transaction) -> bool:
        """Tell whether the box has no user yet: its first one may have any name."""
        return tx.execute(select(self._users.c.id).limit(1)).first() is None

    def _write(self, tx: Transaction, new: Sequence[NewUser]) -> None:
        by_columns: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for user in new:
            by_columns.setdefault(tuple(user.columns), []).append(user.columns)
        for alike in by_columns.values():
            tx.execute(insert(self._users), alike)
        earlier = self._retention.cancel(tx, [user.address for user in new])
        for user in new:
            home = self._context.box.home(user.address)
            if home:
                mailboxes.make_or_adopt(self._context, tx, home, earlier.get(user.address, []))

    @property
    def _users(self) -> Any:
        return self._context.table("users")


def _proves_ownership(address: str) -> InvalidAddress:
    """Return the error for a name under which the owner of a domain is written to; only the first user may have one."""
    message = f"{address}: such names prove the ownership of a domain and are no accounts on a box; make an alias"
    return InvalidAddress(message, subject=address)
