"""A state on other kinds of stores than that of the other tests here, and what an idle run costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from mailstore import Capability, NotSupported, Store
from mailstore.passwords import hash_password
from mailstore.state import Applier, State, plan, read_state
from tests.contract.hosting import credentials, host
from tests.rigs import Rig, counting
from tests.stores import StoreRig

OURS = "example.com"
A, B, C, D = (f"{name}@{OURS}" for name in "abcd")


def declared(path: Path, *lines: dict[str, Any], **settings: Any) -> State:
    header = {"record": "header", "manage": "domain", "domains": [OURS], **settings}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (header, *lines, {"record": "end"})))
    return read_state(path)


def applied(store: Store, state: State, **options: Any) -> list[tuple[str, str]]:
    return [(one.name, one.action) for one in Applier(store, state, plan(store, state), **options).run()]


@pytest.mark.parametrize("name", ["ldap", "mailinabox", "afterlogic-sqlite", "atmail"])
def test_accounts_come_change_and_go(emptied: Callable[[str], StoreRig], workdir: Path, name: str) -> None:
    store = emptied(name).shared
    host(store, OURS)
    for address in (A, B, C):
        store.accounts.create(address, **credentials(store))
    change = {"quota": 2 << 30} if "quota" in store.accounts.fields else {"name": "Anna"}
    state = declared(
        workdir / "state.jsonl",
        {"record": "account", "address": A, **change},
        {"record": "account", "address": B},
        {"record": "account", "address": D},
        absent={"account": "delete"},
    )
    made: dict[str, str] = {}
    done = applied(store, state, generated=made.__setitem__)
    assert done == [(A, "updated"), (D, "created"), (C, "deleted")]
    assert [account.address for account in store.accounts.list()] == [A, B, D]
    assert store.accounts.verify_password(D, made[D])
    assert applied(store, state) == []


def test_what_a_store_cannot_do_is_told_before_anything(emptied: Callable[[str], StoreRig], workdir: Path) -> None:
    store = emptied("mailinabox").shared
    for address in (A, B):
        store.accounts.create(address, **credentials(store))
    state = declared(workdir / "state.jsonl", {"record": "account", "address": A}, absent={"account": "disable"})
    with pytest.raises(NotSupported, match="cannot switch off"):
        plan(store, state)
    listed = declared(workdir / "state.jsonl", {"record": "list", "address": f"all@{OURS}", "members": [A]})
    with pytest.raises(NotSupported, match="mailing lists"):
        plan(store, listed)
    assert Capability.DISABLING not in store.capabilities


def test_an_idle_run_reads_each_side_once(emptied: Callable[[str], StoreRig], workdir: Path) -> None:
    rig = cast("Rig", emptied("sqlite"))
    ready = hash_password("x")

    def statements(count: int) -> int:
        rig.clear()
        rig.shared.domains.create(OURS)
        names = [f"n{number}@{OURS}" for number in range(count)]
        rig.shared.accounts.create_many({"address": name, "password_hash": ready} for name in names)
        lines = [{"record": "account", "address": name, "quota": None} for name in names]
        state = declared(workdir / "state.jsonl", *lines, absent={"account": "delete"})
        with counting(rig.shared) as seen:
            assert applied(rig.shared, state) == []
        return len(seen)

    assert statements(400) == statements(20) < 30
