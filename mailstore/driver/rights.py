"""Who may do what: kinds of admins down, operations across, and in each cell a rule. This is the only place that knows.

Drivers find out which `Kind` of admin acts, and ask `refuse`. `docs/security.md` shows these tables, and the tests try
every cell of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from mailstore.errors import PermissionDenied
from mailstore.model import Edit

__all__ = [
    "ACCOUNT_FIELDS",
    "ACCOUNT_PROFILES",
    "ATMAIL_ADMIN",
    "DOMAIN_FIELDS",
    "DOMAIN_PROFILES",
    "IREDMAIL_CREATOR",
    "IREDMAIL_DOMAIN",
    "IREDMAIL_GLOBAL",
    "KINDS",
    "LIMIT_FIELDS",
    "Kind",
    "Needs",
    "Operation",
    "Rule",
    "asked",
    "deletion",
    "iredmail_kind",
    "refuse",
    "stronger",
]


class Rule(Enum):
    """What stands in a cell."""

    EVERYTHING = "yes"
    OWN = "own domains"
    UNLESS_DISABLED = "own domains, unless disabled there"
    WITHIN_LIMITS = "own domains, within limits"
    NEVER = "no"


@dataclass(frozen=True)
class Needs:
    """A cell that asks for a permission by name, as atmail calls it, on the admin's own domains."""

    permission: str


Cell = Rule | Needs


class Operation(Enum):
    """What an admin may be allowed to do. The value is what follows "may not"."""

    SEE_DOMAIN = "see the domain"
    DESCRIBE_DOMAIN = "describe the domain"
    CATCH_ALL = "set the catch-all of the domain"
    COPY_DOMAIN = "copy the mail of a whole domain elsewhere"
    DROP_ALIAS_DOMAIN = "remove alias domains"
    NEW_NAME = "bring a new domain name onto the server"
    LIMIT_DOMAIN = "set the limits of the domain"
    RULE_DOMAIN = "change what binds the admins and accounts of the domain"
    DELETE_DOMAIN = "delete the domain"
    RESTORE_DOMAIN = "restore a deleted domain"
    SWITCH_DOMAIN = "switch the domain on or off"
    ROUTE_DOMAIN = "route the mail of a domain"

    SEE_ACCOUNT = "see accounts"
    LIST_ACCOUNTS = "list accounts"
    CREATE_ACCOUNT = "create accounts"
    CHANGE_ACCOUNT = "change accounts"
    FORWARD_ACCOUNT = "set forwardings of accounts"
    ALIAS_ACCOUNT = "set aliases of accounts"
    COPY_ACCOUNT = "copy the mail of an account elsewhere"
    ROUTE_ACCOUNT = "route the mail of an account"
    PLACE_ACCOUNT = "choose where a mailbox lies, or its format"
    VERIFY_ACCOUNT = "try passwords of accounts"
    READ_HASHES = "read password hashes"

    DELETE_ACCOUNT = "delete accounts"
    RESTORE_ACCOUNT = "restore accounts"
    RESCHEDULE = "change when a mailbox is purged"
    DELETE_AT_ONCE = "have a mailbox purged before tomorrow, or before it is due"
    PURGE = "purge mailboxes that are due"

    SEE_ALIASES = "see aliases and lists"
    WRITE_ALIASES = "create and change aliases and lists"
    DELETE_ALIASES = "delete aliases and lists"

    SHARE_DOMAIN = "let others manage the domain"
    CREATE_ADMIN = "create admins"
    CHANGE_ADMIN = "change the rights of admins"
    DELETE_ADMIN = "delete admins"
    TOUCH_STRONGER = "touch an account or admin that may do more"

    SET_SPAM_POLICY = "set spam policies"
    SET_ACCESS_LIST = "change access lists"
    SET_THROTTLE = "set throttles"
    SET_GREYLISTING = "set greylisting"
    SET_FOR_ALL = "change what applies to the whole server"


Op: Final = Operation

DOMAIN_FIELDS: Mapping[str, Operation] = {
    **dict.fromkeys(("quota", "max_accounts", "max_aliases", "max_lists"), Op.LIMIT_DOMAIN),
    **dict.fromkeys((
        "max_account_quota", "min_password_length", "max_password_length", "services", "disabled_services",
        "disabled_domain_profiles", "disabled_user_profiles", "disabled_user_preferences",
    ), Op.RULE_DOMAIN),
    **dict.fromkeys(("transport", "backup_mx", "primary_mx", "outbound_relay"), Op.ROUTE_DOMAIN),
    **dict.fromkeys(("sender_bcc", "recipient_bcc"), Op.COPY_DOMAIN),
    "catch_all": Op.CATCH_ALL,
    "enabled": Op.SWITCH_DOMAIN,
}  # fmt: skip
"""What the parameters of domains ask for; the others describe the domain."""

