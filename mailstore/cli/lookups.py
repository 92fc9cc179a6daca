"""``mailstore lookups``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from mailstore.cli.credentials import read_secret_file
from mailstore.cli.session import Session, pass_session
from mailstore.errors import NotSupported

__all__ = ["lookups"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
@pass_session
def lookups(session: Session) -> None:
    """Configuration files that make mail servers read the store."""
    session.refuse_acting("writes configuration of mail servers")


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
        click.option(
            "--user",
            default="vmail",
            show_default=True,
            help="Account that the server reads with; in LDAP a name below the suffix, or a DN.",
        ),
    ):
        command = option(command)
    return command


def _owned(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for who owns the mail."""
    for option in (
        click.option("--gid", help="Group of the mail. Default: likewise."),
        click.option("--uid", help="Owner of the mail. Default: vmail, or the one that the store's own server uses."),
    ):
        command = option(command)
    return command


@lookups.command()
@_owned
@_reads
@pass_session
def postfix(session: Session, /, directory: str | None, force: bool, **given: Any) -> None:
    """Write Postfix's map files, and the lines of main.cf and master.cf that use them."""
    _deliver(session, "postfix", _options(session, given) | {"directory": directory}, force)


@lookups.command()
@click.option("--version", type=click.Choice(["2.3", "2.4"]), default="2.3", show_default=True, help="Of Dovecot.")
@click.option("--writer-user", help="Database account that notes usage and logins, if --user may not.")
@click.option("--writer-password-file", type=_FILE, help="Its password.")
@_owned
@_reads
@pass_session
def dovecot(
    session: Session,
    /,
    version: str,
    writer_user: str | None,
    writer_password_file: Path | None,
    directory: str | None,
    force: bool,
    **given: Any,
) -> None:
    """Write the file to include at the end of dovecot.conf, and those that it names."""
    options = _options(session, given) | {
        "directory": directory,
        "version": version,
        "writer_user": writer_user,
        "writer_password": _password(writer_password_file),
    }
    _deliver(session, "dovecot", options, force)


def _options(session: Session, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that both servers have as `LookupOptions` takes them."""
    return {
        "user": given["user"],
        "password": _password(given["password_file"]),
        "uid": _number_or_name(given["uid"] or _owner(session)),
        "gid": _number_or_name(given["gid"] or _owner(session)),
    }


def _module(session: Session) -> Any:
    """Return the driver's module of lookups. Raises NotSupported if it has none."""
    from mailstore.registry import DRIVERS

    session.store  # noqa: B018 checks the URL, and that the schema is what the queries are made for
    name = DRIVERS[urlsplit(session.config.url).scheme].rpartition(".")[0] + ".lookup_files"
    if find_spec(name) is None:
        raise NotSupported(f"there are no lookups for {session.store.name}")
    return import_module(name)


def _owner(session: Session) -> str:
    """Return the user and group of the mail, if none is given."""
    return getattr(_module(session), "MAIL_OWNER", "vmail")


def _password(file: Path | None) -> str | None:
    return read_secret_file(file) if file else None


def _number_or_name(owner: str) -> int | str:
    return int(owner) if owner.isdecimal() else owner


def _deliver(session: Session, server: str, options: dict[str, Any], force: bool) -> None:
    """Write the files for a server, or show them one after the other under their names."""
    from mailstore.driver.lookups import LookupOptions, write

    files = getattr(_module(session), server)(session.store, LookupOptions(**options))
    directory = options["directory"]
    if directory is None:
        session.output.raw("\n".join(f"### {file.name}\n{file.text}" for file in files))
        return
    for path in write(files, directory, force=force):
        session.output.raw(f"{path}\n")
