"""A private Dovecot 2.3: IMAP, POP3, LMTP and doveadm over the accounts under test."""

from __future__ import annotations

import contextlib
import grp
import imaplib
import os
import pwd
import re
import signal
import smtplib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.servers.process import (
    ENVIRONMENT,
    LOOPBACK,
    MissingCapabilityError,
    Process,
    ServerError,
    connects,
    free_ports,
    is_root,
    make_directory,
    program,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# In a block, text after "{" on the same line is "Garbage after '{'".
BASE = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
instance_name = rig
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
mail_fsync = never
first_valid_uid = {first_uid}
auth_failure_delay = 0
# Without this each failed login makes the next one, even a good one, wait for seconds.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""
# An ordinary user can neither change to Dovecot's users nor chroot.
UNPRIVILEGED = """\
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
"""
EX_NOUSER, EX_NOPERM = 67, 77


class Dovecot:
    """Dovecot with the given configuration texts, in which {confdir} stands for their directory."""

    def __init__(
        self,
        directory: Path,
        *,
        include: str,
        files: Mapping[str, str] | None = None,
        vmail_uid: int,
        vmail_gid: int,
    ) -> None:
        """`include` is appended to dovecot.conf; `files` (name to text) are put next to it."""
        self.directory = make_directory(directory)
        self.confdir = make_directory(directory / "conf")
        self.config = self.confdir / "dovecot.conf"
        # Mail homes may go here: LMTP makes them if the uid may write the parent.
        self.mail_root = make_directory(directory / "mail", vmail_uid, vmail_gid)
        self.log = directory / "log"
        self.imap_port, self.pop3_port, self.lmtp_port = free_ports(3)
        self._first_uid = min(vmail_uid, 500)
        self._write("dovecot.conf", self._base() + include)
        for name, text in (files or {}).items():
            self._write(name, text)
        command = [program("dovecot"), "-F", "-c", str(self.config)]
        self._process = Process(command, self.log)

    def _base(self) -> str:
        ports = {"imap": self.imap_port, "pop3": self.pop3_port, "lmtp": self.lmtp_port}
        text = BASE.format(directory=self.directory, first_uid=self._first_uid, **ports)
        if is_root():
            return text
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        return text + UNPRIVILEGED.format(user=user, group=group)

    def _write(self, name: str, text: str) -> None:
        text = text.replace("{confdir}", str(self.confdir))
        for driver in re.findall(r"^\s*driver\s*=\s*(mysql|pgsql|sqlite)\s*$", text, re.MULTILINE):
            _require_driver(driver)
        (self.confdir / name).write_text(text)

    def start(self) -> None:
        """Start Dovecot; the same object may be started again after a stop or kill."""
        self._process.start(self._ready)

    def _ready(self) -> bool:
        return all(connects(port) for port in (self.imap_port, self.pop3_port, self.lmtp_port))

    def stop(self) -> None:
        """Stop Dovecot, if it runs."""
        # One SIGTERM takes 1 to 6 s, a second one a moment later about 0.2 s; then kill.
        for _ in range(2):
            if self._process.running:
                self._process.signal_group(signal.SIGTERM)
                wait_for(lambda: not self._process.running, timeout=0.15)
        self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def doveadm(self, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run doveadm; a lookup in a database that is down may block for 60 s and more."""
        return subprocess.run(
            [program("doveadm"), "-c", str(self.config), *arguments],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=timeout,
        )

    def auth(self, user: str, password: str, service: str = "imap", *, secured: bool = False) -> bool:
        """Whether a password is good; a refusal costs 0.5 s. `secured` is what sets %c, as TLS does."""
        facts = ["-x", f"service={service}", *(["-x", "secured"] if secured else [])]
        result = self.doveadm("auth", "test", *facts, user, password)
        # A broken back end has the exit code of a bad password.
        if result.returncode not in (0, EX_NOPERM) or "code=temp_fail" in result.stdout:
            raise self._error(result)
        return result.returncode == 0

    def user(self, address: str, service: str = "doveadm") -> dict[str, str] | None:
        """Return the userdb fields of an address, or None when it is unknown."""
        result = self.doveadm("user", "-x", f"service={service}", address)
        if result.returncode == EX_NOUSER:
            return None
        if result.returncode:
            raise self._error(result)
        # The first line is the heading "field TAB value".
        lines = (line.partition("\t") for line in result.stdout.splitlines()[1:])
        return {name: value for name, _, value in lines}

    def deliver(self, recipient: str, message: bytes, sender: str = "sender@example.net") -> tuple[int, str]:
        """Deliver a message through LMTP; return the reply to the last command."""
        # Named localhost, so that smtplib does not ask the resolver for a name.
        with smtplib.LMTP(LOOPBACK, self.lmtp_port, local_hostname="localhost", timeout=60) as lmtp:
            lmtp.ehlo()
            lmtp.mail(sender)
            code, reply = lmtp.rcpt(recipient)
            if code == 250:
                code, reply = lmtp.data(message)
        return code, reply.decode()

    @contextlib.contextmanager
    def imap(self, user: str, password: str) -> Iterator[imaplib.IMAP4]:
        """Log in; a refused login raises imaplib.IMAP4.error."""
        with imaplib.IMAP4(LOOPBACK, self.imap_port, timeout=60) as client:
            # LOGIN would be limited to ASCII.
            client.authenticate("PLAIN", lambda _challenge: f"\0{user}\0{password}".encode())
            yield client

    def quota(self, user: str) -> dict[str, tuple[int, int | None]]:
        """Return (used, limit or None) of STORAGE (in KiB) and MESSAGE."""
        result = self.doveadm("-f", "tab", "quota", "get", "-u", user)
        if result.returncode:
            raise self._error(result)
        rows = (line.split("\t") for line in result.stdout.splitlines()[1:])
        return {kind: (int(used), _limit(limit)) for _root, kind, used, limit, _percent in rows}

    def log_tail(self, size: int = 4000) -> str:
        """Return the end of Dovecot's log."""
        return self._process.log_tail(size)

    def _error(self, result: subprocess.CompletedProcess[str]) -> ServerError:
        output = f"{result.stdout}{result.stderr}"
        return ServerError(f"doveadm ended with {result.returncode}: {output}\n{self.log_tail()}")


def _limit(text: str) -> int | None:
    return None if text == "-" else int(text)


def _require_driver(driver: str) -> None:
    modules = (Path("/usr/lib/dovecot/modules"), Path("/usr/lib64/dovecot"), Path("/usr/local/lib/dovecot"))
    if not any(list(path.rglob(f"*driver_{driver}.so")) for path in modules):
        raise MissingCapabilityError(f"Dovecot cannot read {driver} (package dovecot-{driver})")
