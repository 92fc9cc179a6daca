"""The `enable…` columns of a mailbox as service names.

A family name (``imap``) stands for all its variants, because cutting a protocol needs all its columns (dossier, trap 18);
a single variant is called ``imapplain``, ``imapsecured``, ``imaptls``. Every other column is a service of its own:
``deliver lda lmtp internal doveadm dsync lib-storage quota-status indexer-worker sogo sogowebmail ...``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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

    def columns(self, services: Names, current: Mapping[str, Any]) -> dict[str, int | str]:
        """Return the column values for a set of services, or for an `Edit` of those in the row `current`.

        Raises InvalidValue for an unknown service, NotSupported for one that this schema has no column for.
        """
        if isinstance(services, Edit):
            enabled = set(self._enabled(current)) - self._expand(services.remove) | self._expand(services.add)
        else:
            enabled = self._expand(services)
        return {column: _flag(column, name in enabled) for name, column in self._columns.items()}

    def names(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the services switched on in a row, sorted; a family where all its variants are on."""
        enabled = set(self._enabled(row))
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

    def _enabled(self, row: Mapping[str, Any]) -> Iterable[str]:
        # A column that is not in the row has its default, which is "on" for all of them.
        return (name for name, column in self._columns.items() if row.get(column, 1) in (1, "y"))

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
