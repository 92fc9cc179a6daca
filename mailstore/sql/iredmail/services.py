"""The `enable…` columns of a mailbox as service names.

A family name (``imap``) stands for all its variants, because cutting a protocol needs all its columns (dossier, trap 18);
a single variant is called ``imapplain``, ``imapsecured``, ``imaptls``. Every other column is a service of its own:
``deliver lda lmtp internal doveadm dsync lib-storage quota-status indexer-worker sogo sogowebmail ...``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, String, Table, cast

from mailstore.errors import InvalidValue, NotSupported
from mailstore.model import Edit, Names
from mailstore.sql.iredmail.schema import Schema
from mailstore.sql.iredmail.tables import ENABLE_COLUMNS, LETTER_COLUMNS

__all__ = ["Services"]

_FAMILIES = {
    "smtp": ("smtpplain", "smtpsecured"),
    "pop3": ("pop3plain", "pop3secured", "pop3tls"),
    "imap": ("imapplain", "imapsecured", "imaptls"),
    "sieve": ("sieveplain", "sievesecured", "sievetls", "managesieve", "managesievesecured"),
}
_PLAIN = {"smtp", "pop3", "imap", "sieve"}


def _service(column: str) -> str:
    name = column.removeprefix("enable")
    return f"{name}plain" if name in _PLAIN else name


_COLUMNS = {_service(column): column for column in ENABLE_COLUMNS + LETTER_COLUMNS}


class Services:
    """The services that the columns of a live schema can switch."""

    def __init__(self, schema: Schema) -> None:
        self._columns = {name: column for name, column in _COLUMNS.items() if schema.has("mailbox", column)}
        self.names = lru_cache(maxsize=1024)(self._names)

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
        columns = [cast(mailbox.c[column], String(1)) for column in self._columns.values()]
        return functools.reduce(lambda text, column: text + column, columns)

    def flags(self, row: Mapping[Any, Any]) -> str:
        """Return the flags of a row as `selected` gives them. A column that is not in the row has its default, "on"."""
        return "".join(str(row.get(column, _flag(column, True))) for column in self._columns.values())

    def _names(self, flags: str) -> tuple[str, ...]:
        """Return the services that are on, sorted; a family where all its variants are on."""
        enabled = self._enabled(flags)
        for family, variants in _FAMILIES.items():
            known = {variant for variant in variants if variant in self._columns}
            if known and known <= enabled:
                enabled = enabled - known | {family}
        return tuple(sorted(enabled))

    def disabled_for_new(self, disabled: Iterable[str]) -> dict[str, int | str]:
        """Return the columns that a domain's ``disabled_mail_services`` (``imap``, ``imapsecured`` ...) switch off.

        That list knows no TLS variants; one is off where both the others are, because it serves the same port.
        """
        names = set(disabled)
        names |= {f"{name}tls" for name in _PLAIN if {name, f"{name}secured"} <= names}
        known = set(self._columns.values())
        return {f"enable{name}": _flag(f"enable{name}", False) for name in names if f"enable{name}" in known}

    def _enabled(self, flags: str) -> set[str]:
        return {name for name, flag in zip(self._columns, flags, strict=True) if flag in "1y"}

    def _expand(self, names: Iterable[str]) -> set[str]:
        if isinstance(names, str):
            raise InvalidValue(f"services: a list of names is wanted, not the text {names!r}")
        wanted: set[str] = set()
        for name in names:
            if name in _FAMILIES:
                wanted |= {variant for variant in _FAMILIES[name] if variant in self._columns}
            elif name in self._columns:
                wanted.add(name)
            elif name in _COLUMNS:
                raise NotSupported(f"service {name!r} needs the column mailbox.{_COLUMNS[name]}, which is not there")
            else:
                raise InvalidValue(f"unknown service {name!r}; known are {', '.join([*_FAMILIES, *self._columns])}")
        return wanted


def _flag(column: str, enabled: bool) -> int | str:
    if column in LETTER_COLUMNS:
        return "y" if enabled else "n"
    return int(enabled)
