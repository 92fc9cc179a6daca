"""All calls of the API by verb and path. Fixed words come before names, which have a dot or an @ and so are none of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mailstore_http.iredadmin import accounts, admins, aliases, domains, greylisting, managed_lists, policies
from mailstore_http.iredadmin.parameters import Call

__all__ = ["Handler", "find"]

Handler: TypeAlias = Callable[[Call], Any]
"""Makes a call; what it returns is ``_data`` of a GET, an iterator for a list that may be long."""

_DAYS = "keep_mailbox_days/{days}"
_LEVEL = "{level}"
_SPAM: Mapping[str, Handler] = {
    "GET": policies.show_spam,
    "PUT": policies.set_spam,
    "DELETE": policies.delete_spam,
}
_CALLS: Mapping[str, Mapping[str, Handler]] = {
    "domains": {"GET": domains.list_all},
    "domain/{domain}": {
        "GET": domains.show, "POST": domains.create, "PUT": domains.change, "DELETE": domains.delete,
    },
    f"domain/{{domain}}/{_DAYS}": {"DELETE": domains.delete},
    "domain/admins/{domain}": {"PUT": domains.set_admins},
    "admin/{mail}": {"GET": admins.show, "POST": admins.create, "PUT": admins.change, "DELETE": admins.delete},
    "verify_password/admin/{mail}": {"POST": admins.verify},
    "user/{mail}": {
        "GET": accounts.show, "POST": accounts.create, "PUT": accounts.change, "DELETE": accounts.delete,
    },
    f"user/{{mail}}/{_DAYS}": {"DELETE": accounts.delete},
    "user/{mail}/change_email/{new}": {"POST": accounts.rename},
    "users/{domain}": {"GET": accounts.list_all, "PUT": accounts.change_all},
    "verify_password/user/{mail}": {"POST": accounts.verify},
    "maillist/{mail}": {
        "GET": aliases.show_list, "POST": aliases.create_list, "PUT": aliases.change_list, "DELETE": aliases.delete_list,
    },
    "alias/{mail}": {"GET": aliases.show, "POST": aliases.create, "PUT": aliases.change, "DELETE": aliases.delete},
    "alias/{mail}/change_email/{new}": {"POST": aliases.rename},
    "aliases/{domain}": {"GET": aliases.list_all},
    "spampolicy/global": _SPAM,
    "spampolicy/domain/{domain}": _SPAM,
    "spampolicy/user/{mail}": _SPAM,
    f"throttle/{_LEVEL}/{{direction}}": {"GET": policies.show_throttle, "POST": policies.set_throttle},
    f"wblist/{{direction}}/{{list}}/{_LEVEL}": {
        "GET": policies.show_access, "POST": policies.add_access, "PUT": policies.remove_access,
        "DELETE": policies.clear_access,
    },
    "greylisting/all": {"GET": greylisting.list_all},
    "greylisting/whitelist_spf_domains": {"POST": greylisting.set_spf_domains},
    "greylisting/global/whitelist/{client}": {"PUT": greylisting.add_to_whitelist},
    f"greylisting/{_LEVEL}": {
        "GET": greylisting.show, "POST": greylisting.set_status, "DELETE": greylisting.delete,
    },
    f"greylisting/{_LEVEL}/whitelists": {"GET": greylisting.show_whitelist, "POST": greylisting.set_whitelist},
    "mls/{domain}": {"GET": managed_lists.list_all},
    "ml/{mail}": {
        "GET": managed_lists.show, "PUT": managed_lists.change, "POST": managed_lists.refuse,
        "DELETE": managed_lists.refuse,
    },
    "ldif/{kind}/{name}": {"GET": policies.ldif},
}  # fmt: skip
_SHAPES = {
    "days": "[0-9]{1,9}",
    "direction": "inbound|outbound",
    "list": "whitelist|blacklist",
    "kind": "domain|catchall|admin|user|maillist|alias",
}
"""What may stand in the places of a path that are no names."""


def _compiled(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)
    return re.compile("".join(
        f"(?P<{piece}>{_SHAPES.get(piece, '[^/]+')})" if number % 2 else re.escape(piece)
        for number, piece in enumerate(pieces)
    ))  # fmt: skip


_PATTERNS = [(_compiled(path), handlers) for path, handlers in _CALLS.items()]


def find(path: str) -> tuple[Mapping[str, Handler], Mapping[str, str]] | None:
    """Return what can be done at a path by verb, and the names in it in lower case; None if there is no such path."""
    for pattern, handlers in _PATTERNS:
        if match := pattern.fullmatch(path):
            return handlers, {key: value.strip().lower() for key, value in match.groupdict().items()}
    return None
