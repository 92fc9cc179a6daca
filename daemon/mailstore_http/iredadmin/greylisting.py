"""Greylisting: whether unknown senders are told to try again, and who never is."""

from __future__ import annotations

from typing import Any

from mailstore.model import Edit
from mailstore.policies import GreylistingSetting
from mailstore_http.iredadmin.parameters import Call, RefusedError, edit_of, status

__all__ = [
    "add_to_whitelist",
    "delete",
    "list_all",
    "set_spf_domains",
    "set_status",
    "set_whitelist",
    "show",
    "show_whitelist",
]

_WORDS = {None: None, True: "enable", False: "disable"}
"""As they are sent; a level that inherits has no word."""


def list_all(call: Call) -> Any:
    """GET greylisting/all: the levels that have anything set, by their names."""
    return {found.level: _shown(found) for found in call.store.greylisting.list()}


def show(call: Call) -> Any:
    """GET greylisting/…."""
    return {"status": _WORDS[call.store.greylisting.get(call.path["level"]).enabled]}


def set_status(call: Call) -> None:
    """POST greylisting/…."""
    word = call.parameters.get("status")
    if word is None:
        raise RefusedError("the parameter status is needed: enable or disable")
    call.store.greylisting.set(call.path["level"], enabled=status(word))


def delete(call: Call) -> None:
    """DELETE greylisting/…: the level inherits again; who is whitelisted stays so."""
    call.store.greylisting.delete(call.path["level"])


def show_whitelist(call: Call) -> Any:
    """GET greylisting/…/whitelists."""
    return list(call.store.greylisting.get(call.path["level"]).whitelist)


def set_whitelist(call: Call) -> None:
    """POST greylisting/…/whitelists."""
    senders = edit_of(call, "senders", "addSenders", "removeSenders")
    if senders is not None:
        call.store.greylisting.set(call.path["level"], whitelist=senders)


def add_to_whitelist(call: Call) -> None:
    """PUT greylisting/global/whitelist/IP."""
    call.store.greylisting.set("global", whitelist=Edit(add=[call.path["client"]]))


def set_spf_domains(call: Call) -> None:
    """POST greylisting/whitelist_spf_domains; a job of iRedAPD looks up what is in DNS."""
    domains = edit_of(call, "domains", "addDomains", "removeDomains")
    if domains is not None:
        call.store.greylisting.set_spf_domains(domains)


def _shown(found: GreylistingSetting) -> dict[str, Any]:
    exceptions = {sender: _WORDS[enabled] for sender, enabled in found.exceptions.items()}
    return {"status": _WORDS[found.enabled], "whitelists": list(found.whitelist), "senders": exceptions}
