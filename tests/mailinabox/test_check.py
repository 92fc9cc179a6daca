# ruff: noqa: E501
"""What `check` says about boxes that others have written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore.passwords import hash_password
from tests.mailinabox.rig import HOSTNAME, BoxRig

if TYPE_CHECKING:
    from collections.abc import Callable

BOB = "bob@example.com"
READY = hash_password("secret")

CASES = {
    "two-ats": ("INSERT INTO users (email, password) VALUES ('a@b@example.com', 'x')", "bad-address", "error"),
    "no-at": ("INSERT INTO aliases (source, destination) VALUES ('sales', 'x@y.org')", "bad-address", "error"),
    "upper-case": ("INSERT INTO users (email, password) VALUES ('Eve@example.com', 'x')", "address-unreachable", "error"),
    "unicode": ("INSERT INTO aliases (source, destination) VALUES ('a@bücher.de', 'x@y.org')", "address-unreachable", "error"),
    "quota": ("UPDATE users SET quota = '1.5G'", "bad-quota", "error"),
    "bytes": ("UPDATE users SET quota = '500'", "quota-in-bytes", "notice"),
    "over-account": ("INSERT INTO aliases (source, destination) VALUES ('bob@example.com', 'x@y.org')", "alias-over-account", "notice"),
    "empty": ("INSERT INTO aliases (source, destination) VALUES ('a@example.com', '')", "alias-empty", "notice"),
    "nowhere": ("INSERT INTO aliases (source, destination) VALUES ('a@example.com', 'gone@example.com')", "alias-to-nowhere", "notice"),
    "sender": ("INSERT INTO aliases (source, destination, permitted_senders) VALUES ('a@example.com', '', 'gone@x.org')", "sender-unknown", "notice"),
    "mfa": ("INSERT INTO mfa (user_id, type, secret) VALUES (4711, 'totp', 'x')", "mfa-orphan", "notice"),
    "automatic": ("DELETE FROM auto_aliases", "automatic-aliases", "notice"),
    "journal": ("PRAGMA journal_mode = WAL", "journal-mode", "error"),
    "administrator": ("SELECT 1", "administrator-missing", "notice"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_finding(new_box: Callable[..., BoxRig], case: str) -> None:
    statement, code, severity = CASES[case]
    box = new_box(own_table=True)
    with box.open() as store:
        store.accounts.create(BOB, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        before = {finding.code for finding in store.check()}
        assert before == {"administrator-missing"}
        box.execute(statement)
        found = {finding.code: finding for finding in store.check()}
    assert found[code].severity == severity
    assert READY not in str(found)


def test_nothing_to_say(new_box: Callable[..., BoxRig]) -> None:
    with new_box(own_table=True).open() as store:
        store.accounts.create(BOB, password_hash=READY)
        store.admins.promote(BOB, global_admin=True)
        store.aliases.create(f"administrator@{HOSTNAME}", members=[BOB])
        store.aliases.create("sales@example.com", members=["bob+sales@example.com", "abuse@example.com"])
        store.domains.add_alias_domains("example.com", ["alias.com"])
        assert list(store.check()) == []


def test_archived_mailboxes_without_a_record(new_box: Callable[..., BoxRig]) -> None:
    with new_box(own_table=True).open() as store:
        store.accounts.create(BOB, password_hash=READY)
        store.accounts.create("eve@example.com", password_hash=READY)
        store.accounts.delete(BOB)
        assert "home-unclaimed" not in {finding.code for finding in store.check()}
    with new_box().open() as store:
        store.accounts.create(BOB, password_hash=READY)
        store.accounts.create("eve@example.com", password_hash=READY)
        store.accounts.delete(BOB)
        unclaimed = [finding for finding in store.check() if finding.code == "home-unclaimed"]
        assert [finding.subject.rpartition("/")[2] for finding in unclaimed] == ["bob"]
