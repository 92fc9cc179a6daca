"""The command line of the daemon."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import click

from mailstore.config import StoreConfig
from mailstore.errors import MailstoreError
from mailstore.registry import open_config
from mailstore.version import __version__
from mailstored.program import CONFIGURATION, TEMPORARY, Program, config_option

__all__ = ["command", "main"]

_PROGRAM = Program("mailstored", "daemon", ("apscheduler", "prometheus_client", "sdnotify", "structlog"))
_Check = Literal["files", "connect"] | None
"""How thoroughly the configuration is checked instead of being used."""
_EPILOG = """\
Signals: TERM and INT finish the mailbox in hand and stop; HUP reads the configuration again, and keeps the old one if the
new one is wrong.

Exit codes: 0 done, or stopped as asked; 1 a fault or, with --once, a mailbox that was kept or an error that the check
found; 2 usage or configuration; 75 with --once or --connect: a store is not available now, try again.

With MAILSTORE_DEBUG=1 in the environment an internal error comes with a traceback, which may show secrets.
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option("--once", is_flag=True, help="Purge and check all stores now, in the foreground, then exit.")
@click.option(
    "--check-config", is_flag=True, help="Only say whether the configuration is good, with the files that it names."
)
@click.option("--connect", is_flag=True, help="With --check-config: open each store, too.")
@click.version_option(__version__, prog_name="mailstored", message="%(prog)s %(version)s")
def command(config_file: Path | None, once: bool, check_config: bool, connect: bool) -> None:
    """Purge mailboxes whose retention ran out, and report what is inconsistent, on a schedule."""
    if once and check_config:
        raise click.UsageError("--once and --check-config exclude each other")
    if connect and not check_config:
        raise click.UsageError("--connect goes with --check-config")
    check: _Check = "connect" if connect else "files" if check_config else None
    sys.exit(_PROGRAM.run(lambda: _run(config_file, once=once, check=check)))


def _run(config_file: Path | None, *, once: bool, check: _Check) -> int:
    from mailstored.once import run_once
    from mailstored.service import Service
    from mailstored.settings import load

    settings = load(config_file)
    if check:
        return _checked(settings.stores, connect=check == "connect")
    return run_once(settings) if once else Service(config_file, settings).run()


def _checked(stores: Mapping[str, StoreConfig], *, connect: bool) -> int:
    """Say what is wrong with each store; returns the exit code. What has to be mended comes before what may pass."""
    from mailstored.settings import problems

    codes = {0}
    for name, options in stores.items():
        found = list(problems(options))
        codes |= {_PROGRAM.told(f"stores.{name}: {problem}", CONFIGURATION) for problem in found}
        if connect and not found:
            try:
                open_config(options).close()
            except MailstoreError as error:
                code = TEMPORARY if error.temporary else CONFIGURATION
                codes.add(_PROGRAM.told(f"stores.{name}: {error}", code))
    if codes == {0}:
        click.echo(f"good; stores: {', '.join(stores)}")
    return next(code for code in (CONFIGURATION, TEMPORARY, 0) if code in codes)


def main() -> None:
    """Run the command line; this is the entry point of the script ``mailstored``."""
    command(prog_name="mailstored")
