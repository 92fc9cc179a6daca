"""One of everything that mail servers look up, made through the library, and what each of its addresses comes to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mailstore import Capability, Edit, Store
from tests.readers import Answers, hashed

__all__ = ["BOB", "CATCH_ALL", "GONE", "KEYS", "RESOLVED", "UNANSWERED", "answers", "build", "create"]

BOB = "bob@example.com"


def create(store: Store, address: str, **fields: Any) -> Path:
    """Create an account with the password of all tests; return its home."""
    return Path(str(store.accounts.create(address, password_hash=hashed("ssha256short"), **fields).home))


def build(store: Store) -> None:
    """Make one of everything that Postfix looks up, and its disabled sisters."""
    together = Capability.TRANSACTIONS in store.capabilities
    with store.transaction() if together else nullcontext():
        _build_domains(store)
        _build_accounts(store)
        _build_aliases(store)


def _build_domains(store: Store) -> None:
    store.domains.create(
        "example.com", sender_bcc="all-out@log.example", recipient_bcc="all-in@log.example",
        outbound_relay="smtp:[relay.example.net]:587",
    )  # fmt: skip
    store.domains.create("plain.example", transport="lmtp:unix:private/dovecot-lmtp")
    store.domains.create("off.example", enabled=False, sender_bcc="x@log.example", recipient_bcc="x@log.example")
    store.domains.create("mx.example", backup_mx=True, primary_mx="[mx.example.net]:25")
    store.domains.create("anymx.example", backup_mx=True)
    store.domains.create("wasmx.example", backup_mx=True, primary_mx="mx.example.net")
    store.domains.update("wasmx.example", backup_mx=False)
    store.domains.add_alias_domains("example.com", ["alias.example"])
    store.domains.add_alias_domains("off.example", ["ofoff.example"])


def _build_accounts(store: Store) -> None:
    accounts: dict[str, dict[str, Any]] = {
        BOB: {
            "aliases": ["robert@example.com", "rob@alias.example"], "outbound_relay": "[bob.example.net]",
            "sender_bcc": "bob-out@log.example", "recipient_bcc": "bob-in@log.example",
        },
        "kim@example.com": {"forwarding": ["kim@other.org", "kim2@other.org"]},
        "eve@example.com": {"forwarding": ["eve@other.org"], "keep_copy": False},
        "back@example.com": {"forwarding": ["x@other.org"], "keep_copy": False},
        "cut@example.com": {"aliases": ["cut2@example.com"], "sender_bcc": "cut@log.example", "transport": "smtp:[x]"},
        "moved@example.com": {"transport": "smtp:[other.example.net]"},
        "nosmtp@example.com": {},
        "nodeliver@example.com": {"transport": "smtp:[x]"},
        "zoe@plain.example": {"aliases": ["zz@plain.example"]},
        "cut@plain.example": {"aliases": ["cut2@plain.example"]},
        "dan@off.example": {"aliases": ["dd@off.example"], "transport": "smtp:[x]"},
        "mia@mx.example": {"aliases": ["mm@mx.example"]},
    }  # fmt: skip
    for address, fields in accounts.items():
        create(store, address, **fields)
    store.accounts.update("back@example.com", forwarding=[])
    store.accounts.update("nosmtp@example.com", services=Edit(remove=["smtp"]))
    store.accounts.update("nodeliver@example.com", services=Edit(remove=["deliver"]))
    store.accounts.update("cut@example.com", enabled=False)
    store.accounts.update("cut@plain.example", enabled=False)
    store.domains.update("example.com", catch_all=["kim@example.com", "catch@other.org"])


def _build_aliases(store: Store) -> None:
    store.aliases.create("sales@example.com", members=[BOB, "ann@other.org"])
    store.aliases.create("closed@plain.example", members=["zoe@plain.example"])
    store.aliases.update("closed@plain.example", enabled=False)
    store.aliases.add_members("closed@plain.example", ["while-closed@other.org"])
    store.aliases.create("empty@plain.example")


KEYS = (
    *("example.com", "alias.example", "plain.example", "off.example", "ofoff.example", "mx.example", "anymx.example"),
    *("wasmx.example", "unknown.example"),
    *(f"{name}@example.com" for name in ("bob", "kim", "eve", "back", "cut", "moved", "nosmtp", "nodeliver")),
    *("robert@example.com", "rob@example.com", "cut2@example.com", "sales@example.com"),
    *("nobody@example.com", "no+body@example.com", "bob+x@example.com", "@example.com"),
    *("bob@alias.example", "robert@alias.example", "rob@alias.example", "sales@alias.example", "eve@alias.example"),
    *("cut@alias.example", "nobody@alias.example", "@alias.example"),
    *("zoe@plain.example", "zz@plain.example", "cut@plain.example", "cut2@plain.example"),
    *("closed@plain.example", "empty@plain.example", "nobody@plain.example", "@plain.example"),
    *("dan@off.example", "dd@off.example", "nobody@off.example", "dan@ofoff.example", "mia@mx.example"),
    *("mm@mx.example", "x@anymx.example"),
)
CATCH_ALL = "kim@example.com,catch@other.org"
RESOLVED: dict[str, str] = {
    "bob@example.com": BOB,
    "robert@example.com": BOB,
    "robert@alias.example": BOB,
    "rob@alias.example": BOB,
    "rob@example.com": CATCH_ALL,
    "sales@alias.example": f"{BOB},ann@other.org",
    "eve@alias.example": "eve@other.org",
    # Who is switched off leads to itself, where nobody is: the catch-all does not get the mail.
    "cut@example.com": "cut@example.com",
    "cut@alias.example": "cut@example.com",
    "nobody@example.com": CATCH_ALL,
    "nobody@alias.example": CATCH_ALL,
    "zz@plain.example": "zoe@plain.example",
}
UNANSWERED = (
    *("no+body@example.com", "bob+x@example.com", "cut@plain.example", "cut2@plain.example", "closed@plain.example"),
    *("empty@plain.example", "nobody@plain.example", "dan@off.example", "mia@mx.example", "mm@mx.example"),
)


def answers(expected: dict[str, str]) -> Answers:
    """Return an expectation as sets, because the order of rows means nothing."""
    return {key: frozenset(value.split(",")) for key, value in expected.items()}


GONE: dict[str, tuple[Callable[[Store], object], tuple[str, ...]]] = {
    "renamed account": (
        lambda store: store.accounts.rename(BOB, "bill@plain.example"),
        (BOB, "bob@alias.example"),
    ),
    "deleted account": (
        lambda store: store.accounts.delete(BOB),
        (BOB, "bob@alias.example", "robert@example.com", "robert@alias.example", "rob@alias.example"),
    ),
    "renamed alias": (
        lambda store: store.aliases.rename("sales@example.com", "verkauf@plain.example"),
        ("sales@example.com", "sales@alias.example"),
    ),
    "deleted alias": (
        lambda store: store.aliases.delete("sales@example.com"),
        ("sales@example.com", "sales@alias.example"),
    ),
    "removed alias domain": (
        lambda store: store.domains.remove_alias_domains("example.com", ["alias.example"]),
        tuple(key for key in KEYS if key.endswith("alias.example")),
    ),
    "deleted domain": (
        lambda store: store.domains.delete("example.com"),
        tuple(key for key in KEYS if key.endswith(("example.com", "alias.example"))),
    ),
}
"""What makes keys disappear, and which."""
