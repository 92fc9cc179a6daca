"""Records of the library as plain values that JSON holds, and back: the form of dumps and of the command line's JSON.

Quotas, sizes and limits are numbers (of bytes), no limit is null; times are ISO 8601 in UTC with a ``Z`` behind. A `Limit`
that is no number is ``inherit`` or ``unlimited``: of these two, neither is nothing.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, TypeVar

from mailstore.errors import InvalidValue
from mailstore.policies import Limit
from mailstore.quota import Quota

__all__ = ["blank", "from_dict", "plain_value", "schema_of", "to_dict"]

_Record = TypeVar("_Record")
_PLAIN = frozenset({str, bool, int, float, types.NoneType})
"""The types whose values JSON holds as they are; nearly all fields of a long list are of these."""


def to_dict(record: Any) -> dict[str, Any]:
    """Return all fields of a record (`mailstore.model`, `mailstore.policies`) as values that JSON holds."""
    names, values = _reading(record.__class__)
    return {
        name: value if type(value) in _PLAIN else plain_value(value)
        for name, value in zip(names, values(record), strict=True)
    }


@functools.cache
def _reading(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the names of all fields of a record type, and what gives the values of a record in their order."""
    names = tuple(one.name for one in fields(kind))
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda record: tuple(getattr(record, name) for name in names)


def plain_value(value: Any) -> Any:
    """Return one value as JSON holds it; records within become objects, tuples become arrays."""
    if type(value) in _PLAIN:  # most are
        return value
    if type(value) is tuple or type(value) is list:
        return [entry if type(entry) in _PLAIN else plain_value(entry) for entry in value]
    match value:
        case Quota():
            return value.bytes
        case Limit():
            return value.value if value.kind == "limit" else value.kind
        case datetime():
            return f"{value.isoformat()}Z"
        case date():
            return value.isoformat()
        case Mapping():
            return {str(key): plain_value(entry) for key, entry in value.items()}
        case tuple() | list():
            return [plain_value(entry) for entry in value]
    return to_dict(value) if is_dataclass(value) and not isinstance(value, type) else value


def from_dict(kind: type[_Record], values: Mapping[str, Any]) -> _Record:
    """Return a record from what `to_dict` gave; fields that are not there have their defaults.

    Raises InvalidValue for unknown or missing fields and for values of another type, naming the field.
    """
    known: type = kind
    hints, required, readers = _hints(known), _required_of(known), _readers(known)
    if not isinstance(values, Mapping):
        raise InvalidValue(f"{kind.__name__}: an object is wanted, not {_named(values)}")
    if not hints.keys() >= values.keys():
        unknown = sorted(values.keys() - hints.keys())
        raise InvalidValue(f"{kind.__name__} has no field {unknown[0]!r}; it has {', '.join(hints)}", field=unknown[0])
    if not values.keys() >= required:
        missing = [name for name in hints if name in required and name not in values]
        raise InvalidValue(f"{kind.__name__}: the field {missing[0]!r} is missing", field=missing[0])
    return kind(**{name: readers[name](value) for name, value in values.items()})


def blank(kind: type, name: str) -> Any:
    """Return what a field of a record type has when nothing is said; None for one that must be given."""
    return _blanks(kind)[name]


@functools.cache
def _blanks(kind: type) -> Mapping[str, Any]:
    return {
        one.name: one.default_factory()
        if one.default_factory is not MISSING
        else None
        if one.default is MISSING
        else one.default
        for one in fields(kind)
    }


@functools.cache
def _required_of(kind: type) -> frozenset[str]:
    return frozenset(one.name for one in fields(kind) if _required(one))


@functools.cache
def _readers(kind: type) -> Mapping[str, Callable[[Any], Any]]:
    """Return what reads each field of a record type: by far most are of a simple type, and looked at once."""
    return {name: _reader(hint, name) for name, hint in _hints(kind).items()}


