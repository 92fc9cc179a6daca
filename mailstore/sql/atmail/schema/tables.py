"""atmail's `mailserver` database: tables and columns by the names that this package uses for them.

The tables `accounts` and `domains`, the columns of `accounts` and the fields of aliases, admin users, roles and permissions
are documented by the vendor. The other tables' own names, and everything about the tables that link them, are not: they are
named here after the documented calls and parameters, and a configuration can say otherwise. `SPECS` tells which is which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import Column, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql

from mailstore.config import AtmailConfig
from mailstore.sql.live import Live, LiveColumn
from mailstore.sql.moments import Moment
from mailstore.sql.own_tables import BESIDE, RECORDS, define_own_tables

__all__ = [
    "ADMIN_TABLES", "API_SPECS", "OWN_TABLES", "SPECS", "ColumnSpec", "Spec", "Specs", "TableNames", "define",
]  # fmt: skip

Kind: TypeAlias = Literal["key", "id", "number", "flag", "text", "long", "time", "epoch"]
_TYPES: Mapping[Kind, Any] = {
    "key": mysql.INTEGER(unsigned=True), "id": mysql.INTEGER(unsigned=True), "number": mysql.INTEGER(unsigned=True),
    "flag": mysql.TINYINT(), "text": String(255), "long": Text(), "time": Moment(), "epoch": Integer(),
}  # fmt: skip


@dataclass(frozen=True)
class ColumnSpec:
    """A column: its name by default, its type, and whether a server may lack it.

    ``default`` is what the created schema gives it; None makes it nullable. ``indexed`` is part of the created schema only.
    """

    name: str
    kind: Kind
    optional: bool = False
    default: str | int | None = None
    indexed: bool = False
    unique: bool = False


@dataclass(frozen=True)
class Spec:
    """A table. ``documented`` tells whether its own name is the vendor's; ``linked`` makes all columns the primary key."""

    name: str
    columns: Sequence[ColumnSpec]
    documented: bool = False
    linked: bool = False


def _link(name: str, *columns: str) -> Spec:
    return Spec(name, [ColumnSpec(column, "id", indexed=True) for column in columns], linked=True)


Specs: TypeAlias = "Mapping[str, Spec]"

SPECS: Specs = {
    spec.name: spec
    for spec in (
        Spec("accounts", (
            ColumnSpec("accountId", "key"),
            ColumnSpec("createdByUserId", "id", optional=True, indexed=True),
            ColumnSpec("username", "text", unique=True, default=""),
            ColumnSpec("password", "text", default=""),
            ColumnSpec("domainId", "id", indexed=True, default=0),
            ColumnSpec("dateModified", "time", optional=True),
            ColumnSpec("dateCreate", "time", optional=True),
            ColumnSpec("userStatus", "flag", default=0),
            ColumnSpec("homeDir", "text", default=""),
            ColumnSpec("forward", "long", optional=True),
            ColumnSpec("autoReply", "long", optional=True),
            ColumnSpec("quota", "number", default=0),
            ColumnSpec("lastLogin", "time", optional=True),
            ColumnSpec("autoReplyEnabled", "flag", optional=True, default=0),
            ColumnSpec("autoReplySubject", "text", optional=True),
            ColumnSpec("autoReplyStart", "time", optional=True),
            ColumnSpec("autoReplyEnd", "time", optional=True),
            ColumnSpec("mboxServer", "id", optional=True, default=1),
            ColumnSpec("mboxType", "text", optional=True, default="Maildir"),
            ColumnSpec("groupId", "id", optional=True, default=1),
            ColumnSpec("firstName", "text", optional=True),
            ColumnSpec("lastName", "text", optional=True),
        ), documented=True),
        Spec("domains", (
            ColumnSpec("domainId", "key"), ColumnSpec("domainName", "text", unique=True, default=""),
        ), documented=True),
        Spec("aliases", (
            ColumnSpec("id", "key"),
            ColumnSpec("AliasName", "text", indexed=True, default=""),
            ColumnSpec("AliasTo", "text", indexed=True, default=""),
            ColumnSpec("Domain", "text", optional=True, default=""),
            ColumnSpec("DateCreate", "time", optional=True),
            ColumnSpec("aliasType", "text", default="Local"),
            ColumnSpec("DomainPart", "text", optional=True, indexed=True, default=""),
        )),
        Spec("users", (
            ColumnSpec("userId", "key"),
            ColumnSpec("leftEdge", "id", default=0),
            ColumnSpec("rightEdge", "id", default=0),
            ColumnSpec("createdByUserId", "id"),
            ColumnSpec("username", "text", unique=True, default=""),
            ColumnSpec("password", "text", default=""),
            ColumnSpec("numUsers", "number"),
            ColumnSpec("quota", "number"),
            ColumnSpec("company", "text", optional=True),
            ColumnSpec("fullname", "text", optional=True),
            ColumnSpec("emailAddress", "text", optional=True),
            ColumnSpec("dateCreate", "time", optional=True),
            ColumnSpec("lastLogin", "epoch", optional=True),
            ColumnSpec("modified", "time", optional=True),
            ColumnSpec("ipAddress", "text", optional=True),
            ColumnSpec("language", "text", optional=True),
            ColumnSpec("cssColorTheme", "text", optional=True),
            ColumnSpec("welcomeDisplayed", "flag", optional=True, default=0),
        )),
        Spec("roles", (
            ColumnSpec("roleId", "key"),
            ColumnSpec("roleName", "text", unique=True, default=""),
            ColumnSpec("roleDescription", "text", optional=True),
            ColumnSpec("roleHierarchy", "text", default=""),
            ColumnSpec("roleEnabled", "flag", default=1),
            ColumnSpec("createdByUserId", "id", optional=True),
        )),
        Spec("permissions", (
            ColumnSpec("permissionId", "key"),
            ColumnSpec("permissionName", "text", unique=True, default=""),
            ColumnSpec("permissionDescription", "text", optional=True),
        )),
        _link("userDomains", "userId", "domainId"),
        _link("userPermissions", "userId", "permissionId"),
        _link("userRoles", "userId", "roleId"),
        _link("rolePermissions", "roleId", "permissionId"),
    )
}  # fmt: skip

