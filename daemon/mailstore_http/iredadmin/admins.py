"""Admins that are no mail users."""

from __future__ import annotations

from typing import Any

from mailstore_http.iredadmin import profiles
from mailstore_http.iredadmin.parameters import Call, RefusedError, Table, limit, status, switch, text

__all__ = ["change", "create", "delete", "show", "verify"]

_FIELDS: Table = {
    "name": ("name", text),
    "accountStatus": ("enabled", status),
    "language": ("language", text),
    "isGlobalAdmin": ("global_admin", switch),
    "maxDomains": ("max_domains", limit),
    "maxUsers": ("max_accounts", limit),
    "maxAliases": ("max_aliases", limit),
    "maxLists": ("max_lists", limit),
}
_LIMITS = ("max_domains", "max_quota", "max_accounts", "max_aliases", "max_lists")
_UNITS = {"TB": "T", "GB": "G", "MB": "M"}


def show(call: Call) -> Any:
    """GET admin/M."""
    return profiles.admin(call, call.store.admins.get(call.path["mail"]))


def create(call: Call) -> None:
    """POST admin/M."""
    call.store.admins.create(call.path["mail"], **call.parameters.password(needed=True), **_fields(call))


def change(call: Call) -> None:
    """PUT admin/M."""
    call.store.admins.update(call.path["mail"], **call.parameters.password(needed=False), **_fields(call))


def delete(call: Call) -> None:
    """DELETE admin/M. Since nobody can delete itself, there is always a global admin left."""
    if call.path["mail"] == call.admin:
        raise RefusedError("PERMISSION_DENIED")
    call.store.admins.delete(call.path["mail"])


def verify(call: Call) -> None:
    """POST verify_password/admin/M."""
    mail, password = call.path["mail"], call.parameters.password(needed=True).get("password")
    if password is None or not call.verify(mail, lambda: call.store.admins.verify_password(mail, password)):
        raise RefusedError("INVALID_CREDENTIALS")


def _fields(call: Call) -> dict[str, Any]:
    fields = call.parameters.fields(_FIELDS)
    quota = _quota(call)
    if quota is not None:
        fields["max_quota"] = quota
    if fields.get("global_admin"):  # "these parameters will be discarded"
        fields = {name: value for name, value in fields.items() if name not in _LIMITS}
    return fields


def _quota(call: Call) -> str | None:
    """Return the quota with its unit. One without unit is in megabytes, which gives least."""
    value = call.parameters.get("maxQuota")
    if value is None:
        return None
    number = limit(value)
    if number is None:
        return "unlimited"
    unit = (call.parameters.get("quotaUnit") or "MB").strip().upper()
    if unit not in _UNITS or not number:
        raise RefusedError("INVALID_NUMBER" if unit in _UNITS else "quotaUnit must be TB, GB or MB")
    return f"{number}{_UNITS[unit]}"
