"""Records of the library as rows: flat, with dotted names. Their JSON is that of `mailstore.records`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

from mailstore.cli.results import Handled, HandledWithPassword, ImportedRow
from mailstore.model import Account, Admin, Alias, DeletedMailbox, Domain, LastLogin, MailingList, Usage
from mailstore.policies import Limit, SpamPolicy, SpamPolicyFields, period_text
from mailstore.quota import Quota
from mailstore.records import plain_value

__all__ = ["flat", "is_formula", "listed", "names", "row", "text"]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SUSPECT = frozenset("'=+-@\t\r")
"""How every formula begins."""

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
    kind: type = record.__class__
    columns = _all_names(kind)
    return dict(zip(columns, row(record, columns), strict=True))


def row(record: object, columns: Sequence[str]) -> list[Any]:
    """Return a record's values in some of the columns that `names` has for its type."""
    whole, parts = _reading(tuple(columns))
    return [getattr(value, part, None) if part else value for value, part in zip(whole(record), parts, strict=True)]


_all_names: Callable[[Any], tuple[str, ...]] = cache(names)


@cache
def _reading(columns: tuple[str, ...]) -> tuple[Callable[[object], tuple[Any, ...]], list[str]]:
    """Return what gives the fields that columns belong to, and for each column which part of its field it is."""
    halves = [column.partition(".") for column in columns]
    fields_of = attrgetter(*(name for name, _, _ in halves))
    parts = [part for _, _, part in halves]
    return (fields_of if len(parts) != 1 else lambda record: (fields_of(record),)), parts


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would calculate with a cell, or would after one of the apostrophes in front is gone."""
    return cell[:1] in _SUSPECT and _FORMULA.match(cell) is not None


def text(column: str, value: Any) -> str:
    """Return a value as it stands in rows, in the form in which options take it."""
    if type(value) is str:
        return value
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
