"""A private amavisd that looks policies up in SQL, and a sink for the mail that it lets through."""

from __future__ import annotations

import smtplib
import socketserver
import threading
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.servers.process import (
    LOOPBACK,
    MissingCapabilityError,
    Process,
    connects,
    free_ports,
    is_root,
    make_directory,
    program,
)

if TYPE_CHECKING:
    from email.message import Message

USER = "amavis"
OK = 250
VIRUS, BANNED = "SIMULATED-VIRUS", "attachment.exe"
"""What the only virus scanner finds, and the only name of a file that is forbidden."""

# Rules that are enough: a score that the subject names. Without the shipped ones SpamAssassin starts at once.
_SPAM_RULES = "".join(
    f"header SCORE_{score} Subject =~ /score-{score}\\b/\nscore SCORE_{score} {score}\n" for score in range(1, 21)
)
# What iRedMail configures: whatever is found is discarded, a copy goes to the quarantine, and policies may change both.
_CONFIG = """
use strict;
$max_servers = 1; $max_requests = 10000; $enable_db = 0; $enable_zmq = 0; $do_syslog = 0; $log_level = 1;
$MYHOME = '{home}'; $TEMPBASE = '{home}/tmp'; $db_home = '{home}/db'; $helpers_home = '{home}';
$pid_file = '{home}/pid'; $lock_file = '{home}/lock'; $logfile = '{home}/log';
$QUARANTINEDIR = '{home}/quarantine';
$path = '/usr/local/bin:/usr/bin:/bin';
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = {port}; @inet_acl = ('127.0.0.1');
$forward_method = 'smtp:[127.0.0.1]:{sink}'; $notify_method = $forward_method;
$myhostname = 'mx.example.net'; $mydomain = 'example.net'; @local_domains_maps = (1);
@lookup_sql_dsn = (['{dsn}', '{user}', '{password}']); $sql_allow_8bit_address = 1;
$sa_local_tests_only = 1; $sa_tag_level_deflt = 2.0; $sa_tag2_level_deflt = 6.2; $sa_kill_level_deflt = 6.9;
$sa_spam_subject_tag = '[SPAM] '; $sa_mail_body_size_limit = 100000; $sa_configpath = '{directory}/rules';
$sa_siteconfigpath = '{directory}/site'; $sa_userprefs_file = '{directory}/prefs';
$final_virus_destiny = $final_banned_destiny = $final_spam_destiny = $final_bad_header_destiny = D_DISCARD;
$virus_quarantine_method = 'local:virus-%m'; $banned_files_quarantine_method = 'local:banned-%m';
$spam_quarantine_method = 'local:spam-%m'; $bad_header_quarantine_method = 'local:bad_header-%m';
$virus_admin = undef; $spam_admin = undef; $banned_admin = undef; $bad_header_admin = undef;
@av_scanners = (['test', 'grep', "-rq {virus} {{}}", [1], [0], qr/(.*)/m]);
@av_scanners_backup = ();
$banned_filename_re = new_RE(qr'^attachment\\.exe$'i);
1;
"""


@dataclass(frozen=True)
class Received:
    """A message that reached the sink, for one recipient."""

    recipient: str
    message: Message


class Sink:
    """An SMTP server that keeps what it gets."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.port: int = self._server.server_address[1]

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        received = self.received

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                recipients: list[str] = []
                self._answer("220 sink")
                while line := self.rfile.readline().decode("latin-1").strip():
                    verb = line[:4].upper()
                    if verb == "RCPT":
                        recipients.append(line[line.index("<") + 1 : line.index(">")])
                    if verb == "DATA":
                        self._answer("354 go on")
                        message = message_from_bytes(self._data())
                        received.extend(Received(recipient, message) for recipient in recipients)
                    if verb in {"MAIL", "RSET"}:
                        recipients = []
                    self._answer("221 bye" if verb == "QUIT" else "250 ok")
                    if verb == "QUIT":
                        return

            def _data(self) -> bytes:
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line.removeprefix(b"."))
                return b"".join(lines)

            def _answer(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        return Session

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Amavisd:
    """amavisd with a virus scanner, spam rules and forbidden files that tests can trigger; it talks to nobody else."""

    def __init__(self, directory: Path, dsn: str, user: str, password: str) -> None:
        if not is_root():
            raise MissingCapabilityError("amavisd refuses configuration files that are not root's")
        # amavisd does not start if it could write to its own configuration.
        self.directory, home = make_directory(directory), make_directory(directory / "home", USER)
        self._quarantine = make_directory(home / "quarantine", USER)
        self.sink = Sink()
        self.port = free_ports(1)[0]
        for name in ("tmp", "db"):
            make_directory(home / name, USER)
        for name in ("rules", "site"):
            make_directory(directory / name)
        (directory / "rules" / "test.cf").write_text(_SPAM_RULES)
        (directory / "site" / "init.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
        (directory / "prefs").touch()
        names = {"directory": directory, "home": home, "port": self.port, "sink": self.sink.port, "virus": VIRUS}
        self._config = directory / "amavisd.conf"
        self._config.write_text(_CONFIG.format(**names, dsn=dsn, user=user, password=password))
        self._process = Process(
            [program("amavisd"), "-c", str(self._config), "foreground"], directory / "out", user=USER
        )

    def send(self, message: bytes, *recipients: str, sender: str = "sender@other.example") -> None:
        """Have a message scanned. When this returns, it has been delivered to the sink, or kept, or neither."""
        with smtplib.SMTP(LOOPBACK, self.port) as client:
            client.sendmail(sender, recipients, message)

    def quarantined(self) -> list[str]:
        """Return what lies in the quarantine, by category."""
        return sorted(file.name.partition("-")[0] for file in self._quarantine.rglob("*-*"))

    def empty(self) -> None:
        """Forget what was received and kept."""
        self.sink.received.clear()
        for file in self._quarantine.rglob("*-*"):
            file.unlink()

    def _answers(self) -> bool:
        # It listens long before it has read its rules, and only then starts whoever answers.
        if not connects(self.port):
            return False
        try:
            with smtplib.SMTP(LOOPBACK, self.port, timeout=30) as client:
                return client.noop()[0] == OK
        except (OSError, smtplib.SMTPException):
            return False

    def __enter__(self) -> Self:
        self.sink.__enter__()
        try:
            self._process.start(self._answers, timeout=60)
        except BaseException:
            self.sink.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stop()
        self.sink.__exit__(*exception)
