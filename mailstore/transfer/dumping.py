"""Everything that a store holds, as entries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import islice
from typing import Any, TypeVar

from mailstore.errors import InvalidPassword, NotFound
from mailstore.model import Admin, Alias, Capability, LastLogin
from mailstore.policies import DIRECTIONS
from mailstore.records import blank
from mailstore.store import Store
from mailstore.transfer.entries import INFORMATION, KINDS, Entry, SpfDomains

__all__ = ["dump", "in_batches"]

_Item = TypeVar("_Item")


def dump(
    store: Store, *, domains: Collection[str] | None = None, passwords: bool = True, at_once: bool = False
) -> Iterator[Entry]:
    """Iterate over what a store holds, in the order of `KINDS`, each kind sorted as the store lists it.

    Parameters
    ----------
    domains: only these, with what lies in them and is set for them; what is set for the whole server is then left out.
    passwords: whether entries have the hashes. A store that keeps passwords themselves makes a new hash of each.

    at_once: whether all is of one moment, where the store can (`Store.at_one_moment`); until all entries are taken, this
        thread then reads the store as it was. Without it, what changes meanwhile may or may not be seen.

    Nothing is kept in memory. Records of deleted mailboxes are not among
    it, nor mail. Raises NotFound for a domain that is not there; and what reading the store raises.
    """
    names = None if domains is None else sorted(store.domains.get(name).domain for name in domains)
    return _at_once(store, names, passwords) if at_once else _entries(store, names, passwords)


def _at_once(store: Store, names: Sequence[str] | None, passwords: bool) -> Iterator[Entry]:
    with store.at_one_moment():
        yield from _entries(store, names, passwords)


def _entries(store: Store, names: Sequence[str] | None, passwords: bool) -> Iterator[Entry]:
    has = store.capabilities.__contains__
    yield from _domains(store, names)
    for some in in_batches(_each(store.accounts.list, names)):
        hashes = store.accounts.password_hashes([account.address for account in some]) if passwords else {}
        for account in some:
            secret = hashes.get(account.address) or None
            yield _entry("account", account, store.accounts.fields, secret, store.accounts.service_names)
    if has(Capability.ALIASES):
        for alias in _each(store.aliases.list, names):
            if not alias.address.startswith("@"):  # a catch-all, or an alias domain: the domain says so
                yield _entry("alias", alias, _of_alias(store, alias))
    if has(Capability.LISTS):
        for mailing_list in _each(store.lists.list, names):
            yield _entry("list", mailing_list, {*store.lists.fields, "kind"})
    if has(Capability.ADMINS):
        for admin in _once(_each(store.admins.list, names), names):
            yield from _admin(store, admin, passwords)
    yield from _policies(store, names)


def _each(listed: Callable[..., Iterable[Any]], names: Sequence[str] | None) -> Iterator[Any]:
    if names is None:
        yield from listed()
    else:
        for name in names:
            yield from listed(domain=name)


def in_batches(some: Iterable[_Item], size: int = 500) -> Iterator[Sequence[_Item]]:
    """Iterate over a limited number of items at a time."""
    items = iter(some)
    while batch := tuple(islice(items, size)):
        yield batch


def _once(admins: Iterable[Admin], names: Sequence[str] | None) -> Iterator[Admin]:
    """Iterate over the admins of some domains: each once, as admin of these domains alone."""
    if names is None:
        yield from admins
        return
    seen: dict[str, Admin] = {}
    for admin in admins:
        seen.setdefault(admin.address, admin)
    yield from (_narrowed(seen[address], names) for address in sorted(seen))


def _narrowed(admin: Admin, names: Sequence[str]) -> Admin:
    values = {one.name: getattr(admin, one.name) for one in fields(Admin)}
    return Admin(**{**values, "domains": tuple(name for name in admin.domains if name in names)})


def _entry(
    kind: str,
    record: Any,
    kept: Collection[str],
    password_hash: str | None = None,
    services: frozenset[str] | None = None,
) -> Entry:
    """Return the entry of a record: what names it, what the store keeps, and what there is to tell besides."""
    type_ = KINDS[kind]
    first = fields(type_)[0].name
    told = (name for name in (*INFORMATION, "home") if hasattr(record, name))
    saying = {name for name in told if getattr(record, name) not in (blank(type_, name), LastLogin())}
    return Entry(kind, record, frozenset({first, *kept, *saying}), password_hash, known_services=services)


def _domains(store: Store, names: Sequence[str] | None) -> Iterator[Entry]:
    kept = set(store.domains.fields)
    if Capability.ALIAS_DOMAINS in store.capabilities:
        kept.add("alias_domains")
    listed = store.domains.list() if names is None else (store.domains.get(name) for name in names)
    for domain in listed:
        yield _entry("domain", domain, {*kept, "catch_all"} if domain.catch_all else kept)


def _of_alias(store: Store, alias: Alias) -> Collection[str]:
    # An alias without permitted senders has the store's own rule, which "none of them" would not say.
    return store.aliases.fields if alias.permitted_senders else store.aliases.fields - {"permitted_senders"}


def _admin(store: Store, admin: Admin, passwords: bool) -> Iterator[Entry]:
    kept, secret = {*store.admins.fields, "kind"}, None
    if admin.global_admin:
        kept -= {"domains", "max_domains", "max_quota", "max_accounts", "max_aliases", "max_lists"}
    if admin.kind == "account":
        kept -= {"name", "language", "enabled"}  # the account says so
    elif passwords:
        try:
            with suppress(InvalidPassword):
                secret = store.admins.password_hash(admin.address) or None
        except NotFound:
            return
    yield _entry("admin", admin, kept, secret)


def _policies(store: Store, names: Sequence[str] | None) -> Iterator[Entry]:
    for kind, (capability, listed) in _BESIDE.items():
        if capability in store.capabilities:
            for record in listed(store):
                if names is None or _within(record, names):
                    yield Entry(kind, record, _saying(kind, record))


def _throttles(store: Store) -> Iterator[Any]:
    """Iterate over throttles in an order that does not depend on when they were made."""
    found = sorted(store.throttles.list(), key=lambda one: (one.level, DIRECTIONS.index(one.direction)))
    yield from (one for one in found if one.period is not None)


def _spf_domains(store: Store) -> Iterator[SpfDomains]:
    domains = store.greylisting.spf_domains()
    if domains:
        yield SpfDomains(tuple(sorted(domains)))


def _saying(kind: str, record: Any) -> frozenset[str]:
    """Return the fields of a policy that say something; there, nothing said means that the next level is asked."""
    type_ = KINDS[kind]
    return frozenset(one.name for one in fields(type_) if getattr(record, one.name) != blank(type_, one.name))


def _within(record: Any, names: Sequence[str]) -> bool:
    return getattr(record, "level", "global").rpartition("@")[2] in names


_BESIDE: Mapping[str, tuple[Capability, Callable[[Store], Iterable[Any]]]] = {
    "spam-policy": (Capability.SPAM_POLICIES, lambda store: store.spam_policies.list()),
    "throttle": (Capability.THROTTLES, _throttles),
    "greylisting": (Capability.GREYLISTING, lambda store: store.greylisting.list()),
    "spf-domains": (Capability.GREYLISTING, _spf_domains),
    "access-list": (Capability.ACCESS_LISTS, lambda store: store.access_lists.list()),
}
