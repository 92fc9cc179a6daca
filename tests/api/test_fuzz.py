"""Odd requests, made from the description of the API and from nothing: never a fault of ours, never half a change."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstore.passwords import hash_password
from mailstore_http.v1 import openapi
from tests.api.rig import Api, OpenStores, serve
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.stores import StoreRig

DOCUMENT = openapi.document("")
OPERATIONS = sorted(
    (path, method)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if method != "parameters" and path.startswith("/stores/{store}/")
)
NAMES = st.sampled_from([
    "example.com", "bob@example.com", "sales@example.com", "new@example.com", "other.example", "global", "inbound", "1", "x",
    "a/b@example.com", "", "@", "..", "*", "%", "\u202e", "ß@ü.example", "\U0001f40c@example.com", "x" * 300, "a\nb",
    "'; --@example.com", "\x7f", "BOB@EXAMPLE.COM",
])  # fmt: skip
TEXTS = NAMES | st.text(max_size=30) | st.sampled_from([hash_password("x"), "1G", "unlimited", "1h", "en_US", "imap"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 1 << 31, 1 << 63, 1 << 64])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def fitting(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a schema allows, or nearly."""
    if "anyOf" in schema:
        return st.one_of([fitting(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", [])
    made: Mapping[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: TEXTS,
        "integer": lambda: st.integers(-2, 1 << 40),
        "number": lambda: st.floats(-1, 1100),
        "boolean": st.booleans,
        "null": st.none,
        "array": lambda: st.lists(fitting(schema.get("items", {"type": "string"})), max_size=3),
        "object": lambda: bodies(schema),
    }
    return st.one_of([made[kind]() for kind in ([kinds] if isinstance(kinds, str) else kinds)] or [JSON])


def bodies(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return objects with some of the properties, and sometimes with something in place of one."""
    properties = schema.get("properties", {})
    required = {name: fitting(properties[name]) for name in schema.get("required", ())}
    optional = {name: fitting(each) | JSON for name, each in properties.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    """Return method, path below the store, body and headers."""
    path, method = draw(st.sampled_from(OPERATIONS))
    operation = DOCUMENT["paths"][path][method]
    path = re.sub(r"\{\w+\}", lambda _: quote(draw(NAMES), safe=draw(st.sampled_from(["", "@/"]))), path[15:])
    queries = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
    query = {name: draw(TEXTS | st.sampled_from(["true", "1"])) for name in queries if draw(st.integers(0, 3)) == 0}
    content = operation.get("requestBody", {}).get("content", {})
    body: bytes = b""
    if content:
        value = draw(fitting(content["application/json"]["schema"]) | JSON)
        body = draw(st.just(_encoded(value)) | st.binary(max_size=30))
    headers = {name: draw(TEXTS) for name in ("Idempotency-Key", "If-Match", "Accept") if draw(st.integers(0, 5)) == 0}
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(["head", "options", "put", "foo"]))
    text = urlencode(query, errors="surrogatepass")
    return method.upper(), f"{path}?{text}" if text else path, body, headers


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def fuzzed(rigs: Callable[[str], StoreRig], scratch_root: Path) -> Iterator[tuple[Api, StoreRig]]:
    rig = rigs("sqlite")
    rig.clear()
    empty_homes(rig)
    store = rig.shared
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password_hash=hash_password("x"))
    store.aliases.create("sales@example.com", members=["bob@example.com"])
    directory = scratch_root / "fuzz"
    directory.mkdir()
    stores = OpenStores(main=rig)
    yield serve(stores, directory), rig
    stores.close()


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_no_request_is_our_fault(fuzzed: tuple[Api, StoreRig], request: tuple[str, str, bytes, dict[str, str]]) -> None:
    api, _ = fuzzed
    method, path, body, headers = request
    reply = api.raw(method, f"/v1/stores/main{path}", body, headers)
    assert reply.status < 500, (request, reply.body)
    if reply.status >= 400 and method != "HEAD":
        assert reply.json["class"], reply


def test_nothing_is_half_done(fuzzed: tuple[Api, StoreRig]) -> None:
    _, rig = fuzzed
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []
    assert rig.busy_connections() == 0
