"""All operations on domains, addresses and admins. Each is a method of the contract; nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mailstore import fields, store
from mailstore.model import Account, Admin, Alias, Domain, MailingList
from mailstore_http.v1.operations import Call, Operation, Query
from mailstore_http.v1.values import Parameters, types_of

__all__ = ["FILTERS", "KEEP", "OPERATIONS", "SEARCH"]

KEEP = {
    "keep_mailbox_days": Query("int", "days until the mail may be purged; 0 at the next purge; not given: 100 years")
}
SEARCH = {"search": Query("str", "a part of the name or address")}
FILTERS = {
    "domain": Query("str", "only of this domain"),
    **SEARCH,
    "enabled": Query("bool", "only those that are switched on, or off"),
}
_CREDENTIALS = {"password": "str", "password_hash": "str"}
_NEW_ADDRESS = Parameters({"new_address": "str"}, ("new_address",))
_NAMES = Parameters({"names": "Iterable[str]"}, ("names",))


def _crud(
    noun: str, collection: type, answer: type, create: Parameters, update: Parameters, query: Mapping[str, Query]
) -> Iterable[Operation]:
    """Make the operations that every collection has."""
    key = next(iter(create.required))
    place, one, title = f"/{noun}", f"/{noun}/{{{key}}}", answer.__name__

    def of(call: Call) -> Any:
        return getattr(call.store, noun)

    def get(call: Call) -> Any:
        return of(call).get(call.path[key])

    yield Operation(
        f"list{noun.capitalize()}", "GET", place, noun, collection.list,  # type: ignore[attr-defined]
        lambda call: of(call).list(**call.query), "page", answer, query=query, key=key,
        count=lambda call: of(call).count(**call.query),
    )  # fmt: skip
    yield Operation(
        f"create{title}", "POST", place, noun, collection.create,  # type: ignore[attr-defined]
        lambda call: of(call).create(call.body[key], **call.rest(key)), answer=answer, status=201, parameters=create,
    )  # fmt: skip
    yield Operation(f"get{title}", "GET", one, noun, collection.get, get, answer=answer, record=get)  # type: ignore[attr-defined]
    yield Operation(
        f"update{title}", "PATCH", one, noun, collection.update,  # type: ignore[attr-defined]
        lambda call: of(call).update(call.path[key], **call.body), answer=answer, parameters=update, record=get,
    )  # fmt: skip


def _parameters(kind: type, required: str, more: Mapping[str, str] = {}) -> tuple[Parameters, Parameters]:
    """Return what creating and updating take."""
    types = types_of(kind)
    extra = _CREDENTIALS if "password" in more else {}
    return Parameters({required: "str", **more, **types}, (required,)), Parameters({**extra, **types})


def _renaming(noun: str, answer: type, collection: type) -> Operation:
    def get(call: Call) -> Any:
        return getattr(call.store, noun).get(call.path["address"])

    return Operation(
        f"rename{answer.__name__}", "POST", f"/{noun}/{{address}}/rename", noun,
        collection.rename,  # type: ignore[attr-defined]
        lambda call: getattr(call.store, noun).rename(call.path["address"], call.body["new_address"]),
        answer=answer, parameters=_NEW_ADDRESS, record=get,
    )  # fmt: skip


def _deletion(noun: str, answer: type, collection: type, run: Callable[[Call], Any], key: str = "address") -> Operation:
    return Operation(
        f"delete{answer.__name__}", "DELETE", f"/{noun}/{{{key}}}", noun,
        collection.delete,  # type: ignore[attr-defined]
        run, "nothing", record=lambda call: getattr(call.store, noun).get(call.path[key]),
    )  # fmt: skip


# --- domains ----------------------------------------------------------------------------------------------------------


def _counted(name: str, number: int) -> dict[str, int]:
    return {name: number}


def _numbers(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]}


def _domain_of(call: Call) -> Domain:
    return call.store.domains.get(call.path["domain"])


def _add_alias_domains(call: Call) -> Domain:
    call.store.domains.add_alias_domains(call.path["domain"], call.body["names"])
    return _domain_of(call)


def _add_admins(call: Call) -> Domain:
    call.store.admins.add_to_domain(call.path["domain"], call.body["names"])
    return _domain_of(call)


_DOMAINS = (
    *_crud(
        "domains", store.Domains, Domain, *_parameters(fields.DomainFields, "domain"),
        {**SEARCH, "enabled": FILTERS["enabled"]},
    ),
    Operation(
        "deleteDomain", "DELETE", "/domains/{domain}", "domains", store.Domains.delete,
        lambda call: _counted("accounts", call.store.domains.delete(call.path["domain"], **call.query)),
        "object", _numbers("accounts"), query=KEEP, record=_domain_of,
    ),
    Operation(
        "addAliasDomains", "POST", "/domains/{domain}/alias-domains", "domains", store.Domains.add_alias_domains,
        _add_alias_domains, answer=Domain, parameters=_NAMES, record=_domain_of,
    ),
    Operation(
        "removeAliasDomain", "DELETE", "/domains/{domain}/alias-domains/{alias}", "domains",
        store.Domains.remove_alias_domains,
        lambda call: call.store.domains.remove_alias_domains(call.path["domain"], [call.path["alias"]]), "nothing",
    ),
    Operation(
        "addAdmins", "POST", "/domains/{domain}/admins", "domains", store.Admins.add_to_domain,
        _add_admins, answer=Domain, parameters=_NAMES, record=_domain_of,
    ),
    Operation(
        "removeAdmin", "DELETE", "/domains/{domain}/admins/{address}", "domains", store.Admins.remove_from_domain,
        lambda call: call.store.admins.remove_from_domain(call.path["domain"], [call.path["address"]]), "nothing",
    ),
    Operation(
        "updateAccounts", "PATCH", "/domains/{domain}/accounts", "domains", store.Accounts.update_all,
        lambda call: _counted("accounts", call.store.accounts.update_all(call.path["domain"], **call.body)),
        "object", _numbers("accounts"), parameters=Parameters(types_of(fields.BulkAccountFields)),
    ),
)  # fmt: skip

# --- addresses --------------------------------------------------------------------------------------------------------

_NEW_ACCOUNT, _CHANGED_ACCOUNT = _parameters(fields.AccountFields, "address", {**_CREDENTIALS, "home": "str"})
_ACCOUNTS = (
    *_crud(
        "accounts", store.Accounts, Account, _NEW_ACCOUNT, _CHANGED_ACCOUNT,
        {**FILTERS, "admins": Query("bool", "only those with, or without, admin rights")},
    ),
    Operation(
        "deleteAccount", "DELETE", "/accounts/{address}", "accounts", store.Accounts.delete,
        lambda call: {"record": call.store.accounts.delete(call.path["address"], **call.query)},
        "object",
        {"type": "object", "properties": {"record": {"anyOf": [{"$ref": "#/components/schemas/DeletedMailbox"},
                                                               {"type": "null"}]}}, "required": ["record"]},
        query=KEEP, record=lambda call: call.store.accounts.get(call.path["address"]),
    ),
    _renaming("accounts", Account, store.Accounts),
    Operation(
        "verifyPassword", "POST", "/accounts/{address}/verify-password", "accounts", store.Accounts.verify_password,
        lambda call: {"right": call.store.accounts.verify_password(call.path["address"], call.body["password"])},
        "object", {"type": "object", "properties": {"right": {"type": "boolean"}}, "required": ["right"]},
        parameters=Parameters({"password": "str"}, ("password",)),
    ),
    Operation(
        "createAccounts", "POST", "/bulk/accounts", "accounts", store.Accounts.create_many,
        lambda call: _counted("accounts", call.store.accounts.create_many(call.rows)),
        "object", _numbers("accounts"), status=201, rows=_NEW_ACCOUNT,
    ),
)  # fmt: skip
_ALIASES = (
    *_crud("aliases", store.Aliases, Alias, *_parameters(fields.AliasFields, "address"), FILTERS),
    _renaming("aliases", Alias, store.Aliases),
    _deletion("aliases", Alias, store.Aliases, lambda call: call.store.aliases.delete(call.path["address"])),
)
_LISTS = (
    *_crud("lists", store.MailingLists, MailingList, *_parameters(fields.MailingListFields, "address"), FILTERS),
    _renaming("lists", MailingList, store.MailingLists),
    _deletion("lists", MailingList, store.MailingLists, lambda call: call.store.lists.delete(call.path["address"])),
)

# --- admins -----------------------------------------------------------------------------------------------------------

_NEW_ADMIN, _CHANGED_ADMIN = _parameters(fields.AdminFields, "address", _CREDENTIALS)
_ADMINS = (
    *_crud("admins", store.Admins, Admin, _NEW_ADMIN, _CHANGED_ADMIN, {"domain": FILTERS["domain"], **SEARCH}),
    _deletion("admins", Admin, store.Admins, lambda call: call.store.admins.delete(call.path["address"])),
    Operation(
        "promoteAccount", "POST", "/admins/{address}/promote", "admins", store.Admins.promote,
        lambda call: call.store.admins.promote(call.path["address"], **call.body), answer=Admin,
        parameters=_CHANGED_ADMIN,
    ),
    Operation(
        "demoteAccount", "POST", "/admins/{address}/demote", "admins", store.Admins.demote,
        lambda call: call.store.admins.demote(call.path["address"]), "nothing",
    ),
)  # fmt: skip

OPERATIONS: tuple[Operation, ...] = (*_DOMAINS, *_ACCOUNTS, *_ALIASES, *_LISTS, *_ADMINS)
