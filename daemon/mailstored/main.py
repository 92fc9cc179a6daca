"""The command line of the daemon."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import click

from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, MailstoreError
from mailstore.registry import open_config
from mailstore.version import __version__

__all__ = ["command", "main"]

_FAULT, _CONFIGURATION, _TEMPORARY = 1, 2, 75
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
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: $MAILSTORE_CONFIG, else /etc/mailstore/mailstore.toml.",
)
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
    sys.exit(_guarded(config_file, once=once, check="connect" if connect else "files" if check_config else None))


def _guarded(config_file: Path | None, *, once: bool, check: _Check) -> int:
    """Do what the command line says; whatever goes wrong ends in one line and an exit code."""
    try:
        return _run(config_file, once=once, check=check)
    except ConfigurationError as error:
        return _told(str(error), _CONFIGURATION)
    except OSError as error:
        return _told(str(error), _FAULT)
    except Exception as error:  # noqa: BLE001 its text is not ours, and might hold what must not be shown
        if os.environ.get("MAILSTORE_DEBUG") == "1":
            traceback.print_exception(error)
        return _told(f"internal error: {type(error).__name__}; run with MAILSTORE_DEBUG=1 and report this", _FAULT)


def _told(text: str, code: int) -> int:
    click.echo(f"mailstored: {text}", err=True)
    return code


def _run(config_file: Path | None, *, once: bool, check: _Check) -> int:
    _require_packages()
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
        codes |= {_told(f"stores.{name}: {problem}", _CONFIGURATION) for problem in found}
        if connect and not found:
            try:
                open_config(options).close()
            except MailstoreError as error:
                code = _TEMPORARY if error.temporary else _CONFIGURATION
                codes.add(_told(f"stores.{name}: {error}", code))
    if codes == {0}:
        click.echo(f"good; stores: {', '.join(stores)}")
    return next(code for code in (_CONFIGURATION, _TEMPORARY, 0) if code in codes)


def _require_packages() -> None:
    for module in ("apscheduler", "prometheus_client", "sdnotify", "structlog"):
        try:
            __import__(module)
        except ImportError as error:
            message = f"the daemon needs the package {module}: pip install 'mailstore[daemon]'"
            raise ConfigurationError(message) from error


def main() -> None:
    """Run the command line; this is the entry point of the script ``mailstored``."""
    command(prog_name="mailstored")
