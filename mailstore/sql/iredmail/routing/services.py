"""The `enable…` columns of a mailbox as service names (`mailstore.driver.iredmail.service_names`).

Besides the families: ``deliver lda lmtp internal doveadm dsync lib-storage quota-status indexer-worker sogo ...``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, String, Table, cast, func

from mailstore.driver.iredmail.service_names import FAMILIES, collapsed, expanded, neutral, switched_off
from mailstore.errors import InvalidValue, NotSupported
from mailstore.model import Edit, Names
from mailstore.sql.iredmail.schema.detection import Schema
from mailstore.sql.iredmail.schema.tables import ENABLE_COLUMNS, LETTER_COLUMNS

__all__ = ["Services"]

_COLUMNS = {neutral(column.removeprefix("enable")): column for column in ENABLE_COLUMNS + LETTER_COLUMNS}


class Services:
    """The services that the columns of a live schema can switch."""

    def __init__(self, schema: Schema) -> None:
        self._columns = {name: column for name, column in _COLUMNS.items() if schema.has("mailbox", column)}
        self.known = frozenset(self._columns)
        self.names = lru_cache(maxsize=1024)(self._names)
        self._off = lru_cache(maxsize=256)(self._disabled_for_new)

    def columns(self, services: Names, current: Mapping[Any, Any]) -> dict[str, int | str]:
        """Return the column values for a set of services, or for an `Edit` of those in the row `current`.

        Raises InvalidValue for an unknown service, NotSupported for one that this schema has no column for.
        """
        if isinstance(services, Edit):
            present = self._enabled(self.flags(current))
            enabled = present - self._expand(services.remove) | self._expand(services.add)
        else:
            enabled = self._expand(services)
        return {column: _flag(column, name in enabled) for name, column in self._columns.items()}

    def selected(self, mailbox: Table) -> ColumnElement[str]:
        """Return all flags of a row as one column, which is fetched many times faster than twenty-six."""
        columns = (_one_character(mailbox.c[column]) for column in self._columns.values())
        return functools.reduce(lambda text, column: text + column, columns)

    def flags(self, row: Mapping[Any, Any]) -> str:
        """Return the flags of a row as `selected` gives them. A column that is not in the row has its default, "on"."""
        return "".join(str(row.get(column, _flag(column, True))) for column in self._columns.values())

    def _names(self, flags: str | None) -> tuple[str, ...]:
        """Return the services that are on, sorted; a family where all its variants are on."""
        return collapsed(self._enabled(flags or ""), self._columns)

    def disabled_for_new(self, disabled: Iterable[str]) -> Mapping[str, int | str]:
        """Return the columns that a domain's ``disabled_mail_services`` (``imap``, ``imapsecured`` ...) switch off."""
        return self._off(tuple(disabled))

    def _disabled_for_new(self, disabled: Iterable[str]) -> Mapping[str, int | str]:
        known = set(self._columns.values())
        names = (f"enable{name}" for name in switched_off(disabled))
        return {name: _flag(name, False) for name in names if name in known}

    def _enabled(self, flags: str) -> set[str]:
        return {name for name, flag in zip(self._columns, flags, strict=False) if flag in "1y"}

    def _expand(self, names: Iterable[str]) -> set[str]:
        wanted = expanded(names, self._columns)
        for name in sorted(wanted - self._columns.keys()):
            if name in _COLUMNS:
                raise NotSupported(f"service {name!r} needs the column mailbox.{_COLUMNS[name]}, which is not there")
            raise InvalidValue(f"unknown service {name!r}; known are {', '.join([*FAMILIES, *self._columns])}")
        return wanted


def _one_character(column: ColumnElement[Any]) -> ColumnElement[str]:
    flag: ColumnElement[str] = cast(column, String(1))
    # Only a letter can be an empty text, which would shift all flags behind it.
    return func.coalesce(func.nullif(flag, ""), "-") if isinstance(column.type, String) else flag


def _flag(column: str, enabled: bool) -> int | str:
    if column in LETTER_COLUMNS:
        return "y" if enabled else "n"
    return int(enabled)
