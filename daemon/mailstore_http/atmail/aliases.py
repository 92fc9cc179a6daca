"""Aliases, row by row, and domains."""

from __future__ import annotations

from mailstore.errors import AlreadyExists, InvalidAddress, NotFound
from mailstore_http.atmail import rows
from mailstore_http.atmail.envelope import numbered
from mailstore_http.atmail.parameters import Call, Done, FailedError

__all__ = ["create", "create_domain", "delete", "delete_domain", "domain_exists", "list_all"]


def create(call: Call) -> Done:
    """aliases/create."""
    given = call.parameters
    name, target, kind = (given.required(field).strip() for field in ("AliasName", "AliasTo", "AliasType"))
    number = call.store.alias_rows.create(name, target, kind)
    return Done("Success", numbered([[("id", str(number))]]))


def list_all(call: Call) -> Done:
    """aliases/list: each parameter is a part of what is looked for."""
    given = call.parameters
    found = call.store.alias_rows.list(
        filter=given.get("filter"), name=given.get("AliasName"), target=given.get("AliasTo"), domain=given.get("Domain")
    )
    return Done(results=numbered(rows.alias(row) for row in found))


def delete(call: Call) -> Done:
    """aliases/delete: a row must have all that is given. An empty parameter is none, else it would match nothing."""
    given = call.parameters
    number = given.number("id") if given.get("id") else None
    call.store.alias_rows.delete(name=given.get("AliasName") or None, target=given.get("AliasTo") or None, id=number)
    return Done("Alias(s) removed")


def create_domain(call: Call) -> Done:
    """domain/create."""
    name = call.parameters.required("domainName").strip()
    try:
        made = call.store.domains.create(name)
    except AlreadyExists as error:
        raise FailedError(f"{error.subject or name} is already existing.") from error
    return Done("Domain added", made.settings["domainId"])


def domain_exists(call: Call) -> Done:
    """domain/check."""
    name = (call.parameters.get("domainName") or "").strip()
    try:
        found = bool(name) and call.store.domains.exists(name)
    except InvalidAddress:
        found = False
    if not found:
        raise FailedError(f"{name} does not exist")
    return Done(f"{name.lower()} exists")


def delete_domain(call: Call) -> Done:
    """domain/delete, which answers how many accounts went with it."""
    given, domains = call.parameters, call.store.domains
    number, name = given.number("domainId"), (given.get("domainName") or "").strip()
    if number is None and not name:
        raise FailedError("domainName or domainId is required")
    try:
        with call.store.transaction():
            # Who may delete it need not be allowed to see it.
            seen = call.store.unrestricted().domains
            found = seen.get(name if number is None else seen.name_of(number))
            if name and name.lower() != found.domain:
                raise FailedError("domainName and domainId are not of the same domain")
            count = domains.delete(found.domain)
    except (NotFound, InvalidAddress) as error:
        raise FailedError("Domain does not exist") from error
    return Done(f"Domain with id {found.settings['domainId']} deleted", [("DeletedAccount", str(count))])
