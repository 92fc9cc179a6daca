"""What GET answers: the store's own record, with its columns or attributes, and what the panel adds to it.

The vendor's page shows no sample. What public clients read is served: settings as an object, addresses as lists, sizes as
numbers, and times as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

from mailstore.errors import NotFound
from mailstore.model import Account, Admin, Alias, Domain, MailingList
from mailstore_http.iredadmin.parameters import Call

__all__ = ["account", "admin", "alias", "domain", "each", "mailing_list"]

_Found = TypeVar("_Found")
_SETTINGS = "accountSetting"
_GROUPS = "memberOfGroup"


def each(
    call: Call, profile: Callable[[Call, _Found], dict[str, Any]], items: Iterable[_Found]
) -> Iterator[dict[str, Any]]:
    """Iterate over the profiles of a list, without what is deleted while it is written."""
    for item in items:
        try:
            shown = profile(call, item)
        except NotFound:
            continue
        yield shown


def domain(call: Call, found: Domain) -> dict[str, Any]:
    """Return the profile of a domain; ``mailboxes``, ``aliases`` and ``maillists`` are limits."""
    shown = _plain(call.store.record("domain", found.domain))
    shown["catchall"] = list(found.catch_all)
    shown["num_existing_users"] = call.store.accounts.count(domain=found.domain)
    return shown


def account(call: Call, found: Account) -> dict[str, Any]:
    """Return the profile of a mail user."""
    shown = _plain(call.store.record("account", found.address))
    shown["stored_bytes"] = found.usage.bytes if found.usage else 0
    shown["stored_messages"] = found.usage.messages if found.usage else 0
    shown["managed_domains"] = _managed(call, found)
    if call.in_directory:
        shown["last_login"] = _last_login(found)
        shown["mailing_lists"] = list(shown.get(_GROUPS, []))
    else:
        shown["forwardings"] = [*found.forwarding, *([found.address] if found.keep_copy else [])]
    return shown


def admin(call: Call, found: Admin) -> dict[str, Any]:
    """Return the profile of an admin of either kind."""
    shown = _plain(call.store.record("admin", found.address))
    shown["isglobaladmin"] = int(found.global_admin)
    shown["managed_domains"] = list(found.domains)
    return shown


def alias(call: Call, found: Alias) -> dict[str, Any]:
    """Return the profile of a mail alias."""
    return {**_plain(call.store.record("alias", found.address)), "members": list(found.members)}


def mailing_list(call: Call, found: MailingList) -> dict[str, Any]:
    """Return the profile of a mailing list."""
    return {**_plain(call.store.record("list", found.address)), "members": list(found.members)}


def _managed(call: Call, found: Account) -> list[str]:
    if not found.admin:
        return []
    try:
        manager: Admin = call.store.admins.get(found.address)
    except NotFound:  # one that the acting admin may not see
        return []
    return list(manager.domains)


def _last_login(found: Account) -> str:
    times = [time for time in (found.last_login.imap, found.last_login.pop3) if time] if found.last_login else []
    return f"{max(times):%Y-%m-%d %H:%M:%S}" if times else ""


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as JSON can have it, with its settings as an object."""
    shown = {name: _value(value) for name, value in record.items()}
    for name, value in shown.items():
        if name.lower() == _SETTINGS.lower() and isinstance(value, list):
            shown[name] = _settings(value)
        elif name == "settings" and not isinstance(value, list):
            shown[name] = _settings(str(value or "").split(";"))
    return shown


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, int | float | str | list | None) else str(value)


def _settings(items: Iterable[str]) -> dict[str, Any]:
    """Return settings as an object: numbers as numbers, and a key that comes again as a list."""
    found: dict[str, list[Any]] = {}
    for item in items:
        key, colon, value = item.partition(":")
        if colon:
            whole = value.removeprefix("-")
            number = whole.isascii() and whole.isdecimal() and len(whole) < 19
            found.setdefault(key, []).append(int(value) if number else value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}
