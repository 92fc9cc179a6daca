"""Every refusal of a server becomes the right error, without what must not be shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mailstore.errors import (
    AlreadyExists,
    Conflict,
    InvalidValue,
    MailstoreError,
    NotFound,
    SchemaMismatch,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from mailstore.ldap.connection import Change, Directory
from mailstore.ldap.failures import Request, Result, failure, result_code
from mailstore.ldap.names import DN, Filter, dn, equals, parent
from tests.ldap.conftest import Connect
from tests.ldap.server import ELSEWHERE, READER, SUFFIX, Server, person

HASH = "{SSHA512}c2VjcmV0LXNlY3JldC1zZWNyZXQ="


Write = Callable[[Directory, DN], object]
REFUSED: dict[str, tuple[Write, type[MailstoreError], str]] = {
    "an entry that exists": (lambda it, bob: it.add(bob, {"objectClass": ["person"], "cn": ["bob"], "sn": ["x"]}),
                             AlreadyExists, "exists already"),
    "an entry without a parent": (lambda it, bob: person(it, dn(("cn", "no"), base=bob)), NotFound, "above it"),
    "an entry that is gone": (lambda it, bob: it.delete(dn(("cn", "no"), base=bob)), NotFound, "no such entry"),
    "an entry with others below": (lambda it, bob: it.delete(parent(person(it, bob, "below"))), Conflict, "below it"),
    "a value that exists": (lambda it, bob: it.modify(bob, [Change.add("sn", "X")]), Conflict, "already"),
    "a value that is absent": (lambda it, bob: it.modify(bob, [Change.delete("sn", "y")]), Conflict, "is gone"),
    "a value given twice": (lambda it, bob: it.modify(bob, [Change.replace("mail", "a@x", "A@x")]), InvalidValue, "twice"),
    "an unknown attribute": (lambda it, bob: it.modify(bob, [Change.add("nix", "1")]), SchemaMismatch, "nix"),
    "an unknown class": (lambda it, bob: it.modify(bob, [Change.add("objectClass", "nix")]), SchemaMismatch, "class"),
    "a needed attribute": (lambda it, bob: it.modify(bob, [Change.delete("sn")]), SchemaMismatch, "'sn'"),
    "a bad value": (lambda it, bob: it.modify(bob, [Change.add("mail", "ü@x")]), InvalidValue, "mail"),
    "two values of one": (lambda it, bob: it.modify(bob, [Change.add("preferredLanguage", "a", "b")]), InvalidValue, "19"),
    "a value of the name": (lambda it, bob: it.modify(bob, [Change.replace("cn", "x")]), InvalidValue, "name"),
    "another server's": (lambda it, _bob: it.delete(DN("dc=nowhere")), StoreError, "write to the provider"),
    "a part that is elsewhere": (lambda it, _bob: it.read(ELSEWHERE), StoreError, "other.example.org"),
    "a tree that is elsewhere": (lambda it, _bob: list(it.search(SUFFIX, equals("cn", "nobody"))), StoreError, "elsewhere"),
    "a bad filter": (lambda it, bob: list(it.search(bob, Filter("(cn=x"))), StoreError, "ldap3"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(directory: Directory, base: DN, case: str) -> None:
    bob = person(directory, base)
    write, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words) as caught:
        write(directory, bob)
    assert type(caught.value) is kind or kind is StoreError
    assert directory.read(bob) is not None


def test_a_missing_right_is_named_without_values(connect: Connect, directory: Directory, base: DN) -> None:
    reader = connect(READER)
    bob = person(directory, base)
    with pytest.raises(StoreDenied) as caught:
        reader.modify(bob, [Change.replace("userPassword", HASH), Change.add("title", "boss")])
    message = str(caught.value)
    assert all(word in message for word in (READER, bob, "userPassword", "title"))
    assert HASH not in message
    assert "boss" not in message
    assert caught.value.subject == bob


def test_a_password_in_the_servers_answer_is_not_shown(directory: Directory, base: DN) -> None:
    # slapd puts the name of an unknown attribute into its answer; a caller might have mixed up the two.
    bob = person(directory, base)
    with pytest.raises(SchemaMismatch) as caught:
        directory.modify(bob, [Change.add("s3cretx", "1"), Change.add("userPassword", "s3cretx")])
    assert "s3cretx: attribute type" not in str(caught.value)


def test_tracebacks_hold_no_requests(directory: Directory, base: DN) -> None:
    bob = person(directory, base, userPassword=[HASH])
    with pytest.raises(AlreadyExists) as caught:
        person(directory, base, userPassword=[HASH])
    assert caught.value.__context__ is None
    assert HASH not in str(caught.getrepr(style="short"))
    assert bob in str(caught.value)


def test_a_server_that_is_read_only_says_so(scratch_root: Path) -> None:
    with (
        Server(scratch_root / "readonly", tls=False, large=False, extra="readonly on") as server,
        closing(server.directory_for()) as directory,
    ):
        assert directory.read(SUFFIX)
        with pytest.raises(StoreDenied, match="read-only"):
            directory.modify(SUFFIX, [Change.replace("description", "x")])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, StoreError),
        (3, StoreUnavailable),
        (11, StoreDenied),
        (13, StoreDenied),
        (80, StoreError),
        (4096, StoreError),
    ],
)
def test_answers_that_are_hard_to_get(code: int, kind: type[MailstoreError]) -> None:
    hidden = Request("modify", "cn=bob", bind_dn="cn=writer", attributes=("userPassword",), secrets=("geheim",))
    error = failure(Result(code, "name", f"x\n  geheim {HASH} {'y' * 1000}"), hidden)
    assert type(error) is kind
    assert result_code(error) == code
    assert "…" in str(error)
    assert "geheim" not in f"{error} {error.__cause__}"
    assert "c2Vjcm" not in f"{error} {error.__cause__}"
    assert len(str(error)) < 600
    assert "\n" not in str(error)
