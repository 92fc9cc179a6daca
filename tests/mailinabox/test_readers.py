"""Real mail servers, set up by `mailstore lookups`, read what mailstore writes into a box's file of users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailstore import NotSupported
from mailstore.driver.lookups import LookupOptions
from mailstore.passwords import WRITABLE_SCHEMES, hash_password
from mailstore.sql.mailinabox import lookup_files
from tests.mailinabox.rig import HOSTNAME, STAGES, BoxRig
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import PostfixLookup
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.mailinabox.store import MailInABoxStore

BOB, EVE = "bob@example.com", "eve@example.com"
PASSWORD = "pass wörd"
MAIL = b"From: sender@example.net\r\nSubject: test\r\n\r\n"


class Postfix:
    """Postfix's maps as the lookup files of a store make them."""

    def __init__(self, directory: Path, store: MailInABoxStore) -> None:
        files = lookup_files.postfix(store, LookupOptions())
        self._texts = {file.name.removesuffix(".cf"): file.text for file in files}
        self._postmap = PostfixLookup(directory)

    def ask(self, name: str, key: str) -> str | None:
        return self._postmap.query("sqlite", self._texts[name], key)

    def resolve(self, address: str) -> str | None:
        """Ask for an address and then for its domain, as Postfix does for aliases and senders."""
        return self.ask("virtual-alias-maps", address) or self.ask(
            "virtual-alias-maps", f"@{address.partition('@')[2]}"
        )


@pytest.fixture
def postfix(workdir: Path, store: MailInABoxStore) -> Postfix:
    store.accounts.create(BOB, password=PASSWORD)
    store.accounts.create(EVE, password=PASSWORD)
    return Postfix(workdir, store)


class TestPostfix:
    def test_domains_and_mailboxes(self, store: MailInABoxStore, postfix: Postfix) -> None:
        store.aliases.create("sales@other.com", members=[BOB])
        for domain in ("example.com", "other.com", HOSTNAME):
            assert postfix.ask("virtual-mailbox-domains", domain) is not None
        for domain in ("nowhere.com", "ample.com"):
            assert postfix.ask("virtual-mailbox-domains", domain) is None
        assert postfix.ask("virtual-mailbox-maps", BOB) == "1"
        assert postfix.ask("virtual-mailbox-maps", "BOB@Example.com") == "1"
        assert postfix.ask("virtual-mailbox-maps", "sales@other.com") is None
        store.aliases.delete("sales@other.com")
        assert postfix.ask("virtual-mailbox-domains", "other.com") is None

    def test_aliases_before_users_before_automatic_ones(self, store: MailInABoxStore, postfix: Postfix) -> None:
        store.aliases.create("sales@example.com", members=[BOB, "x@other.org"])
        store.aliases.create("only@example.com", permitted_senders=[BOB])
        assert postfix.resolve("sales@example.com") == f"{BOB},x@other.org"
        assert postfix.resolve("postmaster@example.com") == f"administrator@{HOSTNAME}"
        assert postfix.resolve(BOB) == BOB
        assert postfix.resolve("only@example.com") is None
        assert postfix.resolve("nobody@example.com") is None

    def test_catch_all_leaves_users_alone(self, store: MailInABoxStore, postfix: Postfix) -> None:
        store.aliases.create("@example.com", members=[EVE])
        assert postfix.resolve("nobody@example.com") == EVE
        assert postfix.resolve(BOB) == BOB

    def test_alias_domain(self, store: MailInABoxStore, postfix: Postfix) -> None:
        store.domains.add_alias_domains("example.com", ["alias.com"])
        assert postfix.ask("virtual-mailbox-domains", "alias.com") is not None
        assert postfix.resolve("bob@alias.com") == "@example.com"

    def test_deleted_and_restored_user(self, store: MailInABoxStore, postfix: Postfix) -> None:
        store.aliases.create("sales@example.com", members=[BOB])
        record = store.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        assert postfix.ask("virtual-mailbox-maps", BOB) is None
        assert postfix.resolve("sales@example.com") == BOB  # who is nobody: the mail bounces
        store.deleted.restore(record.id)
        assert postfix.resolve("sales@example.com") == BOB

    def test_who_may_send(self, store: MailInABoxStore, postfix: Postfix) -> None:
        store.aliases.create("sales@example.com", members=[BOB, EVE])
        store.aliases.create("boss@example.com", members=[BOB], permitted_senders=[EVE])
        for sender, logins in ((BOB, BOB), ("sales@example.com", f"{BOB},{EVE}"), ("boss@example.com", EVE)):
            assert postfix.ask("sender-login-maps", sender) == logins
        assert postfix.ask("sender-login-maps", "abuse@example.com") is None
        store.accounts.delete(EVE)
        # Whoever may not send any more is not replaced by the members.
        assert postfix.ask("sender-login-maps", "boss@example.com") == EVE


@pytest.fixture
def dovecot(workdir: Path, store: MailInABoxStore, vmail_owner: tuple[int, int]) -> Iterator[Dovecot]:
    uid, gid = vmail_owner
    directory = workdir / "dovecot"
    options = LookupOptions(directory=str(directory / "conf"), uid=uid, gid=gid)
    files = {file.name: file.text for file in lookup_files.dovecot(store, options)}
    with Dovecot(directory, include="!include mailstore.conf\n", files=files, vmail_uid=uid, vmail_gid=gid) as server:
        yield server


