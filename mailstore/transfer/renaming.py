"""Other names for domains and addresses on their way: one mapping, applied to every place where a name stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from mailstore.address import any_address, domain_name, domain_part
from mailstore.errors import InvalidAddress, InvalidValue
from mailstore.transfer.entries import Entry

__all__ = ["Renaming", "within"]

_ADDRESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "domain": ("domain", "catch_all", "alias_domains", "sender_bcc", "recipient_bcc"),
    "account": ("address", "forwarding", "aliases", "sender_bcc", "recipient_bcc", "recovery_email"),
    "alias": ("address", "members", "moderators", "permitted_senders"),
    "list": ("address", "members", "moderators", "owners"),
    "admin": ("address", "domains"),
    "spam-policy": ("level",),
    "throttle": ("level",),
    "greylisting": ("level", "whitelist"),
    "spf-domains": ("domains",),
    "access-list": ("level", "whitelist", "blacklist"),
    "deleted": ("address", "domain"),
}
"""Where names stand that may be those of this server. Hosts (transports, relays, exchangers) and paths are none."""
_SHARED: Final = frozenset({"account", "alias", "list"})
"""The kinds whose addresses are one name space."""


class Renaming:
    """A mapping of domains and addresses to others.

    Parameters
    ----------
    pairs: old name and new one, both domains or both addresses. That of an address comes before that of its domain, and
        goes for its subaddresses (``bob+x``) too. All are renamed at once, so that two names can change places.

    A renaming is for one run: it remembers which names are taken. Raises InvalidValue for pairs that cannot be.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._names: dict[str, str] = {}
        for old, new in pairs:
            self._add(old, new)
        self._targets = {new for new in self._names.values() if "@" in new}
        self._sources: dict[str, set[str]] = {}
        """The domains of the source that become one, by that one's name."""
        self._taken: dict[tuple[str, str], str] = {}

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Renaming:
        """Read ``old=new`` from each line; empty lines and those that begin with ``#`` are passed over."""
        said = (line.strip() for line in lines)
        pairs = [line.partition("=") for line in said if line and not line.startswith("#")]
        for old, equals, new in pairs:
            if not (old and equals and new):
                raise InvalidValue(f"{old}{equals}{new}: a mapping is written old=new")
        return cls((old.strip(), new.strip()) for old, _, new in pairs)

    def _add(self, old: str, new: str) -> None:
        if ("@" in old) != ("@" in new):
            raise InvalidValue(f"{old}={new}: a domain becomes a domain, and an address an address")
        normal = any_address if "@" in old else domain_name
        try:
            name, renamed = normal(old), normal(new)
        except InvalidAddress as error:
            raise InvalidValue(f"{old}={new}: {error}") from error
        if self._names.setdefault(name, renamed) != renamed:
            raise InvalidValue(f"{name} cannot become both {self._names[name]} and {renamed}", subject=name)

    def __bool__(self) -> bool:
        return bool(self._names)

    def name(self, text: str) -> str:
        """Return what a domain, an address, or a domain behind a mark (``@``, ``.``, ``@.``) is called afterwards."""
        local, at, domain = text.rpartition("@")
        if not local:
            mark = at + "." * domain.startswith(".")
            return mark + self._names.get(domain.lower().removeprefix("."), text.removeprefix(mark))
        plain, plus, extension = local.partition("+")
        found = self._names.get(text.lower()) or self._names.get(f"{plain}@{domain}".lower())
        if found:
            kept = plus + extension if text.lower() not in self._names else ""
            return f"{found.rpartition('@')[0]}{kept}@{domain_part(found)}"
        return f"{local}@{self._names[domain.lower()]}" if domain.lower() in self._names else text

    def entries(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Iterate over entries under their new names.

        Where two of the source would have one name, the second has a `clash` that says so.
        """
        return (self._entry(entry) for entry in entries) if self else iter(entries)

    def _entry(self, entry: Entry) -> Entry:
        record, names = entry.record, _ADDRESSES[entry.kind]
        changed = {name: new for name in names if (new := self._value(getattr(record, name))) != getattr(record, name)}
        if entry.kind == "domain" and (alias_domains := changed.get("alias_domains")):
            changed["alias_domains"] = tuple(name for name in alias_domains if name != self.name(entry.key))
        renamed = replace(entry, record=replace(record, **changed)) if changed else entry
        if renamed.key != entry.key:
            renamed = replace(renamed, was=entry.key)
        return self._checked(entry, renamed)

    def _value(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(dict.fromkeys(map(self.name, value)))
        return self.name(value) if isinstance(value, str) else value

    def _checked(self, entry: Entry, renamed: Entry) -> Entry:
        if entry.kind == "domain":
            self._sources.setdefault(renamed.key, set()).add(entry.key)
        if not (entry.kind == "domain" or self._may_clash(renamed.key)):
            return renamed
        space = "address" if entry.kind in _SHARED else f"{entry.kind} {getattr(entry.record, 'direction', '')}"
        first = self._taken.setdefault((space, renamed.key), entry.key)
        if first == entry.key:
            return renamed
        return replace(
            renamed, clash=f"{first} and {entry.key} would both become {renamed.key}; map one to another name"
        )

    def _may_clash(self, name: str) -> bool:
        """Tell whether two may come to have a name: only such are remembered."""
        return name in self._targets or len(self._sources.get(domain_part(name), ())) > 1


def within(entries: Iterable[Entry], names: Iterable[str]) -> Iterator[Entry]:
    """Iterate over what lies in some domains and is set for them, as `mailstore.transfer.dump` chooses it."""
    domains = frozenset(map(domain_name, names))
    return chain.from_iterable(_CHOICE.get(entry.kind, _in)(entry, domains) for entry in entries)


def _in(entry: Entry, domains: frozenset[str]) -> Iterable[Entry]:
    return (entry,) if domain_part(entry.key) in domains else ()


def _of_admin(entry: Entry, domains: frozenset[str]) -> Iterable[Entry]:
    kept = tuple(name for name in entry.record.domains if name in domains)
    return (replace(entry, record=replace(entry.record, domains=kept)),) if kept else ()


_CHOICE: Final[Mapping[str, Callable[[Entry, frozenset[str]], Iterable[Entry]]]] = {"admin": _of_admin}
