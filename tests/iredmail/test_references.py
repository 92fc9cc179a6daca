"""References are found under every spelling that Postfix follows, and whoever gets no mail leaves none to the catch-all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import make_url

from mailstore import Edit
from mailstore.passwords import hash_password
from tests.readers import PostfixMaps, postfix_for
from tests.rigs import counting
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.rigs import Rig
    from tests.stores import StoreRig

READY = hash_password("x")
BOB, KIM, EVE, BOARD = "bob@a.test", "kim@a.test", "eve@b.test", "board@a.test"


@pytest.fixture(params=["sqlite", "mysql"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Rig:
    """One engine that tells upper and lower case apart, and one that does not."""
    found = cast("Rig", rigs(request.param))
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def people(store: IRedMailStore) -> IRedMailStore:
    """Two domains, one with an alias domain, and three accounts."""
    store.domains.create("a.test")
    store.domains.add_alias_domains("a.test", ["aa.test"])
    store.domains.create("b.test")
    for address in (BOB, KIM, EVE):
        store.accounts.create(address, password_hash=READY)
    return store


def refer(rig: Rig, alias: str, *targets: str) -> None:
    """Write members as another tool does, spelt as it likes."""
    for target in targets:
        rig.insert(
            "forwardings", address=alias, forwarding=target, domain=alias.partition("@")[2],
            dest_domain=target.partition("@")[2], is_list=1, active=1,
        )  # fmt: skip


def targets(rig: Rig, address: str) -> list[str]:
    return sorted(row["forwarding"] for row in rig.rows("forwardings", address=address))


def _forwarder_off(store: IRedMailStore) -> None:
    store.accounts.update(BOB, forwarding=["x@gmail.example"], keep_copy=False)
    store.accounts.update(BOB, enabled=False)


def _restored_off(store: IRedMailStore) -> None:
    store.accounts.update(BOB, enabled=False)
    record = store.accounts.delete(BOB, keep_mailbox_days=1)
    assert record is not None
    store.deleted.restore(record.id)


def _renamed_empty(store: IRedMailStore) -> None:
    store.aliases.update(BOARD, members=[])
    store.aliases.rename(BOARD, "else@a.test")
    store.aliases.rename("else@a.test", BOARD)


def _made_empty(store: IRedMailStore) -> None:
    store.aliases.delete(BOARD)
    store.aliases.create(BOARD)


class TestSpellings:
    SPELT = ("Bob@A.test", "bob@aa.test", "bob+board@a.test", "BOB+x@AA.test")

    @pytest.fixture
    def board(self, people: IRedMailStore, rig: Rig) -> IRedMailStore:
        people.aliases.create(BOARD, members=[KIM])
        refer(rig, BOARD, *self.SPELT)
        return people

    def test_a_new_holder_of_the_name_gets_no_mail_of_the_former_one(self, board: IRedMailStore, rig: Rig) -> None:
        rig.insert("recipient_bcc_user", username=EVE, bcc_address="bob@aa.test", domain="b.test")
        rig.insert("sender_relayhost", account="bob@aa.test", relayhost="[relay.test]")
        record = board.accounts.delete(BOB, keep_mailbox_days=1)
        board.accounts.create(BOB, password_hash=READY)
        assert targets(rig, BOARD) == [KIM]
        assert rig.rows("recipient_bcc_user") == rig.rows("sender_relayhost") == []
        board.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        board.deleted.restore(record.id)
        assert targets(rig, BOARD) == sorted([KIM, *self.SPELT])
        assert [row["bcc_address"] for row in rig.rows("recipient_bcc_user")] == ["bob@aa.test"]
        assert [row["account"] for row in rig.rows("sender_relayhost")] == ["bob@aa.test"]

    def test_a_rename_takes_them_along(self, board: IRedMailStore, rig: Rig) -> None:
        board.accounts.rename(BOB, "robert@a.test")
        moved = {KIM, "robert@a.test", "robert@aa.test", "robert+board@a.test", "robert+x@aa.test"}
        assert set(targets(rig, BOARD)) == moved
        board.accounts.rename("robert@a.test", "robert@b.test")
        assert set(targets(rig, BOARD)) == {KIM, "robert@b.test", "robert+board@b.test", "robert+x@b.test"}
        assert {row["dest_domain"] for row in rig.rows("forwardings", address=BOARD)} == {"a.test", "b.test"}

    def test_an_alias_domain_that_goes_leaves_nothing_to_strangers(self, board: IRedMailStore, rig: Rig) -> None:
        board.accounts.add_aliases(KIM, ["queen@aa.test"])
        refer(rig, BOARD, "queen@aa.test")
        board.domains.remove_alias_domains("a.test", ["aa.test"])
        assert {name.lower() for name in targets(rig, BOARD)} == {KIM, BOB, "bob+board@a.test", "bob+x@a.test"}

    def test_a_restore_after_the_alias_domain_went(self, board: IRedMailStore, rig: Rig) -> None:
        record = board.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        board.domains.remove_alias_domains("a.test", ["aa.test"])
        board.deleted.restore(record.id)
        assert {name.lower() for name in targets(rig, BOARD)} == {KIM, BOB, "bob+board@a.test", "bob+x@a.test"}

    def test_a_domain_that_goes_takes_those_under_its_alias_domains(self, board: IRedMailStore, rig: Rig) -> None:
        board.aliases.create("all@b.test", members=[EVE])
        refer(rig, "all@b.test", "bob@aa.test", "Kim@A.test")
        board.domains.delete("a.test")
        assert targets(rig, "all@b.test") == [EVE]

    def test_what_is_removed_is_gone_however_it_was_spelt(self, board: IRedMailStore, rig: Rig) -> None:
        board.aliases.remove_members(BOARD, [BOB])
        assert targets(rig, BOARD) == [KIM]
        refer(rig, BOARD, "Leaver@Gmail.Example", "leaver+x@gmail.example")
        board.aliases.remove_members(BOARD, ["leaver@gmail.example"])
        # What a foreign server does with extensions nobody here knows.
        assert targets(rig, BOARD) == [KIM, "leaver+x@gmail.example"]
        for target in ("Leaver@Gmail.Example", "kim@aa.test"):
            rig.insert("forwardings", address=BOB, forwarding=target, domain="a.test", dest_domain="x", is_forwarding=1)
        board.accounts.update(BOB, forwarding=Edit(remove=["leaver@gmail.example", KIM]))
        assert targets(rig, BOB) == [BOB]

    def test_what_is_there_in_capitals_is_not_added_again(self, people: IRedMailStore, rig: Rig) -> None:
        people.aliases.create(BOARD)
        refer(rig, BOARD, "Kim@Gmail.Example")
        people.aliases.add_members(BOARD, ["kim@gmail.example"])
        assert targets(rig, BOARD) == ["Kim@Gmail.Example"]

    def test_somebody_elses_address_under_the_alias_domain_is_left_alone(self, people: IRedMailStore, rig: Rig) -> None:
        people.aliases.create(BOARD, members=[KIM])
        rig.insert(
            "forwardings", address="bob@aa.test", forwarding=EVE, domain="a.test", dest_domain="b.test", is_alias=1
        )
        refer(rig, BOARD, "bob@aa.test")
        people.accounts.delete(BOB)
        assert targets(rig, BOARD) == ["bob@aa.test", KIM]

    def test_references_to_the_aliases_of_an_account_go_with_it(self, people: IRedMailStore, rig: Rig) -> None:
        people.accounts.add_aliases(BOB, ["chief@a.test"])
        people.aliases.create(BOARD, members=["chief@a.test", KIM])
        record = people.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        assert targets(rig, BOARD) == [KIM]
        people.deleted.restore(record.id)
        assert targets(rig, BOARD) == ["chief@a.test", KIM]
        record = people.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        people.accounts.add_aliases(EVE, ["chief@a.test"])
        people.deleted.restore(record.id)
        assert targets(rig, BOARD) == [KIM]

    def test_their_number_costs_nothing(self, people: IRedMailStore) -> None:
        costs = []
        for number in (1, 30):
            people.accounts.add_aliases(BOB, [f"b{each}@a.test" for each in range(number)])
            for each in range(number):
                people.aliases.create(f"list{each}@a.test", members=[BOB, KIM])
            with counting(people) as seen:
                people.accounts.delete(BOB)
            costs.append(len(seen))
            people.accounts.create(BOB, password_hash=READY)
            for each in range(number):
                people.aliases.delete(f"list{each}@a.test")
        assert costs[0] == costs[1]


class TestCatchAll:
    """Asked of iRedMail's own queries: who gets no mail leaves it to nobody, the owner of the catch-all included."""

    @pytest.fixture
    def rig(self, rigs: Callable[[str], StoreRig]) -> Rig:
        found = cast("Rig", rigs("sqlite"))
        found.clear()
        empty_homes(found)
        return found

    @pytest.fixture
    def maps(self, rig: Rig, workdir: Path) -> PostfixMaps:
        return postfix_for(workdir, make_url(rig.native))

    @pytest.fixture
    def caught(self, people: IRedMailStore) -> Iterator[IRedMailStore]:
        people.domains.update("a.test", catch_all=[EVE])
        yield people
        people.domains.update("a.test", catch_all=[])
        assert not [finding for finding in people.check() if finding.severity == "error"]

    WAYS: tuple[tuple[str, Callable[[IRedMailStore], Any]], ...] = (
        ("an account is switched off", lambda store: store.accounts.update(BOB, enabled=False)),
        ("all are", lambda store: store.accounts.update_all("a.test", enabled=False)),
        ("it forwarded without a copy", _forwarder_off),
        ("it comes back switched off", _restored_off),
    )

    @pytest.mark.parametrize(("way", "change"), WAYS, ids=[way for way, _ in WAYS])
    def test_of_accounts(self, caught: IRedMailStore, maps: PostfixMaps, way: str, change: Any) -> None:
        caught.accounts.add_aliases(BOB, ["chief@a.test"])
        assert maps.destinations("nobody@a.test") == {EVE}, way
        change(caught)
        for address in (BOB, "bob@aa.test", "chief@a.test", "bob+x@a.test"):
            assert maps.destinations(address) <= {BOB, "bob+x@a.test"}
        caught.accounts.update(BOB, enabled=True, forwarding=[], keep_copy=True)
        assert maps.destinations("chief@aa.test") == {BOB}
        assert caught.accounts.get(BOB).aliases == ("chief@a.test",)

    ALIAS_WAYS: tuple[tuple[str, Callable[[IRedMailStore], Any]], ...] = (
        ("its only member is deleted", lambda store: store.accounts.delete(KIM)),
        ("its only member is removed", lambda store: store.aliases.remove_members(BOARD, [KIM])),
        ("its members are replaced", lambda store: store.aliases.update(BOARD, members=[])),
        ("it is switched off", lambda store: store.aliases.update(BOARD, enabled=False)),
        ("it is renamed when empty", _renamed_empty),
        ("it is made without", _made_empty),
    )

    @pytest.mark.parametrize(("way", "change"), ALIAS_WAYS, ids=[way for way, _ in ALIAS_WAYS])
    def test_of_aliases(self, caught: IRedMailStore, maps: PostfixMaps, way: str, change: Any) -> None:
        caught.aliases.create(BOARD, members=[KIM])
        assert maps.destinations(BOARD) == {KIM}, way
        change(caught)
        for address in (BOARD, "board@aa.test"):
            assert maps.destinations(address) == {BOARD}
        if caught.accounts.exists(KIM):
            caught.aliases.update(BOARD, members=[KIM], enabled=True)
            assert maps.destinations("board@aa.test") == {KIM}
            assert caught.aliases.get(BOARD).members == (KIM,)

    def test_the_only_member_goes_with_its_domain(self, caught: IRedMailStore, maps: PostfixMaps) -> None:
        caught.domains.update("a.test", catch_all=[KIM])
        caught.aliases.create(BOARD, members=[EVE])
        caught.domains.delete("b.test")
        assert maps.destinations(BOARD) == {BOARD}

    def test_of_a_catch_all_that_is_set_later(self, people: IRedMailStore, maps: PostfixMaps, rig: Rig) -> None:
        people.accounts.update(BOB, enabled=False)
        people.aliases.create(BOARD)
        before = rig.everything()["forwardings"]
        assert people.accounts.get(BOB).forwarding == ()
        people.domains.update("a.test", catch_all=[EVE])
        assert (maps.destinations(BOB), maps.destinations(BOARD)) == ({BOB}, {BOARD})
        people.domains.update("a.test", catch_all=[])
        # Without one the mail is refused before it is sent.
        assert rig.everything()["forwardings"] == before
        assert maps.resolve("virtual_alias_maps", [BOB, BOARD]) == {}


def test_an_edit_of_the_services_of_a_new_account(store: IRedMailStore, rig: Rig) -> None:
    store.domains.create("a.test")
    usual = set(store.accounts.create(KIM, password_hash=READY).services)
    made = store.accounts.create(BOB, password_hash=READY, services=Edit(remove=["imap"]))
    assert set(made.services) == usual - {"imap"}
    assert set(store.accounts.create("z@a.test", password_hash=READY, services=Edit()).services) == usual
    rig.execute("UPDATE domain SET settings = 'disabled_mail_services:pop3;'")
    less = store.accounts.create("y@a.test", password_hash=READY, services=Edit(remove=["imap"], add=["smtp"]))
    row = rig.rows("mailbox", username=less.address)[0]
    assert (row["enablepop3"], row["enableimap"], row["enablesmtp"]) == (0, 0, 1)
