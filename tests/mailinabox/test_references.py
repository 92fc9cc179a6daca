"""An alias of a box that loses its last name is nobody else's: asked of the box's own queries for Postfix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import InvalidValue
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from tests.mailinabox.test_readers import Postfix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailstore.sql.mailinabox.store import MailInABoxStore
    from tests.mailinabox.rig import BoxRig

READY = hash_password("secret")
BOB, EVE, OWNER = "bob@example.com", "eve@example.com", "owner@catch.com"
BOSS, NEWS = "boss@catch.com", "news@catch.com"


@pytest.fixture
def caught(store: MailInABoxStore) -> MailInABoxStore:
    """A box with three users, one of whom owns the catch-all of a domain."""
    for address in (BOB, EVE, OWNER):
        store.accounts.create(address, password_hash=READY)
    store.aliases.create("@catch.com", members=[OWNER])
    return store


@pytest.fixture
def postfix(caught: MailInABoxStore, workdir: Path) -> Postfix:
    return Postfix(workdir, caught)


def sender(postfix: Postfix, address: str) -> str | None:
    return postfix.ask("sender-login-maps", address) or postfix.ask(
        "sender-login-maps", f"@{address.partition('@')[2]}"
    )


class TestLastName:
    def test_deleting_a_user(self, caught: MailInABoxStore, postfix: Postfix) -> None:
        caught.aliases.create(BOSS, members=[BOB])
        caught.aliases.create(NEWS, members=[EVE], permitted_senders=[BOB])
        assert postfix.resolve("nobody@catch.com") == OWNER
        caught.accounts.delete(BOB)
        # The name is nobody's: mail bounces with 550, and nobody can log in as it.
        assert postfix.resolve(BOSS) == BOB
        assert sender(postfix, BOSS) == sender(postfix, NEWS) == BOB
        assert postfix.ask("virtual-mailbox-maps", BOB) is None

    def test_deleting_an_alias(self, caught: MailInABoxStore, postfix: Postfix) -> None:
        caught.aliases.create("team@example.com", members=[EVE])
        caught.aliases.create(BOSS, members=["team@example.com"])
        caught.aliases.delete("team@example.com")
        assert postfix.resolve(BOSS) == "team@example.com"

    def test_removing_the_last_member_is_refused(self, caught: MailInABoxStore, postfix: Postfix) -> None:
        caught.aliases.create(BOSS, members=[BOB], permitted_senders=[EVE])
        for change in (
            lambda: caught.aliases.remove_members(BOSS, [BOB]),
            lambda: caught.aliases.update(BOSS, members=[]),
        ):
            with pytest.raises(InvalidValue, match="catch-all"):
                change()
        assert postfix.resolve(BOSS) == BOB
        # Where nobody else would get the mail it is what the panel does.
        caught.aliases.create("boss@example.com", members=[BOB], permitted_senders=[EVE])
        caught.aliases.update("boss@example.com", members=[])
        assert postfix.resolve("boss@example.com") is None

    def test_removing_the_last_sender_does_not_let_the_members_send(
        self, caught: MailInABoxStore, postfix: Postfix
    ) -> None:
        from mailstore import Edit

        caught.aliases.create(NEWS, members=[BOB], permitted_senders=[EVE])
        with pytest.raises(InvalidValue, match="its members could send"):
            caught.aliases.update(NEWS, permitted_senders=Edit(remove=[EVE]))
        assert sender(postfix, NEWS) == EVE
        caught.aliases.update(NEWS, permitted_senders=[])
        assert sender(postfix, NEWS) == BOB

    def test_deleting_a_catch_all_leaves_alias_domains(self, caught: MailInABoxStore, postfix: Postfix) -> None:
        caught.accounts.create("kim@catch.com", password_hash=READY)
        caught.domains.add_alias_domains("catch.com", ["alias.com"])
        caught.aliases.delete("@catch.com")
        assert postfix.resolve("kim@alias.com") == "@catch.com"


class TestMadeAgain:
    """The panel takes a user who is made again for the former one, and so does everything that named it."""

    def lists(self, store: MailInABoxStore) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        found = [store.aliases.get(name) for name in ("team@example.com", BOSS, NEWS)]
        return [(alias.members, alias.permitted_senders) for alias in found]

    @pytest.fixture
    def named(self, caught: MailInABoxStore) -> MailInABoxStore:
        caught.aliases.create("team@example.com", members=[BOB, EVE])
        caught.aliases.create(BOSS, members=[BOB])
        caught.aliases.create(NEWS, members=[EVE], permitted_senders=[BOB, EVE])
        return caught

    def test_by_the_library(self, named: MailInABoxStore) -> None:
        before = self.lists(named)
        named.accounts.delete(BOB, keep_mailbox_days=1)
        assert self.lists(named) == [((EVE,), ()), ((BOB,), ()), ((EVE,), (EVE,))]
        named.accounts.create(BOB, password_hash=READY)
        assert self.lists(named) == before

    def test_by_the_panel(self, named: MailInABoxStore, box: BoxRig) -> None:
        before = self.lists(named)
        named.accounts.delete(BOB, keep_mailbox_days=1)
        box.insert("users", email=BOB, password=READY)
        assert [outcome.action for outcome in purge_due(named)] == []
        assert self.lists(named) == before

    def test_from_a_record(self, named: MailInABoxStore) -> None:
        before = self.lists(named)
        record = named.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        named.deleted.restore(record.id)
        assert self.lists(named) == before

    def test_on_a_box_that_keeps_no_records(self, new_box: Callable[..., BoxRig]) -> None:
        with new_box().open() as store:
            for address in (BOB, EVE):
                store.accounts.create(address, password_hash=READY)
            store.aliases.create("team@example.com", members=[BOB, EVE])
            store.accounts.delete(BOB)
            # Nobody could put back what was taken away; the panel takes nothing away.
            assert store.aliases.get("team@example.com").members == (BOB, EVE)


class TestSpellings:
    def test_what_leads_to_a_user(self, caught: MailInABoxStore, box: BoxRig) -> None:
        caught.domains.add_alias_domains("example.com", ["alias.com"])
        spelt = "Bob@Example.com,bob@alias.com,bob+x@example.com"
        box.insert("aliases", source="team@example.com", destination=f"{EVE},{spelt},bobby@example.com")
        record = caught.accounts.delete(BOB, keep_mailbox_days=1)
        assert record is not None
        assert box.rows("aliases", source="team@example.com")[0]["destination"] == f"{EVE},bobby@example.com"
        caught.deleted.restore(record.id)
        assert box.rows("aliases", source="team@example.com")[0]["destination"] == f"{EVE},bobby@example.com,{spelt}"
        caught.aliases.remove_members("team@example.com", [BOB])
        assert caught.aliases.get("team@example.com").members == ("bobby@example.com", EVE)

    def test_somebody_elses_address_under_an_alias_domain(self, caught: MailInABoxStore) -> None:
        caught.domains.add_alias_domains("example.com", ["alias.com"])
        caught.aliases.create("bob@alias.com", members=[EVE])
        caught.aliases.create(BOSS, members=["bob@alias.com", OWNER])
        caught.accounts.delete(BOB)
        assert caught.aliases.get(BOSS).members == ("bob@alias.com", OWNER)

    def test_an_alias_domain_that_goes_leaves_nothing_to_strangers(self, caught: MailInABoxStore) -> None:
        caught.domains.add_alias_domains("example.com", ["alias.com"])
        caught.aliases.create(BOSS, members=["bob@alias.com", OWNER])
        caught.domains.remove_alias_domains("example.com", ["alias.com"])
        assert caught.aliases.get(BOSS).members == (BOB, OWNER)

    def test_a_rename_of_an_alias(self, caught: MailInABoxStore) -> None:
        caught.domains.add_alias_domains("example.com", ["alias.com"])
        caught.aliases.create("team@example.com", members=[BOB, EVE])
        caught.aliases.create(BOSS, members=["team@alias.com", "team+x@example.com"])
        caught.aliases.rename("team@example.com", "crew@example.com")
        assert caught.aliases.get(BOSS).members == ("crew+x@example.com", "crew@alias.com")
