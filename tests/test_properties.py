"""Random operations on several kinds of stores at once, against a plain model of the contract (`tests.reference_model`).

Few names and few addresses, so that everything collides with everything. Each mailbox holds one file with a number that
says whose mail it is, whatever the account is called later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from mailstore import DeletedMailbox, Edit, MailstoreError, Quota, purge_due
from tests.reference_model import Call, ReferenceModel, Refusal, address_of
from tests.stores import StoreRig, empty_homes

STEPS = 25
DOMAINS = ("a.example", "b.example", "x.example")
"""Names of domains; any of them may be an alias domain at times, the last one often is."""
LOCAL_PARTS = ("bob", "eve", "ann", "sales", "info")
OUTSIDE = "out@else.example"
PASSWORDS = ("first", "second")
PREPARATION = (
    Call("domains", "create", ("a.example",)),
    Call("domains", "create", ("b.example",)),
    Call("domains", "add_alias_domains", ("a.example", ["x.example"])),
    Call("accounts", "create", ("bob@a.example",), {"password": "first"}),
    Call("accounts", "create", ("ann@b.example",), {"password": "first", "forwarding": ["bob@a.example"]}),
    Call("aliases", "create", ("sales@a.example",), {"members": ["bob@a.example", "ann@b.example"]}),
)
"""What every sequence begins with, so that there is something to collide with."""


# --- Stores -----------------------------------------------------------------------------------------------------------


SQL_ENGINES = ("sqlite", "mysql", "postgresql")


@pytest.fixture(scope="session")
def stores(rigs: Callable[[str], StoreRig]) -> Sequence[StoreRig]:
    """A store of each kind that has all the operations."""
    return [rigs(name) for name in (*SQL_ENGINES, "ldap")]


def emptied(rig: StoreRig) -> StoreRig:
    """Empty a store and its homes."""
    rig.clear()
    empty_homes(rig)
    return rig


@dataclass(frozen=True)
class Raised:
    """What an operation raised."""

    kind: type[MailstoreError]


class Runner:
    """Carries out calls on one store, and plays the mail server: it puts a marker into every new home."""

    def __init__(self, rig: StoreRig) -> None:
        self._store = rig.shared
        self._root = rig.root
        self._markers = 0

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Return what came of each call: a result, or `Raised`."""
        return [self._outcome(call) for call in calls]

    def _outcome(self, call: Call) -> Any:
        special: dict[str, Callable[..., Any]] = {
            "accounts.create": self._create,
            "accounts.create_many": self._create_many,
            "deleted.restore": self._restore,
            "deleted.reschedule": self._reschedule,
            "deleted.purge": self._purge,
        }
        name = f"{call.noun}.{call.verb}"
        operation = special.get(name) or getattr(getattr(self._store, call.noun), call.verb)
        try:
            result = operation(*call.arguments, **call.fields)
        except MailstoreError as error:
            return Raised(type(error))
        return result if isinstance(result, bool | int | list) else None

    def _create(self, address: str, **fields: Any) -> int:
        return self._mark(str(self._store.accounts.create(address, **fields).home))

    def _create_many(self, accounts: Sequence[dict[str, Any]]) -> int:
        count = self._store.accounts.create_many(accounts)
        for fields in accounts:
            self._mark(str(self._store.accounts.get(fields["address"]).home))
        return count

    def _mark(self, home: str) -> int:
        self._markers += 1
        Path(home, "Maildir/new", f"{self._markers}.marker").touch()
        return self._markers

    def _restore(self, address: str, number: int) -> None:
        self._store.deleted.restore(self._record_id(address, number))

    def _reschedule(self, address: str, number: int, **fields: Any) -> None:
        self._store.deleted.reschedule(self._record_id(address, number), **fields)

    def _record_id(self, address: str, number: int) -> int:
        found = list(self._store.deleted.list(address=address))
        return found[number].id if number < len(found) else 1 << 30

    def _purge(self, day: int) -> list[str]:
        today = datetime.now(UTC).date() + timedelta(days=day)
        outcomes = list(purge_due(self._store, today=today))
        assert {outcome.action for outcome in outcomes} <= {"purged"}
        return sorted(outcome.record.address for outcome in outcomes if outcome.record)

    def state(self) -> dict[str, Any]:
        """Return what the store holds, and whose mail lies where, as `state_of` does for the model."""
        store = self._store
        records = list(store.deleted.list())
        homes = {**{account.address: str(account.home) for account in store.accounts.list()}}
        return {
            "domains": {found.domain: _picked(found, DOMAIN_FIELDS) for found in store.domains.list()},
            "accounts": {found.address: _account_facts(found) for found in store.accounts.list()},
            "aliases": {
                found.address: _alias_facts(found.address, found.enabled, found.members)
                for found in store.aliases.list()
            },
            "admins": {found.address: _picked(found, ("global_admin", "domains")) for found in store.admins.list()},
            "records": sorted((record.address, _days(record), *_markers_in(Path(record.home))) for record in records),
            "mail": {address: _markers_in(Path(home)) for address, home in homes.items()},
            "disk": _markers_in(self._root),
        }

    def findings(self) -> list[Any]:
        """Return the broken invariants of the store."""
        return [finding for finding in self._store.check() if finding.severity == "error"]


