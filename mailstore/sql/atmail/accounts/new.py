"""A new account as the row that it will be, checked before the database is asked anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mailstore.address import account_address, alias_address, domain_part
from mailstore.driver.forwarding import Forwarding
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked
from mailstore.driver.secret import Secret
from mailstore.driver.values import Column, checked, flag, text
from mailstore.errors import InvalidPassword
from mailstore.fields import AccountFields, first_names, reject_unknown, reject_unsupported
from mailstore.model import Account
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.expansions import DELIVER, LOCAL, alias_row
from mailstore.sql.atmail.schema.units import local_now, megabytes

__all__ = ["SUPPORTED", "NewAccount", "account_columns", "forwarding_type"]

_COLUMNS: Mapping[str, Column] = {
    "first_name": ("firstName", text("first_name")),
    "last_name": ("lastName", text("last_name")),
    "quota": ("quota", megabytes),
}
SUPPORTED = frozenset({*_COLUMNS, "name", "enabled", "forwarding", "keep_copy", "aliases"})
_BLANK = Account(address="")
_enabled = flag("enabled")
_name = text("name")


def account_columns(context: Context, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of `accounts` that parameters set. Raises InvalidValue, NotSupported, TypeError.

    There is no column for a whole name: it is the first and the last name, parted at the last blank.
    """
    reject_unknown(fields, AccountFields)
    reject_unsupported(fields, SUPPORTED, _BLANK, "atmail")
    columns: dict[str, Any] = {}
    if "name" in fields:
        first, _, last = _name(fields["name"]).rpartition(" ")
        columns |= {"firstName": first or last, "lastName": last if first else ""}
    columns |= checked(fields, _COLUMNS)
    if "enabled" in fields:
        columns["userStatus"] = 1 - _enabled(fields["enabled"])  # 1 is "disabled"
    context.require(columns, "accounts")
    return columns


def forwarding_type(keep_copy: bool) -> str:
    """Return the type of the rows of an account that forwards."""
    return DELIVER if keep_copy else LOCAL


@dataclass
class NewAccount:
    """An account to be created; the row has no home and no domain number yet."""

    address: str
    secret: Secret
    row: dict[str, Any]
    forwarding: tuple[str, ...]
    keep_copy: bool
    aliases: tuple[str, ...]
    home: str | None = None
    operations: frozenset[Operation] = frozenset()
    """What it asks for of an acting admin, besides that it is created."""

    @classmethod
    def parse(
        cls,
        context: Context,
        address: str,
        hashed: Secret | None,
        fields: Mapping[str, Any],
        home: str | None = None,
        *,
        named: Callable[[str], str] = account_address,
    ) -> NewAccount:
        """Check the parameters of `Accounts.create`. Raises InvalidValue, InvalidPassword, NotSupported, TypeError.

        `named` is the rule for its address.
        """
        address = named(address)
        columns = account_columns(context, fields)
        if hashed is None:
            raise InvalidPassword(f"{address}: a new account needs a password, or a ready hash", subject=address)
        others, keep_copy = Forwarding.parse(fields).of_new(address)
        moment = local_now()
        defaults = {
            "username": address, "password": hashed.hash, "userStatus": 0, "dateCreate": moment, "dateModified": moment,
            "createdByUserId": context.creator, "mboxServer": 1, "mboxType": "Maildir", "groupId": 1,
            "quota": megabytes(context.options.default_quota),
        }  # fmt: skip
        return cls(
            address=address,
            secret=hashed,
            row={**defaults, **columns},
            forwarding=others,
            keep_copy=keep_copy,
            aliases=first_names(fields, "aliases", alias_address),
            home=home,
            operations=asked({**fields, "home": home}, ACCOUNT_FIELDS, new=True),
        )

    @property
    def domain(self) -> str:
        """The domain of the account."""
        return domain_part(self.address)

    def alias_rows(self) -> list[dict[str, Any]]:
        """Return the rows of `aliases`: its forwarding, and its aliases."""
        type_ = forwarding_type(self.keep_copy)
        rows = [alias_row(self.address, destination, type_) for destination in self.forwarding]
        return rows + [alias_row(alias, self.address) for alias in self.aliases]
