"""A new account as the rows that it will be, checked before the database is asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mailstore.address import account_address, alias_address, domain_part
from mailstore.driver.forwarding import Forwarding
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.iredmail.units import megabytes
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked
from mailstore.driver.secret import Secret, make_secret
from mailstore.driver.values import (
    Column,
    checked,
    flag,
    language,
    mailbox_folder,
    mailbox_format,
    networks,
    now,
    text,
    timezone,
    transport,
)
from mailstore.errors import InvalidPassword
from mailstore.fields import AccountFields, first_names, plain, reject_unknown
from mailstore.model import Edit, Names
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.routing.forwardings import alias_row, forwarding_row
from mailstore.sql.iredmail.routing.pointers import pointer_rows, pointers_from
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.schema.settings import Settings

__all__ = ["COLUMNS", "NewAccount", "secret"]

COLUMNS: Mapping[str, Column] = {
    "name": ("name", text("name")),
    "first_name": ("first_name", text("first_name")),
    "last_name": ("last_name", text("last_name")),
    "enabled": ("active", flag("enabled")),
    "quota": ("quota", megabytes),
    "language": ("language", language),
    "employee_id": ("employeeid", text("employee_id")),
    "department": ("department", text("department")),
    "mobile": ("mobile", text("mobile")),
    "telephone": ("telephone", text("telephone")),
    "recovery_email": ("recovery_email", text("recovery_email")),
    "transport": ("transport", transport),
    "allow_nets": ("allow_nets", networks),
    "mailbox_format": ("mailboxformat", mailbox_format),
    "mailbox_folder": ("mailboxfolder", mailbox_folder),
}
"""The parameters that are one column of `mailbox` each: the column and the check."""


def secret(context: Context, password: str | None, password_hash: str | None) -> Secret | None:
    """Return what to store for the one of both that is given; None if neither is. Raises InvalidPassword."""
    return make_secret(context.config.password_scheme, password, password_hash, reader=context.config.password_reader)


@dataclass
class NewAccount:
    """An account to be created; `finish` completes it with what only its domain knows."""

    address: str
    secret: Secret
    mailbox: dict[str, Any]
    forwarding: tuple[str, ...]
    keep_copy: bool
    aliases: tuple[str, ...]
    pointers: dict[str, str]
    services: Names | None
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
    ) -> NewAccount:
        """Check the parameters of `Accounts.create`. Raises InvalidValue, InvalidPassword, NotSupported, TypeError."""
        reject_unknown(fields, AccountFields)
        address = account_address(address)
        if hashed is None:
            raise InvalidPassword(f"{address}: a new account needs a password, or a ready hash", subject=address)
        if not fields and home is None:
            mailbox = {"settings": context.settings_text("")}
            return cls(address, hashed, mailbox, (), True, (), {}, None)
        columns = checked(fields, COLUMNS)
        context.require(columns, "mailbox")
        settings = Settings("")
        settings.put("timezone", timezone(fields.get("timezone", "")))
        others, keep_copy = Forwarding.parse(fields).of_new(address)
        services = fields.get("services")
        return cls(
            address=address,
            secret=hashed,
            mailbox={**columns, "settings": context.settings_text(str(settings))},
            forwarding=others,
            keep_copy=keep_copy,
            aliases=first_names(fields, "aliases", alias_address),
            pointers=pointers_from(fields),
            services=services if services is None or isinstance(services, Edit) else tuple(plain(services)),
            home=home,
            operations=asked({**fields, "home": home}, ACCOUNT_FIELDS, new=True),
        )

    @cached_property
    def domain(self) -> str:
        """The domain of the account."""
        return domain_part(self.address)

    def finish(self, policy: DomainPolicy, services: Services) -> None:
        """Take over the domain's defaults and check its per-account limits. Raises LimitExceeded, InvalidPassword."""
        policy.check_password(self.secret.password, self.address)
        self.mailbox = {
            "quota": policy.default_account_quota, "language": policy.default_language, "active": 1, **self.mailbox,
        }  # fmt: skip
        policy.check_account_quota(self.address, self.mailbox["quota"])
        default = services.disabled_for_new(policy.disabled_services)
        if self.services is not None:
            default = services.columns(self.services, default)
        self.mailbox.update(default)
        moment = now()
        self.mailbox |= {
            "username": self.address, "domain": self.domain, "password": self.secret.hash,
            "passwordlastchange": moment, "created": moment, "modified": moment,
        }  # fmt: skip

    @property
    def destinations(self) -> list[str]:
        """Where its mail goes, itself for a kept copy."""
        return [self.address] * self.keep_copy + list(self.forwarding)

    def forwarding_rows(self, owners: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the rows of `forwardings`: self row, destinations, and aliases with the primary domain of each."""
        active = self.mailbox["active"]
        rows = [forwarding_row(self.address, destination, active) for destination in self.destinations]
        if not self.aliases:
            return rows
        return rows + [alias_row(alias, self.address, owners[alias], active) for alias in self.aliases]

    def pointer_rows(self) -> dict[str, dict[str, Any]]:
        """Return the rows of its bcc addresses and relay by table."""
        return pointer_rows(self.address, self.pointers)
