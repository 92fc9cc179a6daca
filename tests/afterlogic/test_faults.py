"""What goes wrong outside leaves everything or nothing: lost servers, killed processes, racing writers, bad characters."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists, InvalidValue, LimitExceeded, StoreUnavailable
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only
from tests.faults.children import fork, race, refusals, successes
from tests.faults.states import tree
from tests.faults.steps import before_statements, kill_at_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig
    from tests.servers.database import DatabaseServer

BOB, EVE = "bob@example.com", "eve@example.com"
MANY = 8
SERVERS = {"afterlogic-mysql": "mariadb", "afterlogic-postgresql": "postgresql"}


@pytest.fixture(autouse=True)
def bob(store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x", aliases=["b@example.com"])
    store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent=BOB))


@pytest.fixture
def server(rig: Rig, request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(SERVERS[rig.name])
    return found


def create(store: AfterLogicStore, address: str = EVE) -> object:
    return store.accounts.create(address, password="x", aliases=[f"a-{address}"])


def delete(store: AfterLogicStore) -> object:
    return store.accounts.delete(BOB)


def create_many(store: AfterLogicStore) -> object:
    return store.accounts.create_many([{"address": f"u{n}@example.com", "password": "x"} for n in range(3)])


OPERATIONS = [create, delete, create_many]


class TestCharacters:
    """MySQL's tables hold three bytes a character; a name with more must not leave half an account behind."""

    @only("mysql")
    def test_emoji_is_refused_and_leaves_nothing(self, rig: Rig, store: AfterLogicStore) -> None:
        rows, homes = rig.everything(), tree(rig.root)
        with pytest.raises(InvalidValue):
            store.accounts.create(EVE, password="x", name="Eve 😀")
        with pytest.raises(InvalidValue):
            store.accounts.update(BOB, settings=AccountSettings(signature="😀"))
        with pytest.raises(InvalidValue):
            store.domains.create("emoji.com", settings=DomainSettings(site_name="😀"))
        with pytest.raises(InvalidValue):
            store.accounts.create_many(
                [{"address": f"u{n}@example.com", "password": "x", "name": "😀"} for n in (1, 2)]
            )
        assert rig.everything() == rows
        assert tree(rig.root) == homes

    @only("sqlite", "postgresql")
    def test_emoji_elsewhere(self, store: AfterLogicStore) -> None:
        assert store.accounts.create(EVE, password="x", name="Eve 😀").name == "Eve 😀"

    def test_a_password_may_hold_them(self, store: AfterLogicStore) -> None:
        store.accounts.update(BOB, password="pä😀ss")
        assert store.accounts.verify_password(BOB, "pä😀ss")


@only("mysql", "postgresql")
class TestLostServer:
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_cut_before_any_statement(
        self, rig: Rig, store: AfterLogicStore, server: DatabaseServer, operation: Callable[[AfterLogicStore], object]
    ) -> None:
        rows, homes = rig.everything(), tree(rig.root)

        def cut(sent: int, _text: str, number: int) -> None:
            if sent == number:
                rig.engine.dispose()
                server.disconnect()

        for number in count(1, 7 if operation is delete else 3):
            with before_statements(store, partial(cut, number=number)):  # type: ignore[arg-type]
                try:
                    operation(store)
                    break
                except StoreUnavailable as error:
                    said = (error.temporary, error.state)
            assert said == (True, None)
            assert rig.everything() == rows, f"cut before statement {number}"
            assert tree(rig.root) == homes
        assert number > 3
        assert rig.everything() != rows
        store.close()

    def test_killed_in_the_middle_of_a_deletion(self, rig: Rig, store: AfterLogicStore, server: DatabaseServer) -> None:
        rows = rig.everything()

        def kill(sent: int, _text: str) -> None:
            if sent == 12:
                rig.engine.dispose()
                server.kill()

        try:
            with before_statements(store, kill), pytest.raises(StoreUnavailable) as caught:  # type: ignore[arg-type]
                delete(store)
            assert caught.value.temporary
        finally:
            server.start()
        store.close()
        assert rig.everything() == rows
        assert store.accounts.get(BOB).aliases == ("b@example.com",)
        delete(store)


class TestKilled:
    @only("sqlite", "mysql")
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_at_any_write(self, rig: Rig, operation: Callable[[AfterLogicStore], object]) -> None:
        """What is committed stays, what is not is as if it had not been; a home may be left, empty."""
        rows = rig.everything()
        for step in count(1, 5):

            def act(step: int = step) -> None:
                kill_at_step(rig.shared, step, coarse=True)  # type: ignore[arg-type]
                operation(rig.shared)

            child = fork(rig, act)  # type: ignore[arg-type]
            child.wait()
            if not child.killed:
                break
            if rig.everything() != rows:  # killed after the commit
                return
        assert rig.everything() != rows


class TestRaces:
    def test_one_address(self, rig: Rig) -> None:
        outcomes = race(rig, [partial(create, rig.shared)] * MANY)  # type: ignore[arg-type]
        assert len(successes(outcomes)) == 1
        assert refusals(outcomes) == [AlreadyExists] * (MANY - 1)
        assert len(rig.rows("awm_accounts", email=EVE)) == 1

    def test_outside_of_all_domains(self, rig: Rig) -> None:
        settings = AccountSettings(default_domain=True)
        action = partial(rig.shared.accounts.create, "ann@elsewhere.org", password="x", settings=settings)
        outcomes = race(rig, [action] * MANY)  # type: ignore[arg-type]
        assert len(successes(outcomes)) == 1
        assert len(rig.rows("awm_accounts", email="ann@elsewhere.org")) == 1

    def test_domain(self, rig: Rig) -> None:
        outcomes = race(rig, [partial(rig.shared.domains.create, "new.com")] * MANY)  # type: ignore[arg-type]
        assert len(successes(outcomes)) == 1
        assert refusals(outcomes) == [AlreadyExists] * (MANY - 1)

    def test_account_and_alias(self, rig: Rig) -> None:
        actions: list[Any] = [
            partial(rig.shared.accounts.create, EVE, password="x"),
            partial(rig.shared.accounts.add_aliases, BOB, [EVE]),
        ]
        outcomes = race(rig, actions * 3)  # type: ignore[arg-type]
        # Adding an alias that the account has already is no error.
        assert set(refusals(outcomes)) <= {AlreadyExists}
        taken = len(rig.rows("awm_accounts", email=EVE))
        table = "awm_mailaliases"
        assert taken + len(rig.rows(table, alias_name="eve")) == 1

    @only("mysql")
    def test_limit_of_a_tenant(self, rig: Rig, store: AfterLogicStore) -> None:
        store.tenants.create("acme", max_accounts=3)
        store.domains.create("acme.com", settings=DomainSettings(tenant="acme"))
        actions = [partial(store.accounts.create, f"u{number}@acme.com", password="x") for number in range(MANY)]
        outcomes = race(rig, actions)  # type: ignore[arg-type]
        assert len(successes(outcomes)) == 3
        assert set(refusals(outcomes)) == {LimitExceeded}

    def test_deletion_happens_once(self, rig: Rig) -> None:
        outcomes = race(rig, [partial(delete, rig.shared)] * 4)  # type: ignore[arg-type]
        assert len(successes(outcomes)) == 1
        assert len(rig.rows("mailstore_deleted_mailboxes")) == 1
