"""The calls of the box's users API, one by one: rows, results and refusals, as its page and its code have them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import (
    AlreadyExists,
    InvalidAddress,
    InvalidPassword,
    InvalidQuota,
    MailstoreError,
    NotFound,
    NotSupported,
)
from mailstore.passwords import hash_password, verify_password
from tests.mailinabox.rig import BoxRig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.sql.mailinabox.store import MailInABoxStore

NEW, OTHER = "new_user@example.com", "other@example.com"
PASSWORD = "s3curE_pa5Sw0rD"
READY = hash_password("x")


@pytest.fixture
def store(box: BoxRig) -> Iterator[MailInABoxStore]:
    """The store as it is opened by default: with the panel's rule about passwords."""
    with closing(box.open(min_password_length=8)) as opened:
        yield opened
        assert [finding for finding in opened.check() if finding.severity == "error"] == []


@pytest.fixture
def users(store: MailInABoxStore) -> None:
    store.accounts.create(NEW, password=PASSWORD, quota="10G")
    store.accounts.create(OTHER, password=PASSWORD)


def refused(call: Any, error: type[MailstoreError], box: BoxRig) -> None:
    before = box.everything()
    with pytest.raises(error):
        call()
    assert box.everything() == before


@pytest.mark.usefixtures("users")
def test_e01_list_users(store: MailInABoxStore, box: BoxRig) -> None:
    store.admins.promote(NEW, global_admin=True)
    home = Path(str(store.accounts.get(NEW).home))
    (home / "maildirsize").write_text(f"{10 << 30}S\n0 0\n3000 2\n-1000 -1\n")
    store.accounts.create("gone@example.com", password=PASSWORD)
    store.accounts.delete("gone@example.com")
    new, other = store.accounts.list()
    assert [row["email"] for row in box.rows("users")] == [new.address, other.address] == [NEW, OTHER]
    assert (new.admin, other.admin) == (True, False)
    assert (str(new.quota), new.quota.bytes, str(other.quota)) == ("10G", 10 << 30, "unlimited")
    assert new.usage is not None
    assert (new.usage.bytes, new.usage.messages) == (2000, 1)
    assert other.usage is None  # the API says "?"
    (archived,) = store.deleted.archived()
    assert (archived.address, archived.home) == ("gone@example.com", f"{box.root}/example.com/gone")


def test_e02_add_user(store: MailInABoxStore, box: BoxRig) -> None:
    made = store.accounts.create(NEW, password=PASSWORD)
    (row,) = box.rows("users")
    assert (row["email"], row["privileges"], row["quota"]) == (NEW, "", "0")
    assert verify_password(PASSWORD, row["password"])
    assert made == store.accounts.get(NEW)
    with store.transaction():  # what `privileges=admin` and `quota` ask for
        store.accounts.create(OTHER, password=PASSWORD, quota="500M")
        store.admins.promote(OTHER, global_admin=True)
    row = box.rows("users", email=OTHER)[0]
    assert (row["privileges"], row["quota"]) == ("admin", "500M")
    assert {row["source"] for row in box.rows("auto_aliases")} >= {"postmaster@example.com", "abuse@example.com"}
    assert [notice.code for notice in store.take_notices()] == ["domains-changed"]
    refused(lambda: store.accounts.create("", password=PASSWORD), InvalidAddress, box)
    refused(lambda: store.accounts.create("no at", password=PASSWORD), InvalidAddress, box)
    refused(lambda: store.accounts.create("a+b@example.com", password=PASSWORD), InvalidAddress, box)
    refused(lambda: store.accounts.create("postmaster@example.com", password=PASSWORD), InvalidAddress, box)
    refused(lambda: store.accounts.create("a@example.com", password=""), InvalidPassword, box)
    refused(lambda: store.accounts.create("a@example.com", password="   "), InvalidPassword, box)
    refused(lambda: store.accounts.create("a@example.com", password="1234567"), InvalidPassword, box)
    for quota in ("", "1,5G", "1.5G", "10X", "-1M"):
        refused(
            lambda quota=quota: store.accounts.create("a@example.com", password=PASSWORD, quota=quota),
            InvalidQuota,
            box,
        )
    refused(lambda: store.accounts.create(NEW, password=PASSWORD), AlreadyExists, box)


