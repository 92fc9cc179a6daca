"""Debian's stock Postfix and Dovecot, set up by the page alone: mail that comes by SMTP lies in the mailbox."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.readers import share
from tests.servers.dovecot import Dovecot
from tests.servers.postfix_server import STOCK_MASTER_CF, PostfixServer
from tests.servers.process import is_root, make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

STOCK_DOVECOT = Path("/usr/share/dovecot/conf.d")
OWNER = ("nobody", "nogroup")
"""Somebody whose name is known on every Debian; a real server has vmail."""
UID, GID = 65534, 65534
PASSWORD = "correct horse"

# What the administrators of many servers have, before our file is included at the end.
BEFORE = """\
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
protocol lda {
  mail_plugins = $mail_plugins sieve
}
protocol imap {
  mail_plugins = $mail_plugins imap_sieve
}
"""

pytestmark = [
    pytest.mark.skipif(not is_root(), reason="Postfix has to be started by root"),
    pytest.mark.skipif(not (STOCK_MASTER_CF.exists() and STOCK_DOVECOT.exists()), reason="this is no Debian"),
]


@dataclass(frozen=True)
class Chain:
    """Both servers, and where the mail is."""

    postfix: PostfixServer
    dovecot: Dovecot
    homes: Path

    def mail(self, user: str) -> list[str]:
        """Return the messages of a user."""
        return [path.read_text() for path in self.homes.rglob("new/*") if f"/{user}-" in str(path)]

    def send(self, recipient: str, subject: str, size: int = 0) -> None:
        """Send a message and wait until it is delivered or returned."""
        body = b"x" * 70 + b"\r\n"
        self.postfix.send(recipient, f"Subject: {subject}\r\n\r\n".encode() + body * (size // len(body)))
        self.postfix.settle()


_NUMBERS = count()


@pytest.fixture(scope="module")
def chain(scratch_root: Path) -> Iterator[Chain]:
    """A store without a database server, and both servers with what the command line wrote for them."""
    place = make_directory(scratch_root / f"stock{next(_NUMBERS)}")  # a module's fixtures may be made twice
    make_directory(place / "db")
    homes = make_directory(place / "homes", *OWNER)

    def run(line: str, given: str = "") -> None:
        command = [sys.executable, "-m", "mailstore", "--url", f"iredmail+sqlite:///{place}/db/vmail.db"]
        subprocess.run([*command, "--homes", str(homes), *line.split()], input=given, text=True, check=True)

    run("schema create")
    run("domain create example.com")
    run("account create bob@example.com --password-stdin", PASSWORD)
    run("account create small@example.com --password-stdin --quota 1M", PASSWORD)
    share(place / "db/vmail.db")
    confdir = place / "dovecot/conf"
    owner = f"--uid {OWNER[0]} --gid {OWNER[1]}"
    run(f"lookups dovecot --directory {confdir} {owner}")
    run(f"lookups postfix --directory {place}/maps {owner}")
    texts = {path.name: path.read_text() for path in (place / "maps").iterdir()}
    # The one thing that a second instance needs besides: its Dovecot is not that of /etc.
    lda = "dovecot-lda"
    texts["master.cf.snippet"] = texts["master.cf.snippet"].replace(f"{lda} -e", f"{lda} -c {confdir}/dovecot.conf -e")
    stock = "".join(f"!include {path}\n" for path in sorted(STOCK_DOVECOT.glob("*.conf")) if "ssl" not in path.name)
    files = {"stock.conf": stock}
    # Debian's own logs to syslog, which everybody may; here processes of the owner of the mail need a file.
    log = place / "lda.log"
    log.touch(0o666)
    log.chmod(0o666)
    logging = f"protocol lda {{\n  log_path = {log}\n}}\n"
    include = f"!include stock.conf\n{logging}{BEFORE}!include mailstore.conf\n"
    with (
        Dovecot(place / "dovecot", include=include, files=files, vmail_uid=UID, vmail_gid=GID) as dovecot,
        PostfixServer(place / "postfix", texts) as postfix,
    ):
        yield Chain(postfix, dovecot, homes)


@pytest.mark.parametrize("recipient", ["bob@example.com", "bob+news@example.com"])
def test_a_message_sent_by_smtp_arrives(chain: Chain, recipient: str) -> None:
    subject = f"for-{recipient.partition('@')[0]}"
    chain.send(recipient, subject)
    assert chain.postfix.deferred() == []
    (mail,) = [text for text in chain.mail("bob") if f"Subject: {subject}\n" in text]
    assert re.search(r"^Delivered-To: bob\S*@example.com$", mail, re.MULTILINE)


def test_over_quota_it_is_refused_though_protocols_had_plugins_of_their_own(chain: Chain) -> None:
    """`mail_plugins` of a protocol does not follow what is said for all later: quota was silently off."""
    for number in range(4):
        chain.send("small@example.com", f"number-{number}", size=400_000)
    delivered = {int(number) for text in chain.mail("small") for number in re.findall(r"Subject: number-(\d)", text)}
    assert delivered == {0, 1}
    assert len(re.findall(r"to=<small@example.com>.*status=bounced \(.*[Qq]uota", chain.postfix.log())) == 2
    code, reply = chain.dovecot.deliver("small@example.com", b"Subject: by lmtp\r\n\r\n" + b"x\r\n" * 150_000)
    assert (code, "Quota exceeded" in reply) == (552, True)


def test_imap_answers_though_a_plugin_was_named_before(chain: Chain) -> None:
    with chain.dovecot.imap("bob@example.com", PASSWORD) as client:
        assert client.select()[0] == "OK"
        assert client.getquotaroot("INBOX")[0] == "OK"
