"""What a list shows of the records that the library gives: which of them, in which order, and which columns."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from heapq import nlargest, nsmallest
from itertools import islice
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from mailstore.cli.values import flat, names, text
from mailstore.errors import InvalidQuota
from mailstore.model import Account, DeletedMailbox
from mailstore.quota import Quota

__all__ = ["View", "takes_view"]

_COMPARISON = re.compile(r"(?P<column>[a-z_.]+)\s*(?P<sign><=|>=|!=|=|<|>|~)\s*(?P<value>.*)", re.DOTALL)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_SWITCHES = {"yes": True, "no": False}
_Condition = Callable[[Any], bool]


def _never(record: Account) -> bool:
    login = record.last_login
    return login is None or (login.imap, login.pop3) == (None, None)


def _over(record: Account) -> bool:
    limit = record.quota.bytes
    return limit is not None and record.usage is not None and record.usage.bytes >= limit


_NAMED: Mapping[str, tuple[type | None, _Condition]] = {
    "disabled": (None, lambda record: not record.enabled),
    "over-quota": (Account, _over),
    "never-logged-in": (Account, _never),
    "without-home": (Account, lambda record: bool(record.home) and not Path(record.home).is_dir()),
    "failed": (DeletedMailbox, lambda record: bool(record.error)),
    "unreadable": (None, lambda record: bool(record.problems)),
}
"""Conditions by name, and for which records they are; None is for all that have such a field."""


@dataclass(frozen=True)
class View:
    """What the options of a list ask for."""

    count: bool = False
    columns: tuple[str, ...] = ()
    sort: str = ""
    limit: int | None = None
    where: tuple[_Condition, ...] = ()

    def apply(self, records: Iterable[Any]) -> Iterator[Any]:
        """Iterate over the records that are wanted. They are held in memory only to be sorted, `limit` of them if given."""
        wanted = (record for record in records if all(condition(record) for condition in self.where))
        if not self.sort:
            return islice(wanted, self.limit)
        column, falling = self.sort.lstrip("-"), self.sort.startswith("-")
        if self.limit is not None:
            return iter((nlargest if falling else nsmallest)(self.limit, wanted, key=lambda one: _rank(one, column)))
        return iter(sorted(wanted, key=lambda one: _rank(one, column), reverse=falling))


def takes_view(kind: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that lists records of a type the options for its `View`, as the parameter `view`."""
    conditions = [name for name, (only, _) in _NAMED.items() if _fits(kind, name, only)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def viewed(
            *args: Any, count: bool, columns: Any, sort: str, limit: int | None, where: Any, **rest: Any
        ) -> None:
            command(*args, view=View(count, columns or (), sort, limit, where), **rest)

        for option in reversed((
            click.option("--count", is_flag=True, help="Tell only how many there are."),
            click.option("--columns", metavar="NAME,...", type=_Columns(kind), help="Show these columns."),
            click.option(
                "--sort", metavar="COLUMN", type=_Column(kind), default="", help="Order by a column; '-COLUMN': falling."
            ),
            click.option("--limit", metavar="N", type=click.IntRange(min=0), help="Show at most so many."),
            click.option(
                "--where",
                metavar="CONDITION",
                multiple=True,
                type=_Where(kind, conditions),
                help=f"Only those for which it is so: {', '.join(conditions)}; or COLUMN, one of = != < <= > >= or ~ (holds "
                "the text), and a value (repeatable: all must be so).",
            ),
        )):  # fmt: skip
            viewed = option(viewed)
        return viewed

    return decorate


def _fits(kind: type, name: str, only: type | None) -> bool:
    field = {"disabled": "enabled", "unreadable": "problems"}.get(name)
    return kind is only if only else field in names(kind)


class _Column(click.ParamType[Any]):
    """A column of a type of records, perhaps with a hyphen in front."""

    name = "column"

    def __init__(self, kind: type) -> None:
        self._names = names(kind)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value. Fails for what is no column, and says which there are."""
        if value and value.removeprefix("-") not in self._names:
            self.fail(f"{value!r} is no column; there are {', '.join(self._names)}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the columns that begin so."""
        return [CompletionItem(name) for name in self._names if name.startswith(incomplete)]


class _Columns(_Column):
    """Several columns with commas between."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of columns."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        return tuple(super(_Columns, self).convert(part or "?", param, ctx) for part in parts)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may stand behind the last comma."""
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{one.value}") for one in super().shell_complete(ctx, param, last)]


class _Where(click.ParamType[Any]):
    """A condition by its name, or a comparison of a column."""

    name = "condition"

    def __init__(self, kind: type, conditions: Iterable[str]) -> None:
        self._names, self._conditions = names(kind), tuple(conditions)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> _Condition:
        """Return what tells whether a record is meant."""
        if callable(value):
            return value  # type: ignore[no-any-return]
        if value in self._conditions:
            return _NAMED[value][1]
        match = _COMPARISON.fullmatch(value)
        if match is None or match["column"] not in self._names:
            known = f"{', '.join(self._conditions)}, or a comparison of {', '.join(self._names)}"
            self.fail(f"{value!r} is no condition; there are {known}", param, ctx)
        column, sign, wanted = match["column"], match["sign"], match["value"]

        def holds(record: Any) -> bool:
            try:
                return _holds(flat(record)[column], column, sign, wanted)
            except (ValueError, InvalidQuota):
                self.fail(f"{column} is not to be compared with {wanted!r}", param, ctx)

        return holds

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the conditions, and the columns, that begin so."""
        return [CompletionItem(one) for one in (*self._conditions, *self._names) if one.startswith(incomplete)]


def _holds(value: Any, column: str, sign: str, wanted: str) -> bool:
    if isinstance(value, tuple):
        parts = [str(part).lower() for part in value]
        if sign == "~":
            return any(wanted.lower() in part for part in parts)
        if sign not in {"=", "!="}:
            raise ValueError(sign)  # several values have no order
        return (wanted.lower() in parts) is (sign == "=") if wanted else bool(parts) is (sign == "!=")
    if sign == "~":
        return wanted.lower() in text(column, value).lower()
    left, right = _comparable(value, column, wanted)
    return _SIGNS[sign](left, right)


def _comparable(value: Any, column: str, wanted: str) -> tuple[Any, Any]:
    """Return a value and what it is compared with in one kind; raises ValueError or InvalidQuota."""
    match value:
        case bool():
            if wanted not in _SWITCHES:
                raise ValueError(wanted)
            return value, _SWITCHES[wanted]
        case Quota():
            return _size(value), _size(Quota.parse(wanted))
        case int() if column.endswith("bytes"):
            return value, 0 if wanted == "0" else _size(Quota.parse(wanted))
        case int():
            return value, float("inf") if wanted == "unlimited" else int(wanted)
        case datetime() | date():
            return value.isoformat(sep=" ")[: len(wanted)] if isinstance(value, datetime) else value.isoformat(), wanted
        case None if column.startswith("max_"):
            return float("inf"), float("inf") if wanted == "unlimited" else int(wanted)
    return text(column, value).lower(), wanted.lower()


def _size(quota: Quota) -> float:
    return float("inf") if quota.bytes is None else quota.bytes


def _rank(record: Any, column: str) -> tuple[int, Any]:
    """Return what a record is sorted by: what is not set comes before what is."""
    value = flat(record)[column]
    if isinstance(value, Quota):
        return (1, _size(value))
    if isinstance(value, tuple):
        return (1, len(value))
    if value is None:
        return (2, 0) if column.startswith("max_") else (0, 0)
    return (1, value if isinstance(value, int | float | date) else text(column, value).lower())