class TestDovecot:
    def test_delivery_quota_and_usage(self, store: MailInABoxStore, dovecot: Dovecot) -> None:
        made = store.accounts.create(BOB, password=PASSWORD, quota="1M")
        user = dovecot.user(BOB)
        assert user is not None
        assert (user["home"], user["quota_rule"]) == (made.home, "*:bytes=1M")
        assert dovecot.deliver(BOB, MAIL + b"hello\r\n")[0] == 250
        assert dovecot.deliver("nobody@example.com", MAIL)[0] == 550
        code, reply = dovecot.deliver(BOB, MAIL + b"x" * 70 * 30_000 + b"\r\n")
        assert (code, "Quota exceeded" in reply) == (552, True)
        with dovecot.imap(BOB, PASSWORD) as client:
            assert client.select("INBOX")[1] == [b"1"]
        used = store.accounts.get(BOB).usage
        assert used is not None
        assert used.messages == 1
        assert 0 < used.bytes < 1000
        # A larger quota holds at once.
        store.accounts.update(BOB, quota="10M")
        assert dovecot.deliver(BOB, MAIL + b"x" * 70 * 30_000 + b"\r\n")[0] == 250
        assert dovecot.quota(BOB)["STORAGE"][1] == 10 * 1024
        used = store.accounts.get(BOB).usage
        assert used is not None
        assert used.messages == 2

    @pytest.mark.parametrize("scheme", WRITABLE_SCHEMES)
    def test_logins(self, store: MailInABoxStore, dovecot: Dovecot, scheme: str) -> None:
        store.accounts.create(BOB, password_hash=hash_password(PASSWORD, scheme))
        assert dovecot.auth(BOB, PASSWORD)
        store.accounts.update(BOB, password="other")
        assert not dovecot.auth(BOB, PASSWORD)

    def test_mail_comes_back_with_the_account(self, store: MailInABoxStore, dovecot: Dovecot) -> None:
        store.accounts.create(BOB, password=PASSWORD)
        assert dovecot.deliver(BOB, MAIL + b"hello\r\n")[0] == 250
        record = store.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        assert dovecot.user(BOB) is None
        assert record.usage.messages == 1
        store.deleted.restore(record.id)
        with dovecot.imap(BOB, PASSWORD) as client:
            assert client.select("INBOX")[1] == [b"1"]

    def test_a_mailbox_that_dovecot_made_is_taken_over(self, store: MailInABoxStore, dovecot: Dovecot) -> None:
        """`doveadm quota recalc`, which the panel runs for a new user, leaves a mailbox without folders."""
        store.accounts.create(EVE, password=PASSWORD)
        home = Path(str(store.accounts.create(BOB, password=PASSWORD).home))
        for part in ("cur", "new", "tmp"):
            (home / part).rmdir()
        assert dovecot.doveadm("quota", "recalc", "-u", BOB).returncode == 0
        assert (home / "maildirsize").exists()
        store.accounts.delete(BOB)
        store.accounts.create(BOB, password=PASSWORD)
        assert dovecot.deliver(BOB, MAIL + b"hello\r\n")[0] == 250


def test_lookups_of_every_stage_are_understood(new_box: Callable[..., BoxRig], workdir: Path) -> None:
    for stage in STAGES:
        with new_box(stage).open() as store:
            store.accounts.create(BOB, password=PASSWORD)
            store.aliases.create("sales@example.com", members=[BOB])
            maps = Postfix(workdir / f"postfix{stage}", store)
            assert maps.ask("virtual-mailbox-domains", "example.com") is not None
            assert maps.resolve("sales@example.com") == BOB
            assert maps.resolve("abuse@example.com") == f"administrator@{HOSTNAME}"
            assert maps.ask("sender-login-maps", "sales@example.com") == BOB
            text = {file.name: file.text for file in lookup_files.dovecot(store, LookupOptions())}
            assert ("quota_rule" in text["dovecot-sql.conf.ext"]) == (stage == STAGES[-1])


def test_dovecot_without_quota(new_box: Callable[..., BoxRig], workdir: Path, vmail_owner: tuple[int, int]) -> None:
    uid, gid = vmail_owner
    with new_box(14).open() as store:
        store.accounts.create(BOB, password=PASSWORD)
        directory = workdir / "dovecot"
        options = LookupOptions(directory=str(directory / "conf"), uid=uid, gid=gid)
        files = {file.name: file.text for file in lookup_files.dovecot(store, options)}
        include = "!include mailstore.conf\n"
        with Dovecot(directory, include=include, files=files, vmail_uid=uid, vmail_gid=gid) as server:
            assert server.deliver(BOB, MAIL + b"hello\r\n")[0] == 250
        with pytest.raises(NotSupported):
            lookup_files.dovecot(store, LookupOptions(version="2.4"))


def test_on_the_command_line(box: BoxRig, workdir: Path) -> None:
    url = f"{box.url}?primary_hostname={HOSTNAME}"
    shown = run("--url", url, "lookups", "dovecot")
    assert shown.exit_code == 0, shown.stderr
    assert "'mail' AS uid, 'mail' AS gid" in shown.stdout
    done = run("--url", url, "lookups", "postfix", "--directory", str(workdir / "postfix"))
    assert done.exit_code == 0, done.stderr
    names = sorted(path.name for path in (workdir / "postfix").iterdir())
    assert names == [
        "main.cf.snippet", "sender-login-maps.cf", "virtual-alias-maps.cf", "virtual-mailbox-domains.cf",
        "virtual-mailbox-maps.cf",
    ]  # fmt: skip
