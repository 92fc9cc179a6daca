"""A store that has one of everything that its kind can hold, and its dump as text."""

from __future__ import annotations

import io
import re
from contextlib import nullcontext
from typing import Any

from mailstore import Capability, Store
from mailstore.transfer import dump, write_entries
from tests.readers import hashed

__all__ = ["PASSWORD_OF_ALL", "fill", "text_of", "timeless"]

PASSWORD_OF_ALL = "ssha256short"
_TIMES = re.compile(r', "(?:created|modified|password_changed)": "[^"]*"')


def text_of(store: Store, **options: Any) -> str:
    """Return the dump of a store."""
    out = io.StringIO()
    write_entries(dump(store, **options), out.write, services=store.accounts.service_names)
    return out.getvalue()


def timeless(text: str) -> str:
    """Return a dump without times of change."""
    return _TIMES.sub("", text)


def fill(store: Store) -> None:
    """Put everything into a store that its kind can hold."""
    has = store.capabilities
    with store.transaction() if Capability.TRANSACTIONS in has else nullcontext():
        _domains(store)
        _accounts(store)
        if Capability.ALIASES in has:
            store.aliases.create("sales@example.com", members=["bob@example.com", "ann@other.org"])
            if "moderators" in store.aliases.fields:
                store.aliases.update(
                    "sales@example.com", access_policy="moderatorsonly", moderators=["bob@example.com"]
                )
        if Capability.LISTS in has:
            store.lists.create(
                "crew@example.com", members=["bob@example.com", "kim@other.org"], owners=["bob@example.com"]
            )
        _admins(store)
        if Capability.DOMAIN_LIMITS in has:  # lower than what is there
            store.domains.update("example.com", max_accounts=1, max_account_quota="5M", quota="10M")


def _domains(store: Store) -> None:
    if Capability.DOMAINS in store.capabilities:
        profile = Capability.DOMAIN_PROFILE in store.capabilities
        store.domains.create("example.com", **({"name": "Example", "sender_bcc": "log@other.org"} if profile else {}))
        store.domains.create("second.example")
        if profile:
            store.domains.update("example.com", catch_all=["kim@other.org"])
            store.domains.create("relayed.example", backup_mx=True, primary_mx="[mx.example.net]:25")
            store.domains.update("second.example", enabled=False)
        if Capability.ALIAS_DOMAINS in store.capabilities:
            store.domains.add_alias_domains("example.com", ["alias.example"])


def _accounts(store: Store) -> None:
    fields = store.accounts.fields
    secret: dict[str, Any] = {"password_hash": hashed(PASSWORD_OF_ALL)}
    if Capability.READY_HASHES not in store.capabilities:
        secret = {"password": "correct horse"}
    wanted: dict[str, Any] = {
        "name": "Bob Ü. Example", "quota": 64 << 20, "forwarding": ["bob@other.org"], "keep_copy": False,
        "services": ["imap", "smtp"], "allow_nets": ["10.0.0.0/8"], "recipient_bcc": "log@other.org", "language": "de_DE",
    }  # fmt: skip
    store.accounts.create("bob@example.com", **secret, **{name: wanted[name] for name in wanted.keys() & fields})
    if Capability.ACCOUNT_ALIASES in store.capabilities:
        store.accounts.update("bob@example.com", aliases=["robert@example.com"])
    for number in range(3):
        store.accounts.create(f"user{number}@second.example", **secret)
    if "enabled" in fields:
        store.accounts.update("user1@second.example", enabled=False)
    if Capability.DOMAINS not in store.capabilities:
        store.domains.add_alias_domains("example.com", ["alias.example"])
        store.aliases.create("@second.example", members=["user0@second.example"])


def _admins(store: Store) -> None:
    has = store.capabilities
    if Capability.ACCOUNT_ADMINS in has:
        rights: Any = {"domains": ["second.example"]} if Capability.DOMAIN_ADMINS in has else {"global_admin": True}
        store.admins.promote("bob@example.com", **rights)
    if Capability.STANDALONE_ADMINS in has:
        store.admins.create("boss@other.org", password_hash=hashed(PASSWORD_OF_ALL), domains=["example.com"])
        store.admins.create("root@other.org", password_hash=hashed(PASSWORD_OF_ALL), global_admin=True)
