"""The file that declares a state: TOML, or JSON lines as in a dump."""

from __future__ import annotations

import json
import re
import tomllib
import typing
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from mailstore.address import domain_part, held_address, held_domain
from mailstore.errors import InvalidQuota, InvalidValue
from mailstore.quota import Quota
from mailstore.transfer.entries import INFORMATION, KINDS, Entry

__all__ = [
    "ABSENT",
    "FORMAT",
    "MANAGE",
    "OWNED",
    "SETTINGS",
    "VERSION",
    "Absent",
    "Manage",
    "State",
    "hints_of",
    "read_state",
    "write_state",
]

FORMAT: Final = "mailstore-state"
VERSION: Final = 1
OWNED: Final = ("domain", "account", "alias", "list", "admin")
"""The kinds that may be removed where a state does not name them."""
Manage: TypeAlias = Literal["listed", "domain", "store"]
Absent: TypeAlias = Literal["keep", "disable", "delete"]
MANAGE: Final[tuple[str, ...]] = typing.get_args(Manage)
ABSENT: Final[tuple[str, ...]] = typing.get_args(Absent)
SETTINGS: Final = (
    "format", "version", "manage", "domains", "absent", "keep_days", "max_deletions", "defaults", "source", "end",
)  # fmt: skip
"""The keys of a file that are no kinds of things."""
DEFAULT_LIMIT: Final = "5%"
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)")
_INSIDE: Final = ("account", "alias", "list")
_ADDRESSES: Final = frozenset({
    "forwarding", "aliases", "members", "moderators", "owners", "permitted_senders", "catch_all", "sender_bcc",
    "recipient_bcc", "recovery_email",
})  # fmt: skip
Raw: TypeAlias = "tuple[str, Mapping[str, Any], str]"
"""A thing as it is written: its kind, its values, and where it stands."""


@dataclass(frozen=True)
class State:
    """What a store shall hold.

    Parameters
    ----------
    entries: by kind and name, in the order of `KINDS`; only the fields that they give are meant.
    manage: ``listed``: only the things that are named; ``domain``: all that lies in `domains`; ``store``: all domains too.
    domains: in normal form.
    absent: for each kind of `OWNED` what becomes of managed things that no entry names; those not in it are kept.
    keep_days: how long the mailboxes of deleted accounts are kept, None for the store's longest.
    max_deletions: how many things of a kind may be removed or switched off at once: ``5%`` or a number.
    """

    entries: Mapping[tuple[str, str], Entry]
    manage: Manage = "listed"
    domains: frozenset[str] = frozenset()
    absent: Mapping[str, Absent] = field(default_factory=dict)
    keep_days: int | None = None
    max_deletions: str = DEFAULT_LIMIT

    def of_kind(self, kind: str) -> dict[str, Entry]:
        """Return the entries of a kind by name."""
        return {name: entry for (one, name), entry in self.entries.items() if one == kind}

    def removes(self, kind: str) -> bool:
        """Tell whether things of a kind that no entry names are removed or switched off."""
        return self.absent.get(kind, "keep") != "keep"

    def allowed(self, present: int) -> int:
        """Return how many of so many things may be removed. Raises InvalidValue."""
        return allowed(self.max_deletions, present)


def allowed(limit: str, present: int) -> int:
    """Return how many of so many things a limit lets go. Raises InvalidValue."""
    match = _LIMIT.fullmatch(limit.strip())
    if match is None:
        raise InvalidValue(f"max_deletions: {limit!r} is neither a number nor like 5%", field="max_deletions")
    return int(present * float(match[1]) / 100) if match[1] else int(match[2])


