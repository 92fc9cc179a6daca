"""What a live `mailserver` database has: detect it, compare it with what is needed, or create it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Insert, Table, insert

from mailstore.errors import ConfigurationError, SchemaMismatch, StoreError
from mailstore.sql.atmail.schema.permissions import KNOWN_PERMISSIONS
from mailstore.sql.atmail.schema.tables import (
    ADMIN_TABLES,
    API_SPECS,
    OWN_TABLES,
    SPECS,
    Specs,
    TableNames,
    define,
)
from mailstore.sql.live import Live, LiveColumn, new_tables, read_live
from mailstore.sql.own_tables import add_own_tables

__all__ = ["Schema", "create", "create_own_tables", "detect"]

_HINT = "if the table or column is called otherwise there, say so in 'tables' or 'columns' of [stores.NAME.atmail]"


@dataclass(frozen=True)
class Schema:
    """A live schema: its tables by the names that this package uses.

    ``missing`` are needed tables and columns, ``absent`` optional ones, as the server would call them; ``foreign`` are
    columns of the known tables that this driver does not know, ``unfilled`` those of them that no insert may leave out.
    """

    tables: Mapping[str, Table]
    names: TableNames
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]
    unfilled: tuple[str, ...]
    obstacle: StoreError | None = None

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    def has(self, table: str, column: str | None = None) -> bool:
        """Tell whether the server has this table, or this column of it. Raises LookupError for what no server has."""
        _refuse_unknown(table, [] if column is None else [column])
        found = self.tables.get(table)
        return found is not None and (column is None or column in found.c)

    @property
    def has_admins(self) -> bool:
        """Whether all tables of admins are there."""
        return all(self.has(name) for name in ADMIN_TABLES)

    @property
    def has_records(self) -> bool:
        """Whether the tables for deleted mailboxes are there."""
        return all(self.has(name) for name in OWN_TABLES)

    def require(self, database: str) -> None:
        """Raise SchemaMismatch if anything needed is missing, or a column would have to be filled with a guess."""
        if self.missing:
            raise SchemaMismatch(
                f"this is not atmail's database {database} as far as known; missing: {', '.join(self.missing)}. "
                f"Check the URL; {_HINT}"
            )
        if self.unfilled:
            raise SchemaMismatch(
                f"new rows need a value in {', '.join(self.unfilled)}, which mailstore does not know; "
                "give one in 'fill' of [stores.NAME.atmail]"
            )

    def fillings(self, table: str) -> dict[str, Any]:
        """Return the configured values for new rows, by column key."""
        keys = {column.name: column.key for column in self[table].c}
        return {keys[name]: value for name, value in self.names.fillings(table).items() if name in keys}

    def insertion(self, table: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Insert, Any]:
        """Return an insert and its parameters, with the configured values, and without columns that the server lacks.

        Raises LookupError for a column that no server has.
        """
        _refuse_unknown(table, {key for row in rows for key in row})
        target, filled = self[table], self.fillings(table)
        complete = [{**{key: value for key, value in row.items() if key in target.c}, **filled} for row in rows]
        return insert(target), complete if len(complete) > 1 else complete[0]


def _refuse_unknown(table: str, columns: Iterable[str]) -> None:
    """Raise LookupError for a table or columns that no server has: to leave them out silently would hide a mistake here."""
    if table in OWN_TABLES:
        return
    spec = {**SPECS, **API_SPECS}[table]
    unknown = set(columns) - {column.name for column in spec.columns}
    if unknown:
        raise LookupError(f"no server has {table}.{min(unknown)}")


def detect(connection: Connection, names: TableNames, specs: Specs = SPECS) -> Schema:
    """Read which of the tables of `specs` and of their columns the server has, in one statement."""
    unknown = names.unknown()
    if unknown:
        known = ", ".join([*SPECS, *API_SPECS])
        raise ConfigurationError(f"[atmail] names {', '.join(unknown)}, which mailstore has no use for; known: {known}")
    tables = [names.table(name) for name in specs] + (list(OWN_TABLES) if specs is SPECS else [])
    live = read_live(connection, "mysql", known=tables)
    gaps = sorted(_gaps(names, live, specs))
    live.require(name for name, optional in gaps if not optional)
    foreign = sorted(_foreign(names, live, specs))
    unfilled = [
        f"{name}.{column}"
        for name, column, found in foreign
        if found.required and column not in names.fillings(name)
    ]  # fmt: skip
    return Schema(
        tables=_usable(define(names, live, specs=specs)),
        names=names,
        missing=tuple(name for name, optional in gaps if not optional),
        absent=tuple(name for name, optional in gaps if optional),
        foreign=tuple(f"{names.table(name)}.{column}" for name, column, _ in foreign),
        unfilled=tuple(unfilled),
        obstacle=live.obstacle(tables),
    )


def _usable(tables: dict[str, Table]) -> dict[str, Table]:
    """Leave the tables of admins out unless all of them are there."""
    if all(name in tables for name in ADMIN_TABLES):
        return tables
    return {name: table for name, table in tables.items() if name not in ADMIN_TABLES}


def _gaps(names: TableNames, live: Live, specs: Specs) -> Iterator[tuple[str, bool]]:
    """Iterate over what the server lacks, with whether it may: a table that the configuration names must be there."""
    for name, spec in specs.items():
        actual = names.table(name)
        if actual not in live:
            yield actual, name in ADMIN_TABLES and not names.is_named(name)
            continue
        for column in spec.columns:
            called = names.column(name, column.name)
            if called not in live[actual]:
                yield f"{actual}.{called}", column.optional and called == column.name
    if specs is SPECS:
        yield from ((name, True) for name in OWN_TABLES if name not in live)


def _foreign(names: TableNames, live: Live, specs: Specs) -> Iterator[tuple[str, str, LiveColumn]]:
    for name, spec in specs.items():
        known = {names.column(name, column.name) for column in spec.columns}
        columns = live.get(names.table(name), {}).items()
        yield from ((name, column, found) for column, found in columns if column not in known)


def create(connection: Connection, names: TableNames, specs: Specs = SPECS) -> list[str]:
    """Create the complete schema in an empty database; in the mail server's, with the roles and permissions that are known.

    Returns the names of the tables. Raises SchemaMismatch if any table of the schema is there already: an existing
    database is never altered.
    """
    tables = define(names, specs=specs)
    with new_tables(connection, "mysql", next(iter(tables.values())).metadata):
        if specs is SPECS:
            _insert_permissions(connection, tables)
    return sorted(table.name for table in tables.values())


def _insert_permissions(connection: Connection, tables: Mapping[str, Table]) -> None:
    """Make the rows that the documentation shows: the two roles, and the permissions of which names are known."""
    permissions = [
        {"permissionId": number, "permissionName": name, "permissionDescription": description}
        for number, (name, description) in enumerate(KNOWN_PERMISSIONS.items(), 1)
    ]
    connection.execute(insert(tables["permissions"]), permissions)
    roles = [
        {"roleId": 1, "roleName": "god", "roleDescription": "Special role with rights to everything",
         "roleHierarchy": "", "createdByUserId": None},
        {"roleId": 2, "roleName": "subadmin", "roleDescription": "subadmin role", "roleHierarchy": "|1|",
         "createdByUserId": 1},
    ]  # fmt: skip
    connection.execute(insert(tables["roles"]), roles)
    connection.execute(insert(tables["rolePermissions"]), [{"roleId": 1, "permissionId": 1}])


def create_own_tables(connection: Connection) -> bool:
    """Add what is missing of the tables for records of deleted mailboxes. Returns False if all was there."""
    return add_own_tables(connection, "mysql")
