"""``mailstore password``."""

from __future__ import annotations

from pathlib import Path

import click

from mailstore.cli.credentials import ask_password, read_line, read_secret_file
from mailstore.cli.results import Verified
from mailstore.cli.session import Session, pass_session
from mailstore.passwords import DEFAULT_SCHEME, WRITABLE_SCHEMES, hash_password
from mailstore.passwords import verify_password as matches

__all__ = ["password"]

_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def password() -> None:
    """Hash and verify passwords, without any store."""


@password.command("hash")
@click.option(
    "--scheme",
    metavar="SCHEME[:COST]",
    default=DEFAULT_SCHEME,
    show_default=True,
    help=f"How to hash it: {', '.join(WRITABLE_SCHEMES)}.",
)
@_STDIN
@pass_session
def hash_(session: Session, scheme: str, password_stdin: bool) -> None:
    """Print the hash of a password, {SCHEME}data, for --password-hash-stdin and the like."""
    given = read_line() if password_stdin else ask_password(confirm=True)
    session.output.raw(f"{hash_password(given, scheme)}\n")


@password.command()
@click.option("--password-hash-stdin", is_flag=True, help="Read the hash from standard input; after the password.")
@click.option(
    "--password-hash-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read it there."
)
@_STDIN
@click.pass_context
def verify(
    ctx: click.Context, password_hash_stdin: bool, password_hash_file: Path | None, password_stdin: bool
) -> None:
    """Tell whether a password belongs to a hash, which is never an argument either; exit code 1 if it does not."""
    if password_hash_stdin == bool(password_hash_file):
        raise click.UsageError("give --password-hash-stdin or --password-hash-file", ctx)
    given = read_line() if password_stdin else ask_password(confirm=False)
    right = matches(given, read_secret_file(password_hash_file) if password_hash_file else read_line())
    output = ctx.ensure_object(Session).output
    output.done(f"the password is {'right' if right else 'wrong'}", Verified("", right))
    ctx.exit(0 if right else 1)
