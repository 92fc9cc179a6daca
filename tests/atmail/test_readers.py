"""Real readers: a Dovecot set up by `mailstore lookups dovecot` means by atmail's columns what the store means."""

from __future__ import annotations

import imaplib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore import NotSupported, Store
from mailstore.driver.lookups import LookupOptions, write
from mailstore.errors import ConfigurationError
from mailstore.passwords import hash_password
from mailstore.sql.atmail import lookup_files
from tests.servers.database import PASSWORDS
from tests.servers.dovecot import Dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

PASSWORD = "pass wörd"
SAMPLE = "{SSHA256}diItlPkdWkA18C2u6tAkeX58S1wkmp2zxvjDxgSk0k2+cZ06mCoHNA+j+LZiHAxz3qZ0goVeCkSvc6AMNxgryw=="
"""The hash of ``test`` that the vendor's documentation shows, as a server wrote it."""
MESSAGE = b"From: a@example.net\r\nTo: bob@example.com\r\nSubject: x\r\n\r\nhello\r\n"


@pytest.fixture
def dovecot(rig: AtmailRig, store: AtmailStore, workdir: Path) -> Iterator[Dovecot]:
    directory = workdir / "dovecot"
    uid, gid = rig.owner
    options = LookupOptions(
        user="vmail", password=PASSWORDS["vmail"], directory=str(directory / "conf"), uid=uid, gid=gid
    )
    files = lookup_files.dovecot(store, options)
    texts = {file.name: file.text for file in files}
    server = Dovecot(directory, include="!include mailstore.conf\n", files=texts, vmail_uid=uid, vmail_gid=gid)
    write(files, directory / "conf", force=True)
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password=PASSWORD, quota="1M")
    with server:
        yield server


def test_login_userdb_and_quota(dovecot: Dovecot, store: AtmailStore, rig: AtmailRig) -> None:
    home = store.accounts.get("bob@example.com").home
    assert dovecot.auth("bob@example.com", PASSWORD)
    assert not dovecot.auth("bob@example.com", "wrong")
    found = dovecot.user("bob@example.com")
    assert found is not None
    assert (found["home"], found["mail"], found["quota_rule"]) == (home, "maildir:~/Maildir", "*:storage=1M")
    assert (found["uid"], found["gid"]) == tuple(map(str, rig.owner))
    assert dovecot.user("nobody@example.com") is None
    assert dovecot.quota("bob@example.com")["STORAGE"] == (0, 1024)
    store.accounts.update("bob@example.com", quota="unlimited")
    assert dovecot.quota("bob@example.com")["STORAGE"][1] is None


HASHES = {
    "sample": SAMPLE,
    "short salt": hash_password("test", salt_bytes=4),
    "newer": hash_password("test", "SSHA512"),
}


@pytest.mark.parametrize("name", HASHES)
def test_hashes_of_the_product_and_of_its_successor(dovecot: Dovecot, store: AtmailStore, name: str) -> None:
    store.accounts.update("bob@example.com", password_hash=HASHES[name])
    assert store.accounts.verify_password("bob@example.com", "test")
    assert dovecot.auth("bob@example.com", "test")


def test_a_disabled_account_neither_logs_in_nor_receives(dovecot: Dovecot, store: AtmailStore) -> None:
    store.accounts.update("bob@example.com", enabled=False)
    assert not dovecot.auth("bob@example.com", PASSWORD)
    assert dovecot.user("bob@example.com") is None
    assert dovecot.deliver("bob@example.com", MESSAGE)[0] == 550
    store.accounts.update("bob@example.com", enabled=True)
    assert dovecot.auth("bob@example.com", PASSWORD)


def test_mail_arrives_in_the_home_and_is_counted(dovecot: Dovecot, store: AtmailStore) -> None:
    assert dovecot.deliver("bob@example.com", MESSAGE)[0] == 250
    with dovecot.imap("bob@example.com", PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]
    found = store.accounts.view("bob@example.com")
    assert found.usage is not None
    assert found.usage.messages == 1
    assert found.usage.bytes >= len(MESSAGE)
    too_big = b"Subject: x\r\n\r\n" + b"x" * (2 << 20) + b"\r\n"
    assert dovecot.deliver("bob@example.com", too_big)[0] == 552


def test_a_re_created_account_does_not_see_old_mail(dovecot: Dovecot, store: AtmailStore) -> None:
    dovecot.deliver("bob@example.com", MESSAGE)
    record = store.accounts.delete("bob@example.com", keep_mailbox_days=1)
    assert record is not None
    assert not dovecot.auth("bob@example.com", PASSWORD)
    store.accounts.create("bob@example.com", password="other")
    with dovecot.imap("bob@example.com", "other") as client:
        assert client.select("INBOX")[1] == [b"0"]
    store.accounts.delete("bob@example.com", keep_mailbox_days=1)
    store.deleted.restore(record.id)
    with dovecot.imap("bob@example.com", PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]
    with pytest.raises(imaplib.IMAP4.error), dovecot.imap("bob@example.com", "other"):
        pass


def test_what_there_are_no_files_for(store: AtmailStore) -> None:
    with pytest.raises(NotSupported, match="Exim"):
        lookup_files.postfix(store, LookupOptions())
    with pytest.raises(NotSupported):
        lookup_files.dovecot(store, LookupOptions(version="2.4"))
    with pytest.raises(ConfigurationError):
        lookup_files.dovecot(store, LookupOptions(uid="a b"))


def test_files_name_tables_as_the_server_does(rig: AtmailRig) -> None:
    rig.execute("CREATE VIEW people AS SELECT *, userStatus AS state FROM accounts")
    names = {"tables": {"accounts": "people"}, "columns": {"accounts.userStatus": "state"}, "fill": {}}
    try:
        with rig.open(atmail=names) as store:
            assert isinstance(store, Store)
            text = lookup_files.dovecot(store, LookupOptions())[1].text
        assert "FROM `people` WHERE `username` = '%u' AND `state` = 0" in text
    finally:
        rig.execute("DROP VIEW people")