API_SPECS: Specs = {
    spec.name: spec
    for spec in (
        Spec("apiserver.Accounts", (
            ColumnSpec("idAccount", "key"),
            ColumnSpec("idUsers", "id", indexed=True, default=0),
            ColumnSpec("Name", "text", unique=True, default=""),
            ColumnSpec("IsPrimary", "flag", default=1),
            ColumnSpec("Active", "flag", default=1),
            ColumnSpec("idMailAccount", "id"),
            ColumnSpec("idContactAccount", "id"),
            ColumnSpec("idCalendarAccount", "id"),
        ), documented=True),
        Spec("apiserver.Users", (ColumnSpec("idUsers", "key"), ColumnSpec("Name", "text", default=""))),
        Spec("apiserver.Identities", (
            ColumnSpec("idIdentity", "key"),
            ColumnSpec("idUsers", "id", indexed=True, default=0),
            ColumnSpec("Name", "text", default=""),
        )),
        Spec("apiserver.ServiceAccounts", (
            ColumnSpec("idServiceAccount", "key"),
            ColumnSpec("idUsers", "id", indexed=True, default=0),
            ColumnSpec("Type", "text", default=""),
        )),
    )
}  # fmt: skip
"""The API server's database. Its tables have a prefix in the configuration: some share names with the mail server's."""

ADMIN_TABLES = ("users", "roles", "permissions", "userDomains", "userPermissions", "userRoles", "rolePermissions")
"""What admins need, all of it or nothing: without, a store has only accounts, domains and aliases."""

OWN_TABLES = (RECORDS, BESIDE)
"""mailstore's own: the records of deleted mailboxes."""


class TableNames:
    """What tables and columns are called on one server."""

    def __init__(self, config: AtmailConfig) -> None:
        self._config = config

    def table(self, name: str) -> str:
        """Return the name of a table on this server."""
        return self._config.tables.get(name, name.removeprefix("apiserver."))

    def column(self, table: str, name: str) -> str:
        """Return the name of a column on this server."""
        return self._config.columns.get(f"{table}.{name}", name)

    def is_named(self, table: str) -> bool:
        """Tell whether the configuration names this table."""
        return table in self._config.tables

    def fillings(self, table: str) -> dict[str, str | int]:
        """Return the values that the configuration gives to columns of new rows, by their names on this server."""
        prefix = f"{table}."
        return {key.removeprefix(prefix): value for key, value in self._config.fill.items() if key.startswith(prefix)}

    def unknown(self) -> list[str]:
        """Return what the configuration names and this package does not know."""
        specs = {**SPECS, **API_SPECS}
        columns = {f"{spec.name}.{column.name}" for spec in specs.values() for column in spec.columns}
        tables = [name for name in self._config.tables if name not in specs]
        filled = [key for key in self._config.fill if key.rpartition(".")[0] not in specs]
        return sorted({*tables, *(self._config.columns.keys() - columns), *filled})


def define(names: TableNames, live: Live | None = None, *, specs: Specs = SPECS) -> dict[str, Table]:
    """Return the tables of `specs` by the names that this package uses; their columns have such names as keys.

    The mail server's database has mailstore's own tables besides. With `live`, only the tables and columns that the
    server has; without, the complete schema with its indexes.
    """
    metadata = MetaData()
    tables: dict[str, Table] = {}
    for spec in specs.values():
        found = None if live is None else live.get(names.table(spec.name), {})
        if found is None or found:
            tables[spec.name] = _table(metadata, names, spec, found)
    for table in define_own_tables(metadata, live) if specs is SPECS else ():
        if live is None or table.name in live:
            tables[table.name] = table
    return tables


def _table(metadata: MetaData, names: TableNames, spec: Spec, live: Mapping[str, LiveColumn] | None) -> Table:
    columns = [
        _column(column, names.column(spec.name, column.name), spec.linked)
        for column in spec.columns
        if live is None or names.column(spec.name, column.name) in live
    ]
    known = {column.name for column in columns}
    for name, value in names.fillings(spec.name).items():
        if name not in known and (live is None or name in live):
            columns.append(Column(name, String(255) if isinstance(value, str) else Integer()))
    return Table(names.table(spec.name), metadata, *columns, mysql_engine="InnoDB", mariadb_engine="InnoDB")


def _column(spec: ColumnSpec, name: str, linked: bool) -> Column[Any]:
    primary = spec.kind == "key" or linked
    nullable = spec.default is None and not primary
    default = None if spec.default is None else str(spec.default)
    return Column(
        name, _TYPES[spec.kind], key=spec.name, primary_key=primary, nullable=nullable, server_default=default,
        autoincrement=spec.kind == "key", unique=spec.unique or None, index=(spec.indexed and not linked) or None,
    )  # fmt: skip
