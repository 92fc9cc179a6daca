"""Spam policies, throttles, white- and blacklists, and LDIF."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal, cast

from mailstore.model import Edit
from mailstore.policies import Limit, SpamPolicy, Throttle, direction_of
from mailstore_http.iredadmin.parameters import Call, RefusedError, switch

__all__ = [
    "add_access", "clear_access", "delete_spam", "ldif", "remove_access", "set_spam", "set_throttle", "show_access",
    "show_spam", "show_throttle",
]  # fmt: skip

_SWITCHES = tuple(name for name in SpamPolicy.__dataclass_fields__ if name not in {"level", "spam_score"})
_LIMITS = ("msg_size", "max_msgs", "max_quota")


def _level(call: Call) -> str:
    return call.path.get("level") or call.path.get("domain") or call.path.get("mail") or "global"


def show_spam(call: Call) -> Any:
    """GET spampolicy/…: the parameters as they are set, null where the next level counts."""
    found = asdict(call.store.spam_policies.get(_level(call)))
    words = {None: None, True: "yes", False: "no"}
    return {**{name: words[found[name]] for name in _SWITCHES}, "spam_score": found["spam_score"]}


def set_spam(call: Call) -> None:
    """PUT spampolicy/…: what is not given stays, and what is empty is inherited."""
    given = call.parameters
    fields: dict[str, Any] = {name: _inherited(given.get(name) or "") for name in _SWITCHES if name in given}
    if "spam_score" in given:
        fields["spam_score"] = _score(given.get("spam_score") or "")
    call.store.spam_policies.update(_level(call), **fields)


def delete_spam(call: Call) -> None:
    """DELETE spampolicy/…."""
    call.store.spam_policies.delete(_level(call))


def _inherited(value: str) -> bool | None:
    return switch(value) if value.strip() else None


def _score(value: str) -> float | None:
    if not value.strip():
        return None
    try:
        return float(value)
    except ValueError as error:
        raise RefusedError("INVALID_NUMBER") from error


def show_throttle(call: Call) -> Any:
    """GET throttle/…: numbers as the table has them, and nothing where nothing is set."""
    found = call.store.throttles.get(_level(call), direction_of(call.path["direction"]))
    if found.period is None:
        return {}
    return {"period": found.period, **{name: _as_number(getattr(found, name)) for name in _LIMITS}}


def set_throttle(call: Call) -> None:
    """POST throttle/…."""
    given = call.parameters
    period = _integer(given.get("period") or "")
    limits: dict[str, Any] = {name: _limit(given.get(name) or "", name) for name in _LIMITS if name in given}
    call.store.throttles.set(_level(call), direction_of(call.path["direction"]), period=period, **limits)


def _as_number(limit: Limit) -> int:
    return {"inherit": -1, "unlimited": 0}.get(limit.kind, limit.value)


def _limit(value: str, name: str) -> Limit:
    number = _integer(value)
    if number <= 0:
        return Limit("unlimited" if number == 0 else "inherit")
    return Limit.parse(number, in_bytes=Throttle.LIMITS[name])


def _integer(value: str) -> int:
    word = value.strip()
    if not (word.removeprefix("-").isascii() and word.removeprefix("-").isdecimal() and len(word) < 20):
        raise RefusedError("INVALID_NUMBER")
    return int(word)


def _access(call: Call, entries: tuple[str, ...] | Edit) -> None:
    fields: Any = {call.path["list"]: entries}
    call.store.access_lists.set(_level(call), direction_of(call.path["direction"]), **fields)


def show_access(call: Call) -> Any:
    """GET wblist/…."""
    found = call.store.access_lists.get(_level(call), direction_of(call.path["direction"]))
    return list(getattr(found, call.path["list"]))


def add_access(call: Call) -> None:
    """POST wblist/… adds addresses."""
    _access(call, Edit(add=call.parameters.names("addresses") or ()))


def remove_access(call: Call) -> None:
    """PUT wblist/… removes the given addresses."""
    _access(call, Edit(remove=call.parameters.names("addresses") or ()))


def clear_access(call: Call) -> None:
    """DELETE wblist/… removes all of them."""
    _access(call, ())


_LDIF = {
    "domain": "domain", "catchall": "catch-all", "admin": "admin", "user": "account", "maillist": "list", "alias": "alias",
}  # fmt: skip


def ldif(call: Call) -> str:
    """GET ldif/…, which holds password hashes."""
    kind = cast("Literal['domain', 'catch-all', 'admin', 'account', 'list', 'alias']", _LDIF[call.path["kind"]])
    return call.store.ldif(kind, call.path["name"])
