"""The description of the API in OpenAPI 3.1, made from the operations, the contract, its parameters and its records."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mailstore import errors, model, policies, store
from mailstore.errors import MailstoreError
from mailstore.model import Capability
from mailstore.records import schema_of
from mailstore.version import __version__
from mailstore_http.v1 import batches
from mailstore_http.v1.operations import Operation, Query
from mailstore_http.v1.problems import CONTENT_TYPE, STATUSES
from mailstore_http.v1.requests import COMMON, LINES, PAGING
from mailstore_http.v1.tables import OPERATIONS
from mailstore_http.v1.values import FORMS, Parameters

__all__ = ["COLLECTIONS", "document", "error_classes", "meaning_of", "summary_of"]

COLLECTIONS: Mapping[str, Capability] = {
    "aliases": Capability.ALIASES, "lists": Capability.LISTS, "admins": Capability.ADMINS,
}  # fmt: skip
"""What a store may have besides domains and accounts, each with parameters of its own."""
_RECORDS: tuple[type, ...] = (
    model.Domain, model.Account, model.Alias, model.MailingList, model.Admin, model.DeletedMailbox, model.DeletedDomain,
    model.Finding, policies.SpamPolicy, policies.EffectivePolicy, policies.Throttle, policies.EffectiveThrottle,
    policies.GreylistingSetting, policies.GreylistingVerdict, policies.AccessList, policies.AccessVerdict,
)  # fmt: skip
_MEANINGS: Mapping[str, Callable[..., Any]] = {
    "domains": store.Domains.create, "accounts": store.Accounts.create, "aliases": store.Aliases.create,
    "lists": store.MailingLists.create, "admins": store.Admins.create, "deleted": store.Accounts.create,
    "spam-policies": store.SpamPolicies.set, "throttles": store.Throttles.set, "greylisting": store.Greylisting.set,
}  # fmt: skip
"""Where the contract says what the parameters of a noun mean."""
_OWN_WORDS: Mapping[str, str] = {
    "address": "the address", "domain": "the domain", "new_address": "the address that it gets", "names": "several of them",
    "password": "in plain text; hashed as the store is configured to",
    "password_hash": "`{SCHEME}data`, instead of a password",
    "keep_mailbox_days": "counted from today; null is never", "home": "an absolute path",
    "whitelist": "who is always accepted", "blacklist": "who is refused", "domains": "domains",
}  # fmt: skip
_PLACES: Mapping[str, str] = {
    "store": "a store of the configuration", "address": "a mail address", "domain": "a domain", "alias": "an alias domain",
    "id": "the number of a record", "level": "global, a domain or an address", "direction": "inbound or outbound",
}  # fmt: skip
_PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was refused, for what, why, and what to do next"},
        "instance": {"type": "string", "description": "the request, by the number that the log has of it"},
        "class": {
            "type": "string",
            "description": "for programs: a class of mailstore.errors, or a word of the API's own",
        },
        "field": {"type": "string", "description": "the parameter that it is about, as a path with dots"},
        "subject": {"type": "string", "description": "the address, domain or path that it is about"},
        "retryable": {"type": "boolean", "description": "whether the same request may succeed later"},
        "state": {"type": "string", "description": "what is left behind, where that is not nothing"},
        "rows": {"type": "array", "items": {"type": "object"}, "description": "the refused rows of a bulk operation"},
        "operation": {"type": "integer", "description": "the refused operation of a batch, from 0"},
    },
    "required": ["type", "title", "status", "detail", "instance", "class", "retryable"],
}
_INTRO = """\
JSON over the contract of mailstore, the same for every store: records are those of the library, and so are the parameters.
A parameter that is not given leaves the value as it is; empty text clears it; `null` in a limit is no limit. Sets of names
are given whole, or as `{"add": [...], "remove": [...]}`."""


def document(prefix: str = "/v1") -> dict[str, Any]:
    """Return the whole description; `prefix` is where the API is served."""
    paths: dict[str, dict[str, Any]] = {
        "/stores": {"get": _stores()},
        "/stores/{store}": {"get": _facts(), "parameters": [_place("store")]},
    }
    for operation in (*OPERATIONS, batches.OPERATION):
        path = f"/stores/{{store}}{operation.path}"
        place = paths.setdefault(path, {"parameters": [_place(name) for name in re.findall(r"\{(\w+)\}", path)]})
        place[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mailstore", "version": __version__, "description": _INTRO},
        "servers": [{"url": prefix}],
        "security": [{"token": []}, {"admin": []}],
        "tags": [{"name": name} for name in dict.fromkeys(["stores", *(each.noun for each in OPERATIONS), "batch"])],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "made with mailstore http token create"},
                "admin": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "address and password of an admin of the store",
                },
            },
            "schemas": {**{kind.__name__: _record(kind) for kind in _RECORDS}, "Problem": _PROBLEM},
        },
    }


def summary_of(operation: Operation) -> str:
    """Return what an operation does, in one sentence."""
    paragraph = " ".join(_explained(operation).partition("\n\n")[0].split())
    return re.match(r".*?[.](?= [A-Z`]|$)|.*", paragraph)[0]  # type: ignore[index]


def meaning_of(noun: str, name: str) -> str:
    """Return what a parameter means, as the contract says it."""
    texts = dict(_parameter_texts(_MEANINGS[noun])) if noun in _MEANINGS else {}
    return texts.get(name) or _OWN_WORDS.get(name, "")


def _explained(operation: Operation) -> str:
    text = operation.explained if isinstance(operation.explained, str) else inspect.getdoc(operation.explained) or ""
    text = re.sub(r"\n*Parameters\n-+\n(?:\S.*\n?|    .*\n?)*", "\n", text)
    return re.sub(r"(`+)(\w+(?:\.\w+)*)\1", r"`\2`", text).strip()


def _parameter_texts(method: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Iterate over the parameters that a docstring explains, and what it says of each."""
    match = re.search(r"Parameters\n-+\n((?:\S.*\n?|    .*\n?)+)", inspect.getdoc(method) or "")
    for entry in re.finditer(r"^(\w+(?:, \w+)*): (.*(?:\n    .*)*)", match[1] if match else "", re.MULTILINE):
        for name in entry[1].split(", "):
            if not entry[2].startswith("as they say"):
                yield name, re.sub(r"\s+", " ", entry[2]).rstrip(".")


