"""``mailstore schema``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import click

from mailstore.cli.results import SchemaPart
from mailstore.cli.session import Session, pass_session
from mailstore.errors import ConfigurationError, NotSupported

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
def schema() -> None:
    """The tables of a store."""


@schema.command()
@pass_session
def create(session: Session) -> None:
    """Make the complete schema in an empty database; one that has such tables is never altered.

    With --url iredmail+sqlite:////DIRECTORY/vmail.db this makes a store that needs no database server.
    """
    tables: list[str] = _driver(session, "create_schema")
    session.output.many(SchemaPart, (SchemaPart(table, "created") for table in tables))


@schema.command()
@pass_session
def check(session: Session) -> None:
    """Show what the schema lacks of what this version knows, and the columns that it does not know.

    What is needed and missing makes every command fail; what is absent only takes away the features that need it.
    """
    session.output.many(SchemaPart, _parts(schema_report(session)))


def schema_report(session: Session) -> SchemaReport:
    """Return what the schema of the store has and lacks. Raises NotSupported if it has none."""
    if not isinstance(session.store, _ReportsSchema):
        raise NotSupported(f"{session.store.name} has no schema that could be checked")
    return session.store.schema_report()


def _parts(report: SchemaReport) -> Iterator[SchemaPart]:
    for state in ("missing", "absent", "foreign"):
        yield from (SchemaPart(name, state) for name in getattr(report, state))


@schema.command("add-retention-table")
@pass_session
def add_retention_table(session: Session) -> None:
    """Add mailstore's own tables for deleted accounts, with which these can be restored completely.

    Stores that have none of their own for deleted mailboxes keep no days without it.
    """
    made = _driver(session, "create_own_table")
    message = "the table was made" if made else "the table is there already"
    session.output.done(message, SchemaPart("retention table", "created" if made else "present"))


def _driver(session: Session, function: str) -> Any:
    """Call a function of the store's driver that needs no opened store. Raises NotSupported if it has none."""
    from mailstore.registry import DRIVERS, resolve_password

    kind = urlsplit(session.config.url).scheme
    if kind not in DRIVERS:
        raise ConfigurationError(f"unknown kind of store {kind!r}; known are {', '.join(sorted(DRIVERS))}")
    called = getattr(import_module(DRIVERS[kind]), function, None)
    if called is None:
        raise NotSupported(f"there are no tables that this command could make in a store of the kind {kind}")
    return called(session.config, resolve_password(session.config))
