"""What has to change for a store to hold what a state declares."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, TypeAlias

from mailstore import passwords
from mailstore.address import domain_part, held_address, held_domain
from mailstore.errors import InvalidPassword, LimitExceeded, NotSupported
from mailstore.model import Capability
from mailstore.records import plain_value
from mailstore.state.declaration import OWNED, State, allowed
from mailstore.store import Store
from mailstore.transfer.entries import KINDS, Entry
from mailstore.transfer.places import Place, lacking, places_of

__all__ = ["Action", "Change", "Plan", "check_removals", "plan"]

Action: TypeAlias = Literal["create", "update", "disable", "delete", "demote"]
_FEW: Final = 200
"""So many things are asked for by name rather than found in a list."""
_NETS: Final = frozenset({"allow_nets"})


@dataclass(frozen=True)
class Change:
    """One thing that is not as it is declared.

    ``fields`` gives for each that differs what it is and what it shall be, ``entry`` is what was declared, None for what is
    to go; ``lost`` names declared fields that the store has no place for.
    """

    action: Action
    kind: str
    name: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    entry: Entry | None = None
    lost: tuple[str, ...] = ()

    @property
    def removes(self) -> bool:
        """Whether something goes, or is switched off."""
        off = self.fields.get("enabled") == (True, False)
        return self.action in {"delete", "demote", "disable"} or (off and self.action == "update")

    @property
    def dropped_names(self) -> tuple[str, ...]:
        """The alias domains that a domain loses."""
        if self.kind != "domain" or self.action != "update":
            return ()
        before, after = self.fields.get("alias_domains", ((), ()))
        return tuple(name for name in before if name not in after)

    def lines(self) -> Iterator[str]:
        """Iterate over what a patch would show of it."""
        sign = {"create": "+", "delete": "-", "demote": "-"}.get(self.action, " ")
        yield f"{sign}{self.kind} {self.name}" + (
            "" if self.action in {"create", "update", "delete"} else f" ({self.action})"
        )
        for name, (before, after) in self.fields.items():
            if self.action != "create":
                yield f"-  {name} = {_shown(before)}"
            yield f"+  {name} = {_shown(after)}"


@dataclass
class Plan:
    """What has to change, in the order of kinds and names, and how many managed things of each kind were there before."""

    changes: list[Change] = field(default_factory=list)
    present: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0

    def removed(self) -> Counter[str]:
        """Return how many things of each kind would go or be switched off, alias domains among them."""
        counts = Counter(change.kind for change in self.changes if change.removes)
        counts["alias domain"] = sum(len(change.dropped_names) for change in self.changes)
        return +counts


def plan(store: Store, state: State) -> Plan:
    """Compare a store with a state. Nothing is changed.

    Both sides are read once. Raises NotSupported if the store can do what is asked with none of a kind, StoreError.
    """
    found, places = Plan(), places_of(store)
    for kind in KINDS:
        entries = state.of_kind(kind)
        if not (entries or state.removes(kind)):
            continue
        if kind not in places or (kind == "list" and Capability.LISTS not in store.capabilities):
            if entries:
                raise NotSupported(lacking(store, kind), subject=next(iter(entries)))
            continue
        if kind == "domain" and state.removes(kind) and Capability.DOMAINS not in store.capabilities:
            raise NotSupported(f"{store.name} has no {Capability.DOMAINS.value}", field="absent")
        if state.absent.get(kind) == "disable" and "enabled" not in places[kind].keeps:
            raise NotSupported(f"{store.name} cannot switch off a {kind}: say delete or keep", field="absent")
        _compare(store, state, places[kind], kind, entries, found)
    return found


def check_removals(made: Plan, limit: str) -> None:
    """Raise LimitExceeded if a plan removes or switches off more than a limit allows: a number, or a part like ``5%``."""
    for kind, count in made.removed().items():
        present = made.present[kind]
        most = allowed(limit, present)
        if count > most:
            raise LimitExceeded(
                f"{count} of {present} things of the kind {kind} would be removed or switched off, and {limit} allows"
                f" {most}: nothing was done; look at --diff, and if that is meant give --max-deletions",
                subject=next(change.name for change in made.changes if change.removes or change.dropped_names),
                field="max_deletions",
            )


def _compare(store: Store, state: State, place: Place, kind: str, entries: dict[str, Entry], found: Plan) -> None:
    changes: dict[str, Change] = {}
    missing = dict(entries)
    for key, present in _present(store, state, place, kind, entries):
        found.present[kind] += 1
        if kind == "domain":
            found.present["alias domain"] += len(present.alias_domains)
        entry = missing.pop(key, None)
        change = _absent(state, kind, present) if entry is None else _differing(place, entry, present)
        if change is None:
            found.unchanged += 1
        else:
            changes[key] = change
    for key, entry in missing.items():
        if kind == "domain" and Capability.DOMAINS not in store.capabilities:
            found.unchanged += 1  # it is there with its first address
            continue
        wanted = {name: value for name, value in place.wanted(entry).items() if entry.says(name)}
        if entry.password_hash is not None:
            wanted["password_hash"] = "..."  # noqa: S105 it is never shown
        changes[key] = Change(
            "create", kind, entry.key, {name: (None, value) for name, value in wanted.items()}, entry, place.lost(entry)
        )
    found.changes += (changes[key] for key in sorted(changes))


def _present(
    store: Store, state: State, place: Place, kind: str, entries: Mapping[str, Entry]
) -> Iterator[tuple[str, Any]]:
    """Iterate over the managed things of a kind that are there, with their names in normal form."""
    if not state.removes(kind) and (kind not in OWNED or len(entries) <= _FEW):
        for key, entry in entries.items():
            record = place.present(entry)
            if record is not None:
                yield key, record
        return
    for record in _listed(store, state, kind, entries):
        name = str(getattr(record, fields(record)[0].name))
        if name.startswith("@"):  # a catch-all, or an alias domain: the domain says so
            continue
        key = held_domain(name) if kind == "domain" else held_address(name)
        if state.removes(kind) or key in entries:
            yield key, record


def _listed(store: Store, state: State, kind: str, entries: Mapping[str, Entry]) -> Iterator[Any]:
    collection: Any = getattr(store, {"domain": "domains", "alias": "aliases"}.get(kind, f"{kind}s"))
    if kind in ("domain", "admin") or state.manage == "store":
        yield from collection.list()
        return
    domains = state.domains if state.manage == "domain" else {domain_part(name) for name in entries}
    for domain in sorted(domains):
        yield from collection.list(domain=domain)


def _absent(state: State, kind: str, present: Any) -> Change | None:
    """Return what becomes of a thing that no entry names."""
    what, name = state.absent.get(kind, "keep"), getattr(present, fields(present)[0].name)
    if what == "disable":
        return Change("disable", kind, name, {"enabled": (True, False)}) if present.enabled else None
    if what == "keep":
        return None
    return Change("demote" if getattr(present, "kind", "") == "account" and kind == "admin" else "delete", kind, name)


def _differing(place: Place, entry: Entry, present: Any) -> Change | None:
    changed = {
        name: (before, value)
        for name, value in place.wanted(entry).items()
        if not _alike(name, value, before := getattr(present, name, None))
    }
    if _has_another_hash(place, entry):
        changed["password_hash"] = ("...", "...")
    if not changed:
        return None
    name = getattr(present, fields(present)[0].name)
    return Change("update", entry.kind, name if isinstance(name, str) else entry.key, changed, entry, place.lost(entry))


def _alike(name: str, one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        form = _net if name in _NETS else str.lower
        return sorted(map(form, one)) == sorted(map(form, other))
    return bool(one == other)


def _net(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        return text


def _has_another_hash(place: Place, entry: Entry) -> bool:
    if entry.password_hash is None:
        return False
    stored = place.stored_hash(entry)
    if stored is None:
        return False
    try:
        first, second = passwords.read(stored), passwords.read(entry.password_hash)
    except InvalidPassword:
        return stored != entry.password_hash
    return (first.scheme, first.digest or first.data) != (second.scheme, second.digest or second.data)


def _shown(value: Any) -> str:
    value = plain_value(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