@pytest.mark.usefixtures("users")
def test_e02_add_user_to_restore_an_archived_mailbox(store: MailInABoxStore, box: BoxRig) -> None:
    message = Path(str(store.accounts.get(NEW).home), "new/1.test")
    message.write_text("kept")
    store.admins.promote(NEW, global_admin=True)
    number = box.rows("users", email=NEW)[0]["id"]
    box.insert("mfa", user_id=number, type="totp", secret="x" * 32)
    store.accounts.delete(NEW)
    made = store.accounts.create(NEW, password="another password")
    assert message.read_text() == "kept"
    assert made.home == str(message.parent.parent)
    # Password, privileges and quota are those of the request, and the old second factor does not come back.
    assert (made.admin, made.quota.unlimited) == (False, True)
    assert box.rows("mfa") == []
    assert box.rows("users", email=NEW)[0]["id"] > number
    assert store.deleted.count() == 0


@pytest.mark.usefixtures("users")
def test_e03_remove_user(store: MailInABoxStore, box: BoxRig) -> None:
    home = Path(str(store.accounts.get(NEW).home))
    record = store.accounts.delete(NEW)
    assert record is not None
    assert (record.address, record.home) == (NEW, str(home))
    assert [row["email"] for row in box.rows("users")] == [OTHER]
    assert home.is_dir()
    refused(lambda: store.accounts.delete(NEW), NotFound, box)
    store.take_notices()
    store.accounts.delete(OTHER)
    assert [row["source"] for row in box.rows("auto_aliases")] == ["hostmaster@box.example.net"]
    assert [notice.code for notice in store.take_notices()] == ["domains-changed"]


@pytest.mark.usefixtures("users")
def test_e04_add_privilege(store: MailInABoxStore, box: BoxRig) -> None:
    assert store.admins.promote(NEW, global_admin=True).global_admin
    assert [row["privileges"] for row in box.rows("users")] == ["admin", ""]
    store.admins.promote(NEW, global_admin=True)  # once more changes nothing, as there
    assert [row["privileges"] for row in box.rows("users")] == ["admin", ""]
    assert store.admins.login(NEW, PASSWORD) is not None
    refused(lambda: store.admins.promote("nobody@example.com", global_admin=True), NotFound, box)
    refused(lambda: store.admins.promote(OTHER), NotSupported, box)


@pytest.mark.usefixtures("users")
def test_e05_remove_privilege(store: MailInABoxStore, box: BoxRig) -> None:
    box.execute("UPDATE users SET privileges = 'mail' || char(10) || 'admin' WHERE email = ?", NEW)
    store.admins.demote(NEW)
    assert [row["privileges"] for row in box.rows("users")] == ["mail", ""]
    assert store.admins.login(NEW, PASSWORD) is None
    # The API answers OK where there is nothing to remove; the contract of admins says that there is no such admin.
    refused(lambda: store.admins.demote(OTHER), NotFound, box)
    refused(lambda: store.admins.demote("nobody@example.com"), NotFound, box)


@pytest.mark.usefixtures("users")
def test_e06_get_quota(store: MailInABoxStore, box: BoxRig) -> None:
    assert str(store.accounts.get(NEW).quota) == "10G"
    assert store.accounts.get(OTHER).quota.unlimited
    box.execute("UPDATE users SET quota = '01G' WHERE email = ?", NEW)
    assert store.accounts.get(NEW).quota.bytes == 1 << 30
    refused(lambda: store.accounts.get("nobody@example.com"), NotFound, box)


@pytest.mark.usefixtures("users")
def test_e07_set_quota(store: MailInABoxStore, box: BoxRig) -> None:
    before = box.rows("users", email=NEW)[0]
    for quota, text in (("500M", "500M"), ("2G", "2G"), ("unlimited", "0")):
        store.accounts.update(NEW, quota=quota)
        assert box.rows("users", email=NEW) == [{**before, "quota": text}]
    assert box.rows("users", email=OTHER)[0]["quota"] == "0"
    for quota in ("", "1,000M", "1.5G", "10X", "-1"):
        refused(lambda quota=quota: store.accounts.update(NEW, quota=quota), InvalidQuota, box)
    refused(lambda: store.accounts.update("nobody@example.com", quota="1G"), NotFound, box)
    refused(lambda: store.accounts.update("nobody@example.com", quota="1.5G"), InvalidQuota, box)