def read_state(path: Path, *, sources: Callable[[Mapping[str, Any], Path], Iterable[Raw]] | None = None) -> State:
    """Read the file of a state: JSON lines if its name ends with ``.jsonl``, else TOML.

    Parameters
    ----------
    path: of the file.
    sources: reads what a table ``[[source]]`` describes, relative to the folder of the file; without it there may be none.

    Raises InvalidValue, naming the thing and its field; also if the file may have been cut off, or names nothing of a kind
    that would be removed for not being named. Raises OSError, and what reading the sources raises.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidValue(f"{path}: not UTF-8") from None
    settings, things = _json_lines(text) if path.suffix == ".jsonl" else _toml(text)
    for source in _tables(settings, "source"):
        if sources is None:
            raise InvalidValue("source: not to be had here")
        things = [*things, *sources(source, path.parent)]
    return _state(settings, things)


def write_state(entries: Iterable[Entry], write: Callable[[str], object], *, domains: Collection[str] | None) -> None:
    """Write entries as a state that keeps what it does not name; the domains are those of the entries if none are given.

    What a store only tells, and nobody sets, is left out.
    """
    header: dict[str, Any] = {"record": "header", "format": FORMAT, "version": VERSION, "manage": "store"}
    if domains is not None:
        header |= {"manage": "domain", "domains": sorted(domains)}
    write(f"{json.dumps({**header, 'absent': 'keep'})}\n")
    counts: Counter[str] = Counter()
    for entry in entries:
        counts[entry.kind] += 1
        values = {name: value for name, value in entry.to_dict().items() if name not in INFORMATION}
        write(f"{json.dumps(values)}\n")
    write(f"{json.dumps({'record': 'end', 'counts': dict(counts)})}\n")


# --- the two forms

_Read: TypeAlias = "tuple[Mapping[str, Any], list[Raw]]"


def _toml(text: str) -> _Read:
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidValue(f"this is no TOML: {error}") from None
    unknown = sorted(settings.keys() - {*SETTINGS, *KINDS})
    if unknown:
        raise InvalidValue(f"{unknown[0]!r} is unknown; known are {', '.join((*SETTINGS, *KINDS))}", field=unknown[0])
    things = [
        (kind, values, f"{kind} {number}")
        for kind in KINDS
        for number, values in enumerate(_tables(settings, kind), start=1)
    ]
    _check_end(settings.get("end"), Counter(kind for kind, _, _ in things))
    return settings, things


def _json_lines(text: str) -> _Read:
    settings: dict[str, Any] = {}
    things: list[Raw] = []
    counts: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if "end" in settings:
            raise InvalidValue(f"line {number}: there is something behind the last line")
        values = _object(line, number)
        kind = values.pop("record", None)
        if kind == "header":
            settings = dict(values)
        elif kind == "end":
            settings["end"] = values
            _check_end(values, counts)
        else:
            things.append((str(kind), values, f"line {number}"))
            counts[str(kind)] += 1
    return settings, things


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        # Without the cause, which quotes the line: there may be a hash in it.
        raise InvalidValue(f"line {number}: this is no JSON") from None
    if not isinstance(values, dict):
        raise InvalidValue(f"line {number}: an object is wanted")
    return values


def _check_end(end: Any, counts: Counter[str]) -> None:
    if end is None:
        return
    if not isinstance(end, Mapping) or not isinstance(end.get("counts", {}), Mapping):
        raise InvalidValue("end: a table is wanted, with counts if you like", field="end")
    for kind, count in end.get("counts", {}).items():
        if counts[kind] != count:
            raise InvalidValue(f"end: it counts {count} of {kind}, and there are {counts[kind]}", field="end")


def _tables(settings: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    tables = settings.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise InvalidValue(f"{name}: tables [[{name}]] are wanted", field=name)
    return tables


# --- what they say


def _state(settings: Mapping[str, Any], things: Iterable[Raw]) -> State:
    if settings.get("format", FORMAT) != FORMAT or settings.get("version", VERSION) != VERSION:
        raise InvalidValue(f'this is no state: it would say format = "{FORMAT}", version = {VERSION}', field="format")
    defaults = settings.get("defaults", {})
    entries: dict[tuple[str, str], Entry] = {}
    for kind, values, where in things:
        entry = _entry(kind, {**_defaults(defaults, kind), **values}, where)
        if (kind, entry.key) in entries and kind not in _MANY:
            raise InvalidValue(f"{where}: {kind} {entry.key} is there twice")
        entries[kind, _unique(entry)] = entry
    manage = _one_of(settings, "manage", MANAGE, "listed")
    keep_days, limit = settings.get("keep_days"), settings.get("max_deletions", DEFAULT_LIMIT)
    if keep_days is not None and (not isinstance(keep_days, int) or isinstance(keep_days, bool) or keep_days < 0):
        raise InvalidValue("keep_days: a number of days from 0 is wanted", field="keep_days")
    named = {name for kind, name in entries if kind == "domain"}
    state = State(
        entries=entries,
        manage=manage,
        domains=frozenset(map(held_domain, settings["domains"])) if "domains" in settings else frozenset(named),
        absent=_absent(settings, {kind for kind, _ in entries}),
        keep_days=keep_days,
        max_deletions=str(limit),
    )
    state.allowed(0)
    _check_scope(state)
    _check_whole(state, settings)
    return state


_MANY: Final = frozenset({"throttle", "access-list"})
"""The kinds of which there is one for each level and direction."""


def _unique(entry: Entry) -> str:
    return f"{entry.key} {entry.record.direction}" if entry.kind in _MANY else entry.key


def _one_of(settings: Mapping[str, Any], name: str, known: Collection[str], default: str) -> Any:
    value = settings.get(name, default)
    if value not in known:
        raise InvalidValue(f"{name}: {value!r} is none of {', '.join(known)}", field=name)
    return value


def _absent(settings: Mapping[str, Any], kinds: Collection[str]) -> dict[str, Absent]:
    said = settings.get("absent", {})
    if isinstance(said, str):
        # Of what the state says nothing at all it removes nothing; nor admins and domains by the way.
        said = {kind: said for kind in _INSIDE if kind in kinds} or {"account": said}
    if not isinstance(said, Mapping):
        raise InvalidValue("absent: keep, disable or delete, or a table of these by kind", field="absent")
    for kind in said:
        if kind not in OWNED:
            raise InvalidValue(f"absent: {kind!r} is none of {', '.join(OWNED)}", field="absent")
    return {kind: _one_of(said, kind, ABSENT, "keep") for kind in said}


def _check_scope(state: State) -> None:
    removed = [kind for kind in OWNED if state.removes(kind)]
    if state.manage == "listed" and removed:
        raise InvalidValue(
            'absent: with manage = "listed" nothing else is looked at; say domain or store', field="absent"
        )
    if state.manage == "domain" and not state.domains:
        raise InvalidValue('manage: "domain" needs domains, or entries of domains', field="manage")
    if state.manage == "domain" and state.removes("domain"):
        raise InvalidValue('absent: domains are removed with manage = "store" only', field="absent")
    if state.manage == "domain" and state.removes("admin"):
        raise InvalidValue('absent: admins are removed with manage = "store" only', field="absent")
    if state.removes("domain") and not all(state.absent.get(kind) == "delete" for kind in ("domain", *_INSIDE)):
        # What goes with a domain is to be counted.
        raise InvalidValue("absent: domains can be deleted where accounts, aliases and lists are, too", field="absent")
    inside = state.domains if state.manage == "domain" else {name for kind, name in state.entries if kind == "domain"}
    for kind, name in state.entries if state.manage == "domain" or state.removes("domain") else ():
        if kind in _INSIDE and domain_part(name) not in inside:
            raise InvalidValue(f"{kind} {name}: it lies in no domain that this state manages or names")


def _check_whole(state: State, settings: Mapping[str, Any]) -> None:
    """Refuse a state that would remove things for not being named if it may have lost some of its names."""
    removed = [kind for kind in OWNED if state.removes(kind)]
    if removed and "end" not in settings:
        raise InvalidValue(
            f"absent: {removed[0]}: the file may be cut off; its end must be marked, by a last table [end] or, in JSON"
            ' lines, by a last line {"record": "end"}',
            field="end",
        )
    for kind in removed:
        if kind in ("domain", "account") and not state.of_kind(kind):
            raise InvalidValue(
                f"absent: no {kind} is named, and all would be removed; say keep, or name one", field="absent"
            )


def _defaults(defaults: Any, kind: str) -> Mapping[str, Any]:
    if not isinstance(defaults, Mapping) or not all(isinstance(one, Mapping) for one in defaults.values()):
        raise InvalidValue("defaults: tables [defaults.KIND] are wanted", field="defaults")
    unknown = sorted(defaults.keys() - KINDS.keys())
    if unknown:
        raise InvalidValue(f"defaults: {unknown[0]!r} is none of {', '.join(KINDS)}", field="defaults")
    found: Mapping[str, Any] = defaults.get(kind, {})
    return found


def _entry(kind: str, values: Mapping[str, Any], where: str) -> Entry:
    if kind not in KINDS:
        raise InvalidValue(f"{where}: {kind!r} is none of {', '.join(KINDS)}")
    told = sorted(values.keys() & INFORMATION)
    if told:
        raise InvalidValue(f"{where}: {told[0]} is told by the store, and never set", field=told[0])
    try:
        entry = Entry.from_dict({"record": kind, **_typed(kind, values)})
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}", subject=error.subject, field=error.field) from error
    return entry


def _typed(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a dump has them: names in normal form, sizes in bytes, ``unlimited`` as null."""
    hints = hints_of(kind)
    first = fields(KINDS[kind])[0].name
    typed: dict[str, Any] = {}
    for name, value in values.items():
        match value:
            case str() if hints.get(name) is Quota:
                try:
                    typed[name] = Quota.parse(value).bytes
                except InvalidQuota as error:
                    raise InvalidValue(f"{name}: {error}", field=name) from error
            case "unlimited" if hints.get(name) == int | None:
                typed[name] = None
            case str() if name == first and value:
                typed[name] = held_domain(value) if kind == "domain" else _address(value)
            case str() if name in _ADDRESSES:
                typed[name] = _address(value)
            case list() if name in _ADDRESSES:
                typed[name] = [_address(one) if isinstance(one, str) else one for one in value]
            case _:
                typed[name] = value
    return typed


def hints_of(kind: str) -> Mapping[str, Any]:
    """Return the types of the fields of a kind."""
    return typing.get_type_hints(KINDS[kind])


def _address(text: str) -> str:
    """Return an address in normal form; what is none, like a level or a whole domain, as it is."""
    local, at, _ = text.partition("@")
    return held_address(text) if at and local.strip("* ") else text.strip().lower()
