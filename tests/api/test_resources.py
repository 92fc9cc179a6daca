"""What the API does with a store is what the library does, on every kind of store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Capability
from mailstore.records import to_dict
from tests.api.rig import OpenStores, serve
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.api.rig import Api
    from tests.stores import StoreRig

BOB = "bob@example.com"


@pytest.fixture(params=["sqlite", "mailinabox", "atmail", "afterlogic-sqlite", "ldap"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def everywhere(rig: StoreRig, workdir: Path) -> Iterator[Api]:
    stores = OpenStores(main=rig)
    yield serve(stores, workdir)
    stores.close()


def test_a_life_on_every_store(everywhere: Api, rig: StoreRig) -> None:
    api, store = everywhere, rig.shared
    have = {Capability[name.upper()] for name in api.call("GET", "")["capabilities"]}
    assert have == store.capabilities
    if Capability.DOMAINS in have:
        made = api.send("POST", "/domains", {"domain": "Example.com"})
        assert (made.status, made.headers["location"]) == (201, "/v1/stores/main/domains/example.com")
        assert made.json == to_dict_(store.domains.get("example.com"))
    else:
        assert api.problem("POST", "/domains", {"domain": "example.com"})["class"] == "NotSupported"
    made = api.send("POST", "/accounts", {"address": BOB, "password": "a long Secret 1"})
    assert (made.status, made.json) == (201, to_dict_(store.accounts.get(BOB))), made.body
    assert api.call("POST", f"/accounts/{BOB}/verify-password", {"password": "a long Secret 1"}) == {"right": True}
    assert api.call("POST", f"/accounts/{BOB}/verify-password", {"password": "another"}) == {"right": False}
    assert api.call("PATCH", f"/accounts/{BOB}", {"quota": 1 << 30})["quota"] == 1 << 30
    assert api.call("GET", "/accounts/bob%40example.com") == to_dict_(store.accounts.get(BOB))
    if Capability.ALIASES in have:
        api.call("POST", "/aliases", {"address": "sales@example.com", "members": [BOB, "x@other.example"]})
        changed = api.call("PATCH", "/aliases/sales@example.com", {"members": {"remove": ["x@other.example"]}})
        assert changed["members"] == [BOB]
        assert api.call("GET", "/aliases?domain=example.com&total=true")["total"] == 1
    if Capability.LISTS in have:
        api.call("POST", "/lists", {"address": "all@example.com", "members": [BOB]})
        assert api.call("GET", "/lists")["items"][0]["members"] == [BOB]
    gone = api.call("DELETE", f"/accounts/{BOB}" + ("?keep_mailbox_days=3" if Capability.RETENTION in have else ""))
    assert api.problem("GET", f"/accounts/{BOB}")["class"] == "NotFound"
    if Capability.RETENTION in have:
        number = gone["record"]["id"]
        due = (datetime.now(UTC).date() + timedelta(days=3)).isoformat()
        assert api.call("GET", f"/deleted/{number}")["due"] == due
        restored = api.call("POST", f"/deleted/{number}/restore", {})
        assert restored == to_dict_(store.accounts.get(BOB))
    assert [finding for finding in api.call("GET", "/findings")["items"] if finding["severity"] == "error"] == []


def to_dict_(record: Any) -> Any:
    """Return a record as JSON brings it."""
    return json.loads(json.dumps(to_dict(record)))


def test_a_dry_run_answers_the_same_and_leaves_nothing(everywhere: Api, rig: StoreRig) -> None:
    api = everywhere
    if Capability.DOMAINS in rig.shared.capabilities:
        tried = api.send("POST", "/domains?dry_run=true", {"domain": "tried.example"})
        assert tried.status < 300, tried.body
        assert (tried.status, tried.headers["mailstore-dry-run"], tried.json["domain"]) == (
            200,
            "true",
            "tried.example",
        )
        assert api.problem("GET", "/domains/tried.example")["class"] == "NotFound"
        api.call("POST", "/domains", {"domain": "example.com"})
    tried = api.send("POST", "/accounts?dry_run=true", {"address": BOB, "password": "a long Secret 1"})
    assert tried.status == 200, tried.body
    assert not rig.shared.accounts.exists(BOB)
    assert not list(rig.root.iterdir())
    assert (
        api.problem("POST", "/accounts?dry_run=true", {"address": "bad", "password": "x"})["class"] == "InvalidAddress"
    )
