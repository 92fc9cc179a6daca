"""All calls of the API by group and action, with the name of the element in which each answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from mailstore_http.atmail import accounts, aliases, users
from mailstore_http.atmail.parameters import Call, Done

__all__ = ["Handler", "find"]

Handler: TypeAlias = Callable[[Call], Done]

_CALLS: Mapping[str, tuple[str, Handler]] = {
    "users/authenticate": ("authenticate", users.authenticate),
    "users/permissionlist": ("permissionlist", users.permission_list),
    "users/rolelist": ("rolelist", users.role_list),
    "users/create": ("usercreate", users.create),
    "users/update": ("userupdate", users.change),
    "users/list": ("userlist", users.list_all),
    "users/view": ("userview", users.show),
    "users/userpermissionrole": ("userpermissionrole", users.rights),
    "users/delete": ("userdelete", users.delete),
    "accounts/create": ("accountcreate", accounts.create),
    "accounts/update": ("accountupdate", accounts.change),
    "accounts/view": ("accountview", accounts.show),
    "accounts/delete": ("accountdelete", accounts.delete),
    "accounts/list": ("accountlist", accounts.list_all),
    "aliases/create": ("aliasescreate", aliases.create),
    "aliases/list": ("aliaseslist", aliases.list_all),
    "aliases/delete": ("aliasesdelete", aliases.delete),
    "domain/create": ("domaincreate", aliases.create_domain),
    "domain/check": ("domaincheck", aliases.domain_exists),
    "domain/delete": ("domaindelete", aliases.delete_domain),
}
_SYNONYMS = {"alises": "aliases"}
"""Sic: so the list at the end of the document spells the group."""


def find(path: str) -> tuple[str, Handler, tuple[tuple[str, str], ...]] | None:
    """Return the element and the maker of the call at a path, and the parameters that stand behind it in pairs.

    Returns None if there is no such call.
    """
    group, _, rest = path.strip("/").partition("/")
    action, _, more = rest.partition("/")
    found = _CALLS.get(f"{_SYNONYMS.get(group.lower(), group.lower())}/{action.lower()}")
    if found is None:
        return None
    pieces = more.split("/") if more else []
    return *found, tuple(zip(pieces[::2], [*pieces[1::2], ""], strict=False))
