"""Domains for tests about something else, on stores that keep them and on those where addresses make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailstore import Capability
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from mailstore import Store

__all__ = ["credentials", "host", "named", "settled"]


_READY = hash_password("secret")


def credentials(store: Store) -> dict[str, Any]:
    """Return what makes an account whose password is ``secret``: a ready hash, where the store takes one."""
    return {"password_hash": _READY} if Capability.READY_HASHES in store.capabilities else {"password": "secret"}


def host(store: Store, *domains: str) -> None:
    """Let the store serve these domains; nothing needs to be done where a domain is there as soon as an address is."""
    if Capability.DOMAINS in store.capabilities:
        for domain in domains:
            store.domains.create(domain)


def settled(store: Store, *domains: str) -> None:
    """Let these domains be there: by an account, if nothing else makes one."""
    host(store, *domains)
    if Capability.DOMAINS not in store.capabilities:
        for domain in domains:
            store.accounts.create(f"resident@{domain}", password="x")


def named(store: Store, name: str) -> dict[str, Any]:
    """Return the parameter for the name of an account, which only matters where the store keeps it."""
    return {"name": name} if Capability.ACCOUNT_PROFILE in store.capabilities else {}
