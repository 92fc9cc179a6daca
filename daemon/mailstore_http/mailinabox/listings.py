"""Users, aliases and domains as the panel shows them: grouped by domain, in its order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import idna

from mailstore.address import domain_part
from mailstore.errors import ConfigurationError, NotSupported
from mailstore.model import Account
from mailstore.quota import Quota
from mailstore.store import Store

if TYPE_CHECKING:
    from mailstore.sql.mailinabox.store import MailInABoxStore

__all__ = ["Row", "alias_rows", "aliases", "as_json", "in_order", "privileges", "quota_text", "users"]

_UNKNOWN = "?"
_GIGABYTE, _MEGABYTE = 1 << 30, 1 << 20


def as_json(content: Any) -> bytes:
    """Return JSON as the panel writes it: sorted keys, two blanks, and a line end."""
    return f"{json.dumps(content, indent=2, sort_keys=True)}\n".encode()


def in_order(domains: Iterable[str], hostname: str) -> list[str]:
    """Return domains in the panel's order: those of the box first, and what lies below another one beside it."""
    present = set(domains)

    def zone(name: str) -> str:
        labels = name.split(".")
        above = (".".join(labels[start:]) for start in range(len(labels) - 1, 0, -1))
        return next((parent for parent in above if parent in present), name)

    def key(name: str) -> tuple[bool, str, bool, bool, list[str]]:
        own = zone(name)
        inside = not name.endswith(f".{hostname}")
        return own != zone(hostname), own, name != hostname, inside, name.split(".")[::-1]

    return sorted(present, key=key)


def privileges(account: Account) -> list[str]:
    """Return the privileges of a user."""
    others = account.settings.get("privileges", "").split("\n") if "privileges" in account.settings else []
    return [*(["admin"] if account.admin else []), *others]


def quota_text(account: Account) -> str:
    """Return a quota as the box keeps it: ``0`` for none, else in gigabytes, megabytes or bytes."""
    kept = account.settings.get("quota")
    return kept if kept is not None else _written(account.quota)


def _written(quota: Quota) -> str:
    size = quota.bytes
    if size is None:
        return "0"
    if size % _GIGABYTE == 0:
        return f"{size // _GIGABYTE}G"
    return f"{size // _MEGABYTE}M" if size % _MEGABYTE == 0 else str(size)


def users(store: Store, hostname: str) -> list[dict[str, Any]]:
    """Return all users, and the mailboxes of those who are gone, by domains."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for account in store.accounts.list():
        groups.setdefault(domain_part(account.address), []).append(_user(account))
    with suppress(NotSupported, ConfigurationError):  # opened without access to the disk
        for mailbox in store.deleted.archived():
            groups.setdefault(mailbox.domain, []).append(_archived(mailbox.address, mailbox.home))
    return _grouped(groups, hostname, "users", lambda user: (user["status"] != "active", user["email"]))


def _user(account: Account) -> dict[str, Any]:
    return {
        "email": account.address,
        "privileges": privileges(account),
        "quota": quota_text(account),
        "status": "active",
        **_figures(account),
    }


def _figures(account: Account) -> dict[str, Any]:
    if account.usage is None:
        return {"box_quota": _UNKNOWN, "box_size": _UNKNOWN, "percent": _UNKNOWN}
    size, most = account.usage.bytes, account.quota.bytes
    percent = f"{100 * size / most:3.0f}%" if most else ""
    return {"box_quota": most or 0, "box_size": _shortened(size), "percent": percent}


def _shortened(size: float) -> str:
    for unit in ("", "K", "M", "G", "T"):
        if size < 1024:
            return f"{size:.0f}{unit}" if size >= 100 else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.0f}"


def _archived(address: str, home: str) -> dict[str, Any]:
    unknown = {"box_quota": _UNKNOWN, "box_size": _UNKNOWN, "percent": _UNKNOWN}
    return {"email": address, "mailbox": home, "privileges": [], "status": "inactive", **unknown}


@dataclass(frozen=True)
class Row:
    """An alias of either kind."""

    source: str
    members: tuple[str, ...]
    senders: tuple[str, ...] = ()
    automatic: bool = False


def alias_rows(store: MailInABoxStore, hostname: str) -> list[Row]:
    """Return all aliases in the panel's order, those among them that the box makes by itself.

    Of one address the one counts that somebody made, as it does for Postfix.
    """
    made = [Row(alias.address, alias.members, alias.permitted_senders) for alias in store.aliases.list()]
    known = {row.source for row in made}
    automatic = [Row(source, (target,), automatic=True) for source, target in store.aliases.automatic()]
    rows = made + [row for row in automatic if row.source not in known]
    places = {domain: place for place, domain in enumerate(in_order({_domain(row) for row in rows}, hostname))}
    return sorted(rows, key=lambda row: (places[_domain(row)], row.source))


def _domain(row: Row) -> str:
    return row.source.rpartition("@")[2]


def aliases(store: MailInABoxStore, hostname: str) -> list[dict[str, Any]]:
    """Return the aliases by domains; ``required`` is what clients from before release 55 look for."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in alias_rows(store, hostname):
        if not (row.automatic and row.source.startswith("@")):
            groups.setdefault(_domain(row), []).append(_alias(row))
    return _grouped(groups, hostname, "aliases", lambda alias: (alias["auto"], alias["address"]))


def _alias(row: Row) -> dict[str, Any]:
    return {
        "address": row.source,
        "address_display": _shown_address(row.source),
        "auto": row.automatic,
        "forwards_to": [_shown_address(member) for member in row.members] or [""],
        "permitted_senders": list(row.senders) or None,
        "required": row.automatic,
    }


def _grouped(groups: Mapping[str, Sequence[Any]], hostname: str, name: str, order: Any) -> list[dict[str, Any]]:
    return [
        {"domain": _shown(domain), name: sorted(groups[domain], key=order)} for domain in in_order(groups, hostname)
    ]


def _shown_address(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{_shown(domain)}"


def _shown(domain: str) -> str:
    try:
        return idna.decode(domain.encode("ascii"))
    except (idna.IDNAError, UnicodeError):
        return domain
