"""Nothing raw reaches a caller: whatever stands in a parameter, it is taken, or refused by an error of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability, Edit, InvalidValue, MailstoreError, StoreError
from mailstore.fields import AccountFields, AdminFields, AliasFields, DomainFields, MailingListFields
from tests.contract.hosting import host
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from mailstore import Store

BOB = "bob@example.com"
VALUES: tuple[Any, ...] = (
    *(None, "", "\0", "a\0b", "\ud800", "\U0001f600", "x" * 70000, 10**40, -1, 2**63, 1.5, float("nan"), True, b"x"),
    *(
        [],
        {},
        ["\0"],
        ["\ud800"],
        ["\U0001f600@x.org"],
        ["x" * 400 + "@x.org"],
        [1],
        [None],
        [[]],
        object(),
        datetime.min,  # noqa: DTZ901 a wrong type
    ),
    *(
        date.max,
        "../..",
        "a:b;c:d;",
        "99999999999999999999G",
        ["1.2.3.4/99"],
        ["10.0.0.0/8"] * 3000,
        "smtp:" + "x" * 300,
    ),
    *(Edit(add=["\0"]), Edit(remove=["\0"]), Edit(add=[1]), Edit(remove=[None]), Edit(add="abc")),  # type: ignore[list-item]
)


@pytest.fixture(params=["sqlite", "postgresql", "ldap", "mailinabox", "atmail", "afterlogic-mysql"])
def store(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Store:
    rig = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    host(rig.shared, "example.com")
    rig.shared.accounts.create(BOB, password="secret-1")
    return rig.shared


def calls(store: Store, value: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    """Iterate over calls that take a value, with the name of the parameter; those that create something remove it again."""
    has, accounts = store.capabilities, store.accounts
    for name in AccountFields.__annotations__:
        yield name, lambda name=name: accounts.update(BOB, **{name: value})  # type: ignore[misc]
    if Capability.DOMAINS in has:
        for name in DomainFields.__annotations__:
            yield name, lambda name=name: store.domains.update("example.com", **{name: value})  # type: ignore[misc]
    if Capability.ALIASES in has:
        for name in AliasFields.__annotations__:
            yield name, lambda name=name: _aliased(store, {"members": [BOB], name: value})  # type: ignore[misc]
    if Capability.LISTS in has:
        for name in MailingListFields.__annotations__:
            yield name, lambda name=name: _listed(store, {name: value})  # type: ignore[misc]
    if Capability.STANDALONE_ADMINS in has:
        for name in AdminFields.__annotations__:
            yield name, lambda name=name: _administered(store, {name: value})  # type: ignore[misc]
    yield "", lambda: accounts.get(value)
    yield "", lambda: accounts.exists(value)
    yield "", lambda: accounts.create(value, password="secret-1")
    yield "", lambda: store.domains.get(value)
    yield "", lambda: store.domains.exists(value)
    yield "", lambda: store.domains.add_alias_domains("example.com", value)
    yield "search", lambda: list(accounts.list(search=value))
    yield "search", lambda: accounts.count(search=value)
    yield "search", lambda: list(store.domains.list(search=value))
    yield "home", lambda: accounts.create("new@example.com", password="secret-1", home=value or "x")
    yield "", lambda: accounts.verify_password(BOB, value)
    yield "", lambda: accounts.create_many(value)
    yield "", lambda: accounts.create_many([{"address": value, "password": "secret-1"}])
    yield "", lambda: accounts.create_many([{"address": "new@example.com", "password": value}] if value else [])
    yield "keep_mailbox_days", lambda: accounts.delete("nobody@example.com", keep_mailbox_days=value)
    yield "", lambda: store.deleted.get(value)
    yield "", lambda: store.deleted.restore(value)
    yield "", lambda: list(store.deleted.list(due=value))
    yield "", lambda: list(store.deleted.list(address=value))


def _aliased(store: Store, fields: Any) -> None:
    store.aliases.create("all@example.com", **fields)
    store.aliases.delete("all@example.com")


def _listed(store: Store, fields: Any) -> None:
    store.lists.create("all@example.com", **fields)
    store.lists.delete("all@example.com")


def _administered(store: Store, fields: Any) -> None:
    store.admins.create("chief@far.org", password="secret-1", **fields)
    store.admins.delete("chief@far.org")


def test_odd_values_of_parameters(store: Store) -> None:
    raw: list[str] = []
    for value in VALUES:
        for name, call in calls(store, value):
            try:
                call()
            except MailstoreError as error:
                if isinstance(error, StoreError):  # an engine's own words for what we should have known
                    raw.append(f"{name}={value!r:.40}: {error!r:.200}")
            except Exception as error:  # noqa: BLE001 all of them are collected
                raw.append(f"{name}={value!r:.40}: {error!r:.200}")
    assert raw == []
    assert store.accounts.get(BOB).address == BOB
    list(store.check())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("language", 5, "language: text is wanted, not int"),
        ("enabled", "no", "enabled: True or False is wanted"),
        ("forwarding", "x@far.org", "forwarding: a list of names is wanted"),
        ("aliases", [None], "aliases: text is wanted, not NoneType"),
        ("timezone", "Europe/\0Rome", "timezone: it holds a NUL character"),
        ("allow_nets", 10, "allow_nets: a list of names is wanted"),
    ],
)
def test_the_parameter_is_named(name: str, value: Any, message: str, rigs: Callable[[str], StoreRig]) -> None:
    rig = rigs("sqlite")
    rig.clear()
    rig.shared.domains.create("example.com")
    with pytest.raises(InvalidValue, match=message):
        rig.shared.accounts.create(BOB, password="secret-1", **{name: value})
    assert rig.shared.accounts.count() == 0


LISTED = ("accounts", "domains", "aliases", "lists", "admins", "deleted")
"""Collections, as far as a store has them."""


def selections(store: Store) -> Iterator[tuple[str, str, str]]:
    """Iterate over what can be given to lists and counts: collection, method, parameter."""
    wanted = {"aliases": Capability.ALIASES, "lists": Capability.LISTS, "admins": Capability.ADMINS}
    for room in LISTED:
        if room in wanted and wanted[room] not in store.capabilities:
            continue
        for method in ("list", "count"):
            for name in inspect.signature(getattr(getattr(store, room), method)).parameters:
                yield room, method, name


def test_what_lists_are_narrowed_by(store: Store) -> None:
    """A wrong type is refused by name: it selects nothing, nor the half of it."""
    raw: list[str] = []
    for room, method, name in selections(store):
        for value in VALUES:
            try:
                found = getattr(getattr(store, room), method)(**{name: value})
                if method == "list":
                    list(found)
            except MailstoreError as error:
                fault = isinstance(error, StoreError)
            except Exception:  # noqa: BLE001 all of them are collected
                fault = True
            else:
                fault = name in {"enabled", "admins"} and value not in (None, True, False)
            if fault:
                raw.append(f"{room}.{method}({name}={value!r:.40})")
    assert raw == []
