"""Writers on all nodes of a cluster: nothing is held twice, no limit is passed, and who loses is told so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from mailstore import AlreadyExists, Conflict, InvalidValue, LimitExceeded, MailstoreError
from tests.cluster.conftest import ROUNDS, Product
from tests.contract.hosting import credentials

LOSERS = (AlreadyExists, Conflict, InvalidValue, LimitExceeded)
everywhere = pytest.mark.parametrize("product", ["iredmail", "atmail", "afterlogic"], indirect=True)
with_aliases = pytest.mark.parametrize("product", ["iredmail", "atmail"], indirect=True)


def race(attempts: Sequence[Callable[[], object]]) -> list[MailstoreError | None]:
    """Run all attempts at once, and return what each of them was refused with."""
    start, refused = threading.Barrier(len(attempts)), [None] * len(attempts)

    def run(number: int) -> None:
        start.wait()
        try:
            attempts[number]()
        except MailstoreError as error:
            refused[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(attempts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(refused)


def require_one_winner(refused: Sequence[MailstoreError | None]) -> None:
    assert refused.count(None) == 1, refused
    assert all(error is None or isinstance(error, LOSERS) for error in refused), refused


def account(store: Any, address: str, **fields: Any) -> None:
    store.accounts.create(address, **credentials(store), **fields)


def alias(store: Any, address: str) -> None:
    store.aliases.create(address, members=["first@example.com"])


def own_alias(store: Any, address: str) -> None:
    store.accounts.add_aliases("first@example.com", [address])


def kinds_of(product: Product) -> list[Callable[[Any, str], None]]:
    """Return the ways to take an address. In atmail an alias of an account is an alias that leads to it: both win."""
    return {"iredmail": [account, alias, own_alias], "atmail": [account, alias]}.get(product.name, [account])


def named_so(store: Any, address: str) -> None:
    store.accounts.rename("other@example.com", address)


@pytest.fixture
def peopled(product: Product) -> Product:
    """A product with a domain and two accounts."""
    first = product.stores[0]
    first.domains.create("example.com")
    for name in ("first", "other"):
        account(first, f"{name}@example.com")
    return product


@everywhere
def test_one_address_in_all_kinds(peopled: Product) -> None:
    kinds = kinds_of(peopled)
    for number in range(ROUNDS):
        address = f"u{number}@example.com"
        attempts = [partial(kinds[(each + number) % len(kinds)], peopled.stores[each], address) for each in range(3)]
        require_one_winner(race(attempts))


@with_aliases
def test_sixteen_racers(peopled: Product) -> None:
    racers = [
        partial((account, alias)[each % 2], peopled.stores[each % 5 % 3], "many@example.com") for each in range(15)
    ]
    if own_alias in kinds_of(peopled):  # once: who has an alias already may be given it again
        racers.append(partial(own_alias, peopled.stores[2], "many@example.com"))
    require_one_winner(race(racers))


@with_aliases
def test_a_new_name_that_others_want_too(peopled: Product) -> None:
    for number in range(ROUNDS):
        address = f"new{number}@example.com"
        attempts = [
            partial(kind, peopled.stores[(each + number) % 3], address)
            for each, kind in enumerate((named_so, account, alias))
        ]
        require_one_winner(race(attempts))
        if not any(found.address == "other@example.com" for found in peopled.stores[0].accounts.list()):
            peopled.stores[0].accounts.rename(address, "other@example.com")


@pytest.mark.parametrize("product", ["iredmail"], indirect=True)
def test_names_of_domains(peopled: Product) -> None:
    for number in range(ROUNDS):
        name = f"d{number}.com"
        attempts = [
            lambda store, name=name: store.domains.create(name),
            lambda store, name=name: store.domains.add_alias_domains("example.com", [name]),
            lambda store, name=name: store.admins.create(f"boss@{name}", **credentials(store)),
        ]
        require_one_winner(
            race([partial(attempt, peopled.stores[(each + number) % 3]) for each, attempt in enumerate(attempts)])
        )


@pytest.mark.parametrize("product", ["iredmail"], indirect=True)
def test_limits_of_a_domain(peopled: Product) -> None:
    first = peopled.stores[0]
    for number in range(ROUNDS):
        name = f"limited{number}.com"
        first.domains.create(name, max_accounts=3, quota="10G")
        for known in range(2):
            account(first, f"known{known}@{name}", quota="4G")
        refused = race([partial(account, peopled.stores[each], f"u{each}@{name}", quota="2G") for each in range(3)])
        require_one_winner(refused)
        assert first.accounts.count(domain=name) == 3


def test_an_account_that_goes_and_gets_an_alias(peopled: Product) -> None:
    """The alias is refused, or goes with the account: nothing is left that leads to nobody."""
    for number in range(ROUNDS):
        address, name = f"going{number}@example.com", f"left{number}@example.com"
        account(peopled.stores[0], address)
        race([
            partial(peopled.stores[number % 3].accounts.delete, address),
            partial(peopled.stores[(number + 1) % 3].accounts.add_aliases, address, [name]),
        ])  # fmt: skip
        assert [row for row in peopled.rig.rows("forwardings") if name in (row["address"], row["forwarding"])] == []
    assert [finding for finding in peopled.stores[0].check() if finding.severity == "error"] == []


def test_a_transaction_of_the_caller_is_not_repeated(peopled: Product) -> None:
    one, other = peopled.stores[:2]

    def lose() -> None:
        with one.transaction():
            account(one, "one@example.com")
            account(other, "other2@example.com")

    with pytest.raises(Conflict):
        lose()
    assert {found.address for found in one.accounts.list()} == {
        "first@example.com", "other@example.com", "other2@example.com",
    }  # fmt: skip
