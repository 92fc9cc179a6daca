"""The form of a dump: JSON lines, a header first, then one thing of the store a line, and a last line that counts them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from mailstore.errors import InvalidValue
from mailstore.model import Account, Admin, Alias, Domain, MailingList
from mailstore.policies import AccessList, GreylistingSetting, SpamPolicy, Throttle
from mailstore.records import blank, from_dict, plain_value, schema_of

__all__ = [
    "FORMAT",
    "INFORMATION",
    "KINDS",
    "VERSION",
    "Entry",
    "SpfDomains",
    "read_entries",
    "schema",
    "write_entries",
]

FORMAT: Final = "mailstore-dump"
VERSION: Final = 1
_LONGEST = 64 << 20
"""Characters of a line; a list with a million members has fewer."""


@dataclass(frozen=True, slots=True)
class SpfDomains:
    """The domains whose servers, as their SPF records name them, are never greylisted."""

    domains: tuple[str, ...]


KINDS: Final[Mapping[str, type]] = {
    "domain": Domain,
    "account": Account,
    "alias": Alias,
    "list": MailingList,
    "admin": Admin,
    "spam-policy": SpamPolicy,
    "throttle": Throttle,
    "greylisting": GreylistingSetting,
    "spf-domains": SpfDomains,
    "access-list": AccessList,
}
"""What lines are about, in the order in which they stand in a dump: nothing comes before what it needs."""
_NAMED_BY: Final = {kind: fields(type_)[0].name for kind, type_ in KINDS.items()}
INFORMATION: Final[frozenset[str]] = frozenset({
    "created", "modified", "password_changed", "usage", "last_login", "settings", "problems", "exceptions", "custom",
})  # fmt: skip
"""Fields that tell something and are never loaded: servers and other tools write them."""
ELSEWHERE: Final[Mapping[str, frozenset[str]]] = {
    "domain": frozenset({"admins"}),
    "account": frozenset({"admin", "global_admin"}),
}
"""Fields that say what entries of another kind (``admin``) say; no line has them."""
_SECRET = ("account", "admin")
"""The kinds that have a password."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a store.

    ``given`` are the fields of the record that are said; of the others nothing is known, whatever the record has there: the
    store that it comes from has no place for them, or a person left them out. ``line`` is the line of the file, from 1.
    ``was`` is the key that it had before it was renamed, ``clash`` says with whom it would share its new name.
    ``known_services`` are the services that the store which an account comes from can tell of; None if that is not known.
    """

    kind: str
    record: Any
    given: frozenset[str]
    password_hash: str | None = field(default=None, repr=False)
    line: int = 0
    was: str = ""
    clash: str = ""
    known_services: frozenset[str] | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """What it is called where it comes from."""
        return self.was or self.key

    @property
    def key(self) -> str:
        """Its address, domain or level."""
        value = getattr(self.record, _NAMED_BY[self.kind])
        return value if isinstance(value, str) else self.kind

    def value(self, name: str) -> Any:
        """Return a field of the record."""
        return getattr(self.record, name)

    def says(self, name: str) -> bool:
        """Tell whether a field says something: it is given, and is not what it is where nothing is set."""
        return name in self.given and self.value(name) != blank(KINDS[self.kind], name)

    def to_dict(self) -> dict[str, Any]:
        """Return the object of its line."""
        names = (one.name for one in fields(self.record) if one.name in self.given)
        values = {"record": self.kind, **{name: plain_value(self.value(name)) for name in names}}
        return values if self.password_hash is None else {**values, "password_hash": self.password_hash}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], line: int = 0, services: frozenset[str] | None = None) -> Entry:
        """Return the entry of a line; `services` are those its store can tell of. Raises InvalidValue, with the field."""
        rest = dict(values)
        kind, secret = rest.pop("record", None), rest.pop("password_hash", None)
        if kind not in KINDS:
            raise InvalidValue(f"record: {kind!r} is none of {', '.join(KINDS)}")
        if secret is not None and (kind not in _SECRET or not isinstance(secret, str)):
            raise InvalidValue(f"password_hash: there is no such thing as this of a record {kind!r}")
        misplaced = sorted(rest.keys() & ELSEWHERE.get(kind, frozenset()))
        if misplaced:
            raise InvalidValue(f"{misplaced[0]}: say that with records 'admin'")
        known = services if kind == "account" else None
        return cls(kind, from_dict(KINDS[kind], rest), frozenset(rest), secret, line, known_services=known)


def write_entries(
    entries: Iterable[Entry], write: Callable[[str], object], *, whole: bool = True, services: Collection[str] = ()
) -> Counter[str]:
    """Write entries as they come, with `write`. Returns how many of each kind there were.

    `services` are those that the store of the entries can tell of (`Accounts.service_names`). A `whole` file has a last line
    that counts them, by which its reader tells that nothing is missing.
    """
    counts: Counter[str] = Counter()
    told = {"services": sorted(services)} if services else {}
    write(_line({"record": "header", "format": FORMAT, "version": VERSION, "whole": whole, **told}))
    for entry in entries:
        write(_line(entry.to_dict()))
        counts[entry.kind] += 1
    if whole:
        write(_line({"record": "end", "counts": {kind: counts[kind] for kind in KINDS if counts[kind]}}))
    return counts


def _line(values: Mapping[str, Any]) -> str:
    # ASCII, so that no locale and no editor can do anything with it.
    return f"{json.dumps(values)}\n"


def read_entries(
    lines: Iterable[str], *, bad: Callable[[int, str, InvalidValue], None] | None = None
) -> Iterator[Entry]:
    """Iterate over the entries of a file, as its lines are read.

    Parameters
    ----------
    bad: is told number, text and fault of a line that cannot be read, which is then passed over; else that raises.

    Raises InvalidValue if the file is of another format or version, or ends before its last line.
    """
    numbered = enumerate(lines, start=1)
    whole, services = _header(numbered)
    counts: Counter[str] = Counter()
    for number, text in numbered:
        if not text.strip():
            continue
        try:
            values = _object(text, number)
            if values.get("record") == "end":
                return _check_end(values, counts, number, exact=whole)
            counts[str(values.get("record"))] += 1
            entry = _entry(values, number, services)
        except InvalidValue as error:
            if bad is None:
                raise
            bad(number, text, error)
        else:
            yield entry
    if whole:
        raise InvalidValue(
            f"the file ends early, after {counts.total()} records: its last line is missing; make the dump again,"
            ' or say "whole": false in the first line if this is all that is meant'
        )
    return None


def _header(numbered: Iterator[tuple[int, str]]) -> tuple[bool, frozenset[str] | None]:
    number, text = next(numbered, (1, ""))
    if not text.strip():
        raise InvalidValue("the file is empty: not even the first line of a dump is there")
    values = _object(text, number)
    if values.get("record") != "header" or values.get("format") != FORMAT:
        raise InvalidValue(f'line 1: this is no dump; it would begin with {{"record": "header", "format": "{FORMAT}"')
    if values.get("version") != VERSION:
        raise InvalidValue(f"line 1: version {values.get('version')!r} of the format is not known; this is {VERSION}")
    services = values.get("services")
    return values.get("whole") is not False, frozenset(map(str, services)) if isinstance(services, list) else None


def _object(text: str, number: int) -> dict[str, Any]:
    try:
        if len(text) > _LONGEST:
            raise InvalidValue(f"line {number}: longer than {_LONGEST} characters")
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        # Without the cause, which quotes the line: there may be a hash in it.
        raise InvalidValue(f"line {number}: this is no JSON ({type(error).__name__})") from None
    if not isinstance(values, dict):
        raise InvalidValue(f"line {number}: an object is wanted")
    return values


def _entry(values: Mapping[str, Any], number: int, services: frozenset[str] | None) -> Entry:
    try:
        return Entry.from_dict(values, number, services)
    except InvalidValue as error:
        raise InvalidValue(f"line {number}: {error}") from error


def _check_end(values: Mapping[str, Any], counts: Counter[str], number: int, *, exact: bool) -> None:
    if exact and values.get("counts") != dict(counts):
        raise InvalidValue(
            f"line {number}: there are other records than this line counts; was something cut out of the file?"
            ' For a file that was edited say "whole": false in the first line'
        )


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a line of a dump."""
    header = {
        "record": {"const": "header"}, "format": {"const": FORMAT}, "version": {"const": VERSION},
        "whole": {"type": "boolean"}, "services": {"type": "array", "items": {"type": "string"}},
    }  # fmt: skip
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    lines = {
        "header": _lines_of(header, ["record", "format", "version"]),
        **{kind: _schema_of(kind) for kind in KINDS},
        "end": _lines_of({"record": {"const": "end"}, "counts": counts}, ["record", "counts"]),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of a {FORMAT}, version {VERSION}",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in lines],
        "$defs": lines,
    }


def _lines_of(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _schema_of(kind: str) -> dict[str, Any]:
    own = schema_of(KINDS[kind])
    properties: dict[str, Any] = {"record": {"const": kind}}
    for name, one in own["properties"].items():
        if name not in ELSEWHERE.get(kind, frozenset()):
            properties[name] = {**one, "readOnly": True} if name in INFORMATION else one
    if kind in _SECRET:
        properties["password_hash"] = {"type": "string", "pattern": r"^\{[A-Za-z0-9.-]+\}"}
    return _lines_of(properties, ["record", *own["required"]])
