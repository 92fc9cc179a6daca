"""What a server has, and what its account may see of it, read from the engine's own catalogue in one statement.

Catalogues hide what an account has no right on. What is not visible is not absent: a table that is left out of a clean-up or
of a snapshot, because nobody may read it, would be left out silently. So where an account does not have rights on the
whole database, each table is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, MetaData, Table, exc, text
from sqlalchemy.types import NullType

from mailstore.errors import SchemaMismatch, StoreDenied, StoreError, StoreUnavailable
from mailstore.sql.failures import READ_ONLY

__all__ = ["GENERATED", "Columns", "Live", "LiveColumn", "ask_for_writing", "live_table", "new_tables", "read_live"]

_COLUMNS = {
    # Tables on which there are no rights are listed without columns, if the account has any right on the whole database.
    "mysql": """
        SELECT t.table_name, c.column_name, c.data_type,
               c.is_nullable = 'NO' AND c.column_default IS NULL AND c.extra NOT LIKE '%auto_increment%',
               c.extra LIKE '%VIRTUAL%' OR c.extra LIKE '%STORED%' OR c.extra LIKE '%PERSISTENT%',
               COALESCE(FIND_IN_SET('select', c.privileges) > 0, FALSE),
               CASE WHEN t.engine IS NULL OR e.transactions = 'YES' AND e.savepoints = 'YES' THEN NULL ELSE t.engine END,
               r.reads_all, r.lists_all
        FROM information_schema.tables AS t CROSS JOIN (
            SELECT COALESCE(MAX(privilege_type = 'SELECT'), FALSE) AS reads_all, COUNT(*) > 0 AS lists_all FROM (
                SELECT grantee, privilege_type FROM information_schema.user_privileges
                UNION ALL SELECT grantee, privilege_type FROM information_schema.schema_privileges
                WHERE COALESCE(:schema, DATABASE()) LIKE table_schema) AS granted
            WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') AND privilege_type IN (
                'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'REFERENCES', 'SHOW VIEW',
                'TRIGGER')) AS r
        LEFT JOIN information_schema.columns AS c
          ON c.table_schema = COALESCE(:schema, DATABASE()) AND c.table_name = t.table_name
        LEFT JOIN information_schema.engines AS e ON e.engine = t.engine
        WHERE t.table_schema = COALESCE(:schema, DATABASE())
        ORDER BY t.table_name, c.ordinal_position""",
    # As names in statements are resolved: through the whole search path. A column's kind of generation is as old as
    # version 12, and read in a way that older ones understand.
    "postgresql": """
        SELECT t.relname, c.attname, format_type(COALESCE(NULLIF(k.typbasetype, 0), c.atttypid), NULL),
               c.attnotnull AND NOT c.atthasdef AND c.attidentity = '',
               COALESCE(to_json(c) ->> 'attgenerated', '') <> '' OR c.attidentity = 'a',
               has_column_privilege(t.oid, c.attnum, 'SELECT'), NULL, TRUE, TRUE
        FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
        JOIN pg_catalog.pg_attribute AS c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
        JOIN pg_catalog.pg_type AS k ON k.oid = c.atttypid
        WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_table_is_visible(t.oid) ELSE n.nspname = :schema END
        ORDER BY t.relname, c.attnum""",
    "sqlite": """
        SELECT m.name, c.name, lower(c.type), c."notnull" = 1 AND c.dflt_value IS NULL AND c.pk = 0,
               c.hidden <> 0, TRUE, NULL, TRUE, TRUE
        FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c WHERE m.type = 'table' AND :schema IS NULL""",
}
_POSTGRESQL_HIDDEN = """
    SELECT t.relname FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.relname = ANY(:names) AND NOT has_schema_privilege(n.oid, 'USAGE') AND n.nspname = ANY(string_to_array(
        replace(translate(current_setting('search_path'), ' "', ''), '$user', current_user), ','))"""
GENERATED = "generated"
"""In the ``info`` of a column of `live_table`: whether the server works out its value."""
_NO_SUCH_TABLE, _NO_DATABASE = 1146, 1049
_DENIED = {1142, 1143, 1044, 1356}


@dataclass(frozen=True)
class LiveColumn:
    """A column that a server has: its SQL type in lower case, and whether an insert must, or cannot, give it a value."""

    type: str
    required: bool
    generated: bool = False


Columns: TypeAlias = Mapping[str, Mapping[str, LiveColumn]]
"""Columns by table and column name."""


class Live(dict[str, dict[str, LiveColumn]]):
    """The columns of a live database, by table and column name.

    ``engines`` are the engines of those tables that cannot be rolled back. ``hidden`` are tables (``name``) and columns
    (``table.column``, ``table.*``) that are there, or may be there, and that the account may not read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engines: dict[str, str] = {}
        self.hidden: set[str] = set()

    def require(self, missing: Iterable[str]) -> None:
        """Raise StoreDenied if what is missing (``table`` or ``table.column``) is only not visible."""
        found = sorted(name for name in missing if self._hides(name))
        if found:
            raise StoreDenied(f"the database account may not read {', '.join(found)}; {_grant(found)}")

    def obstacle(self, tables: Iterable[str]) -> StoreError | None:
        """Return why nothing may be written to a database of which these tables are known; None if all is well."""
        known = set(tables)
        unsafe = sorted(known & self.engines.keys())
        if unsafe:
            named = ", ".join(f"{name} ({self.engines[name]})" for name in unsafe)
            convert = " ".join(f"ALTER TABLE {name} ENGINE=InnoDB;" for name in unsafe)
            return SchemaMismatch(
                f"tables that cannot be rolled back: {named}. Nothing is written, not even to try it out, since half of a "
                f"change could remain. Make a backup, then run: {convert}"
            )
        hidden = sorted(name for name in self.hidden if name.partition(".")[0] in known)
        if hidden:
            return StoreDenied(
                f"the database account may not read {', '.join(hidden)}, or cannot tell whether they are there. Nothing is "
                f"written, since they would be left out of clean-ups and snapshots; {_grant(hidden)}"
            )
        return None

    def _hides(self, name: str) -> bool:
        table = name.partition(".")[0]
        return bool({name, table, f"{table}.*"} & self.hidden)


