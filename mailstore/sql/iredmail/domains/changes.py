"""A new domain, or a change to one: its columns, settings, and what stands in other tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from mailstore.address import any_address
from mailstore.driver.iredmail.units import megabytes, to_limit
from mailstore.driver.names import settled, wanted_in
from mailstore.driver.values import Column, checked, flag, language, long_text, next_hop, now, text, transport
from mailstore.errors import InvalidValue
from mailstore.fields import plain
from mailstore.model import Edit
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.domains.rows import SETTINGS_LISTS
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.routing.forwardings import Forwardings, catch_all_row
from mailstore.sql.iredmail.routing.pointers import pointers_from, set_pointers
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.iredmail.schema.settings import Settings

__all__ = ["DomainChange"]

_COLUMNS: Mapping[str, Column] = {
    "name": ("description", text("name", 1000)),
    "enabled": ("active", flag("enabled")),
    "quota": ("maxquota", megabytes),
    "max_accounts": ("mailboxes", to_limit("max_accounts")),
    "max_aliases": ("aliases", to_limit("max_aliases")),
    "max_lists": ("maillists", to_limit("max_lists")),
    "disclaimer": ("disclaimer", long_text("disclaimer")),
}
_SETTINGS: Mapping[str, Column] = {
    "default_account_quota": ("default_user_quota", megabytes),
    "max_account_quota": ("max_user_quota", megabytes),
    "default_language": ("default_language", language),
    "min_password_length": ("min_passwd_length", to_limit("min_password_length")),
    "max_password_length": ("max_passwd_length", to_limit("max_password_length")),
}


class DomainChange:
    """The parameters of `Domains.create` and `Domains.update`, checked before the database is asked anything."""

    def __init__(self, context: Context, domain: str, fields: Mapping[str, Any]) -> None:
        self._context = context
        self._domain = domain
        self._fields = fields
        self.columns = checked(fields, _COLUMNS)
        context.require(self.columns, "domain")
        self._settings = checked(fields, _SETTINGS)
        self._catch_all = wanted_in(fields, "catch_all", any_address)
        self._pointers = pointers_from(fields)
        self._change_settings(Settings(""))  # refuses bad values early
        self._check_transport()

    def new_row(self) -> dict[str, Any]:
        """Return the row of a new domain."""
        moment = now()
        defaults = {"domain": self._domain, "active": 1, "created": moment, "modified": moment, "backupmx": 0}
        limits = {"mailboxes": 0, "aliases": 0, "maillists": 0, "maxquota": 0}
        row = {**defaults, **limits, "description": "", "transport": self._context.config.default_transport}
        return row | self.changed_row(row)

    def changed_row(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the columns to set in the present `row`."""
        settings = Settings(row.get("settings"))
        self._change_settings(settings)
        text = self._context.settings_text(str(settings))
        return {**self.columns, **self._transport(row), "settings": text, "modified": now()}

    def write_beside(self, tx: Transaction, forwardings: Forwardings) -> None:
        """Write what does not stand in the domain's own row."""
        if self._catch_all is not None:
            condition = forwardings.columns.address == self._domain
            names = self._catch_all
            present = forwardings.destinations(tx, condition) if isinstance(names, Edit) or names.odd else ()
            targets = settled(names, present, partial(NameSpace(self._context).owners, tx.connection))
            forwardings.replace(tx, condition, [catch_all_row(self._domain, to) for to in targets])
            Shields(self._context).renew_domain(tx, self._domain)
        set_pointers(self._context, tx, self._domain, self._pointers)

    def _change_settings(self, settings: Settings) -> None:
        for key, value in self._settings.items():
            # A length of 0 or less says nothing: to_limit gives -1 for 0.
            settings.put(key, max(value, 0) if isinstance(value, int) else value)
        for name, key in SETTINGS_LISTS.items():
            if name in self._fields:
                edit = self._fields[name]
                names = edit.apply(settings.names(key)) if isinstance(edit, Edit) else plain(edit)
                settings.put(key, [text(name)(value) for value in names])

    def _check_transport(self) -> None:
        transport(self._fields.get("transport", ""))
        if self._fields.get("backup_mx") and self._fields.get("transport"):
            raise InvalidValue("backup_mx sets the transport itself; give only one of the two", subject=self._domain)
        if self._fields.get("primary_mx") and self._fields.get("backup_mx") is False:
            raise InvalidValue("primary_mx means nothing without backup_mx", subject=self._domain)

    def _transport(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the columns `transport` and `backupmx`, which depend on each other."""
        fields = self._fields
        backup_mx = bool(fields.get("backup_mx", row["backupmx"]))
        if backup_mx:
            if "primary_mx" in fields or not row["backupmx"]:
                return {"backupmx": 1, "transport": f"relay:{next_hop(fields.get('primary_mx', ''))}"}
            if fields.get("transport"):
                raise InvalidValue("a backup MX has no transport of its own; set backup_mx=False", subject=self._domain)
            return {}
        if fields.get("primary_mx"):
            raise InvalidValue("primary_mx means nothing without backup_mx", subject=self._domain)
        default = self._context.config.default_transport
        if fields.get("transport") or "transport" in fields:
            return {"backupmx": 0, "transport": transport(fields["transport"]) or default}
        return {"backupmx": 0, "transport": default} if row["backupmx"] else {}
