"""Domains for tests about something else, on stores that keep them and on those where addresses make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstore import Capability

if TYPE_CHECKING:
    from mailstore import Store

__all__ = ["host"]


def host(store: Store, *domains: str) -> None:
    """Let the store serve these domains; nothing needs to be done where a domain is there as soon as an address is."""
    if Capability.DOMAINS in store.capabilities:
        for domain in domains:
            store.domains.create(domain)
