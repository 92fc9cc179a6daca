"""What mail users may write of their own entries is not believed by Dovecot and Postfix with our files.

The directory has access rules that let users write what those of iRedMail let them write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailstore import open_store
from mailstore.ldap.iredmail.lookups.dovecot import dovecot as dovecot_files
from tests.ldap.lookup_rig import PASSWORD, LdapMaps, Site, Tree, dovecot_for, entry_dn
from tests.ldap.rig import store_url
from tests.servers.dovecot import Dovecot
from tests.servers.process import make_directory
from tests.servers.slapd import SUFFIX, Login, Slapd

EVE, VICTIM = "eve@example.com", "victim@other.example"
SECRET = b"From: a@example.net\r\nSubject: secret\r\n\r\nfor one only\r\n"
READER, WRITER = f"cn=vmail,{SUFFIX}", f"cn=vmailadmin,{SUFFIX}"
_SERVICES = f'by dn.exact="{READER}" read by dn.exact="{WRITER}" write'
_GIVEN = (
    "objectClass,mail,accountStatus,domainStatus,enabledService,mailQuota,homeDirectory,storageBaseDirectory,"
    "mailMessageStore,mtaTransport,memberOfGroup,shadowAddress,userSenderBccAddress,userRecipientBccAddress,"
    "domainGlobalAdmin,domainAdmin"
)
LAX = f"""\
access to attrs=userPassword,mailForwardingAddress,employeeNumber by anonymous auth by self write {_SERVICES} by * none
access to attrs={_GIVEN} {_SERVICES} by users read by * none
access to * by anonymous auth by self write {_SERVICES} by users read
"""


class Lax(Slapd):
    """A directory as iRedMail sets it up, as far as users and their rights are concerned."""

    def _configuration(self) -> str:
        before, _, after = super()._configuration().partition("access to dn.regex")
        return f"{before}{LAX}\ndatabase monitor{after.partition('database monitor')[2]}"


@pytest.fixture(scope="module")
def site(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Site]:
    directory = scratch_root / "userwritten"
    tree = Tree(make_directory(directory / "mail", *vmail_owner))
    tree.domain("example.com", senderRelayHost="[all.relay.example]:587")
    tree.domain("other.example")
    tree.user(EVE)
    tree.user(VICTIM)
    with Lax(directory / "slapd") as slapd:
        slapd.load(str(tree))
        yield Site(slapd, directory, vmail_owner)


@pytest.fixture(scope="module")
def dovecot(site: Site) -> Iterator[Dovecot]:
    with dovecot_for(site.directory / "dovecot", site.reader(), site.owner, auth_bind=True) as server:
        assert server.deliver(VICTIM, SECRET)[0] == 250
        yield server


@pytest.fixture
def eve(site: Site) -> Iterator[Any]:
    """The user's own connection to the directory; what it has written is taken back after the test."""
    dn = entry_dn(EVE)
    with site.slapd.connect(Login(dn, PASSWORD)) as client, site.changed(dn, **dict.fromkeys(ATTRIBUTES, "")):
        yield Own(client, dn)


ATTRIBUTES = ("mailboxFormat", "mailboxFolder", "senderRelayHost", "allowNets")


class Own:
    """A mail user who writes its own entry."""

    def __init__(self, client: Any, dn: str) -> None:
        self._client, self._dn = client, dn

    def write(self, **values: str) -> None:
        changes = {name: [("MODIFY_REPLACE", [value])] for name, value in values.items()}
        assert self._client.modify(self._dn, changes), self._client.result


def seen(dovecot: Dovecot, user: str) -> int:
    """Return how many messages a user finds in the inbox."""
    with dovecot.imap(user, PASSWORD) as client:
        status, (count, *_) = client.select("INBOX", readonly=True)
        assert status == "OK"
        return int(count or b"0")


def hostile(mail_root: Path) -> dict[str, dict[str, str]]:
    there = f"{mail_root}/other.example/victim-stamp/Maildir"
    return {
        "dots": {"mailboxFolder": "../../other.example/victim-stamp/Maildir"},
        "absolute": {"mailboxFolder": f"/../../../../../../..{there}"},
        "options": {"mailboxFolder": f"Maildir:INBOX={there}"},
        "variables": {"mailboxFolder": "%h/../../other.example/victim-stamp/Maildir"},
        "format": {"mailboxFormat": f"maildir:{there}:LAYOUT=fs"},
        "format and dots": {"mailboxFormat": "MAILDIR:" + there, "mailboxFolder": ".."},
        "unknown format": {"mailboxFormat": "imapc"},
        "line feed": {"mailboxFolder": f"Maildir\n..{there}"},
        "empty": {"mailboxFolder": "", "mailboxFormat": ""},
    }


@pytest.mark.parametrize("case", sorted(hostile(Path("/"))))
def test_a_mailbox_stays_within_its_home(site: Site, dovecot: Dovecot, eve: Own, case: str) -> None:
    assert seen(dovecot, VICTIM) == 1
    eve.write(**hostile(site.mail_root)[case])
    assert (dovecot.user(EVE) or {})["mail"] == "maildir:~/Maildir"
    assert seen(dovecot, EVE) == 0


def test_other_folders_and_formats_are_still_possible(dovecot: Dovecot, eve: Own) -> None:
    eve.write(mailboxFormat="sdbox", mailboxFolder="Boxes2")
    assert (dovecot.user(EVE) or {})["mail"] == "sdbox:~/Boxes2"


def test_a_user_names_no_relay(site: Site, eve: Own) -> None:
    maps = LdapMaps(site.directory / "postfix", site.reader())
    eve.write(senderRelayHost="[10.0.0.5]:6379")
    expected = {EVE: frozenset({"[all.relay.example]:587"})}
    assert maps.resolve("sender_dependent_relayhost_maps", [EVE]) == expected


def test_check_names_who_tries(site: Site, workdir: Path) -> None:
    store = open_store(store_url(site.slapd), retention=f"sqlite:///{workdir}/deleted.db")
    wanted = {
        "mailboxFolder": ("../../x", "unsafe-mailbox"),
        "mailboxFormat": ("maildir:/x", "unsafe-mailbox"),
        "senderRelayHost": ("smtp:[h]:25:x", "unreadable-value"),
        "allowNets": ("everywhere", "unreadable-value"),
    }
    with store:
        for attribute, (value, code) in wanted.items():
            with site.changed(entry_dn(EVE), **{attribute: value}):
                found = [finding for finding in store.check() if finding.code == code]
                assert [finding.subject for finding in found] == [EVE]
                assert attribute in found[0].message


def test_dovecot24_replaces_what_leaves_the_home(site: Site) -> None:
    """Dovecot 2.4 is not here: what its filter `regexp` replaces is tried with Python's, which reads it alike."""
    (file,) = dovecot_files(site.reader(), version="2.4", auth_bind=True)
    patterns = re.findall(r"regexp\('([^']*)', '(\w+)'\)", file.text)
    assert [default for _, default in patterns] == ["maildir", "Maildir"]
    for pattern, default in patterns:
        for value in ("../x", "..", "/x", "a:b", "%h", "a\n../b", "a\n\n../b", "a b", "\n"):
            assert re.sub(pattern, default, value) == default
        for value in ("Maildir", "mdbox", "Boxes2", ""):
            assert re.sub(pattern, default, value) == value
