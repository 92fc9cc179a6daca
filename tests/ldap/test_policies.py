"""Databases beside a directory: its names and theirs keep together, though they share no transaction.

What goes for every kind of store is tried in `tests.policies`, on directories too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import pytest

from mailstore import AlreadyExists, BulkRefused, Capability, Edit, NotFound, PermissionDenied, StoreUnavailable
from mailstore.driver.companions import BESIDE
from mailstore.ldap import retry
from mailstore.ldap.iredmail.check import domains
from mailstore.ldap.iredmail.names import locks
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.sql import engine as engine_module
from tests.ldap.faults import HASH, make_rig, problems, state_of, watching, writes_of
from tests.ldap.rig import LdapRig
from tests.policies.conftest import SERVERS
from tests.policies.rig import NAMES, PolicyRig
from tests.policies.states import Image
from tests.policies.test_lifecycle import content, furnish, leave, mentions
from tests.policies.test_races import together
from tests.rigs import Rig
from tests.servers.slapd import Slapd
from tests.test_cli_rig import run

BOB, EVE, NEW = "bob@example.com", "eve@example.com", "robert@example.com"
SALES, CREW, FREE = "sales@example.com", "crew@example.com", "free@example.com"
Work = Callable[[IRedMailDirectory], object]


@pytest.fixture(scope="module", params=sorted(SERVERS))
def policy_rig(request: pytest.FixtureRequest, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[PolicyRig]:
    """The databases of one engine, beside a directory of their own: both servers are killed often."""
    scratch = scratch_root / f"policies-{request.param}"
    with Slapd(scratch) as server:
        accounts = make_rig(server, scratch, vmail_owner)
        rig = PolicyRig(request.param, cast("Rig", accounts), request.getfixturevalue(SERVERS[request.param]))
        yield rig
        rig.close()
        accounts.close()


@pytest.fixture
def prig(policy_rig: PolicyRig, monkeypatch: pytest.MonkeyPatch) -> Iterator[PolicyRig]:
    """The databases, emptied. Nobody waits long for a server that was killed."""
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(engine_module, "_IDLE_SECONDS", 0)
    directory = cast("LdapRig", policy_rig.accounts).server
    policy_rig.clear()
    yield policy_rig
    for server in (directory, policy_rig.server):
        if not server.running:
            server.start()


@pytest.fixture
def tree(prig: PolicyRig) -> LdapRig:
    """The directory."""
    return cast("LdapRig", prig.accounts)


@pytest.fixture(scope="module")
def image(policy_rig: PolicyRig) -> Image:
    """A store with one name of each kind, all of which have settings of their own."""
    policy_rig.clear()
    populate(policy_rig)
    return Image.take(policy_rig)


@pytest.fixture
def store(prig: PolicyRig, image: Image) -> IRedMailDirectory:
    """The store as it was."""
    image.put_back()
    return cast("IRedMailDirectory", prig.shared)


def populate(rig: PolicyRig) -> None:
    store = cast("IRedMailDirectory", rig.shared)
    store.domains.create("example.com")
    store.domains.create("example.org")
    store.domains.add_alias_domains("example.com", ["alias.example"])
    store.accounts.create(BOB, password_hash=HASH, aliases=["b@example.com", "b@example.org"])
    store.accounts.create(EVE, password_hash=HASH)
    store.aliases.create(SALES, members=[BOB])
    store.lists.create(CREW, members=[BOB])
    furnish(store, rig, BOB)
    for number, name in enumerate((SALES, CREW, "b@example.com", "b@example.org", "bob@alias.example"), 1):
        store.throttles.set(name, "inbound", period=60, max_msgs=number)


@pytest.fixture
def _free_locks(store: IRedMailDirectory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nobody wait for a lock of the dead, and leave none behind."""
    for module in (locks, domains):
        monkeypatch.setattr(module, "LIFETIME_SECONDS", -1)
    yield
    store.domains.create("last.example")


def throttled(rig: PolicyRig) -> dict[str, int]:
    """Return the limit of each name, but for those of `furnish`."""
    return {row["account"]: row["max_msgs"] for row in rig.rows("throttle") if row["max_msgs"] != 7}


