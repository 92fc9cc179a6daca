"""The command line of the service."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailstore.version import __version__
from mailstored.program import CONFIGURATION, Program, config_option

__all__ = ["command", "main"]

_PROGRAM = Program("mailstore-http", "http", ("waitress", "prometheus_client", "sdnotify", "structlog"))
_EPILOG = """\
Signals: TERM and INT answer the calls in hand and stop; HUP reads the configuration again, and keeps the old one if the new
one is wrong. Another address, and other numbers of threads and connections, take a restart.

Exit codes: 0 stopped as asked, or the configuration is good; 1 a fault; 2 usage or configuration.

With MAILSTORE_DEBUG=1 in the environment an internal error comes with a traceback, which may show secrets.
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option("--check-config", is_flag=True, help="Only say whether the configuration is good.")
@click.version_option(__version__, prog_name="mailstore-http", message="%(prog)s %(version)s")
def command(config_file: Path | None, check_config: bool) -> None:
    """Answer the documented HTTP APIs of mail servers on the stores of the configuration."""
    sys.exit(_PROGRAM.run(lambda: _run(config_file, check=check_config)))


def _run(config_file: Path | None, *, check: bool) -> int:
    from mailstore_http.service import Service
    from mailstore_http.settings import load
    from mailstored.settings import problems

    settings = load(config_file)
    if not check:
        return Service(config_file, settings).run()
    codes = [
        _PROGRAM.told(f"stores.{name}: {problem}", CONFIGURATION)
        for name, options in settings.stores.items()
        for problem in problems(options)
    ]
    if not codes:
        names = [*(["v1"] if settings.v1 else []), *(dialect.name for dialect in settings.dialects)]
        click.echo(f"good; APIs: {', '.join(names)}")
    return max(codes, default=0)


def main() -> None:
    """Run the command line; this is the entry point of the script ``mailstore-http``."""
    command(prog_name="mailstore-http")