DOMAIN_FIELDS = (
    *("enabled", "quota", "default_account_quota", "max_account_quota", "max_accounts", "max_aliases"),
    *("alias_domains", "catch_all", "admins"),
)
ACCOUNT_FIELDS = ("enabled", "quota", "forwarding", "keep_copy", "aliases", "admin", "global_admin")


def _picked(found: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(found, name) for name in names}


def _account_facts(found: Any) -> dict[str, Any]:
    return {**_picked(found, ACCOUNT_FIELDS), "services": sorted({"imap", "pop3"} & set(found.services))}


def _alias_facts(address: str, enabled: bool, members: Sequence[str]) -> dict[str, Any]:
    """Return what all stores tell of an alias: a directory does not show it as a member of itself."""
    return {"enabled": enabled, "members": tuple(member for member in members if member != address)}


def _days(record: DeletedMailbox) -> int:
    assert record.due is not None
    assert record.deleted is not None
    return (record.due - record.deleted.date()).days


def _markers_in(place: Path) -> tuple[int, ...]:
    return tuple(sorted(int(path.stem) for path in place.rglob("*.marker")))


def state_of(model: ReferenceModel) -> dict[str, Any]:
    """Return what a store in the state of the model holds."""
    listed = {name: tuple(sorted(_managing(model, name))) for name in model.domains}
    live = {address: (found.marker,) for address, found in model.accounts.items()}
    waiting = [record.account.marker for record in model.records]
    return {
        "domains": {
            name: {**_plain(found, DOMAIN_FIELDS[:-1]), "admins": listed[name]} for name, found in model.domains.items()
        },
        "accounts": {
            address: {**_plain(found, ACCOUNT_FIELDS), "services": sorted(found.services)}
            for address, found in model.accounts.items()
        },
        "aliases": {
            address: _alias_facts(address, found.enabled, sorted(found.members))
            for address, found in model.aliases.items()
        },
        "admins": {
            address: {"global_admin": found.global_admin, "domains": tuple(sorted(found.manages))}
            for address, found in model.accounts.items()
            if found.admin
        },
        "records": sorted((record.address, record.days, record.account.marker) for record in model.records),
        "mail": live,
        "disk": tuple(sorted([*waiting, *(found.marker for found in model.accounts.values())])),
    }


def _managing(model: ReferenceModel, domain: str) -> Iterator[str]:
    return (address for address, found in model.accounts.items() if domain in found.manages)


def _plain(found: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _as_stored(name, getattr(found, name)) for name in names}


def _as_stored(name: str, value: Any) -> Any:
    if name.endswith("quota"):
        return Quota(value and value << 20)
    return tuple(sorted(value)) if isinstance(value, set) else value


# --- Operations -------------------------------------------------------------------------------------------------------

