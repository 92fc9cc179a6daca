"""What the library writes, real Dovecot and Postfix read: the configuration is what `mailstore lookups` generates.

Nothing here inserts a row by hand; where rows are looked at, it is to see what other tools would find in them.
"""

from __future__ import annotations

import os
import poplib
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from mailstore import DeletedMailbox, Edit, Store, purge_due
from mailstore.passwords import WRITABLE_SCHEMES
from tests.readers import PASSWORD, SCHEMES, PostfixMaps, dovecot_for, hashed, postfix_for
from tests.rigs import Rig
from tests.scenario import BOB, CATCH_ALL, GONE, KEYS, RESOLVED, UNANSWERED, answers, build, create
from tests.servers.dovecot import Dovecot
from tests.servers.process import LOOPBACK, make_directory, wait_for

UNICODE_PASSWORD = "pässwörd 密码 €"
TODAY = datetime.now(UTC).date()


# --- Servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dovecot(shared_rig: Rig, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Dovecot]:
    """A running Dovecot for each engine."""
    directory = scratch_root / f"end-{shared_rig.name}"
    schema = shared_rig.shared.schema_report()
    with dovecot_for(directory, make_url(shared_rig.native), schema, vmail_owner) as server:
        yield server


@pytest.fixture(scope="module")
def maps(shared_rig: Rig, scratch_root: Path) -> PostfixMaps:
    """Postfix's maps for each engine."""
    directory = make_directory(scratch_root / f"end-{shared_rig.name}")
    return postfix_for(directory / "postfix", make_url(shared_rig.native))


@dataclass(frozen=True)
class Mail:
    """Mail as its senders and readers see it: routed by Postfix's maps, delivered and read by Dovecot."""

    rig: Rig
    dovecot: Dovecot
    maps: PostfixMaps

    def route(self, address: str) -> set[str]:
        """Return where mail to `address` ends up: Postfix expands addresses until nothing changes any more."""
        final: set[str] = set()
        seen, found = {address}, {address}
        while found:
            answers = self.maps.resolve("virtual_alias_maps", sorted(found))
            final |= {name for name in found if answers.get(name, {name}) == {name}}
            final |= {name for name in found if name in answers.get(name, ())}
            found = set().union(*answers.values()) - seen if answers else set()
            seen |= found
        return final

    def deliver(self, address: str, subject: str, *, size: int = 0) -> int:
        """Deliver by LMTP, wait until Dovecot has noted it, and return the reply code."""
        before = self._messages(address)
        self._forget_logins(address)
        code, reply = self.dovecot.deliver(address, message(subject, size))
        if code == 250:
            assert wait_for(lambda: self._messages(address) == before + 1, timeout=5)
            assert wait_for(lambda: self._noted(address, "lda"), timeout=5)
        elif code == 552:
            assert "Quota exceeded" in reply
            assert wait_for(lambda: self._noted(address, "lda"), timeout=5)
        return code

    def subjects(self, address: str, password: str = PASSWORD) -> list[str]:
        """Log in by IMAP and return the subjects in the inbox."""
        self._forget_logins(address)
        with self.dovecot.imap(address, password) as client:
            client.select(readonly=True)
            _, numbers = client.search(None, "ALL")
            found = [client.fetch(number, "(BODY[HEADER.FIELDS (SUBJECT)])")[1] for number in numbers[0].split()]
        assert wait_for(lambda: self._noted(address, "imap"), timeout=5)
        texts = (part[1].decode() for parts in found for part in parts if isinstance(part, tuple))
        return sorted(text.partition(":")[2].strip() for text in texts)

    def _messages(self, address: str) -> int:
        rows = self.rig.rows("used_quota", username=address)
        return int(rows[0]["messages"]) if rows else 0

    def _noted(self, address: str, protocol: str) -> bool:
        rows = self.rig.rows("last_login", username=address)
        return bool(rows) and rows[0][protocol] is not None

    def _forget_logins(self, address: str) -> None:
        # Dovecot notes logins and usage after it has answered. Later calls must not be overtaken by that.
        self.rig.execute("DELETE FROM last_login WHERE username = :name", name=address)