def _grant(names: Iterable[str]) -> str:
    tables = ", ".join(sorted({name.partition(".")[0] for name in names}))
    return (
        f"grant it SELECT, INSERT, UPDATE, DELETE on {tables}; on MariaDB and MySQL, SHOW VIEW on the database lets it see "
        "which tables there are"
    )


def read_live(connection: Connection, engine: str, schema: str | None = None, *, known: Iterable[str] = ()) -> Live:
    """Return what the database of a connection has.

    Parameters
    ----------
    schema: another database (MySQL) or schema (PostgreSQL) instead of where unqualified names are looked for.
    known: the tables that matter; those that are not visible are looked for in other ways.
    """
    live = Live()
    rows = connection.execute(text(_COLUMNS[engine]), {"schema": schema}).all()
    for *column, _, _ in rows:
        _add(live, *column)
    live.hidden |= {table for table in (name.partition(".")[0] for name in live.hidden) if table not in live}
    reads_all, lists_all = rows[0][-2:] if rows else (False, False)
    tables = sorted(set(known))
    if engine == "mysql" and not reads_all:
        tables = [table for table in tables if table in live or not lists_all]
        live.hidden |= {_hidden(live, table) for table in tables if not _may_read(connection, table, schema)}
    elif engine == "postgresql" and not live.keys() >= set(tables):
        live.hidden |= set(connection.execute(text(_POSTGRESQL_HIDDEN), {"names": tables}).scalars()) - live.keys()
    return live


def _add(
    live: Live,
    table: str,
    column: str | None,
    type_: str,
    required: Any,
    generated: Any,
    readable: Any,
    engine: str | None,
) -> None:
    if engine is not None:
        live.engines[str(table)] = str(engine)
    if column is None:
        live.hidden.add(str(table))
    elif not readable:
        live.hidden.add(f"{table}.{column}")
    else:
        found = LiveColumn(str(type_).lower(), bool(required and not generated), bool(generated))
        live.setdefault(str(table), {})[str(column)] = found


def _hidden(live: Live, table: str) -> str:
    return f"{table}.*" if table in live else table


def _may_read(connection: Connection, table: str, schema: str | None) -> bool:
    """Tell whether all columns of a table may be read, or it is certain that there is no such table."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    name = ".".join(quote(part) for part in (schema, table) if part)
    try:
        connection.exec_driver_sql(f"SELECT * FROM {name} LIMIT 0").close()  # noqa: S608 quoted
    except exc.DBAPIError as error:
        number = error.orig.args[0] if error.orig is not None and error.orig.args else None
        if number in _DENIED:
            return False
        if number not in {_NO_SUCH_TABLE, _NO_DATABASE}:
            raise
    return True


def ask_for_writing(connection: Connection, engine: str, table: str) -> None:
    """Try whether a server takes writes, without changing anything; the error is what it says to every write.

    A replica, a server or role that may only read, and a binary log that cannot have what InnoDB does refuse here.
    """
    if engine == "postgresql":  # a statement would set off triggers, even if it has no row
        if connection.exec_driver_sql("SELECT current_setting('transaction_read_only')").scalar() == "on":
            raise StoreUnavailable(f"the database is not available now: {READ_ONLY}")
    else:
        quote = connection.dialect.identifier_preparer.quote_identifier
        connection.exec_driver_sql(f"DELETE FROM {quote(table)} WHERE FALSE").close()  # noqa: S608 quoted


@contextmanager
def new_tables(connection: Connection, engine: str, metadata: MetaData) -> Iterator[None]:
    """Make all tables of a schema in an empty database. What the context makes besides belongs to them.

    Nothing is left of the tables if anything fails; MySQL does not roll them back. Raises SchemaMismatch if any of them is
    there already: an existing database is never altered.
    """
    live = read_live(connection, engine)
    present = sorted({table.name for table in metadata.sorted_tables} & {*live, *live.hidden})
    if present:
        raise SchemaMismatch(f"the database has tables of this schema already ({', '.join(present)}); nothing was made")
    made: list[Table] = []
    try:
        for table in metadata.sorted_tables:
            table.create(connection, checkfirst=False)
            made.append(table)
        yield
    except BaseException:
        if engine == "mysql":
            for table in reversed(made):
                table.drop(connection, checkfirst=False)
        raise


def live_table(
    metadata: MetaData,
    live: Columns,
    name: str,
    known: Sequence[Column[Any]],
    optional: Set[str],
) -> Table:
    """Return a table with the columns that the server has: the known ones with their types, the others as they are.

    Raises SchemaMismatch if the table, or a known column that is not optional, is missing, StoreDenied if it is only hidden.
    """
    found = live.get(name, {})
    missing = [column.name for column in known if column.name not in found and column.name not in optional]
    if missing:
        gap = name if not found else f"{name}.{missing[0]}"
        if isinstance(live, Live):
            live.require([gap])
        raise SchemaMismatch(f"the database lacks {gap}; is this the right URL, and up to date?")
    names = {column.name for column in known}
    foreign = (
        Column(other, NullType(), info={GENERATED: live_column.generated})
        for other, live_column in found.items()
        if other not in names
    )
    return Table(name, metadata, *(column for column in known if column.name in found), *foreign)
