"""The optional parameters of create and update, listed once. Their meaning stands in the docstrings of `mailstore.store`.

Lists of names take an iterable (the whole new set) or an `Edit` (add and remove). Quotas take what `Quota.parse` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypedDict

from mailstore.errors import InvalidValue, NotSupported, about_field
from mailstore.model import Edit, Names
from mailstore.quota import Quota, QuotaLike

__all__ = [
    "AccountFields",
    "AdminFields",
    "AliasFields",
    "BulkAccountFields",
    "DomainFields",
    "MailingListFields",
    "first_names",
    "is_so",
    "plain",
    "reject_unknown",
    "reject_unsupported",
]


class DomainFields(TypedDict, total=False):
    """Optional parameters of `Domains.create` and `Domains.update`."""

    name: str
    enabled: bool
    quota: QuotaLike
    default_account_quota: QuotaLike
    max_account_quota: QuotaLike
    max_accounts: int | None
    max_aliases: int | None
    max_lists: int | None
    default_language: str
    transport: str
    backup_mx: bool
    primary_mx: str
    min_password_length: int | None
    max_password_length: int | None
    disclaimer: str
    sender_bcc: str
    recipient_bcc: str
    outbound_relay: str
    catch_all: Names
    services: Names
    disabled_services: Names
    disabled_domain_profiles: Names
    disabled_user_profiles: Names
    disabled_user_preferences: Names


class AccountFields(TypedDict, total=False):
    """Optional parameters of `Accounts.create` and `Accounts.update`."""

    name: str
    first_name: str
    last_name: str
    enabled: bool
    quota: QuotaLike
    language: str
    employee_id: str
    department: str
    mobile: str
    telephone: str
    recovery_email: str
    timezone: str
    transport: str
    forwarding: Names
    keep_copy: bool
    aliases: Names
    services: Names
    sender_bcc: str
    recipient_bcc: str
    outbound_relay: str
    allow_nets: Iterable[str]
    mailbox_format: str
    mailbox_folder: str


class BulkAccountFields(TypedDict, total=False):
    """Optional parameters of `Accounts.update_all`."""

    enabled: bool
    password: str
    password_hash: str
    language: str
    transport: str


class AliasFields(TypedDict, total=False):
    """Optional parameters of `Aliases.create` and `Aliases.update`."""

    name: str
    enabled: bool
    access_policy: str
    members: Names
    moderators: Names
    permitted_senders: Names


class MailingListFields(TypedDict, total=False):
    """Optional parameters of `MailingLists.create` and `MailingLists.update`."""

    name: str
    enabled: bool
    access_policy: str
    members: Names
    moderators: Names
    owners: Names


class AdminFields(TypedDict, total=False):
    """Optional parameters of `Admins.create` and `Admins.update`."""

    name: str
    language: str
    enabled: bool
    global_admin: bool
    domains: Names
    max_domains: int | None
    max_quota: QuotaLike
    max_accounts: int | None
    max_aliases: int | None
    max_lists: int | None
    may_view_mail_log: bool
    may_manage_quarantine: bool
    timezone: str


def reject_unknown(fields: Mapping[str, Any], known: type) -> None:
    """Raise TypeError for a parameter that `known`, a TypedDict, does not list, as Python does for named parameters.

    Raises InvalidValue for a value of another type than it says there, and for text that no store can hold. Quotas are left
    to `Quota.parse`, and what an iterator gives to those who read it.
    """
    if not fields:
        return
    unknown = sorted(fields.keys() - known.__annotations__.keys())
    if unknown:
        raise TypeError(f"unexpected parameter {unknown[0]!r}; known are {', '.join(known.__annotations__)}")
    for name, value in fields.items():
        kind = known.__annotations__[name]
        if check := _CHECKS.get(str(getattr(kind, "__forward_arg__", kind))):
            check(name, value)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidValue(f"{name}: text is wanted, not {type(value).__name__}", field=name)
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in value):
        raise InvalidValue(f"{name}: it holds a NUL character, or bytes that are no text", field=name)


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidValue(f"{name}: True or False is wanted, not {value!r}", field=name)


def _check_limit(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidValue(f"{name}: a number is wanted, or None for no limit, not {value!r}", field=name)


def _check_names(name: str, value: object) -> None:
    for some in (value.add, value.remove) if isinstance(value, Edit) else (value,):
        if isinstance(some, str | bytes | Mapping) or not isinstance(some, Iterable):
            raise InvalidValue(f"{name}: a list of names is wanted, not {some!r}", field=name)
        for one in some if isinstance(some, Collection) else ():
            _check_text(name, one)


_CHECKS = {
    "str": _check_text, "bool": _check_flag, "int | None": _check_limit, "Names": _check_names,
    "Iterable[str]": _check_names,
}  # fmt: skip
"""How values are checked, by how their type is written above."""


def reject_unsupported(
    fields: Mapping[str, Any], supported: Collection[str], blank: object, store: str, *, instead: str = "leave it out"
) -> None:
    """Raise NotSupported for a parameter that a store has no place for, unless it asks for what is so anyway.

    Parameters
    ----------
    supported: the parameters that the store keeps.
    blank: a record of the store with nothing set; it tells what is so anyway.
    store: its name, for the message.
    instead: what to do, for the message.
    """
    for name in sorted(fields.keys() - set(supported)):
        if not is_so(fields[name], getattr(blank, name)):
            raise NotSupported(f"{store} has no place for {name}; {instead}", field=name)


def is_so(value: object, present: object) -> bool:
    """Tell whether a parameter asks for what a record says already: a limit in any form, a set of names in any order.

    Raises InvalidQuota for a limit that is none.
    """
    if isinstance(present, Quota) and isinstance(value, str | int):
        return Quota.parse(value) == present
    if isinstance(present, tuple) and isinstance(value, Iterable | Edit) and not isinstance(value, str):
        names = tuple(value.apply(present) if isinstance(value, Edit) else value)
        return all(name in present for name in names) and all(name in names for name in present)
    return type(value) is type(present) and value == present


def first_names(fields: Mapping[str, Any], field: str, new: Callable[[str], str]) -> tuple[str, ...]:
    """Return a set of addresses among parameters, in normal form, where there is nothing yet. Raises InvalidAddress."""
    with about_field(field):
        return tuple(dict.fromkeys(new(name) for name in plain(fields.get(field, ()))))


def plain(names: Names) -> Iterable[str]:
    """Return the names to begin with; there is nothing yet that an `Edit` could remove."""
    if isinstance(names, str):
        raise InvalidValue(f"a list is wanted, not the text {names!r}")
    if not isinstance(names, Edit | Iterable):
        raise InvalidValue(f"a list is wanted, not {type(names).__name__}")
    return names.add if isinstance(names, Edit) else names
