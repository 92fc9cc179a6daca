"""Records of the library as rows: flat, with dotted names. Their JSON is that of `mailstore.records`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from mailstore.cli.results import Handled, HandledWithPassword, ImportedRow
from mailstore.model import Account, Admin, Alias, DeletedMailbox, Domain, LastLogin, MailingList, Usage
from mailstore.policies import Limit, SpamPolicy, SpamPolicyFields, period_text
from mailstore.quota import Quota
from mailstore.records import plain_value

__all__ = ["flat", "is_formula", "listed", "names", "text"]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")

_PARTS: Mapping[str, type] = {"usage": Usage, "last_login": LastLogin}
"""The fields that are records themselves, wherever they occur; a row has one column for each of their fields."""

_INHERITABLE = {"enabled", *SpamPolicyFields.__annotations__}
"""The columns in which nothing means that the next level is asked."""

_LISTED: Mapping[type, tuple[str, ...]] = {
    Domain: ("domain", "name", "enabled", "quota", "max_accounts", "alias_domains"),
    Account: ("address", "name", "enabled", "quota", "usage.bytes", "forwarding", "aliases"),
    Alias: ("address", "name", "enabled", "access_policy", "members"),
    MailingList: ("address", "name", "kind", "enabled", "access_policy", "members"),
    Admin: ("address", "name", "enabled", "kind", "global_admin", "domains"),
    SpamPolicy: ("level", "spam_score", "quarantine_spam", "quarantine_virus", "bypass_spam_checks"),
    ImportedRow: ("address", "row", "line", "action", "reason"),
    Handled: ("name", "action", "reason"),
    HandledWithPassword: ("name", "action", "generated_password", "reason"),
    DeletedMailbox: ("address", "id", "due", "usage.bytes", "restorable", "domain_record", "home", "error"),
}


def names(kind: type) -> tuple[str, ...]:
    """Return the names of all columns of a record type."""
    return tuple(name for one in fields(kind) for name in _columns(one.name))


def listed(kind: type) -> tuple[str, ...]:
    """Return the names of the columns that a list of such records shows: all of them unless there are too many."""
    return _LISTED.get(kind) or names(kind)


def _columns(name: str) -> Iterable[str]:
    return (f"{name}.{part.name}" for part in fields(_PARTS[name])) if name in _PARTS else (name,)


def flat(record: object) -> dict[str, Any]:
    """Return a record's values by the `names` of its type."""
    values: dict[str, Any] = {}
    for one in fields(record):  # type: ignore[arg-type]
        value = getattr(record, one.name)
        for column in _columns(one.name):
            _, _, part = column.partition(".")
            values[column] = getattr(value, part, None) if part else value
    return values


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would calculate with a cell, or would after one of the apostrophes in front is gone."""
    return _FORMULA.match(cell) is not None


def text(column: str, value: Any) -> str:
    """Return a value as it stands in rows, in the form in which options take it."""
    match value:
        case None:
            return "inherit" if column in _INHERITABLE else "unlimited" if column.startswith("max_") else ""
        case int() if column == "period":
            return period_text(value)
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return " ".join(str(entry) for entry in value)
        case Quota() | Limit():
            return str(value)
        case Mapping():
            return json.dumps(plain_value(value)) if value else ""
    return str(plain_value(value))