ACCOUNT_FIELDS: Mapping[str, Operation] = {
    **dict.fromkeys(("forwarding", "keep_copy"), Op.FORWARD_ACCOUNT),
    "aliases": Op.ALIAS_ACCOUNT,
    **dict.fromkeys(("sender_bcc", "recipient_bcc"), Op.COPY_ACCOUNT),
    **dict.fromkeys(("transport", "outbound_relay"), Op.ROUTE_ACCOUNT),
    **dict.fromkeys(("home", "mailbox_format", "mailbox_folder"), Op.PLACE_ACCOUNT),
}
"""What the parameters of accounts ask for, besides to change or to create one."""

LIMIT_FIELDS = frozenset(name for name, operation in DOMAIN_FIELDS.items() if operation is Op.LIMIT_DOMAIN)

DOMAIN_PROFILES: Mapping[Operation, str] = {
    Op.CATCH_ALL: "catchall",
    Op.COPY_DOMAIN: "bcc",
    Op.DROP_ALIAS_DOMAIN: "aliases",
    Op.SET_SPAM_POLICY: "spampolicy",
    Op.SET_ACCESS_LIST: "wblist",
    Op.SET_THROTTLE: "throttle",
    Op.SET_GREYLISTING: "greylisting",
}
"""The word in a domain's ``disabled_domain_profiles`` that takes an operation from its admins."""

