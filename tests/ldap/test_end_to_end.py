"""What the library writes into a directory, real Dovecot and Postfix read: set up by `mailstore lookups`.

Nothing here writes an entry by hand. Dovecot runs twice: once slapd verifies passwords, once Dovecot itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailstore import Edit, InvalidPassword, Store, purge_due
from mailstore.passwords import WRITABLE_SCHEMES, hash_password, scheme_of
from tests.ldap.lookup_rig import LdapMaps, dovecot_for, reader_of
from tests.ldap.rig import LdapRig
from tests.readers import PASSWORD, SCHEMES, Answers, hashed
from tests.scenario import BOB, CATCH_ALL, GONE, KEYS, RESOLVED, UNANSWERED, answers, build, create
from tests.servers.dovecot import Dovecot
from tests.stores import StoreRig, empty_homes

CREW = "crew@example.com"
RIGS = {"bind": "ldap", "lookup": "ldap-starttls"}


@dataclass(frozen=True)
class Mail:
    """Mail as its senders and readers see it: routed by Postfix's maps, delivered and read by Dovecot."""

    dovecot: Dovecot
    maps: LdapMaps

    def asked(self, keys: list[str]) -> Answers:
        """Return what the alias maps say, asked for the address and then for its domain, as Postfix does."""
        found = self.maps.resolve("virtual_alias_maps", keys)
        silent = {key: f"@{key.rpartition('@')[2]}" for key in keys if key not in found}
        for_all = self.maps.resolve("virtual_alias_maps", sorted(set(silent.values())))
        return found | {key: for_all[domain] for key, domain in silent.items() if domain in for_all}

    def route(self, address: str) -> set[str]:
        """Return where mail to `address` ends up: Postfix expands addresses until nothing changes any more."""
        final: set[str] = set()
        seen, found = {address}, {address}
        while found:
            said = self.asked(sorted(found))
            final |= {name for name in found if said.get(name, {name}) == {name} or name in said.get(name, ())}
            found = set().union(*said.values()) - seen if said else set()
            seen |= found
        return final

    def deliver(self, address: str, subject: str) -> int:
        """Deliver by LMTP; return the reply code."""
        text = f"From: a@example.net\r\nSubject: {subject}\r\n\r\nhello\r\n"
        return self.dovecot.deliver(address, text.encode())[0]

    def subjects(self, address: str, password: str = PASSWORD) -> list[str]:
        """Log in by IMAP and return the subjects in the inbox."""
        with self.dovecot.imap(address, password) as client:
            client.select(readonly=True)
            _, numbers = client.search(None, "ALL")
            found = [client.fetch(number, "(BODY[HEADER.FIELDS (SUBJECT)])")[1] for number in numbers[0].split()]
        texts = (part[1].decode() for parts in found for part in parts if isinstance(part, tuple))
        return sorted(text.partition(":")[2].strip() for text in texts)


