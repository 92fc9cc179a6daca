"""Domains."""

from __future__ import annotations

from typing import Any

from mailstore.model import Domain
from mailstore.sql.afterlogic.rest_errors import DomainNotFound, NothingListed
from mailstore_http.afterlogic.parameters import Call, Table, flag, text

__all__ = ["change", "create", "delete", "exists", "list_page", "show"]

_SETTINGS: Table = {
    "allowUsersChangeEmailSettings": ("allow_users_change_email_settings", flag),
    "allowWebMail": ("allow_webmail", flag),
    "allowContacts": ("allow_contacts", flag),
    "allowCalendar": ("allow_calendar", flag),
    "allowFiles": ("allow_files", flag),
    "allowHelpdesk": ("allow_helpdesk", flag),
    "allowNewUsersRegister": ("allow_new_users_register", flag),
    "allowUsersChangeInterfaceSettings": ("allow_users_change_interface_settings", flag),
    "allowUsersAddNewAccounts": ("allow_users_add_new_accounts", flag),
    "siteName": ("site_name", text),
    "url": ("url", text),
    "useThreads": ("use_threads", flag),
    "defaultSkin": ("default_skin", text),
    "defaultTab": ("default_tab", text),
    "defaultLanguage": ("default_language", text),
}


def create(call: Call) -> bool:
    """POST /domain."""
    given = call.parameters
    name, tenant = given.required("domain"), given.get("tenant")
    settings = call.store.domains.Settings(tenant=tenant) if tenant else None
    call.store.domains.create(name, settings=settings)
    return True


def change(call: Call) -> bool:
    """PUT /domain/update."""
    given = call.parameters
    name = given.required("domain")
    call.store.domains.update(name, settings=call.store.domains.Settings(**given.settings(_SETTINGS)))
    return True


def delete(call: Call) -> bool:
    """DELETE /domain, which must be empty."""
    call.store.domains.delete(call.parameters.required("domain"), only_empty=True)
    return True


def list_page(call: Call) -> list[dict[str, Any]]:
    """GET /domain/list, always by name. An empty page is a failure."""
    given = call.parameters
    page, size = given.page("domainsPerPage")
    search, tenant = given.get("searchDesc") or "", given.get("tenant") or None
    found = call.store.domains.page(page, size=size, descending=given.descending, search=search, tenant=tenant)
    if not found:
        raise NothingListed("cannot get domain list")
    return [{"Id": entry.id, "IsInternal": entry.is_internal, "Name": entry.name} for entry in found]


def exists(call: Call) -> bool:
    """GET /domain/exists."""
    name = call.parameters.required("domain")
    if not call.store.domains.exists(name):
        raise DomainNotFound(f"there is no domain {name}", subject=name)
    return True


def show(call: Call) -> dict[str, Any]:
    """GET /domain."""
    return _shown(call.store.domains.get(call.parameters.required("domain")))


def _shown(domain: Domain) -> dict[str, Any]:
    """Return a domain in the order of the document."""
    kept = domain.settings
    return {
        name: (kept.get(field, "false") == "true" if read is flag else kept.get(field, ""))
        for name, (field, read) in sorted(_SETTINGS.items())
    }
