"""Mail accounts."""

from __future__ import annotations

from typing import Any

from mailstore.errors import InvalidAddress, NotFound
from mailstore.model import Account
from mailstore_http.atmail import rows
from mailstore_http.atmail.envelope import numbered
from mailstore_http.atmail.parameters import Call, Done, FailedError, Table, megabytes, text

__all__ = ["NO_SUCH_USER", "change", "create", "delete", "list_all", "show"]

NO_SUCH_USER = "User does not exist"
"""The one failure that the product words in an element of its own, see `dialect`."""


def _enabled(name: str, value: str) -> bool:
    if value.strip() not in {"0", "1"}:
        raise FailedError(f"{name} must be 0 for enabled or 1 for disabled")
    return value.strip() == "0"


_NEW: Table = {"firstName": ("first_name", text), "lastName": ("last_name", text), "quota": ("quota", megabytes)}
_FIELDS: Table = {**_NEW, "userStatus": ("enabled", _enabled)}


def create(call: Call) -> Done:
    """accounts/create. An empty password is replaced by one that is made up, which only this answer tells."""
    given = call.parameters
    address, password = given.required("username"), given.get("password")
    if password is None:
        raise FailedError("password is required; leave it empty to have one made")
    with call.store.transaction():
        found, made = _created(call, address, password, given.fields(_NEW))
        if call.provision:
            call.store.unrestricted().provisioning.provision(found.address, anew=True)
    return Done(f"{found.address} added", [("accounts", rows.new_account(found, made))])


def _created(call: Call, address: str, password: str, fields: dict[str, Any]) -> tuple[Account, str]:
    """Return a new account, and the password that was made for it, empty if one was given."""
    try:
        if password:
            return call.store.accounts.create(address, password=password, **fields), ""
        generated = call.store.accounts.create_generated(address, **fields)
    except NotFound as error:
        raise FailedError("Local domain does not exist") from error
    return generated.account, generated.password


def change(call: Call) -> Done:
    """accounts/update."""
    given = call.parameters
    address = _selected(call, NO_SUCH_USER)
    fields, password = given.fields(_FIELDS), given.get("password")
    secret: dict[str, Any] = {} if password is None else {"password": password}
    try:
        found = call.store.accounts.update(address, **secret, **fields)
    except NotFound as error:
        raise FailedError(NO_SUCH_USER) from error
    return Done(results=[("accountId", found.settings["accountId"]), ("username", found.address)])


def show(call: Call) -> Done:
    """accounts/view, with what is in the mailbox."""
    absent = "Account does not exist"
    address = _selected(call, absent)
    try:
        # Without access to the disk nobody can tell what is in it.
        found = call.store.accounts.view(address) if call.store.homes else call.store.accounts.get(address)
    except (NotFound, InvalidAddress) as error:
        raise FailedError(absent) from error
    return Done(results=[*rows.account(found), *rows.used(found)])


def delete(call: Call) -> Done:
    """accounts/delete, which answers the row that is gone."""
    absent = "Single match for User id was not found."
    address = _selected(call, absent)
    try:
        with call.store.transaction():
            found = call.store.unrestricted().accounts.get(address)
            call.store.accounts.delete(address)
    except (NotFound, InvalidAddress) as error:
        raise FailedError(absent) from error
    return Done("Account deleted", rows.account(found))


def list_all(call: Call) -> Done:
    """accounts/list: all, or a page. Which number the first one has is not documented; here it is 0."""
    given = call.parameters
    number, volume = given.number("domainId"), given.number("volume")
    domain = None
    if number is not None:
        try:
            domain = call.store.domains.name_of(number)
        except NotFound as error:
            raise FailedError("Domain does not exist") from error
    if volume is None:
        found = call.store.accounts.list(domain=domain)
    else:
        found = iter(call.store.accounts.page(given.number("start") or 0, volume, domain=domain))
    return Done(results=numbered(rows.account(one) for one in found))


def _selected(call: Call, absent: str) -> str:
    """Return the address that accountId or username name. Raises FailedError with what is said if there is none."""
    number, name = call.parameters.number("accountId"), (call.parameters.get("username") or "").strip()
    if number is None:
        if not name:
            raise FailedError("accountId or username is required")
        return name
    try:
        address = call.store.accounts.address_of(number)
    except NotFound as error:
        raise FailedError(absent) from error
    if name and name.lower() != address:
        raise FailedError("accountId and username are not of the same account")
    return address
