"""Accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailstore.address import domain_part
from mailstore.model import Account
from mailstore.sql.afterlogic.rest_errors import AccountNotFound, NothingListed
from mailstore_http.afterlogic.parameters import Call, Table, flag, number, text

__all__ = ["change", "change_password", "create", "delete", "disable", "enable", "exists", "list_page", "show"]

_SERVERS: Table = {
    "incomingMailServer": ("incoming_server", text),
    "incomingMailPort": ("incoming_port", number),
    "incomingMailUseSSL": ("incoming_ssl", flag),
    "outgoingMailServer": ("outgoing_server", text),
    "outgoingMailPort": ("outgoing_port", number),
    "outgoingMailUseSSL": ("outgoing_ssl", flag),
    "outgoingMailAuth": ("outgoing_auth", number),
}
_LOGIN: Table = {"incomingMailLogin": ("incoming_login", text)}
_SMTP_LOGIN: Table = {
    "outgoingMailLogin": ("outgoing_login", text),
    "outgoingMailPassword": ("outgoing_password", text),
}
_INHERITED = frozenset(field for field, _ in _SERVERS.values())
"""What its domain decides for an account: such values are taken, and have no effect."""
_DECIDED_AT_FIRST = _INHERITED | {"incoming_login", "outgoing_login"}
_SIGNATURE: Table = {
    "signature": ("signature", text),
    "signatureType": ("signature_html", lambda value: value.lower() != "plain"),
    "signatureOptions": ("signature_use", number),
}
_SAME_LOGIN = 2
"""SMTP authentication with the login for IMAP, which is what any true value asks for."""
_ORDERS: Mapping[str, Any] = {"name": "name", "friendly name": "name", "last login": "last login"}


def create(call: Call) -> bool:
    """POST /account. Without a domain of its name it is an account of the default domain.

    The document's own command line gives the address as ``login``.
    """
    given = call.parameters
    email = given.get("email") or given.required("login")
    password, parent = given.required("password"), given.get("parent")
    settings = given.settings({**_SERVERS, **_LOGIN, **_SMTP_LOGIN})
    if "outgoing_auth" in settings:
        settings["outgoing_auth"] = _SAME_LOGIN if settings["outgoing_auth"] else 0
    if call.store.domains.exists(domain_part(email)):
        settings = {name: value for name, value in settings.items() if name not in _DECIDED_AT_FIRST}
    else:
        settings["default_domain"] = True
    kept = call.store.accounts.Settings(**settings, parent=parent or None)
    call.store.accounts.create(email, password=password, settings=kept, **_name(call))
    return True


def change(call: Call) -> bool:
    """PUT /account/update. socialEmail has no place in the database since version 7.6."""
    given = call.parameters
    email = given.required("email")
    settings = given.settings({**_SERVERS, **_LOGIN, **_SIGNATURE})
    if settings.keys() & _INHERITED and call.store.accounts.get(email).settings["default_domain"] != "true":
        settings = {name: value for name, value in settings.items() if name not in _INHERITED}
    call.store.accounts.update(email, settings=call.store.accounts.Settings(**settings), **_name(call))
    return True


def _name(call: Call) -> dict[str, Any]:
    name = call.parameters.get("friendlyName")
    return {} if name is None else {"name": name}


def delete(call: Call) -> bool:
    """DELETE /account; with a parent only what links the two."""
    email = call.parameters.required("email")
    call.store.accounts.delete(email, parent=call.parameters.get("parent") or None)
    return True


def enable(call: Call) -> bool:
    """PUT /account/enable. The product does the opposite; the document says what is meant."""
    call.store.accounts.update(call.parameters.required("email"), enabled=True)
    return True


def disable(call: Call) -> bool:
    """PUT /account/disable; see `enable`."""
    call.store.accounts.update(call.parameters.required("email"), enabled=False)
    return True


def change_password(call: Call) -> bool:
    """PUT /account/password."""
    given = call.parameters
    call.store.accounts.update(given.required("email"), password=given.required("password"))
    return True


def list_page(call: Call) -> list[dict[str, Any]]:
    """GET /account/list: of a domain, else of the accounts outside of all domains. An empty page is a failure."""
    given = call.parameters
    page, size = given.page("usersPerPage")
    order = _ORDERS.get((given.get("orderBy") or "").lower(), "email")
    found = call.store.accounts.page(
        page, size=size, order_by=order, descending=given.descending, search=given.get("searchDesc") or "",
        domain=given.get("domain") or None,
    )  # fmt: skip
    if not found:
        raise NothingListed("cannot get account list")
    return [{"Id": entry.id, "Email": entry.email, "FriendlyName": entry.friendly_name} for entry in found]


def exists(call: Call) -> bool:
    """GET /account/exists."""
    email = call.parameters.required("email")
    if not call.store.accounts.exists(email):
        raise AccountNotFound(f"there is no account {email}", subject=email)
    return True


def show(call: Call) -> dict[str, Any]:
    """GET /account."""
    return _shown(call.store.accounts.get(call.parameters.required("email")))


def _shown(account: Account) -> dict[str, Any]:
    """Return an account in the order of the document."""
    kept = account.settings
    return {
        "friendlyName": account.name,
        "incomingMailLogin": kept["incoming_login"],
        "incomingMailPort": int(kept["incoming_port"]),
        "incomingMailServer": kept["incoming_server"],
        "outgoingMailAuth": int(kept["outgoing_auth"]),
        "outgoingMailPort": int(kept["outgoing_port"]),
        "outgoingMailServer": kept["outgoing_server"],
        "signature": kept["signature"],
        "signatureOptions": int(kept["signature_use"]),
        "signatureType": "html" if kept["signature_html"] == "true" else "plain",
        "socialEmail": "",
    }
