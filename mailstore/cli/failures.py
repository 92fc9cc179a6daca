"""What the command line says, and returns, when something goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

import click

from mailstore.cli.terminal import safe
from mailstore.errors import ConfigurationError, MailstoreError, Refused

__all__ = ["FAULT", "INTERRUPTED", "REFUSED", "TEMPORARY", "USAGE", "exit_code", "silenced"]

FAULT = 1
USAGE = 2
REFUSED = 3
TEMPORARY = 75
"""EX_TEMPFAIL, which mail servers understand too."""
INTERRUPTED = 130
_BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended."""


def exit_code(run: Callable[[], object]) -> int:
    """Run the command line and return its exit code, after one line on standard error if something went wrong."""
    try:
        result = run()
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return silenced()
    except Exception as error:  # noqa: BLE001 the last resort: whatever it is, it is told
        return _told(error)
    return result if isinstance(result, int) else 0


def silenced() -> int:
    """Let the interpreter flush what nobody reads any more into nothing. Returns the exit code for that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _BROKEN_PIPE


def _told(error: Exception) -> int:
    if os.environ.get("MAILSTORE_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return USAGE
    text, hint, code = _explained(error)
    click.echo(f"mailstore: {safe(text)}", err=True)
    if hint:
        click.echo(hint, err=True)
    return code


def _explained(error: Exception) -> tuple[str, str, int]:
    """Return text, hint and exit code."""
    match error:
        case click.UsageError():
            return error.format_message(), _help_hint(error.ctx), USAGE
        case click.ClickException():
            return error.format_message(), "", error.exit_code
        case MailstoreError():
            hint = "This is temporary: the same command may succeed later." if error.temporary else ""
            return str(error), hint, _code_of(error)
        case OSError():
            return str(error), "", FAULT
        case _:
            # Its text is not ours, and might hold what must not be shown.
            return f"internal error: {type(error).__name__}", "Run it with MAILSTORE_DEBUG=1 and report this.", FAULT


def _code_of(error: MailstoreError) -> int:
    if error.temporary:
        return TEMPORARY
    if isinstance(error, Refused):
        return REFUSED
    return USAGE if isinstance(error, ConfigurationError) else FAULT


def _help_hint(ctx: click.Context | None) -> str:
    return f"See '{ctx.command_path} --help'." if ctx else ""
