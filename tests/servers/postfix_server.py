"""A private Postfix with Debian's stock configuration and what `mailstore lookups postfix` wrote: it takes mail by SMTP."""

from __future__ import annotations

import re
import smtplib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.servers.process import (
    ENVIRONMENT,
    LOOPBACK,
    Process,
    connects,
    free_ports,
    make_directory,
    program,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

STOCK_MASTER_CF = Path("/usr/share/postfix/master.cf.dist")
# What Debian's package asks an administrator for, and what keeps a second instance apart from the first.
MAIN_CF = """\
compatibility_level = 3.6
myhostname = mail.example.test
mydestination = localhost
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
mynetworks = 127.0.0.0/8
mailbox_size_limit = 0
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
smtpd_peername_lookup = no
"""


class PostfixServer:
    """Postfix; needs to be root, as every Postfix does."""

    def __init__(self, directory: Path, files: Mapping[str, str]) -> None:
        """`files` are the snippets that `mailstore lookups postfix` wrote, by name."""
        self.directory = make_directory(directory)
        self.queue = make_directory(directory / "queue")
        make_directory(directory / "data", "postfix", "postfix")
        self.config = make_directory(directory / "etc")
        (self.port,) = free_ports(1)
        main, master = files["main.cf.snippet"], files["master.cf.snippet"]
        stock = re.sub(r"(?m)^smtp( +inet)", rf"{LOOPBACK}:{self.port}\1", STOCK_MASTER_CF.read_text())
        (self.config / "main.cf").write_text(MAIN_CF.format(directory=directory) + main)
        (self.config / "master.cf").write_text(f"{stock}\n{master}")
        command = [program("postfix"), "-c", str(self.config), "start-fg"]
        self._process = Process(command, directory / "log")

    def __enter__(self) -> Self:
        self._process.start(lambda: connects(self.port))
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.stop()

    def send(self, recipient: str, message: bytes, sender: str = "sender@elsewhere.example") -> None:
        """Send a message; a refused recipient raises smtplib.SMTPRecipientsRefused."""
        with smtplib.SMTP(LOOPBACK, self.port, local_hostname="localhost", timeout=60) as smtp:
            smtp.sendmail(sender, [recipient], message)

    def settle(self) -> None:
        """Wait until no mail is on its way any more; what is deferred stays."""
        moving = ("incoming", "active", "maildrop")
        wait_for(lambda: not any(p.is_file() for name in moving for p in (self.queue / name).rglob("*")), timeout=60)

    def deferred(self) -> list[str]:
        """Return the recipients of mail that could not be delivered yet, with the reason."""
        command = [program("postqueue"), "-c", str(self.config), "-j"]
        return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True).stdout.splitlines()

    def log(self) -> str:
        """Return Postfix's log."""
        return (self.directory / "maillog").read_text()
