"""Dovecot reads the accounts of the mail server: logins, homes, quota, delivery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from mailstore import NotSupported
from mailstore.driver.lookups import LookupOptions, write
from mailstore.sql.afterlogic import lookup_files
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only
from tests.servers.database import PASSWORDS
from tests.servers.dovecot import Dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig
    from tests.servers.mariadb import MariaDB

pytestmark = only("mysql")

BOB = "bob@example.com"
PASSWORD = "pass wörd {PLAIN}"


@pytest.fixture
def dovecot(rig: Rig, store: AfterLogicStore, mariadb: MariaDB, workdir: Path) -> Iterator[Dovecot]:
    database = make_url(rig.native).database
    for host in ("localhost", "127.0.0.1"):
        mariadb.execute(f"GRANT SELECT, EXECUTE ON `{database}`.* TO 'vmail'@'{host}'")
    uid, gid = rig.owner
    confdir = workdir / "conf"
    options = LookupOptions("vmail", PASSWORDS["vmail"], directory=str(confdir), uid=uid, gid=gid)
    files = lookup_files.dovecot(store, options)
    texts = {file.name: file.text for file in files}
    server = Dovecot(workdir, include="!include mailstore.conf\n", files=texts, vmail_uid=uid, vmail_gid=gid)
    write(files, confdir, force=True)
    with server:
        yield server


@pytest.fixture(autouse=True)
def accounts(store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    store.domains.create("elsewhere.com", settings=DomainSettings(internal=False))
    store.accounts.create(BOB, password=PASSWORD, quota="2M")
    store.accounts.create("ann@example.com", password="x")
    store.accounts.create("off@example.com", password=PASSWORD, enabled=False)
    store.accounts.create("eve@elsewhere.com", password=PASSWORD)
    store.accounts.create("bob@gmail.com", password="other", settings=AccountSettings(parent=BOB))


def test_logins(store: AfterLogicStore, dovecot: Dovecot) -> None:
    assert dovecot.auth(BOB, PASSWORD)
    assert dovecot.auth("BOB@Example.com", PASSWORD)
    assert dovecot.auth("ann@example.com", "x")  # one byte
    for name, password in (
        (BOB, "wrong"), ("off@example.com", PASSWORD), ("eve@elsewhere.com", PASSWORD), ("bob@gmail.com", "other"),
        ("nobody@example.com", PASSWORD), (BOB, ""),
    ):  # fmt: skip
        assert not dovecot.auth(name, password), name
    store.accounts.update(BOB, password="changed")
    store.accounts.update("off@example.com", enabled=True)
    assert dovecot.auth(BOB, "changed")
    assert not dovecot.auth(BOB, PASSWORD)
    assert dovecot.auth("off@example.com", PASSWORD)


def test_home_is_the_one_that_the_store_makes_and_gets_the_mail(store: AfterLogicStore, dovecot: Dovecot) -> None:
    home = store.accounts.get(BOB).home
    found = dovecot.user(BOB)
    assert home is not None
    assert found is not None
    assert found["home"] == home
    assert dovecot.deliver(BOB, b"Subject: hello\r\n\r\nhello\r\n")[0] == 250
    (message,) = Path(home, "new").iterdir()
    assert b"hello" in message.read_bytes()
    with dovecot.imap(BOB, PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]


def test_quota(store: AfterLogicStore, dovecot: Dovecot) -> None:
    assert dovecot.quota(BOB)["STORAGE"][1] == 2048
    assert dovecot.quota("ann@example.com")["STORAGE"][1] is None
    message = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 1
    assert dovecot.deliver(BOB, message)[0] == 250
    store.accounts.update(BOB, quota="1K")
    assert dovecot.deliver(BOB, b"Subject: big\r\n\r\n" + b"x" * 4000)[0] == 552
    assert dovecot.quota(BOB)["STORAGE"][1] == 1


def test_a_deleted_account_is_unknown_and_a_restored_one_logs_in(store: AfterLogicStore, dovecot: Dovecot) -> None:
    assert dovecot.deliver(BOB, b"Subject: hello\r\n\r\nhello\r\n")[0] == 250
    record = store.accounts.delete(BOB)
    assert record is not None
    assert dovecot.user(BOB) is None
    store.deleted.restore(record.id)
    assert dovecot.auth(BOB, PASSWORD)
    with dovecot.imap(BOB, PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]


def test_all_mailboxes_are_listed(dovecot: Dovecot) -> None:
    assert sorted(dovecot.doveadm("user", "*").stdout.split()) == ["ann@example.com", BOB]


def test_what_there_are_no_files_for(store: AfterLogicStore) -> None:
    with pytest.raises(NotSupported, match="Exim"):
        lookup_files.postfix(store, LookupOptions())
    with pytest.raises(NotSupported, match=r"2\.4"):
        lookup_files.dovecot(store, LookupOptions(version="2.4"))
