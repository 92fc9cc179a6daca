"""Who may do what: global admin, admin of a domain, of another one, user, nobody; passwords that are wrong; and tokens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mailstore import Capability
from mailstore.audit import Trail
from mailstore.passwords import hash_password
from tests.api.rig import Api, OpenStores, basic, bearer, serve
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stores import StoreRig

ROOT, ANN, OTTO, BOB = "root@admin.example", "ann@example.com", "otto@other.example", "bob@example.com"
PASSWORD = "the same for all of them"
READY = hash_password(PASSWORD)


@pytest.fixture(params=["sqlite", "ldap"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    """A store with a global admin, and an admin of each of two domains who is an account there."""
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    store = found.shared
    for domain, admin in (("example.com", ANN), ("other.example", OTTO)):
        store.domains.create(domain)
        store.accounts.create(admin, password_hash=READY)
        store.admins.promote(admin, domains=[domain])
    store.accounts.create(BOB, password_hash=READY)
    store.aliases.create("sales@example.com", members=[BOB])
    store.admins.create(ROOT, password_hash=READY, global_admin=True)
    return found


@pytest.fixture
def api(rig: StoreRig, workdir: Path) -> Iterator[Api]:
    entries = Trail([str(workdir / "audit.log")])
    stores = OpenStores(entries, main=rig)
    yield serve(stores, workdir)
    stores.close()
    assert PASSWORD not in (workdir / "audit.log").read_text()


OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", "/domains/example.com", None),
    ("PATCH", "/domains/example.com", {"name": "Example"}),
    ("PATCH", "/domains/example.com", {"max_accounts": 3}),
    ("POST", "/domains", {"domain": "new.example"}),
    ("GET", f"/accounts/{BOB}", None),
    ("POST", "/accounts", {"address": "new@example.com", "password_hash": READY}),
    ("PATCH", f"/accounts/{BOB}", {"name": "Bob"}),
    ("PATCH", f"/accounts/{BOB}", {"transport": "smtp:[192.0.2.1]"}),
    ("PATCH", f"/accounts/{OTTO}", {"name": "Otto"}),
    ("POST", f"/accounts/{BOB}/verify-password", {"password": PASSWORD}),
    ("DELETE", f"/accounts/{BOB}", None),
    ("PATCH", "/aliases/sales@example.com", {"members": {"add": ["x@far.example"]}}),
    ("GET", f"/admins/{ROOT}", None),
    ("POST", "/admins", {"address": "eve@admin.example", "password_hash": READY, "global_admin": True}),
    ("POST", f"/admins/{BOB}/promote", {"global_admin": True}),
    ("DELETE", "/domains/example.com", None),
]
"""Each is tried as a dry run, one after the other."""
EVERYTHING = [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]
MATRIX: dict[str, list[int]] = {
    "global admin": EVERYTHING,
    "admin of the domain": [200, 200, 403, 403, 200, 200, 200, 403, 404, 403, 200, 200, 404, 403, 403, 403],
    "admin of another domain": [404, 404, 404, 403, 404, 404, 404, 404, 200, 404, 404, 404, 404, 403, 404, 404],
    "user": [401] * 16,
    "wrong password": [401] * 16,
    "nobody": [401] * 16,
    "token": EVERYTHING,
    "token to read": [200, 403, 403, 403, 200, 403, 403, 403, 403, 403, 403, 403, 200, 403, 403, 403],
    "token of the admin": [200, 200, 403, 403, 200, 200, 200, 403, 404, 403, 200, 200, 404, 403, 403, 403],
    "token for the domain": [200, 200, 403, 403, 200, 200, 200, 403, 404, 403, 200, 200, 403, 403, 403, 403],
    "token of another store": [404] * 16,
    "token that is over": [401] * 16,
    "token that was revoked": [401] * 16,
    "token with another secret": [401] * 16,
}


def callers(api: Api) -> dict[str, Api]:
    """Return somebody for each row of the matrix."""

    def token(name: str, **given: Any) -> Api:
        return api.as_(Authorization=bearer(api.tokens.create(name, **{"access": "write", **given})[1]))

    revoked = token("revoked")
    api.tokens.revoke("revoked")
    twisted = api.headers["Authorization"][:-1] + ("a" if api.headers["Authorization"][-1] != "a" else "b")
    return {
        "global admin": api.as_(Authorization=basic(ROOT, PASSWORD)),
        "admin of the domain": api.as_(Authorization=basic(ANN, PASSWORD)),
        "admin of another domain": api.as_(Authorization=basic(OTTO, PASSWORD)),
        "user": api.as_(Authorization=basic(BOB, PASSWORD)),
        "wrong password": api.as_(Authorization=basic(ROOT, "another one")),
        "nobody": api.as_(),
        "token": api,
        "token to read": token("reads", access="read"),
        "token of the admin": token("ann's", admin=ANN),
        "token for the domain": token("domain's", domains=["example.com"]),
        "token of another store": token("elsewhere", stores=["other"]),
        "token that is over": token("over", expires=datetime.now(UTC) - timedelta(seconds=1)),
        "token that was revoked": revoked,
        "token with another secret": api.as_(Authorization=twisted),
    }


def test_each_may_do_what_the_matrix_says(api: Api, rig: StoreRig) -> None:
    store = rig.shared
    before = list(store.accounts.list()), list(store.domains.list()), list(store.admins.list())
    found = {who: [_tried(caller, number) for number in range(len(OPERATIONS))] for who, caller in callers(api).items()}
    assert found == MATRIX
    assert (list(store.accounts.list()), list(store.domains.list()), list(store.admins.list())) == before


def _tried(caller: Api, number: int) -> int:
    """Try an operation out, and return the status, 200 for all successes."""
    method, path, body = OPERATIONS[number]
    caller.client = f"192.0.2.{number}"  # else the last ones would be told to wait
    reply = caller.send(method, path if method == "GET" else f"{path}?dry_run=true", body)
    assert (reply.status == 204) or reply.body
    if reply.status == 401:
        assert "basic" in reply.headers["www-authenticate"].lower()
    return {204: 200, 429: 401}.get(reply.status, reply.status)


class TestTokensForDomains:
    @pytest.fixture
    def caller(self, api: Api) -> Api:
        text = api.tokens.create("narrow", access="write", domains=["example.com"])[1]
        return api.as_(Authorization=bearer(text))

    def test_nothing_else_is_seen(self, caller: Api, rig: StoreRig) -> None:
        assert [domain["domain"] for domain in caller.call("GET", "/domains")["items"]] == ["example.com"]
        assert {account["address"] for account in caller.call("GET", "/accounts?total=true")["items"]} == {ANN, BOB}
        assert caller.problem("GET", "/accounts?domain=other.example")["status"] == 404
        for path in ("/findings", "/admins", "/spam-policies", "/deleted-domains", "/archived"):
            assert caller.send("GET", path).status in {403, 422}, path
        rig.shared.accounts.delete(OTTO)
        if Capability.RETENTION in rig.shared.capabilities:
            [record] = rig.shared.deleted.list()
            assert caller.problem("GET", f"/deleted/{record.id}")["status"] == 404
            assert caller.problem("POST", f"/deleted/{record.id}/restore", {})["status"] == 404
            assert caller.call("GET", "/deleted")["items"] == []

    def test_what_leads_out_is_refused(self, caller: Api, rig: StoreRig) -> None:
        for method, path, body, status in self.OUTWARD:
            wanted = status if path != "/batch" or Capability.TRANSACTIONS in rig.shared.capabilities else 422
            assert caller.problem(method, path, body)["status"] == wanted, (method, path, body)
        assert rig.shared.accounts.verify_password(ANN, PASSWORD)
        assert not rig.shared.accounts.exists("x@example.com")

    OUTWARD: ClassVar[list[tuple[str, str, Any, int]]] = [
        ("PATCH", f"/accounts/{ANN}", {"password": "a new one for the admin"}, 403),  # who may do more
        ("DELETE", f"/accounts/{ANN}", None, 403),
        ("PATCH", "/domains/example.com/accounts", {"password": "one for all"}, 403),
        ("PATCH", f"/accounts/{BOB}", {"aliases": ["b@other.example"]}, 404),
        ("PATCH", f"/accounts/{BOB}", {"aliases": {"add": ["b@other.example"]}}, 404),
        ("POST", f"/accounts/{BOB}/rename", {"new_address": "bob@other.example"}, 404),
        ("POST", "/aliases/sales@example.com/rename", {"new_address": "sales@other.example"}, 404),
        ("POST", "/accounts", {"address": "x@example.com", "password_hash": READY, "home": "/var/vmail/x"}, 403),
        ("POST", "/bulk/accounts", [{"address": "x@other.example", "password_hash": READY}], 404),
        ("POST", "/domains/example.com/alias-domains", {"names": ["third.example"]}, 403),
        ("POST", "/domains/example.com/admins", {"names": [BOB]}, 403),
        ("DELETE", f"/accounts/{BOB}?keep_mailbox_days=0", None, 403),
        ("POST", "/purge", None, 403),
        ("POST", "/batch", {"operations": [{"method": "GET", "path": f"/accounts/{OTTO}"}]}, 404),
    ]


def test_failures_are_slowed_down_and_told_in_one_line(api: Api) -> None:
    guesser = api.as_(Authorization=basic("root@admin.example\nWeb login failed: client_address=6.6.6.6", "wrong"))
    statuses = [guesser.send("GET", "/domains").status for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    lines = [line for line in api.told.getvalue().splitlines() if line.startswith("Web login failed")]
    assert len(lines) == 5
    assert all(line.startswith("Web login failed: client_address=127.0.0.1, username=") for line in lines)
    slow = guesser.send("GET", "/domains")
    assert int(slow.headers["retry-after"]) >= 1
    assert slow.json["retryable"]
    api.client = guesser.client
    assert api.send("GET", "/domains").status == 200  # the token is another account, from the same place


def test_whoever_acts_is_in_the_audit_log(api: Api, workdir: Path) -> None:
    admin = api.as_(Authorization=basic(ANN, PASSWORD))
    reply = admin.send("PATCH", f"/accounts/{BOB}", {"name": "Bob"})
    api.call("PATCH", f"/accounts/{BOB}", {"name": "Rob"})
    admin.send("PATCH", f"/accounts/{OTTO}", {"name": "x"})
    entries = [json.loads(line) for line in (workdir / "audit.log").read_text().splitlines()]
    assert [(entry["via"], entry["caller"], entry["admin"], entry["client"], entry["result"]) for entry in entries] == [
        ("mailstore-http", ANN, ANN, "127.0.0.1", "done"),
        ("mailstore-http", "token everything", "", "127.0.0.1", "done"),
        ("mailstore-http", ANN, ANN, "127.0.0.1", "refused"),
    ]
    assert entries[0]["request"] == reply.headers["x-request-id"]


def test_stores_are_listed_for_whoever_is_known_there(
    rig: StoreRig, rigs: Callable[[str], StoreRig], workdir: Path
) -> None:
    box = rigs("mailinabox")
    box.clear()
    api = serve(OpenStores(main=rig, box=box), workdir, stores=("main", "box"))

    def listed(caller: Api) -> list[str]:
        return [item["store"] for item in caller.raw("GET", "/v1/stores").json["items"]]

    assert listed(api) == ["main", "box"]
    assert listed(api.as_(Authorization=bearer(api.tokens.create("one", stores=["box"])[1]))) == ["box"]
    admin = api.as_(Authorization=basic(ANN, PASSWORD))
    assert [listed(admin) for _ in range(8)] == [["main"]] * 8  # being unknown in the other store is no failure
    assert api.as_(Authorization=basic(ANN, "wrong")).raw("GET", "/v1/stores").status == 401
    assert api.told.getvalue().count("Web login failed") == 1