def message(subject: str, size: int) -> bytes:
    """Return a message of at least `size` bytes."""
    line = b"x" * 70 + b"\r\n"
    return f"From: a@example.net\r\nSubject: {subject}\r\n\r\n".encode() + line * (size // len(line) + 1)


@pytest.fixture
def mail(rig: Rig, dovecot: Dovecot, maps: PostfixMaps) -> Mail:
    """Mail servers on an empty store."""
    return Mail(rig, dovecot, maps)


def delete(store: Store, address: str, days: int) -> DeletedMailbox:
    """Delete an account and return the record of its mailbox."""
    record = store.accounts.delete(address, keep_mailbox_days=days)
    assert record is not None
    return record


def delivered(home: Path) -> list[Path]:
    """Return the messages in the inbox of a home."""
    return [path for part in ("new", "cur") for path in (home / "Maildir" / part).iterdir()]


def create_domain(store: Store) -> str:
    """Create a domain with an alias domain."""
    store.domains.create("example.com")
    store.domains.add_alias_domains("example.com", ["alias.example"])
    return "example.com"


@pytest.fixture
def domain(store: Store) -> str:
    """A domain with an alias domain."""
    return create_domain(store)


# --- Dovecot: who may log in ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("domain")
class TestLogin:
    def test_every_scheme(self, store: Store, dovecot: Dovecot) -> None:
        assert {scheme for scheme, _ in SCHEMES.values()} == set(WRITABLE_SCHEMES)
        with store.transaction():
            for name in SCHEMES:
                store.accounts.create(f"{name}@example.com", password_hash=hashed(name))
        assert [name for name in SCHEMES if not dovecot.auth(f"{name}@example.com", PASSWORD)] == []
        assert all(store.accounts.verify_password(f"{name}@example.com", PASSWORD) for name in SCHEMES)

    def test_plain_password_of_any_script(self, store: Store, dovecot: Dovecot, mail: Mail) -> None:
        store.accounts.create(BOB, password=UNICODE_PASSWORD)
        assert dovecot.auth(BOB, UNICODE_PASSWORD)
        assert mail.subjects(BOB, UNICODE_PASSWORD) == []
        store.accounts.update(BOB, password="an other one")
        assert dovecot.auth(BOB, "an other one")

    @pytest.mark.parametrize("scheme", ["SSHA512", "ARGON2ID"])
    def test_rehashed_by_a_verification(self, rig: Rig, dovecot: Dovecot, scheme: str) -> None:
        with rig.open(password_scheme=scheme) as store:
            create(store, BOB)
            assert store.accounts.verify_password(BOB, PASSWORD, rehash=True)
            assert store.accounts.password_hash(BOB).startswith(f"{{{scheme}}}")
        assert dovecot.auth(BOB, PASSWORD)

    def test_who_is_let_in(self, store: Store, dovecot: Dovecot) -> None:
        store.domains.create("off.example", enabled=False)
        store.domains.create("mx.example", backup_mx=True)
        for address in ("off@example.com", "noimap@example.com", "net@example.com", "mia@mx.example"):
            create(store, address)
        create(store, BOB, aliases=["robert@example.com"])
        create(store, "dan@off.example")
        create(store, "few@example.com", services=["imap", "deliver"])
        store.accounts.update("off@example.com", enabled=False)
        store.accounts.update("noimap@example.com", services=Edit(remove=["imap"]))
        store.accounts.update("net@example.com", allow_nets=["10.0.0.0/8", "192.0.2.7/32"])
        with ThreadPoolExecutor(len(LOGINS)) as pool:  # each refusal takes half a second
            results = pool.map(lambda facts: login(dovecot, *facts), LOGINS)
            assert dict(zip(LOGINS, results, strict=True)) == LOGINS

    def test_enabled_again(self, store: Store, dovecot: Dovecot, domain: str) -> None:
        create(store, BOB, enabled=False, services=["pop3"], allow_nets=["192.0.2.7"])
        store.domains.update(domain, enabled=False)
        store.accounts.update(BOB, enabled=True, services=Edit(add=["imap"]), allow_nets=[])
        store.domains.update(domain, enabled=True)
        assert dovecot.auth(BOB, PASSWORD)

    def test_created_in_bulk(self, store: Store, mail: Mail) -> None:
        addresses = [f"user{number}@example.com" for number in range(20)]
        rows = [{"address": address, "password": f"secret {address}"} for address in addresses]
        assert store.accounts.create_many(rows) == 20
        for address in (addresses[0], addresses[-1]):
            assert mail.deliver(address, "hello") == 250
            assert mail.subjects(address, f"secret {address}") == ["hello"]
            assert len(delivered(Path(str(store.accounts.get(address).home)))) == 1
        assert mail.route(addresses[7]) == {addresses[7]}


LOGINS: dict[tuple[str, ...], str] = {
    (BOB, "imap"): "ok",
    (BOB, "imap", "secured"): "ok",
    (BOB, "smtp"): "ok",
    (BOB, "sieve"): "ok",
    ("Bob@EXAMPLE.com", "imap"): "ok",
    ("bob@example.com", "imap", "wrong"): "refused",
    ("robert@example.com", "imap"): "refused",
    ("bob@alias.example", "imap"): "refused",
    ("nobody@example.com", "imap"): "refused",
    ("off@example.com", "imap"): "refused",
    ("dan@off.example", "imap"): "refused",
    ("mia@mx.example", "imap"): "refused",
    ("noimap@example.com", "imap"): "refused",
    ("noimap@example.com", "imap", "secured"): "refused",
    ("noimap@example.com", "pop3"): "ok",
    ("few@example.com", "imap"): "ok",
    ("few@example.com", "pop3"): "refused",
    ("few@example.com", "smtp"): "refused",
    ("net@example.com", "imap", "rip=10.1.2.3"): "ok",
    ("net@example.com", "imap", "rip=192.0.2.7"): "ok",
    ("net@example.com", "imap", "rip=192.0.2.8"): "refused",
}


def login(dovecot: Dovecot, user: str, service: str, *facts: str) -> str:
    """Return what came of an auth; the fact ``wrong`` stands for a wrong password."""
    options = [word for fact in (f"service={service}", *facts) if fact != "wrong" for word in ("-x", fact)]
    result = dovecot.doveadm("auth", "test", *options, user, PASSWORD + "x" * ("wrong" in facts))
    if "temp_fail" in result.stdout:
        return "failed"
    return "refused" if result.returncode else "ok"


# --- Dovecot: where mail goes -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("domain")
class TestDelivery:
    def test_lands_in_the_home_that_the_library_made(
        self, store: Store, mail: Mail, dovecot: Dovecot, vmail_owner: tuple[int, int]
    ) -> None:
        home = create(store, BOB)
        assert (dovecot.user(BOB) or {})["home"].rstrip("/") == str(home)
        assert mail.deliver(BOB, "hello") == 250
        (file,) = delivered(home)
        assert b"Subject: hello" in file.read_bytes()
        assert {(path.stat().st_uid, path.stat().st_gid) for path in (home, file, *home.rglob("*"))} == {vmail_owner}
        assert mail.subjects(BOB) == ["hello"]
        assert [item.name for item in mail.rig.root.iterdir()] == ["example.com"]

    def test_another_folder(self, store: Store, mail: Mail) -> None:
        home = create(store, BOB, mailbox_folder="Mail2")
        assert mail.deliver(BOB, "hello") == 250
        assert len(list((home / "Mail2" / "new").iterdir())) == 1
        assert not (home / "Maildir").exists()

    def test_quota(self, store: Store, mail: Mail, dovecot: Dovecot) -> None:
        create(store, BOB, quota="1M")
        create(store, "eve@example.com")
        big = 2 << 20
        assert dovecot.quota(BOB)["STORAGE"] == (0, 1024)
        assert mail.deliver(BOB, "small") == 250
        assert mail.deliver(BOB, "big", size=big) == 552
        assert mail.deliver("eve@example.com", "big", size=big) == 250
        store.accounts.update(BOB, quota="4M")
        assert mail.deliver(BOB, "big", size=big) == 250
        store.accounts.update(BOB, quota="unlimited")
        assert mail.deliver(BOB, "bigger", size=2 * big) == 250
        assert mail.subjects(BOB) == ["big", "bigger", "small"]

    def test_usage_and_last_login(self, store: Store, mail: Mail, dovecot: Dovecot) -> None:
        started = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        made = store.accounts.create(BOB, password=PASSWORD)
        assert made.usage is None
        assert mail.deliver(BOB, "hello") == 250
        usage, noted = store.accounts.get(BOB).usage, store.accounts.get(BOB).last_login
        assert usage is not None
        assert noted is not None
        assert (usage.messages, usage.bytes > len(message("hello", 0))) == (1, True)
        assert noted.delivery is not None
        assert (noted.delivery >= started, noted.imap, noted.pop3) == (True, None, None)
        with closing(poplib.POP3(LOOPBACK, dovecot.pop3_port, timeout=60)) as client:
            client.user(BOB)
            client.pass_(PASSWORD)
            assert client.stat()[0] == 1
            client.quit()
        assert wait_for(lambda: last_login(store).pop3 is not None, timeout=5)
        assert last_login(store).imap is None
        mail.subjects(BOB)
        assert last_login(store).imap >= started
        assert next(store.accounts.list()).usage == usage

    def test_refused(self, store: Store, dovecot: Dovecot, domain: str) -> None:
        create(store, BOB)
        create(store, "nolmtp@example.com", services=["imap", "deliver"])
        store.accounts.update(BOB, enabled=False)
        for address in (BOB, "nolmtp@example.com", "nobody@example.com"):
            assert dovecot.deliver(address, message("hello", 0))[0] == 550, address
        store.accounts.update(BOB, enabled=True)
        store.domains.update(domain, enabled=False)
        assert dovecot.deliver(BOB, message("hello", 0))[0] == 550


def last_login(store: Store) -> Any:
    """Return when bob was last seen."""
    return store.accounts.get(BOB).last_login


# --- What becomes of an account ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("domain")
class TestRename:
    @pytest.mark.parametrize("new", ["robert@example.com", "bob@other.example"])
    def test_mail_and_password_move_along(self, store: Store, mail: Mail, dovecot: Dovecot, new: str) -> None:
        store.domains.create("other.example")
        home = create(store, BOB, aliases=["bb@example.com", "bobby@alias.example"])
        create(store, "eve@example.com", forwarding=[BOB], keep_copy=False)
        store.aliases.create("sales@example.com", members=[BOB])
        assert mail.deliver(BOB, "old") == 250
        before = store.accounts.get(BOB)
        store.accounts.rename(BOB, new)
        after = store.accounts.get(new)
        assert (after.usage, after.last_login) == (before.usage, before.last_login)
        assert not dovecot.auth(BOB, PASSWORD)
        assert dovecot.deliver(BOB, message("lost", 0))[0] == 550
        assert mail.deliver(new, "new") == 250
        assert mail.subjects(new) == ["new", "old"]
        assert len(delivered(home)) == 2
        for name in (
            "bb@example.com",
            "bobby@alias.example",
            "eve@example.com",
            "sales@example.com",
            "sales@alias.example",
        ):
            assert mail.route(name) == {new}, name
        assert mail.maps.resolve("virtual_alias_maps", [BOB, "bob@alias.example"]) == {}

    def test_the_next_holder_of_the_old_address_finds_nothing(self, store: Store, mail: Mail) -> None:
        create(store, BOB)
        assert mail.deliver(BOB, "old") == 250
        store.accounts.rename(BOB, "robert@example.com")
        create(store, BOB)
        assert store.accounts.get(BOB).usage is None
        assert mail.deliver(BOB, "for the second bob") == 250
        assert mail.subjects(BOB) == ["for the second bob"]
        assert mail.subjects("robert@example.com") == ["old"]


class TestDeletion:
    @pytest.fixture(autouse=True)
    def home(self, store: Store, mail: Mail) -> Path:
        """The home of bob, who has mail, aliases, and others who send him theirs."""
        create_domain(store)
        home = create(store, BOB, aliases=["bb@example.com", "bobby@alias.example"], quota="10M")
        create(store, "eve@example.com", forwarding=[BOB])
        store.aliases.create("sales@example.com", members=[BOB, "ann@other.org"])
        store.domains.update("example.com", catch_all=[BOB])
        assert mail.deliver(BOB, "old") == 250
        return home

    def test_deleted(self, store: Store, mail: Mail, dovecot: Dovecot, home: Path) -> None:
        record = delete(store, BOB, 30)
        assert record.usage.messages == 1
        assert not dovecot.auth(BOB, PASSWORD)
        assert dovecot.deliver(BOB, message("lost", 0))[0] == 550
        asked = [BOB, "bb@example.com", "bobby@alias.example", "bob@alias.example", "nobody@example.com"]
        assert mail.maps.resolve("virtual_alias_maps", asked) == {}
        assert mail.route("sales@example.com") == {"ann@other.org"}
        assert mail.route("eve@example.com") == {"eve@example.com"}
        assert [b"Subject: old" in file.read_bytes() for file in delivered(home)] == [True]

    def test_restored(self, store: Store, mail: Mail, dovecot: Dovecot, home: Path) -> None:
        names = [
            *(BOB, "bob@alias.example", "bb@example.com", "bobby@alias.example"),
            *("sales@example.com", "eve@example.com", "nobody@example.com"),
        ]
        before = mail.maps.resolve("virtual_alias_maps", names)
        store.deleted.restore(delete(store, BOB, 30).id)
        assert mail.maps.resolve("virtual_alias_maps", names) == before
        assert BOB in set.intersection(*(set(before[name]) for name in names))
        assert mail.subjects(BOB) == ["old"]
        assert mail.rig.rows("used_quota", username=BOB) == []  # Dovecot counts anew with the next delivery
        assert dovecot.deliver(BOB, message("new", 0))[0] == 250
        assert wait_for(lambda: getattr(store.accounts.get(BOB).usage, "messages", 0) == 2, timeout=5)
        assert wait_for(lambda: last_login(store).delivery is not None, timeout=5)
        assert len(delivered(home)) == 2
        assert dovecot.quota(BOB)["STORAGE"][1] == 10 << 10

    def test_purged(self, store: Store, mail: Mail, home: Path) -> None:
        delete(store, BOB, 0)
        (outcome,) = purge_due(store, today=TODAY + timedelta(days=1))
        assert outcome.action == "purged"
        assert not home.exists()
        assert not any(b"Subject: old" in path.read_bytes() for path in mail.rig.root.rglob("*") if path.is_file())
        create(store, BOB)
        assert mail.deliver(BOB, "new") == 250
        assert mail.subjects(BOB) == ["new"]

    def test_the_next_holder_never_sees_old_mail(self, store: Store, mail: Mail, home: Path) -> None:
        delete(store, BOB, 0)
        second = create(store, BOB)
        assert second != home
        assert mail.subjects(BOB) == []
        assert mail.deliver(BOB, "for the second bob") == 250
        assert [outcome.action for outcome in purge_due(store, today=TODAY + timedelta(days=1))] == ["purged"]
        assert not home.exists()
        assert mail.subjects(BOB) == ["for the second bob"]
        assert mail.route("bb@example.com") == {"bb@example.com"}


# --- Postfix ----------------------------------------------------------------------------------------------------------


TABLE: dict[str, dict[str, str]] = {
    "virtual_mailbox_domains": {
        name: name for name in ("example.com", "alias.example", "plain.example", "wasmx.example")
    },
    "relay_domains": {name: name for name in ("mx.example", "anymx.example")},
    "transport_user": {"moved@example.com": "smtp:[other.example.net]"},
    "transport_list": {},
    "transport_domain": {
        "example.com": "dovecot", "plain.example": "lmtp:unix:private/dovecot-lmtp", "wasmx.example": "dovecot",
        "mx.example": "relay:[mx.example.net]:25", "anymx.example": "relay:",
    },
    "virtual_alias": {
        BOB: BOB, "robert@example.com": BOB, "rob@alias.example": BOB, "sales@example.com": f"{BOB},ann@other.org",
        "kim@example.com": "kim@example.com,kim@other.org,kim2@other.org", "eve@example.com": "eve@other.org",
        **{name: name for name in ("back@example.com", "moved@example.com", "nosmtp@example.com", "nodeliver@example.com")},
        "cut@example.com": "cut@example.com", "cut2@example.com": "cut@example.com",
        "example.com": CATCH_ALL, "zoe@plain.example": "zoe@plain.example", "zz@plain.example": "zoe@plain.example",
    },
    "virtual_alias_alias_domain": {
        "bob@alias.example": BOB, "robert@alias.example": BOB, "sales@alias.example": f"{BOB},ann@other.org",
        "eve@alias.example": "eve@other.org", "cut@alias.example": "cut@example.com",
        # iRedMail does not ask whether the target is switched on; virtual_mailbox_domains does.
        "dan@ofoff.example": "dan@off.example",
    },
    "catchall": {
        key: CATCH_ALL for key in KEYS if key.endswith("@example.com") and "+" not in key and not key.startswith("@")
    },
    "catchall_alias_domain": {key: CATCH_ALL for key in KEYS if key.endswith("@alias.example")},
    # iRedMail does not ask whether the account is switched on: nobody can send as it anyway.
    "sender_bcc_user": {BOB: "bob-out@log.example", "cut@example.com": "cut@log.example"},
    "recipient_bcc_user": {BOB: "bob-in@log.example"},
    "sender_bcc_domain": {key: "all-out@log.example" for key in KEYS if key.endswith("@example.com")},
    "recipient_bcc_domain": {key: "all-in@log.example" for key in KEYS if key.endswith("@example.com")},
    "relayhost": {BOB: "[bob.example.net]", "@example.com": "[relay.example.net]:587"},
    "sender_login": {
        name: name
        for name in (
            *(BOB, "kim@example.com", "eve@example.com", "back@example.com", "moved@example.com"),
            *("nodeliver@example.com", "zoe@plain.example"),
        )
    },
}  # fmt: skip


@pytest.fixture(scope="class")
def scenario(shared_rig: Rig) -> Store:
    """The store with one of everything in it, for all tests of a class."""
    shared_rig.clear()
    shutil.rmtree(shared_rig.root, ignore_errors=True)
    make_directory(shared_rig.root)
    os.chown(shared_rig.root, *shared_rig.owner)
    build(shared_rig.shared)
    return shared_rig.shared


@pytest.mark.usefixtures("scenario")
class TestPostfix:
    @pytest.mark.parametrize("name", TABLE)
    def test_map(self, maps: PostfixMaps, name: str) -> None:
        assert maps.ask(name, KEYS) == answers(TABLE[name])

    def test_accounts_that_exist(self, scenario: Store, maps: PostfixMaps, shared_rig: Rig) -> None:
        off = {"cut@example.com", "nodeliver@example.com", "cut@plain.example", "dan@off.example"}
        homes = {account.address: str(account.home) for account in scenario.accounts.list()}
        base = f"{shared_rig.root.parent}/"
        assert {key: {path.lower() for path in paths} for key, paths in maps.ask("virtual_mailbox", KEYS).items()} == {
            address: {f"{home.removeprefix(base)}//Maildir/".lower()}
            for address, home in homes.items()
            if address not in off
        }

    def test_no_map_is_left_out(self, maps: PostfixMaps) -> None:
        assert set(maps._texts) == {*TABLE, "virtual_mailbox"}

    def test_rewriting(self, maps: PostfixMaps) -> None:
        assert maps.resolve("virtual_alias_maps", [*RESOLVED, *UNANSWERED]) == answers(RESOLVED)

    def test_precedence(self, maps: PostfixMaps) -> None:
        asked = [BOB, "kim@example.com", "zoe@plain.example"]
        for direction, word in (("sender", "out"), ("recipient", "in")):
            assert maps.resolve(f"{direction}_bcc_maps", asked) == answers(
                {BOB: f"bob-{word}@log.example", "kim@example.com": f"all-{word}@log.example"}
            )


@pytest.mark.parametrize("change", GONE)
def test_postfix_knows_nothing_of_what_is_gone(store: Store, maps: PostfixMaps, change: str) -> None:
    build(store)
    store.domains.update("example.com", catch_all=[], sender_bcc="", recipient_bcc="", outbound_relay="")
    operation, keys = GONE[change]
    operation(store)
    assert {name: found for name in maps._texts if (found := maps.ask(name, keys))} == {}
    others = maps.resolve("virtual_alias_maps", ["zoe@plain.example", "kim@example.com", "sales@example.com"])
    assert not {BOB, "sales@example.com"} & set().union(*others.values()) & set(keys)


# --- Rows, as other tools expect them ---------------------------------------------------------------------------------


def rows_of(rig: Rig, table: str, columns: str, **where: Any) -> list[tuple[Any, ...]]:
    """Return some columns of rows, sorted."""
    found = rig.rows(table, **where)
    return sorted(tuple(row[name] for name in columns.split()) for row in found)


@pytest.mark.usefixtures("domain")
class TestRows:
    def test_forwardings(self, store: Store, rig: Rig) -> None:
        create(store, BOB, aliases=["rob@alias.example"], forwarding=["x@other.org"])
        create(store, "eve@example.com", forwarding=["x@other.org"], keep_copy=False)
        store.aliases.create("sales@example.com", members=[BOB])
        store.domains.update("example.com", catch_all=[BOB])
        columns = "address forwarding domain dest_domain is_forwarding is_alias is_list is_maillist active"
        assert rows_of(rig, "forwardings", columns) == sorted(
            [
                (BOB, BOB, "example.com", "example.com", 1, 0, 0, 0, 1),
                (BOB, "x@other.org", "example.com", "other.org", 1, 0, 0, 0, 1),
                ("eve@example.com", "x@other.org", "example.com", "other.org", 1, 0, 0, 0, 1),
                ("rob@alias.example", BOB, "example.com", "example.com", 0, 1, 0, 0, 1),
                ("sales@example.com", BOB, "example.com", "example.com", 0, 0, 1, 0, 1),
                ("example.com", BOB, "example.com", "example.com", 0, 0, 0, 0, 1),
            ]
        )

    def test_dovecot_alone_writes_usage_and_logins(self, store: Store, rig: Rig) -> None:
        create(store, BOB)
        store.accounts.create_many([{"address": "eve@example.com", "password": "x"}])
        store.accounts.rename(BOB, "robert@example.com")
        record = delete(store, "robert@example.com", 1)
        store.deleted.restore(record.id)
        assert rig.rows("used_quota") == rig.rows("last_login") == []

    def test_record_of_a_deleted_mailbox(self, store: Store, rig: Rig) -> None:
        home = create(store, BOB)
        (row,) = rig.rows("mailbox", username=BOB)
        parts = "/".join(row[name] for name in ("storagebasedirectory", "storagenode", "maildir"))
        delete(store, BOB, 30)
        (record,) = rig.rows("deleted_mailboxes")
        assert record["maildir"] == parts
        assert Path(parts.lower()) == home
        assert (record["username"], record["domain"], record["admin"]) == (BOB, "example.com", "")
        assert record["delete_date"] - record["timestamp"].date() == timedelta(days=30)
        assert isinstance(record["delete_date"], date)
        stamp = parts.rstrip("/")[-19:]  # what iRedMail's own purge asks for
        assert time.strptime(stamp, "%Y.%m.%d.%H.%M.%S")

    def test_mailbox(self, store: Store, rig: Rig) -> None:
        create(store, BOB, quota="2G", services=["pop3", "sogowebmail"])
        (row,) = rig.rows("mailbox", username=BOB)
        assert (row["quota"], row["domain"], row["active"], row["allow_nets"]) == (2048, "example.com", 1, None)
        assert (row["maildir"][-1], row["mailboxformat"], row["mailboxfolder"]) == ("/", "maildir", "Maildir")
        assert {row["enableimap"], row["enableimapsecured"], row["enableimaptls"]} == {0}
        assert {row["enablepop3"], row["enablepop3secured"], row["enablepop3tls"]} == {1}
        assert (row["enablesogowebmail"], row["enablesogocalendar"]) == ("y", "n")
        assert not row["settings"]

    def test_settings(self, store: Store, rig: Rig) -> None:
        store.domains.update(
            "example.com", default_account_quota="1G", max_account_quota="2G", services=["self-service"],
            disabled_user_profiles=["relay", "bcc"], default_language="de_DE", max_accounts=0, quota="10G",
        )  # fmt: skip
        (row,) = rig.rows("domain", domain="example.com")
        fragments = row["settings"].split(";")
        assert fragments.pop() == ""
        assert sorted(fragments) == [
            *("default_language:de_DE", "default_user_quota:1024", "disabled_user_profiles:bcc,relay"),
            *("enabled_services:self-service", "max_user_quota:2048"),
        ]
        assert (row["maxquota"], row["mailboxes"], row["aliases"]) == (10240, -1, 0)

    def test_settings_of_others_survive(self, store: Store, rig: Rig) -> None:
        rig.execute("UPDATE domain SET settings = 'theirs:a,b;default_user_quota:5;odd;'")
        store.domains.update("example.com", default_account_quota="7M", default_language="de_DE")
        (row,) = rig.rows("domain", domain="example.com")
        assert row["settings"] == "theirs:a,b;default_user_quota:7;odd;default_language:de_DE;"

    def test_admin(self, store: Store, rig: Rig) -> None:
        create(store, BOB)
        create(store, "eve@example.com")
        store.admins.promote(BOB, max_accounts=5)
        store.admins.promote("eve@example.com", global_admin=True)
        assert rows_of(rig, "domain_admins", "username domain active") == [
            (BOB, "example.com", 1),
            ("eve@example.com", "ALL", 1),
        ]
        assert rows_of(rig, "mailbox", "username isadmin isglobaladmin")[0] == (BOB, 1, 0)
        assert rows_of(rig, "mailbox", "username isglobaladmin")[1] == ("eve@example.com", 1)
        assert "create_max_users:5;" in rig.rows("mailbox", username=BOB)[0]["settings"]
