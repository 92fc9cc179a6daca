"""Random stores and random edited states: afterwards the store is as declared, and nothing outside is touched."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailstore import Store, open_store
from mailstore.config import StoreConfig
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import create_schema
from mailstore.state import Applied, Applier, State, plan, read_state
from mailstore.transfer import dump
from mailstore.transfer.entries import INFORMATION

OURS, OTHERS = "example.com", "other.org"
NAMES = "abcdefgh"
READY = hash_password("correct horse", "SSHA512")


@pytest.fixture
def new_store(workdir: Path) -> Callable[[str], Store]:
    """A function that makes an empty iRedMail store in a file."""
    empty = workdir / "empty.db"
    create_schema(StoreConfig(url=f"iredmail+sqlite:///{empty}"), None)

    def make(name: str) -> Store:
        file = workdir / f"{name}.db"
        shutil.copyfile(empty, file)
        return open_store(f"iredmail+sqlite:///{file}", home_root=str(workdir))

    return make


class _Chance:
    """Random content, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 no secret
        self.absent = self._random.choice(["keep", "disable", "delete"])

    def _some(self, names: list[str]) -> list[str]:
        return sorted(self._random.sample(names, self._random.randint(0, len(names))))

    def account(self, targets: list[str]) -> dict[str, Any]:
        return {
            "name": self._random.choice(["", "Anna", "Bob"]),
            "enabled": self._random.random() < 0.8,
            "quota": self._random.choice([None, 1 << 30, 2 << 30]),
            "forwarding": self._some(targets)[:2],
        }

    def people(self, accounts: str, aliases: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what there may be in our domain: some of these as accounts, some as aliases, all valid together."""
        at = [f"{name}@{OURS}" for name in NAMES]
        targets = [*at[:4], f"x@{OTHERS}", "far@else.where"]
        things: dict[tuple[str, str], dict[str, Any]] = {}
        for name in self._some(list(accounts)):
            address = f"{name}@{OURS}"
            fields = self.account([one for one in targets if one != address])
            things["account", address] = {**fields, "aliases": self._some([f"{name}1@{OURS}", f"{name}2@{OURS}"])}
        for name in self._some(list(aliases)):
            things["alias", f"{name}@{OURS}"] = {
                "name": self._random.choice(["", "All"]),
                "members": self._some(targets),
            }
        return things

    def split(self) -> tuple[str, str]:
        """Return who may be an account and who an alias; of things that are kept none changes what it is."""
        names = list(NAMES)
        if self.absent == "delete":
            self._random.shuffle(names)
        return "".join(names[:5]), "".join(names[5:])

    def subset(self, fields: dict[str, Any]) -> dict[str, Any]:
        chosen = {name: value for name, value in fields.items() if self._random.random() < 0.7}
        if "forwarding" in chosen:  # what it means depends on this
            chosen["keep_copy"] = True
        return chosen


def fill(store: Store, things: dict[tuple[str, str], dict[str, Any]]) -> None:
    store.domains.create(OURS)
    store.domains.create(OTHERS)
    store.accounts.create(f"x@{OTHERS}", password_hash=READY, forwarding=[f"a@{OURS}", "far@else.where"])
    store.aliases.create(f"all@{OTHERS}", members=["far@else.where"])
    for (kind, address), fields in things.items():
        if kind == "account":
            values = {**fields, "quota": "unlimited" if fields["quota"] is None else fields["quota"]}
            store.accounts.create(address, password_hash=READY, **values)
        else:
            store.aliases.create(address, **fields)


def written(path: Path, things: dict[tuple[str, str], dict[str, Any]], absent: str) -> State:
    """Write a state as JSON lines, and read it."""
    lines = [
        {"record": "header", "manage": "domain", "domains": [OURS], "absent": {"account": absent, "alias": absent}}
    ]
    lines += [
        {"record": kind, "address": address, **fields, **({"password_hash": READY} if kind == "account" else {})}
        for (kind, address), fields in things.items()
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, {"record": "end"}]))
    return read_state(path)


def content(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """Return all that a store holds, without what it only tells."""
    return {
        (entry.kind, entry.key): {name: value for name, value in entry.to_dict().items() if name not in INFORMATION}
        for entry in dump(store)
    }


def applied(store: Store, state: State) -> list[Applied]:
    return list(Applier(store, state, plan(store, state)).run())


def expected(before: Any, state: dict[tuple[str, str], dict[str, Any]], absent: str) -> set[tuple[str, str]]:
    """Return what there shall be of our domain."""
    ours = {key for key in before if key[0] != "domain" and key[1].endswith(f"@{OURS}")}
    return set(state) if absent == "delete" else ours | set(state)


def check(store: Store, before: Any, things: Any, absent: str) -> None:
    after = content(store)
    ours = {key for key in after if key[0] != "domain" and key[1].endswith(f"@{OURS}")}
    assert ours == expected(before, things, absent)
    for key, fields in things.items():
        for name, value in fields.items():
            assert after[key][name] == value, (key, name)
    for key in ours - things.keys():
        changed = {name for name in after[key] if after[key][name] != before[key][name]}
        assert changed <= ({"enabled"} if absent == "disable" else set())
        assert absent == "keep" or after[key]["enabled"] is False
    for key in after.keys() - ours:  # elsewhere
        kept = dict(before[key])
        if absent == "delete" and "forwarding" in kept:  # a destination goes with its account
            kept["forwarding"] = [one for one in kept["forwarding"] if one in after[key]["forwarding"]]
        assert after[key] == kept
    assert {key for key in before if key not in ours and not key[1].endswith(f"@{OURS}")} == after.keys() - ours


@pytest.mark.parametrize("seed", range(12))
def test_the_store_is_as_declared_afterwards(new_store: Callable[[str], Store], workdir: Path, seed: int) -> None:
    chance = _Chance(seed)
    with new_store("store") as store:
        fill(store, chance.people(*chance.split()))
        wanted = {key: chance.subset(fields) for key, fields in chance.people(*chance.split()).items()}
        if not any(kind == "account" for kind, _ in wanted):
            wanted["account", f"a@{OURS}"] = {}
            wanted.pop(("alias", f"a@{OURS}"), None)
        state, before = written(workdir / "state.jsonl", wanted, chance.absent), content(store)
        assert [one for one in applied(store, state) if one.action == "refused"] == []
        check(store, before, wanted, chance.absent)
        assert plan(store, state).changes == []


class _Killed(BaseException):
    pass


@contextmanager
def dying_after(store: Store, left: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a store die before its nth write, or right behind it."""

    def step() -> None:
        nonlocal left
        if left == 0:
            raise _Killed
        left -= 1

    def counted(write: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **values: object) -> object:
            step()
            result = write(*args, **values)
            step()
            return result

        return call

    with monkeypatch.context() as patch:
        for collection in (store.domains, store.accounts, store.aliases):
            for name in ("create", "create_many", "update", "delete", "delete_many"):
                if hasattr(collection, name):
                    patch.setattr(collection, name, counted(getattr(collection, name)))
        yield


@pytest.mark.parametrize("seed", [1])
def test_killed_at_every_step_the_next_run_finishes_it(
    new_store: Callable[[str], Store], workdir: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = _Chance(seed)
    chance.absent = "delete"
    there, wanted = chance.people("abcde", "fgh"), chance.people("bcdef", "agh")
    wanted["account", f"b@{OURS}"] = chance.account([])
    wanted.pop(("alias", f"b@{OURS}"), None)
    steps, finished = 0, False
    while not finished:
        with new_store(f"store{steps}") as store:
            fill(store, there)
            state, before = written(workdir / "state.jsonl", wanted, "delete"), content(store)
            try:
                with dying_after(store, steps, monkeypatch):
                    applied(store, state)
                finished = True
            except _Killed:
                steps += 1
            assert [one for one in applied(store, state) if one.action == "refused"] == []
            check(store, before, wanted, "delete")
            assert plan(store, state).changes == []
    assert steps > 8