def schema_of(kind: type) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `to_dict` gives for a record type."""
    hints = _hints(kind)
    return {
        "type": "object",
        "properties": {one.name: _schema(hints[one.name]) for one in fields(kind)},
        "required": [one.name for one in fields(kind) if _required(one)],
        "additionalProperties": False,
    }


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    known = typing.get_type_hints(kind)
    return {one.name: known[one.name] for one in fields(kind)}


def _required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _named(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _quota(value: Any) -> Quota:
    return Quota(value)


def _limit(value: Any) -> Limit:
    return Limit.parse(value)


def _moment(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


_SIZE = {"type": ["integer", "null"], "minimum": 1, "description": "bytes; null is no limit"}
_FORMS: Mapping[Any, tuple[tuple[type, ...], Callable[[Any], Any], Mapping[str, Any]]] = {
    str: ((str,), str, {"type": "string"}),
    bool: ((bool,), bool, {"type": "boolean"}),
    int: ((int,), int, {"type": "integer"}),
    float: ((int, float), float, {"type": "number"}),
    Quota: ((int, types.NoneType), _quota, _SIZE),
    Limit: ((int, str), _limit, {"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["inherit", "unlimited"]}]}),
    datetime: ((str,), _moment, {"type": "string", "format": "date-time"}),
    date: ((str,), date.fromisoformat, {"type": "string", "format": "date"}),
}
"""For each type of a field: what JSON has for it, how that is read, and its schema."""


def _reader(hint: Any, name: str) -> Callable[[Any], Any]:
    """Return what reads a value of a type; made once, since a dump has millions of values."""
    if hint in _FORMS:
        return _form_reader(hint, name)
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        inner = _reader(_without_none(parts), name)
        return lambda value: None if value is None else inner(value)
    if origin is typing.Literal:
        return functools.partial(_choice, parts, name)
    if origin is tuple:
        return _array_reader(_reader(parts[0], name), name)
    if origin is not None and issubclass(origin, Mapping):
        return _object_reader(_reader(parts[1], name), name)
    return lambda value: from_dict(hint, value)


def _choice(parts: tuple[Any, ...], name: str, value: Any) -> Any:
    if value not in parts:
        raise InvalidValue(f"{name}: {value!r} is none of {', '.join(map(repr, parts))}")
    return value


def _array_reader(inner: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        _require(value, list, name)
        return tuple([inner(entry) for entry in value])

    return read


def _object_reader(inner: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        _require(value, dict, name)
        return {key: inner(entry) for key, entry in value.items()}

    return read


def _form_reader(hint: Any, name: str) -> Callable[[Any], Any]:
    wanted, convert, _ = _FORMS[hint]

    def read(value: Any) -> Any:
        if type(value) is hint:
            return value
        if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
            raise InvalidValue(
                f"{name}: {' or '.join(map(_json_name, wanted))} is wanted, not {_named(value)}", field=name
            )
        try:
            return convert(value)
        except (ValueError, InvalidValue) as error:
            raise InvalidValue(f"{name}: {error}", field=name) from error

    return read


def _require(value: Any, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise InvalidValue(f"{name}: {_json_name(kind)} is wanted, not {_named(value)}", field=name)


def _json_name(kind: type) -> str:
    return {list: "an array", dict: "an object", str: "a text", int: "a number", types.NoneType: "null"}.get(
        kind, kind.__name__
    )


def _without_none(parts: tuple[Any, ...]) -> Any:
    return next(part for part in parts if part is not types.NoneType)


def _schema(hint: Any) -> dict[str, Any]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return {"anyOf": [_schema(_without_none(parts)), {"type": "null"}]}
    if origin is typing.Literal:
        return {"enum": list(parts)}
    if origin is tuple:
        return {"type": "array", "items": _schema(parts[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(parts[1])}
    return dict(_FORMS[hint][2]) if hint in _FORMS else schema_of(hint)