ACCOUNT_PROFILES: Mapping[Operation, str] = {
    Op.FORWARD_ACCOUNT: "forwarding",
    Op.ALIAS_ACCOUNT: "aliases",
    Op.COPY_ACCOUNT: "bcc",
    Op.SET_SPAM_POLICY: "spampolicy",
    Op.SET_ACCESS_LIST: "wblist",
    Op.SET_THROTTLE: "throttle",
    Op.SET_GREYLISTING: "greylisting",
}
"""Likewise in ``disabled_user_profiles``, for what is done to single accounts."""


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of admins: the stores that have it, what it is called, and a rule for every operation."""

    stores: str
    name: str
    cells: Mapping[Operation, Cell] = field(repr=False)

    def rule(self, operation: Operation) -> Cell:
        """Return what stands in a cell."""
        return self.cells[operation]

    def may(self, operation: Operation) -> bool:
        """Tell whether an operation is allowed at all, on whatever domains; permissions by name are not looked at."""
        return self.cells[operation] is not Rule.NEVER

    @property
    def bound(self) -> bool:
        """Whether what a domain lays down for its admins binds this kind: it may not change it."""
        return not self.may(Op.RULE_DOMAIN)


_EVERYTHING: Mapping[Operation, Cell] = dict.fromkeys(Operation, Rule.EVERYTHING)
_DOMAIN: Mapping[Operation, Cell] = {
    **dict.fromkeys(Operation, Rule.NEVER),
    **dict.fromkeys((
        Op.SEE_DOMAIN, Op.DESCRIBE_DOMAIN, Op.SEE_ACCOUNT, Op.LIST_ACCOUNTS, Op.CREATE_ACCOUNT, Op.CHANGE_ACCOUNT,
        Op.DELETE_ACCOUNT, Op.RESTORE_ACCOUNT, Op.RESCHEDULE, Op.PURGE, Op.SEE_ALIASES, Op.WRITE_ALIASES, Op.DELETE_ALIASES,
        Op.SHARE_DOMAIN,
    ), Rule.OWN),
    **dict.fromkeys((*DOMAIN_PROFILES, *ACCOUNT_PROFILES), Rule.UNLESS_DISABLED),
}  # fmt: skip
_CREATOR: Mapping[Operation, Cell] = {
    **{name: Rule.OWN if cell is Rule.UNLESS_DISABLED else cell for name, cell in _DOMAIN.items()},
    **dict.fromkeys((Op.NEW_NAME, Op.LIMIT_DOMAIN), Rule.WITHIN_LIMITS),
    **dict.fromkeys((Op.RULE_DOMAIN, Op.DELETE_DOMAIN), Rule.OWN),
}

IREDMAIL_GLOBAL = Kind("iRedMail (SQL, LDAP)", "global admin", _EVERYTHING)
IREDMAIL_CREATOR = Kind("iRedMail (SQL, LDAP)", "domain admin with the right to create domains", _CREATOR)
IREDMAIL_DOMAIN = Kind("iRedMail (SQL, LDAP)", "domain admin", _DOMAIN)
ATMAIL_ADMIN = Kind("atmail", "admin with the permission named", {
    **dict.fromkeys(Operation, Needs("all")),
    Op.SEE_DOMAIN: Needs("domain.view"),
    **dict.fromkeys((Op.DESCRIBE_DOMAIN, Op.DROP_ALIAS_DOMAIN), Needs("domain.edit")),
    Op.NEW_NAME: Needs("domain.add"),
    Op.DELETE_DOMAIN: Needs("domain.delete"),
    Op.SEE_ACCOUNT: Needs("account.view"),
    Op.LIST_ACCOUNTS: Needs("account.list"),
    **dict.fromkeys((Op.CREATE_ACCOUNT, Op.RESTORE_ACCOUNT), Needs("account.add")),
    **dict.fromkeys((Op.CHANGE_ACCOUNT, Op.FORWARD_ACCOUNT, Op.ALIAS_ACCOUNT, Op.VERIFY_ACCOUNT), Needs("account.edit")),
    **dict.fromkeys((Op.DELETE_ACCOUNT, Op.RESCHEDULE, Op.PURGE), Needs("account.delete")),
    Op.SEE_ALIASES: Needs("service.mailaliases.list"),
    Op.WRITE_ALIASES: Needs("service.mailaliases.add"),
    Op.DELETE_ALIASES: Needs("service.mailaliases.delete"),
    **dict.fromkeys((Op.SHARE_DOMAIN, Op.CHANGE_ADMIN), Needs("user.edit")),
    Op.CREATE_ADMIN: Needs("user.add"),
    Op.DELETE_ADMIN: Needs("user.delete"),
    Op.TOUCH_STRONGER: Rule.NEVER,
})  # fmt: skip
MAILINABOX_ADMIN = Kind("Mail-in-a-Box", "admin", _EVERYTHING)

KINDS = (IREDMAIL_GLOBAL, IREDMAIL_CREATOR, IREDMAIL_DOMAIN, ATMAIL_ADMIN, MAILINABOX_ADMIN)
"""All kinds of admins that a store can act for."""


def iredmail_kind(*, everything: bool, creates: bool) -> Kind:
    """Return the kind of an admin of iRedMail, who may do everything, or create domains, or neither."""
    if everything:
        return IREDMAIL_GLOBAL
    return IREDMAIL_CREATOR if creates else IREDMAIL_DOMAIN


def asked(fields: Mapping[str, Any], wanted: Mapping[str, Operation], *, new: bool = False) -> frozenset[Operation]:
    """Return what parameters ask for, by one of the tables above. For something `new`, what is empty asks for nothing."""
    given = (name for name in fields if name in wanted and not (new and _is_blank(name, fields[name])))
    return frozenset(wanted[name] for name in given)


def _is_blank(name: str, value: Any) -> bool:
    if isinstance(value, Edit):
        return not value.add
    # A new account is enabled and keeps a copy, unless somebody says otherwise.
    return value is True if name in {"enabled", "keep_copy"} else not value


def deletion(operation: Operation, keep_mailbox_days: int | None) -> tuple[Operation, ...]:
    """Return what it asks for to delete something, or to set a new day, whose mail is kept for so many days."""
    return (operation, Op.DELETE_AT_ONCE) if keep_mailbox_days == 0 else (operation,)


def refuse(
    kind: Kind, who: str, operations: Collection[Operation], *, subject: str, disabled: Collection[str] = ()
) -> None:
    """Raise PermissionDenied if one of the operations is not allowed to admins of a kind.

    Parameters
    ----------
    who: the acting admin.
    subject: the domain or address that it is about.
    disabled: the profiles that the domain has disabled, by the words of the table that fits the subject.
    """
    profiles = ACCOUNT_PROFILES if "@" in subject else DOMAIN_PROFILES
    for operation in sorted(operations, key=lambda operation: operation.value):
        rule = kind.rule(operation)
        if rule is Rule.NEVER:
            raise PermissionDenied(f"{who} is a {kind.name} and may not {operation.value}: {subject}", subject=who)
        if rule is Rule.UNLESS_DISABLED and profiles.get(operation) in set(disabled):
            raise PermissionDenied(
                f"{who} may not {operation.value}: the profile {profiles[operation]} is disabled for {subject}",
                subject=who,
            )


def stronger(who: str, other: str) -> PermissionDenied:
    """Return the error for somebody that an acting admin may not touch, because taking that over would give it more."""
    return PermissionDenied(
        f"{who} may not {Op.TOUCH_STRONGER.value} than itself: {other}; ask a global admin", subject=who
    )
