"""``mailstore lookups``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mailstore.cli.credentials import read_secret_file
from mailstore.cli.schema import schema_report
from mailstore.cli.session import Session, pass_session
from mailstore.errors import NotSupported

if TYPE_CHECKING:
    from mailstore.lookups import LookupFile, Reader

__all__ = ["lookups"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def lookups() -> None:
    """Configuration files that make mail servers read the store."""


def _reads(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that both servers have."""
    for option in (
        click.option("--force", is_flag=True, help="Replace files that are there."),
        click.option(
            "--directory",
            metavar="DIR",
            help="Write the files there, and let them name one another so. Without it they are only shown.",
        ),
        click.option(
            "--password-file", type=_FILE, help="Its password, as the first line; else it has to be filled in."
        ),
        click.option("--user", default="vmail", show_default=True, help="Database account that the server reads with."),
    ):
        command = option(command)
    return command


@lookups.command()
@_reads
@pass_session
def postfix(session: Session, user: str, password_file: Path | None, directory: str | None, force: bool) -> None:
    """Write Postfix's map files, and the lines of main.cf that use them."""
    module, place = _module(session), {"directory": directory} if directory else {}
    _deliver(session, module.postfix(_reader(session, user, password_file), **place), directory, force)


@lookups.command()
@click.option("--version", type=click.Choice(["2.3", "2.4"]), default="2.3", show_default=True, help="Of Dovecot.")
@click.option("--writer-user", help="Database account that notes usage and logins, if --user may not.")
@click.option("--writer-password-file", type=_FILE, help="Its password.")
@click.option("--uid", default="vmail", show_default=True, help="Owner of the mail.")
@click.option("--gid", default="vmail", show_default=True, help="Group of the mail.")
@_reads
@pass_session
def dovecot(
    session: Session,
    version: str,
    writer_user: str | None,
    writer_password_file: Path | None,
    uid: str,
    gid: str,
    user: str,
    password_file: Path | None,
    directory: str | None,
    force: bool,
) -> None:
    """Write the file to include at the end of dovecot.conf, and those that it names."""
    files = _module(session).dovecot(
        _reader(session, user, password_file),
        schema_report(session),
        version=version,
        uid=_number_or_name(uid),
        gid=_number_or_name(gid),
        writer=_reader(session, writer_user, writer_password_file) if writer_user else None,
        **({"directory": directory} if directory else {}),
    )
    _deliver(session, files, directory, force)


def _module(session: Session) -> Any:
    """Return the driver's module of lookups. Raises NotSupported if it has none."""
    from mailstore.registry import DRIVERS

    session.store  # noqa: B018 checks the URL, and that the schema is what the queries are made for
    name = DRIVERS[urlsplit(session.config.url).scheme].rpartition(".")[0] + ".lookups"
    if find_spec(name) is None:
        raise NotSupported(f"there are no lookups for {session.store.name}")
    return import_module(name)


def _reader(session: Session, user: str, password_file: Path | None) -> Reader:
    from sqlalchemy import make_url

    from mailstore.lookups import Reader

    config = session.config
    url = make_url(config.url.partition("+")[2])
    if config.socket:
        key = "unix_socket" if url.get_backend_name() == "mysql" else "host"
        url = url.update_query_dict({key: config.socket})
    return Reader.from_url(url, user=user, password=read_secret_file(password_file) if password_file else None)


def _number_or_name(owner: str) -> int | str:
    return int(owner) if owner.isdecimal() else owner


def _deliver(session: Session, files: list[LookupFile], directory: str | None, force: bool) -> None:
    """Write the files, or show them one after the other under their names."""
    from mailstore.lookups import write

    if directory is None:
        session.output.raw("\n".join(f"### {file.name}\n{file.text}" for file in files))
        return
    for path in write(files, directory, force=force):
        session.output.raw(f"{path}\n")
