"""A new account as the entry that it will be, checked before the directory is asked anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailstore.address import account_address, alias_address, domain_part, local_part
from mailstore.driver.forwarding import Forwarding
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.iredmail.units import MEGABYTE, megabytes
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked
from mailstore.driver.secret import Secret, make_secret
from mailstore.driver.values import (
    Column,
    checked,
    language,
    mailbox_folder,
    mailbox_format,
    networks,
    next_hop,
    optional_address,
    text,
    timezone,
    transport,
)
from mailstore.errors import InvalidPassword, InvalidValue
from mailstore.fields import AccountFields, first_names, plain, reject_unknown
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.entries import status
from mailstore.ldap.iredmail.places import Target
from mailstore.ldap.iredmail.schemes import reader_of, stored_form
from mailstore.ldap.iredmail.settings import Settings
from mailstore.model import Edit, Names

__all__ = ["ATTRIBUTES", "CLASSES", "NewAccount", "Values", "days_since_epoch", "known_values", "secret"]

Values = dict[str, list[str]]
"""The values of attributes, by name."""


def ascii_text(name: str) -> Callable[[str], str]:
    """Return a check for text in attributes that hold ASCII only."""
    check = text(name)

    def check_ascii(value: str) -> str:
        value = check(value)
        if not value.isascii():
            raise InvalidValue(f"{name}: the directory holds ASCII characters only, not {value!r}", field=name)
        return value

    return check_ascii


ATTRIBUTES: Mapping[str, Column] = {
    "first_name": ("givenName", text("first_name")),
    "language": ("preferredLanguage", language),
    "employee_id": ("employeeNumber", text("employee_id")),
    "department": ("departmentNumber", text("department")),
    "mobile": ("mobile", ascii_text("mobile")),
    "telephone": ("telephoneNumber", ascii_text("telephone")),
    "recovery_email": ("recoveryEmail", ascii_text("recovery_email")),
    "transport": ("mtaTransport", transport),
    "sender_bcc": ("userSenderBccAddress", optional_address),
    "recipient_bcc": ("userRecipientBccAddress", optional_address),
    "outbound_relay": ("senderRelayHost", next_hop),
    "allow_nets": ("allowNets", networks),
    "mailbox_format": ("mailboxFormat", mailbox_format),
    "mailbox_folder": ("mailboxFolder", mailbox_folder),
}
"""The parameters that are one attribute each, removed when it is empty: the attribute and the check."""


CLASSES = ("inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount")
"""The object classes of an account."""
_DEFAULTS = {"mailboxFormat": "maildir", "mailboxFolder": "Maildir"}
"""What mail servers take where an entry says nothing, as with schemas before iRedMail 0.9.9."""


def known_values(context: Target, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the checked values of parameters by attribute, without defaults for which the schema has no place.

    Raises InvalidValue, and NotSupported for anything else that it has no place for.
    """
    found = {
        name: value
        for name, value in checked(fields, ATTRIBUTES).items()
        if context.knows(name, *CLASSES) or value != _DEFAULTS.get(name)
    }
    context.require([name for name, value in found.items() if value], *CLASSES)
    return found


def days_since_epoch() -> int:
    """Return today (UTC) as ``shadowLastChange`` counts it."""
    return int(datetime.now(UTC).timestamp()) // 86_400


def secret(context: Target, password: str | None, password_hash: str | None) -> Secret | None:
    """Return what to store for the one of both that is given; None if neither is. Raises InvalidPassword."""
    config = context.config
    return make_secret(config.password_scheme, password, password_hash, reader=reader_of(config))


@dataclass
class NewAccount:
    """An account to be created; `finish` completes it with what only its domain knows."""

    address: str
    secret: Secret
    attributes: Values
    forwarding: tuple[str, ...]
    keep_copy: bool
    aliases: tuple[str, ...]
    services: Names | None
    quota: int | None
    home: str | None = None
    operations: frozenset[Operation] = frozenset()
    """What it asks for of an acting admin, besides that it is created."""

    @classmethod
    def parse(
        cls,
        context: Target,
        address: str,
        hashed: Secret | None,
        fields: Mapping[str, Any],
        home: str | None = None,
        *,
        named: Callable[[str], str] = account_address,
    ) -> NewAccount:
        """Check the parameters of `Accounts.create`. Raises InvalidValue, InvalidPassword, NotSupported, TypeError.

        `named` checks the address: one that is brought back need not be such as could be created.
        """
        reject_unknown(fields, AccountFields)
        address = named(address)
        if hashed is None:
            raise InvalidPassword(f"{address}: a new account needs a password, or a ready hash", subject=address)
        given = {name: [str(value)] if value else [] for name, value in known_values(context, fields).items()}
        settings = Settings()
        settings.put("timezone", timezone(fields.get("timezone", "")))
        others, keep_copy = Forwarding.parse(fields).of_new(address)
        wanted, local = fields.get("services"), local_part(address)
        if wanted is not None:
            wanted = wanted if isinstance(wanted, Edit) else tuple(plain(wanted))
            services.words(wanted, ())
        return cls(
            address=address,
            secret=hashed,
            attributes={
                "cn": [text("name")(fields.get("name", "")) or local],
                "sn": [text("last_name")(fields.get("last_name", "")) or local],
                "accountStatus": [status(fields.get("enabled", True))],
                "accountSetting": settings.values(),
                **given,
            },
            forwarding=others,
            keep_copy=keep_copy,
            aliases=first_names(fields, "aliases", alias_address),
            services=wanted,
            quota=megabytes(fields["quota"]) if "quota" in fields else None,
            home=home,
            operations=asked({**fields, "home": home}, ACCOUNT_FIELDS, new=True),
        )

    @property
    def domain(self) -> str:
        """The domain of the account."""
        return domain_part(self.address)

    @property
    def mailbox(self) -> dict[str, Any]:
        """The format and folder of the mailbox, as `Homes.create` takes them."""
        mail_format, folder = (next(iter(self.attributes.get(name, ())), value) for name, value in _DEFAULTS.items())
        return {"folder": folder, "mail_format": mail_format}

    def finish(self, context: Target, policy: DomainPolicy, *, domain_is_active: bool) -> int:
        """Take over the domain's defaults and check its per-account limits. Returns the quota in MB, 0 unlimited.

        Raises LimitExceeded, InvalidPassword.
        """
        policy.check_password(self.secret.password, self.address)
        quota = policy.default_account_quota if self.quota is None else self.quota
        policy.check_account_quota(self.address, quota)
        words = services.default_words(policy.disabled_services)
        if self.services is not None:
            words = services.words(self.services, policy.disabled_services)
        defaults: Values = {
            "preferredLanguage": [policy.default_language] if policy.default_language else [],
            **{name: [value] for name, value in _DEFAULTS.items()},
        }
        self.attributes = {
            **{name: values for name, values in defaults.items() if context.knows(name, *CLASSES)},
            **self.attributes,
            "objectClass": list(CLASSES),
            "mail": [self.address],
            "uid": [local_part(self.address)],
            "userPassword": [stored_form(self.secret.hash, context.config)],
            "shadowLastChange": [str(days_since_epoch())],
            "amavisLocal": ["TRUE"],
            "enabledService": words,
            # Absent is unlimited for Dovecot; the panel writes no 0 either.
            "mailQuota": [str(quota * MEGABYTE)] if quota else [],
            "domainStatus": [] if domain_is_active else ["disabled"],
            "mailForwardingAddress": [*([self.address] * self.keep_copy), *self.forwarding] if self.forwarding else [],
        }
        return quota