def _record(kind: type) -> dict[str, Any]:
    schema = schema_of(kind)
    schema["description"] = re.sub(r"\s+", " ", inspect.getdoc(kind) or "")
    schema["required"] = list(schema["properties"])  # an answer has all of them
    return schema


def _place(name: str) -> dict[str, Any]:
    kind = {"type": "integer"} if name == "id" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": _PLACES[name], "schema": kind}


def _described(operation: Operation) -> dict[str, Any]:
    text = _explained(operation)
    found: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.noun],
        "summary": summary_of(operation),
        "description": text,
        "parameters": [*_query(operation), *_headers(operation)],
        "responses": _responses(operation),
    }
    if (body := _body(operation)) is not None:
        found["requestBody"] = body
    return found


def _query(operation: Operation) -> Iterator[dict[str, Any]]:
    known: dict[str, Query] = dict(operation.query)
    if operation.shape == "page":
        known |= PAGING
    if operation.changes:
        known |= COMMON
    kinds = {"str": "string", "bool": "boolean", "int": "integer"}
    for name, query in known.items():
        yield {"name": name, "in": "query", "description": query.meaning, "schema": {"type": kinds[query.type]}}


def _headers(operation: Operation) -> Iterator[dict[str, Any]]:
    if operation.changes:
        yield _header(
            "Idempotency-Key", "done once: the same key again is answered as the first time", minLength=8, maxLength=255
        )
        if operation.record is not None:
            yield _header("If-Match", "the ETag of the record that the change is meant for")
    elif operation.record is not None:
        yield _header("If-None-Match", "an ETag: 304 if the record is still that")


def _header(name: str, meaning: str, **limits: int) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": meaning, "schema": {"type": "string", **limits}}


def _body(operation: Operation) -> dict[str, Any] | None:
    if operation is batches.OPERATION:
        return _content(batches.BODY, required=True)
    if operation.rows is not None:
        row = _parameters(operation.noun, operation.rows)
        body = _content({"type": "array", "items": row}, required=True)
        body["content"][LINES] = {"schema": row}
        return body
    if operation.parameters is None:
        return None
    return _content(_parameters(operation.noun, operation.parameters), required=bool(operation.parameters.required))


def _content(schema: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _parameters(noun: str, parameters: Parameters) -> dict[str, Any]:
    def of(name: str, type_: str) -> dict[str, Any]:
        form, meaning = dict(FORMS[type_].schema), meaning_of(noun, name)
        told = "; ".join(text for text in (meaning, form.pop("description", "")) if text)
        return {**form, "description": told} if told else form

    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: of(name, type_) for name, type_ in parameters.types.items()},
        "additionalProperties": False,
    }
    return {**schema, "required": list(parameters.required)} if parameters.required else schema


def _answer(operation: Operation) -> dict[str, Any]:
    if isinstance(operation.answer, type):
        return {"$ref": f"#/components/schemas/{operation.answer.__name__}"}
    return dict(operation.answer)


def _responses(operation: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    if operation.shape == "nothing":
        answers["204"] = {"description": "It is done."}
    elif operation.shape == "page":
        item = _answer(operation)
        page = {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": item},
                "next": {
                    "type": ["string", "null"],
                    "description": "the cursor of the next page; null on the last one",
                },
                "total": {"type": "integer"},
            },
            "required": ["items", "next"],
        }
        answers["200"] = {
            "description": "A page, or with `Accept: application/x-ndjson` everything, one item a line.",
            "content": {"application/json": {"schema": page}, LINES: {"schema": item}},
        }
    else:
        told = {"description": "The answer.", "content": {"application/json": {"schema": _answer(operation)}}}
        answers[str(operation.status)] = told
        if operation.status != 200:
            answers["200"] = {**told, "description": "The answer to a dry run."}
    if operation.method == "GET" and operation.record is not None:
        answers["304"] = {"description": "It is still what the client has."}
    answers["default"] = {
        "description": "What went wrong.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return answers


def _stores() -> dict[str, Any]:
    item = {"type": "object", "properties": {"store": {"type": "string"}}, "required": ["store"]}
    page = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": item}, "next": {"type": "null"}},
        "required": ["items", "next"],
    }
    return _simple("listStores", "List the stores that may be used.", page)


def _facts() -> dict[str, Any]:
    properties = {
        "store": {"type": "string"},
        "capabilities": {"type": "object", "additionalProperties": {"type": "string"}},
        "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "homes": {"type": "boolean", "description": "whether homes are made, and can be purged"},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return _simple("getStore", "Tell what a store can do, and which parameters it has a place for.", schema)


def _simple(name: str, summary: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    problem = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "operationId": name,
        "tags": ["stores"],
        "summary": summary,
        "responses": {
            "200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}},
            "default": {"description": "What went wrong.", "content": problem},
        },
    }


def error_classes() -> Iterator[tuple[str, int, bool]]:
    """Iterate over the classes of the library's errors, with the status of each, and whether it may pass by itself."""
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not (isinstance(kind, type) and issubclass(kind, MailstoreError)):
            continue
        yield name, next((STATUSES[each] for each in kind.__mro__ if each in STATUSES), 500), kind.temporary