Draw = Callable[[st.SearchStrategy[Any]], Any]
ADDRESSES = tuple(address_of(local, domain) for local in LOCAL_PARTS for domain in DOMAINS)
QUOTAS = st.sampled_from(("unlimited", "1M", "2M", "5M"))
COUNTS = st.sampled_from((None, None, 0, 1, 2, 4))
KEPT = st.sampled_from((None, 0, 10))
DESTINATIONS = st.lists(
    st.sampled_from((*(name for name in ADDRESSES if not name.endswith(DOMAINS[2])), OUTSIDE)), max_size=3, unique=True
)
"""Where mail goes: never to the domain that comes and goes as an alias domain, under which nothing has a pointer."""


class Author:
    """Writes a sequence of calls that is likely to be interesting, with the model in mind."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._model = ReferenceModel()
        self.calls: list[Call] = []

    def start(self) -> None:
        """Make the domains that every sequence begins with."""
        for call in PREPARATION:
            self._add(call)

    def step(self) -> None:
        """Add one call."""
        kinds = [kind for needed, found in KINDS.items() if getattr(self._model, needed) for kind in found]
        self._add(self._draw(st.sampled_from(kinds or [Author.create_domain]))(self))

    def _add(self, call: Call) -> None:
        self.calls.append(call)
        try:
            self._model.apply(call)
        except Refusal:
            return

    def _one_of(self, likely: Sequence[Any], others: Sequence[Any]) -> Any:
        """Draw one of the `likely` in three of four cases, where there are any."""
        if likely and self._draw(st.sampled_from((True, True, True, False))):
            return self._draw(st.sampled_from(sorted(likely)))
        return self._draw(st.sampled_from(others))

    def _domain(self) -> str:
        name: str = self._one_of([*self._model.domains], DOMAINS)
        return name

    def _account(self) -> str:
        name: str = self._one_of([*self._model.accounts], ADDRESSES)
        return name

    def _alias(self) -> str:
        name: str = self._one_of([*self._model.aliases], ADDRESSES)
        return name

    def _new(self) -> str:
        local, domain = self._draw(st.sampled_from(LOCAL_PARTS)), self._domain()
        return address_of(local, domain)

    def _record(self) -> tuple[str, int]:
        address = self._one_of([record.address for record in self._model.records], ADDRESSES)
        count = sum(record.address == address for record in self._model.records)
        return address, self._draw(st.integers(0, max(count - 1, 0)))

    def _names(self, strategy: st.SearchStrategy[list[str]]) -> Any:
        """Draw a whole set of names, or a change to one."""
        if self._draw(st.booleans()):
            return self._draw(strategy)
        return Edit(add=self._draw(strategy), remove=self._draw(strategy))

    def create_domain(self) -> Call:
        fields = self._some({"quota": QUOTAS, "max_accounts": COUNTS}, most=1)
        return Call("domains", "create", (self._draw(st.sampled_from(DOMAINS)),), fields)

    def update_domain(self) -> Call:
        possible = {
            "enabled": st.booleans(), "quota": QUOTAS, "default_account_quota": QUOTAS, "max_account_quota": QUOTAS,
            "max_accounts": COUNTS, "max_aliases": COUNTS, "catch_all": DESTINATIONS,
        }  # fmt: skip
        return Call("domains", "update", (self._domain(),), self._some(possible))

    def delete_domain(self) -> Call:
        return Call("domains", "delete", (self._domain(),), {"keep_mailbox_days": self._draw(KEPT)})

    def add_alias_domain(self) -> Call:
        return Call("domains", "add_alias_domains", (self._domain(), [self._draw(st.sampled_from(DOMAINS))]))

    def remove_alias_domain(self) -> Call:
        name = self._domain()
        present = self._model.domains[name].alias_domains if name in self._model.domains else ()
        return Call("domains", "remove_alias_domains", (name, [self._one_of([*present], DOMAINS)]))

    def create_account(self) -> Call:
        possible = {
            "quota": QUOTAS, "enabled": st.booleans(), "forwarding": DESTINATIONS, "keep_copy": st.booleans(),
            "aliases": ALIASES,
        }  # fmt: skip
        fields = {"password": self._draw(st.sampled_from(PASSWORDS)), **self._some(possible)}
        return Call("accounts", "create", (self._new(),), fields)

    def create_accounts(self) -> Call:
        possible = {"quota": QUOTAS, "enabled": st.booleans()}
        rows = [
            {"address": self._new(), "password": PASSWORDS[0], **self._some(possible)}
            for _ in range(self._draw(st.integers(1, 3)))
        ]
        return Call("accounts", "create_many", (rows,))

    def update_account(self) -> Call:
        possible = {
            "quota": QUOTAS, "enabled": st.booleans(), "keep_copy": st.booleans(),
            "password": st.sampled_from(PASSWORDS), "forwarding": None, "aliases": None, "services": None,
        }  # fmt: skip
        return Call("accounts", "update", (self._account(),), self._some(possible))

    def _some(self, possible: dict[str, Any], *, most: int = 2) -> dict[str, Any]:
        """Draw values for some of the fields; those without a strategy are sets of names."""
        names = self._draw(st.lists(st.sampled_from(sorted(possible)), max_size=most, unique=True))
        return {name: self._value(name, possible[name]) for name in names}

    def _value(self, name: str, strategy: Any) -> Any:
        if name == "services":
            services = st.lists(st.sampled_from(("imap", "pop3")), max_size=1)
            return Edit(add=self._draw(services), remove=self._draw(services))
        if strategy is None:
            return self._names(ALIASES if name == "aliases" else DESTINATIONS)
        return self._draw(strategy)

    def update_all(self) -> Call:
        return Call("accounts", "update_all", (self._domain(),), {"enabled": self._draw(st.booleans())})

    def rename_account(self) -> Call:
        return Call("accounts", "rename", (self._account(), self._new()))

    def delete_account(self) -> Call:
        return Call("accounts", "delete", (self._account(),), {"keep_mailbox_days": self._draw(KEPT)})

    def verify(self) -> Call:
        return Call("accounts", "verify_password", (self._account(), self._draw(st.sampled_from(PASSWORDS))))

    def create_alias(self) -> Call:
        return Call(
            "aliases", "create", (self._new(),), self._some({"members": DESTINATIONS, "enabled": st.booleans()})
        )

    def update_alias(self) -> Call:
        fields = self._some({"members": None, "enabled": st.booleans()})
        return Call("aliases", "update", (self._alias(),), fields)

    def rename_alias(self) -> Call:
        return Call("aliases", "rename", (self._alias(), self._new()))

    def delete_alias(self) -> Call:
        return Call("aliases", "delete", (self._alias(),))

    def promote(self) -> Call:
        fields = self._draw(
            st.sampled_from(({}, {"global_admin": True}, {"domains": ["b.example"]}, {"domains": ["x.example"]}))
        )
        return Call("admins", "promote", (self._account(),), fields)

    def demote(self) -> Call:
        return Call("admins", "demote", (self._account(),))

    def add_admin(self) -> Call:
        return Call("admins", "add_to_domain", (self._domain(), [self._account()]))

    def remove_admin(self) -> Call:
        admins = self._draw(st.booleans()) or None
        return Call("admins", "remove_from_domain", (self._domain(), admins and [self._account()]))

    def restore(self) -> Call:
        return Call("deleted", "restore", self._record())

    def reschedule(self) -> Call:
        return Call(
            "deleted", "reschedule", self._record(), {"keep_mailbox_days": self._draw(st.sampled_from((0, 10)))}
        )

    def purge(self) -> Call:
        # Never on a day on which something is due: the present day may end while the test runs.
        return Call("deleted", "purge", (self._draw(st.sampled_from((5, 15))),))


ALIASES = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True)
KINDS: dict[str, tuple[Callable[[Author], Call], ...]] = {
    "domains": (
        *(Author.create_account,) * 5,
        Author.create_accounts,
        *(Author.create_alias,) * 3,
        *(Author.update_domain,) * 3,
        *(Author.add_alias_domain, Author.remove_alias_domain, Author.create_domain, Author.delete_domain),
        *(Author.update_all, Author.add_admin, Author.remove_admin),
    ),
    "accounts": (
        *(Author.update_account,) * 6,
        *(Author.rename_account, Author.delete_account) * 4,
        *(Author.verify, Author.promote, Author.promote, Author.demote),
    ),
    "aliases": (*(Author.update_alias, Author.rename_alias, Author.delete_alias) * 2,),
    "records": (*(Author.restore,) * 5, Author.purge, Author.reschedule),
}
"""The calls to choose from, by what there has to be for most of them to succeed; some stand there several times."""


@st.composite
def sequences(draw: Draw) -> list[Call]:
    """Draw a sequence of calls."""
    author = Author(draw)
    author.start()
    for _ in range(draw(st.sampled_from((4, 8, 16, STEPS, STEPS)))):
        author.step()
    return author.calls


# --- The property -----------------------------------------------------------------------------------------------------


def expected_outcomes(model: ReferenceModel, calls: Sequence[Call]) -> list[Any]:
    """Return what each call gives back, or the `Refusal`."""
    outcomes: list[Any] = []
    for call in calls:
        try:
            outcomes.append(model.apply(call))
        except Refusal as refusal:
            outcomes.append(refusal)
    return outcomes


def agrees(wanted: Any, found: Any) -> bool:
    """Tell whether a store did what the model says."""
    if isinstance(wanted, Refusal):
        return isinstance(found, Raised) and found.kind in wanted.reasons
    return bool(wanted == found)


def check_sequence(rigs: Sequence[StoreRig], calls: Sequence[Call]) -> None:
    """Run a sequence on the model and on all engines, and compare outcomes and states."""
    model = ReferenceModel()
    wanted = expected_outcomes(model, calls)
    runners = {rig.name: Runner(emptied(rig)) for rig in rigs}
    with ThreadPoolExecutor(len(rigs)) as pool:
        futures = {name: pool.submit(observe, runner, calls) for name, runner in runners.items()}
        observed = {name: future.result() for name, future in futures.items()}
    for name, (outcomes, state, findings) in observed.items():
        for call, expected, found in zip(calls, wanted, outcomes, strict=True):
            assert agrees(expected, found), f"{name}: {call}: expected {expected!r}, got {found!r}"
        assert findings == [], name
        assert state == state_of(model), name
    # Of several reasons to refuse, each kind of store may give another one; the SQL engines give the same.
    assert len({repr(outcomes) for name, (outcomes, _, _) in observed.items() if name in SQL_ENGINES}) == 1


def observe(runner: Runner, calls: Sequence[Call]) -> tuple[list[Any], dict[str, Any], list[Any]]:
    """Run a sequence on one store; return outcomes, state, and broken invariants."""
    return runner.run(calls), runner.state(), runner.findings()


def fails(rigs: Sequence[StoreRig], calls: Sequence[Call]) -> bool:
    """Tell whether a sequence finds a difference."""
    try:
        check_sequence(rigs, calls)
    except AssertionError:
        return True
    return False


def shortened(rigs: Sequence[StoreRig], calls: list[Call]) -> list[Call]:
    """Return a failing sequence without the calls that it fails without, too."""
    for index in reversed(range(len(calls))):
        shorter = calls[:index] + calls[index + 1 :]
        if fails(rigs, shorter):
            calls = shorter
    return calls


@pytest.mark.timeout(600)  # a minute on an idle machine: eighty sequences on every store
@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=80,
    phases=[Phase.generate],  # hypothesis would shrink for minutes; `shortened` does in seconds
    suppress_health_check=[HealthCheck.too_slow],
)
@given(calls=sequences())
def test_every_store_does_what_the_contract_says(stores: Sequence[StoreRig], calls: list[Call]) -> None:
    try:
        check_sequence(stores, calls)
    except AssertionError:
        shortest = shortened(stores, calls)
        note("\n".join(["", "The shortest such sequence:", *map(repr, shortest), ""]))
        check_sequence(stores, shortest)
        raise


# --- Sequences that once found something ------------------------------------------------------------------------------

A, B, X = DOMAINS
WITH_ALIAS_DOMAIN = (Call("domains", "create", (A,)), Call("domains", "add_alias_domains", (A, [X])))


def account(local: str, domain: str = A, **fields: Any) -> Call:
    """Return the call that creates an account."""
    return Call("accounts", "create", (address_of(local, domain),), {"password": PASSWORDS[0], **fields})


def on(noun: str, verb: str, local: str, *arguments: Any, **fields: Any) -> Call:
    """Return a call about an address in the first domain."""
    return Call(noun, verb, (address_of(local, A), *arguments), fields)


FOUND: dict[str, tuple[Call, ...]] = {
    "a domain is deleted whose accounts forward to each other": (
        Call("domains", "create", (A,)),
        account("bob", forwarding=["eve@a.example"]),
        Call("domains", "delete", (A,)),
        Call("domains", "create", (A,)),
        account("bob"),
    ),
    "an account is created with its own name under the alias domain as an alias": (
        *WITH_ALIAS_DOMAIN,
        account("bob", aliases=["bob@x.example"]),
    ),
    "an account gets one name twice, under its domain and under the alias domain": (
        *WITH_ALIAS_DOMAIN,
        account("bob"),
        on("accounts", "update", "bob", aliases=["ann@a.example", "ann@x.example"]),
    ),
    "an account with more than accounts may have by now is restored": (
        Call("domains", "create", (A,)),
        account("bob", quota="5M"),
        on("accounts", "delete", "bob"),
        Call("domains", "update", (A,), {"max_account_quota": "1M"}),
        on("deleted", "restore", "bob", 0),
    ),
    "an account without a limit is restored where everybody needs one by now": (
        Call("domains", "create", (A,)),
        account("bob"),
        on("accounts", "delete", "bob"),
        Call("domains", "update", (A,), {"quota": "5M"}),
        on("deleted", "restore", "bob", 0),
    ),
    "a member is restored whose alias is an account by now": (
        Call("domains", "create", (A,)),
        account("bob"),
        on("aliases", "create", "sales", members=["bob@a.example"]),
        on("accounts", "delete", "bob"),
        on("aliases", "delete", "sales"),
        account("sales"),
        on("deleted", "restore", "bob", 0),
    ),
    "a destination is restored whose forwarder is an alias by now": (
        Call("domains", "create", (A,)),
        account("bob"),
        account("eve", forwarding=["bob@a.example"]),
        on("accounts", "delete", "bob"),
        on("accounts", "delete", "eve"),
        on("aliases", "create", "eve"),
        on("deleted", "restore", "bob", 0),
    ),
    "a member is restored whose alias is switched off by now": (
        Call("domains", "create", (A,)),
        account("bob"),
        on("aliases", "create", "sales", members=["bob@a.example"]),
        on("accounts", "delete", "bob"),
        on("aliases", "update", "sales", enabled=False),
        on("deleted", "restore", "bob", 0),
    ),
    "a destination is restored whose forwarder is switched on by now": (
        Call("domains", "create", (A,)),
        account("bob"),
        account("eve", forwarding=["bob@a.example"], enabled=False),
        on("accounts", "delete", "bob"),
        on("accounts", "update", "eve", enabled=True),
        on("deleted", "restore", "bob", 0),
    ),
    "an account keeps no copy, but forwards to itself": (
        Call("domains", "create", (A,)),
        account("bob", forwarding=["bob@a.example", OUTSIDE], keep_copy=False),
        account("eve"),
        on("accounts", "update", "eve", forwarding=["eve@a.example", OUTSIDE], keep_copy=False),
    ),
}


@pytest.mark.parametrize("story", FOUND)
def test_sequence_that_once_found_something(stores: Sequence[StoreRig], story: str) -> None:
    check_sequence(stores, FOUND[story])
