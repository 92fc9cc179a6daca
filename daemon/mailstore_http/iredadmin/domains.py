"""Domains, and who manages them."""

from __future__ import annotations

from typing import Any

from mailstore.model import Edit
from mailstore_http.iredadmin import profiles
from mailstore_http.iredadmin.parameters import (
    Call,
    RefusedError,
    Table,
    keep_days,
    limit,
    megabytes,
    names,
    status,
    switch,
    text,
    together,
)

__all__ = ["change", "create", "delete", "list_all", "set_admins", "show"]

_FIELDS: Table = {
    "name": ("name", text),
    "accountStatus": ("enabled", status),
    "quota": ("quota", megabytes),
    "language": ("default_language", text),
    "transport": ("transport", text),
    "minPasswordLength": ("min_password_length", limit),
    "maxPasswordLength": ("max_password_length", limit),
    "defaultQuota": ("default_account_quota", megabytes),
    "maxUserQuota": ("max_account_quota", megabytes),
    "numberOfUsers": ("max_accounts", limit),
    "numberOfAliases": ("max_aliases", limit),
    "numberOfLists": ("max_lists", limit),
    "senderBcc": ("sender_bcc", text),
    "recipientBcc": ("recipient_bcc", text),
    "is_backupmx": ("backup_mx", switch),
    "primarymx": ("primary_mx", text),
    "catchall": ("catch_all", names),
    "outboundRelay": ("outbound_relay", text),
}
_DISABLED = {
    "disabled_domain_profiles": ("disableDomainProfile", "enableDomainProfile"),
    "disabled_user_profiles": ("disableUserProfile", "enableUserProfile"),
    "disabled_user_preferences": ("disableUserPreference", "enableUserPreference"),
}
"""What is kept is what may not be edited: disabling adds to it."""


def show(call: Call) -> Any:
    """GET domain/D."""
    return profiles.domain(call, call.store.domains.get(call.path["domain"]))


def list_all(call: Call) -> Any:
    """GET domains."""
    given = call.parameters
    enabled = False if switch(given.get("disabled_only") or "no") else None
    found = call.store.domains.list(enabled=enabled)
    if switch(given.get("name_only") or "no"):
        return (domain.domain for domain in found)
    return profiles.each(call, profiles.domain, found)


def create(call: Call) -> None:
    """POST domain/D."""
    call.store.domains.create(call.path["domain"], **_fields(call))


def delete(call: Call) -> None:
    """DELETE domain/D, and the same with the days that mailboxes are kept."""
    call.store.domains.delete(call.path["domain"], keep_mailbox_days=keep_days(call.path.get("days", "0")))


def change(call: Call) -> None:
    """PUT domain/D."""
    fields, given, name = _fields(call), call.parameters, call.path["domain"]
    services = _services(call)
    if services is not None:
        fields["services"] = services
    with together(call.store):
        domain = call.store.domains.update(name, **fields)
        added, removed = given.names("addAliasDomain") or (), given.names("removeAliasDomain") or ()
        if "aliasDomains" in given:
            given.exclude("aliasDomains", "addAliasDomain", "removeAliasDomain")
            added = given.names("aliasDomains") or ()
            removed = tuple(other for other in domain.alias_domains if other not in added)
        if removed:
            call.store.domains.remove_alias_domains(name, removed)
        if added:
            call.store.domains.add_alias_domains(name, added)


def set_admins(call: Call) -> None:
    """PUT domain/admins/D: all are removed first, if that is asked for, then single ones, then new ones are added."""
    given, name, admins = call.parameters, call.path["domain"], call.store.admins
    call.store.domains.get(name)
    with together(call.store):
        if "removeAllAdmins" in given:
            admins.remove_from_domain(name)
        if removed := given.names("removeAdmin"):
            admins.remove_from_domain(name, removed)
        if added := given.names("addAdmin"):
            admins.add_to_domain(name, added)


def _fields(call: Call) -> dict[str, Any]:
    given = call.parameters
    given.exclude("transport", "is_backupmx", "primarymx")
    if "primarymx" in given and "is_backupmx" not in given:
        raise RefusedError("the parameter primarymx must be used with is_backupmx")
    fields = given.fields(_FIELDS)
    if fields.get("backup_mx") is False:
        fields.pop("primary_mx", None)
    for field, (disable, enable) in _DISABLED.items():
        if disable in given or enable in given:
            fields[field] = Edit(add=given.names(disable) or (), remove=given.names(enable) or ())
    return fields


def _services(call: Call) -> tuple[str, ...] | Edit | None:
    """Return what becomes of the services; those of 2018 have other names. Removing all comes before adding."""
    given = call.parameters
    added = (given.names("enableService") or ()) + (given.names("addService") or ())
    removed = (given.names("disableService") or ()) + (given.names("removeService") or ())
    if "services" in given:
        given.exclude("services", "enableService", "addService", "disableService", "removeService")
        return given.names("services")
    if "removeAllServices" in given:
        return added
    return Edit(add=added, remove=removed) if added or removed else None
