"""The command line of the service."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import click

from mailstore.errors import ConfigurationError
from mailstore.version import __version__

__all__ = ["command", "main"]

_FAULT, _CONFIGURATION = 1, 2
_EPILOG = """\
Signals: TERM and INT answer the calls in hand and stop; a new configuration comes into force with a restart.

Exit codes: 0 stopped as asked, or the configuration is good; 1 a fault; 2 usage or configuration.

With MAILSTORE_DEBUG=1 in the environment an internal error comes with a traceback, which may show secrets.
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: $MAILSTORE_CONFIG, else /etc/mailstore/mailstore.toml.",
)
@click.option("--check-config", is_flag=True, help="Only say whether the configuration is good.")
@click.version_option(__version__, prog_name="mailstore-http", message="%(prog)s %(version)s")
def command(config_file: Path | None, check_config: bool) -> None:
    """Answer the documented HTTP APIs of mail servers on the stores of the configuration."""
    sys.exit(_guarded(config_file, check=check_config))


def _guarded(config_file: Path | None, *, check: bool) -> int:
    """Do what the command line says; whatever goes wrong ends in one line and an exit code."""
    try:
        return _run(config_file, check=check)
    except ConfigurationError as error:
        return _told(str(error), _CONFIGURATION)
    except OSError as error:
        return _told(str(error), _FAULT)
    except Exception as error:  # noqa: BLE001 its text is not ours, and might hold what must not be shown
        if os.environ.get("MAILSTORE_DEBUG") == "1":
            traceback.print_exception(error)
        return _told(f"internal error: {type(error).__name__}; run with MAILSTORE_DEBUG=1 and report this", _FAULT)


def _told(text: str, code: int) -> int:
    click.echo(f"mailstore-http: {text}", err=True)
    return code


def _run(config_file: Path | None, *, check: bool) -> int:
    _require_packages()
    from mailstore_http.service import Service
    from mailstore_http.settings import load
    from mailstored.settings import problems

    settings = load(config_file)
    if not check:
        return Service(settings).run()
    codes = [
        _told(f"stores.{name}: {problem}", _CONFIGURATION)
        for name, options in settings.stores.items()
        for problem in problems(options)
    ]
    if not codes:
        click.echo(f"good; APIs: {', '.join(dialect.name for dialect in settings.dialects)}")
    return max(codes, default=0)


def _require_packages() -> None:
    for module in ("waitress", "sdnotify", "structlog"):
        try:
            __import__(module)
        except ImportError as error:
            message = f"the service needs the package {module}: pip install 'mailstore[http]'"
            raise ConfigurationError(message) from error


def main() -> None:
    """Run the command line; this is the entry point of the script ``mailstore-http``."""
    command(prog_name="mailstore-http")
