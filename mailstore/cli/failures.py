"""What the command line says, and returns, when something goes wrong."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from mailstore.cli.exits import ExitCode, Unfinished, code_of
from mailstore.cli.terminal import safe
from mailstore.errors import BulkRefused, MailstoreError

__all__ = ["as_object", "exit_code", "silenced", "tell"]

_TEMPORARY_HINT = "This is temporary: the same command may succeed later."


def exit_code(run: Callable[[], object], *, as_json: bool = False) -> int:
    """Run the command line and return its exit code, after one line on standard error if something went wrong.

    That line is text, or with `as_json` the object of `as_object`.
    """
    try:
        result = run()
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return silenced()
    except Exception as error:  # noqa: BLE001 the last resort: whatever it is, it is told
        return tell(error, as_json=as_json)
    return result if isinstance(result, int) else ExitCode.DONE


def silenced() -> int:
    """Let the interpreter flush what nobody reads any more into nothing. Returns the exit code for that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.BROKEN_PIPE


def tell(error: Exception, *, as_json: bool) -> int:
    """Write what went wrong to standard error. Returns the exit code for it."""
    if os.environ.get("MAILSTORE_DEBUG") == "1":
        traceback.print_exception(error)
    if as_json:
        click.echo(json.dumps(as_object(error)), err=True)
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        click.echo(f"mailstore: {safe(_text(error))}", err=True)
        if hint := _hint(error):
            click.echo(hint, err=True)
    return code_of(error)


def as_object(error: Exception) -> dict[str, Any]:
    """Return what is known of an error as values that JSON holds.

    ``class`` is its name in `mailstore.errors`, ``subject`` the address, domain or path, ``field`` the parameter or option,
    ``retryable`` whether the same command may succeed later, ``state`` what was left behind; null for what is not known.
    Refused rows of a bulk call are such objects too, each with its ``row``, from 1.
    """
    known = error if isinstance(error, MailstoreError) else None
    found: dict[str, Any] = {
        "class": _class(error),
        "message": known.message if known else _text(error),
        "subject": known.subject if known else None,
        "field": known.field if known else _parameter(error),
        "retryable": known.temporary if known else getattr(error, "retryable", False),
        "state": known.state if known else None,
        "exit_code": int(code_of(error)),
    }
    if isinstance(error, BulkRefused):
        found["rows"] = [{"row": index + 1, **as_object(reason)} for index, reason in error.rows]
    return found


def _class(error: Exception) -> str:
    match error:
        case click.UsageError():
            return "UsageError"
        case Unfinished():
            return "Unfinished"
        case click.ClickException():
            return "Declined"
    return type(error).__name__


def _parameter(error: Exception) -> str | None:
    parameter = getattr(error, "param", None)
    return parameter.name if isinstance(parameter, click.Parameter) else None


def _text(error: Exception) -> str:
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return "a command is missing"
        case click.ClickException():
            return error.format_message()
        case MailstoreError() | OSError():
            return str(error)
    # Its text is not ours, and might hold what must not be shown.
    return f"internal error: {type(error).__name__}"


def _hint(error: Exception) -> str:
    match error:
        case click.UsageError():
            return f"See '{error.ctx.command_path} --help'." if error.ctx else ""
        case MailstoreError():
            return _TEMPORARY_HINT if error.temporary else ""
        case click.ClickException() | OSError():
            return ""
    return "Run it with MAILSTORE_DEBUG=1 and report this."