OTHERS = {"b@example.com": 3, "b@example.org": 4}


def test_capabilities_are_those_of_the_databases(prig: PolicyRig) -> None:
    assert prig.shared.capabilities >= BESIDE
    with prig.open(iredapd="") as some:
        assert some.capabilities & BESIDE == {Capability.SPAM_POLICIES, Capability.ACCESS_LISTS}
    assert not cast("LdapRig", prig.accounts).shared.capabilities & BESIDE


def test_lists_and_aliases_keep_their_settings_to_themselves(store: IRedMailDirectory, prig: PolicyRig) -> None:
    account = {**OTHERS, "bob@alias.example": 5}
    store.lists.rename(CREW, "team@example.org")
    store.aliases.rename(SALES, "info@example.org")
    assert throttled(prig) == {**account, "info@example.org": 1, "team@example.org": 2}
    store.lists.delete("team@example.org")
    store.aliases.delete("info@example.org")
    assert throttled(prig) == account
    for address in (CREW, SALES):
        leave(prig, address)
    store.lists.create(CREW)
    store.aliases.create(SALES)
    assert set(mentions(prig, CREW)) == set(mentions(prig, SALES)) == {"mailaddr"}


def test_names_under_alias_domains_follow(store: IRedMailDirectory, prig: PolicyRig) -> None:
    store.accounts.rename(BOB, NEW)
    assert throttled(prig) == {SALES: 1, CREW: 2, **OTHERS, "robert@alias.example": 5}
    store.accounts.rename(NEW, "robert@example.org")
    assert throttled(prig) == {SALES: 1, CREW: 2, **OTHERS}
    store.accounts.delete("robert@example.org")
    assert throttled(prig) == {SALES: 1, CREW: 2}
    leave(prig, "bob@alias.example")
    store.accounts.create(BOB, password_hash=HASH)
    assert mentions(prig, "bob@alias.example") == ["mailaddr"]


def test_aliases_that_go_and_stay(store: IRedMailDirectory, prig: PolicyRig) -> None:
    store.accounts.update(BOB, aliases=Edit(add=["b@example.com"], remove=["b@example.org"]))
    assert throttled(prig) == {SALES: 1, CREW: 2, "b@example.com": 3, "bob@alias.example": 5}
    leave(prig, "b@example.org")
    store.accounts.remove_aliases(BOB, ["b@example.org"])  # as after an interruption
    assert mentions(prig, "b@example.org") == ["mailaddr"]


def test_a_domain_takes_the_aliases_of_its_accounts_elsewhere_along(store: IRedMailDirectory, prig: PolicyRig) -> None:
    store.throttles.set("example.org", "inbound", period=60, max_msgs=9)
    store.domains.delete("example.com")
    assert throttled(prig) == {"@example.org": 9}
    assert problems(store) == []


