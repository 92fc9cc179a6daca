"""Racing writers, each a process of its own: one name space, limits that hold, nothing lost, nothing purged twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailstore import AlreadyExists, Edit, LimitExceeded, NotFound
from mailstore import purge as purge_module
from mailstore.maildir import TRASH
from mailstore.passwords import hash_password
from mailstore.purge import purge_due
from mailstore.sql.iredmail.store import IRedMailStore
from tests.faults.children import race, refusals, successes
from tests.faults.states import errors, files
from tests.rigs import Rig

HASH = hash_password("secret")
MANY = 16


@pytest.fixture(autouse=True)
def domains(store: IRedMailStore) -> None:
    store.domains.create("example.com")
    store.domains.create("other.com")
    store.domains.add_alias_domains("example.com", ["alias.com"])


@pytest.fixture
def people(store: IRedMailStore) -> list[str]:
    """Eight accounts with a message each."""
    addresses = [f"u{number}@example.com" for number in range(8)]
    for address in addresses:
        store.accounts.create(address, password_hash=HASH)
        (Path(str(store.accounts.get(address).home)) / "Maildir/new/1").write_text(address)
    return addresses


def create(store: IRedMailStore, address: str, **fields: Any) -> str:
    return store.accounts.create(address, password_hash=HASH, **fields).address


def homes_on_disk(rig: Rig) -> int:
    return len([path for path in rig.root.glob("**/Maildir") if TRASH not in path.parts])


class TestOneName:
    def test_creators_in_processes(self, rig: Rig) -> None:
        outcomes = race(rig, [partial(create, rig.shared, "bob@example.com")] * MANY)
        assert successes(outcomes) == ["bob@example.com"]
        assert refusals(outcomes) == [AlreadyExists] * (MANY - 1)
        assert homes_on_disk(rig) == 1

    def test_creators_in_threads_of_one_store(self, rig: Rig) -> None:
        def attempt(_number: int) -> Any:
            try:
                return create(rig.shared, "bob@example.com")
            except AlreadyExists as error:
                return error

        with ThreadPoolExecutor(MANY) as pool:
            outcomes = list(pool.map(attempt, range(MANY)))
        assert successes(outcomes) == ["bob@example.com"]
        assert homes_on_disk(rig) == 1

    def test_every_kind_of_holder(self, rig: Rig, people: Sequence[str]) -> None:
        """An account, an alias, per-account aliases, and a per-account alias that covers it under an alias domain."""
        store, name = rig.shared, "sales@example.com"
        kinds: list[Callable[[], object]] = [
            partial(create, store, name),
            partial(store.aliases.create, name, members=[people[0]]),
            partial(store.accounts.add_aliases, people[1], [name]),
            partial(store.accounts.add_aliases, people[2], ["sales@alias.com"]),
            partial(store.accounts.rename, people[3], name),
            partial(create, store, "x@example.com", aliases=[name]),
        ]
        outcomes = race(rig, kinds)
        assert len(successes(outcomes)) == 1
        assert set(refusals(outcomes)) <= {AlreadyExists, NotFound}  # NotFound: renamed already
        assert errors(rig) == []

    def test_domain_alias_domain_and_admin(self, rig: Rig) -> None:
        store = rig.shared
        outcomes = race(
            rig,
            [
                partial(store.domains.create, "new.com"),
                partial(store.domains.create, "new.com"),
                partial(store.domains.add_alias_domains, "example.com", ["new.com"]),
                partial(store.domains.add_alias_domains, "other.com", ["new.com"]),
            ]
            * 3,
        )
        # Adding an alias domain that the same domain has already is no error.
        assert set(refusals(outcomes)) == {AlreadyExists}
        holders = len(rig.rows("domain", domain="new.com")) + len(rig.rows("alias_domain", alias_domain="new.com"))
        assert holders == 1

    def test_admin_and_its_domain(self, rig: Rig) -> None:
        """A standalone admin must not lie in a domain of the store."""
        store = rig.shared
        for name in ("new1.com", "new2.com", "new3.com"):
            create_admin = partial(store.admins.create, f"root@{name}", password_hash=HASH)
            outcomes = race(rig, [partial(store.domains.create, name), create_admin])
            assert len(successes(outcomes)) == 1
        assert errors(rig) == []

    def test_admin_and_its_alias_domain(self, rig: Rig) -> None:
        store = rig.shared
        for name in ("new1.com", "new2.com", "new3.com"):
            create_admin = partial(store.admins.create, f"root@{name}", password_hash=HASH)
            outcomes = race(rig, [partial(store.domains.add_alias_domains, "example.com", [name]), create_admin])
            assert len(successes(outcomes)) == 1
        assert errors(rig) == []

    def test_rename_and_create(self, rig: Rig, people: Sequence[str]) -> None:
        store, name = rig.shared, "bob@example.com"
        renames = [partial(store.accounts.rename, address, name) for address in people]
        outcomes = race(rig, [*renames, *[partial(create, store, name)] * 8])
        assert len(successes(outcomes)) == 1
        assert set(refusals(outcomes)) == {AlreadyExists}
        assert files(rig.root).keys() >= set(people)

    def test_renames_across_domains_in_both_directions(self, rig: Rig, people: Sequence[str]) -> None:
        """Both need the rows of both domains; nobody may end in a deadlock."""
        store = rig.shared
        there = [create(store, f"v{number}@other.com") for number in range(4)]
        to_other = [partial(store.accounts.rename, name, name.replace("example", "other")) for name in people]
        to_example = [partial(store.accounts.rename, name, name.replace("other", "example")) for name in there]
        outcomes = race(rig, [*to_other, *to_example])
        assert refusals(outcomes) == []
        assert store.accounts.count(domain="other.com") == len(people)
        assert store.accounts.count(domain="example.com") == len(there)

    def test_delete_twice(self, rig: Rig, people: Sequence[str]) -> None:
        outcomes = race(rig, [partial(rig.shared.accounts.delete, people[0])] * 8)
        assert len(successes(outcomes)) == 1
        assert refusals(outcomes) == [NotFound] * 7
        assert rig.shared.deleted.count() == 1

    def test_restore_twice_and_create(self, rig: Rig, people: Sequence[str]) -> None:
        record = rig.shared.accounts.delete(people[0])
        assert record is not None
        restores = [partial(rig.shared.deleted.restore, record.id)] * 4
        outcomes = race(rig, [*restores, *[partial(create, rig.shared, people[0])] * 4])
        assert len(successes(outcomes)) == 1
        assert set(refusals(outcomes)) <= {AlreadyExists, NotFound}

    def test_accounts_of_a_domain_that_goes(self, rig: Rig, people: Sequence[str]) -> None:
        creators = [partial(create, rig.shared, f"n{number}@example.com") for number in range(8)]
        outcomes = race(rig, [*creators[:4], partial(rig.shared.domains.delete, "example.com"), *creators[4:]])
        assert set(refusals(outcomes)) <= {NotFound}
        assert rig.shared.accounts.count() == 0
        assert rig.rows("forwardings") == []
        made = [outcome for outcome in successes(outcomes) if isinstance(outcome, str)]
        assert rig.shared.deleted.count() == len(people) + len(made)


class TestLimits:
    def test_accounts_of_a_domain(self, rig: Rig) -> None:
        rig.shared.domains.update("example.com", max_accounts=5)
        outcomes = race(rig, [partial(create, rig.shared, f"n{number}@example.com") for number in range(MANY)])
        assert len(successes(outcomes)) == rig.shared.accounts.count() == homes_on_disk(rig) == 5
        assert refusals(outcomes) == [LimitExceeded] * (MANY - 5)

    def test_quota_of_a_domain(self, rig: Rig, people: Sequence[str]) -> None:
        """Accounts are made, enlarged and moved here, all at once."""
        store = rig.shared
        for address in people:
            store.accounts.update(address, quota="100M")
        store.domains.update("other.com", quota="1000M")
        actions: list[Callable[[], object]] = [
            partial(create, store, f"n{number}@other.com", quota="300M") for number in range(6)
        ]
        actions += [partial(store.accounts.rename, name, name.replace("example", "other")) for name in people]
        outcomes = race(rig, actions)
        assert set(refusals(outcomes)) == {LimitExceeded}
        quotas = [row["quota"] for row in rig.rows("mailbox", domain="other.com")]
        assert 700 < sum(quotas) <= 1000

    def test_enlarged_quotas(self, rig: Rig, people: Sequence[str]) -> None:
        store = rig.shared
        for address in people:
            store.accounts.update(address, quota="1M")
        store.domains.update("example.com", quota="305M")
        outcomes = race(rig, [partial(store.accounts.update, address, quota="100M") for address in people])
        assert len(successes(outcomes)) == 3
        assert set(refusals(outcomes)) == {LimitExceeded}

    def test_domains_of_an_admin(self, rig: Rig) -> None:
        rig.shared.admins.create("reseller@else.org", password="x", max_domains=3)
        acting = rig.shared.acting_as("reseller@else.org")
        outcomes = race(rig, [partial(acting.domains.create, f"d{number}.com", max_accounts=1) for number in range(8)])
        assert len(successes(outcomes)) == 3
        assert refusals(outcomes) == [LimitExceeded] * 5

    def test_accounts_that_an_admin_allocates(self, rig: Rig) -> None:
        rig.shared.admins.create("reseller@else.org", password="x", max_domains=8, max_accounts=10)
        acting = rig.shared.acting_as("reseller@else.org")
        outcomes = race(rig, [partial(acting.domains.create, f"d{number}.com", max_accounts=4) for number in range(8)])
        assert len(successes(outcomes)) == 2
        assert refusals(outcomes) == [LimitExceeded] * 6


class TestReadModifyWrite:
    def test_settings_of_a_domain(self, rig: Rig) -> None:
        """All of these share one column."""
        fields: dict[str, Any] = {
            "default_account_quota": "1G", "max_account_quota": "9G", "min_password_length": 8,
            "max_password_length": 64, "default_language": "de_DE", "disabled_services": ["pop3"],
            "disabled_domain_profiles": ["bcc"], "disabled_user_profiles": ["bcc"],
        }  # fmt: skip
        update = rig.shared.domains.update
        outcomes = race(rig, [partial(update, "example.com", **{name: value}) for name, value in fields.items()])
        assert refusals(outcomes) == []
        one_by_one = rig.shared.domains.update("other.com", **fields)
        together = rig.shared.domains.get("example.com")
        for name in fields:
            assert getattr(together, name) == getattr(one_by_one, name), name

    def test_lists_of_names(self, rig: Rig, people: Sequence[str]) -> None:
        store, bob = rig.shared, people[0]
        store.aliases.create("all@example.com", members=["a@other.org"])
        names = [f"x{number}@other.org" for number in range(4)]
        aliases = [f"b{number}@example.com" for number in range(4)]
        outcomes = race(
            rig,
            [
                *[partial(store.accounts.update, bob, forwarding=Edit(add=[name])) for name in names],
                *[partial(store.accounts.add_aliases, bob, [alias]) for alias in aliases],
                *[partial(store.aliases.add_members, "all@example.com", [name]) for name in names],
            ],
        )
        assert refusals(outcomes) == []
        assert store.accounts.get(bob).forwarding == tuple(names)
        assert store.accounts.get(bob).aliases == tuple(aliases)
        assert store.aliases.get("all@example.com").members == ("a@other.org", *names)

    def test_rename_and_changes(self, rig: Rig, people: Sequence[str]) -> None:
        """Whoever refers to an account while it is renamed refers to it afterwards, under one of its names."""
        store, bob = rig.shared, people[0]
        store.aliases.create("all@example.com", members=[bob])
        outcomes = race(
            rig,
            [
                partial(store.accounts.rename, bob, "bob@example.com"),
                *[partial(store.accounts.update, address, forwarding=[bob]) for address in people[1:5]],
                *[partial(store.accounts.add_aliases, bob, [f"b{number}@example.com"]) for number in range(4)],
            ],
        )
        assert set(refusals(outcomes)) <= {NotFound}
        assert store.aliases.get("all@example.com").members == ("bob@example.com",)


class TestPurge:
    def test_two_purgers(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """In small batches, so that both get some."""
        monkeypatch.setattr(purge_module, "_BATCH", 2)
        store = rig.shared
        store.accounts.create_many({"address": f"p{number}@other.com", "password_hash": HASH} for number in range(30))
        store.domains.delete("other.com", keep_mailbox_days=0)
        records = {record.id for record in store.deleted.list()}
        keeper = create(store, "p0@example.com")

        def purge() -> list[tuple[str, int | None]]:
            return [(outcome.action, outcome.record.id if outcome.record else None) for outcome in purge_due(store)]

        outcomes = race(rig, [purge, purge])
        assert refusals(outcomes) == []
        done = [entry for outcome in outcomes for entry in outcome if entry[1] is not None]
        assert sorted(done) == sorted(("purged", record) for record in records)
        # Trash that the other one was about to remove may have been removed twice; that is no error.
        assert {action for outcome in outcomes for action, _ in outcome} == {"purged"}
        assert store.deleted.count() == 0
        assert store.homes is not None
        assert list(store.homes.find_homes()) == [store.accounts.get(keeper).home]
        assert list(store.homes.trashed()) == []

    def test_purge_and_restore(self, rig: Rig, people: Sequence[str]) -> None:
        """Each mailbox is either restored with its mail, or purged."""
        store = rig.shared
        ids = {}
        for address in people:
            record = store.accounts.delete(address, keep_mailbox_days=0)
            assert record is not None
            ids[address] = record.id
        restores = [partial(store.deleted.restore, ids[address]) for address in people]
        outcomes = race(rig, [*restores, lambda: [outcome.action for outcome in purge_due(store)]])
        assert set(refusals(outcomes)) <= {NotFound}
        alive = {account.address for account in store.accounts.list()}
        assert files(rig.root).keys() == alive
        assert store.deleted.count() == 0
