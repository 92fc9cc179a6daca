"""``mailstore schema``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import click

from mailstore.cli.credentials import read_secret_file
from mailstore.cli.results import SchemaPart
from mailstore.cli.session import Session, pass_session
from mailstore.errors import ConfigurationError, NotSupported
from mailstore.passwords import generate_password

if TYPE_CHECKING:
    from mailstore.driver.lookups import LookupFile

__all__ = ["SchemaReport", "schema", "schema_report"]


class SchemaReport(Protocol):
    """What a schema needs and lacks, lacks without needing it, and has besides."""

    @property
    def missing(self) -> Sequence[str]: ...

    @property
    def absent(self) -> Sequence[str]: ...

    @property
    def foreign(self) -> Sequence[str]: ...


@runtime_checkable
class _ReportsSchema(Protocol):
    """A store that can tell what its schema has and lacks."""

    def schema_report(self) -> SchemaReport: ...


@click.group()
@pass_session
def schema(session: Session) -> None:
    """The tables of a store, or the tree of a directory."""
    session.refuse_acting("makes or examines tables")


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@schema.command()
@click.option("--print", "show", is_flag=True, help="Directory: only show the files that a new slapd needs.")
@click.option("--directory", metavar="DIR", help="Directory: only write those files there.")
@click.option("--reader-password-file", type=_FILE, help="Directory: password of cn=vmail. Default: one is made.")
@click.option("--writer-password-file", type=_FILE, help="Directory: that of cn=vmailadmin.")
@pass_session
def create(
    session: Session,
    show: bool,
    directory: str | None,
    reader_password_file: Path | None,
    writer_password_file: Path | None,
) -> None:
    """Make the complete schema in an empty database; one that has such tables is never altered.

    With --url iredmail+sqlite:////DIRECTORY/vmail.db this makes a store that needs no database server.

    In a directory, it makes the entries at the top of the tree, and the accounts cn=vmail and cn=vmailadmin that mail
    servers and mailstore log in with; passwords that are made here are shown once, on standard error. The URL has to name
    an account that may do that: the manager. With --print or --directory nothing is contacted.
    """
    accounts: Sequence[str] = getattr(_module(session), "SERVICE_ACCOUNTS", ())
    if not accounts:
        _create_tables(session, only_databases=show or directory or reader_password_file or writer_password_file)
        return
    passwords = _Passwords(dict(zip(accounts, (reader_password_file, writer_password_file), strict=True)))
    if show or directory:
        place = None if directory is None else str(Path(directory).absolute())  # slapd looks from elsewhere
        _deliver(session, place, _driver(session, "server_files", passwords=passwords.all, directory=place))
        passwords.tell(accounts)
        return
    made: list[str] = _driver(session, "create_schema", passwords=passwords.all)
    session.output.many(SchemaPart, (SchemaPart(dn, "created") for dn in made))
    passwords.tell([name for name in accounts if any(dn.startswith(f"{name},") for dn in made)])


def _create_tables(session: Session, *, only_databases: object) -> None:
    if only_databases:
        raise click.UsageError("these options are for a directory", click.get_current_context())
    tables: list[str] = _driver(session, "create_schema")
    session.output.many(SchemaPart, (SchemaPart(table, "created") for table in tables))


def _deliver(session: Session, directory: str | None, files: Sequence[LookupFile]) -> None:
    """Write the files of a server, or show them one after the other under their names."""
    from mailstore.driver.lookups import write

    if directory is None:
        session.output.raw("\n".join(f"### {file.name}\n{file.text}" for file in files))
        return
    for path in write(files, directory):
        session.output.raw(f"{path}\n")


class _Passwords:
    """Passwords of accounts for services, from files or made here."""

    def __init__(self, files: Mapping[str, Path | None]) -> None:
        self.all = {name: read_secret_file(file) if file else generate_password() for name, file in files.items()}
        self._made = [name for name, file in files.items() if not file]

    def tell(self, names: Sequence[str]) -> None:
        """Show those that were made here, of accounts that got them."""
        for name in names:
            if name in self._made:
                click.echo(f"password of {name}: {self.all[name]}", err=True)


@schema.command()
@pass_session
def check(session: Session) -> None:
    """Show what the schema lacks of what this version knows, and the columns or attributes that it does not know.

    What is needed and missing makes every command fail; what is absent only takes away the features that need it.
    """
    session.output.many(SchemaPart, _parts(schema_report(session)))


def schema_report(session: Session) -> SchemaReport:
    """Return what the schema of the store has and lacks. Raises NotSupported if it has none."""
    if not isinstance(session.store, _ReportsSchema):
        raise NotSupported(f"{session.store.name} has no schema that could be checked")
    return session.store.schema_report()


def _parts(report: SchemaReport) -> Iterator[SchemaPart]:
    for state in ("missing", "absent", "foreign", "unknown"):
        yield from (SchemaPart(name, state) for name in getattr(report, state, ()))


@schema.command("add-retention-table")
@pass_session
def add_retention_table(session: Session) -> None:
    """Add mailstore's own tables for deleted accounts, with which these can be restored completely.

    Stores that have none of their own for deleted mailboxes keep no days without it.
    """
    made = _driver(session, "create_own_table")
    message = "the table was made" if made else "the table is there already"
    session.output.done(message, SchemaPart("retention table", "created" if made else "present"))


def _module(session: Session) -> ModuleType:
    from mailstore.registry import DRIVERS

    kind = urlsplit(session.config.url).scheme
    if kind not in DRIVERS:
        raise ConfigurationError(f"unknown kind of store {kind!r}; known are {', '.join(sorted(DRIVERS))}")
    return import_module(DRIVERS[kind])


def _driver(session: Session, function: str, **options: Any) -> Any:
    """Call a function of the store's driver that needs no opened store. Raises NotSupported if it has none."""
    from mailstore.registry import resolve_password

    called = getattr(_module(session), function, None)
    if called is None:
        kind = urlsplit(session.config.url).scheme
        raise NotSupported(f"there are no tables that this command could make in a store of the kind {kind}")
    return called(session.config, resolve_password(session.config), **options)
