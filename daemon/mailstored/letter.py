"""``mailstored-mail``: a command for ``[daemon] on_trouble`` that sends what it is told as mail."""

from __future__ import annotations

import json
import smtplib
import socket
import sys
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import click

from mailstore.version import __version__

__all__ = ["command", "letter", "main"]

_SECONDS = 20
_TEMPORARY = 75


def letter(facts: Mapping[str, Any], sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """Return the message that tells of trouble. `facts` are those of `mailstored.hook`."""
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(recipients)
    message["Subject"] = f"mailstored on {socket.gethostname()}: {facts['job']} of {facts['store']}: {facts['result']}"
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid()
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(facts)) + "\n")
    return message


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts["error"]:
        yield f"{facts['error']}\n"
    for name, count in facts["counts"].items():
        yield f"{name}: {count}"
    for box in facts["mailboxes"]:
        yield f"\n{box['action']}: {box['address']} {box['home']}\n  {box['reason']}"
    yield "\nmailstore status and mailstore doctor tell more; so does the log of mailstored."


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipients", nargs=-1, required=True)
@click.option(
    "--from", "sender", default="", help="Address of the sender. Default: mailstored@ and the name of this host."
)
@click.option(
    "--server", default="127.0.0.1:25", show_default=True, metavar="HOST:PORT", help="Where mail is handed in."
)
@click.version_option(__version__, prog_name="mailstored-mail", message="%(prog)s %(version)s")
def command(recipients: tuple[str, ...], sender: str, server: str) -> None:
    """Send what mailstored tells of trouble (JSON on standard input) as mail to RECIPIENTS.

    In mailstore.toml, with absolute paths: on_trouble = ["/opt/mailstore/bin/mailstored-mail", "postmaster@example.com"].
    It speaks SMTP: within the sandbox of the daemon, the program sendmail has no right to hand in mail.
    """
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter("is not HOST:PORT", param_hint="--server")
    message = letter(json.load(sys.stdin), sender or f"mailstored@{socket.getfqdn()}", recipients)
    try:
        with smtplib.SMTP(host.removeprefix("[").removesuffix("]"), int(port), timeout=_SECONDS) as smtp:
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        click.echo(f"mailstored-mail: {server} did not take the message: {error}", err=True)
        sys.exit(_TEMPORARY)


def main() -> None:
    """Run the command line; this is the entry point of the script ``mailstored-mail``."""
    command(prog_name="mailstored-mail")
