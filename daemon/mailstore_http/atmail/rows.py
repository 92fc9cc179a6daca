"""Which fields an answer has, in the order of the document. What is empty in the database is an empty element."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailstore.address import domain_part
from mailstore.model import Account, Admin
from mailstore.quota import Quota
from mailstore_http.atmail.envelope import Elements

if TYPE_CHECKING:
    from mailstore.sql.atmail.aliases.rows import AliasRow

__all__ = ["MASK", "UNLIMITED_ACCOUNTS", "account", "admin", "alias", "new_account", "used"]

MASK = "CHANGEME"
"""Stands in the place of every password, as in the document."""
UNLIMITED_ACCOUNTS = 16_777_215
_MEGABYTE = 1 << 20

_NEW_ACCOUNT = (
    "accountId", "createdByUserId", "username", "password", "domainId", "dateModified", "dateCreate", "userStatus",
    "homeDir", "forward", "autoReply", "quota", "lastLogin", "autoReplyEnabled", "autoReplySubject", "autoReplyStart",
    "autoReplyEnd", "mboxServer", "mboxType", "groupId", "firstName", "lastName",
)  # fmt: skip
_ACCOUNT = tuple(name for name in _NEW_ACCOUNT if not name.startswith("autoReply") or name == "autoReply")
_ADMIN = (
    "userId", "leftEdge", "rightEdge", "createdByUserId", "username", "password", "numUsers", "company", "fullname",
    "emailAddress", "dateCreate", "lastLogin", "modified", "ipAddress", "quota", "language", "cssColorTheme",
    "welcomeDisplayed",
)  # fmt: skip


def new_account(found: Account, password: str = "") -> Elements:
    """Return the row of an account that was just created; a password that was made for it stands nowhere else."""
    return _in_order(_NEW_ACCOUNT, _values(found) | ({"password": password} if password else {}))


def account(found: Account) -> Elements:
    """Return the row of an account."""
    return _in_order(_ACCOUNT, _values(found))


def used(found: Account) -> Elements:
    """Return what is in the mailbox of an account, in megabytes and messages; empty if that cannot be seen."""
    if found.usage is None:
        return [("UsedQuota", ""), ("TotalMessages", "")]
    size = f"{found.usage.bytes / _MEGABYTE:.10f}".rstrip("0").rstrip(".")
    return [("UsedQuota", size), ("TotalMessages", str(found.usage.messages))]


def admin(found: Admin) -> Elements:
    """Return the row of an admin user. The first one has no limits at all, not even the numbers that mean none."""
    is_first = "createdByUserId" not in found.settings
    no_number, no_size = ("", "") if is_first else (str(UNLIMITED_ACCOUNTS), "0")
    values = {
        **found.settings, "username": found.address, "password": MASK, "fullname": found.name, "language": found.language,
        "numUsers": no_number if found.max_accounts is None else str(found.max_accounts),
        "quota": no_size if found.max_quota.unlimited else _megabytes(found.max_quota),
        "dateCreate": _moment(found.created), "modified": _moment(found.modified),
    }  # fmt: skip
    return _in_order(_ADMIN, values)


def alias(found: AliasRow) -> Elements:
    """Return a row of aliases."""
    return [
        ("AliasName", found.name), ("AliasTo", found.target), ("Domain", found.domain),
        ("DateCreate", _moment(found.created)), ("id", str(found.id)), ("aliasType", found.type),
        ("DomainPart", domain_part(found.name) if "@" in found.name else found.name),
    ]  # fmt: skip


def _values(found: Account) -> dict[str, str]:
    return {
        **found.settings, "username": found.address, "password": MASK, "dateModified": _moment(found.modified),
        "dateCreate": _moment(found.created), "userStatus": "0" if found.enabled else "1",
        "homeDir": f"{found.home}/" if found.home else "", "quota": _megabytes(found.quota),
        "firstName": found.first_name, "lastName": found.last_name,
    }  # fmt: skip


def _in_order(names: tuple[str, ...], values: Mapping[str, str]) -> Elements:
    return [(name, values.get(name, "")) for name in names]


def _megabytes(quota: Quota) -> str:
    return "0" if quota.bytes is None else str(quota.bytes // _MEGABYTE)


def _moment(moment: datetime | None) -> str:
    """Return a time as it is in the database: in the time zone of the server."""
    return "" if moment is None else f"{moment.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M:%S}"
