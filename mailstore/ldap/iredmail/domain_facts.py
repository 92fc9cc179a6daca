"""What the entry of a domain says: its state, its alias domains, its defaults and limits."""

from __future__ import annotations

from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.settings import Settings

__all__ = ["QUOTA_KEY", "alias_domains", "domain_quota", "is_active", "is_backup", "policy_of"]  # fmt: skip

QUOTA_KEY = "domainQuota"
_UNITS = {"TB": 1 << 20, "GB": 1 << 10, "MB": 1}


def is_active(entry: Entry) -> bool:
    """Tell whether an entry is switched on; everything but ``active`` is off for Postfix and Dovecot."""
    return entry.first("accountStatus").lower() == "active"


def is_backup(entry: Entry) -> bool:
    """Tell whether a domain's mail is only passed on, to its primary server."""
    return entry.first("domainBackupMX").lower() == "yes"


def alias_domains(entry: Entry) -> tuple[str, ...]:
    """Return the alias domains of a domain's entry."""
    return tuple(sorted(name.lower() for name in entry.values("domainAliasName")))


def policy_of(entry: Entry) -> DomainPolicy:
    """Return what the entry of a domain lays down."""
    settings = Settings.of(entry)
    return DomainPolicy(
        domain=entry.first("domainName").lower(),
        max_accounts=settings.number("numberOfUsers") or 0,
        max_aliases=settings.number("numberOfAliases") or 0,
        max_lists=settings.number("numberOfLists") or 0,
        quota=domain_quota(settings),
        default_account_quota=max(settings.number("defaultQuota") or 0, 0),
        max_account_quota=max(settings.number("maxUserQuota") or 0, 0),
        default_language=settings.text("defaultLanguage") or entry.first("preferredLanguage"),
        min_password_length=settings.number("minPasswordLength") or 0,
        max_password_length=settings.number("maxPasswordLength") or 0,
        disabled_services=settings.names("disabledMailService"),
    )


def domain_quota(settings: Settings) -> int:
    """Return the quota of a domain in MB, 0 for unlimited. It is kept with its unit: ``10:GB``."""
    number, _, unit = settings.text(QUOTA_KEY).partition(":")
    return int(number) * _UNITS.get(unit.upper(), 1) if number.isdecimal() else 0
