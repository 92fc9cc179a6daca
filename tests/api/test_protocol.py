"""How the API is spoken: problems, conditions, repetitions, pages, streams, batches, and what a browser may do."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mailstore.passwords import hash_password
from tests.api.rig import OpenStores, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.rig import Api
    from tests.stores import StoreRig

BOB = "bob@example.com"
READY = hash_password("secret")


@pytest.fixture(autouse=True)
def _domain(sqlite: StoreRig) -> None:
    sqlite.shared.domains.create("example.com")


def create(sqlite: StoreRig, *names: str) -> None:
    sqlite.shared.accounts.create_many([{"address": f"{name}@example.com", "password_hash": READY} for name in names])


class TestProblems:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "kind", "field"),
        [
            ("GET", "/accounts/nobody@example.com", None, 404, "NotFound", "address"),
            ("POST", "/accounts", {"address": "bad", "password": "x"}, 422, "InvalidAddress", "address"),
            ("POST", "/accounts", {"password": "x"}, 422, "InvalidValue", "address"),
            ("POST", "/accounts", {"address": BOB, "password": ""}, 422, "InvalidPassword", "password"),
            ("POST", "/accounts", {"address": BOB, "password": "x", "quota": "much"}, 422, "InvalidQuota", "quota"),
            ("POST", "/accounts", {"address": BOB, "password": "x", "quota": True}, 422, "InvalidQuota", "quota"),
            ("POST", "/accounts", {"address": BOB, "password": "x", "enabled": "yes"}, 422, "InvalidValue", "enabled"),
            ("POST", "/accounts", {"address": BOB, "password": "x", "colour": 1}, 422, "InvalidValue", "colour"),
            ("POST", "/accounts", {"address": BOB, "password": "x\0"}, 422, "InvalidValue", "password"),
            (
                "POST",
                "/accounts",
                {"address": BOB, "password": "x", "aliases": {"plus": []}},
                422,
                "InvalidValue",
                "aliases",
            ),
            ("POST", "/accounts", {"address": BOB, "password": "x", "services": [1]}, 422, "InvalidValue", "services"),
            ("POST", "/accounts", {"address": "x@other.example", "password": "x"}, 404, "NotFound", None),
            ("POST", "/domains", {"domain": "example.com"}, 409, "AlreadyExists", "domain"),
            ("POST", "/lists", {"address": "l@example.com"}, 422, "NotSupported", None),
            ("POST", "/accounts", [], 422, "InvalidValue", None),
            ("POST", "/accounts", b"{", 400, "UnreadableBody", None),
            ("POST", "/accounts", b"[" * 100_000, 400, "UnreadableBody", None),
            ("POST", "/accounts", b'{"address": "\\ud800@example.com"}', 400, "UnreadableBody", None),
            ("POST", "/accounts", b'{"address": NaN}', 400, "UnreadableBody", None),
            ("GET", "/accounts?limit=0", None, 422, "InvalidValue", "limit"),
            ("GET", "/accounts?limit=1001", None, 422, "InvalidValue", "limit"),
            ("GET", "/accounts?enabled=maybe", None, 422, "InvalidValue", "enabled"),
            ("GET", "/accounts?colour=red", None, 422, "InvalidValue", "colour"),
            ("GET", "/accounts?cursor=%F0%9F", None, 400, "UnreadableRequest", None),
            ("GET", "/accounts?cursor=x", None, 422, "InvalidValue", "cursor"),
            ("GET", "/accounts?cursor=MTI=", None, 422, "InvalidValue", "cursor"),
            ("GET", "/deleted?due=never", None, 422, "InvalidValue", "due"),
            ("GET", "/deleted/7", None, 404, "NotFound", "id"),
            ("GET", "/nothing", None, 404, "NoSuchPlace", None),
            ("PUT", "/accounts", None, 405, "MethodNotAllowed", None),
            (
                "DELETE",
                "/accounts/nobody@example.com?keep_mailbox_days=-1",
                None,
                422,
                "InvalidValue",
                "keep_mailbox_days",
            ),
            ("GET", "/spam-policies/global", None, 422, "NotSupported", None),
        ],
    )
    def test_what_is_refused_says_what_and_why(
        self, api: Api, sqlite: StoreRig, method: str, path: str, body: Any, status: int, kind: str, field: str | None
    ) -> None:
        found = api.problem(method, path, body)
        assert (found["status"], found["class"], found.get("field")) == (status, kind, field), found
        assert found["type"] == f"urn:mailstore:problem:{kind}"
        assert not found["retryable"]
        assert sqlite.shared.name not in found["detail"]
        assert sqlite.shared.accounts.count() == 0

    def test_rows_are_named(self, api: Api, sqlite: StoreRig) -> None:
        rows = [{"address": BOB, "password": "x"}, {"address": "x@absent.example", "password": "x"}]
        found = api.problem("POST", "/bulk/accounts", rows)
        assert (found["class"], [row["row"] for row in found["rows"]]) == ("BulkRefused", [1])
        assert api.problem("POST", "/bulk/accounts", [rows[0], {"address": BOB, "quota": []}])["field"] == "1.quota"
        assert sqlite.shared.accounts.count() == 0
        lines = b"\n".join(json.dumps({"address": f"u{n}@example.com", "password": "x"}).encode() for n in range(3))
        done = api.raw("POST", "/v1/stores/main/bulk/accounts", lines, {"Content-Type": "application/x-ndjson"})
        assert (done.status, done.json) == (201, {"accounts": 3})

    def test_another_kind_of_body_and_one_that_is_too_large(self, sqlite: StoreRig, workdir: Path) -> None:
        api = serve(OpenStores(main=sqlite), workdir, max_body=2000)
        form = api.raw(
            "POST", "/v1/stores/main/accounts", b"address=x", {"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert (form.status, form.json["class"]) == (415, "UnsupportedMediaType")
        assert api.problem("POST", "/accounts", b"{" + b" " * 2000)["status"] == 413


def test_only_a_trusted_proxy_names_a_request(api: Api) -> None:
    name = "trace-0123456789"
    assert api.send("GET", "/domains", X_Request_Id=name).headers["x-request-id"] != name
    api.client = "127.0.0.9"
    assert api.send("GET", "/domains", X_Request_Id=name).headers["x-request-id"] == name
    assert api.send("GET", "/domains", X_Request_Id=f"{name} x").headers["x-request-id"] != f"{name} x"
    assert api.send("HEAD", "/domains").body == b""


class TestConditions:
    def test_if_match_and_if_none_match(self, api: Api, sqlite: StoreRig) -> None:
        create(sqlite, "bob")
        first = api.send("GET", f"/accounts/{BOB}").headers["etag"]
        assert api.send("GET", f"/accounts/{BOB}", If_None_Match=first).status == 304
        changed = api.send("PATCH", f"/accounts/{BOB}", {"name": "Bob"}, If_Match=first)
        assert changed.status == 200
        second = api.send("GET", f"/accounts/{BOB}").headers["etag"]
        assert changed.headers["etag"] == second != first
        assert api.problem("PATCH", f"/accounts/{BOB}", {"name": "Rob"}, If_Match=first)["status"] == 412
        assert api.problem("DELETE", f"/accounts/{BOB}", If_Match=first)["class"] == "PreconditionFailed"
        assert sqlite.shared.accounts.get(BOB).name == "Bob"
        assert api.send("DELETE", f"/accounts/{BOB}", If_Match=f'"x", {second}').status == 200

    def test_of_two_who_change_the_same_one_wins(self, api: Api, sqlite: StoreRig) -> None:
        create(sqlite, "bob")
        tag = api.send("GET", f"/accounts/{BOB}").headers["etag"]
        statuses: list[int] = []

        def change(name: str) -> None:
            statuses.append(api.send("PATCH", f"/accounts/{BOB}", {"name": name}, If_Match=tag).status)

        racers = [threading.Thread(target=change, args=(f"n{number}",)) for number in range(6)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert sorted(statuses) == [200, 412, 412, 412, 412, 412]


class TestRepetition:
    KEY = "0123456789abcdef"

    def test_what_is_sent_twice_is_done_once(self, api: Api, workdir: Path) -> None:
        body = {"address": BOB, "password": "not to be found"}
        first = api.send("POST", "/accounts", body, Idempotency_Key=self.KEY)
        again = api.send("POST", "/accounts", body, Idempotency_Key=self.KEY)
        assert (first.status, again.status, again.json) == (201, 201, first.json)
        assert (again.headers["idempotency-replayed"], again.headers["location"]) == ("true", first.headers["location"])
        assert api.problem("POST", "/accounts", body)["class"] == "AlreadyExists"
        other = api.problem("POST", "/accounts", {**body, "password": "y"}, Idempotency_Key=self.KEY)
        assert other["class"] == "IdempotencyKeyReused"
        kept = b"".join(file.read_bytes() for file in (workdir / "v1" / "replays").iterdir())
        assert b"not to be found" not in kept
        assert self.KEY.encode() not in kept

    def test_a_refusal_is_told_again(self, api: Api) -> None:
        refused = {"address": "x@y.example"}
        first = api.problem("POST", "/accounts", refused, Idempotency_Key=self.KEY)
        again = api.send("POST", "/accounts", refused, Idempotency_Key=self.KEY)
        assert (again.status, again.json) == (422, first)
        assert api.problem("POST", "/accounts", {"address": BOB}, Idempotency_Key="short")["status"] == 400

    def test_who_died_in_it_leaves_a_doubt(self, api: Api, workdir: Path) -> None:
        body = {"address": BOB, "password": "x"}
        api.call("POST", "/accounts", body, Idempotency_Key=self.KEY)
        [file] = (workdir / "v1" / "replays").iterdir()
        kept = msgspec.msgpack.decode(file.read_bytes())
        file.write_bytes(msgspec.msgpack.encode({"request": kept["request"]}))
        assert api.problem("POST", "/accounts", body, Idempotency_Key=self.KEY)["class"] == "OutcomeUnknown"

    def test_another_caller_has_other_keys(self, api: Api) -> None:
        _, text = api.tokens.create("other", access="write")
        other = api.as_(Authorization=f"Bearer {text}")
        api.call("POST", "/accounts", {"address": BOB, "password": "x"}, Idempotency_Key=self.KEY)
        found = other.problem("POST", "/accounts", {"address": BOB, "password": "x"}, Idempotency_Key=self.KEY)
        assert found["class"] == "AlreadyExists"


class TestMany:
    def test_pages_go_on(self, api: Api, sqlite: StoreRig) -> None:
        names = [f"u{number:02}" for number in range(25)]
        create(sqlite, *names)
        seen, path = [], "/accounts?limit=10&domain=example.com&total=true"
        for expected in (10, 10, 5):
            page = api.send("GET", path)
            assert (len(page.json["items"]), page.json["total"]) == (expected, 25)
            seen += [account["address"] for account in page.json["items"]]
            path = f"/accounts{page.headers['link'].split('<')[1].split('>')[0]}" if page.json["next"] else ""
        assert path == ""
        assert seen == [f"{name}@example.com" for name in names]

    def test_lists_without_a_key_go_on_too(self, api: Api, sqlite: StoreRig) -> None:
        for number in range(5):
            sqlite.shared.domains.create(f"d{number}.example")
            sqlite.shared.domains.delete(f"d{number}.example")
        seen, cursor = [], ""
        for _ in range(3):
            page = api.call("GET", f"/deleted-domains?limit=2{cursor}")
            seen += [domain["domain"] for domain in page["items"]]
            cursor = f"&cursor={page['next']}"
        assert page["next"] is None
        assert sorted(seen) == [f"d{number}.example" for number in range(5)]

    def test_everything_comes_one_a_line(self, api: Api, sqlite: StoreRig) -> None:
        create(sqlite, *(f"u{number:03}" for number in range(600)))
        reply = api.send("GET", "/accounts", Accept="application/x-ndjson")
        assert reply.headers["content-type"] == "application/x-ndjson"
        assert "content-length" not in reply.headers
        assert [line["address"] for line in reply.lines] == [
            account.address for account in sqlite.shared.accounts.list()
        ]
        assert len(api.send("GET", "/accounts?limit=3", Accept="application/x-ndjson").lines) == 3
        assert api.send("HEAD", "/accounts", Accept="application/x-ndjson").body == b""
        refused = api.send("GET", "/lists", Accept="application/x-ndjson")
        assert (refused.status, refused.json["class"]) == (422, "NotSupported")


class TestBatches:
    def steps(self, *steps: tuple[str, str, Any]) -> dict[str, Any]:
        return {"operations": [{"method": method, "path": path, "body": body} for method, path, body in steps]}

    def test_all_or_none(self, api: Api, sqlite: StoreRig) -> None:
        done = api.call("POST", "/batch", self.steps(
            ("POST", "/domains", {"domain": "new.example"}),
            ("POST", "/accounts", {"address": "x@new.example", "password": "x"}),
            ("PATCH", "/accounts/x@new.example", {"name": "X"}),
        ))  # fmt: skip
        assert [result["status"] for result in done["results"]] == [201, 201, 200]
        assert done["results"][2]["body"]["name"] == "X"
        refused = api.problem("POST", "/batch", self.steps(
            ("POST", "/domains", {"domain": "third.example"}), ("DELETE", "/accounts/nobody@new.example", {}),
        ))  # fmt: skip
        assert (refused["class"], refused["operation"], refused["status"]) == ("NotFound", 1, 404)
        assert not sqlite.shared.domains.exists("third.example")
        tried = api.call("POST", "/batch?dry_run=true", self.steps(("POST", "/domains", {"domain": "third.example"})))
        assert tried["results"][0]["status"] == 201
        assert not sqlite.shared.domains.exists("third.example")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "operations"),
            ({"operations": [1]}, "operations.0"),
            ({"operations": [{"method": "GET", "path": "/accounts"}]}, "operations.0.path"),
            ({"operations": [{"method": "POST", "path": "/purge"}]}, "operations.0.path"),
            ({"operations": [{"method": "POST", "path": "/batch"}]}, "operations.0.path"),
            (
                {"operations": [{"method": "POST", "path": "/domains", "body": {"domain": 1}}]},
                "operations.0.body.domain",
            ),
            ({"operations": [{"method": "GET", "path": "/domains/x", "query": {"a": 1}}]}, "operations.0.query"),
        ],
    )
    def test_what_is_wrong_is_named(self, api: Api, body: Any, field: str) -> None:
        assert api.problem("POST", "/batch", body)["field"] == field


class TestBrowsers:
    @pytest.fixture
    def page(self, sqlite: StoreRig, workdir: Path) -> Api:
        return serve(OpenStores(main=sqlite), workdir, cors=frozenset({"https://panel.example"}))

    def test_named_pages_may_use_it_and_others_may_not(self, page: Api) -> None:
        answer = page.send("GET", "/domains", Origin="https://panel.example", Host="api.example")
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://panel.example"
        asked = page.send("OPTIONS", "/domains", Origin="https://panel.example", Access_Control_Request_Method="PATCH")
        assert (asked.status, "PATCH" in asked.headers["access-control-allow-methods"]) == (204, True)
        other = page.send("GET", "/domains", Origin="https://evil.example", Host="api.example")
        assert (other.status, "access-control-allow-origin" in other.headers) == (403, False)
        assert page.send("GET", "/domains", Origin="https://api.example", Host="api.example").status == 200

    def test_the_description_needs_nothing_from_elsewhere(self, page: Api) -> None:
        anybody = page.as_()
        described = anybody.raw("GET", "/v1/openapi.json")
        assert described.json["openapi"] == "3.1.0"
        reference = anybody.raw("GET", "/v1/reference")
        text = reference.body.decode()
        assert "default-src 'none'" in reference.headers["content-security-policy"]
        assert "<script" not in text
        assert "src=" not in text
        assert "http" not in text.replace("HTTP", "")
        for operation in ("createAccount", "purge", "batch"):
            assert f'id="{operation}"' in text
