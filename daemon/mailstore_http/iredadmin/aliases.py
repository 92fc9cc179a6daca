"""Mail aliases, and mailing lists, which only a directory has."""

from __future__ import annotations

from typing import Any

from mailstore_http.iredadmin import profiles
from mailstore_http.iredadmin.parameters import Call, Table, edit_of, status, switch, text

__all__ = [
    "change",
    "change_list",
    "create",
    "create_list",
    "delete",
    "delete_list",
    "list_all",
    "rename",
    "show",
    "show_list",
]

_FIELDS: Table = {
    "name": ("name", text),
    "accountStatus": ("enabled", status),
    "accessPolicy": ("access_policy", text),
}


def show(call: Call) -> Any:
    """GET alias/M."""
    return profiles.alias(call, call.store.aliases.get(call.path["mail"]))


def list_all(call: Call) -> Any:
    """GET aliases/D."""
    given, name = call.parameters, call.path["domain"]
    call.store.domains.get(name)
    enabled = False if switch(given.get("disabled_only") or "no") else None
    found = call.store.aliases.list(domain=name, enabled=enabled)
    if switch(given.get("email_only") or "no"):
        return (alias.address for alias in found)
    return profiles.each(call, profiles.alias, found)


def create(call: Call) -> None:
    """POST alias/M."""
    call.store.aliases.create(call.path["mail"], **_alias_fields(call))


def change(call: Call) -> None:
    """PUT alias/M."""
    call.store.aliases.update(call.path["mail"], **_alias_fields(call))


def delete(call: Call) -> None:
    """DELETE alias/M."""
    call.store.aliases.delete(call.path["mail"])


def rename(call: Call) -> None:
    """POST alias/M/change_email/NEW."""
    call.store.aliases.rename(call.path["mail"], call.path["new"])


def show_list(call: Call) -> Any:
    """GET maillist/M."""
    return profiles.mailing_list(call, call.store.lists.get(call.path["mail"]))


def create_list(call: Call) -> None:
    """POST maillist/M."""
    call.store.lists.create(call.path["mail"], **_fields(call))


def change_list(call: Call) -> None:
    """PUT maillist/M."""
    call.store.lists.update(call.path["mail"], **_fields(call))


def delete_list(call: Call) -> None:
    """DELETE maillist/M."""
    call.store.lists.delete(call.path["mail"])


def _fields(call: Call) -> dict[str, Any]:
    fields = call.parameters.fields(_FIELDS)
    members = edit_of(call, "members", "addMember", "removeMember")
    return fields if members is None else {**fields, "members": members}


def _alias_fields(call: Call) -> dict[str, Any]:
    fields = _fields(call)
    if call.in_directory:  # "accessPolicy for mail alias account is only available for SQL backends"
        fields.pop("access_policy", None)
    return fields
