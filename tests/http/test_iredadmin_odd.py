"""Odd requests to iRedAdmin-Pro's API: no fault of ours, no answer outside of the envelope, and nothing half done."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.http.conftest import PANEL, PASSWORD, READY, ROOT
from tests.http.inprocess import running
from tests.http.rig import toml

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore import Store
    from tests.rigs import Rig

ROUNDS = int(os.environ.get("MAILSTORE_FUZZ", "600"))
HERE, BOB = "example.com", "bob@example.com"
WORDS = [
    "domain", "domains", "user", "users", "alias", "aliases", "admin", "admins", "throttle", "global", "wblist", "inbound",
    "whitelist", "spampolicy", "greylisting", "whitelists", "all", "ldif", "ml", "mls", "maillist", "verify_password",
    "change_email", "keep_mailbox_days", "0", "30", "login",
]  # fmt: skip
NAMES = [
    HERE,
    BOB,
    f"new@{HERE}",
    "%00",
    "%FF",
    "..",
    "@",
    "a@b",
    "x" * 300,
    "%F0%9F%90%8C@example.com",
    "*",
    "other.example",
]
VALUES = [
    "", "0", "-1", "9" * 30, "yes", "no", "\x00", "a@b,,c", "ß@ü.de", "%", "'; --", "{}", "\u202e", "1e9", "x" * 5000, BOB,
    "a@example.org,b@example.org", "active", "enable", "en_US", "smtp:[192.0.2.1]:25", "\U0001f40c", "٣",
]  # fmt: skip
FIELDS = [
    "name", "quota", "password", "password_hash", "accountStatus", "forwarding", "addForwarding", "aliases", "addAlias",
    "members", "addMember", "transport", "language", "catchall", "maxQuota", "quotaUnit", "isGlobalAdmin", "services",
    "primarymx", "is_backupmx", "maildir", "period", "status", "senders", "addresses", "aliasDomains", "addAliasDomain",
    "addAdmin", "removeAllAdmins", "numberOfUsers", "username", "owner", "accessPolicy", "senderBcc", "mobile",
]  # fmt: skip
CALLS = [
    "domain/{d}", "user/{m}", "alias/{m}", "admin/{m}", "users/{d}", "domain/admins/{d}", "user/{m}/change_email/{m}",
    "user/{m}/keep_mailbox_days/3", "verify_password/user/{m}", "spampolicy/user/{m}", "throttle/{d}/inbound",
]  # fmt: skip


def test_odd_requests_are_never_our_fault(sqlite_rig: Rig, accounts: Store, workdir: Path) -> None:
    accounts.domains.create(HERE)
    accounts.accounts.create(BOB, password_hash=READY)
    accounts.aliases.create(f"info@{HERE}", members=[BOB])
    chance = random.Random(12)  # noqa: S311 to be the same in each run
    with running(workdir, toml(f'url = "{sqlite_rig.url}"', workdir / "state", PANEL)) as inside:
        panel = inside.caller("/api")
        login = panel.send("POST", "/login", urlencode({"username": ROOT, "password": PASSWORD}).encode())
        panel.headers["Cookie"] = login.headers["set-cookie"].partition(";")[0]
        for number in range(ROUNDS):
            if chance.random() < 0.6:
                path = chance.choice(CALLS).replace("{d}", chance.choice(NAMES)).replace("{m}", chance.choice(NAMES))
            else:
                path = "/".join(chance.choice([*WORDS, *NAMES]) for _ in range(chance.randint(1, 4)))
            form = [(chance.choice(FIELDS), chance.choice(VALUES)) for _ in range(chance.randint(0, 4))]
            raw = "&".join(f"{name}={value}" for name, value in form).encode("utf-8", "replace")
            body = chance.choice([urlencode(form).encode(), raw, bytes(chance.randrange(256) for _ in range(40)), b""])
            kind = chance.choice(
                ["", "application/json", "multipart/form-data; boundary=x", "multipart/form-data", "x"]
            )
            method = chance.choice(["GET", "POST", "PUT", "DELETE", "POST", "PUT", "HEAD", "OPTIONS", "FOO"])
            before = sqlite_rig.everything() if number % 10 == 0 else None
            reply = panel.send(method, f"/{path}", body, {"Content-Type": kind} if kind else {})
            assert reply.status in {200, 400, 404, 405}, (method, path, body, reply)
            if before and method != "HEAD" and not reply.json["_success"]:
                assert sqlite_rig.everything() == before, (method, path, body)
    assert [finding for finding in accounts.check() if finding.severity == "error"] == []
