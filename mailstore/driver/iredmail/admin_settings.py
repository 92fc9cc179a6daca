"""The limits and rights of an admin, which stand in its settings under the same keys in both backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mailstore.driver.iredmail.units import from_limit, to_limit
from mailstore.driver.values import timezone
from mailstore.errors import InvalidQuota, LimitExceeded
from mailstore.quota import UNLIMITED, Quota

__all__ = [
    "ADMIN_KEYS", "LIMIT_FIELDS", "AdminLimits", "change_admin_limits", "change_admin_settings", "check_allocation",
    "clear_admin_settings",
]  # fmt: skip


class Settings(Protocol):
    """The settings of an admin: a text column in SQL, an attribute with many values in LDAP."""

    def text(self, key: str) -> str:
        """Return the value of a key, empty if it is not there."""

    def number(self, key: str) -> int | None:
        """Return the value of a key as a number; None if it is not there or no number."""

    def put(self, key: str, value: str | int | None) -> None:
        """Set a key; None, 0 and an empty text remove it."""


_UNITS = {"TB": 1 << 40, "GB": 1 << 30, "MB": 1 << 20}
_LIMITS = {"max_accounts": "create_max_users", "max_aliases": "create_max_aliases", "max_lists": "create_max_lists"}
_REFUSALS = {
    "may_view_mail_log": "disable_viewing_mail_log",
    "may_manage_quarantine": "disable_managing_quarantined_mails",
}
_MAY_CREATE = "create_new_domains"
_LIMIT_KEYS = (_MAY_CREATE, "create_max_domains", "create_max_quota", "create_quota_unit", *_LIMITS.values())
ADMIN_KEYS = (*_LIMIT_KEYS, *_REFUSALS.values())
LIMIT_FIELDS = frozenset({"max_domains", "max_quota", *_LIMITS, *_REFUSALS})
"""The parameters that limit what an admin may do."""


@dataclass(frozen=True)
class AdminLimits:
    """What an admin may allocate; the fields mean what those of `mailstore.model.Admin` mean."""

    max_domains: int | None = 0
    max_quota: Quota = UNLIMITED
    max_accounts: int | None = None
    max_aliases: int | None = None
    max_lists: int | None = None
    may_view_mail_log: bool = True
    may_manage_quarantine: bool = True

    @classmethod
    def read(cls, settings: Settings) -> AdminLimits:
        """Return what settings say."""
        may_create = bool(settings.text(_MAY_CREATE))
        amount = settings.number("create_max_quota") or 0
        unit = _UNITS.get(settings.text("create_quota_unit"), _UNITS["MB"])
        return cls(
            max_domains=from_limit(settings.number("create_max_domains")) if may_create else 0,
            max_quota=Quota(amount * unit) if amount > 0 else UNLIMITED,
            max_accounts=from_limit(settings.number(_LIMITS["max_accounts"])),
            max_aliases=from_limit(settings.number(_LIMITS["max_aliases"])),
            max_lists=from_limit(settings.number(_LIMITS["max_lists"])),
            may_view_mail_log=not settings.text(_REFUSALS["may_view_mail_log"]),
            may_manage_quarantine=not settings.text(_REFUSALS["may_manage_quarantine"]),
        )


def change_admin_settings(settings: Settings, fields: Mapping[str, Any]) -> None:
    """Put the limits and rights in `fields` into settings. Raises InvalidValue."""
    change_admin_limits(settings, fields)
    for name, key in _REFUSALS.items():
        if name in fields:
            settings.put(key, None if fields[name] else "yes")


def change_admin_limits(settings: Settings, fields: Mapping[str, Any]) -> None:
    """Put the limits in `fields` into settings, and the time zone, but no rights in the panel. Raises InvalidValue."""
    if "max_domains" in fields:
        limit = to_limit("max_domains")(fields["max_domains"])
        settings.put(_MAY_CREATE, "yes" if limit >= 0 else None)
        settings.put("create_max_domains", max(limit, 0))
    if "max_quota" in fields:
        _put_quota(settings, Quota.parse(fields["max_quota"]))
    for name, key in _LIMITS.items():
        if name in fields:
            settings.put(key, to_limit(name)(fields[name]))
    if "timezone" in fields:
        settings.put("timezone", timezone(fields["timezone"]))


def clear_admin_settings(settings: Settings, *, rights_too: bool) -> None:
    """Remove the limits, which mean nothing for a global admin, and with `rights_too` all that makes an admin."""
    for key in ADMIN_KEYS if rights_too else _LIMIT_KEYS:
        settings.put(key, None)


def _put_quota(settings: Settings, quota: Quota) -> None:
    if quota.bytes is None:
        settings.put("create_max_quota", None)
        settings.put("create_quota_unit", None)
        return
    for name, size in _UNITS.items():
        if quota.bytes % size == 0:
            settings.put("create_max_quota", quota.bytes // size)
            settings.put("create_quota_unit", name)
            return
    raise InvalidQuota(f"{quota}: an admin's quota is kept in whole megabytes")


def check_allocation(admin: str, noun: str, *, wanted: int | None, others: int, limit: int) -> None:
    """Raise LimitExceeded unless an admin may allocate `wanted` (None: unlimited) beside what `others` have."""
    if wanted is None:
        raise LimitExceeded(f"{admin} may allocate {limit} {noun}: unlimited is not possible", subject=admin)
    if others + wanted > limit:
        raise LimitExceeded(
            f"{admin} may allocate {limit} {noun}; {others} are allocated to other domains, {wanted} more do not fit",
            subject=admin,
        )
