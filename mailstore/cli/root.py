"""The command ``mailstore`` itself: its global options, and where each noun is found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from mailstore.cli.arguments import asked_format, hoisted
from mailstore.cli.examples import illustrate
from mailstore.cli.exits import MEANINGS
from mailstore.cli.failures import exit_code, silenced
from mailstore.cli.output import FORMATS, Output
from mailstore.cli.session import Session
from mailstore.cli.suggestions import StoreName, offer
from mailstore.version import __version__

__all__ = ["root"]

NOUNS = (
    "domain",
    "account",
    "alias",
    "list",
    "admin",
    "policy",
    "throttle",
    "greylisting",
    "access-list",
    "deleted",
    "purge",
    "adopt",
    "check",
    "status",
    "doctor",
    "schema",
    "dump",
    "load",
    "migrate",
    "apply",
    "export",
    "lookups",
    "http",
    "afterlogic",
    "atmail",
    "password",
    "completion",
)
"""The commands in the order of the help; each is ``mailstore.cli.NOUN.NOUN``, with ``_`` for ``-``."""
_PRODUCTS = {"afterlogic": "products.afterlogic", "atmail": "products.atmail", "export": "products.ldif"}
"""The commands that know a driver lie apart."""

_EPILOG = f"""\
Options of mailstore itself may also stand behind the noun or the verb, unless that has one of the same name.

Formats: 'table' is for people and the default on a terminal. 'lines' is the default elsewhere: one record a line, the
address first, separated by tabs ('show' gives one field a line). 'json' and 'csv' hold everything; their fields have the
names of the library.

With --format json an error is one object on standard error: its class, message, subject, field, whether it is retryable.

Exit codes: {"; ".join(f"{code} {meaning}" for code, (_, meaning) in MEANINGS.items())}.

Commands that destroy ask first if standard input is a terminal, unless --yes is given; elsewhere they do not ask.
Passwords are never arguments. The database password comes from password_file or $MAILSTORE_PASSWORD. With
MAILSTORE_DEBUG=1 in the environment errors come with a traceback.
"""


class _Root(click.Group):
    """A group that imports a command when it is needed, and turns every error into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in NOUNS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"mailstore.cli.{_PRODUCTS.get(name, name)}"), name)
        illustrate(cmd_name, command)
        offer(cmd_name, command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, hoisted(self, ctx, args))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args) if args[0] in NOUNS else (args[0], None, args)
        if command is None:
            raise click.exceptions.NoSuchCommand(str(name), possibilities=NOUNS, ctx=ctx)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would count it as a fault
            return silenced()

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        given = sys.argv[1:] if args is None else args
        sys.exit(exit_code(run, as_json=asked_format(self, given) == "json"))


@click.group(cls=_Root, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--store",
    "store_name",
    metavar="NAME",
    type=StoreName(),
    help="A store of the configuration file. Default: $MAILSTORE_STORE, else that of the file.",
)
@click.option(
    "--url", metavar="URL", help="A store by its URL instead, without any configuration file. Default: $MAILSTORE_URL."
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: $MAILSTORE_CONFIG, else ~/.config/mailstore/mailstore.toml if there is one, else "
    "/etc/mailstore/mailstore.toml.",
)
@click.option("--homes", metavar="DIR", multiple=True, help="With --url: a directory below which mailboxes lie.")
@click.option("--as", "admin", metavar="ADMIN", help="Act with the rights and limits of this admin.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How results are written; see below.")
@click.option(
    "--raw-csv",
    is_flag=True,
    help="With --format csv: no apostrophe before cells that a spreadsheet would calculate with.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only what was asked for: no confirmations, no progress.")
@click.version_option(__version__, prog_name="mailstore", message="%(prog)s %(version)s")
@click.pass_context
def root(
    ctx: click.Context,
    store_name: str | None,
    url: str | None,
    config_file: Path | None,
    homes: tuple[str, ...],
    admin: str | None,
    form: str | None,
    raw_csv: bool,
    quiet: bool,
) -> None:
    """Administer mail domains, accounts, aliases, lists and admins in the store of an existing mail server."""
    if url and (store_name or config_file):
        raise click.UsageError("--url stands for itself: it does not go with --store or --config")
    session = Session(
        config_file=config_file,
        store_name=store_name,
        url=url,
        homes=homes,
        admin=admin,
        output=Output.choose(form, quiet=quiet, raw_csv=raw_csv),
    )
    if homes and not session.url:
        raise click.UsageError("--homes goes with --url; the configuration file has a key for it")
    ctx.obj = session
    ctx.call_on_close(session.close)