TAKEN: dict[str, Work] = {
    "account": lambda store: store.accounts.create(BOB, password_hash=HASH),
    "accounts": lambda store: store.accounts.create_many(
        [{"address": FREE, "password_hash": HASH}, {"address": BOB, "password_hash": HASH}]
    ),
    "its alias": lambda store: store.accounts.create(FREE, password_hash=HASH, aliases=[BOB]),
    "alias": lambda store: store.aliases.create(BOB),
    "list": lambda store: store.lists.create(BOB),
    "per-account alias": lambda store: store.accounts.add_aliases(EVE, [FREE, BOB]),
    "rename": lambda store: store.accounts.rename(EVE, BOB),
    "alias renamed": lambda store: store.aliases.rename(SALES, BOB),
    "list renamed": lambda store: store.lists.rename(CREW, "b@example.com"),
    "domain": lambda store: store.domains.create("example.com"),
    "alias domain": lambda store: store.domains.add_alias_domains("example.org", ["alias.example", "example.com"]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_who_has_a_name_keeps_its_settings(store: IRedMailDirectory, prig: PolicyRig, name: str) -> None:
    before = prig.everything()
    with pytest.raises((AlreadyExists, BulkRefused)):
        TAKEN[name](store)
    assert prig.everything() == before


def test_what_check_finds(store: IRedMailDirectory, prig: PolicyRig) -> None:
    small = {"throttle-counter"}  # MySQL's counters, which these throttles outgrow
    assert {finding.code for finding in store.check()} <= small
    leave(prig, "gone@example.com")
    prig.insert("greylisting", account="@gone.example", sender="@.", priority=60, active=0)
    found = {(finding.code, finding.subject) for finding in store.check() if finding.code not in small}
    assert found == {("left-over", "gone@example.com"), ("left-over", "@gone.example")}


def test_admins_of_a_domain(store: IRedMailDirectory, prig: PolicyRig) -> None:
    store.admins.create("admin@admins.net", password="secret", domains=["example.com"])
    store.accounts.create("ann@example.org", password_hash=HASH)
    mine = store.acting_as("admin@admins.net")
    assert mine.spam_policies.get(BOB).spam_score == 7
    mine.throttles.set("alias.example", "inbound", period=60, max_msgs=9)
    mine.greylisting.set("example.com", enabled=True)
    before = prig.everything()
    for refused in (
        lambda: mine.throttles.set("ann@example.org", "inbound", period=60),
        lambda: mine.greylisting.set("example.org", enabled=True),
        lambda: mine.spam_policies.get("ann@example.org"),
        lambda: mine.access_lists.delete("gone@example.org", "inbound"),
    ):
        with pytest.raises(NotFound):
            refused()
    with pytest.raises(PermissionDenied):
        mine.throttles.set("global", "inbound", period=60)
    leave(prig, "x@example.org")
    with pytest.raises(NotFound):
        mine.accounts.rename("x@example.org", FREE)
    assert len(mentions(prig, "x@example.org")) > 4
    store.accounts.create("x@example.org", password_hash=HASH)
    assert {**prig.everything(), "mailaddr": ()} == {**before, "mailaddr": ()}
    mine.accounts.rename(BOB, NEW)
    mine.accounts.delete(NEW)
    assert throttled(prig) == {SALES: 1, CREW: 2, "@alias.example": 9}


def test_names_that_are_not_there(store: IRedMailDirectory) -> None:
    store.throttles.set("bob@alias.example", "inbound", period=60)
    for refused in (
        lambda: store.spam_policies.set(SALES, spam_score=4),
        lambda: store.spam_policies.set("bob@alias.example", spam_score=4),
        lambda: store.spam_policies.set("alias.example", spam_score=4),
        lambda: store.throttles.set("nobody@example.com", "inbound", period=60),
        lambda: store.greylisting.set("elsewhere.example", enabled=True),
    ):
        with pytest.raises(NotFound):
            refused()


def test_a_rehearsal_leaves_nothing(store: IRedMailDirectory, prig: PolicyRig, tree: LdapRig) -> None:
    leave(prig, FREE)
    before = prig.everything(), tree.server.dump()
    with store.rehearsal() as rehearsed:
        rehearsed.spam_policies.set(EVE, spam_score=5)
        assert rehearsed.spam_policies.get(EVE).spam_score == 5
        rehearsed.throttles.delete(BOB, "inbound")
        rehearsed.accounts.create_many([{"address": FREE, "password_hash": HASH}])
        rehearsed.accounts.delete(BOB)
        rehearsed.domains.delete("example.org")
    assert (prig.everything(), tree.server.dump()) == before
    store.accounts.create(FREE, password_hash=HASH)
    assert mentions(prig, FREE) == ["mailaddr"]
    assert prig.busy_connections() == 0


class _Stopped(Exception):
    pass


def test_a_rename_that_is_taken_back(store: IRedMailDirectory, prig: PolicyRig, tree: LdapRig) -> None:
    def stop(_number: int, kind: str, _dn: str) -> None:
        if kind == "rename":
            raise _Stopped

    for rename in (
        lambda: store.accounts.rename(BOB, NEW),
        lambda: store.aliases.rename(SALES, NEW),
        lambda: store.lists.rename(CREW, NEW),
    ):
        before, entries = prig.everything(), state_of(tree)
        with watching(store, stop), pytest.raises(_Stopped):
            rename()
        assert prig.everything() == before
        assert state_of(tree) == entries


def test_whoever_shares_a_policy_keeps_it_when_a_rename_is_taken_back(
    store: IRedMailDirectory, prig: PolicyRig
) -> None:
    def stop(_number: int, kind: str, _dn: str) -> None:
        if kind == "rename":
            raise _Stopped

    store.spam_policies.set(BOB, spam_score=3)
    store.spam_policies.set(EVE, spam_score=9)  # what a tool that links Eve to Bob's policy leaves behind
    prig.execute("users", "UPDATE users SET policy_id = (SELECT id FROM policy WHERE policy_name = 'bob@example.com')")
    with watching(store, stop), pytest.raises(_Stopped):
        store.accounts.rename(BOB, NEW)
    assert store.spam_policies.get(EVE).spam_score == 3
    store.accounts.rename(BOB, NEW)
    assert store.spam_policies.get(EVE).spam_score == store.spam_policies.get(NEW).spam_score == 3


OPERATIONS: dict[str, Work] = {
    "create": lambda store: store.accounts.create(FREE, password_hash=HASH),
    "create many": lambda store: store.accounts.create_many([{"address": FREE, "password_hash": HASH}]),
    "alias": lambda store: store.aliases.create(FREE),
    "list": lambda store: store.lists.create(FREE, members=[EVE]),
    "per-account alias": lambda store: store.accounts.add_aliases(EVE, [FREE]),
    "alias gone": lambda store: store.accounts.remove_aliases(BOB, ["b@example.com"]),
    "rename": lambda store: store.accounts.rename(BOB, NEW),
    "rename list": lambda store: store.lists.rename(CREW, FREE),
    "delete": lambda store: store.accounts.delete(BOB),
    "delete alias": lambda store: store.aliases.delete(SALES),
    "new domain": lambda store: store.domains.create("new.example"),
    "alias domain": lambda store: store.domains.add_alias_domains("example.org", ["new.example"]),
    "alias domain gone": lambda store: store.domains.remove_alias_domains("example.com", ["alias.example"]),
    "delete domain": lambda store: store.domains.delete("example.com"),
    "policy": lambda store: store.spam_policies.set(BOB, spam_score=9),
    "throttle": lambda store: store.throttles.set(CREW, "inbound", period=9),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_while_the_databases_are_down_nothing_is_changed(
    store: IRedMailDirectory, prig: PolicyRig, tree: LdapRig, name: str
) -> None:
    before, beside = state_of(tree), prig.everything()
    prig.server.kill()
    with pytest.raises(StoreUnavailable, match=r"database (amavisd|iredapd)") as caught:
        OPERATIONS[name](store)
    assert caught.value.state is None
    assert state_of(tree) == before
    assert store.accounts.get(BOB).address == BOB
    prig.server.start()
    assert prig.everything() == beside
    OPERATIONS[name](store)
    assert (state_of(tree), prig.everything()) != (before, beside)
    assert problems(store) == []


def test_restoring_while_the_databases_are_down(store: IRedMailDirectory, prig: PolicyRig, tree: LdapRig) -> None:
    had = content(store, prig, BOB)
    record = store.accounts.delete(BOB)
    assert record
    before = state_of(tree)
    prig.server.kill()
    with pytest.raises(StoreUnavailable):
        store.deleted.restore(record.id)
    assert state_of(tree) == before
    prig.server.start()
    leave(prig, BOB)
    store.deleted.restore(record.id)
    assert content(store, prig, BOB) == {**had, "counters": "[]"}
    assert mentions(prig, "former") == []


@pytest.mark.parametrize("name", ["delete", "rename", "delete alias", "delete domain"])
def test_the_databases_go_down_when_the_directory_is_changed(
    store: IRedMailDirectory, prig: PolicyRig, name: str
) -> None:
    """The operation is done and says what remains; doing it again removes that."""

    def crash(_number: int, kind: str, _dn: str) -> None:
        if kind in {"delete", "rename"} and prig.server.running:
            prig.server.kill()

    had = content(store, prig, BOB)
    with watching(store, crash), pytest.raises(StoreUnavailable, match="remain in the database") as caught:
        OPERATIONS[name](store)
    gone = {"delete alias": SALES, "delete domain": "example.com"}.get(name, BOB)
    assert gone in str(caught.value.state)
    prig.server.start()
    if name == "rename":
        assert content(store, prig, NEW) == had
    assert {finding.code for finding in store.check() if finding.severity == "error"} == {"left-over"}
    with pytest.raises(NotFound):
        OPERATIONS[name](store)
    if name == "delete domain":  # nobody knows any more what aliases its accounts had elsewhere
        for address in ("b@example.org", "bob@alias.example"):
            store.throttles.delete(address, "inbound")
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def went_well(store: IRedMailDirectory, work: Work) -> bool:
    """Do something; tell whether it was done, now or earlier, and not stopped by a server that is away."""
    try:
        work(store)
    except StoreUnavailable:
        return False
    except (NotFound, AlreadyExists):
        return True
    return True


@pytest.mark.usefixtures("_free_locks")
@pytest.mark.parametrize("name", ["rename", "delete", "rename list", "alias domain gone", "create"])
def test_a_directory_that_stays_away(store: IRedMailDirectory, prig: PolicyRig, tree: LdapRig, name: str) -> None:
    """Whoever has a name has its own settings then; the same call finishes when the directory is back."""
    leave(prig, FREE)
    wanted = {address: content(store, prig, address) for address in (BOB, EVE, CREW)}
    wanted |= {NEW: wanted[BOB], FREE: wanted[CREW if "list" in name else EVE]}
    for number in count(1):

        def crash(sent: int, _kind: str, _dn: str, doomed: int = number) -> None:
            if sent == doomed:
                tree.server.kill()

        with watching(store, crash):
            done = went_well(store, OPERATIONS[name])
        if not tree.server.running:
            tree.server.start()
        for address, settings in wanted.items():
            if store.accounts.exists(address) or store.lists.exists(address):
                assert content(store, prig, address) == settings, (number, address)
        if done:
            break
    assert number > 3
    assert [finding for finding in problems(store) if finding.subject != FREE] == []


def test_whoever_sets_something_while_the_account_goes(store: IRedMailDirectory, prig: PolicyRig) -> None:
    for round_ in range(3):
        raised = together(
            lambda: store.accounts.delete(EVE),
            lambda: store.spam_policies.set(EVE, spam_score=4),
            lambda: store.throttles.set(EVE, "inbound", period=60),
        )
        assert {type(error) for error in raised} <= {NotFound}, round_
        assert set(mentions(prig, EVE)) <= {"mailaddr"}
        store.accounts.create(EVE, password_hash=HASH)


def test_names_without_settings_cost_the_directory_nothing(store: IRedMailDirectory, tree: LdapRig) -> None:
    works: tuple[Work, ...] = (OPERATIONS["create"], lambda store: store.accounts.delete(FREE))
    with tree.open_without_disk() as plain:
        expected = [writes_of(plain, work) for work in works]
    assert [writes_of(store, work) for work in works] == expected


def test_commands(store: IRedMailDirectory, prig: PolicyRig, tree: LdapRig) -> None:
    url = f"{tree.cli_url}&{urlencode({option: prig.url(option) for option in NAMES})}"
    before = prig.everything(), tree.server.dump()
    for line in ("policy delete", "account delete"):
        dry = run("--url", url, *line.split(), BOB, "--dry-run")
        assert dry.exit_code == 0, dry.output
    assert (prig.everything(), tree.server.dump()) == before
    assert run("--url", url, "throttle", "show", CREW, "inbound").exit_code == 0
    assert run("--url", url, "policy", "delete", BOB, "--yes").exit_code == 0
    assert store.spam_policies.get(BOB).spam_score is None