@pytest.fixture(scope="module", params=sorted(RIGS))
def shared(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> LdapRig:
    """A directory for each way in which passwords are verified."""
    rig = rigs(RIGS[request.param])
    assert isinstance(rig, LdapRig)
    return rig


@pytest.fixture(scope="module")
def dovecot(shared: LdapRig, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Dovecot]:
    """A running Dovecot."""
    by_bind = shared.shared.config.login_by == "bind"
    reader = reader_of(shared.server)
    with dovecot_for(scratch_root / f"e2e-{shared.name}", reader, vmail_owner, auth_bind=by_bind) as server:
        yield server


@pytest.fixture(scope="module")
def maps(shared: LdapRig, scratch_root: Path) -> LdapMaps:
    """Postfix's maps."""
    return LdapMaps(scratch_root / f"e2e-{shared.name}" / "postfix", reader_of(shared.server))


@pytest.fixture
def mail(dovecot: Dovecot, maps: LdapMaps) -> Mail:
    """Mail servers on the store."""
    return Mail(dovecot, maps)


def emptied(rig: LdapRig) -> Store:
    rig.clear()
    empty_homes(rig)
    return rig.shared


@pytest.fixture
def store(shared: LdapRig) -> Iterator[Store]:
    """The store, emptied, with a domain that has an alias domain; afterwards nothing may be wrong in it."""
    store = emptied(shared)
    store.domains.create("example.com")
    store.domains.add_alias_domains("example.com", ["alias.example"])
    yield store
    assert [finding for finding in store.check() if finding.severity == "error"] == []


# --- Dovecot ----------------------------------------------------------------------------------------------------------


class TestDovecot:
    @pytest.mark.parametrize("scheme", sorted(SCHEMES))
    def test_every_scheme_that_the_store_takes(
        self, store: Store, dovecot: Dovecot, shared: LdapRig, scheme: str
    ) -> None:
        if scheme == "argon2id" and shared.shared.config.login_by == "bind":
            with pytest.raises(InvalidPassword, match="slapd cannot verify"):
                store.accounts.create(BOB, password_hash=hashed(scheme))
            return
        store.accounts.create(BOB, password_hash=hashed(scheme))
        assert dovecot.auth(BOB, PASSWORD)
        assert not dovecot.auth(BOB, "wrong")

    def test_every_scheme_is_among_them(self) -> None:
        assert {scheme for scheme, _ in SCHEMES.values()} == set(WRITABLE_SCHEMES)

    def test_new_and_rehashed_passwords(self, store: Store, dovecot: Dovecot) -> None:
        store.accounts.create(BOB, password="pässwörd 密码")
        assert dovecot.auth(BOB, "pässwörd 密码")
        store.accounts.update(BOB, password_hash=hash_password("old", "SSHA512"))
        assert store.accounts.verify_password(BOB, "old", rehash=True)
        assert scheme_of(store.accounts.password_hash(BOB)) == "SSHA256"
        assert dovecot.auth(BOB, "old")
        store.accounts.update_all("example.com", password="for all")
        assert dovecot.auth(BOB, "for all")

    def test_who_is_let_in(self, store: Store, dovecot: Dovecot) -> None:
        create(store, BOB, aliases=["robert@example.com"])
        for name in (BOB, "robert@example.com", "bob@alias.example"):
            assert dovecot.auth(name, PASSWORD), name
        store.accounts.update(BOB, services=Edit(remove=["imap"]))
        assert not dovecot.auth(BOB, PASSWORD, service="imap")
        assert dovecot.auth(BOB, PASSWORD, service="pop3")
        store.accounts.update(BOB, enabled=False)
        assert not dovecot.auth(BOB, PASSWORD, service="pop3")
        store.accounts.update(BOB, enabled=True)
        store.domains.update("example.com", enabled=False)
        create(store, "late@example.com")
        assert not dovecot.auth(BOB, PASSWORD, service="pop3")
        assert not dovecot.auth("late@example.com", PASSWORD)
        store.domains.update("example.com", enabled=True)
        assert dovecot.auth(BOB, PASSWORD, service="pop3")
        assert dovecot.auth("late@example.com", PASSWORD)

    def test_delivery_lands_in_the_home_that_the_library_made(self, store: Store, mail: Mail) -> None:
        home = create(store, BOB, quota="1M", mailbox_folder="Post")
        assert mail.deliver(BOB, "hello") == 250
        assert [path.parent.name for path in home.rglob("new/*")] == ["new"]
        assert (home / "Post/new").is_dir()
        assert mail.subjects(BOB) == ["hello"]

    def test_quota(self, store: Store, mail: Mail) -> None:
        create(store, BOB, quota="1M")
        huge = b"Subject: huge\r\n\r\n" + b"x" * 70 * 1024 * 20
        assert mail.dovecot.deliver(BOB, huge)[0] == 552
        store.accounts.update(BOB, quota="unlimited")
        assert mail.dovecot.deliver(BOB, huge)[0] == 250

    def test_a_whole_life(self, store: Store, mail: Mail) -> None:
        home = create(store, BOB, aliases=["robert@example.com"])
        assert mail.deliver(BOB, "one") == 250
        store.accounts.rename(BOB, "bill@example.com")
        assert mail.deliver("bill@example.com", "two") == 250
        assert mail.subjects("bill@example.com") == ["one", "two"]
        assert mail.deliver(BOB, "to nobody") == 550
        record = store.accounts.delete("bill@example.com", keep_mailbox_days=1)
        assert record is not None
        assert mail.deliver("bill@example.com", "too late") == 550
        create(store, "bill@example.com")
        assert mail.subjects("bill@example.com") == []
        store.accounts.rename("bill@example.com", "other@example.com")
        store.deleted.restore(record.id)
        assert mail.subjects("robert@example.com") == ["one", "two"]
        store.accounts.delete("bill@example.com", keep_mailbox_days=0)
        assert {outcome.action for outcome in purge_due(store)} == {"purged"}
        assert not home.exists()
        assert mail.subjects("other@example.com") == []

    def test_purged_on_the_day(self, store: Store, mail: Mail) -> None:
        home = create(store, BOB)
        assert mail.deliver(BOB, "one") == 250
        store.accounts.delete(BOB, keep_mailbox_days=3)
        today = datetime.now(UTC).date()
        assert list(purge_due(store, today=today + timedelta(days=2))) == []
        assert [outcome.action for outcome in purge_due(store, today=today + timedelta(days=3))] == ["purged"]
        assert not home.exists()


# --- Postfix ----------------------------------------------------------------------------------------------------------


def build_lists(store: Store) -> None:
    """Make lists with members of all kinds."""
    members = [BOB, "zoe@plain.example", "sales@example.com", "ext@other.org", "robert@example.com"]
    store.lists.create(CREW, members=members, access_policy="membersonly", moderators=["boss@other.org"])
    store.lists.create("all@plain.example", members=[CREW, "moved@example.com"])
    store.lists.create("few@off.example", members=["dan@off.example", BOB])
    store.lists.create("nobody-in@plain.example")
    store.lists.create("closed-list@plain.example", members=["zoe@plain.example", "x@other.org"], enabled=False)


@pytest.fixture(scope="class")
def scenario(shared: LdapRig) -> Store:
    """The store with one of everything in it, for all tests of a class."""
    store = emptied(shared)
    build(store)
    build_lists(store)
    return store


EXAMPLE = "example.com"
TABLE: dict[str, dict[str, str]] = {
    "virtual_mailbox_domains": {
        "example.com": EXAMPLE, "alias.example": EXAMPLE, "plain.example": "plain.example",
        "wasmx.example": "wasmx.example",
    },
    "relay_domains": {name: name for name in ("mx.example", "anymx.example")},
    "transport_user": {"moved@example.com": "smtp:[other.example.net]", "nodeliver@example.com": "smtp:[x]"},
    "transport_domain": {
        "example.com": "dovecot", "alias.example": "dovecot", "plain.example": "lmtp:unix:private/dovecot-lmtp",
        "wasmx.example": "dovecot", "mx.example": "relay:[mx.example.net]:25", "anymx.example": "relay:",
    },
    "virtual_alias": {
        "sales@example.com": f"{BOB},ann@other.org", "sales@alias.example": f"{BOB},ann@other.org",
        "kim@example.com": "kim@example.com,kim@other.org,kim2@other.org",
        "eve@example.com": "eve@other.org", "eve@alias.example": "eve@other.org",
    },
    "catchall": {
        "@example.com": CATCH_ALL, "@alias.example": CATCH_ALL,
        # Postfix asks this map last, so that these answers do not matter.
        "kim@example.com": "kim@example.com,kim@other.org,kim2@other.org",
        "eve@example.com": "eve@other.org", "eve@alias.example": "eve@other.org",
    },
    # iRedMail asks for alias addresses too, but only in the domain of the account.
    "sender_bcc_user": dict.fromkeys((BOB, "robert@example.com"), "bob-out@log.example"),
    "recipient_bcc_user": dict.fromkeys((BOB, "robert@example.com"), "bob-in@log.example"),
    "sender_bcc_domain": dict.fromkeys(("example.com", "alias.example"), "all-out@log.example"),
    "recipient_bcc_domain": dict.fromkeys(("example.com", "alias.example"), "all-in@log.example"),
    "relayhost_user": {BOB: "[bob.example.net]"},
    "relayhost_domain": dict.fromkeys(("example.com", "alias.example"), "[relay.example.net]:587"),
}  # fmt: skip
LISTS: dict[str, str] = {
    CREW: f"{BOB},zoe@plain.example,sales@example.com,ext@other.org,robert@example.com",
    "crew@alias.example": f"{BOB},zoe@plain.example,sales@example.com,ext@other.org,robert@example.com",
    "all@plain.example": f"{CREW},moved@example.com",
}


@pytest.mark.usefixtures("scenario")
class TestPostfix:
    @pytest.mark.parametrize("name", TABLE)
    def test_map(self, maps: LdapMaps, name: str) -> None:
        found = maps.ask(name, KEYS)
        if name.endswith("_domain") and name != "transport_domain":
            found = by_domain(found)
        assert found == answers(TABLE[name])

    def test_no_map_is_left_out(self, maps: LdapMaps) -> None:
        others = {
            "virtual_mailbox",
            "virtual_member",
            "virtual_group",
            "sender_login",
            "virtual_holder",
            "virtual_caught",
        }
        assert set(maps.names) == {*TABLE, *others}

    def test_accounts_that_exist(self, scenario: Store, maps: LdapMaps) -> None:
        off = {"cut@example.com", "nodeliver@example.com", "cut@plain.example", "dan@off.example"}
        homes = {
            account.address: str(account.home) for account in scenario.accounts.list() if account.address not in off
        }
        found = maps.ask("virtual_mailbox", KEYS)
        assert {key: {path.replace("//", "/") for path in paths} for key, paths in found.items() if key in homes} == {
            address: {f"{home}/Maildir/"} for address, home in homes.items()
        }
        assert not off & found.keys()
        assert {"robert@example.com", "bob@alias.example", "robert@alias.example"} <= found.keys()

    def test_lists(self, maps: LdapMaps) -> None:
        keys = [*LISTS, "nobody-in@plain.example"]
        assert maps.resolve("virtual_alias_maps", keys) == answers(LISTS)

    def test_lists_end_at_people(self, mail: Mail) -> None:
        people = {BOB, "ann@other.org", "zoe@plain.example", "ext@other.org"}
        assert mail.route(CREW) == people
        assert mail.route("all@plain.example") == people | {"moved@example.com"}
        assert mail.route("crew@alias.example") == people

    def test_a_list_that_is_off(self, mail: Mail) -> None:
        # Postfix never looks at the entry of a list, only at those of its members; iRedAPD refuses the mail.
        assert mail.route("closed-list@plain.example") == {"zoe@plain.example", "x@other.org"}

    def test_a_list_in_a_domain_that_is_off(self, maps: LdapMaps) -> None:
        # The member in the other domain is still found; virtual_mailbox_domains does not accept mail for the list.
        assert maps.ask("virtual_mailbox_domains", ["off.example"]) == {}
        assert "dan@off.example" not in maps.resolve("virtual_alias_maps", ["few@off.example"]).get(
            "few@off.example", ()
        )

    def test_rewriting(self, mail: Mail) -> None:
        # Postfix cuts extensions off before it asks for the catch-all, and accounts of a backup MX are their own targets.
        own = dict.fromkeys(("mia@mx.example", "mm@mx.example"), "mia@mx.example")
        # Who is switched off is still there: the catch-all does not get the mail.
        own |= dict.fromkeys(("cut@example.com", "cut@alias.example"), "cut@example.com")
        keys = [key for key in (*RESOLVED, *UNANSWERED) if "+" not in key]
        assert mail.asked(keys) == answers({**RESOLVED, **own})

    def test_senders(self, maps: LdapMaps) -> None:
        names = (
            BOB,
            "kim@example.com",
            "eve@example.com",
            "back@example.com",
            "moved@example.com",
            "zoe@plain.example",
        )
        found = maps.ask("sender_login", KEYS)
        assert {name: found[name] for name in names} == {name: {name} for name in names}
        assert found["robert@example.com"] == {BOB}
        for name in ("nosmtp@example.com", "cut@example.com", "dan@off.example", "nobody@example.com"):
            assert name not in found

    def test_precedence(self, maps: LdapMaps) -> None:
        for direction, word in (("sender", "out"), ("recipient", "in")):
            assert maps.resolve(f"{direction}_bcc_maps", [BOB]) == answers({BOB: f"bob-{word}@log.example"})


def by_domain(found: Answers) -> Answers:
    """Return answers of a map that Postfix asks with a domain, by the domain."""
    return {key.removeprefix("@"): value for key, value in found.items() if key.count("@") == 0 or key.startswith("@")}


@pytest.mark.parametrize("change", GONE)
def test_postfix_knows_nothing_of_what_is_gone(shared: LdapRig, mail: Mail, change: str) -> None:
    store = emptied(shared)
    build(store)
    build_lists(store)
    store.domains.update("example.com", catch_all=[], sender_bcc="", recipient_bcc="", outbound_relay="")
    operation, keys = GONE[change]
    operation(store)
    assert {name: found for name in mail.maps.names if (found := mail.maps.ask(name, keys))} == {}
    others = mail.asked(["zoe@plain.example", "kim@example.com", "sales@example.com", CREW, "all@plain.example"])
    assert not {BOB, "sales@example.com"} & set().union(*others.values()) & set(keys)
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_lists_follow_their_members(store: Store, mail: Mail) -> None:
    for name in ("bob", "eve", "kim"):
        create(store, f"{name}@example.com")
    store.lists.create(CREW, members=[BOB, "eve@example.com", "ext@other.org"])
    store.accounts.rename(BOB, "bill@example.com")
    assert mail.route(CREW) == {"bill@example.com", "eve@example.com", "ext@other.org"}
    store.accounts.delete("eve@example.com")
    store.lists.remove_members(CREW, ["ext@other.org"])
    store.lists.add_members(CREW, ["kim@example.com"])
    assert mail.route(CREW) == {"bill@example.com", "kim@example.com"}
    store.lists.rename(CREW, "team@example.com")
    assert mail.route("team@example.com") == mail.route("team@alias.example") == {"bill@example.com", "kim@example.com"}
    assert mail.route(CREW) == {CREW}
    store.lists.delete("team@example.com")
    assert mail.route("team@example.com") == {"team@example.com"}
