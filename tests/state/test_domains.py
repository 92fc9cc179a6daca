"""A whole store as a state: domains and admins go with what lies in them, counted, and in safe order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailstore import Store
from mailstore.errors import InvalidValue, LimitExceeded
from mailstore.passwords import hash_password
from mailstore.state import Applier, State, check_removals, plan, read_state, schema
from mailstore.transfer.entries import KINDS
from tests.stores import StoreRig

READY = hash_password("x")
ALL = dict.fromkeys(("domain", "account", "alias", "list", "admin"), "delete")


@pytest.fixture
def store(emptied: Callable[[str], StoreRig]) -> Store:
    made = emptied("sqlite").shared
    for domain in ("kept.test", "gone.test"):
        made.domains.create(domain)
        made.accounts.create(f"bob@{domain}", password_hash=READY)
        made.aliases.create(f"all@{domain}", members=["bob@kept.test", "bob@gone.test"])
    made.admins.create("boss@admin.test", password_hash=READY, domains=["gone.test"])
    made.admins.promote("bob@kept.test")
    return made


def declared(path: Path, *lines: dict[str, Any], **settings: Any) -> State:
    header = {"record": "header", "manage": "store", **settings}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (header, *lines, {"record": "end"})))
    return read_state(path)


KEPT = (
    {"record": "domain", "domain": "kept.test", "max_accounts": 5},
    {"record": "account", "address": "bob@kept.test"},
    {"record": "alias", "address": "all@kept.test"},
)


def test_what_is_not_named_goes_with_its_domain(store: Store, workdir: Path) -> None:
    state = declared(workdir / "s.jsonl", *KEPT, absent=ALL, keep_days=7)
    made = plan(store, state)
    assert made.removed() == {"domain": 1, "account": 1, "alias": 1, "admin": 2}
    with pytest.raises(LimitExceeded, match="admin"):
        check_removals(made, "1")
    done = {(one.kind, one.name): one.action for one in Applier(store, state, made).run()}
    assert done == {
        ("domain", "kept.test"): "updated", ("domain", "gone.test"): "deleted", ("account", "bob@gone.test"): "deleted",
        ("alias", "all@gone.test"): "deleted", ("admin", "boss@admin.test"): "deleted",
        ("admin", "bob@kept.test"): "demoted",
    }  # fmt: skip
    assert [domain.domain for domain in store.domains.list()] == ["kept.test"]
    assert store.aliases.get("all@kept.test").members == ("bob@kept.test",)
    assert plan(store, state).changes == []
    assert [record.domain for record in store.deleted.list()] == ["gone.test"]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"absent": {"domain": "delete"}}, "accounts, aliases and lists"),
        ({"manage": "domain", "domains": ["kept.test"], "absent": {"admin": "delete"}}, "admins"),
        ({"manage": "listed", "absent": {"account": "delete"}}, "listed"),
        ({"absent": {"account": "remove"}}, "none of"),
        ({"absent": {"throttle": "delete"}}, "none of"),
        ({"keep_days": -1}, "keep_days"),
        ({"max_deletions": "many"}, "max_deletions"),
        ({"manage": "all"}, "manage"),
        ({"format": "mailstore-dump"}, "mailstore-state"),
        ({"manage": "domain", "domains": ["gone.test"]}, "lies in no domain"),
    ],
)
def test_settings_that_make_no_sense_are_refused(workdir: Path, settings: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidValue, match=word):
        declared(workdir / "s.jsonl", *KEPT, **settings)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"record": "account", "address": "x@kept.test", "colour": "red"}, "colour"),
        ({"record": "account", "address": "x@kept.test", "quota": "much"}, "quota"),
        ({"record": "account", "address": "x@kept.test", "created": "2026-01-01T00:00:00Z"}, "created"),
        ({"record": "account", "address": "x@kept.test", "enabled": "yes"}, "enabled"),
        ({"record": "account", "address": "BOB@kept.test"}, None),
        ({"record": "people", "address": "x@kept.test"}, None),
    ],
)
def test_a_thing_that_makes_no_sense_is_named(workdir: Path, line: dict[str, Any], field: str | None) -> None:
    with pytest.raises(InvalidValue) as refused:
        declared(workdir / "s.jsonl", *KEPT, line)
    assert refused.value.field == field
    assert "line 5" in str(refused.value)


def test_the_schema_has_all_kinds_and_what_is_set_of_them() -> None:
    found = schema()["properties"]
    assert found.keys() >= KINDS.keys()
    account = found["account"]["items"]
    assert account["required"] == ["address"]
    assert {"forwarding", "quota", "password_hash"} <= account["properties"].keys()
    assert not {"created", "usage", "admin"} & account["properties"].keys()
